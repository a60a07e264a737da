//! The words of a reply that are the next hop's own, and not repeated out of what others wrote.
//!
//! Next hops repeat addresses: `550 <spamhaus@customer.example>: unknown user`. Whoever chooses an address must not choose
//! with it what the reply means, for some meanings keep other people's mail waiting. So a word counts as said by the next hop
//! only if it stands in neither address of the envelope, nor in brackets, quotes or anything with an `@`, nor in the reply of
//! another server that it tells: a recipient's own server says what its owner likes. A fragment is found where at least one
//! word of it is the next hop's own: an address of common words hides no reply. Of the reverse-path nothing is hidden but what
//! stands there as it is written, or a thief could choose one that hides from its own mail that the egress is blocked.

use std::collections::HashSet;
use std::ops::Range;

use serde::Deserialize;

/// Behind these a next hop tells what another server said to it: Exim of its callouts, Postfix of its probes and its own
/// next hop.
const TELLS_ANOTHERS: [&str; 4] = ["callout verification failed", "response:", "response was:", " said:"];
/// The most bytes that a `*` stands for.
const GAP_BYTES_MAX: usize = 48;

/// Words that stand in a row, in lower case; a `*` between them is a few letters without a space.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Fragment {
    /// What stands before, between and after the `*`.
    pieces: Vec<String>,
}

impl TryFrom<String> for Fragment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pieces: Vec<String> = text.split('*').map(str::to_owned).collect();
        if pieces.iter().any(|piece| !piece.bytes().any(is_letter)) || text != text.to_lowercase() {
            return Err(format!("{text:?} is no words: it is empty or not in lower case, or a * has none beside it"));
        }
        Ok(Self { pieces })
    }
}

/// A reply's text and which of it is repeated.
#[derive(Debug)]
pub(super) struct OwnWords {
    /// In lower case, a space before and after it.
    text: String,
    /// Where its words are the next hop's own.
    own: Vec<Range<usize>>,
}

impl OwnWords {
    /// Of a reply that may repeat these two.
    pub(super) fn of(reply: &str, recipient: &str, reverse_path: &str) -> Self {
        let recipient = recipient.to_ascii_lowercase();
        let of_others: HashSet<&[u8]> = recipient.as_bytes().split(|b| !is_letter(*b)).collect();
        let text = format!(" {} ", reply.to_ascii_lowercase());
        let mut repeated = repeated(&text);
        repeated.extend(written(&text, &reverse_path.to_ascii_lowercase()));
        let is_own = |word: &Range<usize>| {
            !of_others.contains(&text.as_bytes()[word.clone()]) && !repeated.iter().any(|span| overlap(span, word))
        };
        let own = words(&text).into_iter().filter(is_own).collect();
        Self { text, own }
    }

    /// Whether the next hop itself says that somewhere.
    pub(super) fn have(&self, fragment: &Fragment) -> bool {
        let Some((first, rest)) = fragment.pieces.split_first() else { return false };
        self.text.match_indices(first).any(|(at, _)| {
            let mut found = at..at + first.len();
            let mut is_own = self.is_own(&found);
            for piece in rest {
                let Some(next) = self.piece_behind(found.end, piece) else { return false };
                is_own |= self.is_own(&next);
                found = next;
            }
            is_own
        })
    }

    /// The next piece behind a `*`.
    fn piece_behind(&self, from: usize, piece: &str) -> Option<Range<usize>> {
        let rest = &self.text[from..];
        let (gap, _) = rest.match_indices(piece).next()?;
        let is_gap = gap <= GAP_BYTES_MAX && !rest[..gap].contains(' ');
        is_gap.then_some(from + gap..from + gap + piece.len())
    }

    fn is_own(&self, found: &Range<usize>) -> bool {
        self.own.iter().any(|word| overlap(word, found))
    }
}

/// Where the local part or the domain of an address stands as it is written.
fn written(text: &str, address: &str) -> Vec<Range<usize>> {
    let is_edge = |byte: Option<&u8>| byte.is_none_or(|byte| !is_letter(*byte));
    let stands = |range: &Range<usize>| {
        let bytes = text.as_bytes();
        is_edge(bytes[..range.start].last()) && is_edge(bytes.get(range.end))
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return Vec::new() };
    // Some servers leave out what stands behind a +.
    let mailbox = local.split('+').next().unwrap_or_default();
    let mut spans = Vec::new();
    for part in [local, mailbox, domain].into_iter().filter(|part| !part.is_empty()) {
        spans.extend(text.match_indices(part).map(|(at, part)| at..at + part.len()).filter(stands));
    }
    spans
}

