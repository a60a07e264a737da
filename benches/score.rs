//! What judging a message costs: messages a second on one core, and how long the slow ones take, over real mail.
//!
//! `cargo bench --bench score`
//!
//! The mail is the dev part of the corpus in `../shared/corpus`, or in the folder that `OUTGUARD_CORPUS` names; the
//! programs `zstd` and `tar` unpack it into a temporary folder. Without it only the message made here is measured.

#![expect(clippy::print_stdout, reason = "a bench tells its figures there")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock itself")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use outguard::message::{Bounds, Message};

/// Messages up to this size are what the percentiles speak of, in bytes.
const ORDINARY_BYTES_MAX: usize = 100 << 10;
/// How often the corpus is gone through; the best time of each message counts, for what disturbs only ever adds.
const ROUNDS: usize = 3;

fn main() {
    let bounds = Bounds::default();
    let made = made_message();
    let best = (0..2_000).map(|_| timed(|| drop(black_box(Message::parse(black_box(&made), &bounds))))).min();
    println!("parse, multipart/alternative of {} bytes: {:.1} us", made.len(), us(best.unwrap_or_default()));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(mail) = corpus(folder.path()) else { return };
    let bytes: usize = mail.iter().map(Vec::len).sum();
    println!("{} messages of the corpus, {} KB on average", mail.len(), bytes / 1024 / mail.len().max(1));
    report("parse", &mail, |message| drop(black_box(Message::parse(black_box(message), &bounds))));
}

/// Runs `work` on all of the mail and tells its rate and percentiles.
fn report(name: &str, mail: &[Vec<u8>], mut work: impl FnMut(&[u8])) {
    let mut best = vec![Duration::MAX; mail.len()];
    for _ in 0..ROUNDS {
        for (best, message) in best.iter_mut().zip(mail) {
            *best = timed(|| work(message)).min(*best);
        }
    }
    let whole: Duration = best.iter().sum();
    let mut ordinary: Vec<Duration> =
        best.iter().zip(mail).filter(|(_, m)| m.len() <= ORDINARY_BYTES_MAX).map(|(time, _)| *time).collect();
    ordinary.sort_unstable();
    let at = |share: usize| {
        us(ordinary.get((ordinary.len() * share / 1000).min(ordinary.len() - 1)).copied().unwrap_or_default())
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let rate = mail.len() as f64 / whole.as_secs_f64();
    println!("{name}: {rate:.0} messages/s on one core");
    println!(
        "{name}, messages up to 100 KB: p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, max {:.0} us",
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The messages of the corpus's dev part; says what is missing where there is none.
fn corpus(folder: &Path) -> Option<Vec<Vec<u8>>> {
    let root = std::env::var_os("OUTGUARD_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let archives: Vec<PathBuf> =
        ["dev.tar.zst", "dev-2.tar.zst"].iter().map(|name| root.join(name)).filter(|path| path.exists()).collect();
    if archives.is_empty() {
        println!("skipped: the corpus; no dev.tar.zst in {} (set OUTGUARD_CORPUS)", root.display());
        return None;
    }
    for archive in archives {
        if let Err(why) = unpack(&archive, folder) {
            println!("skipped: {}: {why}", archive.display());
        }
    }
    let mut mail = Vec::new();
    read_all(folder, &mut mail);
    (!mail.is_empty()).then_some(mail)
}

fn unpack(archive: &Path, folder: &Path) -> std::io::Result<()> {
    let mut zstd = Command::new("zstd").args(["-dcq", "--long=27"]).arg(archive).stdout(Stdio::piped()).spawn()?;
    let stream = zstd.stdout.take().expect("it was asked for");
    let status = Command::new("tar").arg("-xC").arg(folder).stdin(stream).status()?;
    zstd.wait()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("tar: {status}"))) }
}

fn read_all(folder: &Path, mail: &mut Vec<Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_all(&path, mail);
        } else if let Ok(bytes) = fs::read(&path) {
            mail.push(bytes);
        }
    }
}

/// A newsletter's shape in 4 KB: text and HTML of the same, quoted-printable.
fn made_message() -> Vec<u8> {
    let lines = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    let text = lines.map(|line| {
        format!(
            "Line {line} of what we have to say to you this week, and a bit more.\r\nhttps://shop.example/offer/{line}\r\n"
        )
    });
    let html = lines.map(|line| {
        format!(
            "<table><tr><td class=3D\"b\" style=3D\"padding:4px\"><p>Line {line} of what we have to say to you=\r\n \
             this week, and a bit more.</p><a href=3D\"https://shop.example/offer/{line}\">S=C3=A9e</a></td></tr></table>\r\n"
        )
    });
    let (text, html) = (text.concat(), html.concat());
    let head = "<html><head><style>.b{color:#333;font-size:14px}</style></head><body>";
    format!(
        "Received: from mail.shop.example (mail.shop.example [192.0.2.1])\r\n\tby mx.example.net; Fri, 21 Nov 1997 09:55:06 -0600\r\n\
         From: =?utf-8?q?Caf=C3=A9?= <news@shop.example>\r\nTo: someone@example.net\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?= of the week\r\n\
         Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <1@shop.example>\r\nList-Unsubscribe: <https://shop.example/u>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n--b1\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--b1\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n{head}{html}</body></html>\r\n--b1--\r\n"
    )
    .into_bytes()
}
