//! What operators tell the guard: what a message was, and what may pass.

use serde::{Deserialize, Serialize};

use super::operator::OperatorFuture;
use crate::clock::WallMs;
use crate::mail::QueueId;

/// The guard, as operators see it. A deed is written to the store within seconds; `by` is who asked.
pub trait Guardian: Send + Sync + 'static {
    /// The model learns what a message was: one of the queue, or one of these days by queue id or Message-ID. Returns how
    /// many lessons changed something.
    fn teach(&self, about: String, label: MailLabel, by: String) -> OperatorFuture<'_, u64>;

    /// The network flagged these Message-IDs as spam: what is known of them teaches. Each should be told once, for it outweighs
    /// what was said of the message before. Returns what became of each, in their order.
    fn teach_flagged(&self, message_ids: Vec<String>, by: String) -> OperatorFuture<'_, Vec<FlaggedView>>;

    /// Takes a lesson back; `false` if there is none about that.
    fn unteach(&self, about: String, by: String) -> OperatorFuture<'_, bool>;

    /// Takes lessons that were exported, one a line; all or none. Returns how many changed something.
    fn import_lessons(&self, lines: String, by: String) -> OperatorFuture<'_, u64>;

    /// All lessons, the oldest first.
    fn lessons(&self) -> OperatorFuture<'_, Vec<LessonView>>;

    /// Lets mail pass that would be held.
    fn allow(&self, asked: AllowRequest, by: String) -> OperatorFuture<'_, AllowView>;

    /// Lets more mail like a message of the queue pass, of its account and its list or template.
    fn allow_like(&self, id: QueueId, asked: AllowRequest, by: String) -> OperatorFuture<'_, Option<AllowView>>;

    /// Removes an allow rule; `false` if there is none of that number.
    fn disallow(&self, id: u64, by: String) -> OperatorFuture<'_, bool>;

    /// The allow rules that hold now, the oldest first.
    fn allowed(&self) -> OperatorFuture<'_, Vec<AllowView>>;
}

/// What a message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailLabel {
    /// Wanted.
    Ham,
    /// Not.
    Spam,
}

/// One lesson of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonView {
    /// The message: queue id or Message-ID.
    pub about: String,
    /// What it was.
    pub label: MailLabel,
    /// Who said so.
    pub by: String,
    /// When.
    pub at_ms: WallMs,
    /// The lesson as it is exported.
    pub line: String,
}

/// `POST /v1/lessons`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LessonRequest {
    /// What a message was.
    Teach {
        /// Queue id or Message-ID.
        about: String,
        /// What it was.
        label: MailLabel,
    },
    /// A lesson to be taken back.
    Undo {
        /// What it was about.
        about: String,
    },
    /// Lessons that were exported.
    Import {
        /// One a line.
        lines: String,
    },
}

/// `POST /v1/lessons/flagged`: messages that the network flagged as spam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedRequest {
    /// Their Message-IDs, with angle brackets or without; at most [`FlaggedRequest::MESSAGES_MAX`].
    pub message_ids: Vec<String>,
}

impl FlaggedRequest {
    /// Message-IDs in one request at most.
    pub const MESSAGES_MAX: usize = 500;
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedAnswer {
    /// One for each Message-ID, in the order of the request.
    pub flagged: Vec<FlaggedView>,
}

/// What became of one Message-ID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedView {
    /// As it was given.
    pub message_id: String,
    /// The messages that had it, the newest first; none: it is not known, or the journal has forgotten it.
    pub messages: Vec<FlaggedMessage>,
}

/// A message that the network flagged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedMessage {
    /// Its queue id.
    pub id: String,
    /// Whose it was.
    pub account: String,
    /// What the model made of it.
    pub became: Became,
}

/// What the model made of a message that was flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// A lesson.
    Taught,
    /// Nothing new: it was taught as spam before, or holds nothing to learn.
    KnownAlready,
    /// Nothing: what it was made of is no longer kept.
    ContentGone,
}

/// `GET /v1/lessons`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonsView {
    /// The oldest first.
    pub lessons: Vec<LessonView>,
}

/// `POST /v1/allow`: what is to pass. At least one of account, list and message is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AllowRequest {
    /// Mail of this account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// Mail with this List-Id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list: Option<String>,
    /// Mail like this message of the queue: of its account and its list or template.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub like: Option<String>,
    /// For so long, in milliseconds; absent: no end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub for_ms: Option<u64>,
    /// Why, for colleagues.
    #[serde(default)]
    pub why: String,
}

/// One allow rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowView {
    /// Its number.
    pub id: u64,
    /// Mail of this account.
    pub account: Option<String>,
    /// Mail with this List-Id.
    pub list: Option<String>,
    /// Mail of this template.
    pub template: Option<String>,
    /// Until then; absent: no end.
    pub expires_ms: Option<WallMs>,
    /// Who made it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// `GET /v1/allow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedView {
    /// The oldest first.
    pub rules: Vec<AllowView>,
}

/// `POST /v1/queue/{id}/release`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReleaseRequest {
    /// Let more like it pass for so long, in milliseconds.
    #[serde(default)]
    pub allow_ms: Option<u64>,
}

/// `POST /v1/queue/{id}/remove`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RemoveRequest {
    /// The model learns that it was spam.
    #[serde(default)]
    pub spam: bool,
}
