//! Replies of a next hop, read strictly and within bounds (RFC 5321 4.2, RFC 2034 4).

use std::fmt;

use memchr::memchr;

/// How much of a line is looked at. RFC 5321 4.5.3.1.5 allows 512; servers that explain themselves go over.
pub const LINE_BYTES_MAX: usize = 2_048;
/// How many lines of an answer to EHLO are kept.
pub const LINES_MAX: usize = 128;
/// How long a reply may be as a whole. One that goes on is taken at its code, which each of its lines repeats (RFC 5321
/// 4.2.1): a message whose content was answered 250 has arrived, however much is said about it.
pub const REPLY_BYTES_MAX: usize = LINE_BYTES_MAX * LINES_MAX;
/// How much text of a reply is kept; the rest is read and forgotten.
pub const TEXT_BYTES_MAX: usize = 2_048;

/// A whole reply of a next hop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerReply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The enhanced code of the first line that has one whose class fits the code's.
    pub enhanced: Option<Enhanced>,
    /// The text of its lines, without codes, joined by single spaces; what is not printable is made visible.
    pub text: String,
    /// The lines of an answer to EHLO, each without its code; empty for other replies of one line.
    pub lines: Vec<String>,
}

/// An enhanced status code (RFC 3463 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Enhanced {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// What a reply's first digit says (RFC 5321 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// 2: done.
    Done,
    /// 3: go on.
    GoOn,
    /// 4: not now.
    NotNow,
    /// 5: never.
    Never,
}

/// Why bytes are not a reply. The connection cannot be used any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReplyFault {
    /// The reply before did not end within [`REPLY_BYTES_MAX`]: where the next one starts is unknown.
    #[error("a reply is longer than {REPLY_BYTES_MAX} bytes")]
    TooLong,
    /// A line that does not begin with a code of 200 to 599 and a space or hyphen.
    #[error("a line is no SMTP reply")]
    NotAReply,
    /// The lines of one reply have different codes (RFC 5321 4.2.1).
    #[error("the lines of a reply have different codes")]
    CodesDiffer,
    /// A line that ends with LF alone, or has a CR inside.
    #[error("a reply line does not end with CRLF")]
    LineBreak,
    /// A reply to nothing that was asked.
    #[error("a reply came that nothing was asked for")]
    Unasked,
}

impl PeerReply {
    /// What its first digit says.
    pub fn tone(&self) -> Tone {
        match self.code / 100 {
            2 => Tone::Done,
            3 => Tone::GoOn,
            4 => Tone::NotNow,
            _ => Tone::Never,
        }
    }

    /// The status for a report (RFC 3464 2.3.4): the enhanced code, or the class alone.
    pub fn status(&self) -> String {
        self.enhanced.map_or_else(|| format!("{}.0.0", self.code / 100), |enhanced| enhanced.to_string())
    }
}

/// As one line: `550 5.1.1 no such user`.
impl fmt::Display for PeerReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

/// Puts replies together out of bytes in any split.
#[derive(Debug, Default)]
pub struct ReplyReader {
    /// The lines so far of a reply that goes on.
    begun: Option<PeerReply>,
    /// How long it is so far.
    bytes: usize,
    /// Whether its line of now is its last one.
    last: bool,
    /// Whether that line is over its bound: what comes up to its end is read and forgotten.
    in_surplus: bool,
    spent: bool,
}

