//! What is stuffed comes back, at any split; repaired content holds no stray byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outguard::smtp::framing::{ContentDecoder, DotStuffer, Piece, StrayPolicy};

fuzz_target!(|data: &[u8]| {
    let Some((&split, message)) = data.split_first() else { return };
    let split = usize::from(split).min(message.len());

    let (mut stuffer, mut wire) = (DotStuffer::new(), Vec::new());
    stuffer.encode(&message[..split], &mut wire);
    stuffer.encode(&message[split..], &mut wire);
    stuffer.finish(&mut wire);
    let (decoded, used) = decode(&wire, split, StrayPolicy::Refuse).expect("a stuffed message ends");
    assert_eq!(used, wire.len(), "and not before its end");
    assert!(decoded == message || decoded == [message, b"\r\n"].concat());

    // As it came from a client: the end is the first CRLF.CRLF, and nothing else.
    let stream = [message, b"\r\n.\r\n"].concat();
    let (repaired, _) = decode(&stream, split, StrayPolicy::Repair).expect("the end is there");
    let crlf_gone = repaired.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    assert!(repaired.is_empty() || repaired.ends_with(b"\r\n"));
    assert!(crlf_gone.flatten().all(|b| !matches!(b, b'\r' | b'\n' | 0)), "only CRLF is left");
    let end =
        if stream.starts_with(b".\r\n") { 3 } else { stream.windows(5).position(|w| w == b"\r\n.\r\n").unwrap() + 5 };
    assert_eq!(decode(&stream, split, StrayPolicy::Refuse).expect("the end is there").1, end);
});

/// The message, and how many bytes it took.
fn decode(stream: &[u8], split: usize, strays: StrayPolicy) -> Option<(Vec<u8>, usize)> {
    let mut decoder = ContentDecoder::new(strays);
    let (mut message, mut at) = (Vec::new(), 0);
    for until in [split.min(stream.len()), stream.len()] {
        let mut input = &stream[at..until.max(at)];
        loop {
            match decoder.next(&mut input) {
                Piece::Bytes(bytes) => message.extend_from_slice(bytes),
                Piece::End => return Some((message, until.max(at) - input.len())),
                Piece::More => break,
            }
        }
        at = until.max(at) - input.len();
    }
    None
}
