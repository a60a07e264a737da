//! Base64 and quoted-printable as readers take them: what is broken is passed over, and counted (RFC 2045 6.7, 6.8).

use memchr::memchr2;

/// What stands at the place of a byte that is no base64 digit.
const NONE: u8 = 0xff;

const DIGITS: [u8; 256] = {
    let mut table = [NONE; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        #[expect(clippy::cast_possible_truncation, reason = "under 64")]
        let digit = i as u8;
        table[alphabet[i] as usize] = digit;
        i += 1;
    }
    table
};

/// Whether an encoding was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoded {
    /// Every byte had its meaning.
    Well,
    /// Some had none and were passed over or kept as they were.
    Badly,
}

/// Decodes base64 until `out` holds `bytes_max` bytes. Padding in the middle begins anew; other strange bytes are passed
/// over.
pub(super) fn base64(mut input: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Encoded {
    let mut result = Encoded::Well;
    let (mut chunk, mut digits) = (0_u32, 0_u32);
    out.reserve((input.len() / 4 * 3 + 3).min(bytes_max.saturating_sub(out.len())));
    while out.len() < bytes_max {
        if digits == 0 {
            input = whole_groups(input, bytes_max, out);
        }
        let Some((&byte, rest)) = input.split_first() else { break };
        input = rest;
        let digit = DIGITS[byte as usize];
        if digit != NONE {
            chunk = chunk << 6 | u32::from(digit);
            digits += 1;
            if digits == 4 {
                out.extend_from_slice(&chunk.to_be_bytes()[1..]);
                (chunk, digits) = (0, 0);
            }
        } else if byte == b'=' {
            result = worse(result, leftover(chunk, digits, out));
            (chunk, digits) = (0, 0);
        } else if !byte.is_ascii_whitespace() {
            result = Encoded::Badly;
        }
    }
    if digits != 0 && out.len() < bytes_max {
        // Missing padding is forgiven by every reader, a single digit carries no byte.
        result = worse(result, leftover(chunk, digits, out));
    }
    out.truncate(bytes_max);
    result
}

fn whole_groups<'a>(mut input: &'a [u8], bytes_max: usize, out: &mut Vec<u8>) -> &'a [u8] {
    while let [a, b, c, d, rest @ ..] = input {
        let [a, b, c, d] = [a, b, c, d].map(|b| DIGITS[*b as usize]);
        if a | b | c | d >= 64 || out.len() >= bytes_max {
            break;
        }
        let group = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
        out.extend_from_slice(&group.to_be_bytes()[1..]);
        input = rest;
    }
    input
}

fn leftover(chunk: u32, digits: u32, out: &mut Vec<u8>) -> Encoded {
    match digits {
        2 => out.push((chunk >> 4).to_be_bytes()[3]),
        3 => out.extend_from_slice(&(chunk >> 2).to_be_bytes()[2..]),
        1 => return Encoded::Badly,
        _ => {}
    }
    Encoded::Well
}

/// Decodes quoted-printable until `out` holds `bytes_max` bytes. Line breaks become LF; white space before one is the
/// transport's. An equals sign that means nothing stays.
pub(super) fn quoted_printable(mut input: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Encoded {
    let mut result = Encoded::Well;
    out.reserve(input.len().min(bytes_max.saturating_sub(out.len())));
    // White space up to here came encoded and stays.
    let mut kept = out.len();
    while out.len() < bytes_max {
        let Some(stop) = memchr2(b'=', b'\n', input) else {
            out.extend_from_slice(input);
            break;
        };
        out.extend_from_slice(&input[..stop]);
        let (mark, rest) = (input[stop], &input[stop + 1..]);
        input = rest;
        if mark == b'\n' {
            while out.len() > kept && out.last().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r')) {
                out.pop();
            }
            out.push(b'\n');
            kept = out.len();
        } else if let Some(byte) = hex_pair(rest) {
            out.push(byte);
            kept = out.len();
            input = &rest[2..];
        } else if let Some(after) = soft_break(rest) {
            kept = out.len();
            input = after;
        } else {
            out.push(b'=');
            result = Encoded::Badly;
        }
    }
    out.truncate(bytes_max);
    result
}

/// The byte that two hexadecimal digits at the start of `text` stand for.
pub(super) fn hex_pair(text: &[u8]) -> Option<u8> {
    let [high, low, ..] = text else { return None };
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// What follows a soft line break; white space may have been added before its end.
fn soft_break(text: &[u8]) -> Option<&[u8]> {
    // Bounded, so that a run of spaces behind many equals signs is not walked for each of them.
    let blanks = text.iter().take(80).take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
    match text.get(blanks) {
        Some(b'\n') => Some(&text[blanks + 1..]),
        None => Some(&[]),
        Some(_) => None,
    }
}

fn worse(a: Encoded, b: Encoded) -> Encoded {
    if a == Encoded::Badly { a } else { b }
}
