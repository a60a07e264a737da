//! What fraud and forbidden goods look like beyond single words: sums with promises, forms to fill in, addresses to write to,
//! words written so that filters do not read them.

use crate::message::Mailbox;

use super::lists::Entries;
use super::look::{Look, Sight, example};
use super::registry::Rule;
use super::sums;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "fraud-with-large-sum", look: large_sum },
    Rule { name: "fraud-answers-to-free-mail", look: answers_to_free_mail },
    Rule { name: "form-to-fill-in", look: form_to_fill_in },
    Rule { name: "words-disguised", look: words_disguised },
];

/// So much of a text is looked through: fraud comes to the point.
const LOOKED_BYTES_MAX: usize = 16 * 1024;
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LOOKED_BYTES_MAX)]
}

/// Places with phrases of those who promise money to strangers, strong and weak ones.
fn promises(look: &Look<'_>) -> usize {
    look.places(&["advance-fee", "fraud-letters", "lottery"])
}

/// A sum such as $10,500,000.00, EUR 850.000 or 10.5 million in a text that promises.
fn large_sum(look: &Look<'_>) -> Sight {
    if promises(look) < 2 {
        return None;
    }
    example(sums::large(beginning(&look.message.text)).next()?)
}

/// The text asks to write to a free mailbox that is neither From nor To, and promises or lends.
fn answers_to_free_mail(look: &Look<'_>) -> Sight {
    if promises(look) < 2 && look.said("loans") == 0 {
        return None;
    }
    let text = beginning(&look.message.text);
    let free = look.lists.of("free-mail");
    let known = || look.message.from.iter().chain(&look.message.to).chain(&look.message.cc);
    let mut ats = memchr::memchr_iter(b'@', text.as_bytes()).take(ADDRESSES_MAX);
    let address = ats.find_map(|at| {
        let address = Mailbox { name: String::new(), address: address_around(text, at)?.to_owned() };
        free.domain(&address.domain()?)?;
        let is_known = known().any(|mailbox| mailbox.address.eq_ignore_ascii_case(&address.address));
        (!is_known).then_some(address.address)
    })?;
    example(&address)
}

/// Addresses of a text that are looked at.
const ADDRESSES_MAX: usize = 20;

/// The address that has its `@` there.
fn address_around(text: &str, at: usize) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    let local = text[..at].len() - text[..at].trim_end_matches(is_part).len();
    let domain = text[at + 1..].len() - text[at + 1..].trim_start_matches(is_part).len();
    let whole = text[at - local..at + 1 + domain].trim_end_matches(['.', '-']);
    (local > 0 && whole.len() > local + 1).then_some(whole)
}

/// Labels of a person's data with nothing behind them: who answers fills them in.
fn form_to_fill_in(look: &Look<'_>) -> Sight {
    let labels = look.lists.of("person-labels");
    let text = beginning(&look.message.text);
    let mut found: Vec<String> = Vec::new();
    let mut label = String::new();
    for at in memchr::memchr2_iter(b':', b'=', text.as_bytes()) {
        // A longer one is none, wherever it began.
        let near = &text[text.floor_char_boundary(at.saturating_sub(LABEL_BYTES_MAX + 1))..at];
        read_label(near.rsplit(LABEL_ENDS).next().unwrap_or_default(), &mut label);
        if labels.has(&label) && !found.contains(&label) && is_left_open(line_and_next(&text[at + 1..]), labels) {
            found.push(label.clone());
        }
    }
    if found.len() >= LABELS_MIN { example(&found.join(", ")) } else { None }
}

/// What may stand behind a label and below it. However many labels a text has, each costs so much at most.
fn line_and_next(behind: &str) -> &str {
    &behind[..behind.floor_char_boundary(BEHIND_BYTES_MAX)]
}

/// Filled in, what follows is no label and not empty; nor is the line below, where the label's own ends with it.
fn is_left_open(behind: &str, labels: Entries<'_>) -> bool {
    let first = behind.split(LABEL_ENDS).next().unwrap_or_default();
    if first.contains(char::is_alphanumeric) {
        return labels.has(&label(first));
    }
    let (rest, below) = behind.split_once('\n').unwrap_or((behind, ""));
    if rest.contains(LEFT_OPEN) || rest.contains(LABEL_ENDS) {
        return true;
    }
    let next = below.lines().take(2).find(|line| line.contains(char::is_alphanumeric)).unwrap_or_default();
    next.is_empty() || next.contains([':', '=']) || labels.has(&label(next))
}

