//! Files that were written into a text by uuencode, as programs did before MIME (POSIX uuencode). Readers show them as
//! attachments, and the text without them.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memmem};

use super::transfer::Encoded;

/// One such file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its name, as the line before it has it.
    pub(super) name: String,
    /// Its lines in the text, the first and the last among them.
    pub(super) lines: Range<usize>,
}

/// The files in a text, in order, at most `files_max`.
pub(super) fn files(text: &[u8], files_max: usize) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    let mut at = 0;
    while files.len() < files_max
        && let Some(found) = memmem::find(&text[at..], b"begin ")
    {
        let from = at + found;
        at = from + 6;
        if from > 0 && text[from - 1] != b'\n' {
            continue;
        }
        let (line, first) = line_at(text, from);
        let Some(name) = name_in(line) else { continue };
        let (mut end, mut lines) = (first, 0);
        while end < text.len() {
            let (line, next) = line_at(text, end);
            if line == b"end" {
                end = next;
                break;
            }
            if bytes_of(line).is_none() {
                break;
            }
            (end, lines) = (next, lines + 1);
        }
        // "begin 100 days early": what follows is no such line.
        if lines > 0 {
            files.push(File { name, lines: from..end });
            at = end;
        }
    }
    files
}

/// The text without these files.
pub(super) fn without<'a>(text: &'a [u8], files: &[File]) -> Cow<'a, [u8]> {
    if files.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut rest = Vec::with_capacity(text.len());
    let mut at = 0;
    for file in files {
        rest.extend_from_slice(&text[at..file.lines.start]);
        at = file.lines.end;
    }
    rest.extend_from_slice(&text[at..]);
    Cow::Owned(rest)
}

/// Decodes lines until `out` holds `bytes_max` bytes; what stands before `begin` and behind `end` is passed over.
pub(super) fn decode(text: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Encoded {
    let mut result = Encoded::Well;
    let mut at = 0;
    while at < text.len() && out.len() < bytes_max {
        let (line, next) = line_at(text, at);
        at = next;
        if line == b"end" {
            break;
        }
        if name_in(line).is_some() || line.is_empty() {
            continue;
        }
        let Some(bytes) = bytes_of(line) else {
            result = Encoded::Badly;
            continue;
        };
        let whole = out.len() + bytes;
        for group in line[1..].chunks(4) {
            let digit = |at: usize| group.get(at).map_or(0, |b| u32::from(b.wrapping_sub(b' ') & 0x3f));
            let three = digit(0) << 18 | digit(1) << 12 | digit(2) << 6 | digit(3);
            out.extend_from_slice(&three.to_be_bytes()[1..]);
        }
        out.truncate(whole);
    }
    out.truncate(bytes_max);
    result
}

/// The line that begins there, without its end and spaces before that, and where the next begins.
fn line_at(text: &[u8], at: usize) -> (&[u8], usize) {
    let end = memchr(b'\n', &text[at..]).map_or(text.len(), |lf| at + lf);
    let line = &text[at..end];
    (line.strip_suffix(b"\r").unwrap_or(line), (end + 1).min(text.len()))
}

/// The name in `begin 644 name`.
fn name_in(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"begin ")?;
    let mode = rest.iter().take(5).take_while(|b| (b'0'..=b'7').contains(b)).count();
    let name = rest.get(mode..)?.strip_prefix(b" ")?.trim_ascii();
    let named = (3..=4).contains(&mode) && !name.is_empty() && name.len() <= 255;
    named.then(|| String::from_utf8_lossy(name).replace(char::is_control, "\u{fffd}"))
}

/// How many bytes a line of such a file stands for; `None` if it is no such line. Spaces at its end may be lost.
fn bytes_of(line: &[u8]) -> Option<usize> {
    let (&first, rest) = line.split_first()?;
    let bytes = usize::from(first.checked_sub(b' ')?) % 64;
    let digits = bytes.div_ceil(3) * 4;
    let fits = first <= b'`' && rest.len() <= digits + 1 && rest.len() + 4 > bytes * 4 / 3;
    (fits && rest.iter().all(|b| (b' '..=b'`').contains(b))).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAT: &str = "begin 644 cat.txt\n#0V%T\n`\nend\n";

    #[test]
    fn files_in_text() {
        let found = |text: &str| {
            let files = files(text.as_bytes(), 10);
            let rest = String::from_utf8(without(text.as_bytes(), &files).into_owned()).unwrap();
            (files.into_iter().map(|file| file.name).collect::<Vec<_>>(), rest)
        };
        let cases: [(&str, &[&str], &str); 7] = [
            (CAT, &["cat.txt"], ""),
            ("see\nbegin 644 cat.txt\n#0V%T\n`\nend\nand so\n", &["cat.txt"], "see\nand so\n"),
            ("begin 0755 a b.exe\r\n#0V%T\r\n`\r\nend\r\n", &["a b.exe"], ""),
            ("begin 644 cut.txt\n#0V%T\n", &["cut.txt"], ""), // the end never came
            ("begin 100 days early\nand save\n", &[], "begin 100 days early\nand save\n"),
            ("we begin 644 x\n#0V%T\nend\n", &[], "we begin 644 x\n#0V%T\nend\n"),
            ("begin 888 x\n#0V%T\nend\n", &[], "begin 888 x\n#0V%T\nend\n"),
        ];
        for (text, names, rest) in cases {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            assert_eq!(found(text), (names, rest.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn lines_decoded() {
        let decoded = |text: &str| {
            let mut out = Vec::new();
            let encoded = decode(text.as_bytes(), 100, &mut out);
            (String::from_utf8_lossy(&out).into_owned(), encoded)
        };
        assert_eq!(decoded(CAT), ("Cat".to_owned(), Encoded::Well));
        assert_eq!(decoded("#0V%T\nwhat is this\nend\nmore"), ("Cat".to_owned(), Encoded::Badly));
        let mut out = Vec::new();
        decode(CAT.as_bytes(), 2, &mut out);
        assert_eq!(out, b"Ca");
    }
}
