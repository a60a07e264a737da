//! Words of all topics, found in one pass.
//!
//! Nearly every word begins where a word of the text does, so at each of these four bytes are looked up, and only what
//! begins with them is compared. The few that may begin within a word are left to an automaton.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

use super::data::Topic;
use super::fold::Folded;

/// A topic's place in the list of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TopicIndex(usize);

/// Finds words of topics in folded text.
#[derive(Debug)]
pub(super) struct WordFinder {
    heads: Heads,
    /// Words that begin anywhere, or are shorter than a head.
    others: Option<AhoCorasick>,
    /// Which words these are.
    other_words: Vec<usize>,
    /// For each word, the topics that it belongs to.
    topics_of: Vec<Vec<TopicIndex>>,
    /// The words as written, for the sentence.
    words: Vec<String>,
    topics: BTreeMap<String, TopicIndex>,
}

/// The words that stand in a text, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// By topic; sorted.
    words: Vec<(TopicIndex, usize)>,
}

impl WordFinder {
    /// Makes the finder of these topics, with what the operator adds and takes out.
    pub(super) fn new(topics: &[Topic], changes: &BTreeMap<String, Vec<String>>) -> Result<Self, BuildError> {
        let mut by_word: BTreeMap<String, Vec<TopicIndex>> = BTreeMap::new();
        let mut indices = BTreeMap::new();
        for (index, topic) in topics.iter().enumerate() {
            indices.insert(topic.name.clone(), TopicIndex(index));
            let built_in = topic.by_language.values().flatten().cloned().collect();
            let changes = changes.get(&topic.name).map_or(&[][..], Vec::as_slice);
            for word in super::lists::changed(built_in, changes) {
                let topics = by_word.entry(word).or_default();
                topics.push(TopicIndex(index));
                topics.dedup();
            }
        }
        let patterns: Vec<String> = by_word.keys().map(|word| pattern(word)).collect();
        let mut heads = Heads::default();
        let other_words: Vec<usize> = (0..patterns.len()).filter(|word| !heads.take(&patterns[*word], *word)).collect();
        heads.sort();
        let others: Vec<&String> = other_words.iter().map(|word| &patterns[*word]).collect();
        let automaton = || {
            // The contiguous form: a table for each state would take tens of megabytes.
            let kind = Some(AhoCorasickKind::ContiguousNFA);
            AhoCorasick::builder().kind(kind).match_kind(MatchKind::Standard).build(&others)
        };
        let others = if others.is_empty() { None } else { Some(automaton()?) };
        let (words, topics_of) = by_word.into_iter().unzip();
        Ok(Self { heads, others, other_words, topics_of, words, topics: indices })
    }

    /// The topic of that name.
    pub(super) fn topic(&self, name: &str) -> Option<TopicIndex> {
        self.topics.get(name).copied()
    }

    /// All words of all topics in a text.
    pub(super) fn find(&self, folded: &Folded) -> Found {
        let mut found = Found::default();
        let mut add = |word: usize| found.words.extend(self.topics_of[word].iter().map(|topic| (*topic, word)));
        self.heads.find(folded.text.as_bytes(), &mut add);
        if let Some(others) = &self.others {
            others.find_overlapping_iter(&folded.text).for_each(|hit| add(self.other_words[hit.pattern().as_usize()]));
        }
        found.words.sort_unstable();
        found.words.dedup();
        found
    }

    /// In how many places of the texts these words stand: a word counts once, and not at all where each of its places is
    /// within those of longer words.
    pub(super) fn places(&self, words: impl Iterator<Item = usize>, texts: [&Folded; 2]) -> usize {
        let mut patterns: Vec<(usize, String)> = words.map(|word| (word, pattern(&self.words[word]))).collect();
        patterns.sort_by_key(|(word, pattern)| (Reverse(pattern.trim().len()), *word));
        patterns.dedup();
        let mut taken: Vec<(usize, Range<usize>)> = Vec::with_capacity(patterns.len());
        for (_, pattern) in &patterns {
            let margin = pattern.len() - pattern.trim_start().len();
            let mut hits = texts.iter().enumerate().flat_map(|(which, text)| {
                let starts =
                    memchr::memmem::find_iter(text.text.as_bytes(), pattern.as_bytes()).take(PLACES_OF_A_WORD_MAX);
                starts.map(move |at| (which, at + margin..at + margin + pattern.trim().len()))
            });
            let is_free = |(which, place): &(usize, Range<usize>)| {
                !taken.iter().any(|(of, other)| of == which && other.start < place.end && place.start < other.end)
            };
            if let Some(place) = hits.find(is_free) {
                taken.push(place);
            }
        }
        taken.len()
    }

    /// The words as the data writes them.
    pub(super) fn written(&self, words: &[usize]) -> Vec<&str> {
        words.iter().map(|word| self.words[*word].as_str()).collect()
    }
}

/// A word is looked for in so many places, until one is its own.
const PLACES_OF_A_WORD_MAX: usize = 16;

/// Words by their first four bytes.
#[derive(Debug, Default)]
struct Heads {
    /// By place of the head.
    words: Vec<Headed>,
    /// Where in `words` those of a place begin; those of the last end with the list.
    starts: Vec<u32>,
}

/// A word with a head.
#[derive(Debug)]
struct Headed {
    head: u32,
    /// What follows the head.
    rest: Box<[u8]>,
    word: usize,
}

/// Places of heads: most words of a text find theirs empty.
const PLACES: u32 = 1 << 13;

