//! What an attachment is: by its bytes, then by what its name would make a computer do with it.

use std::borrow::Cow;

use memchr::memmem;

use super::attachment::{Attachment, Content};
use super::gzip::{self, Gzip};
use super::listing::Listing;
use super::mime::{Disposition, Encoding, Entity};
use super::page::Page;
use super::shape::{Bound, Bounds};
use super::tally::Tally;
use super::{packed, transfer, uu, zip};

/// How much of an attachment is decoded to see what it is, in bytes.
const HEAD_BYTES: usize = 4 << 10;
/// How much is decoded of what the first bytes do not tell: the mark of a disc's image stands at 32 KiB.
const DISC_BYTES: usize = 34 << 10;
/// How much of a page is looked at, in bytes.
const PAGE_BYTES: usize = 256 << 10;
/// Endings of pages.
const PAGES: [&str; 8] = ["html", "htm", "shtml", "xhtml", "xht", "svg", "mht", "mhtml"];

const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// The class of an installer's root entry in an OLE file.
const MSI_CLASS: &[u8] = b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46";

/// Marks of formats that have a fixed start and are not in the table of `infer`, or are more than it says.
const MARKS: [(&[u8], Content); 23] = [
    (b"L\0\0\0\x01\x14\x02\0", Content::Program), // a shortcut of Windows, which runs what it names
    (b"ITSF", Content::Script),                   // compiled help: pages with scripts
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", Content::Office), // OneNote
    (b"{\\rt", Content::Office),
    (b"%!PS", Content::Office),
    (b"conectix", Content::Archive), // discs: VHD, VHDX, VMDK, WIM
    (b"vhdxfile", Content::Archive),
    (b"KDMV", Content::Archive),
    (b"MSWIM\0", Content::Archive),
    (b"\x60\xea", Content::Archive), // arj
    (b"**ACE**", Content::Archive),
    (packed::TNEF, Content::Archive), // winmail.dat: attachments as Outlook packs them
    (b"xar!", Content::Program),      // installer of macOS
    (b"\x7fELF", Content::Program),
    (b"MZ", Content::Program),
    (b"dex\n", Content::Program),
    (b"CWS", Content::Program), // Flash
    (b"FWS", Content::Program),
    (b"#!", Content::Script),
    (b"<?php", Content::Script),
    (b"<job", Content::Script),
    (b"#@~^", Content::Script), // encoded VBScript
    (b"BEGIN:V", Content::Text),
];

/// Looks at the content of a part; names inside it are kept as far as `bounds` has it, and `tally` hears of it if there are
/// more than were looked at.
pub(super) fn attachment(
    entity: &Entity,
    body: &[u8],
    related: bool,
    bounds: &Bounds,
    tally: &mut Tally,
) -> Attachment {
    let head = decoded(entity, body, HEAD_BYTES);
    let listing = Listing::new(bounds.names_max);
    let inflated_bytes = tally.inflated_bytes;
    let mut found = Found { content: Content::Message, listing, macros: false, page: Page::default(), inflated_bytes };
    if !entity.is_message() {
        found.look(&head, |bytes_max| decoded(entity, body, bytes_max), &entity.name.to_ascii_lowercase());
    }
    tally.inflated_bytes = found.inflated_bytes;
    if found.listing.cut {
        tally.meet(Bound::Attachments);
    }
    Attachment {
        name: entity.name.clone(),
        declared: entity.media.clone(),
        content: found.content,
        size_bytes: decoded_bytes(entity, body),
        inline: entity.disposition == Disposition::Inline || (related && !entity.content_id.is_empty()),
        contains: found.listing.names,
        encrypted: found.listing.encrypted,
        macros: found.macros,
        page: found.page,
    }
}

/// Whether the bytes of what is declared as text are something else.
pub(super) fn is_no_text(entity: &Entity, body: &[u8]) -> bool {
    let head = decoded(entity, &body[..body.len().min(1024)], 512);
    // UTF-16 has zeros too, every other byte of it.
    let zeros = memchr::memchr_iter(0, &head).count();
    (zeros > 0 && zeros * 3 < head.len()) || head.starts_with(b"%PDF-")
}

