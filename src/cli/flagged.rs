//! `outguard teach flagged`: what OVHcloud's anti-spam flagged was spam.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use super::arguments::Look;
use super::exit::Failed;
use super::json_line;
use super::mailbox;
use super::source::Place;
use super::teach::START_IT;
use crate::api::guardian::{Became, FlaggedRequest, FlaggedView};
use crate::mail::Visible;
use crate::ovh::flagged::{self, LIST_BYTES_MAX};

pub(super) async fn run(place: &Place, list: Option<&Path>, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let bytes = match list.filter(|path| *path != Path::new("-")) {
        None => read(io::stdin().lock())?,
        Some(path) if !path.exists() => return Err(mailbox::absent(path)),
        Some(path) => read(File::open(path)?)?,
    };
    let message_ids = flagged::read(&bytes).map_err(|error| Failed::Usage { what: error.to_string() })?;
    let (mut named, mut taught) = (0, 0);
    for message_ids in message_ids.chunks(FlaggedRequest::MESSAGES_MAX) {
        let asked = FlaggedRequest { message_ids: message_ids.to_vec() };
        let answer = Place::needs_daemon(place.client.teach_flagged(&asked).await, START_IT)?;
        for one in &answer.flagged {
            named += 1;
            taught += one.messages.iter().filter(|message| message.became == Became::Taught).count();
            match look {
                Look::Json => json_line(out, one)?,
                Look::People => show(one, out)?,
            }
        }
    }
    if look == Look::People {
        let lessons = if taught == 1 { "1 lesson".to_owned() } else { format!("{taught} lessons") };
        let ids = if named == 1 { "1 Message-ID".to_owned() } else { format!("{named} Message-IDs") };
        writeln!(out, "{lessons} learned of {ids}")?;
    }
    Ok(())
}

/// One byte more than may be, so that it is seen to be too long.
fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LIST_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn show(one: &FlaggedView, out: &mut dyn Write) -> io::Result<()> {
    let message_id = Visible(&one.message_id);
    if one.messages.is_empty() {
        writeln!(out, "{message_id}: not known here, or forgotten")?;
    }
    for message in &one.messages {
        let became = match message.became {
            Became::Taught => "learned as spam",
            Became::KnownAlready => "known already",
            Became::ContentGone => "nothing learned, what it was made of is no longer kept",
        };
        writeln!(out, "{message_id}: {} of {}: {became}", message.id, Visible(&message.account))?;
    }
    Ok(())
}
