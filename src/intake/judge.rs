//! What intake asks of the guard at the final dot; the daemon's judgement answers.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;

use crate::account::{Account, AccountSource};
use crate::clock::Now;
use crate::guard::Verdict;
use crate::mail::{Envelope, QueueId};
use crate::smtp::Refusal;
use crate::store::{Body, Destination};

/// What [`Judge::judge`] gives.
pub type JudgeFuture<'a> = Pin<Box<dyn Future<Output = Judged> + Send + 'a>>;

/// Who says what is to become of a message, before it is taken over.
pub trait Judge: Send + Sync + 'static {
    /// How many of a message's first bytes are looked at.
    fn bytes_max(&self) -> usize;

    /// The judgement. It does not fail and keeps its own time limits: where something cannot be found out in time, the
    /// configured outcome of that stands in its place.
    fn judge<'a>(&'a self, asked: Asked<'a>) -> JudgeFuture<'a>;

    /// What was judged could not be stored, and its client will bring it again: it is not to be counted twice. `mark` is
    /// that of [`Judged::Verdict`].
    fn not_taken(&self, mark: Mark);
}

/// One message at its final dot.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Under which id it will be taken.
    pub id: QueueId,
    /// Its bytes as received; of a long message the first [`Judge::bytes_max`].
    pub bytes: Bytes,
    /// How long it is.
    pub message_bytes: u64,
    /// All of it.
    pub body: &'a Body,
    /// Who it is from and for.
    pub envelope: &'a Envelope,
    /// Where each recipient's mail stands in line, in the envelope's order.
    pub destinations: &'a [Destination],
    /// Whom it counts against.
    pub account: &'a Account,
    /// How that is known.
    pub source: AccountSource,
    /// Where the account's own client is, as the trusted MTA or the connection tells.
    pub client: Option<IpAddr>,
    /// The domain of its From field.
    pub header_from: Option<&'a str>,
    /// The fields of ours that will stand before it.
    pub prefix: &'a str,
    /// When its content ended.
    pub at: Now,
}

/// A message with its envelope and account, by a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(pub u128);

/// What was found.
#[derive(Debug)]
pub enum Judged {
    /// It is taken with this verdict.
    Verdict {
        /// Kept with the message.
        verdict: Verdict,
        /// Further fields for our prefix, each with its line end; empty by default.
        fields: String,
        /// What it is known by if it comes again.
        mark: Mark,
        /// In place of [`Asked::destinations`], where not all egresses may carry it.
        destinations: Option<Vec<Destination>>,
    },
    /// It is not taken.
    Refused(Refusal),
}