impl ReplyReader {
    /// A reader at the start of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the last reply was cut at [`REPLY_BYTES_MAX`]. It counts, and nothing can be read behind it.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Takes whole lines from the front of `unread` until a reply is whole. Gives it, or `None` if more is needed, and
    /// how many bytes were used; the rest is to be given again.
    ///
    /// # Errors
    /// The bytes are no reply.
    pub fn read(&mut self, unread: &[u8]) -> Result<(Option<PeerReply>, usize), ReplyFault> {
        if self.spent {
            return Err(ReplyFault::TooLong);
        }
        let mut used = 0;
        loop {
            let rest = &unread[used..];
            let front = &rest[..rest.len().min(LINE_BYTES_MAX)];
            let newline = memchr(b'\n', front);
            let awaited = if self.in_surplus { 1 } else { LINE_BYTES_MAX };
            if newline.is_none() && front.len() < awaited {
                return Ok((None, used));
            }
            if !self.in_surplus {
                let line = match newline {
                    Some(newline) => front[..newline].strip_suffix(b"\r").ok_or(ReplyFault::LineBreak)?,
                    None => front.strip_suffix(b"\r").unwrap_or(front),
                };
                self.line(line)?;
            }
            let taken = newline.map_or(front.len(), |newline| newline + 1);
            used += taken;
            self.bytes += taken;
            self.in_surplus = newline.is_none();
            if self.last && !self.in_surplus {
                self.bytes = 0;
                return Ok((self.begun.take(), used));
            }
            if self.bytes >= REPLY_BYTES_MAX {
                self.spent = true;
                return Ok((self.begun.take(), used));
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ReplyFault> {
        if memchr(b'\r', line).is_some() {
            return Err(ReplyFault::LineBreak);
        }
        let (code, more, text) = parts(line).ok_or(ReplyFault::NotAReply)?;
        self.last = !more;
        let (enhanced, shown) = enhanced(code, text);
        let shown = printable(shown);
        match &mut self.begun {
            None => {
                let lines = if more { vec![printable(text)] } else { Vec::new() };
                self.begun = Some(PeerReply { code, enhanced, text: shown, lines });
            }
            Some(reply) if reply.code != code => return Err(ReplyFault::CodesDiffer),
            Some(reply) => {
                reply.enhanced = reply.enhanced.or(enhanced);
                if !shown.is_empty() && reply.text.len() + shown.len() < TEXT_BYTES_MAX {
                    if !reply.text.is_empty() {
                        reply.text.push(' ');
                    }
                    reply.text.push_str(&shown);
                }
                // Only EHLO's answer is read line by line, and its lines are keywords.
                if code == 250 && reply.lines.len() < LINES_MAX {
                    reply.lines.push(printable(text));
                }
            }
        }
        Ok(())
    }
}

/// Code, whether more lines follow, and text. A bare code is a whole line (RFC 5321 4.2.1 lets it pass).
fn parts(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !(b'2'..=b'5').contains(&digits[0]) || !digits[1..].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, false, rest)),
        Some((b' ', text)) => Some((code, false, text)),
        Some((b'-', text)) => Some((code, true, text)),
        Some(_) => None,
    }
}

