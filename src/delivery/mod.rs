//! Taking mail to the next hop: routes, connections, transactions, reports.
//!
//! It never chooses which message leaves or when, holds no limit and stores nothing: it is given a lease and gives back how
//! the attempt ended. Read [`route`] for where mail goes, then [`next_hop`] for one connection, then [`classify`] for what
//! a reply means, and [`dsn`] for what senders are told.

pub mod attempt;
pub mod classify;
mod connect;
pub mod credentials;
pub mod dns;
pub mod dsn;
pub mod error;
pub mod mx;
pub mod next_hop;
pub mod original;
mod own_words;
pub mod route;
mod screen;
#[cfg(test)]
mod script;
pub mod settings;
pub mod tls;
pub mod under_way;
mod verdict;
mod wire;

pub use attempt::{Abandoned, AttemptEnd, ContentBegan, Fate, Outgoing, RecipientEnd, ReportDuty, Signal, SignalKind};
pub use classify::ReplyTable;
pub use dns::{Dns, Resolver};
pub use dsn::{Report, ReportBasis, ReportKind, Reported, report};
pub use error::{ConnectFate, DeliveryError, OfEgress};
pub use next_hop::{Edges, NextHop};
pub use original::Original;
pub use route::{Egress, Facts, NoPlan, Plan, Router, RouterError};
pub use settings::{DeliverySettings, DsnSettings, EgressSettings, RouteSettings, Timeouts, TlsMode};
pub use tls::Tls;
pub use under_way::UnderWay;
