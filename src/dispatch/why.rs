//! Why a message waits, and when it is expected to leave: one sentence, the same in log, page and command line.

use std::fmt;
use std::sync::Arc;

use crate::clock::WallMs;
use crate::limits::Moment;
use crate::mail::QueueId;

use super::hop::HopState;
use super::line::{HopId, InStore, Line};
use super::schedule::Dispatch;

/// Why a delivery has not left. Held is not waiting: [`Why::Held`] needs a person or a breaker, the others end by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A limit is used up.
    WaitingForSlot {
        /// The rule and its key: `account 200/h of a@shop.example`.
        rule: Arc<str>,
        /// When it is expected to leave; `None` where attempts under way decide, or nothing may leave.
        expected: Option<WallMs>,
    },
    /// The pace within the limits says not yet.
    Paced {
        /// How fast and whose: `5/s burst 50 of account a@shop.example`.
        pace: Box<str>,
        /// When the next may go.
        until: WallMs,
    },
    /// The last attempt failed.
    Retry {
        /// When the next is made.
        at: WallMs,
        /// Failed attempts so far.
        failed_attempts: u32,
        /// What the next hop said, or what went wrong on the way.
        last_reply: Box<str>,
    },
    /// A gate stands.
    Held(Gate),
    /// It is held itself until a person decides.
    Unreleased {
        /// The message.
        id: QueueId,
        /// Why it is held, in a few words.
        reason: Box<str>,
    },
    /// Others are before it.
    Turn {
        /// Recipients that leave before it, as things stand.
        ahead: u64,
    },
    /// The next hop takes no more connections, or asked for patience.
    NextHopBusy {
        /// The next hop's name.
        next_hop: Box<str>,
        /// Until when it is left alone; `None` until a connection is free.
        until: Option<WallMs>,
    },
    /// What it would leave by is not configured any more: route, egress or login.
    NoWay {
        /// What is missing, as a sentence.
        missing: Box<str>,
    },
    /// It is being sent.
    UnderWay,
}

/// A gate as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// What it stands before: `account a@shop.example`, `all mail`.
    pub before: Box<str>,
    /// Who closed it: an operator's name, `breaker`.
    pub by: Box<str>,
    /// Why, in a few words.
    pub reason: Box<str>,
    /// When it opens by itself, if it does.
    pub until: Option<WallMs>,
}

impl Why {
    /// Whether a person or a breaker decides, not time.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held(_) | Self::Unreleased { .. })
    }

    /// A few words for a table, where no time can be told.
    pub fn brief(&self) -> String {
        match self {
            Self::WaitingForSlot { rule, .. } => format!("a slot: {rule}"),
            Self::Paced { .. } => "its pace".to_owned(),
            Self::Retry { .. } => "its next try".to_owned(),
            Self::Held(Gate { before, by, .. }) => format!("held: {}, by {}", Shown(before), Shown(by)),
            Self::Unreleased { .. } => "held for a person".to_owned(),
            Self::Turn { .. } => "its turn".to_owned(),
            Self::NextHopBusy { next_hop, .. } => format!("a connection: {}", Shown(next_hop)),
            Self::NoWay { .. } => "a way to go".to_owned(),
            Self::UnderWay => "being sent".to_owned(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingForSlot { rule, expected: Some(at) } => {
                write!(f, "waits for a slot: the limit {rule} is used up; expected to leave at {}", At(*at))
            }
            Self::WaitingForSlot { rule, expected: None } => {
                write!(f, "waits for a slot: the limit {rule} is used up; when one is free cannot be said yet")
            }
            Self::Paced { pace, until } => {
                write!(f, "waits for pace: {}; the next goes at {}", Shown(pace), At(*until))
            }
            Self::Retry { at, failed_attempts, last_reply } => {
                write!(f, "waits to be tried again at {}, after {failed_attempts} failed ", At(*at))?;
                f.write_str(if *failed_attempts == 1 { "attempt" } else { "attempts" })?;
                write!(f, "; the last was answered: {}", Shown(last_reply))
            }
            Self::Held(gate) => {
                let Gate { before, by, reason, until } = gate;
                write!(f, "held by a gate before {}, closed by {}", Shown(before), Shown(by))?;
                if !reason.is_empty() {
                    write!(f, ": {}", Shown(reason))?;
                }
                match until {
                    Some(until) => write!(f, "; it opens at {}", At(*until)),
                    None => f.write_str("; it stays until it is opened"),
                }
            }
            Self::Unreleased { id, reason } => write!(
                f,
                "held for a person: {}; `outguard queue release {id}` lets it go, `outguard queue remove {id}` ends it",
                Shown(reason)
            ),
            Self::Turn { ahead: 0 } => f.write_str("waits for its turn; it is next"),
            Self::Turn { ahead } => write!(f, "waits for its turn; about {ahead} recipients go before it"),
            Self::NextHopBusy { next_hop, until: Some(until) } => {
                write!(f, "waits: {} is left alone until {}", Shown(next_hop), At(*until))
            }
            Self::NextHopBusy { next_hop, until: None } => {
                write!(f, "waits: all connections that {} may have are in use", Shown(next_hop))
            }
            Self::NoWay { missing } => write!(f, "waits: {}", Shown(missing)),
            Self::UnderWay => f.write_str("is being sent"),
        }
    }
}

