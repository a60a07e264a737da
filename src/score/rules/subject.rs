//! What the subject says, and how.

use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "subject-marked-advert", look: marked_advert },
    Rule { name: "subject-empty", look: |look| seen(look.message.subject.trim().is_empty()) },
    Rule { name: "subject-capitals", look: capitals },
    Rule { name: "subject-starts-like-advert", look: starts_like_advert },
    Rule { name: "subject-exclamations", look: |look| seen(look.subject.count.exclamations >= 2) },
    Rule { name: "subject-percent-off", look: percent_off },
    Rule { name: "subject-says-nothing", look: says_nothing },
    Rule { name: "subject-false-reply", look: false_reply },
    Rule { name: "subject-spaced-letters", look: spaced_letters },
    Rule { name: "subject-names-recipient", look: names_recipient },
    Rule { name: "subject-random-string", look: random_string },
];

/// By the sender itself, before the subject or behind it.
fn marked_advert(look: &Look<'_>) -> Sight {
    let subject = look.message.subject.to_lowercase();
    let mark = look.lists.of("advert-marks").within(&subject)?;
    let subject = subject.trim();
    if subject.starts_with(mark) || subject.ends_with(mark) { example(mark) } else { None }
}

/// The provider's guide: fewer than three words in capitals.
fn capitals(look: &Look<'_>) -> Sight {
    // A short word is an abbreviation in any language.
    let loud = |word: &&str| {
        word.chars().filter(|c| c.is_alphabetic()).count() >= 4
            && !word.chars().any(char::is_lowercase)
            && !word.contains(|c: char| c.is_ascii_digit() || c == '_' || c == '/')
            && word.chars().any(char::is_uppercase)
    };
    seen(look.message.subject.split_whitespace().filter(loud).nth(2).is_some())
}

fn starts_like_advert(look: &Look<'_>) -> Sight {
    let first = look.subject.text.trim_start().split(' ').next()?;
    if look.lists.of("advert-starts").has(first) { example(first) } else { None }
}

/// A number and a per cent sign: 50 %, -30%. Figures of a disk or a report have no sign of a saving before or behind.
fn percent_off(look: &Look<'_>) -> Sight {
    let text = &look.message.subject;
    let numbered = text
        .match_indices('%')
        .any(|(at, _)| text[..at].trim_end().chars().next_back().is_some_and(|c| c.is_ascii_digit()));
    let finder = look.lists.of("percent-words");
    let saving = look.subject.text.split(' ').any(|word| finder.has(word)) || signed(text);
    seen(numbered && saving)
}

/// "-30%" as a price tag writes it.
fn signed(text: &str) -> bool {
    let tag = |(at, _): (usize, &str)| {
        let rest = text[at..].trim_start_matches(['-', '–', '−']);
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let before = text[..at].chars().next_back();
        (1..=2).contains(&digits)
            && rest[digits..].trim_start().starts_with('%')
            && !before.is_some_and(|c| c.is_ascii_digit() || c == '%')
    };
    text.match_indices(['-', '–', '−']).any(tag)
}

fn says_nothing(look: &Look<'_>) -> Sight {
    let whole = look.subject.text.trim();
    let nothing = look.lists.of("empty-subjects").has(whole);
    if nothing && !look.is_reply() { example(whole) } else { None }
}

/// "Re:" without the message that it would answer.
fn false_reply(look: &Look<'_>) -> Sight {
    let mark = look.message.subject.trim_start().get(..3)?;
    seen(mark.eq_ignore_ascii_case("re:") && !look.is_reply() && !look.is_report_path())
}

