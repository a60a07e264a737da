//! No split of a stream changes its lines, and no line holds what it must not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outguard::smtp::framing::{LineDecoder, LineFault};

const LINE_BYTES_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((&split, stream)) = data.split_first() else { return };
    let whole = lines(&[stream]);
    let (a, b) = stream.split_at(usize::from(split).min(stream.len()));
    assert_eq!(lines(&[a, b]), whole);
    for line in whole.into_iter().flatten() {
        assert!(line.len() + 2 <= LINE_BYTES_MAX && !line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
    }
});

fn lines(pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, LineFault>> {
    let mut decoder = LineDecoder::new(LINE_BYTES_MAX);
    let (mut held, mut lines) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let mut input = held.as_slice();
        while let Some(line) = decoder.next(&mut input) {
            lines.push(line.map(<[u8]>::to_vec));
        }
        held = input.to_vec();
    }
    lines
}
