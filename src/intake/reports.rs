//! What is no event of the journal: refused sessions, failed logins, the store's refusals. Log lines with a bound on their
//! rate, and counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::BootMs;

/// Lines of one kind within a minute; the rest is counted and told with the next.
const LINES_A_MINUTE_MAX: u32 = 10;
const MINUTE_MS: u64 = 60_000;
/// The longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 300;

/// What is reported. The names are those of log field and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A connection over a limit.
    ConnectionRefused,
    /// A client that may not relay.
    ClientRefused,
    /// Wrong login or password.
    AuthFailed,
    /// A login put off: too many failures, or too many checks under way.
    AuthPutOff,
    /// A TLS handshake that failed.
    TlsFailed,
    /// A message refused for its framing, size or hops, or because of limits of ours.
    MessageRefused,
    /// The store did not take a message.
    StoreRefused,
    /// A local client whose user could not be found out.
    UserUnknown,
    /// A socket of ours failed.
    Listener,
    /// A session was broken off by a fault of ours.
    Broken,
}

impl Report {
    const ALL: [Self; 10] = [
        Self::ConnectionRefused,
        Self::ClientRefused,
        Self::AuthFailed,
        Self::AuthPutOff,
        Self::TlsFailed,
        Self::MessageRefused,
        Self::StoreRefused,
        Self::UserUnknown,
        Self::Listener,
        Self::Broken,
    ];

    /// The name in log and metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "intake.connection-refused",
            Self::ClientRefused => "intake.client-refused",
            Self::AuthFailed => "intake.auth-failed",
            Self::AuthPutOff => "intake.auth-put-off",
            Self::TlsFailed => "intake.tls-failed",
            Self::MessageRefused => "intake.message-refused",
            Self::StoreRefused => "intake.store-refused",
            Self::UserUnknown => "intake.user-unknown",
            Self::Listener => "intake.listener",
            Self::Broken => "intake.session-broken",
        }
    }
}

/// Counts and rates of all kinds.
#[derive(Debug, Default)]
pub struct Reports {
    kinds: [Kind; Report::ALL.len()],
}

#[derive(Debug, Default)]
struct Kind {
    count: AtomicU64,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    since: BootMs,
    lines: u32,
    untold: u64,
}

impl Reports {
    /// Counts it, and writes a line unless there were too many of its kind within the minute.
    pub fn report(&self, report: Report, now: BootMs, client: &str, detail: &str) {
        let kind = &self.kinds[report as usize];
        kind.count.fetch_add(1, Ordering::Relaxed);
        let Some(untold) = kind.leave(now) else { return };
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).flat_map(char::escape_debug).collect();
        tracing::warn!(event = report.name(), client, untold, "{detail}");
    }

    /// How often each was reported since the start.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Report::ALL.iter().map(|&r| (r.name(), self.kinds[r as usize].count.load(Ordering::Relaxed)))
    }
}

impl Kind {
    /// Leave to write a line, with the number of those that were not written before it.
    fn leave(&self, now: BootMs) -> Option<u64> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0.saturating_sub(minute.since.0) >= MINUTE_MS {
            (minute.since, minute.lines) = (now, 0);
        }
        if minute.lines >= LINES_A_MINUTE_MAX {
            minute.untold += 1;
            return None;
        }
        minute.lines += 1;
        Some(std::mem::take(&mut minute.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_once_more() {
        let kind = Kind::default();
        let told = (0..100).filter(|_| kind.leave(BootMs(70_000)).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(kind.leave(BootMs(130_000)), Some(90));
        assert_eq!(kind.leave(BootMs(130_001)), Some(0));
    }

    #[test]
    fn every_kind_has_its_place() {
        let reports = Reports::default();
        for report in Report::ALL {
            reports.report(report, BootMs(0), "client", "x\n\x1b[2J");
        }
        assert!(reports.counts().all(|(_, count)| count == 1));
    }
}
