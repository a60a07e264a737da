//! Judgement at the final dot: what the daemon puts before the queue.
//!
//! Gathers what the pure rooms say and what other scorers answer, under one time limit, and lets the guard make the
//! verdict. It decides nothing about points. Start with [`Judging`]; [`learning`] is how it learns from the journal and
//! from operators, [`remembered`] what of it outlives a restart.

mod learning;
mod lookup;
mod remembered;
mod under_judgement;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use self::under_judgement::UnderJudgement;
use crate::account::{Account, AccountSource};
use crate::clock::WallMs;
use crate::delivery::{Resolver, Router};
use crate::guard::{Decision, Reason, Sender, Verdict};
use crate::intake::Judge;
use crate::intake::judge::{Asked, JudgeFuture, Judged};
use crate::mail::QueueId;
use crate::message::{Bounds, Message};
use crate::score::allow::Allow;
use crate::score::behaviour::{self, Behaviour, BehaviourSettings, SuspendAdvice};
use crate::score::model::taught::{Sketch, Taught, Teaching};
use crate::score::other::{self, Answer, Failure, ListCache, OnFailure, OtherSettings, Question};
use crate::score::rules::RulesError;
use crate::score::scorer::Scorer;
use crate::score::{ScoreSettings, Submission};
use crate::smtp::{Refusal, replies};
use crate::store::Destination;

/// Larger messages are parsed on a thread that may take its time.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// The same failure of a scorer is told so often.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// How long an account that was called suspect is not called so again, in milliseconds.
const SUSPECT_AGAIN_MS: u64 = 3_600_000;
/// Accounts called suspect within that time.
const SUSPECTS_MAX: usize = 1_000;
/// Sketches that wait to be written; beyond, those of a flood are dropped.
const SKETCHES_MAX: usize = 2_000;

/// Judges each message before it is taken over, and remembers what it needs for that.
pub(super) struct Judging {
    settings: RwLock<Arc<Live>>,
    memory: Mutex<Memory>,
    /// What people taught the model: read by many at once.
    taught: RwLock<Taught>,
    lists: ListCache,
    /// When which scorer's failure was told last.
    told: Mutex<Vec<(&'static str, WallMs)>>,
    /// Which accounts were called suspect lately.
    suspects: Mutex<Vec<(Account, WallMs)>>,
    under_judgement: Option<UnderJudgement>,
    /// Accounts whose mail is held message after message.
    advice: UnboundedSender<SuspendAdvice>,
}

/// What a reload replaces.
pub(super) struct Live {
    scorer: Scorer,
    others: OtherSettings,
    bounds: Bounds,
    lookup: lookup::Lookup,
    /// Which egresses a destination may leave from.
    router: Arc<Router>,
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
        resolver: Arc<dyn Resolver>,
        router: Arc<Router>,
    ) -> Result<Self, RulesError> {
        Ok(Self {
            scorer: Scorer::new(settings.score.clone())?,
            others: settings.others.clone(),
            bounds: Bounds::default(),
            lookup: lookup::Lookup(resolver),
            router,
        })
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
    pub(super) fn new(
        folder: &Path,
        now: WallMs,
        live: Live,
        behaviour: BehaviourSettings,
        advice: UnboundedSender<SuspendAdvice>,
    ) -> Self {
        let under_judgement = UnderJudgement::open(folder, now)
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
            taught: RwLock::new(Taught::new(Teaching::default())),
            lists: ListCache::default(),
            told: Mutex::default(),
            suspects: Mutex::default(),
            under_judgement,
            advice,
        }
    }

