//! Which names the fields of a header have: of most fields that rules ask for there is none.

use crate::message::HeaderField;

/// A set of names, each under one of few places that others may share; names have no case.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Places with a field.
    once: [u64; WORDS],
    /// Places with two and more.
    twice: [u64; WORDS],
}

const WORDS: usize = 4;

impl Names {
    /// The names of a header.
    pub(super) fn of(header: &[HeaderField]) -> Self {
        let mut names = Self::default();
        for field in header {
            let (word, bit) = place(&field.name);
            names.twice[word] |= names.once[word] & bit;
            names.once[word] |= bit;
        }
        names
    }

    /// Whether there may be a field of that name; `false` is certain.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let (word, bit) = place(name);
        self.once[word] & bit != 0
    }

    /// Whether there may be more than one; `false` is certain.
    pub(super) fn may_have_two(&self, name: &str) -> bool {
        let (word, bit) = place(name);
        self.twice[word] & bit != 0
    }
}

/// The word of a name and its bit there, by some of its letters.
fn place(name: &str) -> (usize, u64) {
    let name = name.as_bytes();
    let letter = |at: usize| name.get(at).map_or(0, |letter| usize::from(letter | 0x20));
    let last = name.len().saturating_sub(1);
    let sum = name.len() * 37 + letter(0) * 5 + letter(name.len() / 2) * 11 + letter(last) * 17;
    (sum / 64 % WORDS, 1 << (sum % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_in_any_case() {
        let field = |name: &str| HeaderField { name: name.to_owned(), value: String::new() };
        let names = Names::of(&["From", "X-Mailer", "received", "Received", ""].map(field));
        for there in ["from", "FROM", "x-mailer", "RECEIVED", ""] {
            assert!(names.may_have(there), "{there}");
        }
        assert!(names.may_have_two("Received"));
        let absent = ["To", "Cc", "Sender", "Reply-To", "List-Id", "Precedence", "X-PHP-Script", "Resent-From"];
        let wrong = absent.iter().filter(|name| names.may_have(name)).count();
        assert!(wrong < 2, "a place is shared too often");
        assert!(!names.may_have_two("From") && !names.may_have_two("X-Mailer"));
    }
}
