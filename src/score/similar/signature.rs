//! The fuzzy hash of a text: one-permutation MinHash over its word pairs.
//!
//! The share of equal places of two signatures estimates the share of word pairs that the texts have in common
//! (Jaccard). Names, amounts and links that change for each recipient move it little: a word with a digit reads as "a
//! number", a link as "a link", an address as "an address". Quoted lines and what follows a "-- " line are left out.

use xxhash_rust::xxh3::xxh3_64;

use super::super::behaviour::language::{Language, Listener};
use super::super::blanks::{Piece, Pieces};
use crate::message::Message;

/// Places of a signature.
pub(super) const PLACES: usize = 48;
/// What stands in a place that no word pair fell into.
const EMPTY: u16 = u16::MAX;
/// Words that are read; the rest of a long text adds cost and no certainty.
const WORDS_MAX: usize = 600;
/// Bytes that are read, for texts of endless words.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Word pairs that a text must have: shorter ones are alike by chance.
const PAIRS_MIN: u32 = 5;
/// Places in use below which a text counts as short.
const SHORT_PLACES: usize = 20;
/// From this share of equal places on two texts are near-copies, in percent: short ones need more.
const ALIKE_PERCENT: usize = 45;
const ALIKE_SHORT_PERCENT: usize = 60;

/// The fuzzy hash of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub(super) [u16; PLACES]);

/// What one pass over a message's text tells.
#[derive(Debug)]
pub(in crate::score) struct Heard {
    /// Absent for texts too short to tell.
    pub(in crate::score) signature: Option<Signature>,
    pub(in crate::score) language: Option<Language>,
}

impl Signature {
    /// The signature of a message's subject, text and attachments; absent where there is too little of them.
    pub fn of(message: &Message) -> Option<Self> {
        hear(message).signature
    }

    /// The share of word pairs that both have, estimated, in percent.
    pub fn alike_percent(&self, other: &Self) -> usize {
        let (mut equal, mut used) = (0, 0);
        for (a, b) in self.0.iter().zip(&other.0) {
            used += usize::from(*a != EMPTY || *b != EMPTY);
            equal += usize::from(a == b && *a != EMPTY);
        }
        (equal * 100usize).checked_div(used).unwrap_or(0)
    }

    /// Whether one is a near-copy of the other.
    pub fn is_copy_of(&self, other: &Self) -> bool {
        let used = |signature: &Self| signature.0.iter().filter(|place| **place != EMPTY).count();
        let short = used(self).min(used(other)) < SHORT_PLACES;
        self.alike_percent(other) >= if short { ALIKE_SHORT_PERCENT } else { ALIKE_PERCENT }
    }

    /// Keys under which near-copies are looked for: two near-copies share at least one of them but in one of some
    /// thousands of cases. Places that nothing fell into borrow from the next one in use.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        let full = self.borrowed();
        (0..PLACES / 2).map(move |nth| {
            let (a, b) = (u64::from(full[2 * nth]), u64::from(full[2 * nth + 1]));
            mix((nth as u64) << 32 | a << 16 | b)
        })
    }

    fn borrowed(&self) -> [u16; PLACES] {
        let mut full = self.0;
        let mut last = self.0.iter().copied().find(|place| *place != EMPTY).unwrap_or(EMPTY);
        for place in full.iter_mut().rev() {
            if *place == EMPTY { *place = last } else { last = *place }
        }
        full
    }
}

/// Reads a message's text once.
pub(in crate::score) fn hear(message: &Message) -> Heard {
    let mut shingler = Shingler::default();
    shingler.text(&message.subject);
    for line in start_of(&message.text).lines() {
        if line.trim_end() == "--" || shingler.words >= WORDS_MAX {
            break;
        }
        if !line.trim_start().starts_with('>') {
            shingler.text(line);
        }
    }
    for attachment in message.attachments.iter().take(10) {
        shingler.word(xxh3_64(attachment.declared.as_bytes()));
        shingler.word(mix(attachment.size_bytes));
    }
    Heard { signature: shingler.signature(), language: shingler.listener.language() }
}

fn start_of(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Takes words, gives the smallest hash of each place.
#[derive(Debug)]
struct Shingler {
    places: [u16; PLACES],
    before: Option<u64>,
    words: usize,
    pairs: u32,
    listener: Listener,
    lower: String,
}

impl Default for Shingler {
    fn default() -> Self {
        Self {
            places: [EMPTY; PLACES],
            before: None,
            words: 0,
            pairs: 0,
            listener: Listener::default(),
            lower: String::new(),
        }
    }
}

const LINK: u64 = 1;
const MAILBOX: u64 = 2;
const NUMBER: u64 = 3;

/// Kinds of bytes that a piece of text has, each a bit.
const COLON: u8 = 1;
const AT: u8 = 2;
const DIGIT: u8 = 4;
const LETTER: u8 = 8; // a small one
const OTHER: u8 = 16;
const BEYOND: u8 = 32; // ASCII
const CAPITAL: u8 = 64;
const KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut byte = 0u8;
    loop {
        kinds[byte as usize] = match byte {
            b':' => COLON,
            b'@' => AT,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' => LETTER,
            b'A'..=b'Z' => CAPITAL,
            0x80.. => BEYOND,
            _ => OTHER,
        };
        if byte == u8::MAX {
            break kinds;
        }
        byte += 1;
    }
};

