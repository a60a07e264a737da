//! What a report carries of the message reported on (RFC 3461 4.3).

use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use memchr::memmem;

use super::settings::DsnSettings;
use crate::clock::WallMs;
use crate::mail::{QueueId, Ret};
use crate::store::Content;
use crate::store::query::ContentBody;

/// The most header that a report carries, in bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// The whole message or its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub(super) bytes: Bytes,
    pub(super) scope: Scope,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Whole,
    /// The header alone.
    Header,
}

impl Original {
    /// What RET asks for, where it is small enough. Without RET it is the header: the failure itself is what matters.
    ///
    /// Reads at most [`DsnSettings::FULL_BYTES_MAX`] from disk.
    ///
    /// # Errors
    /// The body's file cannot be read.
    pub fn read(content: &Content, ret: Option<Ret>, settings: &DsnSettings) -> io::Result<Self> {
        let full_bytes_max = settings.full_bytes_max.min(DsnSettings::FULL_BYTES_MAX);
        let whole = ret == Some(Ret::Full) && content.size_bytes <= full_bytes_max;
        let wanted = if whole { usize::try_from(content.size_bytes).unwrap_or(usize::MAX) } else { HEADER_BYTES_MAX };
        let mut bytes = content.prefix[..content.prefix.len().min(wanted)].to_vec();
        let missing = wanted - bytes.len();
        match &content.body {
            ContentBody::Bytes(body) => bytes.extend_from_slice(&body[..body.len().min(missing)]),
            ContentBody::File(file) => {
                let mut read = vec![0; missing];
                let mut filled = 0;
                while filled < missing {
                    match file.read_at(&mut read[filled..], filled as u64)? {
                        0 => break,
                        n => filled += n,
                    }
                }
                bytes.extend_from_slice(&read[..filled]);
            }
        }
        if whole {
            return Ok(Self { bytes: bytes.into(), scope: Scope::Whole });
        }
        Ok(Self { bytes: header(&bytes).to_vec().into(), scope: Scope::Header })
    }

    /// Nothing is left of the message.
    pub fn none() -> Self {
        Self { bytes: Bytes::new(), scope: Scope::Header }
    }

    /// A boundary that does not occur in it, so that no part of it can pass for a part of the report.
    pub(super) fn free_boundary(&self, id: QueueId, now: WallMs) -> String {
        let candidates = (0u32..).map(|n| format!("=_{id}.{:x}.{n}", now.0));
        let mut free = candidates.filter(|boundary| memmem::find(&self.bytes, boundary.as_bytes()).is_none());
        free.next().expect("endlessly many candidates, and finite bytes")
    }
}

/// The bytes up to the empty line, or up to the last whole line.
fn header(bytes: &[u8]) -> &[u8] {
    if bytes.starts_with(b"\r\n") {
        return &[];
    }
    match memmem::find(bytes, b"\r\n\r\n") {
        Some(end) => &bytes[..end + 2],
        None => &bytes[..memmem::rfind(bytes, b"\r\n").map_or(0, |end| end + 2)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ret_asks_for() {
        let content = |body: &'static [u8]| Content {
            prefix: Bytes::from_static(b"P: 1\r\n"),
            body: ContentBody::Bytes(Bytes::from_static(body)),
            size_bytes: 6 + body.len() as u64,
        };
        let small = DsnSettings { full_bytes_max: 20, ..DsnSettings::default() };
        let body = b"A: b\r\n\r\ntext\r\n";
        let cases = [
            (Some(Ret::Full), &small, &b"P: 1\r\nA: b\r\n\r\ntext\r\n"[..], Scope::Whole),
            (Some(Ret::Headers), &small, b"P: 1\r\nA: b\r\n", Scope::Header),
            (None, &small, b"P: 1\r\nA: b\r\n", Scope::Header),
        ];
        for (ret, settings, bytes, scope) in cases {
            let original = Original::read(&content(body), ret, settings).unwrap();
            assert_eq!((&original.bytes[..], original.scope), (bytes, scope), "{ret:?}");
        }
        let tight = DsnSettings { full_bytes_max: 19, ..DsnSettings::default() };
        assert_eq!(Original::read(&content(body), Some(Ret::Full), &tight).unwrap().scope, Scope::Header);
        // No empty line in sight: whole lines only.
        assert_eq!(&Original::read(&content(b"A: b\r\nB: c"), None, &small).unwrap().bytes[..], b"P: 1\r\nA: b\r\n");
    }

    #[test]
    fn a_boundary_that_was_guessed_is_not_used() {
        let id = QueueId::new(7).unwrap();
        let plain = Original::none().free_boundary(id, WallMs(255));
        let hostile = Original { bytes: format!("--{plain}\r\n").into_bytes().into(), scope: Scope::Whole };
        assert_ne!(hostile.free_boundary(id, WallMs(255)), plain);
    }
}
