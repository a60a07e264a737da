//! Work is linear in what is looked at: counted in instructions by callgrind, for each kind in two sizes.

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use outguard::message::Bounds;

use crate::{judged, mail};

/// The smaller size in bytes; the other is [`TIMES`] as large.
const BYTES: usize = 16 << 10;
const TIMES: usize = 4;
/// How many times the work of the smaller size the larger one may be; a square would make it 16.
const WORK_TIMES_MAX: u64 = 5;
/// How many instructions a byte may take, in a build that is not optimized; those of what any message takes come on top.
const BYTE_WORK_MAX: u64 = 5_000;
const MESSAGE_WORK_MAX: u64 = 50_000_000;
/// What callgrind counts, with a dump after each call.
const FUNCTION: &str = "hostile::work::counted_judgement";
/// The variable that tells this program that callgrind counts what it does.
const COUNTED: &str = "OUTGUARD_COUNTED";

#[test]
fn work_grows_as_the_message() {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: the count of instructions; valgrind is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", &format!("--toggle-collect={FUNCTION}"), &format!("--dump-after={FUNCTION}")])
        .arg(format!("--callgrind-out-file={}/out", folder.path().display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "work::counted", "--test-threads=1"])
        .env(COUNTED, "1")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let mut faults = Vec::new();
    for (n, kind) in mail::KINDS.iter().enumerate() {
        let [less, more] = [2 * n + 1, 2 * n + 2].map(|dump| instructions(folder.path(), dump));
        println!(
            "{}: {less} instructions for {} KiB, {more} for {} KiB",
            kind.name,
            BYTES >> 10,
            (BYTES * TIMES) >> 10
        );
        let share = MESSAGE_WORK_MAX + BYTE_WORK_MAX * (BYTES * TIMES) as u64;
        if more > less * WORK_TIMES_MAX || more > share {
            faults.push(format!("{}: {less} instructions became {more}", kind.name));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The total of one dump.
fn instructions(folder: &Path, dump: usize) -> u64 {
    let text = std::fs::read_to_string(folder.join(format!("out.{dump}"))).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.expect("callgrind ends with it").trim().parse().unwrap()
}

/// What callgrind runs; alone it does nothing.
#[test]
fn counted() {
    if std::env::var_os(COUNTED).is_none() {
        return;
    }
    // What is made at the first use is no work of a message.
    judged(&mail::html("", "<a href='http://b.example'>&amp;</a>", "", 1_000), &Bounds::default());
    for kind in mail::KINDS {
        for bytes in [BYTES, BYTES * TIMES] {
            counted_judgement(&(kind.of_bytes)(bytes));
        }
    }
}

#[inline(never)]
fn counted_judgement(bytes: &[u8]) {
    drop(black_box(judged(black_box(bytes), &Bounds::default())));
}
