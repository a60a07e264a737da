//! How a command ends that did not do what was asked: one sentence, one line of advice, one exit code.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::api::ClientError;
use crate::mail::Visible;
use crate::store::StoreError;
use crate::store::sqlite::OpenError;

/// The exit codes, as `--help` shows them. 65 and up are those of sysexits.h.
pub const EXIT_CODES: &str = "Exit codes:
   0  done
   1  failed; standard error says why
   2  the command line makes no sense
   3  there is no such message, or nothing was found
  75  not now: no daemon runs, or its store is not available; try again
  77  this user may not do that
  78  the configuration is wrong";

/// Where a message may have gone that nothing is known of.
pub(super) const HISTORY: &str = "history is kept as long as `journal.keep` says";

/// Why a command failed.
#[derive(Debug)]
pub enum Failed {
    /// The daemon or the way to it.
    Client(ClientError),
    /// Nothing answers to that name.
    NotFound {
        /// What was looked for.
        what: String,
        /// Where else to look.
        advice: &'static str,
    },
    /// The store could not be opened without a daemon.
    Open {
        /// Why nobody could be asked.
        daemon: ClientError,
        /// Why the store could not be read instead.
        store: Box<OpenError>,
    },
    /// The store could not be read.
    Store(StoreError),
    /// It needs a daemon, and none runs.
    NeedsDaemon {
        /// The way to it.
        daemon: ClientError,
        /// What to do.
        advice: &'static str,
    },
    /// The configuration is wrong; its faults, one a line.
    Config(String),
    /// The daemon did not start.
    Daemon(crate::daemon::RunError),
    /// The terminal or the system.
    Io(io::Error),
    /// What was given makes no sense.
    Usage {
        /// What is wrong.
        what: String,
    },
    /// The demonstration did not show what it promises.
    Demo {
        /// What went wrong.
        what: String,
    },
    /// The doctor found what receivers refuse mail for.
    Unhealthy {
        /// How many.
        faults: usize,
    },
    /// Standard output was closed by its reader, which had enough.
    ReaderGone,
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ReaderGone } else { Self::Io(error) }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) | Self::NeedsDaemon { daemon: error, .. } => error.fmt(f),
            Self::NotFound { what, .. } => write!(f, "nothing is known of {}", Visible(what)),
            Self::Open { daemon, store } => write!(f, "{daemon}, and its store cannot be read instead: {store}"),
            Self::Store(error) => error.fmt(f),
            Self::Config(faults) => f.write_str(faults),
            Self::Daemon(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Usage { what } | Self::Demo { what } => f.write_str(what),
            Self::Unhealthy { faults } => write!(f, "receivers refuse mail for {faults} fault(s)"),
            Self::ReaderGone => f.write_str("the reader of the output is gone"),
        }
    }
}

impl Failed {
    /// What to do; empty where there is nothing to say.
    fn advice(&self) -> &str {
        match self {
            Self::Client(error) | Self::Open { daemon: error, .. } => error.advice(),
            Self::NeedsDaemon { advice, .. } | Self::NotFound { advice, .. } => advice,
            Self::Store(error) => error.advice(),
            Self::Config(_) => "nothing was started or changed",
            Self::Unhealthy { .. } => "each says what mends it",
            Self::Demo { .. } => "please report it with the output above",
            Self::Daemon(_) | Self::Io(_) | Self::Usage { .. } | Self::ReaderGone => "",
        }
    }

    /// Says it on standard error.
    pub fn tell(&self, err: &mut dyn Write) {
        if matches!(self, Self::ReaderGone) {
            return;
        }
        for line in self.to_string().lines() {
            let _ = writeln!(err, "outguard: {}", Visible(line)); // nobody is left to tell
        }
        if !self.advice().is_empty() {
            let _ = writeln!(err, "outguard: {}", self.advice());
        }
    }

    /// What the process ends with ([`EXIT_CODES`]).
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn number(&self) -> u8 {
        match self {
            Self::NotFound { .. } | Self::Client(ClientError::Refused { status: 404, .. }) => 3,
            Self::Client(ClientError::Refused { status: 400, .. }) | Self::Usage { .. } => 2,
            Self::Client(ClientError::Refused { status: 403, .. } | ClientError::NotAllowed { .. })
            | Self::NeedsDaemon { daemon: ClientError::NotAllowed { .. }, .. }
            | Self::Open { daemon: ClientError::NotAllowed { .. }, .. } => 77,
            Self::Client(ClientError::Refused { status: 503 | 504, .. } | ClientError::NoDaemon { .. })
            | Self::NeedsDaemon { .. }
            | Self::Open { .. }
            | Self::Store(_) => 75,
            Self::Config(_) => 78,
            Self::ReaderGone => 0,
            Self::Client(ClientError::Refused { .. } | ClientError::Broken { .. })
            | Self::Daemon(_)
            | Self::Io(_)
            | Self::Unhealthy { .. }
            | Self::Demo { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::view::Failure;

    #[test]
    fn codes() {
        let refused = |status| {
            let failure = Failure { error: "no".into(), advice: String::new() };
            Failed::Client(ClientError::Refused { status, failure })
        };
        let cases = [
            (refused(404), 3),
            (refused(403), 77),
            (refused(503), 75),
            (refused(409), 1),
            (Failed::Config("x".into()), 78),
            (Failed::from(io::Error::from(io::ErrorKind::BrokenPipe)), 0), // `outguard queue list | head`
        ];
        for (failed, code) in cases {
            assert_eq!(failed.number(), code, "{failed:?}");
        }
    }
}
