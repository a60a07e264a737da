//! The doctor's rounds: when it looks by itself, and what it tells.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{asked_by, kept, look, sent};
use crate::align::dns::{Cached, Hickory, Lookup};
use crate::align::doctor::{Change, Examined, Finding, Grade, Patience, Standing, Turn};
use crate::clock::WallMs;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::daemon::reload::random;
use crate::event::Event;

/// How long after the start it looks for the first time: mail goes first.
const START_AFTER: Duration = Duration::from_mins(2);
/// What went wrong is looked at again after so long before it is told: a server that was just restarted is no news.
const SECOND_LOOK_AFTER: Duration = Duration::from_mins(5);
/// How long one look may take; nobody waits for it.
const PATIENCE: Patience =
    Patience { question: Duration::from_mins(1), visit: Duration::from_mins(2), whole: Duration::from_mins(5) };
/// How often it is seen whether a round is due: a reload may have changed when.
const TICK: Duration = Duration::from_mins(1);
/// The part of the time between rounds by which one may be late, so that many servers do not ask at once.
const JITTER: u32 = 10;

/// What the doctor knows, shared with those who ask.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Rounds {
    last: Mutex<Examined>,
}

impl Rounds {
    /// What was found when it last looked.
    pub(in crate::daemon) fn examined(&self) -> Examined {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Examined)) {
        change(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Daemon {
    /// Recalls what an earlier run found, and begins.
    pub(in crate::daemon) async fn begin_rounds(self: &Arc<Self>) {
        let standing = match kept::recall(self.store.as_ref()).await {
            Ok((standing, examined)) => {
                self.rounds.change(|last| *last = examined);
                standing
            }
            Err(error) => {
                tracing::warn!(%error, advice = error.advice(), "what the doctor found earlier is not known");
                Standing::default()
            }
        };
        let (daemon, stop) = (Arc::downgrade(self), self.stop.clone());
        self.tasks.spawn(async move {
            stop.run_until_cancelled(Box::pin(go_round(daemon, standing))).await;
        });
    }

    /// One look at everything, with answers of now. `None`: it came to nothing, and why is in the log.
    async fn look(&self, config: &Config) -> Option<Vec<Finding>> {
        let looked = async {
            let sent = sent(config, self.store.as_ref(), self.clock.now().wall).await;
            let asked = asked_by(config, &[], &sent, self.clock.as_ref(), PATIENCE)?;
            let resolver = Hickory::new(&config.align.dns).map_err(|why| why.to_string())?;
            let dns: Arc<dyn Lookup> = Arc::new(Cached::new(resolver, &config.align.dns, Arc::clone(&self.clock)));
            Ok::<_, String>(look(config, &dns, &asked, &sent, self.clock.as_ref()).await)
        };
        match looked.await {
            Ok(findings) => Some(findings),
            Err(why) => {
                tracing::warn!(why, advice = "see `outguard doctor`", "the doctor's round came to nothing");
                None
            }
        }
    }

    async fn tell(&self, change: Change) {
        let Finding { subject, check, about, grade, found, mend, .. } = change.finding;
        let (check, grade) = (check.into_owned(), grade.as_str().to_owned());
        self.note(match change.turn {
            Turn::Worse => Event::DoctorWorse { subject, check, about, grade, found, mend },
            Turn::Better => Event::DoctorBetter { subject, check, about, found },
        })
        .await;
    }
}

/// Until the daemon ends.
async fn go_round(daemon: std::sync::Weak<Daemon>, mut standing: Standing) {
    let mut waited = Duration::ZERO;
    let mut drawn = random();
    let mut is_first = true;
    loop {
        let Some(now) = daemon.upgrade() else { return };
        let config = now.config();
        let Some(every) = config.align.doctor.every else {
            now.rounds.change(|last| last.next_ms = None);
            drop(now);
            tokio::time::sleep(TICK).await;
            continue;
        };
        let wait = if is_first { START_AFTER.min(every) } else { late(every, drawn) };
        let left = wait.saturating_sub(waited);
        if !left.is_zero() {
            now.rounds.change(|last| last.next_ms = Some(after(now.clock.now().wall, left)));
            drop(now);
            // A reload may change the time, so it sleeps in pieces.
            let piece = left.min(TICK);
            tokio::time::sleep(piece).await;
            waited += piece;
            continue;
        }
        round(&now, &config, every, &mut standing, is_first).await;
        (waited, drawn, is_first) = (Duration::ZERO, random(), false);
    }
}

async fn round(daemon: &Daemon, config: &Config, every: Duration, standing: &mut Standing, is_first: bool) {
    let Some(mut findings) = daemon.look(config).await else { return };
    if standing.is_worse(&findings) {
        tokio::time::sleep(SECOND_LOOK_AFTER.min(every)).await;
        findings = daemon.look(config).await.unwrap_or(findings);
    }
    let changes = standing.take(&findings);
    let at = daemon.clock.now();
    daemon.rounds.change(|last| (last.at_ms, last.findings) = (Some(at.wall), findings.clone()));
    if let Err(error) = kept::keep(daemon.store.as_ref(), standing, &findings, at).await {
        tracing::warn!(%error, advice = error.advice(), "what the doctor found is not kept for a restart");
    }
    for change in changes {
        daemon.tell(change).await;
    }
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
    let (faults, warnings) = (count(Grade::Fault), count(Grade::Warning));
    if is_first && faults > 0 {
        tracing::warn!(
            faults,
            warnings,
            "receivers refuse mail for these; `outguard doctor --last` says what mends them"
        );
    }
}

/// The time to the next round: as configured, and up to a tenth later.
fn late(every: Duration, random: u64) -> Duration {
    let most = (every / JITTER).as_millis();
    let extra = if most == 0 { 0 } else { u128::from(random) % most };
    every + Duration::from_millis(u64::try_from(extra).unwrap_or(0))
}

fn after(now: WallMs, span: Duration) -> WallMs {
    WallMs(now.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_up_to_a_tenth_late() {
        let hour = Duration::from_hours(1);
        for random in [0, 1, 359_999, 360_000, u64::MAX] {
            let wait = late(hour, random);
            assert!(wait >= hour && wait < hour + hour / JITTER, "{random}: {wait:?}");
        }
        assert_eq!(late(Duration::from_millis(5), 7), Duration::from_millis(5), "nothing to draw from");
    }
}
