//! The guard as operators see it: what the routes of `api` call.

use super::Daemon;
use crate::account::Account;
use crate::api::guardian::{AllowRequest, AllowView, Became, FlaggedMessage, FlaggedView, LessonView, MailLabel};
use crate::api::{Guardian, OperatorError, OperatorFuture};
use crate::clock::WallMs;
use crate::mail::QueueId;
use crate::score::allow::{AllowError, Rule, Scope};
use crate::score::model::lesson::Lesson;
use crate::score::model::train::Label;
use crate::store::{MessageRow, Page, Reads as _};

/// Messages that one Message-ID names at most.
const NAMED_MAX: usize = 20;

impl Guardian for Daemon {
    fn teach(&self, about: String, label: MailLabel, by: String) -> OperatorFuture<'_, u64> {
        Box::pin(async move {
            let now = self.clock.now().wall;
            let label = label_of(label);
            let (mut found, mut learned) = (false, 0);
            for row in self.named(&about).await? {
                let lesson = self.judging.lesson_about(self.store.as_ref(), row.id, label, &by, now).await?;
                found |= lesson.is_some();
                let lesson = lesson.map(|lesson| lesson.of_account(row.account.as_str()));
                learned += u64::from(lesson.is_some_and(|lesson| self.judging.teach(lesson)));
            }
            if !found && let Ok(id) = about.parse() {
                // Of a message that was rejected there is nothing but what it was made of.
                let lesson = self.judging.lesson_about(self.store.as_ref(), id, label, &by, now).await?;
                found = lesson.is_some();
                learned += u64::from(lesson.is_some_and(|lesson| self.judging.teach(lesson)));
            }
            if !found {
                return Err(refused(
                    format!("nothing is known any more of a message {about}"),
                    "give a queue id or Message-ID of the last four days",
                ));
            }
            self.keep_memory().await?;
            tracing::info!(by, about, lessons = learned, "the model was taught");
            Ok(learned)
        })
    }

    fn teach_flagged(&self, message_ids: Vec<String>, by: String) -> OperatorFuture<'_, Vec<FlaggedView>> {
        Box::pin(async move {
            let now = self.clock.now().wall;
            let mut flagged = Vec::with_capacity(message_ids.len());
            for message_id in message_ids {
                let mut messages = Vec::new();
                for row in self.named(&message_id).await? {
                    let lesson = self.judging.lesson_about(self.store.as_ref(), row.id, Label::Spam, &by, now).await?;
                    let became = match lesson.map(|lesson| self.judging.teach(lesson)) {
                        Some(true) => Became::Taught,
                        Some(false) => Became::KnownAlready,
                        None => Became::ContentGone,
                    };
                    messages.push(FlaggedMessage { id: row.id.to_string(), account: row.account.to_string(), became });
                }
                flagged.push(FlaggedView { message_id, messages });
            }
            self.keep_memory().await?;
            let of = |became| flagged.iter().flat_map(|one| &one.messages).filter(|one| one.became == became).count();
            tracing::info!(
                by,
                flagged = flagged.len(),
                lessons = of(Became::Taught),
                "the model was taught what was flagged"
            );
            Ok(flagged)
        })
    }

    fn unteach(&self, about: String, by: String) -> OperatorFuture<'_, bool> {
        Box::pin(async move {
            let undone = self.judging.unteach(&about);
            self.keep_memory().await?;
            tracing::info!(by, about, undone, "a lesson was taken back");
            Ok(undone)
        })
    }

    fn import_lessons(&self, lines: String, by: String) -> OperatorFuture<'_, u64> {
        Box::pin(async move {
            let taken = self
                .judging
                .import(&lines)
                .map_err(|error| refused(error.to_string(), "give what `outguard teach export` wrote, unchanged"))?;
            self.keep_memory().await?;
            tracing::info!(by, lessons = taken, "lessons were imported");
            Ok(taken as u64)
        })
    }

    fn lessons(&self) -> OperatorFuture<'_, Vec<LessonView>> {
        Box::pin(async move { Ok(self.judging.lessons().iter().map(lesson_view).collect()) })
    }

    fn allow(&self, asked: AllowRequest, by: String) -> OperatorFuture<'_, AllowView> {
        Box::pin(async move {
            let scope = Scope {
                account: asked.account.as_deref().map(Account::named),
                list: asked.list.clone(),
                template: None,
                proven: false,
            };
            self.allowed_scope(scope, &asked, &by).await
        })
    }

    fn allow_like(&self, id: QueueId, asked: AllowRequest, by: String) -> OperatorFuture<'_, Option<AllowView>> {
        Box::pin(async move {
            match self.judging.stored(self.store.as_ref(), id).await? {
                Some(stored) => Ok(Some(self.allowed_scope(stored.scope(), &asked, &by).await?)),
                None => Ok(None),
            }
        })
    }

    fn disallow(&self, id: u64, by: String) -> OperatorFuture<'_, bool> {
        Box::pin(async move {
            let removed = self.judging.disallow(id).is_some();
            self.keep_memory().await?;
            tracing::info!(by, rule = id, removed, "an allow rule was removed");
            Ok(removed)
        })
    }

    fn allowed(&self) -> OperatorFuture<'_, Vec<AllowView>> {
        Box::pin(async move { Ok(self.judging.allowed(self.clock.now().wall).iter().map(rule_view).collect()) })
    }
}

