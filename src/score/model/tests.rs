//! A model over its life: made, written, read, asked, taught.

use super::*;
use crate::message::Bounds;
use train::{Example, Header, Label, Origin, Recipe};

fn read(subject: &str, text: &str) -> Message {
    let mail = format!(
        "From: a@example.org\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        text.replace('\n', "\r\n")
    );
    Message::parse(mail.as_bytes(), &Bounds::default())
}

/// A few hundred messages of invented words: half the words lean to spam.
fn examples() -> Vec<Example> {
    let mut random = 7_u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let word =
        |n: u64| -> String { (0..5).map(|i| char::from(b'a' + ((n * 7 + n / 5 + i * (n % 11)) % 26) as u8)).collect() };
    (0..240)
        .map(|i| {
            let spam = i % 3 == 0;
            let mut words = Vec::new();
            for _ in 0..20 + next(60) {
                let n = next(200);
                let leans = next(100) < 70;
                words.push(word(if leans { n * 2 + u64::from(spam) } else { n * 2 + next(2) }));
            }
            let message = read(&word(next(400)), &words.join(" "));
            let label = if spam { Label::Spam } else { Label::Ham };
            Example { features: Features::of(&message, Words::Dropped), label, source: i % 5, header: Header::Real }
        })
        .collect()
}

fn origin() -> Origin {
    Origin {
        name: "test".into(),
        made: "2026-11-21".into(),
        sources: (0..5).map(|i| format!("s{i}")).collect(),
        ..Origin::default()
    }
}

fn made(seed: u64) -> Model {
    let examples = examples();
    let all: Vec<&Example> = examples.iter().collect();
    train::train(&all, &origin(), &[0, 1, 2, 3, 4], &Recipe { seed, rounds: 3, ..Recipe::default() })
}

#[test]
fn the_same_mail_makes_the_same_bytes() {
    let (one, again, other) = (made(1), made(1), made(2));
    assert_eq!(one.to_bytes(), again.to_bytes());
    assert_ne!(one.to_bytes(), other.to_bytes(), "the seed is the order");
    let read = Model::load(&one.to_bytes()).unwrap();
    assert!(read == one, "what is read is what was written");
}

#[test]
fn steps_of_a_byte_lose_nothing() {
    let examples = examples();
    let (learnt, apart): (Vec<&Example>, Vec<&Example>) = examples.iter().partition(|e| e.source != 4);
    let recipe = Recipe { rounds: 3, ..Recipe::default() };
    let (shipped, exact) = train::weights_and_exact(&learnt, &recipe);
    let area = |sum: &dyn Fn(&Features) -> f64| {
        let judged = |e: &&Example| train::measure::Judged { score: sum(&e.features), spam: e.label == Label::Spam };
        train::measure::area(&apart.iter().map(judged).collect::<Vec<_>>()).unwrap()
    };
    let (quantized, full) = (area(&|f| shipped.sum(f).sum), area(&exact));
    assert!(full > 0.9, "there is something to lose: {full}");
    assert!((full - quantized).abs() < 0.0005, "{quantized} of {full}");
}

