//! Real mail with faults: pieces cut out, doubled, moved, bytes turned over.

use outguard::message::Bounds;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::any::PIECES;
use crate::{corpus, is_within, judged};

/// How many faulty messages are made, unless `OUTGUARD_FAULTY_MAIL` says another number.
const CASES: u32 = 300;

/// One fault, by places in a message of any length.
#[derive(Debug, Clone)]
enum Fault {
    Cut(u16, u16),
    Doubled(u16, u16),
    Byte(u16, u8),
    Piece(u16, &'static str),
    Ended(u16),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        any::<(u16, u16)>().prop_map(|(from, len)| Fault::Cut(from, len)),
        any::<(u16, u16)>().prop_map(|(from, len)| Fault::Doubled(from, len)),
        any::<(u16, u8)>().prop_map(|(at, byte)| Fault::Byte(at, byte)),
        (any::<u16>(), proptest::sample::select(&PIECES[..])).prop_map(|(at, piece)| Fault::Piece(at, piece)),
        any::<u16>().prop_map(Fault::Ended),
    ]
}

fn do_to(fault: &Fault, bytes: &mut Vec<u8>) {
    // Most of what can break stands at the start: places are spread as the square of the number.
    let place = |at: u16| bytes.len() * usize::from(at) / 65_536 * usize::from(at) / 65_536;
    let range = |from: u16, len: u16| place(from)..(place(from) + usize::from(len) % 300).min(bytes.len());
    match *fault {
        Fault::Cut(from, len) => drop(bytes.drain(range(from, len))),
        Fault::Doubled(from, len) => {
            let range = range(from, len);
            let piece = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, piece);
        }
        Fault::Byte(at, byte) => {
            let at = place(at);
            if let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
        }
        Fault::Piece(at, piece) => {
            let at = place(at);
            bytes.splice(at..at, piece.bytes());
        }
        Fault::Ended(at) => bytes.truncate(place(at)),
    }
}

#[test]
fn faulty_mail_is_read() {
    let mail = corpus::read(&["dev-2.tar.zst"]);
    if mail.is_empty() {
        return;
    }
    let count = std::env::var("OUTGUARD_FAULTY_MAIL").ok().and_then(|count| count.parse().ok()).unwrap_or(CASES);
    let cases = (proptest::sample::select(mail), proptest::collection::vec(fault(), 1..20));
    let result = TestRunner::new(Config { cases: count, failure_persistence: None, ..Config::default() }).run(
        &cases,
        |(mail, faults)| {
            let mut bytes = mail.bytes;
            for fault in &faults {
                do_to(fault, &mut bytes);
            }
            is_within(&judged(&bytes, &Bounds::default()), &Bounds::default());
            Ok(())
        },
    );
    if let Err(why) = result {
        panic!("{why}");
    }
}
