//! What leaves next: fair order, parking, retry times, and why a message waits.
//!
//! A ready connection asks [`Dispatch::next`] for a turn: some recipients of one message. Dispatch knows who may be next
//! and how much they had; whether a slot is free is asked of `limits` through the closure that the caller brings, and
//! the truth about a message is the store's. What is held here are heads of lines, ids only, so a lost head is found
//! again in the store.
//!
//! It is pure: no socket, clock, store or random inside. It never sends, never holds a message for a person (that is a
//! gate, read by the caller), and never forgets that a line has more in the store than here.
//!
//! Kept here: the second half of invariant 5 (what is free to leave and has a slot waits no longer than its fair turn)
//! and the bound of invariant 6 on memory: 200 bytes a line, a million lines.
//!
//! Read `schedule.rs` first; `heads.rs`, `hop.rs` and `refill.rs` are its parts. `retry.rs`, `class.rs`, `cap.rs` and
//! `why.rs` stand alone.

mod account;
mod cap;
mod class;
#[cfg(test)]
mod fairness;
mod heads;
mod hop;
mod line;
#[cfg(test)]
mod model;
mod names;
mod park;
mod refill;
mod retry;
#[cfg(test)]
mod rotation;
mod schedule;
mod settings;
mod turn;
mod why;

pub use cap::{CapSettings, Room, RoomIn, WaitingCap, all_leave_in, room_for};
pub use class::{Class, ClassSettings, classify};
pub use line::{AccountId, HopId, Item, Line};
pub use names::Names;
pub use park::GateState;
pub use refill::{Added, More};
pub use retry::{DelayNotice, Life, NextTry, RetrySettings};
pub use schedule::Dispatch;
pub use settings::{DispatchSettings, Weight};
pub use turn::{Fit, Offer, Turn, TurnId};
pub use why::{Gate, Standing, Why};