struct Found {
    content: Content,
    listing: Listing,
    macros: bool,
    page: Page,
    /// Of all attachments so far.
    inflated_bytes: usize,
}

impl Found {
    fn look<'a>(&mut self, head: &[u8], more: impl Fn(usize) -> Cow<'a, [u8]>, name: &str) {
        self.content = by_bytes(head);
        let is_markup = self.content == Content::Text && head.trim_ascii_start().starts_with(b"<");
        // Browsers go by the name, whatever stands at its beginning.
        if is_markup || is_named(name, &PAGES) {
            self.page = Page::read(&more(PAGE_BYTES));
        }
        if head.starts_with(b"PK") && self.content == Content::Archive {
            zip::list(&more(usize::MAX), &mut self.listing);
            self.name_zip(name);
        } else if head.starts_with(gzip::MARK) {
            self.gzip(&more(usize::MAX));
        } else if head.starts_with(OLE) {
            self.ole(&more(usize::MAX));
        } else if self.content == Content::Pdf {
            self.listing.encrypted = memmem::find(&more(usize::MAX), b"/Encrypt").is_some();
        } else if self.content == Content::Archive {
            packed::list(&more(usize::MAX), &mut self.listing);
        } else if self.content == Content::Unknown {
            let disc = more(DISC_BYTES);
            if disc.get(32_769..32_774).is_some_and(|mark| mark == b"CD001" || mark == b"BEA01") {
                self.content = Content::Archive;
            }
        } else if self.content == Content::Text {
            self.content = text_content(self.page, name);
        }
        if self.content == Content::Unknown && is_named(name, &["iso", "img", "vhd", "udf", "cab", "ace", "lzh", "uue"])
        {
            self.content = Content::Archive;
        }
    }

    /// A zip archive is what its files make it. One that is called an archive is opened as one, whatever lies in it.
    fn name_zip(&mut self, name: &str) {
        let inside = &self.listing.inside;
        if inside.document && !is_named(name, &["zip"]) {
            self.macros = inside.macros;
            self.content = Content::Office;
            self.listing.names.clear();
        } else if inside.program {
            self.content = Content::Program;
        }
    }

    /// One file, packed: a program is one, and of an archive the names are listed as far as it is inflated.
    fn gzip(&mut self, bytes: &[u8]) {
        let Some(gzip) = Gzip::read(bytes, self.inflated_bytes) else { return };
        self.inflated_bytes += gzip.start.len();
        self.listing.add(gzip.name);
        if packed::is_tar(&gzip.start) {
            packed::list(&gzip.start, &mut self.listing);
        } else if by_bytes(&gzip.start[..gzip.start.len().min(HEAD_BYTES)]) == Content::Program {
            self.content = Content::Program;
        }
    }

    /// A file of streams: an old Office document, an encrypted new one, an installer, a message of Outlook. Readers find
    /// streams by their names, so the names are looked for, not the chains that lead to them.
    fn ole(&mut self, bytes: &[u8]) {
        let has = |name: &str| memmem::find(bytes, &utf16(name)).is_some();
        self.content = Content::Office;
        self.macros = has("_VBA_PROJECT") || has("Macros\0");
        self.listing.encrypted = has("EncryptedPackage");
        if has("__substg1.0_") {
            self.content = Content::Message;
        } else if memmem::find(bytes, MSI_CLASS).is_some() {
            self.content = Content::Program;
        }
    }
}

