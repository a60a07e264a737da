//! Lines of commands and replies.

use memchr::{memchr, memchr3};

/// Cuts a stream into lines that end in CRLF and hold neither CR, LF nor NUL otherwise.
///
/// A faulty line is told of once, at the first byte that makes it faulty, and then thrown away up to its CRLF: what
/// stands behind a stray line break inside a command never becomes a command.
#[derive(Debug, Clone)]
pub struct LineDecoder {
    line_bytes_max: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Within a line whose first `clean` bytes, still in the caller's hands, are known to be free of CR, LF and NUL.
    Line { clean: usize },
    /// Behind a fault.
    Discarding,
}

/// Why a line was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFault {
    /// More bytes than the limit, CRLF included.
    TooLong,
    /// CR without LF behind it.
    BareCr,
    /// LF without CR before it.
    BareLf,
    /// A zero byte.
    Nul,
}

impl LineDecoder {
    /// For lines of at most this many bytes, CRLF included.
    pub const fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, state: State::Line { clean: 0 } }
    }

    /// Takes the next line off `input`, without its CRLF.
    ///
    /// `None` asks for more bytes. What is then left in `input` is the start of a line (at most the limit), to be
    /// given again with more behind it.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Option<Result<&'i [u8], LineFault>> {
        loop {
            match self.state {
                State::Line { clean } => return self.line(input, clean),
                State::Discarding => {
                    if !discard_line(input) {
                        return None;
                    }
                    self.state = State::Line { clean: 0 };
                }
            }
        }
    }

    fn line<'i>(&mut self, input: &mut &'i [u8], clean: usize) -> Option<Result<&'i [u8], LineFault>> {
        // The line's own bytes end two before the limit. Faults are judged by their place, so that a long line with a
        // stray LF gets the same answer however much of it has arrived.
        let text_bytes_max = self.line_bytes_max.saturating_sub(2);
        let found = memchr3(b'\r', b'\n', 0, &input[clean..]).map(|at| at + clean);
        let fault = match found {
            Some(at) if at > text_bytes_max => LineFault::TooLong,
            None if input.len() > text_bytes_max => LineFault::TooLong,
            None => {
                self.state = State::Line { clean: input.len() };
                return None;
            }
            Some(at) => match (input[at], input.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    let line = &input[..at];
                    *input = &input[at + 2..];
                    self.state = State::Line { clean: 0 };
                    return Some(Ok(line));
                }
                (b'\r', None) => {
                    self.state = State::Line { clean: at };
                    return None;
                }
                (b'\r', Some(_)) => LineFault::BareCr,
                (b'\n', _) => LineFault::BareLf,
                _ => LineFault::Nul,
            },
        };
        self.state = State::Discarding;
        Some(Err(fault))
    }
}

/// Drops bytes up to and with the next CRLF; `false` if it has not come yet. A CR at the end stays, for its LF may come.
fn discard_line(input: &mut &[u8]) -> bool {
    while let Some(at) = memchr(b'\r', input) {
        match input.get(at + 1) {
            Some(b'\n') => {
                *input = &input[at + 2..];
                return true;
            }
            Some(_) => *input = &input[at + 1..],
            None => {
                *input = &input[at..];
                return false;
            }
        }
    }
    *input = &[];
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Lines = Vec<Result<Vec<u8>, LineFault>>;

    /// Decodes `stream`, arriving in two pieces.
    fn decode(stream: &[u8], split: usize, line_bytes_max: usize) -> Lines {
        let mut decoder = LineDecoder::new(line_bytes_max);
        let (mut held, mut lines) = (Vec::new(), Vec::new());
        for piece in [&stream[..split], &stream[split..]] {
            held.extend_from_slice(piece);
            let mut input = held.as_slice();
            while let Some(line) = decoder.next(&mut input) {
                lines.push(line.map(<[u8]>::to_vec));
            }
            held = input.to_vec();
            assert!(held.len() < line_bytes_max.max(2), "an unfinished line is bounded");
        }
        lines
    }

    /// The rule itself, one byte at a time.
    fn decode_slowly(stream: &[u8], line_bytes_max: usize) -> Lines {
        let (mut lines, mut line, mut discarding) = (Vec::new(), Vec::new(), false);
        let mut i = 0;
        while i < stream.len() {
            let (byte, next) = (stream[i], stream.get(i + 1).copied());
            let crlf = byte == b'\r' && next == Some(b'\n');
            let fault = if line.len() + 2 > line_bytes_max {
                Some(LineFault::TooLong)
            } else {
                match (byte, next) {
                    (b'\r', Some(n)) if n != b'\n' => Some(LineFault::BareCr),
                    (b'\n', _) => Some(LineFault::BareLf),
                    (0, _) => Some(LineFault::Nul),
                    _ => None,
                }
            };
            match (discarding, fault) {
                (false, Some(fault)) => {
                    lines.push(Err(fault));
                    line.clear();
                    discarding = true;
                    continue; // this byte may begin the CRLF that ends the discarding
                }
                (false, None) if crlf => lines.push(Ok(std::mem::take(&mut line))),
                (false, None) if byte == b'\r' => break, // its LF has not come
                (false, None) => line.push(byte),
                (true, _) if crlf => discarding = false,
                (true, _) => {}
            }
            i += if crlf { 2 } else { 1 };
        }
        if !discarding && line.len() + 2 > line_bytes_max {
            lines.push(Err(LineFault::TooLong));
        }
        lines
    }

    #[test]
    fn lines() {
        let ok = |text: &str| Ok(text.as_bytes().to_vec());
        let cases: [(&[u8], Lines); 9] = [
            (b"NOOP\r\nQUIT\r\n", vec![ok("NOOP"), ok("QUIT")]),
            (b"\r\n", vec![ok("")]),
            (b"NOOP", vec![]),
            (b"NOOP\r", vec![]),
            // what follows a stray break is part of the refused line, not a command
            (b"RCPT\nDATA\r\nNOOP\r\n", vec![Err(LineFault::BareLf), ok("NOOP")]),
            (b"RCPT\rDATA\r\nNOOP\r\n", vec![Err(LineFault::BareCr), ok("NOOP")]),
            (b"a\0b\r\nNOOP\r\n", vec![Err(LineFault::Nul), ok("NOOP")]),
            (b"0123456789\r\n0123456789a\r\nNOOP\r\n", vec![ok("0123456789"), Err(LineFault::TooLong), ok("NOOP")]),
            (b"a\r\r\nNOOP\r\n", vec![Err(LineFault::BareCr), ok("NOOP")]),
        ];
        for (stream, expected) in cases {
            for split in 0..=stream.len() {
                assert_eq!(
                    decode(stream, split, 12),
                    expected,
                    "{:?} split at {split}",
                    stream.escape_ascii().to_string()
                );
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_slow_one(stream in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), b'a'..b'c'], 0..40)) {
            let expected = decode_slowly(&stream, 8);
            for split in 0..=stream.len() {
                prop_assert_eq!(&decode(&stream, split, 8), &expected);
            }
        }
    }
}
