//! The relays that are measured: outguard with its limits out of the way, and Postfix as it comes.

use std::net::SocketAddr;

use super::rig::postfix::{self, Plan, Postfix};
use super::rig::relay::{Relay, Site, smarthost};

/// A relay in front of a sink.
pub(crate) enum Target {
    Outguard(Relay),
    Postfix(Postfix),
}

impl Target {
    /// `None`, and a sentence, where this machine cannot run it.
    pub(crate) fn start(relay: &str, sink: SocketAddr) -> Option<Self> {
        match relay {
            "outguard" => Some(Self::Outguard(Site::new(&outguard(sink)).start())),
            "postfix" => {
                if let Some(reason) = postfix::missing() {
                    println!("skipped: postfix: {reason}");
                    return None;
                }
                Some(Self::Postfix(Postfix::start(&Plan::default().relayhost(sink))))
            }
            _ => panic!("{relay}: not a relay; outguard or postfix"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Outguard(relay) => relay.site().address(),
            Self::Postfix(postfix) => postfix.address(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Outguard(relay) => relay.pid(),
            Self::Postfix(postfix) => postfix.pid(),
        }
    }
}

/// Limits that no run reaches: what is measured is the work, not the waiting. To the next hop as many connections as
/// Postfix opens by default.
fn outguard(sink: SocketAddr) -> String {
    let limits = "[align]\njudge = false\n[limits]\naccount = \"10000000/h\"\negress = \"10000000/h\"\n\
                  [intake.limits]\nconnections = 20000\nconnections_of_trusted = 20000\n";
    limits.to_owned() + &smarthost(sink) + "concurrency = 20\n"
}