/// All kinds of its bytes, in one pass.
fn kinds_of(text: &str) -> u8 {
    text.bytes().fold(0, |kinds, byte| kinds | KINDS[usize::from(byte)])
}

impl Shingler {
    fn text(&mut self, text: &str) {
        for Piece { text: chunk, .. } in Pieces::of(text) {
            if self.words >= WORDS_MAX {
                return;
            }
            let bytes = kinds_of(chunk);
            if bytes & COLON != 0 && chunk.contains("://") || chunk.starts_with("www.") {
                self.word(LINK);
            } else if bytes & AT != 0 {
                self.word(MAILBOX);
            } else if bytes & !(DIGIT | LETTER | CAPITAL) == 0 {
                self.plain(chunk, bytes);
            } else {
                for word in chunk.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                    self.plain(word, kinds_of(word));
                }
            }
        }
    }

    /// A word of these [kinds](kinds_of) of bytes.
    fn plain(&mut self, word: &str, bytes: u8) {
        if bytes & DIGIT != 0 {
            self.word(NUMBER);
            return;
        }
        if bytes == LETTER {
            self.listener.hear(word);
            self.word(xxh3_64(word.as_bytes()));
            return;
        }
        let mut lower = std::mem::take(&mut self.lower);
        lower.clear();
        if bytes & BEYOND == 0 {
            lower.push_str(word);
            lower.make_ascii_lowercase();
        } else {
            lower.extend(word.chars().flat_map(char::to_lowercase));
        }
        self.listener.hear(&lower);
        if lower.chars().next().is_some_and(is_written_without_spaces) {
            for (at, letter) in lower.char_indices().take(200) {
                self.word(xxh3_64(&lower.as_bytes()[at..at + letter.len_utf8()]));
            }
        } else {
            self.word(xxh3_64(lower.as_bytes()));
        }
        self.lower = lower;
    }

    fn word(&mut self, hash: u64) {
        self.words += 1;
        if let Some(before) = self.before.replace(hash) {
            self.pairs += 1;
            let pair = mix(before.rotate_left(23) ^ hash);
            let place = usize::try_from(((pair >> 32) * PLACES as u64) >> 32).unwrap_or(0);
            let value = u16::try_from(pair & 0xffff).unwrap_or(0).min(EMPTY - 1);
            self.places[place] = self.places[place].min(value);
        }
    }

    fn signature(&self) -> Option<Signature> {
        (self.pairs >= PAIRS_MIN).then_some(Signature(self.places))
    }
}

/// Scripts that part no words by spaces: each letter is a word.
fn is_written_without_spaces(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{1000}'..='\u{109f}')
}

/// Spreads the bits of a number (the finaliser of splitmix64).
fn mix(mut value: u64) -> u64 {
    value ^= value >> 30;
    value = value.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^= value >> 27;
    value = value.wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(subject: &str, text: &str) -> Option<Signature> {
        Signature::of(&Message { subject: subject.to_owned(), text: text.to_owned(), ..Message::default() })
    }

    const OFFER: &str = "Dear Anna,\nwe are a small supplier of office chairs in your region and would like to send you \
                         our price list for the coming season. Your reference is A-4711. Please have a look at \
                         https://one.example/abc and tell us whether a visit on Monday would suit you.\nKind regards,\nTom";

    #[test]
    fn near_copies() {
        let other_names =
            OFFER.replace("Anna", "Berthold").replace("4711", "12").replace("one.example/abc", "two.example/x");
        let other_words = OFFER.replace("office chairs", "desk lamps").replace("Monday", "Friday");
        let cases = [
            ("the text itself", OFFER.to_owned(), true),
            ("another name, number and link", other_names.clone(), true),
            ("two nouns and a day changed", other_words, true),
            ("quoted below", format!("{other_names}\n> {}", "something else entirely ".repeat(20)), true),
            ("another signature", format!("{other_names}\n-- \n{}", "Some Company, its seat and its number ".repeat(9)), true),
            (
                "another text",
                "Dear Anna,\nthank you for yesterday. The minutes are attached; could you check the second item and send \
                 me your remarks before the board meets on Thursday? I have booked the small room upstairs.\nTom"
                    .to_owned(),
                false,
            ),
        ];
        let original = signature("Office chairs", OFFER).unwrap();
        for (what, text, expected) in cases {
            let other = signature("Office chairs", &text).unwrap();
            assert_eq!(original.is_copy_of(&other), expected, "{what}: {} %", original.alike_percent(&other));
            let shared = original.keys().zip(other.keys()).filter(|(a, b)| a == b).count();
            assert!(!expected || shared > 0, "{what}: found by none of its keys");
        }
    }

    #[test]
    fn texts_too_short_have_no_signature() {
        assert_eq!(signature("Re: lunch", "ok, thanks"), None);
        assert_eq!(signature("", ""), None);
    }

    #[test]
    fn letters_are_words_where_nothing_parts_them() {
        let text = "您的订单已经准备好发货我们将尽快为您送达请注意查收谢谢您的支持";
        let (a, b) = (signature("通知", text).unwrap(), signature("通知", &text.replace("订单", "包裹")).unwrap());
        assert!(a.is_copy_of(&b), "{} %", a.alike_percent(&b));
    }

    #[test]
    fn endless_words_are_cut() {
        let heard = signature("", &"ü".repeat(300_000));
        assert_eq!(heard, None);
        assert!(signature("", &"ab cd ".repeat(100_000)).is_some());
    }
}