/// A wall time for people, in UTC.
struct At(WallMs);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
            Some(time) => write!(f, "{}", time.strftime("%Y-%m-%d %H:%M:%S UTC")),
            None => f.write_str("a time past all calendars"),
        }
    }
}

/// Text from elsewhere on one line, its control characters made visible.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// How a message stands in dispatch, the strongest reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not here: not due, not accepted by dispatch, or gone.
    Absent,
    /// A turn with it is under way.
    UnderWay,
    /// A gate before all mail, its account or its hop.
    Gated,
    /// Its account is parked until then; [`Moment::END`] is until told.
    AccountParked(Moment),
    /// Its hop is parked until then.
    HopParked(Moment),
    /// Its line is parked until then.
    LineParked(Moment),
    /// All connections that its hop may have are in use, and so many recipients leave before it.
    Busy {
        /// Recipients.
        ahead: u64,
    },
    /// It waits for its turn behind so many recipients.
    Turn {
        /// Recipients.
        ahead: u64,
    },
}

/// Lines that are looked at to say what goes before a message: whoever lists a queue asks for each of it.
const AHEAD_LINES_MAX: usize = 1_000;

impl Dispatch {
    /// How a message stands. One that is due and only in the store counts as standing behind all heads of its line.
    pub fn standing(&self, line: Line, id: QueueId) -> Standing {
        let Some(no) = self.line_no(line) else { return Standing::Absent };
        let state = self.state(no);
        if self.under_way.contains_key(&(no, id)) {
            return Standing::UnderWay;
        }
        if !state.heads.iter().any(|item| item.id == id) && state.store == InStore::Nothing {
            return Standing::Absent;
        }
        let account = self.account(line.account);
        let hop = self.hops.get(&line.hop);
        if self.gated || account.gated || hop.is_some_and(|hop| hop.gated) {
            return Standing::Gated;
        }
        if account.parked_until > Moment::BEGINNING {
            return Standing::AccountParked(account.parked_until);
        }
        if let Some(hop) = hop.filter(|hop| hop.parked_until > Moment::BEGINNING) {
            return Standing::HopParked(hop.parked_until);
        }
        if state.parked_until > Moment::BEGINNING {
            return Standing::LineParked(state.parked_until);
        }
        let ahead = self.ahead(line, id);
        if hop.is_some_and(|hop| hop.open >= hop.connections_max && hop.turns >= hop.open) {
            Standing::Busy { ahead }
        } else {
            Standing::Turn { ahead }
        }
    }

