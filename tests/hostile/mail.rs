//! Mail made to hurt: each kind in any size.

use std::fmt::Write as _;

/// One kind of it.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// What it is.
    pub(crate) name: &'static str,
    /// A message of about that many bytes.
    pub(crate) of_bytes: fn(usize) -> Vec<u8>,
}

/// Makes the list of all kinds, and a test for each.
macro_rules! kinds {
    ($($name:ident: $of_bytes:expr;)*) => {
        /// All kinds.
        pub(crate) const KINDS: &[Kind] = &[$(Kind { name: stringify!($name), of_bytes: $of_bytes }),*];

        mod costs_its_share {
            use super::*;

            $(#[test]
            fn $name() {
                let of_bytes: fn(usize) -> Vec<u8> = $of_bytes;
                crate::costs_its_share(&of_bytes(1 << 20));
            })*
        }
    };
}

kinds! {
    multiparts_in_multiparts: |bytes| multiparts(bytes / 48);
    messages_in_messages: |bytes| messages(bytes / 34);
    encoded_messages_in_encoded_messages: encoded_messages;
    parts_side_by_side: |bytes| multipart("--b\n\n", bytes);
    empty_delimiters: |bytes| multipart("--b\n", bytes);
    header_fields: |bytes| header("X-A: b\n", bytes);
    one_header_field: |bytes| header(" more\n", bytes);
    a_header_fields_name: |bytes| header("X", bytes);
    recipients: |bytes| header("To: <a@b.example>, \"c\" d@e.example (f)\n", bytes);
    brackets_of_addresses: |bytes| header("From: <<<<<<((((((\"\"\"\"\"<a@\n", bytes);
    brackets_escaped: |bytes| header(&format!("Cc: {}<>\n", "\\<".repeat(bytes / 2)), bytes);
    encoded_words_without_space: |bytes| header(&format!("To: {}\n", "=????=:".repeat(bytes / 7)), bytes);
    encoded_words: |bytes| header("Subject: =?utf-8?q?a?= =?x?b?YQ==?=\n", bytes);
    encoded_words_without_end: |bytes| header("X: =?utf-8?q?a =?utf-8?b?a\n", bytes);
    parameters: |bytes| typed_header("; a*0*=utf-8''%41; a*1*=%ff", bytes);
    parameters_without_end: |bytes| typed_header("; name=\"a\\\"", bytes);
    broken_encodings: |bytes| multipart(BROKEN, bytes);
    one_line: |bytes| plain("a", bytes);
    line_ends: |bytes| plain("\r\r\n", bytes);
    addresses_in_text: |bytes| plain("http://a.example/x b.com www.c.net ", bytes);
    almost_addresses_in_text: |bytes| plain("a.b.c.d.e.f:g://h.i@j..k", bytes);
    base64_without_end: |bytes| encoded("base64", "QUFB", bytes);
    base64_of_padding: |bytes| encoded("base64", "Q=", bytes);
    soft_line_breaks: |bytes| encoded("quoted-printable", "= = =\n=", bytes);
    attributes: |bytes| html("<p ", "a=1 ", ">", bytes);
    entities: |bytes| html("", "&notin;&am&#x41;&&CounterClockwiseContourIntegra", "", bytes);
    elements_in_elements: |bytes| html("", "<b><i>", "<p></x>", bytes);
    paragraphs_deep_inside: |bytes| html(&"<b>".repeat(300), "<p></x>", "", bytes);
    comments_without_end: |bytes| html("", "<!--<!- -><style></", "", bytes);
    style_sheets: |bytes| html("<style>", ".a b,.c{display:none}@x{{/*", "</style><p class=a>x", bytes);
    inline_styles: |bytes| { html("", "<a class='a b c' style='color:#fff;font:1px a;x:y;background:url(http://a/'>", "", bytes) };
    links_without_number: links;
    the_list_of_an_archive: archive;
    long_names_in_an_archive: |bytes| archive_of(bytes, 60_000);
    words_in_many_charsets: |bytes| { header("Subject: =?koi8-r?q?=E1?= =?big5?b?p0E=?= =?iso-2022-jp?b?GyRCJDM=?= =?utf-7?q?+AP?=\n", bytes) };
    one_word_of_ten_thousand_letters: |bytes| one_field("Subject: =?utf-16?b?", "2AA", "?=", bytes);
    comments_in_comments: |bytes| one_field("From: a@b.example ", "(", "", bytes);
    comments_closed_again: |bytes| one_field("To: ", "((a) \\)", "b@c.example", bytes);
    groups_in_groups: |bytes| one_field("Cc: ", "g:a@b.example,;:", "", bytes);
    quoted_pairs: |bytes| one_field("Reply-To: \"", "\\\"", "\" <a@b.example>", bytes);
    comments_in_a_date: |bytes| one_field("Date: ", "(Fri, 21 ", "Nov 1997 09:55:06 -0600", bytes);
    continued_parameters: continued;
    continuations_out_of_order: |bytes| typed_header("; name*99999999999999999999=a; name*7*=''%; name*0=", bytes);
    delimiters_of_all_levels: delimiters;
    almost_delimiters: |bytes| multipart("--bb\n--b-\n--b x\n-- b\n", bytes);
    files_written_into_text: |bytes| plain("begin 644 a.exe\nM12\n`\nend\nbegin 644 \n", bytes);
    quotes_that_flow: |bytes| flowing(">>> > >a \n>> ", bytes);
    attachments_in_every_encoding: |bytes| multipart(ATTACHED, bytes);
    tables_in_tables: |bytes| html("", "<table><tr><td colspan=99999 width=1>", "x", bytes);
    numbers_of_characters: |bytes| html("", "&#x10ffff;&#99999999999999999999;&#xd800;&#0;&#x", "", bytes);
    selectors_for_every_element: selectors;
    escapes_in_style: |bytes| html("<style>", "\\61 \\0 \\{@media x{@import '\\", "</style>x", bytes);
    pictures_in_the_page: |bytes| html("<img src='data:image/png;base64,", "QUFB", "'><a href='data:text/html,", bytes);
    a_link_of_all_text: |bytes| html("<a href=http://a.example>", "http://b.example ", "</a>", bytes);
    punycode: |bytes| html("<a href='http://xn--", "a9b-", ".example/'>", bytes);
    hosts_of_many_names: |bytes| html("<a href='http://", "a.", "example/'>www.", bytes);
    letters_that_are_not_seen: |bytes| plain("p\u{200b}a\u{301}\u{202e}\u{430}\u{1d400} ", bytes);
    labels_and_blanks: |bytes| plain("Name: ______ \nYour account number .......... \n", bytes);
    labels_on_one_line: |bytes| plain("age:;", bytes);
    addresses_without_commas: |bytes| one_field("From: ", "a@b . \"c\"=?x?q?d?=(e", "", bytes);
    sums_of_money: |bytes| plain("$4,500,000.00 USD (4.5 million dollars) \u{20ac}1.000,- ", bytes);
    words_in_disguise: |bytes| plain("v1agra V.I.A.G.R.A c!al1s p-i-l-l-s f r e e ", bytes);
    a_program_of_endless_name: |bytes| one_field("X-Mailer: ", "Mailer (a) 1.2.", "", bytes);
    programs_by_the_thousand: |bytes| header("X-Mailer: Microsoft Outlook 16.0\nUser-Agent: b\n", bytes);
    sites_by_the_thousand: sites;
    words_without_spaces: |bytes| plain("\u{8a02}\u{55ae}", bytes);
}

