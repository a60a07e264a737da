//! Single limits, step by step; `oracle.rs` judges them by brute force.

use super::*;
use crate::clock::BootMs;
use crate::limits::{LimitSettings, PastAttempt, PastState};

const TO: Charged<'static> = Charged { account: "a@x.example", egress: "192.0.2.1", login: None, route: "mx" };
const W: u64 = 1_001;

fn at(ms: u64) -> Moment {
    Moment::of_boot(BootMs(ms))
}

fn book(account: &str) -> RuleBook {
    let account = vec![account.parse().unwrap()];
    RuleBook::new(&LimitSettings { account, egress: Vec::new(), ..LimitSettings::default() }).unwrap()
}

fn send(limits: &mut Limits, n: u32, ms: u64) -> Vec<Crossing> {
    let Leased { granted, crossings } = limits.lease(TO, NonZeroU32::new(n).unwrap(), at(ms)).unwrap();
    limits.used(granted, Spent { content: n, refused: 0 }, RecordId(0), at(ms));
    crossings
}

#[test]
fn nine_tenths_are_told_once_until_it_was_below_three_quarters() {
    let mut limits = Limits::new(book("20/s"));
    let told = |crossings: Vec<Crossing>| crossings.first().map(|c| (c.taken, c.slots));
    assert_eq!(told(send(&mut limits, 4, 0)), None);
    assert_eq!(told(send(&mut limits, 13, 10)), None, "17 of 20");
    assert_eq!(told(send(&mut limits, 1, 20)), Some((18, 20)));
    assert_eq!(told(send(&mut limits, 1, 30)), None, "told before");
    assert_eq!(told(send(&mut limits, 3, W)), None, "15 left: not below three quarters, and 18 again");
    assert_eq!(told(send(&mut limits, 18, 3 * W)), Some((18, 20)), "it was empty between");
}

#[test]
fn a_rule_that_reaches_past_the_record_starts_as_used_up() {
    let past = [PastAttempt {
        id: RecordId(1),
        charged: TO,
        counted: Counted { recipients: 1, messages: 1 },
        state: PastState::Used(at(5_000)),
    }];
    let mut limits = Limits::start(book("2/s"), past, at(4_800), at(5_100));
    let refusal = limits.lease(TO, NonZeroU32::MIN, at(5_100)).unwrap_err();
    assert_eq!((refusal.cause, refusal.next), (Cause::RecordTooShort, NextSlot::At(at(4_800 + W))));
    assert!(limits.lease(TO, NonZeroU32::MIN, at(4_799 + W)).is_err());
    assert!(limits.lease(TO, NonZeroU32::MIN, at(4_800 + W)).is_ok(), "the record covers the window now");
    // A reload that keeps the rule keeps its time; a longer window is not covered, and says so.
    let reading = limits.reading();
    limits.reload(book("3/m"), past, at(4_800), reading, at(6_000));
    let refusal = limits.lease(TO, NonZeroU32::MIN, at(6_000)).unwrap_err();
    assert_eq!(refusal.next, NextSlot::At(at(4_800 + 60_060)));
}

#[test]
fn a_limit_that_the_next_hop_calls_used_up_is_full_for_its_hour() {
    let rates = ["20/m", "5/h", "90/d"].map(|rate| rate.parse().unwrap()).to_vec();
    let settings = LimitSettings { egress: rates, account: vec!["9/m".parse().unwrap()], ..LimitSettings::default() };
    let mut limits = Limits::new(RuleBook::new(&settings).unwrap());
    let one = |limits: &mut Limits, ms| limits.lease(TO, NonZeroU32::MIN, at(ms));
    let said = |limits: &mut Limits, kind, name, ms| limits.fill(kind, name, TO.route, 3_600_000, at(ms));
    let fill = |limits: &mut Limits, kind, name, ms| {
        said(limits, kind, name, ms).map(|filled| filled.at.plus_ms(filled.window_ms))
    };
    let first = one(&mut limits, 0).unwrap().granted;
    let under_way = one(&mut limits, 0).unwrap().granted;
    limits.used(first, Spent { content: 1, refused: 0 }, RecordId(1), at(10));
    assert_eq!(fill(&mut limits, KeyKind::Egress, TO.egress, 900), Some(at(3_604_500)));
    assert_eq!(fill(&mut limits, KeyKind::Egress, TO.egress, 1_000), Some(at(3_604_600)));
    let use_of = |limits: &Limits| limits.usage(at(1_000)).into_iter().find(|u| &*u.rule == "egress 5/h").unwrap();
    assert_eq!((use_of(&limits).used, use_of(&limits).leased), (5, 1), "no slot is filled twice");
    limits.give_back(under_way, at(2_000));
    let refusal = one(&mut limits, 3_604_599).unwrap_err();
    assert_eq!((&*refusal.rule, refusal.next), ("egress 5/h", NextSlot::At(at(3_604_600))));
    // A reload that keeps the rule keeps it full.
    let (same, reading) = (RuleBook::new(&settings).unwrap(), limits.reading());
    limits.reload(same, [], Moment::BEGINNING, reading, at(3_604_599));
    assert!(one(&mut limits, 3_604_599).is_err());
    // Rings made anew are full, too, and a start is told of it.
    let reading = limits.reading();
    limits.retime([], Moment::BEGINNING, reading, at(3_604_599));
    assert!(one(&mut limits, 3_604_599).is_err());
    limits = Limits::start(RuleBook::new(&settings).unwrap(), [], Moment::BEGINNING, at(3_604_598));
    let (kind, name, route) = (KeyKind::Egress, TO.egress.into(), TO.route.into());
    let told = Filled { kind, name, route, window_ms: 3_603_600, at: at(1_000) };
    assert_eq!(limits.filled(told.clone(), at(3_604_598)), Some(at(3_604_600)));
    let before = Filled { at: at(500), ..told.clone() };
    assert_eq!(limits.filled(before, at(3_604_598)), Some(at(3_604_600)), "what was said last holds");
    let other = Filled { window_ms: 3_600_000, ..told };
    assert_eq!(limits.filled(other, at(3_604_598)), None, "no limit has that window");
    assert!(one(&mut limits, 3_604_599).is_err());
    assert!(one(&mut limits, 3_604_600).is_ok());
    assert_eq!(fill(&mut limits, KeyKind::Account, TO.account, 1), None, "an hour's limit is not kept for accounts");
}

