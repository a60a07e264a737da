//! How many lines one place in the code may write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Event as Line, Metadata, Subscriber, callsite};
use tracing_subscriber::layer::{Context, Filter};

use super::JOURNAL;
use crate::clock::Clock;

/// Lines from one place in the code within [`WINDOW_MS`]; further ones are counted.
const LINES_MAX: u32 = 20;
pub(super) const WINDOW_MS: u64 = 60_000;

/// Counts lines for each place in the code.
pub(super) struct Limiter {
    clock: Arc<dyn Clock>,
    places: Mutex<HashMap<callsite::Identifier, Place>>,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

struct Place {
    since_ms: u64,
    lines: u32,
    left_out: u64,
    name: String,
}

impl Limiter {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, places: Mutex::default() }
    }

    /// Whether one more line may be written. The number of places is that of the log lines in the code.
    fn allows(&self, about: &Metadata<'_>) -> bool {
        if about.target() == JOURNAL {
            return true;
        }
        let now_ms = self.clock.now().boot.0;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(about.callsite()).or_insert_with(|| Place {
            since_ms: now_ms,
            lines: 0,
            left_out: 0,
            name: format!("{}:{}", about.file().unwrap_or_default(), about.line().unwrap_or_default()),
        });
        if now_ms >= place.since_ms + WINDOW_MS {
            (place.since_ms, place.lines) = (now_ms, 0);
        }
        place.lines = place.lines.saturating_add(1);
        let allowed = place.lines <= LINES_MAX;
        place.left_out += u64::from(!allowed);
        allowed
    }

    /// How many lines of which place were left out since this was last asked.
    pub(super) fn left_out(&self) -> Vec<(String, u64)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.values_mut().filter(|place| place.left_out > 0);
        taken.map(|place| (place.name.clone(), std::mem::take(&mut place.left_out))).collect()
    }
}

/// The limiter as a filter of a layer.
pub(super) struct Limit(pub(super) Arc<Limiter>);

impl<S: Subscriber> Filter<S> for Limit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, line: &Line<'_>, _: &Context<'_, S>) -> bool {
        self.0.allows(line.metadata())
    }
}