impl Heads {
    /// Takes a pattern, if it begins with a space and has a head.
    fn take(&mut self, pattern: &str, word: usize) -> bool {
        let Some((head, rest)) = pattern.strip_prefix(' ').and_then(|text| text.as_bytes().split_first_chunk::<4>())
        else {
            return false;
        };
        self.words.push(Headed { head: u32::from_le_bytes(*head), rest: rest.into(), word });
        true
    }

    /// Once all are taken.
    fn sort(&mut self) {
        self.words.sort_by_key(|headed| (place(headed.head), headed.word));
        let begins = |at: u32| self.words.partition_point(|headed| place(headed.head) < at);
        self.starts = (0..=PLACES).map(|at| u32::try_from(begins(at)).unwrap_or(u32::MAX)).collect();
    }

    /// Tells each word that begins where a word of the text does.
    fn find(&self, text: &[u8], each: &mut impl FnMut(usize)) {
        for (at, five) in text.windows(5).enumerate() {
            let [b' ', head @ ..] = five else { continue };
            let Ok(head) = <[u8; 4]>::try_from(head).map(u32::from_le_bytes) else { continue };
            let behind = &text[at + 5..];
            let place = place(head) as usize;
            let (from, to) = (self.starts[place] as usize, self.starts[place + 1] as usize);
            for headed in &self.words[from..to] {
                if headed.head == head && behind.starts_with(&headed.rest) {
                    each(headed.word);
                }
            }
        }
    }
}

/// Where words of a head stand: its thirteen bits that are mixed best.
fn place(head: u32) -> u32 {
    head.wrapping_mul(0x9e37_79b1) >> (32 - PLACES.trailing_zeros())
}

impl Found {
    /// These and those, each once.
    pub(super) fn with(mut self, others: &Self) -> Self {
        self.words.extend(&others.words);
        self.words.sort_unstable();
        self.words.dedup();
        self
    }

    /// The words of one topic.
    pub(super) fn of(&self, topic: TopicIndex) -> impl Iterator<Item = usize> {
        self.words.iter().filter(move |(of, _)| *of == topic).map(|(_, word)| *word)
    }
}

/// A word as it stands in folded text: between spaces, but for an end that is open (`*`).
fn pattern(word: &str) -> String {
    let folded = Folded::new(word.trim_matches('*')).text;
    let mut pattern = folded.as_str();
    if word.starts_with('*') {
        pattern = pattern.strip_prefix(' ').unwrap_or(pattern);
    }
    if word.ends_with('*') {
        pattern = pattern.strip_suffix(' ').unwrap_or(pattern);
    }
    pattern.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, words: &[&str]) -> Topic {
        Topic {
            name: name.to_owned(),
            sentence: String::new(),
            origin: String::new(),
            by_language: [("en".to_owned(), words.iter().map(|w| (*w).to_owned()).collect())].into(),
        }
    }

    #[test]
    fn whole_words_are_found_wherever_they_stand() {
        let topics = [
            topic("buy", &["buy now", "last chance", "now", "% off", "*% rabatt"]),
            topic("stem", &["gratis*", "now"]),
        ];
        let finder = WordFinder::new(&topics, &BTreeMap::new()).unwrap();
        let cases: [(&str, &[&str]); 8] = [
            ("BUY-NOW!", &["buy now", "now"]),    // one word inside another counts, both whole
            ("last\r\nchance", &["last chance"]), // over a line's end
            ("nowhere", &[]),                     // only the beginning of a word
            ("know", &[]),                        // only its end
            ("50% rabatt", &["*% rabatt"]),       // an open beginning
            ("50% off", &[]),                     // a closed one
            ("gratisangebot", &["gratis*"]),      // an open end
            ("last chance, last chance", &["last chance"]), // each once
        ];
        for (text, expected) in cases {
            let found = finder.find(&Folded::new(text));
            let mut words: Vec<usize> = found.words.iter().map(|(_, word)| *word).collect();
            words.sort_unstable();
            words.dedup();
            assert_eq!(finder.written(&words), expected, "{text}");
        }
        let found = finder.find(&Folded::new("now"));
        assert_eq!(found.of(finder.topic("buy").unwrap()).count(), 1);
        assert_eq!(found.of(finder.topic("stem").unwrap()).count(), 1, "a word of two topics counts for both");
    }

    #[test]
    fn each_place_is_one_word() {
        let finder = WordFinder::new(
            &[topic("a", &["the sum", "sum of", "the sum of", "gift*"]), topic("b", &["the sum", "wire transfer"])],
            &BTreeMap::new(),
        )
        .unwrap();
        let cases = [
            ("the sum of", "", 1, "longer ones hold the others"),
            ("the sum of, and the sum", "", 2, "a place of its own"),
            ("the sum, the sum", "", 1, "a word of two topics, twice"),
            ("wire transfer", "wire transfer of gifts", 2, "subject and text"),
            ("the sum of gifts", "", 2, "beside each other"),
            ("nothing", "", 0, "no word"),
        ];
        for (text, subject, expected, why) in cases {
            let (text, subject) = (Folded::new(text), Folded::new(subject));
            let found = finder.find(&text).with(&finder.find(&subject));
            let words = ["a", "b"].into_iter().flat_map(|name| found.of(finder.topic(name).unwrap()));
            assert_eq!(finder.places(words, [&text, &subject]), expected, "{why}");
        }
    }

    #[test]
    fn the_operator_adds_and_takes_out() {
        let changes = [("buy".to_owned(), vec!["-now".to_owned(), "later".to_owned()])].into();
        let finder = WordFinder::new(&[topic("buy", &["now"])], &changes).unwrap();
        let buy = finder.topic("buy").unwrap();
        assert_eq!(finder.find(&Folded::new("now")).of(buy).count(), 0);
        assert_eq!(finder.find(&Folded::new("later")).of(buy).count(), 1);
    }
}
