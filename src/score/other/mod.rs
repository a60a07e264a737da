//! Other scorers beside our own: Rspamd, SpamAssassin, ClamAV, and lists of domains and addresses in the DNS.
//!
//! All are optional and asked at once. Each has a time limit and a stated outcome for when it fails, so that none lets
//! mail through in silence or stops it for ever. They bring reasons and never decide. Start with [`settings`], then
//! [`ask_all`].

mod clamd;
mod connection;
mod lists;
mod rspamd;
pub mod settings;
mod spamd;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

pub use lists::{ListCache, ListLookup, LookupFuture};
pub use settings::{Endpoint, List, ListKind, OnFailure, OtherSettings, Scorer};

use crate::mail::Envelope;
use crate::message::Message;
use crate::reason::Reason;

/// A message as other scorers are given it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Its bytes, or the first of them.
    pub bytes: &'a Bytes,
    /// What we read in it.
    pub message: &'a Message,
    /// Who it is from and for; absent where a file is judged.
    pub envelope: Option<&'a Envelope>,
    /// Whom it counts against, as the other's user.
    pub account: Option<&'a str>,
    /// Where the account's client is.
    pub client: Option<IpAddr>,
    /// Our id of it.
    pub queue_id: Option<&'a str>,
}

/// What one scorer said.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It answered; nothing to say is no reason.
    Reasons(Vec<Reason>),
    /// It did not.
    Failed(Failure),
}

/// A scorer that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub scorer: &'static str,
    /// What is to become of the message.
    pub then: OnFailure,
    /// What happened.
    pub detail: String,
}

/// Asks every configured scorer at once. The time that it takes is the longest of their limits, at most.
pub async fn ask_all(
    settings: &OtherSettings,
    question: Question<'_>,
    lists: (&ListCache, &dyn ListLookup),
) -> Vec<Answer> {
    let rspamd = one("Rspamd", settings.rspamd.as_ref(), |scorer| rspamd::ask(scorer, question));
    let spamd = one("SpamAssassin", settings.spamassassin.as_ref(), |scorer| spamd::ask(scorer, question));
    let clamd = one("ClamAV", settings.clamav.as_ref(), |scorer| clamd::ask(scorer, question));
    let listed = lists::ask(&settings.lists, question, lists);
    let (rspamd, spamd, clamd, listed) = tokio::join!(rspamd, spamd, clamd, listed);
    [rspamd, spamd, clamd].into_iter().flatten().chain(listed).collect()
}

/// Asks one, within its time.
async fn one<'s, F>(name: &'static str, scorer: Option<&'s Scorer>, ask: impl FnOnce(&'s Scorer) -> F) -> Option<Answer>
where
    F: Future<Output = Result<Vec<Reason>, AskError>>,
{
    let scorer = scorer?;
    let failed = |detail| Answer::Failed(Failure { scorer: name, then: scorer.on_failure, detail });
    Some(match tokio::time::timeout(scorer.timeout, ask(scorer)).await {
        Ok(Ok(reasons)) => Answer::Reasons(reasons),
        Ok(Err(error)) => failed(format!("{error} ({})", scorer.endpoint)),
        Err(_) => failed(format!("no answer in {} ({})", seconds(scorer.timeout), scorer.endpoint)),
    })
}

fn seconds(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// Why a scorer did not answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("not reached: {0}")]
    Connection(#[from] std::io::Error),
    #[error("an answer that is not understood: {0}")]
    Answer(String),
    #[error("it answered with a fault: {0}")]
    Fault(String),
}