/// What stands in brackets or quotes, what has an `@` between two spaces, be it encoded, and what another server said.
fn repeated(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for (opens, closes) in [('<', '>'), ('"', '"')] {
        let mut from = 0;
        while let Some(begin) = text[from..].find(opens).map(|at| from + at)
            && let Some(length) = text[begin + 1..].find(closes)
        {
            from = begin + 1 + length + 1;
            spans.push(begin..from);
        }
    }
    let mut from = 0;
    for part in text.split(' ') {
        if part.contains('@') || part.contains("%40") {
            spans.push(from..from + part.len());
        }
        from += part.len() + 1;
    }
    let told = TELLS_ANOTHERS.iter().filter_map(|tells| text.find(tells)).min();
    spans.extend(told.map(|at| at..text.len()));
    spans
}

fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| is_letter(*byte)) {
        match words.last_mut() {
            Some(word) if word.end == at => word.end += 1,
            _ => words.push(at..at + 1),
        }
    }
    words
}

/// Of a word: letters and digits, of whatever script.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_where_the_next_hop_says_them_itself() {
        let cases = [
            ("550 blocked using spamhaus", "a@b.example", "spamhaus", true),
            ("550 Blocked Using SPAMHAUS", "a@b.example", "blocked using", true),
            ("550 <spamhaus@b.example>: unknown", "x@b.example", "spamhaus", false), // brackets, whoever's address
            ("550 no user spamhaus here", "spamhaus+news@b.example", "spamhaus", false), // a word of the recipient's
            ("550 host spamhaus.b.example unknown", "a@SpamHaus.b.example", "spamhaus", false),
            ("550 \"blocked using\" is what the subject says", "a@b.example", "blocked using", false),
            ("550 a@spamhaus.example unknown", "x@y.example", "spamhaus", false), // another address than was said
            ("550 blocked using spamhaus", "blocked@b.example", "blocked using", true), // one of them is its own
            ("550 blocked using spamhaus", "blocked.using@b.example", "blocked using", false), // its own harm alone
            ("421 server busy", "server@b.example", "server busy", true),
            ("550 client host [192.0.2.1] blocked using x", "a@b.example", "client host [*] blocked using", true),
            (
                "550 client host [192.0.2.1] is not blocked using x",
                "a@b.example",
                "client host [*] blocked using",
                false,
            ),
            ("550 rejected. OFR_506", "a@b.example", "ofr*_506 ", true), // at the end
            ("550 rejected. OFR006_506 [506]", "a@b.example", "ofr*_506 ", true),
            ("550 john_506 unknown", "a@b.example", "ofr*_506 ", false),
            ("550 <open and never closed spamhaus", "a@b.example", "spamhaus", true),
            ("550 Callout verification failed: 550 blocked using spamhaus", "a@b.example", "blocked using", false),
            ("550 Called: 192.0.2.9 Response: 550 blocked using spamhaus", "a@b.example", "spamhaus", false),
            ("550 blocked using x, the response of its list: 1", "a@b.example", "blocked using", true),
            ("450 host mx.b.example said: 550 too many connections, slow down", "a@b.example", "slow down", false),
            ("550 see http://spf.example/why?id=x%40spamhaus.b.example", "a@b.example", "spamhaus", false),
            ("550 sender domain spamhaus.example unknown", "a@b.example", "spamhaus", false), // the reverse-path's
            ("550 no spamhaus.examples here", "a@b.example", "spamhaus", true),
            ("550 shop blocked using spamhaus", "a@b.example", "spamhaus", true), // not as it is written
        ];
        for (reply, address, fragment, expected) in cases {
            let fragment = Fragment::try_from(fragment.to_owned()).unwrap();
            assert_eq!(
                OwnWords::of(reply, address, "shop.club@spamhaus.example").have(&fragment),
                expected,
                "{fragment:?} in {reply}"
            );
        }
    }
}
