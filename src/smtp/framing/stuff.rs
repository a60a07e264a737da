//! The content of a message as it goes out after DATA: a dot before each dot that begins a line (RFC 5321 4.5.2).

use memchr::memmem;

/// Writes a message's content so that it cannot end before its end.
#[derive(Debug, Clone, Default)]
pub struct DotStuffer {
    tail: Tail,
}

/// How what was written so far ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tail {
    /// Nothing yet, or CRLF.
    #[default]
    LineStart,
    Cr,
    Other,
}

impl DotStuffer {
    /// A stuffer for one message.
    pub const fn new() -> Self {
        Self { tail: Tail::LineStart }
    }

    /// Appends the next bytes of the message to `wire`.
    pub fn encode(&mut self, mut bytes: &[u8], wire: &mut Vec<u8>) {
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return };
        match (self.tail, first) {
            (Tail::LineStart, b'.') => wire.push(b'.'),
            // The CRLF itself is cut by the pieces: what follows its LF is looked at here.
            (Tail::Cr, b'\n') if bytes.get(1) == Some(&b'.') => {
                wire.extend_from_slice(b"\n.");
                bytes = &bytes[1..];
            }
            _ => {}
        }
        self.tail = match last {
            b'\r' => Tail::Cr,
            b'\n' if bytes.ends_with(b"\r\n") || (self.tail == Tail::Cr && bytes.len() == 1) => Tail::LineStart,
            _ => Tail::Other,
        };
        let mut from = 0;
        for at in memmem::find_iter(bytes, b"\r\n.") {
            wire.extend_from_slice(&bytes[from..at + 2]);
            wire.push(b'.');
            from = at + 2;
        }
        wire.extend_from_slice(&bytes[from..]);
    }

    /// Appends the end of the message: its last line's CRLF if that is missing, the dot, CRLF.
    pub fn finish(self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(if self.tail == Tail::LineStart { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_at_every_split() {
        let cases: [(&[u8], &[u8]); 7] = [
            (b"", b".\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a\r\n.\r\n", b"a\r\n..\r\n.\r\n"),
            (b"a\r\n.\r\n.b", b"a\r\n..\r\n..b\r\n.\r\n"),
            (b"a\r", b"a\r\r\n.\r\n"),
            (b".\r\n\r\n.\r", b"..\r\n\r\n..\r\r\n.\r\n"),
        ];
        for (message, expected) in cases {
            for split in 0..=message.len() {
                let (mut stuffer, mut wire) = (DotStuffer::new(), Vec::new());
                stuffer.encode(&message[..split], &mut wire);
                stuffer.encode(&message[split..], &mut wire);
                stuffer.finish(&mut wire);
                assert_eq!(wire, expected, "{message:?} split at {split}");
            }
        }
    }
}