fn by_bytes(head: &[u8]) -> Content {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || head.starts_with(b"PK\x07\x08") {
        return Content::Archive;
    }
    if head.starts_with(OLE) {
        return Content::Office;
    }
    // A few bytes may stand before the mark, and readers forgive it.
    if memmem::find(&head[..head.len().min(1024)], b"%PDF-").is_some() {
        return Content::Pdf;
    }
    // A short mark may begin a text too, and no program is without a zero.
    let is_marked = |mark: &[u8]| head.starts_with(mark) && (mark.len() > 3 || mark == b"#!" || head.contains(&0));
    if let Some((_, content)) = MARKS.iter().find(|(mark, _)| is_marked(mark)) {
        return *content;
    }
    let is_sound = |kind: &infer::Type| kind.matcher_type() != infer::MatcherType::App || head.contains(&0);
    let Some(kind) = infer::get(head).filter(is_sound) else {
        let text =
            !head.is_empty() && (!head.contains(&0) || head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff"));
        return if text { Content::Text } else { Content::Unknown };
    };
    content_of(kind.matcher_type(), kind.mime_type())
}

/// What a kind that `infer` knows is here.
fn content_of(group: infer::MatcherType, media: &str) -> Content {
    use infer::MatcherType as Group;
    match (group, media) {
        (_, "image/svg+xml") => Content::Text,
        (Group::Text, "text/x-shellscript") => Content::Script,
        (Group::App, "application/x-x509-ca-cert") | (Group::Font | Group::Custom, _) => Content::Unknown,
        (Group::Image | Group::Audio | Group::Video, _) => Content::Media,
        (Group::App, _)
        | (
            _,
            "application/x-msi" | "application/x-deb" | "application/x-rpm" | "application/vnd.debian.binary-package",
        ) => Content::Program,
        (Group::Archive, _) => Content::Archive,
        (Group::Doc | Group::Book, _) => Content::Office,
        (Group::Text, _) => Content::Text,
    }
}

/// Text that runs when it is opened is a script: by its name, or a page or picture with one inside.
fn text_content(page: Page, name: &str) -> Content {
    const SCRIPTS: [&str; 24] = [
        "js", "jse", "mjs", "vbs", "vbe", "vb", "wsf", "wsh", "wsc", "hta", "ps1", "psm1", "bat", "cmd", "sh", "bash",
        "py", "pl", "php", "rb", "reg", "inf", "scf", "url",
    ];
    if is_named(name, &SCRIPTS) || page.has_script { Content::Script } else { Content::Text }
}

fn is_named(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending.trim_end_matches([' ', '.'])))
}

fn decoded<'a>(entity: &Entity, body: &'a [u8], bytes_max: usize) -> Cow<'a, [u8]> {
    let mut out = Vec::new();
    match entity.encoding {
        Encoding::SevenBit | Encoding::Identity => return Cow::Borrowed(&body[..body.len().min(bytes_max)]),
        Encoding::Base64 => transfer::base64(body, bytes_max, &mut out),
        Encoding::QuotedPrintable => transfer::quoted_printable(body, bytes_max, &mut out),
        Encoding::Uuencode => uu::decode(body, bytes_max, &mut out),
    };
    Cow::Owned(out)
}

