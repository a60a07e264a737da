//! Attached files: what they are, and what they say they are.

use crate::message::{Attachment, Content, Page, ending, packed_ending};

use super::look::{Look, Sight, example};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "attachment-program", look: program },
    Rule { name: "attachment-script", look: |look| named(look, "script-endings") },
    Rule { name: "attachment-disk-image", look: |look| named(look, "disk-image-endings") },
    Rule { name: "attachment-macros", look: macros },
    Rule { name: "attachment-archive-encrypted", look: archive_encrypted },
    Rule { name: "attachment-document-encrypted", look: document_encrypted },
    Rule { name: "attachment-two-endings", look: two_endings },
    Rule { name: "attachment-disguised", look: disguised },
    Rule { name: "attachment-type-differs", look: type_differs },
    Rule { name: "attachment-page-password", look: |look| page(look, |page| page.asks_password) },
    Rule { name: "attachment-page-acts", look: |look| page(look, |page| page.unpacks_or_leads_away) },
    Rule { name: "attachment-web-page", look: web_page },
    Rule { name: "attachment-discouraged", look: |look| named(look, "discouraged-endings") },
];

/// The names of files, with those inside archives.
fn names(file: &Attachment) -> impl Iterator<Item = &str> {
    std::iter::once(file.name.as_str()).chain(file.contains.iter().map(String::as_str))
}

fn files<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a Attachment> + use<'a> {
    look.message.attachments.iter()
}

/// A file of that kind, packed by itself or not: `invoice.js.gz` is unpacked and opened by two clicks.
fn named(look: &Look<'_>, list: &str) -> Sight {
    let list = look.lists.of(list);
    let is = |name: &&str| list.has(&ending(name)) || packed_ending(name).is_some_and(|ending| list.has(&ending));
    files(look).flat_map(names).find(is).and_then(example)
}

fn program(look: &Look<'_>) -> Sight {
    let by_content = files(look).find(|file| file.content == Content::Program).map(|file| file.name.as_str());
    by_content.map_or_else(|| named(look, "program-endings"), example)
}

fn macros(look: &Look<'_>) -> Sight {
    let by_content = files(look).find(|file| file.macros).map(|file| file.name.as_str());
    by_content.map_or_else(|| named(look, "macro-endings"), example)
}

fn archive_encrypted(look: &Look<'_>) -> Sight {
    files(look).find(|file| file.encrypted && file.content == Content::Archive).and_then(|file| example(&file.name))
}

fn document_encrypted(look: &Look<'_>) -> Sight {
    files(look).find(|file| file.encrypted && file.content != Content::Archive).and_then(|file| example(&file.name))
}

/// `invoice.pdf.exe`: readers that hide endings show a document. Blanks push the last one out of sight.
fn two_endings(look: &Look<'_>) -> Sight {
    let runs = |last: &str| {
        ["program-endings", "script-endings", "disk-image-endings"].iter().any(|list| look.lists.of(list).has(last))
    };
    let shown = look.lists.of("document-endings");
    let two = |name: &&str| {
        let last = ending(name);
        let Some((before, _)) = name.trim_end_matches(['.', ' ']).rsplit_once('.') else { return false };
        runs(&last) && (shown.has(&ending(before)) || before.ends_with("   "))
    };
    files(look).flat_map(names).find(two).and_then(example)
}

/// A program or script under the name of a document, picture or text.
fn disguised(look: &Look<'_>) -> Sight {
    let shown = look.lists.of("document-endings");
    let differs = |file: &&Attachment| file.content == Content::Program && shown.has(&ending(&file.name));
    files(look).find(differs).and_then(|file| example(&file.name))
}

/// What the type promises is not what the bytes are. Types that promise nothing are left alone, and so is text, which
/// many programs call by a type of its own.
fn type_differs(look: &Look<'_>) -> Sight {
    let differs = |file: &&Attachment| {
        let promised = match file.declared.as_str() {
            "application/pdf" => Content::Pdf,
            "application/zip" => Content::Archive,
            "image/jpeg" | "image/png" | "image/gif" => Content::Media,
            _ => return false,
        };
        // An Office document is a zip archive too; a cut file says nothing.
        let known = !matches!(file.content, Content::Unknown | Content::Message);
        let kin = promised == Content::Archive && file.content == Content::Office;
        known && !kin && file.content != promised && file.size_bytes > 64
    };
    let file = files(look).find(differs)?;
    example(&format!("{} ({})", file.name, file.declared))
}

/// A page that is opened outside the mail, where nothing checks its forms and scripts.
fn web_page(look: &Look<'_>) -> Sight {
    let list = look.lists.of("web-page-endings");
    files(look).find(|file| !file.inline && list.has(&ending(&file.name))).and_then(|file| example(&file.name))
}

