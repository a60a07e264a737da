//! `outguard trace`.

use std::io::Write;

use super::arguments::{Look, TraceArguments};
use super::exit::Failed;
use super::source::{Answer, Place, detail};
use super::{json_line, show};
use crate::store::Reads as _;

pub(super) async fn run(place: &Place, asked: &TraceArguments, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let found = match place.or_store(place.client.trace(&asked.term, asked.limit).await)? {
        Answer::Daemon(found) => found.messages,
        Answer::Store(store) => {
            let mut found = Vec::new();
            for row in store.find(asked.term.clone(), asked.limit).await? {
                found.push(detail(&store, row).await?);
            }
            found
        }
    };
    if found.is_empty() {
        return Err(Failed::NotFound { what: asked.term.clone() });
    }
    for message in &found {
        match look {
            Look::Json => json_line(out, message)?,
            Look::People => show::detail(message, out)?,
        }
    }
    Ok(())
}
