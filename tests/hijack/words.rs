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

/// What one letter in twelve has beside: a link, mostly to where others lead too, at times to somewhere new.
pub(crate) fn link(random: &mut Random) -> String {
    if !random.one_in(12) {
        return String::new();
    }
    if random.one_in(4) {
        return format!(" https://found{}.example/page", random.below(1_000_000));
    }
    format!(" https://everybody{}.example/{}", random.below(40), random.below(1_000))
}

/// Something that people order or ask about.
pub(crate) fn thing(random: &mut Random) -> &'static str {
    pick(random, &SUBJECTS)
}

/// An issue of a newsletter on gardens: alike within an issue, unlike the next but for its head and foot.
pub(crate) fn issue(random: &mut Random) -> String {
    const PLANTS: [&str; 12] = [
        "tomatoes",
        "the apple trees",
        "roses",
        "the lawn",
        "beans and peas",
        "the compost",
        "strawberries",
        "the hedge",
        "herbs on the balcony",
        "pumpkins",
        "the pond",
        "tulips",
    ];
    const ADVICE: [&str; 12] = [
        "want water early in the morning now, and none on their leaves",
        "can be cut back by a third before the end of the month",
        "do well beside marigolds, as our readers from the coast tell us",
        "need some patience this year, for the spring was cold",
        "are shown step by step by our gardener Ines on page four",
        "suffer from snails; a ring of coffee grounds helps more than salt",
        "were the theme of our visit to the open gardens in Graz",
        "should be covered in clear nights until the middle of the month",
        "can be sown once more, in rows a hand apart",
        "give more when the first flowers are taken off",
        "are divided in autumn and planted again at once",
        "stand best where the wind does not reach them",
    ];
    let mut text = String::from("these are the garden news of this week.\n\n");
    for _ in 0..14 {
        let plant = pick(random, &PLANTS);
        let lines = format!("About {plant}: they {}. They {}.\n\n", pick(random, &ADVICE), pick(random, &ADVICE));
        text.push_str(&lines);
    }
    text.push_str("You get this letter since you ordered it on our site. To leave the list: ");
    text
}

/// Texts of a thief that look clean: no word of money, no threat, one link.
pub(crate) const CLEAN: [&str; 5] = [
    "Hello {name},\nas agreed I send you the file {number} that we spoke of last month. You find it at \
     https://files{number}.example/view together with the plan for the second half of the year. Please look at it until \
     Friday and tell me what you think.\nBest regards",
    "Hi {name},\nI have put the drawings of the house on our server, as you asked. There are two versions now, and the \
     second has the larger kitchen: https://plans{number}.example/{name}. Let me know which of them I shall send to the \
     builder, he waits for our answer.\nSee you soon",
    "Dear {name},\nthe minutes of the last meeting are ready and can be read at https://doc{number}.example/minutes. \
     Under item four there is a question for you about the schedule of the spring. Would you be so kind as to answer it \
     before the next meeting?\nKind regards",
    "Good morning {name},\nwe have received your question about the delivery and have looked into it. The parts left our \
     house on Tuesday, the papers are at https://track{number}.example/p/{number}. Should something be missing, please \
     call us between nine and five.\nWith kind regards",
    "Hello {name},\nthe photographs of the excursion have become very good, I have chosen the best hundred of them. You \
     can see them at https://album{number}.example/{name} until the end of the month. The one of the lake is my \
     favourite.\nAll the best",
];

/// Texts that ask colleagues for their password.
pub(crate) const PHISHING: [&str; 3] = [
    "Dear {name}, your mailbox has reached its limit. Please log in at https://mail{number}.example/login with your \
     password within 24 hours, or it will be closed. Your administrator",
    "Hello {name},\nour mail server was moved during the night. To keep your mail you must confirm your account once: \
     https://portal{number}.example/confirm. Use your usual name and password. Mail that is not confirmed by tomorrow is \
     lost.\nIT department",
    "Hi {name},\nthe list of salaries for the next year is on the internal page, please check your entry before it goes \
     to the board: https://intern{number}.example/staff. You log in as you do at your computer.\nPersonnel department",
];

/// Texts that rules and model know, should no corpus be there.
pub(crate) const KNOWN: [&str; 3] = [
    "Dear {name}, your address has won 850,000 USD in our international lottery. To claim your prize {number} answer with \
     your full name, bank and telephone number to our claims agent within three days, http://win{number}.example",
    "Dear friend, I am the widow of a late minister and have 18 million US dollars in a bank that I want to transfer to \
     your account for charity. You will get 30 percent of the funds. Please answer in strict confidence, {name}.",
    "Cheap Viagra and Cialis without prescription, discreet delivery, 80% off today only, order now at \
     http://pills{number}.example/{name} and save. Click here for the best price on all our pills!",
];

/// A text with a name and a number put in.
pub(crate) fn filled(text: &str, random: &mut Random) -> String {
    let (name, number) = (name(random), random.below(1_000_000).to_string());
    text.replace("{name}", name).replace("{number}", &number)
}

/// A first name.
pub(crate) fn name(random: &mut Random) -> &'static str {
    const NAMES: [&str; 20] = [
        "Anna", "Bela", "Carla", "David", "Emma", "Farid", "Gita", "Hugo", "Ines", "Jonas", "Klara", "Liam", "Mona",
        "Nils", "Olga", "Paul", "Rosa", "Sven", "Tara", "Ugo",
    ];
    pick(random, &NAMES)
}
