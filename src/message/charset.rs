//! Bytes to text: the declared charset where there is one, else what the bytes look like.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use memchr::memmem;

use super::transfer::Encoded;

/// How much of a page is searched for its charset, in bytes (WHATWG HTML 4.2.5.4).
const PAGE_HEAD_BYTES: usize = 1024;

/// The text of `bytes`. Undeclared or unknown: UTF-8 if it is valid, else windows-1252.
pub(super) fn decode<'a>(bytes: &'a [u8], charset: &str) -> (Cow<'a, str>, Encoded) {
    let charset = charset.split('*').next().unwrap_or_default();
    let utf8 = std::str::from_utf8(bytes);
    if is_utf8(charset) {
        return match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Well),
            Err(_) => (String::from_utf8_lossy(bytes), Encoded::Badly),
        };
    }
    if charset.is_empty() || is_ascii(charset) {
        return match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Well),
            Err(_) => (windows_1252(bytes), Encoded::Well),
        };
    }
    match charset_decoder(charset.as_bytes()) {
        Some(_) if bytes.is_ascii() && !uses_ascii_otherwise(charset) => match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Well),
            Err(_) => (String::from_utf8_lossy(bytes), Encoded::Badly),
        },
        Some(decoder) => (Cow::Owned(decoder(bytes)), Encoded::Well),
        None => match utf8 {
            Ok(text) => (Cow::Borrowed(text), Encoded::Badly),
            Err(_) => (windows_1252(bytes), Encoded::Badly),
        },
    }
}

/// The charset that a page names itself, for readers that find none in its part's header; empty if it names none.
pub(super) fn of_page(page: &[u8]) -> &str {
    let head = &page[..page.len().min(PAGE_HEAD_BYTES)];
    let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'');
    let named = memmem::find_iter(head, b"charset").find_map(|at| {
        let rest = head[at + 7..].trim_ascii_start().strip_prefix(b"=")?;
        let rest = &rest[rest.iter().take_while(|b| is_space(b)).count()..];
        let name = &rest[..rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count()];
        std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
    });
    // A page that is read as far as this is in no charset of two bytes (WHATWG HTML 13.2.3.2).
    named.filter(|name| !name.get(..5).is_some_and(|utf| utf.eq_ignore_ascii_case("utf-1"))).unwrap_or_default()
}

/// The text of bytes that declare nothing.
pub(super) fn guess(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => windows_1252(bytes),
    }
}

fn windows_1252(bytes: &[u8]) -> Cow<'_, str> {
    match charset_decoder(b"windows-1252") {
        Some(decoder) => Cow::Owned(decoder(bytes)),
        None => String::from_utf8_lossy(bytes),
    }
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

fn is_ascii(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("us-ascii") || charset.eq_ignore_ascii_case("ascii")
}

