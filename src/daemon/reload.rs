//! From a configuration to what the parts take, at start and at each reload.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::RwLockWriteGuard;
use tokio::sync::mpsc::UnboundedSender;

use super::engine::EngineSettings;
use super::judge::aligning::Aligning;
use super::judge::{JudgeSettings, Live};
use super::{Daemon, RunError};
use crate::align::sign::Signer;
use crate::clock::Clock;
use crate::config::{Config, Diagnostics};
use crate::delivery::{Abandoned, Dns, Edges, ReplyTable, Router, Tls};
use crate::event::Event;
use crate::intake::{machine_name, own_name};
use crate::limits::{LimitSettings, RuleBook};
use crate::review::Keys;
use crate::store::Store;

/// A day, in milliseconds: how much longer than the longest window attempts are kept.
const DAY_MS: u64 = 86_400_000;

/// Whoever holds it alone may reload; whoever shares it keeps the configuration of now.
#[derive(Debug, Default)]
pub(super) struct OneAtATime;

/// What a reload came to.
#[derive(Debug)]
pub(super) enum Reloaded {
    /// It is in effect; what is different, one short phrase a section.
    Done(Vec<String>),
    /// Nothing was changed.
    Refused {
        /// What stands against it, one sentence each.
        faults: Vec<String>,
        /// What the operator has to mend.
        mend: Mend,
    },
}

/// What has to be mended before a refused file is in effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mend {
    /// The file itself: `outguard check` finds the same.
    File,
    /// Nothing: the file is good, and a running daemon cannot take it over.
    Restart,
    /// What the file names, on this machine: a port that is taken, a key that cannot be read.
    Surroundings,
}

impl Mend {
    /// What to do.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::File => "the old configuration stays in effect; `outguard check` shows all faults",
            Self::Restart => {
                "the old configuration stays in effect; restart the daemon (`systemctl restart outguard`) to use the new one"
            }
            Self::Surroundings => "the old configuration stays in effect; mend what is named and reload again",
        }
    }
}

/// Rules, routes and retries of a configuration.
///
/// # Errors
/// Limits or routes contradict themselves.
pub fn engine_settings(config: &Config) -> Result<EngineSettings, RunError> {
    let own_account = Some(config.delivery.dsn.account.as_str().into());
    let limits = LimitSettings { own_account, ..config.limits.clone() };
    let rules = RuleBook::new(&limits).map_err(|error| RunError::Delivery {
        what: "limits",
        detail: error.to_string(),
        advice: "correct [limits]",
    })?;
    let host_name = own_name(&config.intake);
    let router = Router::new(&config.delivery, &host_name).map_err(|error| RunError::Delivery {
        what: "routes",
        detail: error.to_string(),
        advice: "correct [[route]] and [[egress]]",
    })?;
    Ok(EngineSettings {
        rules,
        pace: config.pace.clone(),
        dispatch: config.dispatch.clone(),
        router: Arc::new(router),
        delivery: config.delivery.clone(),
        host_name,
    })
}

/// How long attempts are kept: as configured, and longer than any window looks back.
pub(super) fn attempts_keep_ms(config: &Config, longest_window_ms: u64) -> u64 {
    let configured = u64::try_from(config.store.attempts_keep.as_millis()).unwrap_or(u64::MAX);
    configured.max(longest_window_ms.saturating_add(DAY_MS))
}

/// Resolver, TLS and timeouts of a configuration.
pub(super) fn edges(
    config: &Config,
    listeners: &[SocketAddr],
    abandoned: UnboundedSender<Abandoned>,
) -> Result<Arc<Edges>, RunError> {
    let delivery = &config.delivery;
    let resolver = Dns::new(&delivery.dns).map_err(|error| RunError::Delivery {
        what: "DNS",
        detail: error.to_string(),
        advice: "name servers in [dns], or mend /etc/resolv.conf",
    })?;
    let tls = Tls::new(delivery.ca_file.as_deref()).map_err(|detail| RunError::Delivery {
        what: "TLS",
        detail,
        advice: "correct ca_file, or install the system's certificates (ca-certificates)",
    })?;
    let signer = Signer::new(&config.align.signing).map_err(|error| RunError::Delivery {
        what: "alignment",
        detail: error.to_string(),
        advice: "correct [[dkim]]",
    })?;
    Ok(Arc::new(Edges {
        resolver: Arc::new(resolver),
        tls,
        timeouts: delivery.timeouts,
        eightbit: delivery.eightbit,
        replies: Arc::new(ReplyTable::embedded()),
        listeners: listeners.to_vec(),
        random: Box::new(random),
        signer,
        abandoned,
    }))
}

/// Scoring and alignment of a configuration, over the resolver and the routes of now. What `before` knows of DNS stays.
pub(super) fn judge(
    config: &Config,
    edges: &Edges,
    router: Arc<Router>,
    clock: &Arc<dyn Clock>,
    before: Option<&Live>,
) -> Result<Live, RunError> {
    let mut own_names = vec![own_name(&config.intake), machine_name()];
    own_names.extend_from_slice(&config.account.own_names);
    own_names.retain(|name| !name.is_empty());
    let dsn = &config.delivery.dsn;
    let mut own_domains = dsn.own_domains.clone();
    own_domains.extend(dsn.from.as_ref().map(|address| address.domain().to_string()));
    let before = before.map(Live::aligning);
    let aligning =
        Aligning::new(&config.align, (own_names, own_domains), Arc::clone(clock), before).map_err(|error| {
            RunError::Delivery { what: "alignment", detail: error.to_string(), advice: "correct [align] and [[dkim]]" }
        })?;
    let settings = JudgeSettings { score: config.score.clone(), others: config.scorers.clone() };
    Live::new(&settings, aligning, Arc::clone(&edges.resolver), router).map_err(|error| RunError::Delivery {
        what: "scoring",
        detail: error.to_string(),
        advice: "correct [score]",
    })
}

