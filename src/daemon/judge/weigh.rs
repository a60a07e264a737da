//! One message judged: read, looked at by all who look, weighed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use xxhash_rust::xxh3::Xxh3Default;

use super::aligning::{Aligned, Matter};
use super::caught::caught;
use super::{Judging, Live, News, SKETCHES_MAX};
use crate::account::AccountSource;
use crate::event::Event;
use crate::guard::{Decision, Reason, Sender, Verdict};
use crate::intake::judge::{Asked, Judged, Mark};
use crate::message::{Bounds, Message};
use crate::score::Submission;
use crate::score::behaviour::{self, Footprint};
use crate::score::model::taught::Taught;
use crate::score::other::{self, Answer, Failure, OnFailure, OtherSettings, Question};
use crate::score::scorer::{ContentScore, read_in_part};
use crate::score::settings::{Threshold, Thresholds};
use crate::smtp::{Refusal, replies};

/// Larger messages are read and scored on a thread that may take its time.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Reasons that the event of a rejection names.
const REASONS_TOLD_MAX: usize = 5;
/// The reason that stands for a scorer that did not answer.
const SCORER_FAILED: &str = "scorer-failed";

impl Judging {
    pub(super) async fn judged(&self, asked: &Asked<'_>) -> Judged {
        let live = self.live();
        let mark = mark_of(asked);
        let is_scored = live.scorer.settings().enabled;
        if asked.source == AccountSource::Own || !is_scored && !live.aligning.is_on() {
            return Judged::Verdict { verdict: Verdict::unjudged(), fields: String::new(), mark, destinations: None };
        }
        let Some(entered) = self.under_judgement.as_ref().map_or(Some(None), |file| file.enter(&asked.bytes).map(Some))
        else {
            return held(mark, "judging it ended the process twice, so it is held unread; look at it with care");
        };
        let Some(message) = parse(asked, &live.bounds).await else {
            return held(mark, "a fault of outguard while it was read; it is held unread");
        };
        let matter = Matter::of(asked);
        let aligning = caught(live.aligning.aligned(&matter, &message, &live.router));
        let (answers, aligned) = tokio::join!(self.ask_others(&live, asked, &message), aligning);
        let aligned = match aligned {
            Ok(Ok(aligned)) => aligned,
            Ok(Err(unread)) => {
                tracing::error!(error = %unread, "a message is not taken");
                return Judged::Refused(Refusal::fixed(replies::SCORER_FAILED));
            }
            Err(_panicked) => return held(mark, "a fault of outguard while it was signed; it is held unread"),
        };
        if let Some(reason) = &aligned.not_signed {
            self.tell_not_signed(reason, asked.at.wall);
        }
        if !is_scored {
            drop(entered);
            return unscored((asked, mark), aligned);
        }
        let Some((message, content)) = score(asked, &live, &self.taught, message).await else {
            return held(mark, "a fault of outguard while it was judged; it is held unread");
        };
        let weigh = || self.weigh(&live, (asked, mark), &message, content, answers, aligned);
        let verdict = catch_unwind(AssertUnwindSafe(weigh));
        drop(entered);
        verdict.unwrap_or_else(|_panicked| held(mark, "a fault of outguard while it was judged; it is held unread"))
    }