const BROKEN: &str = "--b\nContent-Type: text/plain; charset=x-none\nContent-Transfer-Encoding: base64\n\n*=*Q\n\
                      --b\nContent-Type: text/html; charset=utf-16\nContent-Transfer-Encoding: quoted-printable\n\n=ZZ=\u{1}=D\n";

const ATTACHED: &str = "--b\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\nUEsDBBQACQAI*=\n\
                        --b\nContent-Disposition: attachment; filename*0*=utf-8''a%2e; filename*1=exe\n\
                        Content-Transfer-Encoding: quoted-printable\n\n=4D=5A=90=\n=ZZ\n\
                        --b\nContent-Type: application/x-msdownload\nContent-Transfer-Encoding: x-uuencode\n\nbegin 600 b.exe\nM35H\n\
                        --b\nContent-Type: application/mac-binhex40\nContent-Transfer-Encoding: x-yencode\n\n=ybegin line=128\n:#&4\n";

/// So many multiparts, each in the one before.
pub(crate) fn multiparts(count: usize) -> Vec<u8> {
    let mut text = String::from("From: a@example.org\nMIME-Version: 1.0\n");
    for n in 0..count {
        let _ = write!(text, "Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n");
    }
    text.into_bytes()
}

/// So many messages, each in the one before.
pub(crate) fn messages(count: usize) -> Vec<u8> {
    "Content-Type: message/rfc822\n\n".repeat(count).into_bytes()
}

/// Messages in base64 in messages; each layer makes it longer by a third.
fn encoded_messages(bytes: usize) -> Vec<u8> {
    let mut message = plain("a http://b.example ", bytes / 4);
    while message.len() < bytes {
        let head = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n";
        message = [head.as_bytes(), base64(&message).as_bytes()].concat();
    }
    message
}

/// A header of such lines.
pub(crate) fn header(line: &str, bytes: usize) -> Vec<u8> {
    format!("X-First: 1\n{}\n\nbody\n", repeated(line, bytes)).into_bytes()
}

fn typed_header(parameter: &str, bytes: usize) -> Vec<u8> {
    format!("Content-Type: text/plain{}\n\nbody\n", repeated(parameter, bytes)).into_bytes()
}

