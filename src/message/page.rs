//! An attached page (HTML, SVG): what it does once it is opened outside the mail, where nothing checks it.

use memchr::memmem;

/// How far a tag of interest is read, in bytes.
const TAG_BYTES_MAX: usize = 512;
/// What reads hidden text. Libraries have functions of such names, too; see [`calls`].
const DECODING: [&[u8]; 2] = [b"unescape(", b"atob("];
/// What makes a page, or code, of text.
const RUNNING: [&[u8]; 3] = [b"document.write(", b"document.writeln(", b"eval("];
/// What libraries do as well, and only few bytes behind one of [`BUILDING`] is more than that.
const READING: [&[u8]; 4] = [b"unescape(", b"atob(", b"fromcharcode(", b"decodeuricomponent("];
/// What builds a page or leads away; `eval(` is one of them as well.
const BUILDING: [&[u8]; 5] = [b"document.write", b"innerhtml", b"outerhtml", b"srcdoc", b"window.open("];
/// How far behind it.
const NEAR_BYTES: usize = 48;
/// What a packer of scripts begins with.
const PACKER: &[u8] = b"eval(function(p,a,c,k,e";
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
        let has_script = runs_script(&page) || has(b"<svg:script") || has(b"<hta:");
        let is_code = has_script || CODE.iter().any(|mark| has(mark));
        let acts = || unpacks(&page) || sets_location(&page);
        Self {
            has_script,
            asks_password: (is_code || has(b"<input")) && has_password_field(&page),
            unpacks_or_leads_away: (is_code && acts()) || refreshes(&page),
        }
    }
}

/// A `<script>` that is code; data for search engines stands in one as well.
fn runs_script(page: &[u8]) -> bool {
    memmem::find_iter(page, b"<script").any(|at| memmem::find(tag_at(page, at), b"json").is_none())
}

/// A tag from there to its end.
fn tag_at(page: &[u8], at: usize) -> &[u8] {
    let tag = &page[at..page.len().min(at + TAG_BYTES_MAX)];
    &tag[..memchr::memchr(b'>', tag).unwrap_or(tag.len())]
}

/// Whether it makes something of text that it hides.
fn unpacks(page: &[u8]) -> bool {
    let any = |functions: &[&[u8]]| functions.iter().any(|function| calls(page, function));
    let reads_and_builds = |function: &&[u8]| {
        memmem::find_iter(page, function).any(|at| {
            let before = &page[at.saturating_sub(NEAR_BYTES)..at];
            let statement = &before[memchr::memrchr(b';', before).map_or(0, |end| end + 1)..];
            BUILDING.iter().any(|builds| memmem::find(statement, builds).is_some()) || calls(statement, b"eval(")
        })
    };
    (any(&DECODING) && any(&RUNNING)) || READING.iter().any(reads_and_builds) || memmem::find(page, PACKER).is_some()
}

/// Whether the function itself is called: not one of a library whose name ends so (`globalEval(`, `_.unescape(`).
fn calls(page: &[u8], function: &[u8]) -> bool {
    memmem::find_iter(page, function).any(|at| {
        let before = &page[..at];
        let before = before.strip_suffix(b"window.").unwrap_or(before);
        !before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.'))
    })
}

/// `type="password"`, in a tag or in what a script writes or sets.
fn has_password_field(page: &[u8]) -> bool {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\') || byte.is_ascii_whitespace();
    memmem::find_iter(page, b"password").any(|at| {
        let before = &page[at.saturating_sub(TAG_BYTES_MAX)..at];
        let value = before.iter().rposition(|byte| !is_quote(byte)).map(|last| &before[..=last]);
        let Some(name) = value.and_then(|before| before.strip_suffix(b"=")) else { return false };
        // In brackets it is a selector: the look of such a field, not the field.
        let named = name.trim_ascii_end().strip_suffix(b"type");
        named.is_some_and(|before| before.trim_ascii_end().last() != Some(&b'['))
    })
}

/// `location = …`, `location.href = …`, `location.replace(…)`; not a comparison, nor a longer word.
fn sets_location(page: &[u8]) -> bool {
    memmem::find_iter(page, b"location").any(|at| {
        let is_word = at.checked_sub(1).is_some_and(|before| {
            let byte = page[before];
            // Behind a question mark it is a part of a link, in a tag an attribute.
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b':' | b'?' | b'&')
                || page[..at].ends_with(b"&amp;")
                || (byte.is_ascii_whitespace() && is_in_tag(&page[at.saturating_sub(TAG_BYTES_MAX)..at]))
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

/// Whether a tag is open at the end of this.
fn is_in_tag(before: &[u8]) -> bool {
    let open = memchr::memrchr2(b'<', b'>', before).map(|at| &before[at..]);
    open.is_some_and(|tag| tag[0] == b'<' && tag.get(1).is_some_and(u8::is_ascii_alphabetic))
}

/// `<meta http-equiv=refresh content="0;url=https://…">`; to a page beside it is how manuals begin.
fn refreshes(page: &[u8]) -> bool {
    memmem::find_iter(page, b"<meta").any(|at| {
        let tag = tag_at(page, at);
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
            // Later, apart, or through what the window has.
            ("<script>var p = window.atob('YQ=='); f(p); document.write(p)</script>", false, true),
            ("<script>b.innerHTML = String.fromCharCode(60, 102)</script>", false, true),
            ("<script>eval(function(p,a,c,k,e,d){return p}('x'))</script>", false, true),
            // What libraries have in reports and saved pages.
            ("<script>a.globalEval(b); String.fromCharCode(55296 + c); _.unescape(d); e(f)</script>", false, false),
            ("<script>var bytes = atob(data); draw(bytes); URL.createObjectURL(blob)</script>", false, false),
            ("<style>form input[type=password]{color:red}</style><script>draw()</script>", false, false),
            ("<script>$('input[type=\"password\"]').hide()</script>", false, false),
            (
                "<script type=\"application/ld+json\">{}</script><a onclick=\"f()\" href=\"/?location=berlin\">x</a>",
                false,
                false,
            ),
            (
                "<script>f()</script><a href='https://a.example/?a=b&amp;location=x'><event location='Berlin'>",
                false,
                false,
            ),
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
