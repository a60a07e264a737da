//! Alignment against what others say: the public SPF suite, other signers and verifiers, real questions to a DNS server.
//!
//! Each test says `skipped:` with the reason where what it needs is not there (`./check` fetches it).

#![cfg(test)]

mod spf_suite;
