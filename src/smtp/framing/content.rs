//! The content of a message as it comes after DATA: dots taken off, ended by CRLF.CRLF alone (RFC 5321 4.5.2).

use memchr::memchr3;

/// Takes the transparency of RFC 5321 4.5.2 off and finds the true end of a message.
///
/// Begins right behind the CRLF of the DATA command, which counts as the line end before the first line: a message
/// whose first line is a lone dot is empty. Pieces are slices of the input; one comes for each stretch without a
/// stuffed dot, so an ordinary packet is one piece.
#[derive(Debug, Clone)]
pub struct ContentDecoder {
    strays: StrayPolicy,
    at: At,
    fault: Option<ContentFault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    /// Within a line, or behind a stray CR or LF: no dot is special here.
    InLine,
    /// On a stray byte that is to be written otherwise.
    Stray,
}

/// What becomes of CR, LF and NUL that are no part of a CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StrayPolicy {
    /// They pass, and [`ContentDecoder::fault`] tells; the message is refused at its end.
    #[default]
    Refuse,
    /// A stray LF becomes CRLF, which is what its writer meant. A stray CR or a NUL becomes a space, since CR CR LF
    /// must not grow into an empty line that would end a header.
    Repair,
}

/// The first stray byte of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFault {
    /// CR without LF behind it.
    BareCr,
    /// LF without CR before it.
    BareLf,
    /// A zero byte.
    Nul,
}

/// What [`ContentDecoder::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'i> {
    /// Bytes of the message, never none.
    Bytes(&'i [u8]),
    /// CRLF.CRLF has been read; what is left of the input belongs to the next command.
    End,
    /// All is used but at most two bytes that cannot be judged yet: give them again with more behind them.
    More,
}

impl ContentDecoder {
    /// A decoder that stands behind the CRLF of DATA.
    pub const fn new(strays: StrayPolicy) -> Self {
        Self { strays, at: At::LineStart, fault: None }
    }

    /// The first stray byte so far.
    pub const fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// Takes the next piece off `input`.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Piece<'i> {
        match self.at {
            At::Stray => return self.repaired(input),
            At::InLine => {}
            At::LineStart => match line_start(input) {
                LineStart::End => {
                    *input = &input[3..];
                    return Piece::End;
                }
                LineStart::Unknown => return Piece::More,
                LineStart::Stuffed => {
                    *input = &input[1..];
                    self.at = At::InLine;
                }
                LineStart::Text => {}
            },
        }
        let bytes = *input;
        let kept = self.stretch(bytes);
        *input = &bytes[kept..];
        match (kept, self.at) {
            (0, At::Stray) => self.repaired(input),
            (0, At::LineStart | At::InLine) => Piece::More,
            _ => Piece::Bytes(&bytes[..kept]),
        }
    }

    /// How many bytes from the front pass as they are. Leaves `at` where the next piece begins.
    fn stretch(&mut self, bytes: &[u8]) -> usize {
        let mut from = 0;
        while let Some(found) = memchr3(b'\r', b'\n', 0, &bytes[from..]) {
            let at = from + found;
            let fault = match (bytes[at], bytes.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    from = at + 2;
                    self.at = At::LineStart;
                    match bytes.get(from) {
                        None | Some(b'.') => return from,
                        Some(_) => continue,
                    }
                }
                (b'\r', None) => {
                    self.at = At::InLine;
                    return at;
                }
                (b'\r', Some(_)) => ContentFault::BareCr,
                (b'\n', _) => ContentFault::BareLf,
                _ => ContentFault::Nul,
            };
            self.fault.get_or_insert(fault);
            if self.strays == StrayPolicy::Repair {
                self.at = At::Stray;
                return at;
            }
            self.at = At::InLine;
            from = at + 1;
        }
        if bytes.len() > from {
            self.at = At::InLine;
        }
        bytes.len()
    }

    /// The stray byte at the front, as it is written instead.
    fn repaired<'i>(&mut self, input: &mut &'i [u8]) -> Piece<'i> {
        let instead: &[u8] = if input[0] == b'\n' { b"\r\n" } else { b" " };
        *input = &input[1..];
        // The line end before CRLF.CRLF, and before a stuffed dot, is one that was received.
        self.at = At::InLine;
        Piece::Bytes(instead)
    }
}

