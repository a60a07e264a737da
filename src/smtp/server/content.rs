//! What comes after DATA: bytes passed on while they are good, counted and dropped once they are not.

use super::ServerSettings;
use crate::smtp::framing::{ContentDecoder, ContentFault, Piece, StrayPolicy};
use crate::smtp::replies;
use crate::smtp::reply::Reply;

/// Reads one message to its true end, so that the rest of a refused one never becomes commands.
#[derive(Debug)]
pub(super) struct ContentReader {
    decoder: ContentDecoder,
    strays: StrayPolicy,
    bytes: u64,
    bytes_max: u64,
}

/// What [`ContentReader::next`] found.
pub(super) enum Progress<'i> {
    Bytes(&'i [u8]),
    /// Bytes of a message that will be refused.
    Dropped,
    More,
    End(Result<(), Reply>),
}

impl ContentReader {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            decoder: ContentDecoder::new(settings.strays),
            strays: settings.strays,
            bytes: 0,
            bytes_max: settings.message_bytes_max,
        }
    }

    pub(super) fn next<'i>(&mut self, input: &mut &'i [u8]) -> Progress<'i> {
        match self.decoder.next(input) {
            Piece::More => Progress::More,
            Piece::Bytes(bytes) => {
                self.bytes = self.bytes.saturating_add(bytes.len() as u64);
                if self.fault().is_some() { Progress::Dropped } else { Progress::Bytes(bytes) }
            }
            Piece::End => Progress::End(self.fault().map_or(Ok(()), Err)),
        }
    }

    fn fault(&self) -> Option<Reply> {
        match self.decoder.fault() {
            Some(ContentFault::Nul) if self.strays == StrayPolicy::Refuse => Some(replies::CONTENT_NUL),
            Some(_) if self.strays == StrayPolicy::Refuse => Some(replies::CONTENT_STRAY_BREAK),
            _ => (self.bytes > self.bytes_max).then_some(replies::MESSAGE_TOO_LARGE),
        }
    }
}
