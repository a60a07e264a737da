//! The name of an accepted message.

use std::fmt;
use std::str::FromStr;

/// The id of one accepted message: a counter of the store, never reused.
///
/// Written as ten characters of base 32 (digits and lower-case letters without i, l, o, u), so that ids sort as text
/// in the order of their making, are safe as file names, and cannot be misread. Ten characters hold 50 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(u64);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LEN: usize = 10;

impl QueueId {
    /// The largest id: 2^50 - 1.
    pub const MAX: Self = Self((1 << 50) - 1);

    /// The id of this number, unless it is over [`QueueId::MAX`].
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number behind the id, as the store keeps it.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; LEN];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(rest % 32) as usize];
            rest /= 32;
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

/// A text that is not a queue id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a queue id is ten characters of 0-9 and a-z without i, l, o and u")]
pub struct NotAQueueId;

impl FromStr for QueueId {
    type Err = NotAQueueId;

    fn from_str(text: &str) -> Result<Self, NotAQueueId> {
        if text.len() != LEN {
            return Err(NotAQueueId);
        }
        let mut number = 0;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|&c| c == byte.to_ascii_lowercase()).ok_or(NotAQueueId)?;
            number = number * 32 + digit as u64;
        }
        Self::new(number).ok_or(NotAQueueId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_sorts() {
        let numbers = [0, 1, 31, 32, 1_000_000, QueueId::MAX.0];
        let texts: Vec<String> = numbers.iter().map(|&n| QueueId(n).to_string()).collect();
        assert!(texts.is_sorted());
        for (number, text) in numbers.iter().zip(&texts) {
            assert_eq!(text.parse(), Ok(QueueId(*number)), "{text}");
        }
        assert_eq!("000000000i".parse::<QueueId>(), Err(NotAQueueId));
        assert_eq!("../../etc/".parse::<QueueId>(), Err(NotAQueueId));
    }
}
