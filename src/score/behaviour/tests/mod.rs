//! The memory as a whole: what it says of a message, what it learns, what it gives to the store.

use super::*;
use crate::account::AccountSource;
use crate::mail::{Address, BodyType, Envelope, Recipient, ReversePath};
use crate::message::{HeaderField, Html, Link, LinkKind, Mailbox, Message};

mod rows;
mod signs;

const DAY: u64 = 86_400_000;
/// 9 o'clock of a day in 2026.
const START: u64 = 20_600 * DAY + 9 * 3_600_000;

/// One letter.
#[derive(Clone, Copy)]
struct Letter<'a> {
    account: &'a str,
    from: &'a str,
    to: &'a str,
    client: &'a str,
    program: &'a str,
    list: &'a str,
    /// Its Message-ID, if it has one.
    id: &'a str,
    text: &'a str,
    /// The hosts that its links lead to.
    link: &'a str,
    /// Elements of its HTML; 0 is plain text.
    elements: u32,
}

impl Letter<'_> {
    fn with<R>(&self, at: u64, use_it: impl FnOnce(&Submission<'_>) -> R) -> R {
        let account = Account::named(self.account);
        let field = |name: &str, value: &str| HeaderField { name: name.into(), value: value.into() };
        let mut header = vec![field("X-Mailer", self.program)];
        if !self.id.is_empty() {
            header.push(field("Message-ID", self.id));
        }
        if !self.list.is_empty() {
            header.extend([field("List-Id", self.list), field("List-Unsubscribe", "<https://list.example/leave>")]);
        }
        let message = Message {
            header,
            from: vec![Mailbox { name: String::new(), address: self.from.into() }],
            links: self.link.split_whitespace().map(link).collect(),
            text: self.text.into(),
            plain: self.text.into(),
            html: (self.elements > 0).then(|| Html { elements: self.elements, ..Html::default() }),
            ..Message::default()
        };
        let recipient = |to: &str| Recipient::plain(Address::parse(to.as_bytes()).unwrap());
        let envelope = Envelope {
            reverse_path: ReversePath::parse(self.from.as_bytes()).unwrap(),
            recipients: self.to.split(' ').map(recipient).collect(),
            body: BodyType::default(),
            smtputf8: false,
            ret: None,
            envid: None,
        };
        use_it(&Submission {
            message: &message,
            envelope: Some(&envelope),
            account: Some(&account),
            source: Some(AccountSource::Login),
            client: Some(self.client.parse().unwrap()),
            at: WallMs(at),
        })
    }

    /// It comes, and leaves.
    fn sent(&self, behaviour: &mut Behaviour, at: u64) -> Assessment {
        self.judged(behaviour, at, Judged::Sent)
    }

    fn judged(&self, behaviour: &mut Behaviour, at: u64, judged: Judged) -> Assessment {
        let assessment = self.with(at, |submission| behaviour.assess(submission));
        behaviour.accepted(assessment.footprint.as_ref().unwrap(), judged);
        assessment
    }
}

fn link(host: &str) -> Link {
    let (target, visible) = (format!("https://{host}/x"), String::new());
    Link { kind: LinkKind::Written, target, scheme: "https".into(), host: host.into(), visible }
}

const OFFER: &str = "I have read that you look for somebody who keeps your books and would like to offer you my help. I have \
                     done this for companies of your size for eight years.";

fn usual(nth: u64) -> Letter<'static> {
    const TO: [&str; 3] = ["bob@one.example", "cleo@two.example", "dan@three.example"];
    Letter {
        account: "ann@firm.example",
        from: "ann@firm.example",
        to: TO[usize::try_from(nth % 3).unwrap()],
        client: "192.0.2.7",
        program: "Mailer 1.2",
        list: "",
        id: "",
        text: "Thank you, I have read the plan and will send you my remarks with the next letter.",
        link: "",
        elements: 0,
    }
}

/// A memory with a month of four letters a day to three people.
fn month() -> Behaviour {
    let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
    for nth in 0..120 {
        usual(nth).sent(&mut behaviour, START + nth / 4 * DAY + nth % 4 * 1_800_000);
    }
    behaviour
}

const NOW: u64 = START + 30 * DAY;

fn points_of(behaviour: &Behaviour, letter: &Letter<'_>, at: u64) -> Vec<(String, i32)> {
    let reasons = letter.with(at, |submission| behaviour.assess(submission)).reasons;
    reasons.into_iter().map(|reason| (reason.name.into_owned(), reason.points)).collect()
}

fn has(points: &[(String, i32)], name: &str) -> bool {
    points.iter().any(|(found, points)| found == name && *points != 0)
}

#[test]
fn what_is_usual_has_no_points_and_what_is_new_has() {
    let behaviour = month();
    assert_eq!(points_of(&behaviour, &usual(1), NOW), [], "one more of the usual");
    let crowd = (0..60).map(|n| format!("stranger{n}@far{n}.example")).collect::<Vec<_>>().join(" ");
    let german = "Vielen Dank, wir haben Ihre Nachricht erhalten und werden sie mit dem nächsten Brief beantworten, das ist \
                  für uns nicht schwer.";
    let cases = [
        ("new-client", Letter { client: "198.51.100.1", ..usual(1) }),
        ("new-program", Letter { program: "Other 3", ..usual(1) }),
        ("new-from", Letter { from: "sales@firm.example", ..usual(1) }),
        ("new-language", Letter { text: german, ..usual(1) }),
        ("new-template", Letter { elements: 200, ..usual(1) }),
        ("many-recipients", Letter { to: &crowd, ..usual(1) }),
        ("strangers", Letter { to: &crowd, ..usual(1) }),
        ("new-domains", Letter { to: &crowd, ..usual(1) }),
        ("volume", Letter { to: &crowd, ..usual(1) }),
    ];
    for (name, letter) in cases {
        let points = points_of(&behaviour, &letter, NOW);
        assert!(has(&points, name), "{name}: {points:?}");
    }
    let near = Letter { client: "192.0.2.200", ..usual(1) };
    assert_eq!(points_of(&behaviour, &near, NOW), [], "another host of the same network");
    let night = points_of(&behaviour, &usual(1), NOW + 15 * 3_600_000);
    assert!(has(&night, "odd-time"), "midnight: {night:?}");
}

