//! Header text: unfolded, encoded words decoded (RFC 2047), 8-bit bytes read, control characters made spaces.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::transfer::{self, Encoded};
use super::{charset, text::Line};

/// How long the name of a charset in an encoded word may be, in bytes.
const CHARSET_BYTES_MAX: usize = 60;

/// What an encoded word begins with.
static WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("=?"));

/// Decodes the raw value of a field into one line of at most `bytes_max` bytes. Words that are broken are counted and
/// read as far as they can be.
pub(super) fn decode(raw: &[u8], bytes_max: usize, broken: &mut u32) -> String {
    // A byte of the value is at most three of UTF-8, and encoding makes it longer: this much is always enough to read.
    let raw = raw[..raw.len().min(bytes_max.saturating_mul(4))].trim_ascii_end();
    let mut line = Line::new(bytes_max);
    if WORD.find(raw).is_none() {
        line.push(&charset::guess(raw));
        return line.finish();
    }
    let mut decoder = Decoder { line, broken, pending: Vec::new(), charset: String::new(), after_word: false };
    decoder.run(raw);
    decoder.line.finish()
}

struct Decoder<'a> {
    line: Line,
    broken: &'a mut u32,
    /// Bytes of words that follow each other in one charset: characters may be split between them.
    pending: Vec<u8>,
    charset: String,
    after_word: bool,
}

impl Decoder<'_> {
    fn run(&mut self, mut rest: &[u8]) {
        // Looked for once, so that words without an end do not each search for one.
        let mut ends = memmem::rfind(rest, b"?=").map_or(0, |end| end + 2);
        while let Some(at) = memmem::find(rest, b"=?") {
            let Some(word) = Word::read(&rest[at..], ends.saturating_sub(at)) else {
                self.literal(&rest[..at + 2]);
                rest = &rest[at + 2..];
                ends = ends.saturating_sub(at + 2);
                continue;
            };
            // White space between two words is theirs (RFC 2047 6.2).
            if !(self.after_word && rest[..at].iter().all(u8::is_ascii_whitespace)) {
                self.literal(&rest[..at]);
            }
            self.word(&word);
            rest = &rest[at + word.bytes..];
            ends = ends.saturating_sub(at + word.bytes);
        }
        self.literal(rest);
        self.flush();
    }

    fn literal(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.flush();
            self.line.push(&charset::guess(text));
            self.after_word = false;
        }
    }

    fn word(&mut self, word: &Word<'_>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            word.charset.clone_into(&mut self.charset);
        }
        let encoded = match word.encoding {
            b'b' | b'B' => transfer::base64(word.text, usize::MAX, &mut self.pending),
            _ => q_word(word.text, &mut self.pending),
        };
        *self.broken += u32::from(encoded == Encoded::Badly || !word.ended);
        self.after_word = true;
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let (text, encoded) = charset::decode(&self.pending, &self.charset);
            self.line.push(&text);
            *self.broken += u32::from(encoded == Encoded::Badly);
            self.pending.clear();
        }
    }
}

/// One encoded word.
struct Word<'a> {
    charset: &'a str,
    encoding: u8,
    text: &'a [u8],
    /// Its length, marks included.
    bytes: usize,
    /// Whether its end mark is there.
    ended: bool,
}

impl<'a> Word<'a> {
    /// Reads a word from its `=?`; `ends` is where the last end mark of any word ends. Lengths and spaces of RFC 2047 2 are not insisted on: readers do not either.
    fn read(from: &'a [u8], ends: usize) -> Option<Self> {
        let rest = &from[2..];
        let mark = rest.iter().take(CHARSET_BYTES_MAX).position(|b| *b == b'?')?;
        let charset = std::str::from_utf8(&rest[..mark]).ok()?;
        if charset.is_empty() || charset.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let [encoding @ (b'b' | b'B' | b'q' | b'Q'), b'?', text @ ..] = &rest[mark + 1..] else { return None };
        let start = from.len() - text.len();
        let found = if start < ends { memmem::find(text, b"?=") } else { None };
        let (end, ended) = match found {
            Some(end) => (end, true),
            // Cut off: what is there until the next space still says something.
            None => (text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len()), false),
        };
        let bytes = start + end + if ended { 2 } else { 0 };
        Some(Self { charset, encoding: *encoding, text: &text[..end], bytes, ended })
    }
}

/// The Q encoding (RFC 2047 4.2): as quoted-printable, with underscores for spaces.
fn q_word(text: &[u8], out: &mut Vec<u8>) -> Encoded {
    let mut result = Encoded::Well;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'_' => out.push(b' '),
            b'=' => {
                if let Some(byte) = transfer::hex_pair(after) {
                    out.push(byte);
                    rest = &after[2..];
                } else {
                    out.push(b'=');
                    result = Encoded::Badly;
                }
            }
            b'\r' | b'\n' => {}
            _ => out.push(byte),
        }
    }
    result
}
