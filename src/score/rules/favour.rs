//! What speaks for a message, modestly: all of it can be imitated by one who knows of it.

use super::hosts::same_site;
use super::look::{Look, Sight, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "answers-own-thread", look: answers_own_thread },
    Rule { name: "answers-a-message", look: |look| seen(look.is_reply() && answers_own_thread(look).is_none()) },
    Rule { name: "report-in-form", look: |look| seen(look.message.shape.report && look.is_report_path()) },
    Rule { name: "signed-or-encrypted", look: |look| seen(look.message.shape.secured) },
];

/// A thread in which a message of the sender's own domain stands: somebody wrote to them, or they to somebody, before.
fn answers_own_thread(look: &Look<'_>) -> Sight {
    let ids = ["In-Reply-To", "References"].iter().filter_map(|name| look.field(name));
    let own = |id: &str| {
        let domain = id.trim_matches(['<', '>', ',']).rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        domain.is_some_and(|domain| domain.contains('.') && same_site(&domain, &look.from_domain))
    };
    seen(ids.flat_map(str::split_whitespace).take(REFERENCES_MAX).any(own))
}

/// Long threads are cut by readers at about so many.
const REFERENCES_MAX: usize = 50;

/// Whether subject or text tell how to leave the list.
pub(super) fn speaks_of_leaving(look: &Look<'_>) -> bool {
    let words = look.lists.of("leaving-words");
    let shown = |link: &&&crate::message::Link| {
        let visible = link.visible.to_lowercase();
        words.within(&visible).is_some() || words.within(&link.target.to_lowercase()).is_some()
    };
    look.message.links.iter().rev().take(100).collect::<Vec<_>>().iter().any(|link| shown(&link))
        || words.within(&tail(&look.message.text).to_lowercase()).is_some()
}

/// Where such a line stands: the last of the text.
fn tail(text: &str) -> &str {
    const TAIL_BYTES: usize = 3_000;
    let mut from = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::super::sample::{check, hit, mail, miss};
    use super::*;

    #[test]
    fn hits_and_near_misses() {
        let answer = |ids: &str| mail().field("In-Reply-To", ids);
        let report = || {
            let mut mail = mail();
            mail.message.shape.report = true;
            mail
        };
        let signed = || {
            let mut mail = mail();
            mail.message.shape.secured = true;
            mail
        };
        check(
            RULES,
            vec![
                hit("answers-own-thread", "an own message is answered", answer("<1@mail.example.org>")),
                hit(
                    "answers-own-thread",
                    "an own message stands in the thread",
                    answer("<2@example.net>").field("References", "<1@mail.example.org> <2@example.net>"),
                ),
                miss("answers-own-thread", "a stranger's thread", answer("<2@example.net>")),
                miss("answers-own-thread", "a first letter", mail()),
                hit("answers-a-message", "a stranger's thread", answer("<2@example.net>")),
                miss("answers-a-message", "words in place of an id", answer("your letter of Tuesday")),
                miss("answers-a-message", "the own thread is another rule's", answer("<1@mail.example.org>")),
                hit("report-in-form", "a report", report().reverse_path("")),
                miss("report-in-form", "one that can be answered", report()),
                hit("signed-or-encrypted", "signed", signed()),
                miss("signed-or-encrypted", "plain", mail()),
            ],
        );
    }
}