/// A file that a browser opens as a page, by its name or by its type, and what it does. Shown in the body it can be opened too.
fn page(look: &Look<'_>, does: impl Fn(&Page) -> bool) -> Sight {
    const TYPES: [&str; 3] = ["text/html", "application/xhtml+xml", "image/svg+xml"];
    let list = look.lists.of("web-page-endings");
    let is_page = |file: &&Attachment| list.has(&ending(&file.name)) || TYPES.contains(&file.declared.as_str());
    files(look).filter(is_page).find(|file| does(&file.page)).and_then(|file| example(&file.name))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Mail, check, hit, mail, miss};
    use super::*;

    fn zip(inside: &str) -> Mail {
        mail().attachment("a.zip", "application/zip", Content::Archive, |file| file.contains = vec![inside.to_owned()])
    }

    fn file(name: &str) -> Mail {
        mail().file(name, "application/octet-stream", Content::Unknown)
    }

    fn locked(name: &str, content: Content) -> Mail {
        mail().attachment(name, "application/octet-stream", content, |file| file.encrypted = true)
    }

    fn opened(name: &str, declared: &str, page: Page) -> Mail {
        mail().attachment(name, declared, Content::Script, |file| file.page = page)
    }

    #[test]
    fn hits_and_near_misses() {
        let asks = Page { asks_password: true, ..Page::default() };
        let acts = Page { unpacks_or_leads_away: true, ..Page::default() };
        check(
            RULES,
            vec![
                hit("attachment-program", "by its name", file("setup.EXE")),
                hit(
                    "attachment-program",
                    "by its content",
                    mail().file("setup", "application/octet-stream", Content::Program),
                ),
                hit("attachment-program", "in an archive", zip("docs/setup.pif")),
                hit("attachment-program", "with a dot that Windows drops", file("setup.exe.")),
                hit("attachment-program", "packed by itself", file("setup.exe.gz")),
                hit("attachment-program", "packed within an archive", zip("setup.scr.bz2")),
                miss("attachment-program", "a packed text", file("setup.txt.gz")),
                miss("attachment-program", "a name that speaks of one", file("setup.exe.txt")),
                miss("attachment-program", "a document", mail().file("a.pdf", "application/pdf", Content::Pdf)),
                hit("attachment-script", "for Windows", file("invoice.vbs")),
                hit("attachment-script", "packed by itself", file("invoice.js.xz")),
                hit("attachment-script", "in an archive", zip("invoice.js")),
                miss("attachment-script", "a patch", mail().file("fix.patch", "text/x-patch", Content::Text)),
                miss("attachment-script", "data", mail().file("a.json", "application/json", Content::Text)),
                hit("attachment-disk-image", "opens like a folder", file("invoice.iso")),
                miss("attachment-disk-image", "a picture", mail().file("iso.png", "image/png", Content::Media)),
                hit("attachment-macros", "by its content", {
                    mail().attachment("a.doc", "application/msword", Content::Office, |file| file.macros = true)
                }),
                hit("attachment-macros", "by its name", file("plan.xlsm")),
                miss("attachment-macros", "a document", mail().file("a.doc", "application/msword", Content::Office)),
                hit("attachment-archive-encrypted", "nobody can look into it", locked("a.zip", Content::Archive)),
                miss("attachment-archive-encrypted", "open", zip("a.txt")),
                hit("attachment-document-encrypted", "a PDF with a password", locked("a.pdf", Content::Pdf)),
                miss(
                    "attachment-document-encrypted",
                    "an archive is another rule's",
                    locked("a.zip", Content::Archive),
                ),
                hit("attachment-two-endings", "a document in front", file("invoice.pdf.exe")),
                hit("attachment-two-endings", "blanks in front", file("invoice          .scr")),
                hit("attachment-two-endings", "in an archive", zip("invoice.docx.js")),
                miss("attachment-two-endings", "a compressed archive", file("backup.tar.gz")),
                miss("attachment-two-endings", "a version", file("setup-1.2.exe")),
                hit("attachment-disguised", "called a picture", mail().file("a.jpg", "image/jpeg", Content::Program)),
                miss("attachment-disguised", "called what it is", mail().file("a.exe", "image/jpeg", Content::Program)),
                hit(
                    "attachment-type-differs",
                    "HTML called PDF",
                    mail().file("a.pdf", "application/pdf", Content::Text),
                ),
                miss(
                    "attachment-type-differs",
                    "a document called archive",
                    mail().file("a.docx", "application/zip", Content::Office),
                ),
                miss(
                    "attachment-type-differs",
                    "bytes that say nothing",
                    mail().file("a.pdf", "application/pdf", Content::Unknown),
                ),
                miss("attachment-type-differs", "a promise of nothing", file("a.pdf")),
                hit(
                    "attachment-web-page",
                    "opened outside the mail",
                    mail().file("voice.htm", "text/html", Content::Text),
                ),
                miss("attachment-web-page", "a text", mail().file("page.txt", "text/plain", Content::Text)),
                hit("attachment-page-password", "by its name", opened("voice.htm", "application/pdf", asks)),
                hit("attachment-page-password", "by its type", opened("voice", "text/html", asks)),
                miss("attachment-page-password", "a source", opened("login.txt", "text/plain", asks)),
                miss("attachment-page-password", "another page", opened("voice.htm", "text/html", acts)),
                hit("attachment-page-acts", "a picture with a script", opened("a.svg", "image/svg+xml", acts)),
                miss("attachment-page-acts", "a source", opened("page.xml", "text/xml", acts)),
                miss("attachment-page-acts", "a report", opened("a.html", "text/html", Page::default())),
                hit("attachment-discouraged", "a sheet", mail().file("a.xlsx", "application/zip", Content::Office)),
                hit("attachment-discouraged", "in an archive", zip("orders.xml")),
                miss("attachment-discouraged", "a letter", mail().file("a.docx", "application/zip", Content::Office)),
            ],
        );
    }
}
