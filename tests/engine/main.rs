//! The engine over a real store, real sockets and a clock that the test holds: mail that is free to leave leaves, whatever
//! stopped it before; nothing is lost; no window holds more than its limit.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests stand outside the rooms: they wait for real sockets")]

#[path = "../rig/mod.rs"]
mod rig;

mod aged;
mod bed;
mod broken;
mod ends;
mod filled;
mod flood;
mod free;
mod lost;
mod moves;
mod parked;
mod pools;
mod refiled;
mod refusals;
mod reloads;
mod renewed;
mod storm;
mod used_up;
mod via;
mod waits;