enum LineStart {
    End,
    Stuffed,
    Text,
    Unknown,
}

fn line_start(input: &[u8]) -> LineStart {
    match input {
        [b'.', b'\r', b'\n', ..] => LineStart::End,
        [] | [b'.'] | [b'.', b'\r'] => LineStart::Unknown,
        [b'.', ..] => LineStart::Stuffed,
        _ => LineStart::Text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::smtp::framing::DotStuffer;

    /// The message, the bytes behind its end, and the fault; `None` if the end has not come.
    type Decoded = (Vec<u8>, Option<Vec<u8>>, Option<ContentFault>);

    /// Decodes `stream` arriving in pieces cut at `splits`.
    fn decode(stream: &[u8], splits: &[usize], strays: StrayPolicy) -> Decoded {
        let mut decoder = ContentDecoder::new(strays);
        let (mut held, mut message, mut start) = (Vec::new(), Vec::new(), 0);
        for &end in splits.iter().chain([&stream.len()]) {
            held.extend_from_slice(&stream[start..end]);
            start = end;
            let mut input = held.as_slice();
            loop {
                match decoder.next(&mut input) {
                    Piece::Bytes(bytes) => {
                        assert!(!bytes.is_empty());
                        message.extend_from_slice(bytes);
                    }
                    Piece::End => return (message, Some([input, &stream[end..]].concat()), decoder.fault()),
                    Piece::More => break,
                }
            }
            assert!(input.len() <= 2, "at most two bytes wait");
            held = input.to_vec();
        }
        (message, None, decoder.fault())
    }

    /// The rule itself, one byte at a time, for streams that end in CRLF.CRLF.
    fn decode_slowly(stream: &[u8], strays: StrayPolicy) -> Decoded {
        let (mut message, mut fault, mut line_start, mut i) = (Vec::new(), None, true, 0);
        while i < stream.len() {
            let rest = &stream[i..];
            if line_start && rest.starts_with(b".\r\n") {
                return (message, Some(rest[3..].to_vec()), fault);
            }
            if line_start && rest[0] == b'.' {
                line_start = false;
                i += 1;
                continue;
            }
            line_start = false;
            if rest.starts_with(b"\r\n") {
                message.extend_from_slice(b"\r\n");
                line_start = true;
                i += 2;
                continue;
            }
            let (stray, instead): (_, &[u8]) = match rest[0] {
                b'\r' => (Some(ContentFault::BareCr), b" "),
                b'\n' => (Some(ContentFault::BareLf), b"\r\n"),
                0 => (Some(ContentFault::Nul), b" "),
                _ => (None, b""),
            };
            fault = fault.or(stray);
            if stray.is_some() && strays == StrayPolicy::Repair {
                message.extend_from_slice(instead);
            } else {
                message.push(rest[0]);
            }
            i += 1;
        }
        (message, None, fault)
    }

    #[test]
    fn smuggling() {
        use ContentFault::{BareCr, BareLf, Nul};
        /// What comes after DATA, the message that is read, what is left for the next command, the fault.
        type Case = (&'static [u8], &'static [u8], &'static [u8], Option<ContentFault>);
        let cases: [Case; 16] = [
            (b".\r\nQUIT\r\n", b"", b"QUIT\r\n", None), // an empty message
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n", None),
            (b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n", b"", None),
            (b".a\r\n.\r\n", b"a\r\n", b"", None), // an unstuffed dot goes, RFC 5321 4.5.2
            (b"a\n.\nMAIL\r\n.\r\n", b"a\n.\nMAIL\r\n", b"", Some(BareLf)),
            (b"a\r.\rMAIL\r\n.\r\n", b"a\r.\rMAIL\r\n", b"", Some(BareCr)),
            (b"a\r\n.\nMAIL\r\n.\r\n", b"a\r\n\nMAIL\r\n", b"", Some(BareLf)),
            (b"a\r\n.\rMAIL\r\n.\r\n", b"a\r\n\rMAIL\r\n", b"", Some(BareCr)),
            (b"a\n.\r\nMAIL\r\n.\r\n", b"a\n.\r\nMAIL\r\n", b"", Some(BareLf)),
            (b"a\r.\r\nMAIL\r\n.\r\n", b"a\r.\r\nMAIL\r\n", b"", Some(BareCr)),
            (b"a\r\n.\r\r\nMAIL\r\n.\r\n", b"a\r\n\r\r\nMAIL\r\n", b"", Some(BareCr)),
            (b"a\r\n\r.\r\nMAIL\r\n.\r\n", b"a\r\n\r.\r\nMAIL\r\n", b"", Some(BareCr)),
            (b"a\r\r\n.\r\nQUIT\r\n", b"a\r\r\n", b"QUIT\r\n", Some(BareCr)),
            (b"a\n\r\n.\r\n", b"a\n\r\n", b"", Some(BareLf)),
            (b"a\r\n\0.\r\nMAIL\r\n.\r\n", b"a\r\n\0.\r\nMAIL\r\n", b"", Some(Nul)),
            (b"a\r\n.\0\r\nMAIL\r\n.\r\n", b"a\r\n\0\r\nMAIL\r\n", b"", Some(Nul)),
        ];
        for (stream, message, rest, fault) in cases {
            let expected = (message.to_vec(), Some(rest.to_vec()), fault);
            for split in 0..=stream.len() {
                let decoded = decode(stream, &[split], StrayPolicy::Refuse);
                assert_eq!(decoded, expected, "{:?} split at {split}", stream.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn repair_leaves_crlf_alone_as_line_end() {
        let cases: [(&[u8], &[u8]); 4] = [
            (b"a\nb\r\n.\r\n", b"a\r\nb\r\n"),
            (b"a\r\r\nb\r\n.\r\n", b"a \r\nb\r\n"), // no empty line out of nothing
            (b"a\0b\r\n.\r\n", b"a b\r\n"),
            (b"a\n.\n..b\r\n.\r\n", b"a\r\n.\r\n..b\r\n"), // dots behind a stray LF are text, and stay
        ];
        for (stream, message) in cases {
            for split in 0..=stream.len() {
                assert_eq!(decode(stream, &[split], StrayPolicy::Repair).0, message, "{stream:?} split at {split}");
            }
        }
    }

    /// Bytes that matter, mostly.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => Just(b'\r'), 4 => Just(b'\n'), 4 => Just(b'.'), 1 => Just(0), 3 => any::<u8>()];
        proptest::collection::vec(byte, 0..48)
    }

    proptest! {
        #[test]
        fn agrees_with_the_slow_one(mut stream in stream(), splits in proptest::collection::vec(0usize..48, 0..4)) {
            stream.extend_from_slice(b"\r\n.\r\n");
            let mut splits: Vec<usize> = splits.into_iter().map(|s| s.min(stream.len())).collect();
            splits.sort_unstable();
            for strays in [StrayPolicy::Refuse, StrayPolicy::Repair] {
                let expected = decode_slowly(&stream, strays);
                prop_assert_eq!(&decode(&stream, &splits, strays), &expected);
                for split in 0..=stream.len() {
                    prop_assert_eq!(&decode(&stream, &[split], strays), &expected);
                }
            }
        }

        #[test]
        fn what_is_stuffed_comes_back(message in stream(), split in 0usize..48) {
            let mut wire = Vec::new();
            let mut stuffer = DotStuffer::new();
            let (a, b) = message.split_at(split.min(message.len()));
            stuffer.encode(a, &mut wire);
            stuffer.encode(b, &mut wire);
            stuffer.finish(&mut wire);
            wire.extend_from_slice(b"QUIT\r\n");
            let (decoded, rest, _) = decode(&wire, &[split.min(wire.len())], StrayPolicy::Refuse);
            let ended = message.is_empty() || message.ends_with(b"\r\n");
            prop_assert_eq!(decoded, if ended { message } else { [message.as_slice(), b"\r\n"].concat() });
            prop_assert_eq!(rest, Some(b"QUIT\r\n".to_vec()));
        }
    }
}