/// V I A G R A, c.l.i.c.k: single letters in a row, which no word list finds.
fn spaced_letters(look: &Look<'_>) -> Sight {
    let (mut run, mut longest) = (0, 0);
    for word in look.subject.text.split(' ').filter(|word| !word.is_empty()) {
        let single = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
        run = if single { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    seen(longest >= 5)
}

/// "bob, your mailbox bob@example.net is full": a name that the sender has from the address alone.
fn names_recipient(look: &Look<'_>) -> Sight {
    let subject = look.message.subject.to_lowercase();
    let envelope = look.submission.envelope.into_iter().flat_map(|envelope| &envelope.recipients);
    let mut addresses =
        envelope.map(|recipient| recipient.address.as_str()).chain(look.message.to.iter().map(|to| &*to.address));
    let named = |address: &&str| {
        let address = address.to_lowercase();
        address.contains('@') && subject.contains(&address) && look.from.is_none_or(|from| from.address != address)
    };
    let found = addresses.by_ref().take(RECIPIENTS_MAX).find(named)?;
    if look.is_report_path() { None } else { example(found) }
}

/// Recipients that are looked for.
const RECIPIENTS_MAX: usize = 20;

/// A word that nobody can say: filters that count whole subjects are to see a new one each time.
fn random_string(look: &Look<'_>) -> Sight {
    let vowel = |c: char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    let unsayable = |word: &&str| {
        let (mut run, mut longest) = (0, 0);
        for c in word.chars() {
            run = if c.is_ascii_lowercase() && !vowel(c) { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest >= CONSONANTS_MIN
    };
    look.subject.text.split(' ').find(unsayable).and_then(example)
}

/// German has "Angstschweiß" (eight, of which "chts" is common); abbreviations are shorter.
const CONSONANTS_MIN: usize = 9;

#[cfg(test)]
mod tests {
    use super::super::sample::{check, hit, mail, miss};
    use super::*;

    #[test]
    fn hits_and_near_misses() {
        let subject = |text: &str| mail().subject(text);
        let reply = |text: &str| subject(text).field("In-Reply-To", "<1@example.net>");
        check(
            RULES,
            vec![
                hit("subject-marked-advert", "as the law asks", subject("ADV: save on ink")),
                hit("subject-marked-advert", "in Korea", subject("(광고) 할인")),
                miss("subject-marked-advert", "a directory", subject("[AD] Controller patching on Friday")),
                miss("subject-marked-advert", "a house", subject("Quiz at the Crown (pub)")),
                miss("subject-marked-advert", "within", subject("The course (adv) begins in May")),
                miss("subject-marked-advert", "a word", subject("Adverbs and how to use them")),
                hit("subject-empty", "nothing", subject("")),
                hit("subject-empty", "no field", mail().without("Subject")),
                miss("subject-empty", "one letter", subject("?")),
                hit("subject-capitals", "a whole sentence", subject("GREAT OFFERS INSIDE")),
                hit("subject-capitals", "Cyrillic has capitals too", subject("ТОЛЬКО СЕГОДНЯ СКИДКА")),
                miss("subject-capitals", "two words", subject("GREAT OFFERS inside")),
                miss(
                    "subject-capitals",
                    "abbreviations and numbers",
                    subject("RE: FYI: PDF for ABC-1234-XYZ, USB and DVD"),
                ),
                miss("subject-capitals", "a script without capitals", subject("会议 纪要 请 查收 谢谢")),
                hit("subject-starts-like-advert", "the guide's word", subject("FREE delivery")),
                hit("subject-starts-like-advert", "in French", subject("Achetez maintenant")),
                miss("subject-starts-like-advert", "not in front", subject("Feel free to come")),
                hit("subject-exclamations", "two", subject("Come! Now!")),
                miss("subject-exclamations", "one", subject("Thank you!")),
                hit("subject-percent-off", "in words", subject("50% off everything")),
                hit("subject-percent-off", "as on a price tag", subject("Alles -30 %")),
                hit("subject-percent-off", "in Dutch", subject("Nu 20% korting")),
                miss("subject-percent-off", "a disk", subject("Disk /var is 91% full")),
                miss("subject-percent-off", "a range", subject("Load at 10-20%")),
                hit("subject-says-nothing", "any mail could have it", subject("Important")),
                miss("subject-says-nothing", "an answer keeps it", reply("Important")),
                miss("subject-says-nothing", "part of a subject", subject("Important: the date has changed")),
                hit("subject-false-reply", "answers nothing", subject("Re: your invoice")),
                miss("subject-false-reply", "an answer", reply("Re: your invoice")),
                miss("subject-false-reply", "another word", subject("Reminder")),
                hit("subject-spaced-letters", "hides a word", subject("V I A G R A for you")),
                hit("subject-spaced-letters", "with dots", subject("c.l.i.c.k here")),
                miss("subject-spaced-letters", "an abbreviation", subject("U.S.A. trip, plan B")),
                hit("subject-names-recipient", "the whole address", subject("bob@example.net: storage is full")),
                miss("subject-names-recipient", "somebody else's", subject("carol@example.net has left")),
                hit("subject-random-string", "nobody can say it", subject("Hello xkcdfghjklm")),
                miss("subject-random-string", "a long German word", subject("Angstschweiß und Rechtschreibung")),
                miss("subject-random-string", "a number", subject("Order 2026-B7XK93 shipped")),
            ],
        );
    }
}
