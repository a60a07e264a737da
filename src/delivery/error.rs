//! Why no connection came to take mail, by what the queue does about it.

use std::fmt;
use std::io;
use std::time::Duration;

use super::mx::NoServer;
use crate::clock::WallMs;
use crate::event::Event;
use crate::smtp::client::{PeerReply, ReplyFault, Stage};
use crate::store::Destination;

/// Why a next hop cannot be used now. No lease was taken for it.
#[derive(Debug)]
pub enum DeliveryError {
    /// No server is to be found for the name.
    NoServer {
        /// Domain or host.
        name: String,
        /// Why.
        source: NoServer,
    },
    /// No connection.
    Connect {
        /// Host and address.
        next_hop: String,
        /// How long it took to fail.
        waited: Duration,
        /// The system's words.
        source: io::Error,
    },
    /// The egress's address cannot be used on this machine, or for the next hop's family.
    Egress {
        /// The egress's name.
        egress: String,
        /// Host and address that was to be reached.
        next_hop: String,
        /// The system's words.
        source: io::Error,
    },
    /// No answer in time.
    Timeout {
        /// Host and address.
        next_hop: String,
        /// What was not answered.
        stage: Stage,
        /// How long was waited.
        waited: Duration,
    },
    /// The connection broke or was closed.
    Lost {
        /// Host and address.
        next_hop: String,
        /// What was being answered.
        stage: Stage,
        /// The system's words; `None` where it was closed in order.
        source: Option<io::Error>,
    },
    /// What it said is no SMTP.
    BadReply {
        /// Host and address.
        next_hop: String,
        /// In answer to what.
        stage: Stage,
        /// What is wrong with it.
        source: ReplyFault,
    },
    /// It refused before any message.
    Refused {
        /// Host and address.
        next_hop: String,
        /// In reply to what.
        stage: Stage,
        /// Its words.
        reply: PeerReply,
    },
    /// It refused the login.
    Login {
        /// Host and address.
        next_hop: String,
        /// The user.
        user: String,
        /// Its words.
        reply: PeerReply,
    },
    /// TLS could not be agreed, or the certificate is not good.
    Tls {
        /// Host and address.
        next_hop: String,
        /// What failed.
        detail: String,
    },
    /// TLS is required and not offered.
    NoTls {
        /// Host and address.
        next_hop: String,
    },
    /// There is a login and no mechanism in common.
    NoAuth {
        /// Host and address.
        next_hop: String,
    },
    /// It is ourselves.
    Loop {
        /// Host and address.
        next_hop: String,
        /// How we know.
        sign: LoopSign,
    },
}

/// How a loop shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopSign {
    /// The address is one of our listeners.
    Listener,
    /// It calls itself by our own EHLO name.
    Name,
}

/// Whether another egress may do better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfEgress {
    /// The trouble is this egress's own.
    Surely,
    /// The next hop may refuse this address alone.
    Perhaps,
    /// It is the next hop's, or the way's to it.
    No,
}

/// What the queue does with the mail of this destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectFate {
    /// It waits for the next try.
    Defer,
    /// It waits, and the login is not tried again until its pause is over.
    PauseLogin,
    /// It ends: the domain says that it takes no mail, or does not exist.
    Bounce {
        /// Status for the report.
        status: &'static str,
        /// For store and report.
        words: String,
    },
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer { name, source } => write!(f, "{name}: {source}"),
            Self::Connect { next_hop, waited, source } => {
                write!(f, "{next_hop}: not reached in {:.1} s ({source})", waited.as_secs_f32())
            }
            Self::Egress { egress, next_hop, source } => {
                write!(f, "{next_hop}: the address of egress \"{egress}\" cannot be used ({source})")
            }
            Self::Timeout { next_hop, stage, waited } => {
                write!(f, "{next_hop}: no answer to {stage} in {:.0} s", waited.as_secs_f32())
            }
            Self::Lost { next_hop, stage, source: Some(source) } => {
                write!(f, "{next_hop}: connection lost while {stage} was to be answered ({source})")
            }
            Self::Lost { next_hop, stage, source: None } => {
                write!(f, "{next_hop}: connection closed while {stage} was to be answered")
            }
            Self::BadReply { next_hop, stage, source } => {
                write!(f, "{next_hop}: no SMTP in reply to {stage}: {source}")
            }
            Self::Refused { next_hop, stage, reply } => write!(f, "{next_hop} said in reply to {stage}: {reply}"),
            Self::Login { next_hop, user, reply } => write!(f, "{next_hop} refused the login {user}: {reply}"),
            Self::Tls { next_hop, detail } => write!(f, "{next_hop}: TLS failed: {detail}"),
            Self::NoTls { next_hop } => write!(f, "{next_hop}: TLS is required and not offered"),
            Self::NoAuth { next_hop } => write!(f, "{next_hop}: offers neither AUTH PLAIN nor AUTH LOGIN"),
            Self::Loop { next_hop, sign: LoopSign::Listener } => {
                write!(f, "{next_hop}: mail loops back: that is a listener of our own")
            }
            Self::Loop { next_hop, sign: LoopSign::Name } => {
                write!(f, "{next_hop}: mail loops back: it calls itself by our own EHLO name")
            }
        }
    }
}

