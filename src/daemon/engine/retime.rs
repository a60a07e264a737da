//! What was sent before this boot, placed by the wall clock once that may be believed: until then no time has passed since.

use std::time::Duration;

use super::Engine;
use super::start::Record;
use crate::limits::{Bridge, Moment};

/// How often it is asked whether somebody set the wall clock.
const POLL: Duration = Duration::from_secs(2);
/// How often at the latest, where it is set and behind what is on record all the same, or that cannot be read: each look
/// reads the whole record.
const POLL_MAX: Duration = Duration::from_mins(5);

/// What a look at the clock and the record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nobody set the clock yet. Costs nothing.
    ClockUnset,
    /// The record was read, or not, for nothing: the clock runs behind it.
    InVain,
    /// It was read, and a reload came with a window that reaches further back than what was.
    Overtaken,
    /// What was used before this boot has its place.
    Placed,
}

impl Look {
    /// How long until the next one; `None`: there is none.
    fn pause(self, before: Duration) -> Option<Duration> {
        match self {
            Self::ClockUnset | Self::Overtaken => Some(POLL),
            Self::InVain => Some((2 * before).min(POLL_MAX)),
            Self::Placed => None,
        }
    }
}

impl Engine {
    /// Once the wall clock is synchronised, places what was sent before this boot where it belongs.
    pub(super) async fn retime_loop(&self) {
        let mut next = Some(POLL);
        while let Some(pause) = next {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stopped.cancelled() => return,
            }
            next = self.retimed().await.pause(pause);
        }
    }

    async fn retimed(&self) -> Look {
        if !self.clock.synchronised() {
            return Look::ClockUnset;
        }
        let now = self.clock.now();
        let (rules, reading) = {
            let core = self.core();
            (core.slots.limits.book().clone(), core.slots.limits.reading())
        };
        let record = match Record::read(&*self.store, &*self.clock, now, &rules).await {
            Ok(record) if record.timeline.bridge() == Bridge::Wall => record,
            Ok(_) => return Look::InVain,
            Err(error) => {
                tracing::warn!(
                    %error,
                    advice = error.advice(),
                    "what was used before this boot cannot be read: it counts as it did until now; tried again"
                );
                return Look::InVain;
            }
        };
        let mut core = self.core();
        if core.slots.limits.book().longest_window_ms() > rules.longest_window_ms() {
            return Look::Overtaken;
        }
        core.slots.limits.retime(record.past(), record.kept_since, reading, Moment::from(now));
        for filled in record.used_up {
            core.slots.limits.filled(filled, Moment::from(now));
        }
        core.slots_came_back();
        tracing::info!("the wall clock is synchronised; slots used before this boot are placed by it");
        Look::Placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that is set and stays behind costs ever fewer readings of the record; one that is not set yet, or a reload
    /// between, has it looked at soon.
    #[test]
    fn looks_in_vain_come_ever_later_and_any_other_soon() {
        let script = [
            // what was found, the pause that follows in seconds
            (Look::ClockUnset, Some(2)),
            (Look::ClockUnset, Some(2)),
            (Look::InVain, Some(4)),
            (Look::InVain, Some(8)),
            (Look::InVain, Some(16)),
            (Look::ClockUnset, Some(2)), // lost again
            (Look::InVain, Some(4)),
            (Look::InVain, Some(8)),
            (Look::InVain, Some(16)),
            (Look::InVain, Some(32)),
            (Look::InVain, Some(64)),
            (Look::InVain, Some(128)),
            (Look::InVain, Some(256)),
            (Look::InVain, Some(300)),
            (Look::InVain, Some(300)),
            (Look::Overtaken, Some(2)), // read well, but for rules that are gone
            (Look::InVain, Some(4)),
            (Look::Placed, None), // the end of it
        ];
        let mut pause = POLL;
        for (step, (look, seconds)) in script.into_iter().enumerate() {
            let next = look.pause(pause);
            assert_eq!(next.map(|next| next.as_secs()), seconds, "step {step}: {look:?} after {pause:?}");
            pause = next.unwrap_or(pause);
        }
    }
}
