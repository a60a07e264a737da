//! An IPv4 loopback address of its own for every peer: all of 127/8 is this host, so that fixed ports never clash
//! between tests or between test programs that run side by side, and a source address names who connected.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Addresses of one block.
const BLOCK: u32 = 250;
/// The second byte of each block's addresses: a mark, and how much of the process id stands beside it. 127.0.0.1 and what
/// people bind by hand stay free.
const BLOCKS: [(u8, u8); 3] = [(0x80, 0x7f), (0x40, 0x3f), (0x20, 0x1f)];

/// An address that no other test of this machine uses: bits of the process id, then a counter.
///
/// # Panics
/// After 750 addresses in one process.
pub(crate) fn own_address() -> Ipv4Addr {
    let count = TAKEN.fetch_add(1, Ordering::Relaxed);
    let block = usize::try_from(count / BLOCK).expect("small");
    let &(mark, kept) = BLOCKS.get(block).expect("a test program takes at most 750 loopback addresses");
    let pid = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, pid[2] & kept | mark, pid[3], u8::try_from(count % BLOCK + 1).expect("at most 250"))
}
