//! Which changes of a configuration a running daemon cannot take over.
//!
//! A reload is taken whole or not at all: where one of these changed, nothing does, and the operator is told.

use std::fmt;

use super::whole::Config;
use crate::intake::settings::ListenAt;

/// A change that needs a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsRestart {
    /// Mail would be in two folders.
    Store,
    /// Rights cannot be changed once they are given up.
    User,
    /// A port below 1024, which is bound before rights are given up.
    LowPort,
}

impl fmt::Display for NeedsRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Store => "store changed",
            Self::User => "user changed",
            Self::LowPort => "[[listen]] has a new port below 1024",
        };
        write!(f, "{what}, which needs a restart; nothing of the new file is in effect")
    }
}

impl Config {
    /// What keeps a running daemon from taking `new` over. Empty: it can.
    pub fn needs_restart(&self, new: &Self) -> Vec<NeedsRestart> {
        [
            (self.store.path != new.store.path, NeedsRestart::Store),
            (self.user != new.user, NeedsRestart::User),
            (has_new_low_port(self, new), NeedsRestart::LowPort),
        ]
        .into_iter()
        .filter_map(|(changed, what)| changed.then_some(what))
        .collect()
    }
}

fn has_new_low_port(old: &Config, new: &Config) -> bool {
    let is_open = |at: &ListenAt| old.intake.listen.iter().any(|listen| listen.at == *at);
    new.intake.listen.iter().any(|listen| {
        matches!(&listen.at, ListenAt::Tcp(address) if (1..1_024).contains(&address.port())) && !is_open(&listen.at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::surroundings::Machine;

    #[test]
    fn changes_are_told_apart() {
        let read = |text| Config::parse(text, "a.toml", &Machine::new(std::path::Path::new("/"))).unwrap().config;
        let cases: [(&str, &str, &[NeedsRestart]); 8] = [
            ("", "store = \"/var/lib/outguard\"", &[]), // the default, written
            ("", "[limits]\naccount = \"100/h\"\n[[route]]\nsmarthost = \"127.0.0.1:25\"", &[]),
            ("", "store = \"/srv/mail\"\nuser = \"mail\"", &[NeedsRestart::Store, NeedsRestart::User]),
            ("", "[[listen]]\naddress = \"127.0.0.1:25\"", &[NeedsRestart::LowPort]),
            ("[[listen]]\naddress = \"127.0.0.1:25\"", "", &[]), // given up
            ("[[listen]]\naddress = \"127.0.0.1:25\"", "[[listen]]\naddress = \"127.0.0.1:25\"\ntls = \"off\"", &[]),
            ("", "[[listen]]\naddress = \"127.0.0.1:1024\"\n[[listen]]\naddress = \"/run/x\"", &[]),
            ("[[listen]]\naddress = \"127.0.0.1:10025\"", "", &[]),
        ];
        for (old, new, expected) in cases {
            assert_eq!(read(old).needs_restart(&read(new)), expected, "{old} to {new}");
        }
    }
}
