//! An IPv4 loopback address of its own for every peer: all of 127/8 is this host, so that fixed ports never clash
//! between tests or between test programs that run side by side, and a source address names who connected.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// An address that no other test of this machine uses: 15 bits of the process id, then a counter.
///
/// # Panics
/// After 250 addresses in one process.
pub(crate) fn own_address() -> Ipv4Addr {
    let count = TAKEN.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(count < 250, "a test program takes at most 250 loopback addresses");
    let pid = std::process::id().to_be_bytes();
    // 127.128.0.0/9, so that 127.0.0.1 and what people bind by hand stay free.
    Ipv4Addr::new(127, pid[2] | 0x80, pid[3], u8::try_from(count).expect("under 250"))
}
