//! The daemon as the pages see it.

use super::Daemon;
use crate::align::doctor::Examined;
use crate::review::{Overview, Shown, Status};
use crate::store::Reads as _;

impl Overview for Daemon {
    fn status(&self) -> Shown<'_, Status> {
        Box::pin(async move {
            let totals = self.store.totals().await.map_err(|error| format!("{error}; {}", error.advice()))?;
            Ok(Status {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started: self.started,
                waiting: totals.waiting,
                held: totals.held,
                under_way: totals.under_way,
                troubles: self.engine.troubles(),
            })
        })
    }

    fn examined(&self) -> Examined {
        self.rounds.examined()
    }
}
