//! What the model sees of a message: hashed words and pieces of words of subject and text, and named marks of its form.
//!
//! Of the header the subject is read, and of From and Reply-To their form ([`super::sender`]): Message-ID, Date, Received
//! and the rest name the sender's software and place, which in training mail is the source. Rules judge those. Of links
//! the words behind the host are read, and the last label of the host. Everything here is bounded: at most
//! [`TEXT_FEATURES_MAX`] features, from at most 20 KiB of text.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::marks::{self, Mark};
use super::text::{self, SubjectMark, Tally, Token};
use crate::message::{Link, Message};

/// Features of a text that are kept; what comes later in a long text adds none.
pub const TEXT_FEATURES_MAX: usize = 12_000;
/// The bit that tells a pair of words from all else: pairs say most about which text this is.
pub(super) const PAIR: u32 = 1 << 31;
/// Words of one link's path and query that are looked at.
const LINK_WORDS_MAX: usize = 12;
/// Letters of a piece of a word.
const PIECE: usize = 4;

/// The features of one message, each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// Hashes of words, pairs of words and pieces of words.
    pub text: Vec<u32>,
    /// Marks of its form.
    pub marks: Vec<Mark>,
    /// Where the features of each word, run and kind of the text end in `text`, in order; only if asked for.
    pub words: Vec<u32>,
}

/// Whether it is kept which features came from which word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// For an explanation.
    Kept,
    /// The hashes are enough.
    Dropped,
}

impl Features {
    /// Reads a message.
    pub fn of(message: &Message, words: Words) -> Self {
        let mut reader = Reader::new(message.text.len() + message.subject.len(), words);
        let Read { mark, subject, body } = read(message, |token, place| reader.token(token, place));
        reader.links(&message.links);
        let mut features = reader.features;
        features.marks = marks::of(message, mark, &subject, &body);
        features
    }
}

/// What is counted while subject and text are read.
pub(super) struct Read {
    mark: SubjectMark,
    subject: Tally,
    body: Tally,
}

/// Reads the words of subject and text, always in the same order.
pub(super) fn read(message: &Message, mut each: impl FnMut(Token<'_>, Place)) -> Read {
    let (mut subject, mut body) = (Tally::default(), Tally::default());
    let mark = text::read_subject(&message.subject, &mut subject, |token| each(token, Place::Subject));
    each(Token::Break, Place::Subject);
    text::read_body(&message.text, &mut body, |token| each(token, Place::Text));
    Read { mark, subject, body }
}

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Subject,
    Text,
}

/// What a hash is of; its seed, so that a word and a piece with the same letters differ.
#[derive(Debug, Clone, Copy)]
enum Of {
    Word = 1,
    Pair = 2,
    Piece = 3,
    SubjectWord = 4,
    Kind = 5,
    Run = 6,
    LinkWord = 7,
    LinkEnd = 8,
}

struct Reader {
    features: Features,
    seen: Seen<u32>,
    /// Words that were read before: their pieces are among the features.
    read: Seen<u64>,
    words: Words,
    /// The hash of the word before, 0 at a beginning.
    before: u64,
    empty_lines: u32,
}

impl Reader {
    fn new(bytes: usize, words: Words) -> Self {
        // Most texts have fewer; a larger table costs more to clear than it does to grow one.
        let expected = bytes.clamp(64, text::HEAD_BYTES_MAX + text::TAIL_BYTES_MAX) * 3 / 4;
        Self {
            features: Features { text: Vec::with_capacity(expected.min(TEXT_FEATURES_MAX)), ..Features::default() },
            seen: Seen::new(expected.min(TEXT_FEATURES_MAX)),
            read: Seen::new(256),
            words,
            before: 0,
            empty_lines: 0,
        }
    }

    fn token(&mut self, token: Token<'_>, place: Place) {
        if token == Token::Break {
            self.empty_lines += 1;
            if self.empty_lines > 1 || place == Place::Subject {
                self.before = 0;
            }
            return;
        }
        self.empty_lines = 0;
        match token {
            Token::Word(word) => self.word(word, place),
            Token::Run(run) => self.run(run, place),
            Token::Kind(kind) => {
                let hash = mix(kind as u64, Of::Kind);
                self.add(hash);
                self.pair(u64::from(hash));
            }
            Token::Break => {}
        }
        if self.words == Words::Kept {
            self.features.words.push(u32::try_from(self.features.text.len()).unwrap_or(u32::MAX));
        }
    }

