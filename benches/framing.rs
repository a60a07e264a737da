//! What framing costs: nanoseconds for a 4 KB body, and MB/s, for ordinary mail and for mail made to be slow.
//!
//! `cargo bench --bench framing`

#![expect(clippy::print_stdout, reason = "a bench tells its figures there")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock itself")]

use std::hint::black_box;
use std::time::Instant;

use outguard::smtp::command::Command;
use outguard::smtp::framing::{ContentDecoder, DotStuffer, LineDecoder, Piece, StrayPolicy};

const BODY_BYTES: usize = 4_096;
const ROUNDS: u32 = 50_000;

fn main() {
    let line = [b"x".repeat(76).as_slice(), b"\r\n"].concat();
    let bodies = [
        ("lines of 76", line.repeat(BODY_BYTES / line.len())),
        ("one line", b"x".repeat(BODY_BYTES)),
        ("empty lines", b"\r\n".repeat(BODY_BYTES / 2)),
        ("a dot each line", b".\r\n".repeat(BODY_BYTES / 3)),
        ("bare LF and dots", b"\n.".repeat(BODY_BYTES / 2)),
        ("bare CR", b"\r".repeat(BODY_BYTES)),
    ];
    for (name, body) in bodies {
        let mut wire = Vec::new();
        let mut stuffer = DotStuffer::new();
        stuffer.encode(&body, &mut wire);
        stuffer.finish(&mut wire);
        measure(&format!("content, {name}"), wire.len(), || decode(&wire));
        let mut out = Vec::with_capacity(2 * body.len() + 8);
        measure(&format!("stuffing, {name}"), body.len(), || {
            out.clear();
            let mut stuffer = DotStuffer::new();
            stuffer.encode(black_box(&body), &mut out);
            stuffer.finish(&mut out);
            out.len()
        });
    }
    let commands = b"MAIL FROM:<someone@example.org> SIZE=4096 BODY=8BITMIME\r\nRCPT TO:<other@example.net> NOTIFY=FAILURE\r\nDATA\r\n";
    measure("three commands, lines alone", commands.len(), || lines(commands, |_| 0));
    measure("three commands, parsed", commands.len(), || {
        lines(commands, |line| usize::from(Command::parse(line).is_ok()))
    });
}

fn decode(wire: &[u8]) -> usize {
    let mut decoder = ContentDecoder::new(StrayPolicy::Refuse);
    let mut input = black_box(wire);
    let mut bytes = 0;
    while let Piece::Bytes(piece) = decoder.next(&mut input) {
        bytes += piece.len();
    }
    bytes
}

fn lines(stream: &[u8], mut each: impl FnMut(&[u8]) -> usize) -> usize {
    let mut decoder = LineDecoder::new(4_096);
    let mut input = black_box(stream);
    let mut sum = 0;
    while let Some(Ok(line)) = decoder.next(&mut input) {
        sum += line.len() + each(line);
    }
    sum
}

/// The best of five: what disturbs only ever adds.
fn measure(name: &str, bytes: usize, mut work: impl FnMut() -> usize) {
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                black_box(work());
            }
            start.elapsed()
        })
        .min()
        .expect("five were made");
    let ns = best.as_secs_f64() * 1e9 / f64::from(ROUNDS);
    #[expect(clippy::cast_precision_loss, reason = "a few kilobytes")]
    let mb_per_s = bytes as f64 / ns * 1e3;
    println!("{name:34} {ns:9.0} ns {mb_per_s:9.0} MB/s");
}
