//! Real peers on both sides of the real binary: who can hand mail to it, who takes mail from it, and what they see.
//!
//! Every test starts its own peers on loopback addresses of its own and leaves nothing behind. Where a peer is not
//! installed the test says `skipped:` with the reason and passes.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests stand outside the rooms: they wait for real processes")]

#[path = "../rig/mod.rs"]
mod rig;

mod bodies;
mod holding;
mod judging;
mod keeping;
mod lifecycle;
mod postfix_client;
mod reports;
mod rig_itself;
mod routes;
mod scorers;
mod sending;
mod sendmail;
mod sharing;
mod smuggling;
mod starttls;
mod submitters;
mod systemd;
mod taking;
mod throng;
mod weighing;