/// The enhanced code at the front of a text, if its class is the code's, and the text after it.
fn enhanced(code: u16, text: &[u8]) -> (Option<Enhanced>, &[u8]) {
    let end = text.iter().position(|&b| b == b' ').unwrap_or(text.len());
    let parse = || {
        let word = std::str::from_utf8(&text[..end]).ok()?;
        let mut numbers = word.split('.').map(|part| {
            let plain = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if plain { part.parse::<u16>().ok() } else { None }
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let fits = numbers.next().is_none() && class == code / 100;
        fits.then_some(Enhanced { class: u8::try_from(class).ok()?, subject, detail })
    };
    parse().map_or((None, text), |found| (Some(found), text[end..].trim_ascii()))
}

/// The text with control characters and bytes that are not UTF-8 made visible.
fn printable(text: &[u8]) -> String {
    if text.iter().all(|b| (b' '..=b'~').contains(b)) {
        return String::from_utf8_lossy(text).into_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() || is_invisible(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that turn the reading direction or hide in it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<String>, ReplyFault> {
        let (mut reader, mut used, mut replies) = (ReplyReader::new(), 0, Vec::new());
        loop {
            let (reply, n) = reader.read(&bytes[used..])?;
            used += n;
            match reply {
                Some(reply) => replies.push(reply.to_string()),
                None => return Ok(replies),
            }
        }
    }

    type Read = Result<&'static [&'static str], ReplyFault>;

    #[test]
    fn replies_and_what_is_none() {
        let cases: [(&[u8], Read); 16] = [
            (b"250 ok\r\n", Ok(&["250 ok"])),
            (b"250\r\n", Ok(&["250"])), // a bare code passes
            (b"250 \r\n221 2.0.0 bye\r\n", Ok(&["250", "221 2.0.0 bye"])),
            (b"550-5.1.1 no such\r\n550 5.1.1 user\r\n", Ok(&["550 5.1.1 no such user"])),
            (b"550 4.1.1 odd\r\n", Ok(&["550 4.1.1 odd"])), // another class: text, not a code
            (b"550 5.1 x\r\n", Ok(&["550 5.1 x"])),
            (b"250 ok", Ok(&[])), // not whole yet
            (b"250 a\x1b[31m\xff\r\n", Ok(&["250 a\\u{1b}[31m\u{fffd}"])),
            (b"250-a\r\n550 b\r\n", Err(ReplyFault::CodesDiffer)),
            (b"250 ok\n", Err(ReplyFault::LineBreak)),
            (b"250 a\rb\r\n", Err(ReplyFault::LineBreak)),
            (b"25 ok\r\n", Err(ReplyFault::NotAReply)),
            (b"150 ok\r\n", Err(ReplyFault::NotAReply)), // no preliminary replies in SMTP
            (b"600 ok\r\n", Err(ReplyFault::NotAReply)),
            (b"250+ok\r\n", Err(ReplyFault::NotAReply)),
            (b"HTTP/1.1 200 OK\r\n", Err(ReplyFault::NotAReply)),
        ];
        for (bytes, expected) in cases {
            let expected = expected.map(|replies| replies.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(read_all(bytes), expected, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
        }
    }

    /// Taken for no reply, a long 250 to the final dot made one more copy of the message at every try.
    #[test]
    fn a_long_reply_counts_by_its_code() {
        let long = |mark, n| [format!("250{mark}2.0.0 ").as_bytes(), &b"x".repeat(n), b"\r\n"].concat();
        let next = b"221 bye\r\n".to_vec();
        let cases = [
            [long(' ', 3_000), next.clone()].concat(),
            [long(' ', LINE_BYTES_MAX - 11), next.clone()].concat(), // cut between CR and LF
            [long(' ', REPLY_BYTES_MAX - 100), next.clone()].concat(),
            [long('-', 3_000), long(' ', 3_000), next.clone()].concat(),
            [long('-', 1).repeat(200), long(' ', 1), next.clone()].concat(),
        ];
        for bytes in &cases {
            for step in [bytes.len(), 1_000] {
                let (mut reader, mut given, mut used, mut replies) = (ReplyReader::new(), 0, 0, Vec::new());
                while given < bytes.len() {
                    given = bytes.len().min(given + step);
                    while let (reply, n @ 1..) = reader.read(&bytes[used..given]).unwrap() {
                        used += n;
                        replies.extend(reply);
                    }
                }
                let codes: Vec<_> = replies.iter().map(|reply| (reply.code, reply.status())).collect();
                assert_eq!(codes, [(250, "2.0.0".to_owned()), (221, "2.0.0".to_owned())]);
                assert!(
                    !reader.is_spent()
                        && replies[0].text.len() <= TEXT_BYTES_MAX
                        && replies[0].lines.len() <= LINES_MAX
                );
            }
        }
    }

    #[test]
    fn a_reply_without_end_counts_and_is_the_last_one() {
        for endless in [b"250-2.0.0 x\r\n".repeat(50_000), [&b"250 2.0.0 "[..], &b"x".repeat(500_000)].concat()] {
            let mut reader = ReplyReader::new();
            let (reply, used) = reader.read(&endless).unwrap();
            assert_eq!((reply.unwrap().code, reader.is_spent()), (250, true));
            assert!((REPLY_BYTES_MAX..REPLY_BYTES_MAX + LINE_BYTES_MAX).contains(&used));
            assert_eq!(reader.read(b"250 ok\r\n"), Err(ReplyFault::TooLong));
        }
    }

    #[test]
    fn no_split_changes_a_reply() {
        let bytes = b"250-first\r\n250-SIZE 1\r\n250 8BITMIME\r\n";
        for split in 0..=bytes.len() {
            let mut reader = ReplyReader::new();
            let mut unread = bytes[..split].to_vec();
            let (early, used) = reader.read(&unread).unwrap();
            unread.drain(..used);
            unread.extend_from_slice(&bytes[split..]);
            let reply = early.or_else(|| reader.read(&unread).unwrap().0).unwrap();
            assert_eq!(reply.lines, ["first", "SIZE 1", "8BITMIME"], "split at {split}");
        }
    }

    #[test]
    fn kept_text_is_bounded() {
        let bytes = [b"550-".as_slice(), &[b'x'; 1_900], b"\r\n"].concat().repeat(100);
        let (mut reader, mut used) = (ReplyReader::new(), 0);
        while let (None, n) = reader.read(&bytes[used..]).unwrap() {
            used += n;
            if used == bytes.len() {
                break;
            }
        }
        let (reply, _) = reader.read(b"550 end\r\n").unwrap();
        assert!(reply.unwrap().text.len() <= TEXT_BYTES_MAX);
    }
}