impl Daemon {
    /// The messages with this queue id or Message-ID, the newest first.
    async fn named(&self, about: &str) -> Result<Vec<MessageRow>, OperatorError> {
        let found = self.store.find(about.to_owned(), Page { after: None, limit: NAMED_MAX }).await?;
        // An address would name all mail of somebody.
        let is_it = |row: &MessageRow| {
            row.id.to_string() == about || row.message_id.as_deref().is_some_and(|id| is_id(id, about))
        };
        Ok(found.into_iter().map(|(row, _)| row).filter(is_it).collect())
    }

    pub(super) async fn allowed_scope(
        &self,
        scope: Scope,
        asked: &AllowRequest,
        by: &str,
    ) -> Result<AllowView, OperatorError> {
        let now = self.clock.now().wall;
        let expires = asked.for_ms.map(|ms| WallMs(now.0.saturating_add(ms)));
        let made = self.judging.allow(scope, expires, by, &asked.why, now);
        let rule = made.map_err(|error| refused(error.to_string(), advice_of(error)))?;
        self.keep_memory().await?;
        tracing::info!(by, rule = rule.id, "an allow rule was made");
        Ok(rule_view(&rule))
    }

    /// What was taught or allowed is on disk before anybody is told that it is.
    pub(super) async fn keep_memory(&self) -> Result<(), OperatorError> {
        Ok(self.judging.write(self.store.as_ref(), self.clock.as_ref()).await?)
    }
}

fn is_id(id: &str, asked: &str) -> bool {
    let bare = |id: &str| id.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
    bare(id) == bare(asked)
}

fn label_of(label: MailLabel) -> Label {
    match label {
        MailLabel::Ham => Label::Ham,
        MailLabel::Spam => Label::Spam,
    }
}

fn lesson_view(lesson: &Lesson) -> LessonView {
    LessonView {
        about: lesson.about.clone(),
        label: match lesson.label {
            Label::Ham => MailLabel::Ham,
            Label::Spam => MailLabel::Spam,
        },
        by: lesson.by.clone(),
        at_ms: lesson.at,
        line: lesson.to_line(),
    }
}

fn rule_view(rule: &Rule) -> AllowView {
    AllowView {
        id: rule.id,
        account: rule.scope.account.as_ref().map(ToString::to_string),
        list: rule.scope.list.clone(),
        template: rule.scope.template.map(|template| template.to_string()),
        expires_ms: rule.expires,
        by: rule.by.clone(),
        why: rule.why.clone(),
    }
}

fn refused(fault: String, advice: &str) -> OperatorError {
    OperatorError::Refused { faults: vec![fault], advice: advice.to_owned() }
}

fn advice_of(error: AllowError) -> &'static str {
    match error {
        AllowError::Everything => "name an account, a list or a message",
        AllowError::Expired => "give a longer time",
        AllowError::TooMany => "see `outguard allow list`",
    }
}
