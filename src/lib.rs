//! outguard: a local guard for outgoing mail.
//!
//! An SMTP relay between an MTA and the world that keeps hourly limits exactly and loses nothing. The rooms below are
//! listed from the top down; an arrow between them may only point down (`docs/architecture.md`).

pub mod account;
pub mod align;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod delivery;
pub mod dispatch;
pub mod event;
pub mod guard;
pub mod intake;
pub mod limits;
pub mod mail;
pub mod message;
pub mod ovh;
pub mod reason;
pub mod review;
pub mod score;
pub mod secret;
pub mod smtp;
pub mod sockets;
pub mod store;
