//! Which changes of a configuration a running daemon cannot take over.
//!
//! A reload is taken whole or not at all: where one of these changed, nothing does, and the operator is told.

use std::fmt;

use super::whole::Config;

/// A change that needs a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsRestart {
    /// Mail would be in two folders.
    Store,
    /// Rights cannot be changed once they are given up.
    User,
    /// The ports are bound before rights are given up.
    Listen,
}

impl fmt::Display for NeedsRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Store => "store",
            Self::User => "user",
            Self::Listen => "[[listen]]",
        };
        write!(f, "{what} changed, which needs a restart; nothing of the new file is in effect")
    }
}

impl Config {
    /// What keeps a running daemon from taking `new` over. Empty: it can.
    pub fn needs_restart(&self, new: &Self) -> Vec<NeedsRestart> {
        [
            (self.store.path != new.store.path, NeedsRestart::Store),
            (self.user != new.user, NeedsRestart::User),
            (self.intake.listen != new.intake.listen, NeedsRestart::Listen),
        ]
        .into_iter()
        .filter_map(|(changed, what)| changed.then_some(what))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::surroundings::Machine;

    #[test]
    fn changes_are_told_apart() {
        let read = |text| Config::parse(text, "a.toml", &Machine::new(std::path::Path::new("/"))).unwrap().config;
        let cases: [(&str, &str, &[NeedsRestart]); 5] = [
            ("", "store = \"/var/lib/outguard\"", &[]), // the default, written
            ("", "[limits]\naccount = \"100/h\"\n[[route]]\nsmarthost = \"127.0.0.1:25\"", &[]),
            ("", "store = \"/srv/mail\"\nuser = \"mail\"", &[NeedsRestart::Store, NeedsRestart::User]),
            ("", "[[listen]]\naddress = \"127.0.0.1:25\"", &[NeedsRestart::Listen]),
            ("[[listen]]\naddress = \"127.0.0.1:10025\"", "", &[]),
        ];
        for (old, new, expected) in cases {
            assert_eq!(read(old).needs_restart(&read(new)), expected, "{old} to {new}");
        }
    }
}