    fn word(&mut self, word: &[char], place: Place) {
        let hash = hash_of(word);
        let is_new = self.read.insert(hash);
        if is_new {
            self.add(mix(hash, Of::Word));
        }
        if place == Place::Subject {
            self.add(mix(hash, Of::SubjectWord));
        }
        self.pair(hash);
        if !is_new || word.len() < PIECE {
            return;
        }
        let at = |i: usize| u64::from(u32::from(word[i])) & 0xffff;
        let mut piece = u64::from(b'_') << 32 | at(0) << 16 | at(1);
        for i in 2..=word.len() {
            piece = piece << 16 | if i < word.len() { at(i) } else { u64::from(b'_') };
            self.add(mix(piece, Of::Piece));
        }
    }

    /// Pairs and triples of characters stand in for words where no spaces are written.
    fn run(&mut self, run: &[char], place: Place) {
        for length in 1..=3 {
            for window in run.windows(length) {
                let hash = hash_of(window);
                self.add(mix(hash, Of::Run));
                if place == Place::Subject && length == 2 {
                    self.add(mix(hash, Of::SubjectWord));
                }
            }
        }
        self.before = 0;
    }

    /// Where links lead, but for the host: the end of its name, and words of path and query.
    fn links(&mut self, links: &[Link]) {
        for link in links.iter().filter(|link| matches!(link.scheme.as_str(), "http" | "https")) {
            let end = link.host.rsplit('.').next().unwrap_or_default();
            self.add(mix(xxh3_64_with_seed(end.as_bytes(), 0), Of::LinkEnd));
            let behind_host = link.target.splitn(4, '/').nth(3).unwrap_or_default();
            let words = behind_host.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| (2..16).contains(&w.len()));
            for word in words.take(LINK_WORDS_MAX) {
                self.add(mix(xxh3_64_with_seed(word.to_ascii_lowercase().as_bytes(), 0), Of::LinkWord));
            }
        }
    }

    fn pair(&mut self, hash: u64) {
        if self.before != 0 {
            self.add(mix(self.before.rotate_left(21) ^ hash, Of::Pair));
        }
        self.before = hash | 1;
    }

    fn add(&mut self, hash: u32) {
        if self.features.text.len() < TEXT_FEATURES_MAX && self.seen.insert(hash) {
            self.features.text.push(hash);
        }
    }
}

/// The hash of some letters, the same on every machine.
pub(super) fn hash_of(letters: &[char]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64 ^ letters.len() as u64;
    for letter in letters {
        hash = (hash ^ u64::from(u32::from(*letter))).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    hash
}

/// Spreads a key over 31 bits (the finalizer of splitmix64); the highest bit is that of [`PAIR`].
fn mix(key: u64, of: Of) -> u32 {
    let mut z = key.wrapping_add((of as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let hash = ((z ^ (z >> 31)) >> 33) as u32;
    if matches!(of, Of::Pair) { hash | PAIR } else { hash }
}

/// The hash of a named thing.
pub(super) fn named(name: &str, seed: u64) -> u32 {
    (xxh3_64_with_seed(name.as_bytes(), seed) >> 32) as u32
}

/// A set of hashes: open addressing in a table of a power of two, at most two thirds full.
struct Seen<H> {
    slots: Vec<H>,
    mask: usize,
    has_zero: bool,
    len: usize,
}

impl<H: Copy + Default + PartialEq + Into<u64>> Seen<H> {
    fn new(expected: usize) -> Self {
        let slots = (expected * 3 / 2).next_power_of_two().max(256);
        Self { slots: vec![H::default(); slots], mask: slots - 1, has_zero: false, len: 0 }
    }

    /// Whether it was not there yet.
    #[inline]
    fn insert(&mut self, hash: H) -> bool {
        let free = H::default();
        if hash == free {
            return !std::mem::replace(&mut self.has_zero, true);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the low bits choose the slot")]
        let mut slot = hash.into() as usize & self.mask;
        while self.slots[slot] != free {
            if self.slots[slot] == hash {
                return false;
            }
            slot = (slot + 1) & self.mask;
        }
        self.slots[slot] = hash;
        self.len += 1;
        if self.len * 3 > self.slots.len() * 2 {
            self.grow();
        }
        true
    }

    fn grow(&mut self) {
        let mut larger = Self::new(self.slots.len() * 4 / 3 + 1);
        for hash in self.slots.iter().filter(|hash| **hash != H::default()) {
            larger.insert(*hash);
        }
        larger.has_zero = self.has_zero;
        *self = larger;
    }
}