/// The size of a part without its encoding, reckoned from the size of its lines.
fn decoded_bytes(entity: &Entity, body: &[u8]) -> u64 {
    let bytes = match entity.encoding {
        Encoding::Base64 => {
            let breaks = memchr::memchr2_iter(b'\n', b'\r', body).count();
            let padding = body.iter().rev().take(8).filter(|b| **b == b'=').count();
            ((body.len() - breaks) / 4 * 3).saturating_sub(padding)
        }
        Encoding::QuotedPrintable => body.len() - (memchr::memchr_iter(b'=', body).count() * 2).min(body.len()),
        Encoding::Uuencode => body.len() / 4 * 3,
        Encoding::SevenBit | Encoding::Identity => body.len(),
    };
    bytes as u64
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, bytes: &[u8]) -> Attachment {
        let entity =
            Entity { name: name.to_owned(), media: "application/octet-stream".to_owned(), ..Entity::default() };
        attachment(&entity, bytes, false, &Bounds::default(), &mut Tally::default())
    }

    #[test]
    fn what_bytes_and_names_say() {
        let disc = [&vec![0; 32_769][..], b"CD001\x01"].concat();
        let installer = [OLE, &[0; 72], MSI_CLASS].concat();
        let cases: [(&str, &[u8], Content); 26] = [
            ("a.pdf", b"%PDF-1.7\n", Content::Pdf),
            ("a.pdf", b"\r\n\r\n%PDF-1.7\n", Content::Pdf), // readers forgive what stands before
            ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Content::Media),
            ("photo.jpg", b"MZ\x90\0\x03\0\0\0", Content::Program), // whatever it is called
            ("a.txt", b"MZ is what the column is called", Content::Text),
            ("a", b"\x7fELF\x02\x01\x01\0", Content::Program),
            ("a.lnk", b"L\0\0\0\x01\x14\x02\0\0\0", Content::Program),
            ("a.msi", &installer, Content::Program),
            ("a.doc", OLE, Content::Office),
            ("a.msg", &[OLE, &utf16("__substg1.0_37")].concat(), Content::Message),
            ("a.rtf", b"{\\rtf1\\ansi", Content::Office),
            ("a.one", b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", Content::Office),
            ("a.chm", b"ITSF\x03\0\0\0", Content::Script),
            ("a.sh", b"#!/bin/sh\n", Content::Script),
            ("a.js", b"var a = 1;", Content::Script), // text that a double click runs
            ("a.hta ", b"text", Content::Script),     // Windows drops the space
            ("a.html", b"<html><p>a</p></html>", Content::Text),
            ("a.html", b"<html><ScRiPt>x</script></html>", Content::Script),
            ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>", Content::Script),
            ("a.ics", b"BEGIN:VCALENDAR\r\n", Content::Text),
            ("a.iso", &disc, Content::Archive),
            ("a.bin", &disc, Content::Archive),
            ("a.img", b"\0\0\0\0", Content::Archive),
            ("a.rar", b"Rar!\x1a\x07\x01\x00", Content::Archive),
            ("a.bin", b"\0\x01\x02\x03", Content::Unknown),
            ("a", b"", Content::Unknown),
        ];
        for (name, bytes, content) in cases {
            assert_eq!(seen(name, bytes).content, content, "{name}: {:?}", bytes.get(..40.min(bytes.len())));
        }
    }

    /// The bytes; what they are; names told; encrypted; with macros.
    type Case = (Vec<u8>, Content, &'static [&'static str], bool, bool);

    #[test]
    fn what_is_inside() {
        let zip = zip::tests::archive;
        let cases: [Case; 7] = [
            (zip(&["a.txt", "b.exe"], false), Content::Archive, &["a.txt", "b.exe"], false, false),
            (zip(&["a.txt"], true), Content::Archive, &["a.txt"], true, false),
            (zip(&["[Content_Types].xml", "word/document.xml"], false), Content::Office, &[], false, false),
            (zip(&["[Content_Types].xml", "word/vbaProject.bin"], false), Content::Office, &[], false, true),
            (
                zip(&["META-INF/MANIFEST.MF", "A.class"], false),
                Content::Program,
                &["META-INF/MANIFEST.MF", "A.class"],
                false,
                false,
            ),
            ([OLE, &utf16("EncryptedPackage")].concat(), Content::Office, &[], true, false),
            ([OLE, &utf16("_VBA_PROJECT")].concat(), Content::Office, &[], false, true),
        ];
        for (bytes, content, contains, encrypted, macros) in cases {
            let found = seen("a", &bytes);
            assert_eq!((found.content, found.encrypted, found.macros), (content, encrypted, macros), "{contains:?}");
            assert_eq!(found.contains, contains);
        }
        let named = seen("a.zip", &zip(&["mimetype", "setup.exe"], false));
        assert_eq!((named.content, named.contains.len()), (Content::Archive, 2), "it is opened as what it is called");
        let packed = seen("a.gz", &gzip::tests::packed(b"MZ\x90\0\x03\0\0\0"));
        assert_eq!(packed.content, Content::Program);
        assert_eq!(seen("a.gz", &gzip::tests::packed(b"MZ is a word")).content, Content::Archive);
        assert!(seen("a.pdf", b"%PDF-1.7\ntrailer << /Encrypt 5 0 R >>").encrypted);
    }

    #[test]
    fn sizes_without_their_encoding() {
        let size = |encoding, body: &[u8]| decoded_bytes(&Entity { encoding, ..Entity::default() }, body);
        assert_eq!(size(Encoding::Base64, b"QUJD\r\nRA==\r\n"), 4);
        assert_eq!(size(Encoding::QuotedPrintable, b"a=3Db"), 3);
        assert_eq!(size(Encoding::Identity, b"abc"), 3);
        assert_eq!(size(Encoding::Base64, b"===="), 0);
    }
}