impl std::error::Error for DeliveryError {}

impl DeliveryError {
    /// For the operator: what outguard does and what can be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoServer { source: NoServer::NullMx | NoServer::NoSuchDomain, .. } => {
                "the mail goes back to its sender; nothing is wrong here"
            }
            Self::NoServer { source: NoServer::Dns { .. }, .. } => {
                "the message waits and is tried again; does this host's name server answer?"
            }
            Self::NoServer { source: NoServer::NoAddress, .. } => {
                "the message waits and is tried again; the name has no address that this egress can reach"
            }
            Self::NoServer { source: NoServer::Ourselves, .. } | Self::Loop { .. } => {
                "the message waits and is tried again; point the route or the MX elsewhere, or give this egress an EHLO \
                 name of its own"
            }
            Self::Connect { .. } => "the message waits and is tried again; can this host reach that port?",
            Self::Egress { .. } => {
                "the message waits and is tried again; is the egress's address set up on this machine, and of the same \
                 family (IPv4 or IPv6) as the next hop's?"
            }
            Self::Timeout { .. } | Self::Lost { .. } => "the message waits and is tried again",
            Self::BadReply { .. } => "the message waits and is tried again; is that port SMTP, and its TLS mode right?",
            Self::Refused { .. } => {
                "the message waits and is tried again; nothing bounces for it; read the next hop's words"
            }
            Self::Login { .. } => {
                "mail of this login waits; check the password, and whether the provider blocked the account"
            }
            Self::Tls { .. } => {
                "the message waits and is tried again; check the certificate's name, its authority (ca_file) and dates"
            }
            Self::NoTls { .. } => {
                "the message waits and is tried again; another port, or another TLS mode of the route?"
            }
            Self::NoAuth { .. } => {
                "the message waits and is tried again; some servers offer AUTH only after TLS or on another port"
            }
        }
    }

    /// Whether another egress may do better.
    pub fn is_of_egress(&self) -> OfEgress {
        match self {
            Self::Egress { .. } | Self::NoServer { source: NoServer::NoAddress, .. } => OfEgress::Surely,
            Self::Refused { stage: Stage::Greeting | Stage::Ehlo, reply, .. } if reply.code >= 500 => OfEgress::Perhaps,
            Self::NoServer { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::BadReply { .. }
            | Self::Refused { .. }
            | Self::Login { .. }
            | Self::Tls { .. }
            | Self::NoTls { .. }
            | Self::NoAuth { .. }
            | Self::Loop { .. } => OfEgress::No,
        }
    }

    /// What the queue does with the mail that waits for this destination.
    pub fn fate(&self) -> ConnectFate {
        match self {
            Self::NoServer { name, source: NoServer::NullMx } => ConnectFate::Bounce {
                status: "5.1.10",
                words: format!("556 5.1.10 the domain {name} takes no mail (null MX, RFC 7505)"),
            },
            Self::NoServer { name, source: NoServer::NoSuchDomain } => ConnectFate::Bounce {
                status: "5.1.2",
                words: format!("550 5.1.2 the domain {name} does not exist in DNS, or has no mail server"),
            },
            Self::Login { .. } => ConnectFate::PauseLogin,
            Self::NoServer { .. }
            | Self::Connect { .. }
            | Self::Egress { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::BadReply { .. }
            | Self::Refused { .. }
            | Self::Tls { .. }
            | Self::NoTls { .. }
            | Self::NoAuth { .. }
            | Self::Loop { .. } => ConnectFate::Defer,
        }
    }

    /// The event that tells the operator, with the time of the next try.
    pub fn event(&self, destination: &Destination, due: WallMs) -> Event {
        Event::NextHopTrouble {
            destination: destination.to_string(),
            reason: self.to_string(),
            advice: self.advice().to_owned(),
            due,
        }
    }

    /// Whether another server of the same domain might do better (RFC 5321 5.1).
    pub(super) fn next_server_may_help(&self) -> bool {
        !matches!(self, Self::Login { .. } | Self::NoAuth { .. })
    }
}