#[test]
fn a_slot_takes_at_most_eight_bytes_whoevers_it_is() {
    let rates = || vec!["300/h".parse().unwrap()];
    let settings =
        LimitSettings { account: rates(), egress: rates(), login: Some(rates()), ..LimitSettings::default() };
    let mut limits = Limits::new(RuleBook::new(&settings).unwrap());
    let to = Charged { login: Some("box"), ..TO };
    for n in 0..300 {
        let leased = limits.lease(to, NonZeroU32::MIN, at(n)).unwrap();
        limits.used(leased.granted, Spent { content: 1, refused: 0 }, RecordId(n), at(n));
    }
    let mut kinds: Vec<KeyKind> = Vec::new();
    for key in limits.keys.iter() {
        let [window] = key.windows.all() else { panic!("one rule each") };
        let kind = limits.book.set(key.set).kind;
        assert_eq!(window.ring.buffer_bytes(), 300 * 7, "{kind}");
        let places = window.fair.as_ref().map(|fair| fair.places());
        assert_eq!(places, (kind == KeyKind::Egress).then_some(1), "{kind}: one for the account, none for a slot");
        kinds.push(kind);
    }
    kinds.sort_unstable();
    assert_eq!(kinds, KINDS);
}

#[test]
fn idle_keys_cost_nothing() {
    let mut limits = Limits::new(book("3/s"));
    for n in 0..5_000u64 {
        let account = format!("a{n}@x.example");
        let leased = limits.lease(Charged { account: &account, ..TO }, NonZeroU32::MIN, at(n)).unwrap();
        limits.used(leased.granted, Spent { content: 1, refused: 0 }, RecordId(n), at(n));
        limits.recorded(RecordId(n));
    }
    assert!(limits.keys_len() < 3_500, "leases forget idle keys as they go: {} are left", limits.keys_len());
    limits.sweep(10_000, at(9_000));
    limits.sweep(10_000, at(9_000));
    assert_eq!((limits.keys_len(), limits.under_way_len()), (0, 0));
}

/// What a key costs beside its slots, whatever they are: its entry, its place among the names, and what tables that double
/// leave empty. (The allocator rounds each up, and the name itself comes to it.)
const KEY_BYTES_MAX: usize = 300;

#[test]
fn a_million_keys_are_known_in_bounded_bytes() {
    const KEYS: usize = 1_000_000;
    let mut limits = Limits::new(book("200/h"));
    let set = limits.book.set_for(KeyKind::Account, "", "mx");
    let one: Arc<str> = "".into();
    for n in 0..KEYS {
        let id = limits.keys.make(set, &format!("a{n}@x.example").into(), &limits.book);
        let rule = &limits.book.set(set).rules[0];
        limits.keys.key_mut(id).windows.all_mut()[0].remember(&one, 1, at(0), rule);
        if n.is_power_of_two() || n + 1 == KEYS {
            let known = limits.keys_len();
            let (fixed, slots) = limits.keys.bytes();
            assert_eq!((known, slots), (n + 1, 7 * (n + 1)));
            assert!(fixed <= KEY_BYTES_MAX * known.max(4), "{fixed} bytes for {known} keys");
        }
    }
    // Once its window is over, nothing of it is left, though nobody asks for any of them.
    let later = at(2 * 3_600_000);
    assert_eq!(limits.sweep(KEYS, later), KEYS);
    limits.sweep(1, later);
    assert_eq!((limits.keys_len(), limits.keys.bytes()), (0, (0, 0)));
}
