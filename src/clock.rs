//! Time, and nothing else that is impure: the boot clock that limits are kept on, and the wall clock that people read.
//!
//! Every room below `daemon` takes a [`Now`] as an argument. This file is the one door to the kernel's clocks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds on the machine's boot clock, which counts through suspend and is never stepped.
///
/// It starts again from zero at each boot: a stored value means something only beside its [`BootId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootMs(pub u64);

/// Milliseconds since 1970-01-01 UTC on the wall clock. It may be stepped either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallMs(pub u64);

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The clock that decides.
    pub boot: BootMs,
    /// The clock that people read, and the one that outlives a boot.
    pub wall: WallMs,
}

/// Which boot of the machine a [`BootMs`] belongs to (`/proc/sys/kernel/random/boot_id`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BootId(pub Box<str>);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where time comes from; the simulation and the tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// Both clocks, read together.
    fn now(&self) -> Now;
    /// The boot that [`Now::boot`] counts from.
    fn boot_id(&self) -> BootId;
    /// Whether the kernel calls the wall clock synchronised (`adjtimex`), so that it may be compared with a time
    /// stored before this boot.
    fn synchronised(&self) -> bool;
}

/// The kernel's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    boot_id: BootId,
}

impl SystemClock {
    /// Reads the boot id once.
    ///
    /// # Errors
    /// `/proc/sys/kernel/random/boot_id` cannot be read: without it, times of an earlier boot would be taken for
    /// times of this one.
    pub fn new() -> std::io::Result<Self> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self { boot_id: BootId(id.trim().into()) })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { boot: BootMs(read(rustix::time::ClockId::Boottime)), wall: WallMs(read(rustix::time::ClockId::Realtime)) }
    }

    fn boot_id(&self) -> BootId {
        self.boot_id.clone()
    }

    fn synchronised(&self) -> bool {
        // `ntp_adjtime` with no mode set only reads; TIME_ERROR says that the clock is not synchronised.
        const TIME_ERROR: i32 = 5;
        kernel_clock_state().is_some_and(|state| state != TIME_ERROR)
    }
}

fn read(clock: rustix::time::ClockId) -> u64 {
    let t = rustix::time::clock_gettime(clock);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000 + u64::try_from(t.tv_nsec).unwrap_or(0) / 1_000_000
}

#[expect(unsafe_code, reason = "no safe wrapper of adjtimex exists in the crates we use; a zeroed request only reads")]
fn kernel_clock_state() -> Option<i32> {
    // SAFETY: `timex` is plain old data for which all zeroes is valid, and the call writes only into it.
    let state = unsafe {
        let mut request: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut request)
    };
    (state >= 0).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_clock_goes_forward_and_ids_are_stable() {
        let clock = SystemClock::new().unwrap();
        let (a, b) = (clock.now(), clock.now());
        assert!(b.boot >= a.boot);
        assert_eq!(clock.boot_id(), SystemClock::new().unwrap().boot_id());
    }
}
