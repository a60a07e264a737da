//! Lists that rules look into: domains, extensions, names.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use aho_corasick::packed::{self, Searcher};
use foldhash::fast::FixedState;

use super::data::List;

/// All lists, with the operator's changes made.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: HashMap<String, Looked, FixedState>,
}

/// One list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries<'l>(Option<&'l Looked>);

/// A list in the forms that it is looked into.
#[derive(Debug, Default)]
struct Looked {
    entries: HashSet<String, FixedState>,
    /// The entries in order, and what tells whether any stands in a text: made when one is first searched for them.
    finder: OnceLock<(Vec<String>, Finder)>,
}

/// What tells whether any entry stands in a text.
#[derive(Debug)]
enum Finder {
    /// For short lists: it looks at many bytes at a time.
    Packed(Searcher),
    /// For longer ones, and processors that cannot do that.
    Automaton(AhoCorasick),
    /// There are more entries than an automaton takes.
    Absent,
}

impl Finder {
    fn of(entries: &[String]) -> Self {
        let packed = || packed::Config::new().builder().extend(entries).build();
        // A packed one takes no empty entry, and none of no entries.
        if let Some(searcher) = entries.iter().all(|entry| !entry.is_empty()).then(packed).flatten() {
            return Self::Packed(searcher);
        }
        AhoCorasick::new(entries).map_or(Self::Absent, Self::Automaton)
    }

    /// `false` is certain.
    fn may_be_in(&self, text: &str) -> bool {
        match self {
            Self::Packed(searcher) => searcher.find(text).is_some(),
            Self::Automaton(automaton) => automaton.is_match(text),
            Self::Absent => true,
        }
    }
}

impl Looked {
    fn finder(&self) -> &(Vec<String>, Finder) {
        self.finder.get_or_init(|| {
            let mut entries: Vec<String> = self.entries.iter().cloned().collect();
            entries.sort_unstable();
            let finder = Finder::of(&entries);
            (entries, finder)
        })
    }
}

impl Lists {
    /// The built-in lists, changed.
    pub(super) fn new(lists: &[List], changes: &BTreeMap<String, Vec<String>>) -> Self {
        let with_changes = |list: &List| {
            let changes = changes.get(&list.name).map_or(&[][..], Vec::as_slice);
            let entries = changed(list.entries.clone(), changes).into_iter().collect();
            (list.name.clone(), Looked { entries, finder: OnceLock::new() })
        };
        Self { lists: lists.iter().map(with_changes).collect() }
    }

    /// The list of that name; a test reads every name that a rule asks for.
    pub(super) fn of(&self, name: &str) -> Entries<'_> {
        debug_assert!(self.lists.contains_key(name), "no list {name}");
        Entries(self.lists.get(name))
    }
}

impl<'l> Entries<'l> {
    /// Whether exactly this stands in it. In lower case.
    pub(super) fn has(self, entry: &str) -> bool {
        self.0.is_some_and(|list| list.entries.contains(entry))
    }

    /// The entry that is this domain, or one that it is below.
    pub(super) fn domain(self, host: &str) -> Option<&'l str> {
        let list = &self.0?.entries;
        if let Some(entry) = list.get(host) {
            return Some(entry);
        }
        let parents = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
        parents.into_iter().find_map(|parent| list.get(parent)).map(String::as_str)
    }

    /// The first entry, by the alphabet, that stands in the text.
    pub(super) fn within(self, text: &str) -> Option<&'l str> {
        let (entries, finder) = self.0?.finder();
        // Most texts hold none.
        if !finder.may_be_in(text) {
            return None;
        }
        entries.iter().find(|entry| text.contains(entry.as_str())).map(String::as_str)
    }
}

/// A list after the operator's changes, which are made in order: `-entry` takes one out, `-*` all, others are added.
pub(super) fn changed(mut entries: Vec<String>, changes: &[String]) -> Vec<String> {
    for change in changes {
        match change.strip_prefix('-') {
            Some("*") => entries.clear(),
            Some(out) => entries.retain(|entry| entry != out),
            None => entries.push(change.clone()),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_made_in_order() {
        let built_in = || vec!["a".to_owned(), "b".to_owned()];
        let cases: [(&[&str], &[&str]); 4] = [
            (&[], &["a", "b"]),
            (&["-a", "c"], &["b", "c"]),
            (&["-*", "c"], &["c"]),
            (&["-x"], &["a", "b"]), // what is not there is out already
        ];
        for (changes, expected) in cases {
            let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
            assert_eq!(changed(built_in(), &changes), expected, "{changes:?}");
        }
    }

    #[test]
    fn entries_are_found_within_a_text() {
        let list = List {
            name: "l".to_owned(),
            sentence: String::new(),
            origin: String::new(),
            entries: ["opt out", "unsubscribe", "out", "abmelden"].map(str::to_owned).to_vec(),
        };
        let lists = Lists::new(&[list], &BTreeMap::new());
        let cases = [
            ("to unsubscribe, click", Some("unsubscribe")),
            ("opt out", Some("opt out")), // "out" stands in it too, and comes later
            ("unsubscribe or abmelden", Some("abmelden")),
            ("stay", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(lists.of("l").within(text), expected, "{text}");
        }
    }

    #[test]
    fn domains_are_found_with_what_is_below_them() {
        let list = List {
            name: "l".to_owned(),
            sentence: String::new(),
            origin: String::new(),
            entries: vec!["bit.ly".to_owned(), "pages.dev".to_owned()],
        };
        let lists = Lists::new(&[list], &BTreeMap::new());
        let list = lists.of("l");
        let cases = [
            ("bit.ly", Some("bit.ly")),
            ("x.y.pages.dev", Some("pages.dev")),
            ("rabbit.ly", None), // another domain that ends alike
            ("ly", None),
            ("", None),
        ];
        for (host, expected) in cases {
            assert_eq!(list.domain(host), expected, "{host}");
        }
    }
}