#[test]
fn assessing_changes_nothing() {
    let mut behaviour = month();
    behaviour.changed(usize::MAX);
    let before = points_of(&behaviour, &usual(1), NOW);
    (0..50).for_each(|_| assert_eq!(points_of(&behaviour, &usual(1), NOW), before));
    assert_eq!(behaviour.changed(usize::MAX), []);
}

#[test]
fn a_hijack_does_not_teach_itself() {
    let mut behaviour = month();
    let theft = |nth: u64| format!("victim{nth}@far{nth}.example");
    for nth in 0..40 {
        let to = theft(nth);
        let letter = Letter { to: &to, client: "198.51.100.1", text: OFFER, ..usual(0) };
        let at = NOW + nth * 1_000;
        let seen = letter.with(at, |submission| behaviour.assess(submission)).footprint.unwrap();
        // The first few leave, the rest is held.
        behaviour.accepted(&seen, if nth < 4 { Judged::Sent } else { Judged::Held });
    }
    let to = theft(41);
    let next_day =
        points_of(&behaviour, &Letter { to: &to, client: "198.51.100.1", text: OFFER, ..usual(0) }, NOW + DAY);
    for name in ["new-client", "near-copies-to-strangers", "text-was-held"] {
        assert!(has(&next_day, name), "{name} is no habit on the day after: {next_day:?}");
    }
    let own = points_of(&behaviour, &usual(1), NOW + 60_000);
    assert!(!has(&own, "new-client") && own.iter().map(|(_, points)| points).sum::<i32>() < 60, "own mail: {own:?}");
}

#[test]
fn what_is_released_is_learned_and_its_copies_pass() {
    let mut behaviour = month();
    let letter = |to| Letter { to, text: OFFER, ..usual(0) };
    for to in ["one@far.example", "two@far.example"] {
        let seen = letter(to).with(NOW, |submission| behaviour.assess(submission)).footprint.unwrap();
        behaviour.accepted(&seen, Judged::Held);
    }
    assert!(has(&points_of(&behaviour, &letter("three@far.example"), NOW), "text-was-held"));
    let seen = letter("one@far.example").with(NOW, Footprint::of).unwrap();
    behaviour.released(&seen, seen.at);
    let points = points_of(&behaviour, &letter("three@far.example"), NOW + 1_000);
    assert!(has(&points, "text-was-released") && !has(&points, "text-was-held"), "{points:?}");
}

#[test]
fn suspension_is_proposed_when_most_of_an_hour_is_held() {
    let mut behaviour = month();
    let mut advice = None;
    for nth in 0..10 {
        let seen = usual(nth).with(NOW + nth, |submission| behaviour.assess(submission)).footprint.unwrap();
        assert_eq!(advice, None, "after {nth}");
        advice = behaviour.accepted(&seen, Judged::Held);
    }
    let account = Account::named("ann@firm.example");
    assert_eq!(advice, Some(SuspendAdvice { account, held: 10, messages: 10, deed: Suspend::Advise }));
}

#[test]
fn bounces_of_unknown_users_are_a_sign() {
    let mut behaviour = month();
    let account = Account::named("ann@firm.example");
    let seen = usual(1).with(NOW, |submission| behaviour.assess(submission)).footprint.unwrap();
    behaviour.accepted(&seen, Judged::Sent);
    for nth in 0..20 {
        let outcome = if nth % 2 == 0 { Outcome::UnknownUser } else { Outcome::Delivered };
        behaviour.outcome(&account, outcome, WallMs(NOW + nth));
    }
    assert!(has(&points_of(&behaviour, &usual(1), NOW + 1_000), "unknown-users"));
}

#[test]
fn the_first_week_only_watches() {
    let mut behaviour = Behaviour::new(BehaviourSettings::default(), None);
    let crowd = (0..200).map(|n| format!("stranger{n}@far{n}.example")).collect::<Vec<_>>().join(" ");
    let letter = Letter { to: &crowd, ..usual(1) };
    let seen = letter.with(START, |submission| behaviour.assess(submission)).footprint.unwrap();
    behaviour.accepted(&seen, Judged::Sent);
    let reasons = |at| letter.with(at, |submission| behaviour.assess(submission)).reasons;
    let first = reasons(START + 60_000);
    assert!(!first.is_empty() && first.iter().all(|reason| reason.points == 0), "{first:?}");
    assert!(first[0].sentence.contains("no points yet"), "{first:?}");
    let crowd = (200..400).map(|n| format!("stranger{n}@far{n}.example")).collect::<Vec<_>>().join(" ");
    let later = points_of(&behaviour, &Letter { to: &crowd, ..usual(1) }, START + 8 * DAY);
    assert!(has(&later, "many-recipients"), "after a week: {later:?}");
}
