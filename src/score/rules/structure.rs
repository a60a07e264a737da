//! How a message is built: past a bound, broken, or lacking the part for plain readers.

use crate::message::{Bound, Unkept};

use super::fold::Folded;
use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "message-unreadable", look: |look| seen(look.message.shape.met.contains(&Bound::Unreadable)) },
    Rule { name: "message-past-bounds", look: past_bounds },
    Rule { name: "encodings-broken", look: |look| seen(look.message.shape.broken_encodings >= BROKEN_MIN) },
    Rule { name: "encodings-not-kept", look: encodings_not_kept },
    Rule { name: "html-without-plain", look: html_without_plain },
    Rule { name: "alternative-without-plain", look: alternative_without_plain },
    Rule { name: "parts-differ", look: parts_differ },
];

/// One is a slip of a program.
const BROKEN_MIN: u32 = 2;
const ALTERNATIVE: &str = "multipart/alternative";

/// Depth, parts, fields, files: no program builds so many, and what stands behind was not looked at. Large mail is only large.
fn past_bounds(look: &Look<'_>) -> Sight {
    let odd = |bound: &&Bound| matches!(bound, Bound::Depth | Bound::Parts | Bound::Fields | Bound::Attachments);
    let bound = look.message.shape.met.iter().find(odd)?;
    example(match bound {
        Bound::Depth => "nested too deep",
        Bound::Parts => "too many parts",
        Bound::Attachments => "too many files",
        _ => "too many header fields",
    })
}

/// What every library keeps, and a script that puts mail together by hand does not.
fn encodings_not_kept(look: &Look<'_>) -> Sight {
    let said = |unkept: &Unkept| match unkept {
        Unkept::BodyBytes => Some("bytes over 127 in a part that says 7bit"),
        Unkept::EncodedLine => Some("an encoded line past 76 characters"),
        Unkept::HeaderBytes => None,
    };
    look.message.shape.unkept.iter().find_map(said).and_then(example)
}

fn html_without_plain(look: &Look<'_>) -> Sight {
    seen(look.message.html.is_some() && look.message.plain.trim().is_empty())
}

/// Who offers alternatives offers a plain one: it is what the form is for.
fn alternative_without_plain(look: &Look<'_>) -> Sight {
    let kind = look.field("Content-Type")?.trim_start();
    let is_alternative = kind.get(..ALTERNATIVE.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(ALTERNATIVE));
    seen(is_alternative && look.message.html.is_some() && look.message.plain.trim().is_empty())
}

/// The plain part is no version of the HTML: of its words, spread over its beginning, most are not shown.
fn parts_differ(look: &Look<'_>) -> Sight {
    look.message.html.as_ref()?;
    let plain = &look.message.plain;
    let plain = &plain[..plain.floor_char_boundary(PLAIN_BYTES_MAX)];
    // Addresses of pages stand behind links in the HTML, and so does what a plain part alone says of them.
    if plain.len() < HINT_BYTES_MAX && look.lists.of("browser-hints").within(&plain.to_lowercase()).is_some() {
        return None;
    }
    let is_word = |word: &&str| !word.bytes().any(|byte| matches!(byte, b'/' | b'@' | b'=' | b'['));
    let mut written = String::with_capacity(plain.len());
    for word in plain.split_whitespace().filter(is_word) {
        written.push_str(word);
        written.push(' ');
    }
    let folded = Folded::new(&written);
    let words: Vec<&str> = folded.text.split(' ').filter(|word| word.len() >= WORD_BYTES_MIN).collect();
    if words.len() < WORDS_MIN {
        return None;
    }
    let step = words.len().div_ceil(WORDS_ASKED_MAX);
    let asked = words.len().div_ceil(step);
    let is_shown = |word: &&&str| memchr::memmem::find(look.text.text.as_bytes(), word.as_bytes()).is_some();
    // Looked for no longer than until too many are shown.
    let shown = words.iter().step_by(step).filter(is_shown).take(asked * 4 / 10 + 1).count();
    seen((asked - shown) * 10 > asked * 6)
}

/// So much of the plain part is compared, in words of so many letters, so many of them at least and at most.
const PLAIN_BYTES_MAX: usize = 2 * 1024;
/// A plain part that only sends to a browser is no longer.
const HINT_BYTES_MAX: usize = 600;
const WORD_BYTES_MIN: usize = 4;
const WORDS_MIN: usize = 8;
const WORDS_ASKED_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::super::sample::{Mail, check, hit, mail, miss};
    use super::*;

    const OFFERED: &str = "Multipart/Alternative; boundary=m";

    fn met(bound: Bound) -> Mail {
        let mut mail = mail();
        mail.message.shape.met = vec![bound];
        mail
    }

    fn unkept(unkept: Unkept) -> Mail {
        let mut mail = mail();
        mail.message.shape.unkept = vec![unkept];
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
        let with_plain = |plain: &str| {
            let mut mail = mail().html(|_| {});
            plain.clone_into(&mut mail.message.plain);
            mail
        };
        check(
            RULES,
            vec![
                hit("message-unreadable", "the parser failed", met(Bound::Unreadable)),
                miss("message-unreadable", "a long one", met(Bound::Bytes)),
                hit("message-past-bounds", "nested without end", met(Bound::Depth)),
                hit("message-past-bounds", "files that were not looked at", met(Bound::Attachments)),
                miss("message-past-bounds", "a long one", met(Bound::Text)),
                hit("encodings-broken", "two parts", broken(2)),
                miss("encodings-broken", "a slip", broken(1)),
                hit("encodings-not-kept", "a long line", unkept(Unkept::EncodedLine)),
                hit("encodings-not-kept", "bytes over 127", unkept(Unkept::BodyBytes)),
                miss("encodings-not-kept", "the header is another rule's", unkept(Unkept::HeaderBytes)),
                hit("html-without-plain", "HTML alone", html_alone()),
                miss("html-without-plain", "both", mail().html(|_| {})),
                miss("html-without-plain", "plain alone", mail()),
                hit("alternative-without-plain", "one alternative", html_alone().field("Content-Type", OFFERED)),
                miss("alternative-without-plain", "both", mail().html(|_| {}).field("Content-Type", OFFERED)),
                miss("alternative-without-plain", "HTML alone", html_alone().field("Content-Type", "text/html")),
                hit(
                    "parts-differ",
                    "another text",
                    with_plain(
                        "Once upon a time there lived an old fisherman beside the wide sea, poor but content with everything",
                    ),
                ),
                miss("parts-differ", "the same", with_plain(super::super::sample::ORDINARY)),
                miss(
                    "parts-differ",
                    "a hint",
                    with_plain(
                        "Your email client does not support HTML messages. To view this newsletter in your web browser, please click the following link",
                    ),
                ),
                hit(
                    "parts-differ",
                    "more than a hint",
                    with_plain(&"The fisherman of the wide sea tells you to view this in your browser. ".repeat(10)),
                ),
                miss("parts-differ", "one part", mail()),
            ],
        );
    }
}