    async fn ask_others(&self, live: &Live, asked: &Asked<'_>, message: &Message) -> Vec<Answer> {
        if live.others == OtherSettings::default() || !live.scorer.settings().enabled {
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
    fn weigh(
        &self,
        live: &Live,
        (asked, mark): (&Asked<'_>, Mark),
        message: &Message,
        mut content: ContentScore,
        answers: Vec<Answer>,
        aligned: Aligned,
    ) -> Judged {
        let submission = submission(asked, message);
        let egresses = live.egresses(asked.destinations);
        let egresses: Vec<&str> = egresses.iter().map(|name| &**name).collect();
        let thresholds = live.scorer.settings().thresholds(Some(asked.account), &egresses);
        let mut at_least = aligned.at_least();
        for answer in answers {
            match answer {
                Answer::Reasons(reasons) => content.reasons.extend(reasons),
                Answer::Failed(failure) => {
                    self.tell(&failure, asked.at.wall);
                    match failure.then {
                        OnFailure::Hold if at_least == Decision::Send => at_least = Decision::Hold,
                        OnFailure::Pass | OnFailure::Hold => {}
                        OnFailure::Defer => return Judged::Refused(Refusal::fixed(replies::SCORER_FAILED)),
                    }
                    content.reasons.push(of_failure(&failure));
                }
            }
        }
        content.reasons.extend(read_in_part(asked.bytes.len() as u64, asked.message_bytes));
        let sender = if asked.source == AccountSource::Login { Sender::Here } else { Sender::Elsewhere };
        // Before the memory is locked: it reads the text, and others wait for the memory.
        let seen = Footprint::of(&submission);
        let mut memory = self.memory();
        let assessment = seen.map(|seen| memory.behaviour.assess_seen(seen)).unwrap_or_default();
        let mut reasons = live.scorer.joined(&submission, content.reasons, &assessment, &memory.allow, thresholds);
        // Behind what habits and allow rules change: receivers know neither.
        reasons.extend(aligned.reasons());
        let mut verdict = Verdict::from_reasons(reasons, thresholds, sender, at_least);
        let decided = if aligned.at_least() == Decision::Send { SCORER_FAILED } else { aligned.name() };
        first_what_decided(&mut verdict, decided, at_least, thresholds.hold.points());
        let counted_before = self.not_taken.lock().unwrap_or_else(PoisonError::into_inner).contains(&mark);
        if let Some(footprint) = assessment.footprint.as_ref().filter(|_| !counted_before) {
            // Counted at once, before the next message of a flood is judged, though this one may yet fail to be stored.
            let judged = match verdict.decision {
                Decision::Send => behaviour::Judged::Sent,
                Decision::Hold | Decision::Reject => behaviour::Judged::Held,
            };
            if let Some(advice) = memory.behaviour.accepted(footprint, judged) {
                let proven = asked.source.is_proven();
                // Lost only where a flood of them is told already.
                let _ = self.news.try_send(News::Suspect { advice, proven });
            }
        }
        if memory.sketches.len() < SKETCHES_MAX {
            memory.sketches.push_back((asked.id, content.sketch));
        }
        drop(memory);
        if verdict.decision == Decision::Reject {
            let _ = self.news.try_send(News::Event(rejected(asked, message, &verdict)));
            return refused(&aligned);
        }
        let fields = if live.scorer.settings().header_fields { header_fields(&verdict) } else { String::new() };
        let fields = fields + &aligned.fields;
        Judged::Verdict { verdict, fields, mark, destinations: aligned.destinations }
    }
}

/// Where nothing is scored: what alignment says alone.
fn unscored((asked, mark): (&Asked<'_>, Mark), aligned: Aligned) -> Judged {
    let sender = if asked.source == AccountSource::Login { Sender::Here } else { Sender::Elsewhere };
    let off = Thresholds { hold: Threshold::Off, reject: Threshold::Off };
    let reasons = aligned.reasons().collect();
    let verdict = Verdict::from_reasons(reasons, off, sender, aligned.at_least());
    if verdict.decision == Decision::Reject {
        return refused(&aligned);
    }
    Judged::Verdict { verdict, fields: aligned.fields, mark, destinations: aligned.destinations }
}

fn refused(aligned: &Aligned) -> Judged {
    Judged::Refused(Refusal::fixed(match aligned.at_least() {
        Decision::Reject => replies::NOT_ALIGNED,
        Decision::Send | Decision::Hold => replies::JUDGED_SPAM,
    }))
}

fn submission<'a>(asked: &Asked<'a>, message: &'a Message) -> Submission<'a> {
    Submission {
        message,
        envelope: Some(asked.envelope),
        account: Some(asked.account),
        source: Some(asked.source),
        client: asked.client,
        at: asked.at.wall,
    }
}

/// Content, envelope and account: the same again is the same message brought again.
fn mark_of(asked: &Asked<'_>) -> Mark {
    let mut hash = Xxh3Default::new();
    hash.update(&asked.bytes);
    hash.update(asked.account.as_str().as_bytes());
    for recipient in &asked.envelope.recipients {
        hash.update(b"\0");
        hash.update(recipient.address.as_str().as_bytes());
    }
    Mark(hash.digest128())
}

/// Reads the message; `None` where that is a fault of ours.
async fn parse(asked: &Asked<'_>, bounds: &Bounds) -> Option<Message> {
    let mut message = if asked.bytes.len() <= INLINE_BYTES_MAX {
        catch_unwind(AssertUnwindSafe(|| Message::parse(&asked.bytes, bounds))).ok()?
    } else {
        let (bytes, bounds) = (asked.bytes.clone(), bounds.clone());
        tokio::task::spawn_blocking(move || Message::parse(&bytes, &bounds)).await.ok()?
    };
    message.shape.message_bytes = asked.message_bytes;
    Some(message)
}

/// Rules and model; `None` where that is a fault of ours.
async fn score(
    asked: &Asked<'_>,
    live: &Arc<Live>,
    taught: &Arc<RwLock<Taught>>,
    message: Message,
) -> Option<(Message, ContentScore)> {
    let score = |live: &Live, taught: &RwLock<Taught>, submission: &Submission<'_>| {
        live.scorer.content(submission, Some(&taught.read().unwrap_or_else(PoisonError::into_inner)))
    };
    if asked.bytes.len() <= INLINE_BYTES_MAX {
        let submission = submission(asked, &message);
        let content = catch_unwind(AssertUnwindSafe(|| score(live, taught, &submission))).ok()?;
        return Some((message, content));
    }
    let (live, taught) = (Arc::clone(live), Arc::clone(taught));
    let (envelope, account) = (asked.envelope.clone(), asked.account.clone());
    let (source, client, at) = (asked.source, asked.client, asked.at.wall);
    let scoring = tokio::task::spawn_blocking(move || {
        let submission = Submission {
            message: &message,
            envelope: Some(&envelope),
            account: Some(&account),
            source: Some(source),
            client,
            at,
        };
        let content = score(&live, &taught, &submission);
        (message, content)
    });
    scoring.await.ok()
}

/// Held by a reason that no score stands for.
fn held(mark: Mark, sentence: &'static str) -> Judged {
    let reasons = vec![Reason { name: "unjudged".into(), points: 0, sentence: sentence.into() }];
    let verdict = Verdict { decision: Decision::Hold, score_points: 0, reasons };
    Judged::Verdict { verdict, fields: String::new(), mark, destinations: None }
}

fn of_failure(failure: &Failure) -> Reason {
    let then = match failure.then {
        OnFailure::Pass => "judged without it",
        OnFailure::Hold | OnFailure::Defer => "held for that",
    };
    let sentence = format!("{} did not answer, {then}: {}", failure.scorer, failure.detail);
    Reason { name: SCORER_FAILED.into(), points: 0, sentence: sentence.into() }
}

/// A message that is held although its points would let it pass: what held it stands before the points, as the reason that
/// log and queue show.
fn first_what_decided(verdict: &mut Verdict, decided: &str, at_least: Decision, hold_points: Option<i32>) {
    let by_points = hold_points.is_some_and(|from| verdict.score_points >= from);
    if verdict.decision != Decision::Hold || at_least == Decision::Send || by_points {
        return;
    }
    if let Some(at) = verdict.reasons.iter().position(|reason| reason.name == decided) {
        verdict.reasons[..=at].rotate_right(1);
    }
}

fn rejected(asked: &Asked<'_>, message: &Message, verdict: &Verdict) -> Event {
    let told = |reason: &Reason| format!("{:+} {}", reason.points, reason.sentence);
    Event::Rejected {
        id: asked.id.to_string(),
        account: asked.account.clone(),
        from: asked.envelope.reverse_path.to_string(),
        message_id: message.field("Message-ID").map(|id| id.chars().take(250).collect()),
        score_points: verdict.score_points,
        reasons: verdict.reasons.iter().take(REASONS_TOLD_MAX).map(told).collect(),
    }
}

/// The verdict for the next hop, on names that filters can read.
fn header_fields(verdict: &Verdict) -> String {
    let names: Vec<&str> = verdict.reasons.iter().filter(|r| r.points != 0).map(|r| r.name.as_ref()).take(12).collect();
    format!("X-Outguard-Score: {}\r\nX-Outguard-Reasons: {}\r\n", verdict.score_points, names.join(",\r\n\t"))
}