    /// Takes new settings over; what is remembered stays.
    pub(super) fn take_over(&self, live: Live, behaviour: BehaviourSettings) {
        self.memory().behaviour.set(behaviour);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
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

    async fn judged(&self, asked: &Asked<'_>) -> Judged {
        let live = self.live();
        if !live.scorer.settings().enabled || asked.source == AccountSource::Own {
            return Judged::Verdict { verdict: Verdict::unjudged(), fields: String::new() };
        }
        let Some(entered) = self.under_judgement.as_ref().map_or(Some(None), |file| file.enter(&asked.bytes).map(Some))
        else {
            return held("unjudged", "judging it ended the process twice, so it is held unread; look at it with care");
        };
        let Some(message) = parse(asked, &live.bounds).await else {
            return held("unjudged", "a fault of outguard while it was read; it is held unread");
        };
        let answers = self.ask_others(&live, asked, &message).await;
        let verdict = catch_unwind(AssertUnwindSafe(|| self.weigh(&live, asked, &message, answers)));
        drop(entered);
        match verdict {
            Ok(judged) => judged,
            Err(_panicked) => held("unjudged", "a fault of outguard while it was judged; it is held unread"),
        }
    }

    async fn ask_others(&self, live: &Live, asked: &Asked<'_>, message: &Message) -> Vec<Answer> {
        if live.others == OtherSettings::default() {
            return Vec::new();
        }
        let id = asked.id.to_string();
        let question = Question {
            bytes: &asked.bytes,
            message,
            envelope: Some(asked.envelope),
            account: Some(asked.account.as_str()),
            client: asked.client,
            queue_id: Some(&id),
        };
        other::ask_all(&live.others, question, (&self.lists, &live.lookup)).await
    }

    /// What all of it comes to.
    fn weigh(&self, live: &Live, asked: &Asked<'_>, message: &Message, answers: Vec<Answer>) -> Judged {
        let submission = Submission {
            message,
            envelope: Some(asked.envelope),
            account: Some(asked.account),
            source: Some(asked.source),
            client: asked.client,
            at: asked.at.wall,
        };
        let egresses = live.egresses(asked.destinations);
        let egresses: Vec<&str> = egresses.iter().map(|name| &**name).collect();
        let thresholds = live.scorer.settings().thresholds(Some(asked.account), &egresses);
        let (mut others, mut at_least) = (Vec::new(), Decision::Send);
        for answer in answers {
            match answer {
                Answer::Reasons(reasons) => others.extend(reasons),
                Answer::Failed(failure) => {
                    self.tell(&failure, asked.at.wall);
                    match failure.then {
                        OnFailure::Pass => {}
                        OnFailure::Hold => at_least = Decision::Hold,
                        OnFailure::Defer => return Judged::Refused(Refusal::fixed(replies::SCORER_FAILED)),
                    }
                    others.push(of_failure(&failure));
                }
            }
        }
        let sender = if asked.source.is_proven() { Sender::Proven } else { Sender::Claimed };
        let mut content = live.scorer.content(&submission, Some(&self.taught()));
        content.reasons.append(&mut others);
        let mut memory = self.memory();
        let assessment = memory.behaviour.assess(&submission);
        let reasons = live.scorer.joined(&submission, content.reasons, &assessment, &memory.allow, thresholds);
        let verdict = Verdict::from_reasons(reasons, thresholds, sender, at_least);
        if let Some(footprint) = &assessment.footprint {
            // Counted at once, before the next message of a flood is judged, though this one may yet fail to be stored.
            let judged = match verdict.decision {
                Decision::Send => behaviour::Judged::Sent,
                Decision::Hold | Decision::Reject => behaviour::Judged::Held,
            };
            if let Some(advice) = memory.behaviour.accepted(footprint, judged) {
                let _ = self.advice.send(advice);
            }
        }
        if verdict.decision == Decision::Reject {
            return Judged::Refused(Refusal::fixed(replies::JUDGED_SPAM));
        }
        if memory.sketches.len() < SKETCHES_MAX {
            memory.sketches.push_back((asked.id, content.sketch));
        }
        drop(memory);
        let fields = if live.scorer.settings().header_fields { header_fields(&verdict) } else { String::new() };
        Judged::Verdict { verdict, fields }
    }

    /// Whether an account has not been called suspect within the hour.
    pub(super) fn is_news(&self, account: &Account, now: WallMs) -> bool {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.retain(|(_, at)| now.0.saturating_sub(at.0) < SUSPECT_AGAIN_MS);
        let is_news = suspects.len() < SUSPECTS_MAX && suspects.iter().all(|(known, _)| known != account);
        if is_news {
            suspects.push((account.clone(), now));
        }
        is_news
    }

    /// Says that a scorer failed, once in a while.
    fn tell(&self, failure: &Failure, now: WallMs) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let every = u64::try_from(TOLD_EVERY.as_millis()).unwrap_or(u64::MAX);
        match told.iter_mut().find(|(scorer, _)| *scorer == failure.scorer) {
            Some((_, last)) if now.0.saturating_sub(last.0) < every => return,
            Some((_, last)) => *last = now,
            None => told.push((failure.scorer, now)),
        }
        drop(told);
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
}

/// Reads the message; `None` where that is a fault of ours.
async fn parse(asked: &Asked<'_>, bounds: &Bounds) -> Option<Message> {
    if asked.bytes.len() <= INLINE_BYTES_MAX {
        return catch_unwind(AssertUnwindSafe(|| Message::parse(&asked.bytes, bounds))).ok();
    }
    let (bytes, bounds) = (asked.bytes.clone(), bounds.clone());
    let mut message = tokio::task::spawn_blocking(move || Message::parse(&bytes, &bounds)).await.ok()?;
    message.shape.message_bytes = asked.message_bytes;
    Some(message)
}

/// Held by a reason that no score stands for.
fn held(name: &'static str, sentence: &'static str) -> Judged {
    let reasons = vec![Reason { name: name.into(), points: 0, sentence: sentence.into() }];
    Judged::Verdict { verdict: Verdict { decision: Decision::Hold, score_points: 0, reasons }, fields: String::new() }
}

fn of_failure(failure: &Failure) -> Reason {
    let then = match failure.then {
        OnFailure::Pass => "judged without it",
        OnFailure::Hold | OnFailure::Defer => "held for that",
    };
    let sentence = format!("{} did not answer, {then}: {}", failure.scorer, failure.detail);
    Reason { name: "scorer-failed".into(), points: 0, sentence: sentence.into() }
}

/// The verdict for the next hop, on names that filters can read.
fn header_fields(verdict: &Verdict) -> String {
    let names: Vec<&str> = verdict.reasons.iter().filter(|r| r.points != 0).map(|r| r.name.as_ref()).take(12).collect();
    format!("X-Outguard-Score: {}\r\nX-Outguard-Reasons: {}\r\n", verdict.score_points, names.join(",\r\n\t"))
}
