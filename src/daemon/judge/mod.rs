//! Judgement at the final dot: what the daemon puts before the queue.
//!
//! Gathers what the pure rooms say and what other scorers answer, under one time limit, and lets the guard make the
//! verdict. It decides nothing about points. Start with [`Judging`], then [`weigh`]; [`aligning`] signs the message and
//! asks what receivers will make of it; [`renewing`] does so again at a
//! release, and for mail that waited while keys or egresses changed ([`basis`]); [`learning`] is how it learns from the
//! journal and from operators, [`remembered`] what of it outlives a restart.

pub(super) mod aligning;
mod basis;
mod caught;
mod learning;
mod lookup;
mod remembered;
mod renewing;
mod steady;
mod under_judgement;
mod weigh;

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use self::aligning::Aligning;
use self::basis::Basis;
pub(super) use self::learning::Stored;
use self::steady::Steady;
use self::under_judgement::UnderJudgement;
use crate::account::Account;
use crate::clock::{Now, WallMs};
use crate::daemon::engine::Print;
use crate::delivery::{Resolver, Router};
use crate::event::Event;
use crate::guard::Reason;
use crate::intake::Judge;
use crate::intake::judge::{Asked, JudgeFuture, Mark};
use crate::mail::QueueId;
use crate::message::Bounds;
use crate::score::ScoreSettings;
use crate::score::allow::Allow;
use crate::score::behaviour::{Behaviour, BehaviourSettings, SuspendAdvice};
use crate::score::model::sketch::Sketch;
use crate::score::model::taught::{Taught, Teaching};
use crate::score::other::{Failure, ListCache, OnFailure, OtherSettings};
use crate::score::rules::RulesError;
use crate::score::scorer::Scorer;
use crate::store::Destination;

/// The same failure of a scorer is told so often.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// How long an account that was called suspect is not called so again, in milliseconds.
const SUSPECT_AGAIN_MS: u64 = 3_600_000;
/// Accounts called suspect that are remembered; past it the oldest is forgotten, and told of once more.
const SUSPECTS_MAX: usize = 1_000;
/// What is found and not yet told or done; more is dropped: it is a flood that has been told of.
pub(super) const NEWS_MAX: usize = 10_000;
/// Sketches that wait to be written; beyond, those of a flood are dropped.
const SKETCHES_MAX: usize = 2_000;
/// Messages that were judged and could not be stored that are remembered, so that they are not counted again.
const NOT_TAKEN_MAX: usize = 20_000;

/// What judging finds that others act on or tell.
#[derive(Debug)]
pub(super) enum News {
    /// An account's mail is held message after message.
    Suspect {
        /// What behaviour advises.
        advice: SuspendAdvice,
        /// Whether the account was proven, rather than claimed by whoever wrote its address.
        proven: bool,
    },
    /// For the journal.
    Event(Event),
}

/// Judges each message before it is taken over, and remembers what it needs for that.
pub(super) struct Judging {
    settings: RwLock<Arc<Live>>,
    memory: Mutex<Memory>,
    /// What people taught the model: read by many at once.
    taught: Arc<RwLock<Taught>>,
    lists: ListCache,
    /// What was told last, and when.
    told: Mutex<Vec<(&'static str, WallMs)>>,
    /// Which accounts were called suspect lately, and whether their gates were closed for it.
    suspects: Mutex<VecDeque<(Account, bool, WallMs)>>,
    /// What was counted already and comes again, for it could not be stored.
    not_taken: Mutex<HashSet<Mark>>,
    under_judgement: Option<UnderJudgement>,
    basis: Mutex<Basis>,
    news: Sender<News>,
    /// Whether the wall clock may be forgotten by.
    steady: Mutex<Steady>,
    /// One at a time writes memories, so that no older one lands last.
    writing: tokio::sync::Mutex<()>,
}

/// What a reload replaces.
pub(super) struct Live {
    scorer: Scorer,
    others: OtherSettings,
    aligning: Aligning,
    bounds: Bounds,
    lookup: lookup::Lookup,
    /// Which egresses a destination may leave from.
    router: Arc<Router>,
    /// What mail is made by it with.
    print: Print,
}

/// What judging learns.
struct Memory {
    behaviour: Behaviour,
    allow: Allow,
    /// Of messages judged lately, for the store.
    sketches: VecDeque<(QueueId, Sketch)>,
    /// What is to be written to the store besides habits and texts.
    unwritten: Vec<crate::store::Memory>,
}

/// What judging is configured by.
#[derive(Debug, Clone)]
pub(super) struct JudgeSettings {
    pub score: ScoreSettings,
    pub others: OtherSettings,
}

impl Live {
    /// Settings that can be used.
    ///
    /// # Errors
    /// A rule of the operator's own cannot be used.
    pub(super) fn new(
        settings: &JudgeSettings,
        aligning: Aligning,
        resolver: Arc<dyn Resolver>,
        router: Arc<Router>,
    ) -> Result<Self, RulesError> {
        Ok(Self {
            scorer: Scorer::new(settings.score.clone())?,
            others: settings.others.clone(),
            print: basis::print(&aligning, &router),
            aligning,
            bounds: Bounds::default(),
            lookup: lookup::Lookup(resolver),
            router,
        })
    }

