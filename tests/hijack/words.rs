//! Texts out of a phrase bank: letters that are unlike each other, and bulk that is alike.

use crate::rig::Random;

const SUBJECTS: [&str; 24] = [
    "the second draft",
    "your visit next week",
    "the keys of the store room",
    "a question about the offer",
    "the minutes",
    "lunch on Thursday",
    "the new printer",
    "parking in the yard",
    "the holiday list",
    "the contract with the cleaners",
    "the heating",
    "the trade fair",
    "samples for the customer",
    "the training in May",
    "an error in the drawing",
    "the delivery of last Friday",
    "the meeting with the board",
    "the budget",
    "the broken window",
    "the photographs",
    "the garden party",
    "a call from the bank",
    "the shipment to Lyon",
    "the spare parts",
];
const VERBS: [&str; 16] = [
    "could you look at",
    "I have just seen",
    "we still need to talk about",
    "nobody has told me of",
    "I would rather postpone",
    "please send me what you have on",
    "thank you for",
    "I am not sure about",
    "they asked me again about",
    "we agreed on",
    "let us meet and settle",
    "I will bring",
    "do you know who takes care of",
    "I have finished",
    "there is some news on",
    "I forgot to mention",
];
const PLACES: [&str; 16] = [
    "before the weekend",
    "when I am back from Graz",
    "in the small room upstairs",
    "after the call with Peter",
    "by noon",
    "as we said on the phone",
    "since the auditor asked for it",
    "if it does not rain",
    "once the invoice is paid",
    "with the people from sales",
    "although it is late",
    "together with the old file",
    "for the folder on the server",
    "because the deadline moved",
    "unless somebody objects",
    "on the way to the station",
];
const ENDS: [&str; 8] = [
    "That is all for now.",
    "Call me if something is unclear.",
    "It is not urgent.",
    "I am in until five.",
    "Sorry for the delay.",
    "Greetings to everybody.",
    "More when we meet.",
    "Thanks a lot!",
];

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

/// A subject and a letter of a few sentences, as people write them: no two alike.
pub(crate) fn letter(random: &mut Random) -> (String, String) {
    let subject = pick(random, &SUBJECTS).to_owned();
    let mut text = format!("Hello {},\n\n", name(random));
    for _ in 0..2 + random.below(5) {
        let sentence = format!("{} {} {}. ", pick(random, &VERBS), pick(random, &SUBJECTS), pick(random, &PLACES));
        text.push_str(&sentence);
    }
    text.push_str(pick(random, &ENDS));
    (subject, text)
}

/// A long text on some topics, for an issue of a newsletter: alike within an issue, unlike the next.
pub(crate) fn issue(random: &mut Random) -> String {
    let mut text = String::from("Our news of this week.\n\n");
    for _ in 0..12 {
        text.push_str(&letter(random).1);
        text.push_str("\n\n");
    }
    text.push_str("You get this letter since you ordered it on our site. Unsubscribe: https://news.shop.example/u/");
    text
}

/// A first name.
pub(crate) fn name(random: &mut Random) -> &'static str {
    const NAMES: [&str; 20] = [
        "Anna", "Bela", "Carla", "David", "Emma", "Farid", "Gita", "Hugo", "Ines", "Jonas", "Klara", "Liam", "Mona",
        "Nils", "Olga", "Paul", "Rosa", "Sven", "Tara", "Ugo",
    ];
    pick(random, &NAMES)
}
