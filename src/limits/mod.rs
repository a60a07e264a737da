//! At most N in any window of length W, exactly: the rings, the leases, and the pace inside the limit.
//!
//! A [`Limits`] holds one log of outcome times for each key and rule. Before a transaction it gives a [`Granted`], the
//! proof that every key had room; afterwards the proof is spent. It is pure: time is an argument, and what must survive
//! is kept by the store, from whose record of attempts the logs are made again ([`Limits::start`]).
//!
//! It never waits, never decides who is next (that is `dispatch`), and counts nothing that does not go out through an
//! egress.
//!
//! Invariant 2 is kept here: a slot is taken from its lease until W after its outcome, W being a thousandth longer than
//! configured, the window's end open. Read [`ring`](self) first (`ring.rs`), then `book.rs`.
//!
//! ```
//! use std::num::NonZeroU32;
//! use outguard::clock::BootMs;
//! use outguard::limits::{Charged, LimitSettings, Limits, Moment, RecordId, RuleBook, Spent};
//!
//! let mut limits = Limits::new(RuleBook::new(&LimitSettings::default())?);
//! let to = Charged { account: "a@shop.example", egress: "192.0.2.1", login: None, route: "mx" };
//! let now = Moment::of_boot(BootMs(0));
//! let five_hundred = NonZeroU32::new(500).expect("not zero");
//! let leased = limits.lease(to, five_hundred, now).expect("the first mail of the hour");
//! assert_eq!(leased.granted.recipients(), 200); // the message is split; the rest waits
//! limits.used(leased.granted, Spent { content: 200, refused: 0 }, RecordId(1), now);
//! let refusal = limits.lease(to, five_hundred, now).expect_err("200 are used");
//! assert_eq!(refusal.to_string(), "the limit account 200/h of account a@shop.example is used up");
//! # Ok::<(), outguard::limits::RuleError>(())
//! ```

mod book;
mod fair;
mod filled;
mod keys;
mod lease;
#[cfg(test)]
mod oracle;
mod pace;
mod past;
mod rate;
mod report;
mod ring;
mod rule;
mod slot;
mod timeline;
mod unrecorded;
mod usage;

pub use book::{Leased, Limits};
pub use filled::Filled;
pub use lease::{Counted, Granted, Spent};
pub use pace::{Pace, PaceError, PaceSettings, Paced, Pacer, Paces, TooFast};
pub use past::{PastAttempt, PastState};
pub use rate::{Rate, RateError, SLOTS_MAX, Unit, WINDOW_MS_MAX, WINDOW_MS_MIN};
pub use report::{Cause, Crossing, NextSlot, Reach, Refusal, Usage};
pub use rule::{
    AppliesTo, Charged, CountRefused, FairReserve, KeyKind, LimitRule, LimitSettings, Override, RuleBook, RuleError,
    RuleScope, RuleSet,
};
pub use timeline::{Bridge, Moment, Stamp, Timeline, WallClock};
pub use unrecorded::{Reading, RecordId};
