//! What is shown while it runs: for each account what left, what waits, and why. Drawn over on a terminal, else printed anew
//! when something changed.

use std::fmt::Write as _;
use std::io::Write;

use super::super::exit::Failed;
use super::super::moment::utc;
use super::sender::Sender;
use super::sink::Arrival;
use crate::api::Client;
use crate::api::client::QueueQuery;
use crate::clock::{BootMs, Now};
use crate::store::DeliveryState;

/// Where lines are not drawn over, at most one picture in so many milliseconds.
const PICTURE_MS_MIN: u64 = 2_000;

/// Whether a picture may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picture {
    /// One of many.
    Passing,
    /// How it ended: always shown.
    Last,
}

/// The picture and what it showed last.
#[derive(Debug)]
pub(super) struct View {
    accounts: Vec<&'static str>,
    started: BootMs,
    draws_over: bool,
    lines_drawn: usize,
    shown: String,
    shown_ms: Option<u64>,
}

impl View {
    pub(super) fn new(senders: &[Sender], started: BootMs, draws_over: bool) -> Self {
        let accounts = senders.iter().map(|sender| sender.account).collect();
        Self { accounts, started, draws_over, lines_drawn: 0, shown: String::new(), shown_ms: None }
    }

    /// Shows how things stand.
    pub(super) async fn show(
        &mut self,
        which: Picture,
        now: Now,
        arrived: &[Arrival],
        client: &Client,
        out: &mut dyn Write,
    ) -> Result<(), Failed> {
        let passed_ms = now.boot.0.saturating_sub(self.started.0);
        // By the clock too: that is what reasons tell their time by.
        let head = format!("after {} s, at {}", passed_ms / 1_000, utc(now.wall));
        let mut picture = String::new();
        for account in &self.accounts {
            let left = arrived.iter().filter(|arrival| arrival.from == *account).count();
            let (waiting, why) = waiting(account, client).await?;
            let _ = writeln!(picture, "  {account:<21} left {left:>3}   waiting {waiting:>3}"); // a String takes all
            for part in why.split("; ").filter(|part| !part.is_empty()) {
                let _ = writeln!(picture, "      {part}");
            }
        }
        if self.draws_over {
            // A line longer than the screen would become two, and the next picture would begin too low: it is cut instead.
            out.write_all(b"\x1b[?7l")?;
            if self.lines_drawn > 0 {
                write!(out, "\x1b[{}A\x1b[J", self.lines_drawn)?; // up to the first line of the last picture, all gone
            }
            let picture = format!("{head}\n{picture}");
            out.write_all(picture.as_bytes())?;
            out.write_all(b"\x1b[?7h")?;
            self.lines_drawn = picture.lines().count();
        } else if picture != self.shown
            && (which == Picture::Last || self.shown_ms.is_none_or(|at| passed_ms >= at + PICTURE_MS_MIN))
        {
            write!(out, "{head}\n{picture}")?;
            (self.shown, self.shown_ms) = (picture, Some(passed_ms));
        }
        out.flush()?;
        Ok(())
    }
}

/// How many recipients of an account wait, and why its oldest message does.
async fn waiting(account: &str, client: &Client) -> Result<(usize, String), Failed> {
    let query = QueueQuery { account: Some(account.to_owned()), limit: Some(200), ..QueueQuery::default() };
    let page = client.queue(&query).await?;
    let due = |message: &crate::api::view::MessageView| {
        message.deliveries.iter().filter(|d| d.state == DeliveryState::Waiting).count()
    };
    let count = page.messages.iter().map(due).sum();
    let Some(oldest) = page.messages.iter().find(|message| due(message) > 0) else { return Ok((0, String::new())) };
    // Between the two questions it may have left.
    let Ok(detail) = client.message(&oldest.id).await else { return Ok((count, String::new())) };
    let why = detail.why.first().map_or(String::new(), super::super::show::reason);
    Ok((count, why))
}
