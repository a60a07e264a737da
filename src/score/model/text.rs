//! Text made comparable: what names a person, a list, a host or a day is cut or becomes a kind, and the rest is words.
//!
//! A model that may look at addresses, list footers and dates learns where its training mail came from instead of what
//! spam is. So a word here is lower case, digits are `0`, addresses and URLs are one kind of word each, and whole lines
//! that a mail program or a list server wrote (quotes, their introductions, signatures, footers) are left out.

use super::pieces;

/// Characters of a text that are looked at from its beginning; of a longer one also the last [`TAIL_BYTES_MAX`].
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes at the end of a long text that are looked at.
pub(super) const TAIL_BYTES_MAX: usize = 4 * 1024;
/// Lines of the longest signature or footer.
const FOOTER_LINES_MAX: usize = 8;

/// What stands in a text, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Letters and digits of a script that writes spaces, normal form.
    Word(&'a [char]),
    /// A run of a script without spaces (Chinese, Japanese, Korean, Thai …).
    Run(&'a [char]),
    /// Something that is told by its kind alone.
    Kind(Kind),
    /// The end of a line: words do not pair across an empty one.
    Break,
}

/// What a piece of text is, where its letters would name somebody or say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Kind {
    /// A URL.
    Url = 1,
    /// An e-mail address.
    Address,
    /// A host name.
    Host,
    /// Letters and digits mixed, or longer than a word.
    Identifier,
    /// One exclamation mark.
    Exclamation,
    /// Two or more.
    Exclamations,
    /// A question mark.
    Question,
    /// A sign of a currency.
    Money,
    /// A per cent sign.
    Percent,
    /// A row of stars, dashes, underscores or the like.
    Rule,
    /// A file name or path.
    Path,
}

/// How much of a text was which; what was left out of the words is counted here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) lines: u32,
    pub(super) quoted_lines: u32,
    pub(super) letters: u32,
    pub(super) upper: u32,
    pub(super) digits: u32,
    pub(super) words: u32,
    pub(super) shouted: u32,
    pub(super) exclamations: u32,
    pub(super) money: u32,
    pub(super) urls: u32,
    pub(super) addresses: u32,
    pub(super) invisible: u32,
    pub(super) latin: u32,
    pub(super) cyrillic: u32,
    pub(super) spaceless: u32,
    pub(super) other: u32,
}

/// The parts of a text that are looked at.
pub(super) fn looked_at(text: &str) -> (&str, &str) {
    if text.len() <= HEAD_BYTES_MAX + TAIL_BYTES_MAX {
        return (text, "");
    }
    let mut head = HEAD_BYTES_MAX;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - TAIL_BYTES_MAX;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    (&text[..head], &text[tail..])
}

/// Reads the lines of a body, without those that a program wrote around it.
pub(super) fn read_body(text: &str, tally: &mut Tally, mut each: impl FnMut(Token<'_>)) {
    let (head, tail) = looked_at(text);
    for part in [head, tail] {
        let mut lines = part.lines().peekable();
        while let Some(line) = lines.next() {
            let line = line.trim();
            tally.lines += 1;
            if line.starts_with('>') || line.starts_with('|') {
                tally.quoted_lines += 1;
                continue;
            }
            if is_footer(line) {
                // What follows is short where a program or a signature wrote it; where it goes on, it is the message.
                let mut below = lines.clone().filter(|l| !l.trim().is_empty());
                if below.nth(FOOTER_LINES_MAX).is_none() && tally.words > 0 {
                    break;
                }
                continue;
            }
            if introduces_quote(line, lines.peek().copied()) || is_header_line(line) {
                continue;
            }
            pieces::read_line(line, tally, &mut each);
            each(Token::Break);
        }
    }
}

/// Reads a subject: `[list]` tags and the marks of replies are cut. Says whether there was such a mark.
pub(super) fn read_subject(subject: &str, tally: &mut Tally, mut each: impl FnMut(Token<'_>)) -> SubjectMark {
    let mut rest = subject.trim();
    let mut mark = SubjectMark::None;
    loop {
        if let Some(tagged) = rest.strip_prefix('[')
            && let Some((tag, after)) = tagged.split_once(']')
            && tag.len() <= 40
        {
            rest = after.trim_start();
            continue;
        }
        let Some((prefix, after)) = rest.split_once(':') else { break };
        let found = match prefix.trim().to_ascii_lowercase().as_str() {
            "re" | "aw" | "sv" | "antw" | "odp" | "r" | "ref" | "vs" | "rif" => SubjectMark::Reply,
            "fw" | "fwd" | "wg" | "tr" | "rv" | "i" | "vl" | "doorst" => SubjectMark::Forward,
            _ => break,
        };
        mark = found;
        rest = after.trim_start();
    }
    pieces::read_line(rest, tally, &mut each);
    mark
}

/// What stood before a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum SubjectMark {
    /// Nothing.
    None,
    /// `Re:` or its like.
    Reply,
    /// `Fwd:` or its like.
    Forward,
}

/// The first line of a signature (RFC 3676 4.3), of a footer that a list server adds, or of a quoted original.
fn is_footer(line: &str) -> bool {
    let bytes = line.as_bytes();
    if line == "--" {
        return true;
    }
    if bytes.len() < 10 {
        return false;
    }
    if bytes[0] == b'_' || bytes[0] == b'-' {
        let rule = bytes.iter().take_while(|b| **b == bytes[0]).count();
        return rule >= 30 || starts_folded(line, "-----original message");
    }
    starts_folded(line, "to unsubscribe from this list") || starts_folded(line, "to unsubscribe, e")
}

pub(super) fn starts_folded(line: &str, start: &str) -> bool {
    line.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// `On … wrote:`, `Am … schrieb …:` and the like: ends with a colon, and a quote follows or an address stands in it.
fn introduces_quote(line: &str, next: Option<&str>) -> bool {
    line.ends_with(':')
        && (next.is_some_and(|next| next.trim_start().starts_with('>'))
            || (line.contains('@') && line.bytes().any(|b| b.is_ascii_digit())))
}

/// A field of a quoted or forwarded header.
fn is_header_line(line: &str) -> bool {
    const NAMES: [&str; 11] = [
        "from: ",
        "to: ",
        "cc: ",
        "date: ",
        "sent: ",
        "subject: ",
        "von: ",
        "gesendet: ",
        "an: ",
        "de: ",
        "message-id: ",
    ];
    line.as_bytes().first().is_some_and(|b| b"ftcdsvgamxFTCDSVGAMX".contains(b))
        && NAMES.iter().any(|name| starts_folded(line, name))
        && line.contains(':')
}
