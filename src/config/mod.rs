//! The configuration file: what is written, what it means, and every fault of it at once.
//!
//! A file is read in one pass: [`source`] parses what can be parsed, [`reader`] walks it key by key and notes faults
//! with their place ([`diagnostic`]), values are read as people write them ([`values`]), and everything read is
//! recorded ([`record`]), so that the effective configuration and the reference cannot differ from the truth. Each room
//! owns its settings and their defaults; the files of this room only say how they are written. Nothing here opens a
//! port or a store.
//!
//! Read [`reader`] first.

mod account;
mod align;
mod api;
mod behaviour;
mod delivery;
pub mod diagnostic;
mod dispatch;
pub mod effective;
mod intake;
pub mod item;
mod limits;
pub mod log;
pub mod model;
mod named;
mod ovh;
mod own_reports;
pub mod reader;
pub mod record;
pub mod reference;
pub mod reload;
mod review;
mod score;
mod score_rules;
mod scorers;
pub mod secrets;
mod signing;
pub mod source;
mod store;
pub mod surroundings;
mod unclosed;
pub mod values;
pub mod whole;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use item::{Fault, Item, Place, Setting};
pub use reader::{Key, Purpose, Reading, TableReader, key};
pub use whole::{Config, Loaded};