/// A number that nobody else knows; of the system, and of the address space if that has none to give.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => std::ptr::from_ref(&bytes) as u64,
    }
}

/// What root has read, the service user reads at a reload: told at the start, not on the day of the reload.
pub(super) fn warn_of_unreadable(file: &Path) {
    let Err(faults) = Config::load(file) else { return };
    for fault in &faults {
        tracing::warn!("{fault}");
    }
    tracing::warn!("read by root, but not by the user of the configuration: a reload would be refused");
}

impl Daemon {
    /// Reads the file again, at SIGHUP.
    pub(super) async fn reload_and_tell(&self, turn: RwLockWriteGuard<'_, OneAtATime>) {
        match Box::pin(self.reload(turn, None)).await {
            Reloaded::Done(_) => {} // the event says it
            Reloaded::Refused { faults, mend } => {
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                tracing::error!("not reloaded: {}", mend.advice());
            }
        }
    }

    /// Takes a changed file over, whole or not at all. No session is dropped. `by` is who asked, where somebody is known.
    pub(super) async fn reload(&self, _turn: RwLockWriteGuard<'_, OneAtATime>, by: Option<String>) -> Reloaded {
        let refused = |mend, faults| Reloaded::Refused { faults, mend };
        let Some(file) = &self.config_file else {
            return refused(Mend::Surroundings, vec!["there is no configuration file to read".to_owned()]);
        };
        let loaded = match Config::load(file) {
            Ok(loaded) => loaded,
            Err(faults) => return refused(Mend::File, lines(&faults)),
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let (old, new) = (self.config(), loaded.config);
        let restart: Vec<String> = old.needs_restart(&new).iter().map(ToString::to_string).collect();
        if !restart.is_empty() {
            return refused(Mend::Restart, restart);
        }
        // Files may be unusable and ports taken: then nothing has changed yet.
        let keys = match (&self.door, &new.review) {
            (Some(_), Some(settings)) => match Keys::read(settings) {
                Ok(keys) => Some(keys),
                Err(error) => return refused(Mend::Surroundings, vec![format!("[review] password_file: {error}")]),
            },
            (Some(_) | None, _) => None,
        };
        let intake = match self.intake.prepare(new.intake.clone(), new.account.clone()) {
            Ok(intake) => intake,
            Err(error) => return refused(Mend::Surroundings, vec![error.to_string()]),
        };
        let prepared = engine_settings(&new).and_then(|settings| {
            let edges = edges(&new, &self.intake.addresses(&intake), self.abandoned.clone())?;
            let live = judge(&new, &edges, Arc::clone(&settings.router), &self.clock, Some(&self.judging.live()))?;
            Ok((settings, edges, live))
        });
        let stands_against = match prepared {
            Ok((settings, edges, live)) => {
                let kept_in = (self.store.as_ref() as &dyn Store, self.clock.as_ref());
                let others = self.engine.reload(settings, edges);
                let judged_by = (Arc::new(live), new.behaviour.clone());
                let taken_over = self.judging.take_over_with(kept_in, judged_by, old.behaviour.clone(), others).await;
                taken_over.err().map(|error| format!("{error}; {}", error.advice()))
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(fault) = stands_against {
            self.intake.give_up(intake);
            return refused(Mend::Surroundings, vec![fault]);
        }
        self.intake.take_over(intake);
        if let (Some(door), Some(keys)) = (&self.door, keys) {
            door.take_over(keys);
        }
        let changes = changes(&old, &new);
        *self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = new;
        self.note(Event::Reloaded { changes: changes.clone(), by }).await;
        Reloaded::Done(changes)
    }
}

fn lines(faults: &Diagnostics) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// What is different, by section.
fn changes(old: &Config, new: &Config) -> Vec<String> {
    let differs = [
        ("listeners, trust, TLS or session limits", old.intake != new.intake),
        ("accounts", old.account != new.account),
        ("limits", old.limits != new.limits),
        ("scoring", old.score != new.score || old.behaviour != new.behaviour),
        ("alignment", old.align != new.align),
        ("other scorers", old.scorers != new.scorers),
        ("pace", old.pace != new.pace),
        ("dispatch", old.dispatch != new.dispatch),
        ("egresses, routes or reports", old.delivery != new.delivery),
        ("store upkeep", old.store != new.store),
        ("keys of OVHcloud's API", old.ovh != new.ovh),
        ("names or password file of the pages", pages_of(old) != pages_of(new)),
        (
            "log, control socket or address of the pages (in effect after a restart)",
            old.log != new.log || old.api != new.api || listener_of(old) != listener_of(new),
        ),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

/// What a reload changes of the pages, where there are any.
fn pages_of(config: &Config) -> Option<(&[String], &Path)> {
    config.review.as_ref().map(|review| (review.names.as_slice(), review.password_file.as_path()))
}

/// What only a restart changes of them.
fn listener_of(config: &Config) -> Option<(SocketAddr, usize)> {
    config.review.as_ref().map(|review| (review.listen, review.connections_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_name_is_configured_the_machine_greets_by_its_own() {
        let settings = engine_settings(&Config::default()).unwrap();
        assert!(!settings.host_name.is_empty());
        let ehlo: Vec<&str> = settings.router.egresses().iter().map(|egress| &*egress.ehlo).collect();
        assert_eq!(ehlo, [settings.host_name.as_str()], "an EHLO without a name is refused (RFC 5321 4.1.1.1)");
    }
}
