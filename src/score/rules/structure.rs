//! How a message is built: past a bound, broken, or lacking the part for plain readers.

use crate::message::Bound;

use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "message-unreadable", look: |look| seen(look.message.shape.met.contains(&Bound::Unreadable)) },
    Rule { name: "message-past-bounds", look: past_bounds },
    Rule { name: "encodings-broken", look: |look| seen(look.message.shape.broken_encodings >= BROKEN_MIN) },
    Rule { name: "html-without-plain", look: html_without_plain },
];

/// One is a slip of a program.
const BROKEN_MIN: u32 = 2;

/// Depth, parts, fields: no program builds so many. Large mail is only large.
fn past_bounds(look: &Look<'_>) -> Sight {
    let odd = |bound: &&Bound| matches!(bound, Bound::Depth | Bound::Parts | Bound::Fields);
    let bound = look.message.shape.met.iter().find(odd)?;
    example(match bound {
        Bound::Depth => "nested too deep",
        Bound::Parts => "too many parts",
        _ => "too many header fields",
    })
}

fn html_without_plain(look: &Look<'_>) -> Sight {
    seen(look.message.html.is_some() && look.message.plain.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Mail, check, hit, mail, miss};
    use super::*;

    fn met(bound: Bound) -> Mail {
        let mut mail = mail();
        mail.message.shape.met = vec![bound];
        mail
    }

    fn broken(count: u32) -> Mail {
        let mut mail = mail();
        mail.message.shape.broken_encodings = count;
        mail
    }

    #[test]
    fn hits_and_near_misses() {
        let html_alone = || {
            let mut mail = mail().html(|_| {});
            mail.message.plain.clear();
            mail
        };
        check(
            RULES,
            vec![
                hit("message-unreadable", "the parser failed", met(Bound::Unreadable)),
                miss("message-unreadable", "a long one", met(Bound::Bytes)),
                hit("message-past-bounds", "nested without end", met(Bound::Depth)),
                miss("message-past-bounds", "a long one", met(Bound::Text)),
                hit("encodings-broken", "two parts", broken(2)),
                miss("encodings-broken", "a slip", broken(1)),
                hit("html-without-plain", "HTML alone", html_alone()),
                miss("html-without-plain", "both", mail().html(|_| {})),
                miss("html-without-plain", "plain alone", mail()),
            ],
        );
    }
}
