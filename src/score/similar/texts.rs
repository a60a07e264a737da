//! The texts of the last two days: each with its copies, recipients and senders, in bounded memory.

use super::super::behaviour::bytes::{Reader, Writer};
use super::signature::{PLACES, Signature};

/// Copies are counted for this day and the one before.
const DAY_MS: u64 = 86_400_000;
/// No day is as late: what is read from the store is not believed beyond it.
const DAYS_MAX: u64 = 1 << 32;
/// Accounts that are counted apart for one text; further ones are counted together.
const SENDERS: usize = 4;
/// Version of [`Texts::kept`].
const VERSION: u8 = 2;
/// How many days a release speaks for near-copies.
const RELEASED_DAYS: u64 = 2;
/// How many places the hand looks at before it takes the next one whatever it holds.
const HAND_STEPS_MAX: usize = 32;

/// How often a text was seen within the last two days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copies {
    /// Messages.
    pub messages: u32,
    /// Their recipients.
    pub recipients: u32,
    /// Of these, how many were strangers to the account that wrote.
    pub strangers: u32,
    /// Of the messages, how many were held.
    pub held: u32,
}

impl Copies {
    fn add(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.recipients = self.recipients.saturating_add(other.recipients);
        self.strangers = self.strangers.saturating_add(other.strangers);
        self.held = self.held.saturating_add(other.held);
    }
}