    /// Recipients that leave before a message: those before it in its line, and of each other line of its class at the
    /// hop as many as a fair order would let pass meanwhile. Of very many lines the first tell for all.
    fn ahead(&self, line: Line, id: QueueId) -> u64 {
        let waiting = |heads: &super::heads::Heads, until: Option<QueueId>| {
            heads.iter().take_while(|item| Some(item.id) != until).map(|item| u64::from(item.recipients)).sum::<u64>()
        };
        let Some(no) = self.line_no(line) else { return 0 };
        let own = waiting(&self.state(no).heads, Some(id));
        let fair = own + u64::from(self.turn_recipients);
        let Some(hop) = self.hops.get(&line.hop) else { return own };
        let (lines, looked_at) = (hop.ready(line.class).len(), hop.ready(line.class).len().min(AHEAD_LINES_MAX));
        let others = hop.ready(line.class).take(looked_at).filter(|other| *other != no);
        let before = others.map(|other| waiting(&self.state(other).heads, None).min(fair)).sum::<u64>();
        if looked_at == lines { own + before } else { own + before * lines as u64 / looked_at as u64 }
    }

    /// Recipients that stand before a message in its own line.
    pub fn ahead_in_line(&self, line: Line, id: QueueId) -> u64 {
        let Some(no) = self.line_no(line) else { return 0 };
        self.state(no).heads.iter().take_while(|item| item.id != id).map(|item| u64::from(item.recipients)).sum()
    }

    /// How many connections a hop has, how many turns are under way there, how many messages are free to leave by it.
    pub fn hop_load(&self, hop: HopId) -> (u32, u32, u32) {
        self.hops.get(&hop).map_or((0, 0, 0), |state: &HopState| (state.open, state.turns, state.free_messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let at = WallMs(1_763_719_200_000);
        let gate =
            Gate { before: "account a@b.example".into(), by: "eva".into(), reason: "spam\nrun".into(), until: None };
        let cases = [
            (
                Why::WaitingForSlot { rule: "account 200/h of a@b.example".into(), expected: Some(at) },
                "waits for a slot: the limit account 200/h of a@b.example is used up; expected to leave at 2025-11-21 10:00:00 UTC",
            ),
            (
                Why::Retry { at, failed_attempts: 1, last_reply: "450 4.2.0 later\r\n250 ok\x1b[2J".into() },
                "waits to be tried again at 2025-11-21 10:00:00 UTC, after 1 failed attempt; the last was answered: 450 4.2.0 later\\r\\n250 ok\\u{1b}[2J",
            ),
            (
                Why::Held(Gate { reason: "".into(), ..gate.clone() }),
                "held by a gate before account a@b.example, closed by eva; it stays until it is opened",
            ),
            (
                Why::Held(gate),
                "held by a gate before account a@b.example, closed by eva: spam\\nrun; it stays until it is opened",
            ),
            (
                Why::Unreleased { id: QueueId::new(7).unwrap(), reason: "354 points: a link\nlies".into() },
                "held for a person: 354 points: a link\\nlies; `outguard queue release 0000000007` lets it go, `outguard queue remove 0000000007` ends it",
            ),
            (
                Why::Paced { pace: "60/h burst 1 of egress 192.0.2.1".into(), until: at },
                "waits for pace: 60/h burst 1 of egress 192.0.2.1; the next goes at 2025-11-21 10:00:00 UTC",
            ),
            (Why::Turn { ahead: 40 }, "waits for its turn; about 40 recipients go before it"),
            (
                Why::NextHopBusy { next_hop: "mx.example".into(), until: None },
                "waits: all connections that mx.example may have are in use",
            ),
            (
                Why::NoWay { missing: "the route \"backup\" is not in the configuration any more".into() },
                "waits: the route \"backup\" is not in the configuration any more",
            ),
        ];
        for (why, expected) in cases {
            assert_eq!(why.to_string(), expected);
        }
    }
}
