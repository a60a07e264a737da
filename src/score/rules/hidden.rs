//! Letters and text that are not what they seem: hidden, look-alike, split.

use super::fold::Folded;
use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "hidden-text", look: hidden_text },
    Rule { name: "text-in-background-colour", look: camouflaged },
    Rule { name: "comment-filler", look: comment_filler },
    Rule { name: "letters-split", look: letters_split },
    Rule { name: "letters-mixed-scripts", look: mixed_scripts },
    Rule {
        name: "letters-styled",
        look: |look| seen(look.text.count.styled + look.subject.count.styled >= STYLED_MIN),
    },
    Rule { name: "name-or-subject-disguised", look: name_or_subject },
    Rule { name: "direction-override", look: direction_override },
];

/// A preview line ("preheader") has about a hundred letters; some senders put a whole sentence or two.
const PREVIEW_LETTERS_MAX: usize = 400;
/// A word or two in the background's colour are an accident of a template.
const CAMOUFLAGED_MIN: u32 = 80;
/// What conditional comments for one mail program take in ordinary templates.
const COMMENT_BYTES_MAX: u64 = 16_384;
/// A heading in styled letters is fashion in some newsletters; a body of them hides words.
const STYLED_MIN: usize = 20;

/// More than a preview line, and much beside what is shown.
fn hidden_text(look: &Look<'_>) -> Sight {
    let hidden = look.html()?.hidden.chars().filter(|c| c.is_alphanumeric()).take(4 * PREVIEW_LETTERS_MAX).count();
    seen(hidden > PREVIEW_LETTERS_MAX && (hidden * 2 > look.text.count.letters || hidden == 4 * PREVIEW_LETTERS_MAX))
}

fn camouflaged(look: &Look<'_>) -> Sight {
    seen(look.html()?.camouflaged_chars >= CAMOUFLAGED_MIN)
}

fn comment_filler(look: &Look<'_>) -> Sight {
    let html = look.html()?;
    seen(html.comment_bytes > COMMENT_BYTES_MAX && html.comment_bytes * 2 > html.size_bytes)
}

/// Characters without width inside words.
fn letters_split(look: &Look<'_>) -> Sight {
    seen(look.text.count.zero_width >= 3)
}

/// Once may be a slip of the keyboard.
fn mixed_scripts(look: &Look<'_>) -> Sight {
    seen(look.text.count.mixed_words >= 2)
}

/// The display name or the subject: there nobody slips.
fn name_or_subject(look: &Look<'_>) -> Sight {
    let disguised = |folded: &Folded| folded.count.zero_width > 0 || folded.count.mixed_words > 0;
    if disguised(&look.subject) {
        return example(&look.message.subject);
    }
    if disguised(&look.from_name) { example(&look.from?.name) } else { None }
}

/// A file name turned over reads `exe.pdf`; Hebrew and Arabic need no override.
fn direction_override(look: &Look<'_>) -> Sight {
    let turns = |text: &str| text.contains(['\u{202d}', '\u{202e}']);
    let file = look.message.attachments.iter().find(|file| turns(&file.name));
    if let Some(file) = file {
        return example(&file.name);
    }
    seen(look.subject.count.overrides > 0 || look.from_name.count.overrides > 0)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ORDINARY, check, hit, mail, miss};
    use super::*;
    use crate::message::Content;

    #[test]
    fn hits_and_near_misses() {
        let hidden = |text: &str| {
            let text = text.to_owned();
            mail().html(move |html| html.hidden = text)
        };
        let text = |extra: &str| mail().text(&format!("{ORDINARY} {extra}"));
        check(
            RULES,
            vec![
                hit("hidden-text", "a story that nobody sees", hidden(&"once upon a time ".repeat(40))),
                miss(
                    "hidden-text",
                    "a preview line",
                    hidden("Your order is on its way and will arrive on Tuesday, see inside"),
                ),
                miss("hidden-text", "padding of a preview line", hidden(&"\u{200c}\u{a0}".repeat(500))),
                hit("text-in-background-colour", "white on white", mail().html(|html| html.camouflaged_chars = 300)),
                miss("text-in-background-colour", "a spacer", mail().html(|html| html.camouflaged_chars = 10)),
                hit(
                    "comment-filler",
                    "more comment than text",
                    mail().html(|html| (html.comment_bytes, html.size_bytes) = (60_000, 80_000)),
                ),
                miss(
                    "comment-filler",
                    "conditional comments",
                    mail().html(|html| (html.comment_bytes, html.size_bytes) = (6_000, 9_000)),
                ),
                hit("letters-split", "three times", text("v\u{200b}i\u{200b}a\u{200b}gra")),
                miss("letters-split", "a preview line's padding", text(&"\u{200c} ".repeat(50))),
                miss(
                    "letters-split",
                    "Persian needs them",
                    text("می\u{200c}خواهم می\u{200c}روم می\u{200c}شود می\u{200c}کند"),
                ),
                hit("letters-mixed-scripts", "Cyrillic in Latin words", text("Your pаypаl аccount")),
                miss("letters-mixed-scripts", "a slip", text("Your paypаl account")),
                miss(
                    "letters-mixed-scripts",
                    "Russian about machines",
                    text("USB-порт, SMSки и Wi-Fi в офисе, e-mail'ы"),
                ),
                hit("letters-styled", "a sentence", text("𝗬𝗼𝘂 𝗵𝗮𝘃𝗲 𝘄𝗼𝗻 𝗮 𝗽𝗿𝗶𝘇𝗲 𝘁𝗼𝗱𝗮𝘆")),
                miss("letters-styled", "a word", text("𝗡𝗲𝘄𝘀")),
                hit("name-or-subject-disguised", "in the subject", mail().subject("Your pаypal account")),
                hit("name-or-subject-disguised", "in the name", mail().from("Pay\u{200b}Pal <alice@example.org>")),
                miss("name-or-subject-disguised", "another script", mail().subject("Протокол встречи")),
                miss(
                    "name-or-subject-disguised",
                    "two scripts, word by word",
                    mail().subject("Протокол of our встречи"),
                ),
                hit(
                    "direction-override",
                    "a program that reads as a document",
                    mail().file("invoice\u{202e}fdp.exe", "application/pdf", Content::Program),
                ),
                hit("direction-override", "in the subject", mail().subject("a\u{202e}b")),
                miss("direction-override", "a mark that Hebrew text has", mail().subject("שלום\u{200f} 123")),
            ],
        );
    }
}