/// Whether ASCII bytes mean something else there: escapes, shifts, double bytes.
fn uses_ascii_otherwise(charset: &str) -> bool {
    let lower = charset.to_ascii_lowercase();
    ["utf", "2022", "hz", "ucs", "unicode"].iter().any(|mark| lower.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word in each charset that mail is written in.
    #[test]
    fn words_of_all_charsets() {
        let cases: [(&str, &[u8], &str); 45] = [
            ("utf-8", "Größe".as_bytes(), "Größe"),
            ("UTF8", "Größe".as_bytes(), "Größe"),
            ("iso-8859-1", b"Gr\xf6\xdfe", "Größe"),
            ("latin1", b"Gr\xf6\xdfe", "Größe"),
            ("iso-8859-2", b"\xcfakujem", "Ďakujem"),
            ("iso-8859-3", b"\xa6oro", "Ĥoro"),
            ("iso-8859-4", b"\xd3\xbade", "Ķēde"),
            ("iso-8859-5", b"\xbf\xe0\xd8\xd2\xd5\xe2", "Привет"),
            ("iso-8859-6", b"\xe5\xd1\xcd\xc8\xc7", "مرحبا"),
            ("iso-8859-7", b"\xca\xe1\xeb\xe7\xec\xdd\xf1\xe1", "Καλημέρα"),
            ("iso-8859-8", b"\xf9\xec\xe5\xed", "שלום"),
            ("iso-8859-8-i", b"\xf9\xec\xe5\xed", "שלום"),
            ("iso-8859-9", b"\xdeeker", "Şeker"),
            ("iso-8859-10", b"\xdeorn", "Þorn"),
            ("iso-8859-13", b"A\xe8i\xfb", "Ačiū"),
            ("iso-8859-14", b"\xd0y", "Ŵy"),
            ("iso-8859-15", b"5 \xa4", "5 €"),
            ("iso-8859-16", b"Bun\xe3 \xba", "Bună ș"),
            ("windows-1250", b"P\xf8\xedli\x9a", "Příliš"),
            ("windows-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"),
            ("windows-1252", b"\x93Gr\xf6\xdfe\x94 \x80", "“Größe” €"),
            ("windows-1253", b"\xca\xe1\xeb\xe7\xec\xdd\xf1\xe1", "Καλημέρα"),
            ("windows-1254", b"\xdeeker", "Şeker"),
            ("windows-1255", b"\xf9\xec\xe5\xed", "שלום"),
            ("windows-1256", b"\xe3\xd1\xcd\xc8\xc7", "مرحبا"),
            ("windows-1257", b"A\xe8i\xfb", "Ačiū"),
            ("windows-1258", b"\xd0\xe1", "Đá"),
            ("koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"),
            ("koi8-u", b"\xeb\xc9\xa7\xd7", "Київ"),
            ("ibm866", b"\x8f\xe0\xa8\xa2\xa5\xe2", "Привет"),
            ("macintosh", b"Gr\x9a\xa7e", "Größe"),
            ("tis-620", b"\xca\xc7\xd1\xca\xb4\xd5", "สวัสดี"),
            ("windows-874", b"\xca\xc7\xd1\xca\xb4\xd5", "สวัสดี"),
            ("shift_jis", b"\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd", "こんにちは"),
            ("euc-jp", b"\xa4\xb3\xa4\xf3\xa4\xcb\xa4\xc1\xa4\xcf", "こんにちは"),
            ("iso-2022-jp", b"\x1b$B$3$s$K$A$O\x1b(B", "こんにちは"),
            ("gb2312", b"\xc4\xe3\xba\xc3", "你好"),
            ("gbk", b"\xc4\xe3\xba\xc3", "你好"),
            ("gb18030", b"\xc4\xe3\xba\xc3\xa2\xe3", "你好€"),
            ("big5", b"\xa7A\xa6n", "你好"),
            ("euc-kr", b"\xbe\xc8\xb3\xe7", "안녕"),
            ("ks_c_5601-1987", b"\xbe\xc8\xb3\xe7", "안녕"),
            ("utf-16le", b"G\x00r\x00\xf6\x00\xdf\x00e\x00", "Größe"),
            ("utf-16be", b"\x00G\x00r\x00\xf6\x00\xdf\x00e", "Größe"),
            ("utf-7", b"Gr+APYA3w-e", "Größe"),
        ];
        for (charset, bytes, word) in cases {
            assert_eq!(decode(bytes, charset), (Cow::Borrowed(word), Encoded::Well), "{charset}");
        }
        // None that is known: what the bytes look like.
        for (charset, bytes, word) in [("x-none", "Größe".as_bytes(), "Größe"), ("default", b"Gr\xf6\xdfe", "Größe")]
        {
            assert_eq!(decode(bytes, charset), (Cow::Borrowed(word), Encoded::Badly), "{charset}");
        }
        assert_eq!(decode(b"Gr\xf6\xdfe", ""), (Cow::Borrowed("Größe"), Encoded::Well));
    }

    #[test]
    fn charsets_that_pages_name() {
        let cases = [
            ("<html><head><meta charset=koi8-r>", "koi8-r"),
            ("<meta charset = \"windows-1251\"/>", "windows-1251"),
            ("<meta http-equiv=Content-Type content='text/html; charset=gb2312'>", "gb2312"),
            ("<p>the charset of old</p>", ""),
            ("<meta charset=utf-16>", ""), // it cannot be: this was read byte by byte
        ];
        for (page, charset) in cases {
            assert_eq!(of_page(page.as_bytes()), charset, "{page}");
        }
    }
}
