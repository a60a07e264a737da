//! Taking mail to the next hop: routes, connections, transactions, reports.
//!
//! It never chooses which message leaves or when, holds no limit and stores nothing: it is given a lease and gives back how
//! the attempt ended. Read [`route`] for where mail goes, then [`next_hop`] for one connection, then [`classify`] for what
//! a reply means.

pub mod credentials;
pub mod route;
pub mod settings;
