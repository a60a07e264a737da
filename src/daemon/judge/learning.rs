//! How judging learns: from the journal what became of mail, from people what it was.

use super::Judging;
use crate::clock::WallMs;
use crate::event::Event;
use crate::guard::Decision;
use crate::mail::{Envelope, QueueId};
use crate::message::{Bounds, Message};
use crate::score::Submission;
use crate::score::allow::{AllowError, Rule, Scope};
use crate::score::behaviour::{Footprint, Outcome, Template, list_id};
use crate::score::model::features::{Features, Words};
use crate::score::model::lesson::{Lesson, LessonError};
use crate::score::model::sketch::Sketch;
use crate::score::model::train::Label;
use crate::store::{
    self, ContentBody, DeliveryRow, DeliveryState, EventRow, MemoryKind, MessageRow, Store, StoreError,
};

/// Enhanced codes that say that there is no such recipient (RFC 3463 3.2).
const UNKNOWN_USER: [&str; 4] = ["5.1.1", "5.1.6", "5.1.10", "5.2.1"];

/// A message that the store still has, as a person decides about it.
pub(in crate::daemon) struct Stored {
    row: MessageRow,
    envelope: Envelope,
    message: Message,
    /// Whether a delivery is held without a next hop having said anything.
    held_silently: bool,
}

impl Judging {
    /// Learns from what the journal tells.
    pub(in crate::daemon) fn heard(&self, rows: &[EventRow]) {
        let outcomes = rows.iter().filter_map(|row| match &row.event {
            Event::Delivered { account, .. } => Some((account, Outcome::Delivered, row.at)),
            Event::Bounced { account, reply, .. } => Some((account, outcome_of(reply)?, row.at)),
            _ => None,
        });
        let mut outcomes = outcomes.peekable();
        if outcomes.peek().is_none() {
            return;
        }
        let mut memory = self.memory();
        for (account, outcome, at) in outcomes {
            memory.behaviour.outcome(account, outcome, at);
        }
    }

    /// Reads a message of the store for a decision about it; `None` if there is none, or its body is gone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in crate::daemon) async fn stored(&self, store: &dyn Store, id: QueueId) -> Result<Option<Stored>, StoreError> {
        let Some((row, deliveries)) = store.message(id).await? else { return Ok(None) };
        let content = match store.content(id).await {
            Ok(content) => content,
            Err(StoreError::NoSuchMessage(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let bounds = self.live().bounds.clone();
        let read = tokio::task::spawn_blocking(move || read(&content.body, &bounds)).await;
        let held_silently = deliveries.iter().any(|one| one.state == DeliveryState::Held && one.last_reply.is_none());
        let envelope = envelope_of(&row, deliveries);
        Ok(read.ok().flatten().map(|message| Stored { row, envelope, message, held_silently }))
    }

    /// A person let a held message go: it becomes habit, and the model learns that it is ham.
    pub(in crate::daemon) fn released(&self, stored: &Stored, by: &str, now: WallMs) {
        if let Some(footprint) = Footprint::of(&stored.submission()) {
            self.memory().behaviour.released(&footprint, now);
        }
        self.teach(stored.lesson(Label::Ham, by, now));
    }

    /// A person took a held message out as spam.
    pub(in crate::daemon) fn rejected(&self, stored: &Stored, by: &str, now: WallMs) {
        if let Some(footprint) = Footprint::of(&stored.submission()) {
            self.memory().behaviour.rejected(&footprint);
        }
        self.teach(stored.lesson(Label::Spam, by, now));
    }

    /// Takes a lesson, and has it written. Whether it changed anything.
    pub(in crate::daemon) fn teach(&self, lesson: Lesson) -> bool {
        let (key, line) = (lesson.key().to_owned(), lesson.to_line());
        let changed = self.teaching().teach(lesson);
        let mut memory = self.memory();
        for gone in changed.forgotten {
            memory.unwritten.extend(store::Memory::forget(MemoryKind::Taught, gone.into_bytes()));
        }
        if changed.kept {
            memory.unwritten.extend(store::Memory::keep(MemoryKind::Taught, key.into_bytes(), line.into_bytes()));
        }
        changed.kept
    }

    /// The lesson that a message of these days gives by its sketch; `None` if none was kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in crate::daemon) async fn lesson_about(
        &self,
        store: &dyn Store,
        id: QueueId,
        label: Label,
        by: &str,
        now: WallMs,
    ) -> Result<Option<Lesson>, StoreError> {
        let unwritten = self.memory().sketches.iter().find(|(of, _)| *of == id).map(|(_, sketch)| sketch.clone());
        let sketch = match unwritten {
            Some(sketch) => Some(sketch),
            None => sketch_in(store, id).await?,
        };
        let sketch = match sketch {
            Some(sketch) => Some(sketch),
            None => self.stored(store, id).await?.map(|stored| stored.sketch()),
        };
        let (about, by) = (id.to_string(), by.to_owned());
        Ok(sketch.map(|sketch| Lesson { about, by, at: now, label, sketch, account: None }))
    }

    /// Takes a lesson back; `false` if there was none about that.
    pub(in crate::daemon) fn unteach(&self, about: &str) -> bool {
        let undone = self.teaching().undo(about);
        if let Some(lesson) = &undone {
            let forget = store::Memory::forget(MemoryKind::Taught, lesson.key().to_owned().into_bytes());
            self.memory().unwritten.extend(forget);
        }
        undone.is_some()
    }

    /// All lessons, the oldest first.
    pub(in crate::daemon) fn lessons(&self) -> Vec<Lesson> {
        self.taught().lessons().cloned().collect()
    }

    /// Takes lessons that were exported. How many changed something.
    ///
    /// # Errors
    /// A line is no lesson; then none was taken.
    pub(in crate::daemon) fn import(&self, lines: &str) -> Result<usize, LessonError> {
        let lines = lines.lines().filter(|line| !line.trim().is_empty());
        let lessons: Vec<Lesson> = lines.map(Lesson::from_line).collect::<Result<_, _>>()?;
        Ok(lessons.into_iter().filter(|lesson| self.teach(lesson.clone())).count())
    }

    /// Makes an allow rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in crate::daemon) fn allow(
        &self,
        scope: Scope,
        expires: Option<WallMs>,
        by: &str,
        why: &str,
        now: WallMs,
    ) -> Result<Rule, AllowError> {
        let mut memory = self.memory();
        let rule = memory.allow.add(scope, expires, by, why, now)?.clone();
        let kept = store::Memory::keep(MemoryKind::Allow, rule.id.to_string().into_bytes(), rule.to_bytes());
        memory.unwritten.extend(kept);
        Ok(rule)
    }