/// How much of the text behind a label is looked at.
const BEHIND_BYTES_MAX: usize = 400;

/// Dots and lines where somebody is to write.
const LEFT_OPEN: [char; 3] = ['.', '_', '…'];

/// What ends a label, and what is filled in behind one.
const LABEL_ENDS: [char; 6] = ['\n', ':', '=', ';', ',', '?'];

/// So many labels make a form.
const LABELS_MIN: usize = 4;

/// The longest label.
const LABEL_BYTES_MAX: usize = 60;

/// A line's words without its number, bullets, dots and dashes, in lower case.
fn label(piece: &str) -> String {
    let mut label = String::new();
    read_label(piece, &mut label);
    label
}

/// The same into a string that is used again.
fn read_label(piece: &str, label: &mut String) {
    label.clear();
    if piece.len() > LABEL_BYTES_MAX {
        return;
    }
    for word in piece.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        let before = label.len();
        if before > 0 {
            label.push(' ');
        }
        let from = label.len();
        if word.is_ascii() {
            label.push_str(word);
            label[from..].make_ascii_lowercase();
        } else {
            label.push_str(&word.to_lowercase());
        }
        if ["your", "the", "a", "b", "c", "d", "e", "f"].contains(&&label[from..]) {
            label.truncate(before);
        }
    }
}

/// A word of the list once digits and signs are read as the letters that they look like, and not so written.
fn words_disguised(look: &Look<'_>) -> Sight {
    let list = look.lists.of("disguised-words");
    let mut read = String::new();
    for text in [look.message.subject.as_str(), beginning(&look.message.text)] {
        let bytes = text.as_bytes();
        let mut done = 0;
        for at in signs_in_words(bytes) {
            if at <= done {
                continue;
            }
            let start = bytes[..at].iter().rposition(u8::is_ascii_whitespace).map_or(0, |space| space + 1);
            let end = bytes[at..].iter().position(u8::is_ascii_whitespace).map_or(bytes.len(), |len| at + len);
            done = end;
            let word = text[start..end].trim_matches(|c: char| !c.is_alphanumeric() && !"@$|".contains(c));
            if (5..=WORD_BYTES_MAX).contains(&word.len()) && read_as(word, &mut read) && list.has(&read) {
                return example(word);
            }
        }
    }
    None
}

/// Where a sign stands behind a letter and with more behind it.
fn signs_in_words(text: &[u8]) -> impl Iterator<Item = usize> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    let signs = text.iter().enumerate().filter(|(_, byte)| SIGNS[usize::from(**byte)]).map(|(at, _)| at);
    signs.filter(move |at| {
        *at > 0 && is_letter(&text[*at - 1]) && text.get(*at + 1).is_some_and(|behind| !behind.is_ascii_whitespace())
    })
}

/// The signs of ASCII that stand for letters or between them; a euro sign is taken with the others of its word.
const SIGNS: [bool; 256] = {
    let signs = b"0123456789!|@$._*~^`\\,";
    let mut table = [false; 256];
    let mut at = 0;
    while at < signs.len() {
        table[signs[at] as usize] = true;
        at += 1;
    }
    table
};

/// The longest word in disguise.
const WORD_BYTES_MAX: usize = 32;

