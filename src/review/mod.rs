//! Pages for a browser: what the daemon does, and what the doctor found.
//!
//! Plain HTML without scripts, read only. They are served on a loopback address of their own, where a password is asked for
//! (every user of the machine can reach it), and on the control socket, where the kernel says who asks. Every byte that
//! came from elsewhere is escaped by the templates. Nothing here decides anything, and nothing here changes anything. What
//! is shown stands behind the trait [`Overview`]. Read [`pages`] first, then [`door`], which says who may come in.

pub mod door;
pub mod listener;
mod moment;
pub mod pages;
pub mod settings;
mod tries;

use std::future::Future;
use std::pin::Pin;

use crate::align::doctor::Examined;
use crate::clock::WallMs;

pub use door::{Door, Keys};
pub use listener::{PageError, PageListener};
pub use pages::pages;
pub use settings::ReviewSettings;

/// What a page shows of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: WallMs,
    /// Deliveries that wait for time or a slot.
    pub waiting: u64,
    /// Deliveries that wait for a person.
    pub held: u64,
    /// Deliveries under way.
    pub under_way: u64,
    /// What is not as it should be, one sentence each.
    pub troubles: Vec<String>,
}

/// An answer to come, or why there is none, as a sentence.
pub type Shown<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// The daemon, as the pages see it.
pub trait Overview: Send + Sync + 'static {
    /// What it does now.
    fn status(&self) -> Shown<'_, Status>;
    /// What the doctor found when it last looked.
    fn examined(&self) -> Examined;
}