    /// What alignment remembers.
    pub(super) fn aligning(&self) -> &Aligning {
        &self.aligning
    }

    /// The names of the egresses that mail of these destinations may leave from.
    fn egresses(&self, destinations: &[Destination]) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for destination in destinations {
            let Ok(plan) = self.router.plan(destination) else { continue };
            for egress in plan.egresses.iter() {
                if !names.contains(&egress.name) {
                    names.push(Arc::clone(&egress.name));
                }
            }
        }
        names
    }
}

impl Judging {
    /// With an empty memory; opens what it keeps in the store's folder.
    pub(super) fn new(folder: &Path, now: Now, live: Live, behaviour: BehaviourSettings, news: Sender<News>) -> Self {
        let under_judgement = UnderJudgement::open(folder, now.wall)
            .inspect_err(|error| {
                tracing::warn!(%error, "a message that ends the process would be judged again at the next start");
            })
            .ok();
        let memory = Memory {
            behaviour: Behaviour::new(behaviour, None),
            allow: Allow::default(),
            sketches: VecDeque::new(),
            unwritten: Vec::new(),
        };
        Self {
            settings: RwLock::new(Arc::new(live)),
            memory: Mutex::new(memory),
            taught: Arc::new(RwLock::new(Taught::new(Teaching::default()))),
            lists: ListCache::default(),
            told: Mutex::default(),
            suspects: Mutex::default(),
            not_taken: Mutex::default(),
            under_judgement,
            basis: Mutex::default(),
            news,
            steady: Mutex::new(Steady::new(now)),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Takes new settings over; what is remembered stays.
    pub(super) fn take_over(&self, live: Arc<Live>, behaviour: BehaviourSettings) {
        self.memory().behaviour.set(behaviour);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = live;
    }

    /// The settings of now.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn believes(&self, now: Now) -> bool {
        self.steady.lock().unwrap_or_else(PoisonError::into_inner).believes(now)
    }

    fn basis(&self) -> MutexGuard<'_, Basis> {
        self.basis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taught(&self) -> RwLockReadGuard<'_, Taught> {
        self.taught.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn teaching(&self) -> RwLockWriteGuard<'_, Taught> {
        self.taught.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is to be told (or done, with `closing`) about an account has not been within the hour.
    pub(super) fn is_news(&self, account: &Account, closing: bool, now: WallMs) -> bool {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.retain(|(.., at)| now.0.saturating_sub(at.0) < SUSPECT_AGAIN_MS);
        !suspects.iter().any(|(known, closed, _)| known == account && (*closed || !closing))
    }

    /// Notes that it was told and done. A gate that a person opens again stays open for the rest of the hour.
    pub(super) fn was_told(&self, account: Account, closed: bool, now: WallMs) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.len() >= SUSPECTS_MAX {
            suspects.pop_front();
        }
        suspects.push_back((account, closed, now));
    }

    /// Whether something may be told: once in a while, not for each message.
    fn may_tell(&self, what: &'static str, now: WallMs) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let every = u64::try_from(TOLD_EVERY.as_millis()).unwrap_or(u64::MAX);
        match told.iter_mut().find(|(known, _)| *known == what) {
            Some((_, last)) if now.0.saturating_sub(last.0) < every => return false,
            Some((_, last)) => *last = now,
            None => told.push((what, now)),
        }
        true
    }

    /// Says that a domain's key was kept from an account, and what to write if it should not be.
    fn tell_not_signed(&self, reason: &Reason, now: WallMs) {
        if self.may_tell("not-signed", now) {
            tracing::warn!(detail = %reason.sentence, "mail leaves without the signature of its From domain");
        }
    }

    /// Says that a scorer failed.
    fn tell(&self, failure: &Failure, now: WallMs) {
        if !self.may_tell(failure.scorer, now) {
            return;
        }
        let then = match failure.then {
            OnFailure::Pass => "messages are judged without it",
            OnFailure::Hold => "messages are held",
            OnFailure::Defer => "clients are told to try later",
        };
        tracing::warn!(scorer = failure.scorer, detail = failure.detail, then, "a scorer does not answer");
    }
}

impl Judge for Judging {
    fn bytes_max(&self) -> usize {
        self.live().bounds.message_bytes_max
    }

    fn judge<'a>(&'a self, asked: Asked<'a>) -> JudgeFuture<'a> {
        Box::pin(async move { self.judged(&asked).await })
    }

    fn not_taken(&self, mark: Mark) {
        let mut not_taken = self.not_taken.lock().unwrap_or_else(PoisonError::into_inner);
        if not_taken.len() >= NOT_TAKEN_MAX {
            // A store that refuses so much is the greater trouble; some messages count twice.
            not_taken.clear();
        }
        not_taken.insert(mark);
    }
}
