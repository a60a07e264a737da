//! Alignment against what others say: the public SPF suite, other signers and verifiers, and the real binary between a
//! DNS server and a next hop.
//!
//! Each test says `skipped:` with the reason where what it needs is not there (`./check` fetches it).

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests stand outside the rooms: they wait for real processes")]

#[path = "../rig/mod.rs"]
mod rig;

mod cases;
mod doctor;
mod end_to_end;
mod forwarded;
mod logins;
mod messages;
mod opendkim;
mod others;
mod outcomes;
mod pages;
mod receiver;
mod reloads;
mod signed_dns;
mod spf_suite;
mod waiting;