#[test]
fn damage_is_found() {
    let good = made(1).to_bytes();
    for at in (0..good.len()).step_by(9_973).chain([0, 5, 18, 40, good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert!(Model::load(&bad).is_err(), "byte {at}");
    }
    for length in [0, 10, 17, 40, good.len() / 2, good.len() - 1] {
        assert!(Model::load(&good[..length]).is_err(), "{length} bytes");
    }
    let mut long = good.clone();
    long.push(0);
    assert!(Model::load(&long).is_err(), "a byte more");
}

#[test]
fn the_shipped_model_is_small_and_says_what_it_is() {
    assert!(SHIPPED.len() < 2 << 20, "{} bytes", SHIPPED.len());
    let card = Model::shipped().card();
    assert!(!card.name.is_empty() && !card.made.is_empty(), "{card:?}");
    assert!(card.sources.iter().map(|s| s.spam).sum::<usize>() > 1_000);
}

#[test]
fn an_explanation_names_words_of_the_message() {
    let message = read(
        "Winner",
        "Dear friend, you have won 5,000,000 dollars in the lottery. Send your bank details to claim the money.",
    );
    let score = Model::shipped().score(&message);
    assert!(score.points() > 0, "{score:?}");
    assert!(!score.evidence.is_empty() && score.evidence.len() <= 6);
    assert!(score.evidence.is_sorted_by(|a, b| a.weight >= b.weight));
}

#[test]
fn a_lesson_changes_what_is_said_of_its_message() {
    let message =
        read("Our spring offers", "Order three pairs of shoes now and save twenty per cent this week in our shop.");
    let model = Model::shipped();
    let mut taught = Taught::default();
    let before = model.score_taught(&message, Some(&taught));
    let lesson = lesson::Lesson {
        about: "1".into(),
        by: "ada".into(),
        at: crate::clock::WallMs(0),
        label: Label::Ham,
        sketch: sketch::Sketch::of(&Features::of(&message, Words::Dropped)),
        account: None,
    };
    assert!(taught.teach(lesson).kept);
    assert!(model.score_taught(&message, Some(&taught)).logit < before.logit - 1.0);
    taught.undo("1");
    assert_eq!(model.score_taught(&message, Some(&taught)), before);
}

/// A mail that sells, number so and so of a series.
fn issue(number: usize) -> Message {
    let goods = ["boots", "scarves", "kettles", "lamps", "carpets", "pillows", "mirrors"];
    let (first, second) = (goods[number % 7], goods[(number * 3 + 1) % 7]);
    read(
        &format!("Big sale: {first} for half the price!"),
        &format!(
            "Dear customer,\n\nclick here to buy now: cheap {first} and {second}, up to 70% off, limited time offer!!! \
             Order today and get free shipping and a free gift worth $50.\n\nYou receive this offer because you are a \
             customer of our shop. Click here to unsubscribe. Act now, satisfaction guaranteed or your money back."
        ),
    )
}

fn lesson(about: usize, label: Label, message: &Message) -> lesson::Lesson {
    lesson::Lesson {
        about: about.to_string(),
        by: "ada".into(),
        at: crate::clock::WallMs(0),
        label,
        sketch: sketch::Sketch::of(&Features::of(message, Words::Dropped)),
        account: None,
    }
}

#[test]
fn a_newsletter_released_five_times_passes_the_sixth_time() {
    let model = Model::shipped();
    let mut taught = Taught::default();
    let before = model.score(&issue(6));
    assert!(before.points() >= 50, "there is something to unlearn: {before:?}");
    for number in 1..=5 {
        taught.teach(lesson(number, Label::Ham, &issue(number)));
    }
    let after = model.score_taught(&issue(6), Some(&taught));
    assert!(after.points() <= 50 && after.logit < before.logit - 3.0, "{before:?} then {after:?}");
}

#[test]
fn a_campaign_rejected_five_times_gains() {
    let model = Model::shipped();
    let mut taught = Taught::default();
    let text = |name: &str, amount: u32| {
        read(
            "About our conversation",
            &format!(
                "Good morning {name},\n\nthe board has agreed to the proposal that we talked about. Please have a look \
                 at the document behind the button and confirm the transfer of {amount} before noon, I am in a meeting \
                 until then and cannot take calls."
            ),
        )
    };
    for (number, name) in ["Ada", "Ben", "Cleo", "Dan", "Eve"].iter().enumerate() {
        taught.teach(lesson(number, Label::Spam, &text(name, 12_000 + 731 * u32::try_from(number).unwrap())));
    }
    let next = text("Frida", 48_200);
    let (before, after) = (model.score(&next), model.score_taught(&next, Some(&taught)));
    assert!(after.logit > before.logit + 3.0, "{before:?} then {after:?}");
}

/// Somebody who gets a thousand lessons in reaches his own text and what is much like it, and that by the cap alone.
#[test]
fn many_lessons_do_not_swing_the_rest() {
    let model = Model::shipped();
    let mut taught = Taught::default();
    for number in 0..1_000 {
        taught.teach(lesson(number, Label::Ham, &issue(number)));
    }
    let cap = taught::Teaching::default().sum_max + 1e-9;
    let own = Features::of(&issue(3), Words::Dropped);
    assert!(taught.adds(&own, None).abs() <= cap);
    let others = [
        ("Meeting", "Can we move the meeting to Thursday? The room is free from ten."),
        ("Your account", "Your mailbox is full. Verify your password within 24 hours or your account will be closed."),
        ("Rechnung", "Sehr geehrte Damen und Herren, anbei erhalten Sie die Rechnung für den Monat Mai."),
    ];
    for (subject, text) in others {
        let message = read(subject, text);
        let moved = model.score_taught(&message, Some(&taught)).logit - model.score(&message).logit;
        assert!(moved.abs() < 1.5, "{subject}: {moved}");
    }
}
