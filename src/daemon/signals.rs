//! Signals: SIGHUP reloads, SIGTERM and SIGINT drain.
//!
//! A signal that nobody waits for has its default meaning, and that of SIGHUP is to end the process. A script that writes
//! the configuration and sends SIGHUP right after a start must not stop the mail, so SIGHUP is kept back by the kernel from
//! the first moment, and comes through once the daemon can do what it asks for.

use std::io;

use nix::sys::signal::{SigSet, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGHUP is kept back: one that comes now is heard later.
#[must_use]
pub(super) struct HangupKept(SigSet);

impl HangupKept {
    /// Must be called in the process's first thread while it is the only one: those that it starts do the same.
    pub(super) fn begin() -> io::Result<Self> {
        let mut hangup = SigSet::empty();
        hangup.add(Number::SIGHUP);
        hangup.thread_block()?;
        Ok(Self(hangup))
    }

    /// Within a runtime, in that first thread: from now on SIGHUP is heard, one that came before included.
    pub(super) fn listen(self) -> io::Result<Signal> {
        let heard = signal(SignalKind::hangup())?;
        self.0.thread_unblock()?;
        Ok(heard)
    }
}

/// SIGTERM or SIGINT.
pub(super) struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