/// One field of such a value, folded nowhere.
fn one_field(before: &str, piece: &str, after: &str, bytes: usize) -> Vec<u8> {
    format!("{before}{}{after}\n\nbody\n", repeated(piece, bytes)).into_bytes()
}

/// A parameter in thousands of pieces, each with its number (RFC 2231 3).
fn continued(bytes: usize) -> Vec<u8> {
    let pieces: Vec<String> = (0..bytes / 26).map(|n| format!("; filename*{n}*=utf-8''%41")).collect();
    format!("Content-Disposition: attachment{}\n\nbody\n", pieces.concat()).into_bytes()
}

/// Multiparts as deep as is looked at, then the delimiters of all levels by turns.
fn delimiters(bytes: usize) -> Vec<u8> {
    let mut mail = multiparts(60);
    let level: Vec<String> = (0..60).rev().map(|n| format!("--b{n}\n--b{n}-\n")).collect();
    mail.extend(repeated(&level.concat(), bytes).bytes());
    mail
}

fn flowing(piece: &str, bytes: usize) -> Vec<u8> {
    let head = "Content-Type: text/plain; format=flowed; delsp=yes\n\n";
    format!("{head}{}", repeated(piece, bytes)).into_bytes()
}

/// As many rules as elements, and each element in many of their classes.
fn selectors(bytes: usize) -> Vec<u8> {
    let rules: Vec<String> =
        (0..bytes / 80).map(|n| format!(".c{n} .d{n},p.e{n}{{display:none;color:#fff}}")).collect();
    let elements: Vec<String> =
        (0..bytes / 80).map(|n| format!("<p class='c{n} d{} e{} c1'>x", n / 2, n / 3)).collect();
    html(&format!("<style>{}</style>", rules.concat()), &elements.concat(), "", 0)
}

/// A multipart of such parts.
fn multipart(part: &str, bytes: usize) -> Vec<u8> {
    format!("Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", repeated(part, bytes)).into_bytes()
}

/// A text of such pieces.
pub(crate) fn plain(piece: &str, bytes: usize) -> Vec<u8> {
    format!("From: a@example.org\nSubject: b\n\n{}", repeated(piece, bytes)).into_bytes()
}

/// A text in that encoding.
pub(crate) fn encoded(encoding: &str, piece: &str, bytes: usize) -> Vec<u8> {
    let head = format!("Content-Type: text/plain\nContent-Transfer-Encoding: {encoding}\n\n");
    format!("{head}{}", repeated(piece, bytes)).into_bytes()
}

/// A page of such pieces.
pub(crate) fn html(before: &str, piece: &str, after: &str, bytes: usize) -> Vec<u8> {
    format!("From: a@example.org\nContent-Type: text/html\n\n{before}{}{after}", repeated(piece, bytes)).into_bytes()
}

/// A page of links, each to another host.
fn links(bytes: usize) -> Vec<u8> {
    let links: Vec<String> = (0..bytes / 64)
        .map(|n| format!("<a href=http://xn--{n}.example/?{n}>{n}.bank.example<img src=//{n}.b/{n}>"))
        .collect();
    html("", &links.concat(), "", 0)
}

/// A text that leads to ever other sites.
fn sites(bytes: usize) -> Vec<u8> {
    let links: Vec<String> = (0..bytes / 40).map(|n| format!("see https://www.site{n}.example/{n} \n")).collect();
    plain(&links.concat(), 0)
}

/// A zip archive that is all list: names without files, and a directory that overlaps itself.
pub(crate) fn archive(bytes: usize) -> Vec<u8> {
    archive_of(bytes, 16)
}

/// The same, with names of that many bytes.
fn archive_of(bytes: usize, name_bytes: u16) -> Vec<u8> {
    let mut zip = Vec::new();
    let name = usize::from(name_bytes);
    for n in 0..(bytes / 3 / (30 + name)).max(1) {
        zip.extend(b"PK\x01\x02");
        zip.extend([0xff; 24]);
        // No extra field, no comment.
        zip.extend(name_bytes.to_le_bytes());
        zip.extend([0; 4]);
        zip.extend([0; 12]);
        zip.extend(format!("PK\x03\x04{n:0>width$}", width = name - 4).bytes());
    }
    let size = u32::try_from(zip.len()).unwrap().to_le_bytes();
    zip.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff");
    zip.extend(size);
    zip.extend([0; 6]);
    // Readers need a file's head in front.
    let whole = [b"PK\x03\x04".as_slice(), &[0; 26], &zip].concat();
    let head = "From: a@example.org\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n";
    [head.as_bytes(), base64(&whole).as_bytes()].concat()
}

/// At least one piece, then as many as fit.
fn repeated(piece: &str, bytes: usize) -> String {
    piece.repeat((bytes / piece.len()).max(1))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