/// What is known of a text, as one account sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// By this account.
    pub own: Copies,
    /// By all, this one among them.
    pub all: Copies,
    /// How many accounts sent it, this one among them; counted up to five.
    pub accounts: u32,
    /// Whether a person released a copy of this account's.
    pub released: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counted {
    today: Copies,
    yesterday: Copies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sender {
    /// 0 where the place is free.
    account: u64,
    counted: Counted,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    signature: Signature,
    /// The day of `today`.
    day: u64,
    all: Counted,
    senders: [Sender; SENDERS],
    further_senders: bool,
    /// The account whose copy a person released, and on which day.
    released: u64,
    released_day: u64,
    changed: bool,
    /// Whether the store has a row of it.
    is_kept: bool,
}

/// The store of texts.
#[derive(Debug)]
pub struct Texts {
    kept: Vec<Text>,
    max: usize,
    /// Place of the text last seen under a key, plus one; direct-mapped, and checked against the signature on use.
    index: Box<[u32]>,
    hand: usize,
    /// Rows of texts that gave way.
    forgotten: Vec<u64>,
}

impl Texts {
    /// An empty store of so many texts at most.
    pub fn new(texts_max: usize) -> Self {
        let texts_max = texts_max.max(1);
        let places = (texts_max * PLACES / 2).next_power_of_two();
        Self { kept: Vec::new(), max: texts_max, index: vec![0; places].into(), hand: 0, forgotten: Vec::new() }
    }

    /// What is known of a text.
    pub fn known(&self, signature: &Signature, account: u64, at_ms: u64) -> Option<Known> {
        let text = &self.kept[self.find(signature)?];
        let day = at_ms / DAY_MS;
        let own = text.senders.iter().find(|sender| sender.account == account);
        let senders = text.senders.iter().filter(|sender| sender.account != 0).count();
        Some(Known {
            own: own.map_or_else(Copies::default, |sender| text.sum(&sender.counted, day)),
            all: text.sum(&text.all, day),
            accounts: u32::try_from(senders).unwrap_or(0) + u32::from(text.further_senders),
            released: text.released == account && text.is_released(day),
        })
    }

    /// Counts a message with this text.
    pub fn count(&mut self, signature: &Signature, account: u64, copies: Copies, at_ms: u64) {
        let day = at_ms / DAY_MS;
        let place = self.find(signature).unwrap_or_else(|| self.place_for(*signature, day));
        let text = &mut self.kept[place];
        text.turn(day);
        text.changed = true;
        text.all.today.add(copies);
        let sender = text.senders.iter().position(|sender| sender.account == account || sender.account == 0);
        match sender {
            Some(sender) => {
                text.senders[sender].account = account;
                text.senders[sender].counted.today.add(copies);
            }
            None => text.further_senders = true,
        }
        self.point_at(signature, place, day);
    }

    /// A person released a message with this text: its copies by this account count as held no more.
    pub fn release(&mut self, signature: &Signature, account: u64, at_ms: u64) {
        let Some(place) = self.find(signature) else { return };
        let text = &mut self.kept[place];
        text.changed = true;
        (text.released, text.released_day) = (account, at_ms / DAY_MS);
        for sender in text.senders.iter_mut().filter(|sender| sender.account == account) {
            for (all, own) in [
                (&mut text.all.today, &mut sender.counted.today),
                (&mut text.all.yesterday, &mut sender.counted.yesterday),
            ] {
                all.held = all.held.saturating_sub(own.held);
                own.held = 0;
            }
        }
    }

    /// A person called a message with this text spam: what was released of it by mistake is so no more.
    pub fn reject(&mut self, signature: &Signature, account: u64) {
        let Some(place) = self.find(signature) else { return };
        let text = &mut self.kept[place];
        text.changed = true;
        if text.released == account {
            text.released = 0;
        }
        text.all.today.held = text.all.today.held.saturating_add(1);
        for sender in text.senders.iter_mut().filter(|sender| sender.account == account) {
            sender.counted.today.held = sender.counted.today.held.saturating_add(1);
        }
    }

    /// How many texts are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Bytes of all texts and of the index.
    pub fn bytes(&self) -> usize {
        self.kept.capacity() * size_of::<Text>() + size_of_val(&*self.index)
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What changed since the last call and is worth a row: texts with copies or held messages, each with its key. `None`
    /// is for a row to delete. At most `rows_max`; the rest comes with the next call.
    pub fn changed(&mut self, rows_max: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let forgotten = self.forgotten.len().min(rows_max);
        let mut rows: Vec<_> = self.forgotten.drain(..forgotten).map(|key| (key, None)).collect();
        for text in &mut self.kept {
            if rows.len() >= rows_max {
                break;
            }
            if text.changed && text.is_worth_keeping(text.day) {
                text.changed = false;
                text.is_kept = true;
                rows.push((text.key(), Some(text.kept())));
            }
        }
        rows
    }

    /// Takes back a row of [`Texts::changed`]; `false` if it is of another version or broken, and can be deleted.
    pub fn restore(&mut self, row: &[u8]) -> bool {
        let Some(text) = Text::read(row) else { return false };
        let (signature, day) = (text.signature, text.day);
        let place = self.find(&signature).unwrap_or_else(|| self.place_for(signature, day));
        self.kept[place] = text;
        self.point_at(&signature, place, day);
        true
    }

    fn find(&self, signature: &Signature) -> Option<usize> {
        let mut best = None;
        for key in signature.keys() {
            let Some(place) = (self.index[self.slot(key)] as usize).checked_sub(1) else { continue };
            if best == Some(place) {
                continue;
            }
            let Some(text) = self.kept.get(place) else { continue };
            if signature.is_copy_of(&text.signature) {
                best = Some(place);
                if *signature == text.signature {
                    break;
                }
            }
        }
        best
    }

    /// A place for a new text; what was there is forgotten.
    fn place_for(&mut self, signature: Signature, day: u64) -> usize {
        let text = Text {
            signature,
            day,
            all: Counted::default(),
            senders: [Sender::default(); SENDERS],
            further_senders: false,
            released: 0,
            released_day: 0,
            changed: false,
            is_kept: false,
        };
        if self.kept.len() < self.max {
            self.kept.push(text);
            return self.kept.len() - 1;
        }
        let place = self.least(day);
        let old = std::mem::replace(&mut self.kept[place], text);
        if old.is_kept {
            self.forgotten.push(old.key());
        }
        place
    }

    /// The next place of the hand whose text is not worth keeping; a flood of single texts pushes out single texts.
    fn least(&mut self, day: u64) -> usize {
        for _ in 0..HAND_STEPS_MAX {
            self.hand = (self.hand + 1) % self.kept.len();
            if !self.kept[self.hand].is_worth_keeping(day) {
                break;
            }
        }
        self.hand
    }

    /// Makes a text found by these keys. A text seen once leaves the slots of those that were copied: a day of single
    /// letters must not hide a campaign.
    fn point_at(&mut self, signature: &Signature, place: usize, day: u64) {
        let is_worth = self.kept[place].is_worth_keeping(day);
        for key in signature.keys() {
            let slot = self.slot(key);
            if is_worth || !self.is_needed(slot, day) {
                self.index[slot] = u32::try_from(place + 1).unwrap_or(0);
            }
        }
    }

    /// Whether a slot leads to a text that is worth keeping, and is one of its own.
    fn is_needed(&self, slot: usize, day: u64) -> bool {
        let text = (self.index[slot] as usize).checked_sub(1).and_then(|place| self.kept.get(place));
        text.is_some_and(|text| text.is_worth_keeping(day) && text.signature.keys().any(|key| self.slot(key) == slot))
    }

    fn slot(&self, key: u64) -> usize {
        usize::try_from(key & (self.index.len() as u64 - 1)).unwrap_or(0)
    }
}

impl Text {
    /// Whether it was copied, held or released within the two days up to `day`.
    fn is_worth_keeping(&self, day: u64) -> bool {
        let Counted { today, yesterday } = self.all;
        let was_copied = today.messages.saturating_add(yesterday.messages) > 1 || today.held > 0;
        self.day + 1 >= day && was_copied || self.is_released(day)
    }

    /// Whether a person released a copy in the last days up to `day`.
    fn is_released(&self, day: u64) -> bool {
        self.released != 0 && self.released_day.abs_diff(day) <= RELEASED_DAYS
    }

    fn turn(&mut self, day: u64) {
        if day <= self.day {
            return;
        }
        let next_day = day == self.day + 1;
        for counted in self.senders.iter_mut().map(|sender| &mut sender.counted).chain([&mut self.all]) {
            counted.yesterday = if next_day { counted.today } else { Copies::default() };
            counted.today = Copies::default();
        }
        self.day = day;
    }

    fn sum(&self, counted: &Counted, day: u64) -> Copies {
        match day.saturating_sub(self.day) {
            0 => {
                let mut sum = counted.today;
                sum.add(counted.yesterday);
                sum
            }
            1 => counted.today,
            _ => Copies::default(),
        }
    }

    fn key(&self) -> u64 {
        self.signature
            .0
            .iter()
            .fold(0, |key: u64, place| (key.rotate_left(9) ^ u64::from(*place)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn kept(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.u8(VERSION);
        self.signature.0.iter().for_each(|place| to.u16(*place));
        to.u64(self.day);
        to.u8(u8::from(self.further_senders));
        to.u64(self.released);
        to.u64(self.released_day);
        write_counted(&mut to, &self.all);
        for sender in &self.senders {
            to.u64(sender.account);
            write_counted(&mut to, &sender.counted);
        }
        to.finish()
    }

    fn read(row: &[u8]) -> Option<Self> {
        let mut from = Reader::new(row);
        if from.u8()? != VERSION {
            return None;
        }
        let mut signature = [0; PLACES];
        for place in &mut signature {
            *place = from.u16()?;
        }
        let day = from.u64().filter(|day| *day < DAYS_MAX)?;
        let (further_senders, released, released_day) = (from.u8()? != 0, from.u64()?, from.u64()?);
        let all = read_counted(&mut from)?;
        let mut senders = [Sender::default(); SENDERS];
        for sender in &mut senders {
            *sender = Sender { account: from.u64()?, counted: read_counted(&mut from)? };
        }
        let signature = Signature(signature);
        let text = Self {
            signature,
            day,
            all,
            senders,
            further_senders,
            released,
            released_day,
            changed: false,
            is_kept: true,
        };
        from.is_empty().then_some(text)
    }
}

fn write_counted(to: &mut Writer, counted: &Counted) {
    for copies in [counted.today, counted.yesterday] {
        for count in [copies.messages, copies.recipients, copies.strangers, copies.held] {
            to.u32(count);
        }
    }
}

fn read_counted(from: &mut Reader<'_>) -> Option<Counted> {
    let mut copies =
        || Some(Copies { messages: from.u32()?, recipients: from.u32()?, strangers: from.u32()?, held: from.u32()? });
    Some(Counted { today: copies()?, yesterday: copies()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 20_000;
    const NOW: u64 = DAY * DAY_MS;
    const ONE: Copies = Copies { messages: 1, recipients: 1, strangers: 1, held: 0 };

    /// A text like no other.
    fn nth(n: u64) -> Signature {
        let mut places = [0; PLACES];
        for (place, value) in (0..).zip(&mut places) {
            *value = u16::try_from(xxhash_rust::xxh3::xxh3_64_with_seed(&n.to_le_bytes(), place) % 60_000).unwrap();
        }
        Signature(places)
    }

    /// A text that shares two places in three with it.
    fn near(n: u64) -> Signature {
        let (mut near, other) = (nth(n), nth(n + 1_000_000));
        near.0[..PLACES / 3].copy_from_slice(&other.0[..PLACES / 3]);
        near
    }

    #[test]
    fn copies_are_counted_by_account_and_over_all() {
        let mut texts = Texts::new(100);
        for account in [1, 1, 2] {
            texts.count(&near(7), account, ONE, NOW);
            texts.count(&nth(7), account, Copies { held: 1, ..ONE }, NOW);
        }
        let known = texts.known(&nth(7), 1, NOW).unwrap();
        assert_eq!((known.own.messages, known.own.held, known.all.messages, known.accounts), (4, 2, 6, 2));
        assert_eq!(texts.known(&nth(8), 1, NOW), None, "another text");
        assert_eq!(texts.len(), 1);
        texts.release(&near(7), 1, NOW);
        let known = texts.known(&nth(7), 1, NOW).unwrap();
        assert_eq!((known.own.held, known.all.held, known.released), (0, 1, true), "the other account's stays held");
        assert!(!texts.known(&nth(7), 2, NOW).unwrap().released);
        let after = |days: u64| texts.known(&nth(7), 1, NOW + days * DAY_MS).unwrap().released;
        assert_eq!([after(1), after(2), after(3)], [true, true, false], "a release ends");
    }

    #[test]
    fn two_days_are_counted() {
        let mut texts = Texts::new(10);
        texts.count(&nth(1), 1, ONE, NOW);
        let messages = |day| texts.known(&nth(1), 1, NOW + day * DAY_MS).unwrap().own.messages;
        assert_eq!([messages(0), messages(1), messages(2)], [1, 1, 0]);
    }

    #[test]
    fn a_flood_of_single_texts_pushes_out_single_texts() {
        let mut texts = Texts::new(500);
        for n in 0..20 {
            texts.count(&nth(n), 1, ONE, NOW);
            texts.count(&near(n), 2, ONE, NOW);
        }
        assert_eq!(texts.changed(usize::MAX).len(), 20, "what was copied is worth a row");
        for n in 1_000..21_000 {
            texts.count(&nth(n), n, ONE, NOW);
            assert!(texts.len() <= 500);
        }
        let kept = (0..20).filter(|n| texts.known(&nth(*n), 1, NOW).is_some()).count();
        assert_eq!(kept, 20, "campaigns outlast texts seen once");
        assert_eq!(texts.changed(usize::MAX), [], "a text seen once is not worth a row");
        // Two days later they are as any other, and their rows are deleted.
        for n in 30_000..50_000 {
            texts.count(&nth(n), n, ONE, NOW + 3 * DAY_MS);
        }
        let kept = (0..20).filter(|n| texts.known(&nth(*n), 1, NOW).is_some()).count();
        let rows = texts.changed(usize::MAX);
        assert_eq!((kept, rows.len(), rows.iter().all(|(_, row)| row.is_none())), (0, 20, true));
    }

    #[test]
    fn rows_give_a_text_back() {
        let mut texts = Texts::new(10);
        for account in [1, 1, 2, 3, 4, 5] {
            texts.count(&nth(1), account, ONE, NOW);
        }
        let rows = texts.changed(usize::MAX);
        let mut again = Texts::new(10);
        let row = rows[0].1.as_ref().unwrap();
        assert!(again.restore(row) && !again.restore(&row[1..]) && !again.restore(&[]));
        for account in 0..6 {
            assert_eq!(again.known(&nth(1), account, NOW), texts.known(&nth(1), account, NOW), "account {account}");
        }
        assert_eq!(again.changed(usize::MAX), [], "what was read is not written again");
    }
}
