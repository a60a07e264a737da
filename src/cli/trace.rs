//! `outguard trace`.

use std::io::{self, Write};

use super::arguments::{Look, TraceArguments};
use super::exit::{Failed, HISTORY};
use super::source::{Answer, Place, detail};
use super::{json_line, show};
use crate::api::view::TraceView;
use crate::store::sqlite::ReadOnlyStore;
use crate::store::{Page, Reads as _};

/// Messages asked for at once.
const PAGE_MESSAGES: usize = 50;

pub(super) async fn run(place: &Place, asked: &TraceArguments, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let mut left = asked.limit.max(1);
    let (mut after, mut store): (Option<String>, Option<ReadOnlyStore>) = (None, None);
    let mut shown = 0;
    while left > 0 {
        let limit = left.min(PAGE_MESSAGES);
        let page = match &store {
            None => match place.or_store(place.client.trace(&asked.term, after.as_deref(), limit).await)? {
                Answer::Daemon(page) => page,
                Answer::Store(opened) => {
                    let page = stored(place, &opened, &asked.term, after.as_deref(), limit).await?;
                    store = Some(opened);
                    page
                }
            },
            Some(opened) => stored(place, opened, &asked.term, after.as_deref(), limit).await?,
        };
        for message in &page.messages {
            match look {
                Look::Json => json_line(out, message)?,
                Look::People => show::detail(message, out)?,
            }
        }
        shown += page.messages.len();
        left -= page.messages.len().min(left);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if shown == 0 {
        return Err(Failed::NotFound { what: asked.term.clone(), advice: HISTORY });
    }
    if after.is_some() {
        // Beside the answer, so that scripts read what they read before.
        let _ = writeln!(io::stderr().lock(), "outguard: there are older ones; `--limit` shows more than {shown}");
    }
    Ok(())
}

async fn stored(
    place: &Place,
    store: &ReadOnlyStore,
    term: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<TraceView, Failed> {
    let after = after.and_then(|id| id.parse().ok());
    // One more than is shown tells whether there is more.
    let mut found = store.find(term.to_owned(), Page { after, limit: limit + 1 }).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut messages = Vec::new();
    for row in found {
        messages.push(detail(place, store, row).await?);
    }
    let next = messages.last().filter(|_| more).map(|last| last.message.id.clone());
    Ok(TraceView { messages, next })
}