    /// Removes an allow rule; `None` if there is none of that number.
    pub(in crate::daemon) fn disallow(&self, id: u64) -> Option<Rule> {
        let mut memory = self.memory();
        let rule = memory.allow.remove(id)?;
        memory.unwritten.extend(store::Memory::forget(MemoryKind::Allow, id.to_string().into_bytes()));
        Some(rule)
    }

    /// All allow rules, the oldest first.
    pub(in crate::daemon) fn allowed(&self, now: WallMs) -> Vec<Rule> {
        let memory = self.memory();
        memory.allow.list().filter(|rule| rule.expires.is_none_or(|end| now < end)).cloned().collect()
    }
}

impl Stored {
    fn submission(&self) -> Submission<'_> {
        Submission {
            message: &self.message,
            envelope: Some(&self.envelope),
            account: Some(&self.row.account),
            source: Some(self.row.source),
            // Where the account's client was is not kept with the message: the habit learns no network from it.
            client: None,
            at: self.row.received,
        }
    }

    fn sketch(&self) -> Sketch {
        Sketch::of(&Features::of(&self.message, Words::Dropped))
    }

    fn lesson(&self, label: Label, by: &str, now: WallMs) -> Lesson {
        let (about, by, sketch) = (self.row.id.to_string(), by.to_owned(), self.sketch());
        Lesson { about, by, at: now, label, sketch, account: None }.of_account(self.row.account.as_str())
    }

    /// Whether our verdict held it. What a next hop's answer held has that answer's words on each delivery that is held.
    pub(in crate::daemon) fn was_held_by_verdict(&self) -> bool {
        self.row.verdict.decision == Decision::Hold && self.held_silently
    }

    /// What an allow rule for more of its kind names: its account, its list if it has one, and its template.
    pub(in crate::daemon) fn scope(&self) -> Scope {
        Scope {
            account: Some(self.row.account.clone()),
            list: list_id(&self.message),
            template: Some(Template::of(&self.message)),
            proven: self.row.source.is_proven(),
        }
    }
}

/// Reads a stored body; `None` where its file cannot be read.
fn read(body: &ContentBody, bounds: &Bounds) -> Option<Message> {
    let bytes = body.beginning(bounds.message_bytes_max)?;
    Some(Message::parse(&bytes, bounds))
}

async fn sketch_in(store: &dyn Store, id: QueueId) -> Result<Option<Sketch>, StoreError> {
    let key = bytes::Bytes::from(id.to_string());
    let found = store.memory(MemoryKind::Sketch, key).await?;
    Ok(found.and_then(|bytes| Sketch::from_bytes(&bytes).ok()))
}

pub(super) fn envelope_of(row: &MessageRow, deliveries: Vec<DeliveryRow>) -> Envelope {
    Envelope {
        reverse_path: row.reverse_path.clone(),
        recipients: deliveries.into_iter().map(|delivery| delivery.recipient).collect(),
        body: row.body_type,
        smtputf8: row.smtputf8,
        ret: row.ret,
        envid: row.envid.clone(),
    }
}

/// What a refusal says of the account, by its enhanced code.
fn outcome_of(reply: &str) -> Option<Outcome> {
    let code = reply.split_whitespace().find(|word| word.starts_with("5.") && word.split('.').count() == 3)?;
    if UNKNOWN_USER.contains(&code) {
        Some(Outcome::UnknownUser)
    } else {
        code.starts_with("5.7.").then_some(Outcome::RefusedAsSpam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_teach() {
        let cases = [
            ("mx.example said: 550 5.1.1 no such user here", Some(Outcome::UnknownUser)),
            ("550 5.7.1 looks like spam", Some(Outcome::RefusedAsSpam)),
            ("552 5.2.2 mailbox full", None), // says nothing of the sender
            ("550 unknown", None),            // no enhanced code
            ("554 5.1.100 x", None),
            ("mail of 5.5.2020", None),
        ];
        for (reply, outcome) in cases {
            assert_eq!(outcome_of(reply), outcome, "{reply}");
        }
    }
}
