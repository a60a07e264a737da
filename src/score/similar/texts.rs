//! The texts of the last two days: each with its copies, recipients and senders, in bounded memory.

use super::super::behaviour::bytes::{Reader, Writer};
use super::signature::{PLACES, Signature};

/// Copies are counted for this day and the one before.
const DAY_MS: u64 = 86_400_000;
/// Accounts that are counted apart for one text; further ones are counted together.
const SENDERS: usize = 4;
/// Version of [`Texts::kept`].
const VERSION: u8 = 1;
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
    /// The account whose copy a person released.
    released: u64,
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
    /// Bytes that one text takes at most, its share of the index included.
    pub const BYTES_A_TEXT: usize = size_of::<Text>() + 2 * size_of::<u32>() * PLACES / 2;

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
            released: text.released == account,
        })
    }

    /// Counts a message with this text.
    pub fn count(&mut self, signature: &Signature, account: u64, copies: Copies, at_ms: u64) {
        let day = at_ms / DAY_MS;
        let place = self.find(signature).unwrap_or_else(|| self.insert(*signature, day));
        self.point_at(signature, place);
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
    }

    /// A person released a message with this text: its copies by this account count as held no more.
    pub fn release(&mut self, signature: &Signature, account: u64) {
        let Some(place) = self.find(signature) else { return };
        let text = &mut self.kept[place];
        text.changed = true;
        text.released = account;
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

    /// How many texts are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
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
            let worth = text.all.today.messages + text.all.yesterday.messages > 1 || text.all.today.held > 0;
            if text.changed && worth {
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
        let signature = text.signature;
        let place = self.find(&signature).unwrap_or_else(|| self.insert(signature, text.day));
        self.kept[place] = text;
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

    fn insert(&mut self, signature: Signature, day: u64) -> usize {
        let text = Text {
            signature,
            day,
            all: Counted::default(),
            senders: [Sender::default(); SENDERS],
            further_senders: false,
            released: 0,
            changed: false,
            is_kept: false,
        };
        let place = if self.kept.len() < self.max {
            self.kept.push(text);
            self.kept.len() - 1
        } else {
            let place = self.least(day);
            let old = std::mem::replace(&mut self.kept[place], text);
            if old.is_kept {
                self.forgotten.push(old.key());
            }
            place
        };
        self.point_at(&signature, place);
        place
    }

    /// The next place of the hand whose text was seen once or not for two days; a flood of single texts pushes out
    /// single texts.
    fn least(&mut self, day: u64) -> usize {
        for _ in 0..HAND_STEPS_MAX {
            self.hand = (self.hand + 1) % self.kept.len();
            let text = &self.kept[self.hand];
            if text.day + 1 < day || text.all.today.messages + text.all.yesterday.messages <= 1 {
                break;
            }
        }
        self.hand
    }

    fn point_at(&mut self, signature: &Signature, place: usize) {
        for key in signature.keys() {
            let slot = self.slot(key);
            self.index[slot] = u32::try_from(place + 1).unwrap_or(0);
        }
    }

    fn slot(&self, key: u64) -> usize {
        usize::try_from(key & (self.index.len() as u64 - 1)).unwrap_or(0)
    }
}

impl Text {
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
        let (day, further_senders, released) = (from.u64()?, from.u8()? != 0, from.u64()?);
        let all = read_counted(&mut from)?;
        let mut senders = [Sender::default(); SENDERS];
        for sender in &mut senders {
            *sender = Sender { account: from.u64()?, counted: read_counted(&mut from)? };
        }
        let signature = Signature(signature);
        let text = Self { signature, day, all, senders, further_senders, released, changed: false, is_kept: true };
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
