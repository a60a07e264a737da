//! One message as alignment looks at it, be it just received or kept in the store.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::account::{Account, AccountSource};
use crate::align::dkim::Leaving;
use crate::align::dkim::canonical::{Hashing, Wanted};
use crate::clock::WallMs;
use crate::intake::judge::Asked;
use crate::mail::Envelope;
use crate::store::{Body, ContentBody, Destination, StoreError};

/// A body that is longer is hashed on a thread that may take its time.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// How much of a file is read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A message and all that its alignment depends on.
pub(in crate::daemon::judge) struct Matter<'a> {
    /// Its bytes as received; of a long message the first.
    pub bytes: &'a Bytes,
    /// How long it is.
    pub message_bytes: u64,
    /// All of it.
    pub whole: Whole<'a>,
    /// Who it is from and for.
    pub envelope: &'a Envelope,
    /// Where each recipient's mail stands in line.
    pub destinations: &'a [Destination],
    /// Whom it counts against.
    pub account: &'a Account,
    /// How that is known.
    pub source: AccountSource,
    /// When it is looked at.
    pub at: WallMs,
}

/// Where all of a message is.
pub(in crate::daemon::judge) enum Whole<'a> {
    /// At intake.
    Received(&'a Body),
    /// In the store.
    Stored(&'a ContentBody),
}

/// Why a message cannot be looked at.
#[derive(Debug)]
pub(super) enum NotRead {
    /// A fault of the message.
    HeaderTooLong,
    /// A fault of the disk, which another time may not have.
    Now(Unread),
}

/// The disk does not give a message now.
#[derive(Debug, thiserror::Error)]
#[error("a message cannot be read now: {0}")]
pub(in crate::daemon::judge) struct Unread(String);

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> Self {
        Self::Now(Unread(error.to_string()))
    }
}

impl From<StoreError> for NotRead {
    fn from(error: StoreError) -> Self {
        Self::Now(Unread(error.to_string()))
    }
}

impl<'a> Matter<'a> {
    /// At its final dot.
    pub(in crate::daemon::judge) fn of(asked: &'a Asked<'_>) -> Self {
        Self {
            bytes: &asked.bytes,
            message_bytes: asked.message_bytes,
            whole: Whole::Received(asked.body),
            envelope: asked.envelope,
            destinations: asked.destinations,
            account: asked.account,
            source: asked.source,
            at: asked.at.wall,
        }
    }

    /// Whether the account logged in, here or at the MTA: it sends, and speaks for itself, whatever it says of forwarding.
    /// What forwards is a script, or mail from outside that is known by its reverse-path.
    pub(super) fn is_submission(&self) -> bool {
        match self.source {
            AccountSource::Login
            | AccountSource::Xclient
            | AccountSource::MailAuth
            | AccountSource::Received
            | AccountSource::HeaderField => true,
            AccountSource::LocalUser
            | AccountSource::ReversePath
            | AccountSource::NullReversePath
            | AccountSource::Client
            | AccountSource::Own => false,
        }
    }

    /// A first line that begins with a space would run on in a field of ours.
    pub(super) fn begins_a_field(&self) -> bool {
        self.bytes.first().is_some_and(|byte| !matches!(byte, b' ' | b'\t'))
    }

    /// Header and body, the latter hashed in one pass for every signature that stands there and for `ours`.
    pub(super) async fn unsigned(&self, ours: &[Wanted]) -> Result<Leaving<'a>, NotRead> {
        let leaving = Leaving::new(&[self.bytes]).map_err(|_too_long| NotRead::HeaderTooLong)?;
        let mut hashing = leaving.hashing(ours);
        if hashing.is_empty() {
            return Ok(leaving);
        }
        let header_bytes = self.bytes.len() - leaving.body_bytes().min(self.bytes.len());
        let is_here = self.bytes.len() as u64 == self.message_bytes;
        let hashing = match &self.whole {
            _ if is_here && self.bytes.len() <= INLINE_BYTES_MAX => {
                hashing.update(&self.bytes[header_bytes..]);
                hashing
            }
            _ if is_here => {
                let bytes = self.bytes.slice(header_bytes..);
                away(move || {
                    hashing.update(&bytes);
                    hashing
                })
                .await
            }
            Whole::Received(Body::Spooled(file)) => {
                let folded = file.fold((hashing, header_bytes), |(hashing, skip), piece| {
                    let body = &piece[(*skip).min(piece.len())..];
                    *skip -= piece.len() - body.len();
                    hashing.update(body);
                });
                folded.await?.0
            }
            Whole::Stored(ContentBody::File(file)) => {
                let file = Arc::clone(file);
                away(move || of_file(&file, header_bytes, hashing)).await?
            }
            Whole::Received(Body::Inline(bytes)) | Whole::Stored(ContentBody::Bytes(bytes)) => {
                hashing.update(&bytes[header_bytes..]);
                hashing
            }
        };
        Ok(leaving.with_body(hashing))
    }
}

/// On a thread that may take its time. A panic there is one here.
pub(super) async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The process ends before a thread was free, and nobody waits for this any more.
            Err(_) => std::future::pending().await,
        },
    }
}

fn of_file(file: &File, header_bytes: usize, mut hashing: Hashing) -> io::Result<Hashing> {
    let mut at = header_bytes as u64;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read_at(&mut piece, at)? {
            0 => return Ok(hashing),
            read => {
                hashing.update(&piece[..read]);
                at += read as u64;
            }
        }
    }
}