/// Reads a word as its letters look, l as i, doubled ones once; whether any sign had to be read so.
fn read_as(word: &str, read: &mut String) -> bool {
    read.clear();
    // At most one sign between two letters, and signs for letters only between letters: no date, price or address is read.
    if !word.starts_with(|c: char| c.is_alphabetic()) || word.contains("://") {
        return false;
    }
    let mut signs = 0;
    let mut letters = 0;
    for c in word.chars() {
        let letter = match c {
            '0' | 'ò'..='ö' | 'Ò'..='Ö' => 'o',
            '1' | '!' | '|' | 'ì'..='ï' | 'Ì'..='Ï' => 'i',
            '3' | '€' | 'è'..='ë' | 'È'..='Ë' => 'e',
            '4' | '@' | 'à'..='å' | 'À'..='Å' => 'a',
            '5' | '$' => 's',
            '.' | '_' | '*' | '~' | '^' | '`' | '\\' | ',' => {
                signs += 1;
                continue;
            }
            'l' | 'L' => {
                letters += 1;
                'i'
            }
            _ if c.is_ascii_alphabetic() => {
                letters += 1;
                c.to_ascii_lowercase()
            }
            _ => return false,
        };
        signs += usize::from(!c.is_alphabetic());
        if !read.ends_with(letter) {
            read.push(letter);
        }
    }
    signs > 0 && letters >= 3
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Mail, check, hit, mail, miss};
    use super::*;

    fn text(text: &str) -> Mail {
        mail().text(text)
    }

    #[test]
    fn hits_and_near_misses() {
        let heir = "As next of kin of my late client you have the sole right to";
        check(
            RULES,
            vec![
                hit("fraud-with-large-sum", "in front", text(&format!("{heir} US$10,500,000.00 at once"))),
                hit("fraud-with-large-sum", "behind", text(&format!("{heir} 850.000 Euro"))),
                hit("fraud-with-large-sum", "in brackets", text(&format!("{heir} (USD 2,700,000)"))),
                hit("fraud-with-large-sum", "in millions", text(&format!("{heir} USD 10.5m"))),
                miss("fraud-with-large-sum", "a small sum", text(&format!("{heir} $10,500"))),
                miss("fraud-with-large-sum", "no money", text(&format!("{heir} 10,500,000 stamps"))),
                miss("fraud-with-large-sum", "a budget", text("The council spends $10,500,000 on the new school.")),
                hit(
                    "fraud-answers-to-free-mail",
                    "a stranger's",
                    text(&format!("{heir} all. Write to barr.x@gmail.com.")),
                ),
                hit("fraud-answers-to-free-mail", "a lender's", text("Need a loan? Apply: lender7@yahoo.co.uk")),
                miss(
                    "fraud-answers-to-free-mail",
                    "the sender's own",
                    text(&format!("{heir} all. Write to x@gmail.com")).from("x@gmail.com"),
                ),
                miss("fraud-answers-to-free-mail", "nothing promised", text("Please write to carol@gmail.com")),
                miss("fraud-answers-to-free-mail", "a company's", text(&format!("{heir} all: carol@example.org"))),
                hit(
                    "form-to-fill-in",
                    "with dots",
                    text("Fill in:\n1. Full Name: ......\n2. Your Address:\n3) Phone number:\nAge: ____\nCountry:"),
                ),
                hit("form-to-fill-in", "in one line", text("Send name: address: phone: age: occupation:")),
                hit("form-to-fill-in", "in German", text("Name:\nAdresse:\nTelefon:\nAlter:\nBeruf:")),
                miss(
                    "form-to-fill-in",
                    "filled in",
                    text("Name: Bob\nAddress: 1 High Street\nPhone: 555 1234\nAge: 44\nCountry: UK"),
                ),
                miss(
                    "form-to-fill-in",
                    "filled in below",
                    text(
                        "Name:\nBob Smith\n\nAddress:\n1 High Street\n\nPhone:\n555 1234\n\nEmail:\nb@x.example\n\nCountry:\nUK\n",
                    ),
                ),
                miss("form-to-fill-in", "two questions", text("Name:\nPhone:\n")),
                hit("words-disguised", "digits", text("Buy V1agra today")),
                hit("words-disguised", "signs", text("cheap C.i.a.l.i.s here")),
                hit("words-disguised", "marks", mail().subject("vi@gr@ 50")),
                hit("words-disguised", "a digit for two letters", text("get va1ium")),
                miss("words-disguised", "loud", text("Tramadol!! Viagra!")),
                miss("words-disguised", "a possessive", text("the replica's stand, the medication's leaflet")),
                miss("words-disguised", "one or more", text("your medication/s, a photo/shop for prescription/s")),
                miss("words-disguised", "a doctor's letter", text("Viagra was not prescribed")),
                miss("words-disguised", "a version", text("Use v1.2-rc4 of the a11y package, see o365")),
                miss("words-disguised", "a divided word", text("the new phar-macy is open")),
                miss("words-disguised", "a word of another language", text("La réplica de la estatua, la médication")),
                miss("words-disguised", "French", text("C'est l'été à Sète, n'est-ce pas")),
            ],
        );
    }

    #[test]
    fn a_phrase_counts_once_over_all_lists() {
        let cases = [
            ("my late husband left US$10,500,000", None, "a phrase that holds another"),
            ("my late husband, my late husband: US$10,500,000", None, "said twice"),
            ("my late husband and this money: US$10,500,000", Some("10,500,000"), "two"),
        ];
        let rules = crate::score::Rules::new(&crate::score::ScoreSettings::default()).unwrap();
        for (said, expected, why) in cases {
            let reasons = text(said).reasons(&rules);
            let sum = reasons.iter().find(|reason| reason.name == "fraud-with-large-sum");
            assert_eq!(sum.is_some(), expected.is_some(), "{why}: {reasons:?}");
        }
    }
}
