//! The rig: what stands around the real binary in tests, so that both of its sides are real.
//!
//! It starts peers on loopback addresses of their own ([`loopback`]), in folders of their own, as process groups that
//! end with their guard ([`process`]). It never imports the relay's rooms: what it checks it reads off the wire, so a
//! mistake in a room cannot hide itself here.
//!
//! Read [`sink`] first: a next hop that records envelopes, bytes and times, and can be told to misbehave.

#![allow(dead_code, reason = "each test binary uses its own part of the rig")]

pub(crate) mod client;
pub(crate) mod dns;
pub(crate) mod faults;
pub(crate) mod loopback;
pub(crate) mod postfix;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod sink;
pub(crate) mod tls;
pub(crate) mod windows;

/// How long anything may take before a test gives up: generous, since nothing here measures speed.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);
