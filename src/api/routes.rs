//! Which path is what. Answers are the types of [`view`](super::view); refusals are [`Refused`].

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::caller::{Admin, Reader};
use super::guard_routes;
use super::guardian::Guardian;
use super::operator::Operator;
use super::refusal::Refused;
use super::view::{
    Done, EventView, EventsPage, FlushRequest, GateRequest, HoldsView, LimitsView, MessageDetail, QueuePage,
    StatusView, TraceView,
};
use super::why::WhyLine;
use crate::account::{Account, LocalPart, normal};
use crate::align::doctor::{Examined, Sent};
use crate::mail::QueueId;
use crate::store::{DeliveryRow, DeliveryState, Filter, GateKind, MessageRow, Page, Reads};

/// The longest body of a request, in bytes: exported lessons are imported by one.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Messages on a page of the queue.
const PAGE_MESSAGES_MAX: usize = 1_000;
/// Messages that a trace finds.
const TRACE_MESSAGES_MAX: usize = 50;
/// Events on a page.
const PAGE_EVENTS_MAX: usize = 1_000;
/// The longest reason that an operator can give, in bytes.
pub(super) const REASON_BYTES_MAX: usize = 500;

/// What stands behind the routes.
#[derive(Clone)]
pub struct Api {
    store: Arc<dyn Reads>,
    pub(super) operator: Arc<dyn Operator>,
    pub(super) guardian: Arc<dyn Guardian>,
    local_part: LocalPart,
    /// Pages for people, at paths of their own.
    pages: Router,
}

pub(super) type Answer<T> = Result<Json<T>, Refused>;

impl Api {
    /// Routes over this store and this daemon. `local_part` is how accounts are named, so that a hold for
    /// `Alice@Example.org` stops `alice@example.org`.
    pub fn new(
        store: Arc<dyn Reads>,
        operator: Arc<dyn Operator>,
        guardian: Arc<dyn Guardian>,
        local_part: LocalPart,
    ) -> Self {
        Self { store, operator, guardian, local_part, pages: Router::new() }
    }

    /// With pages for whoever may look.
    #[must_use]
    pub fn with_pages(self, pages: Router) -> Self {
        Self { pages: pages.layer(middleware::from_fn(readers_alone)), ..self }
    }

    /// The routes. A request must carry its [`Caller`](super::caller::Caller) as an extension, else nothing is allowed.
    pub fn routes(mut self) -> Router {
        let pages = std::mem::take(&mut self.pages);
        Router::new()
            .route("/v1/status", get(status))
            .route("/v1/queue", get(queue))
            .route("/v1/queue/flush", post(flush))
            .route("/v1/queue/{id}", get(message))
            .route("/v1/queue/{id}/remove", post(guard_routes::remove))
            .route("/v1/queue/{id}/release", post(guard_routes::release))
            .route("/v1/hold", post(hold))
            .route("/v1/resume", post(resume))
            .route("/v1/holds", get(holds))
            .route("/v1/limits", get(limits))
            .route("/v1/doctor", get(doctor))
            .route("/v1/doctor/sent", get(sent))
            .route("/v1/trace", get(trace))
            .route("/v1/events", get(events))
            .route("/v1/lessons", get(guard_routes::lessons).post(guard_routes::teach))
            .route("/v1/lessons/flagged", post(guard_routes::teach_flagged))
            .route("/v1/allow", get(guard_routes::allowed).post(guard_routes::allow))
            .route("/v1/allow/{id}/remove", post(guard_routes::disallow))
            .route("/v1/reload", post(reload))
            .fallback(async || Refused::NoSuchPath)
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .layer(middleware::from_fn(in_time))
            .with_state(self)
            .merge(pages)
    }

    /// A key as it is compared: accounts in their normal form.
    fn key(&self, kind: GateKind, key: &str) -> Result<String, Refused> {
        let key = key.trim();
        let bad = |fault: &str| Err(Refused::Bad { fault: fault.to_owned() });
        match kind {
            GateKind::All if key.is_empty() => Ok(String::new()),
            GateKind::All => bad("`all` takes no name"),
            GateKind::Account | GateKind::Egress if key.is_empty() => bad("name the account or egress"),
            GateKind::Account => Ok(self.account(key).as_str().to_owned()),
            GateKind::Egress => Ok(key.to_owned()),
        }
    }

    pub(super) fn account(&self, name: &str) -> Account {
        Account::named(&normal::identity(name, self.local_part).unwrap_or_default())
    }

    async fn detail(&self, row: MessageRow, deliveries: Vec<DeliveryRow>) -> Result<MessageDetail, Refused> {
        let history = self.store.history(row.id).await?.into_iter().map(EventView::of).collect();
        let id = row.id.to_string();
        let message = self.operator.views(vec![(row, deliveries)]).await?.pop().ok_or(Refused::NoSuchMessage { id })?;
        Ok(MessageDetail { why: WhyLine::all(&message), message, history })
    }
}

async fn readers_alone(_: Reader, request: Request, next: Next) -> Response {
    next.run(request).await
}

/// A deed that was begun is done to its end, though nobody may wait for it any more (a client that broke off drops this): half
/// of one leaves mail in the queue of which the dispatcher was not told. What only looks ends with who asked.
async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| Refused::Late.into_response();
    if request.method().is_safe() {
        return tokio::time::timeout(ANSWER_TIME_MAX, next.run(request)).await.unwrap_or_else(late);
    }
    match tokio::time::timeout(ANSWER_TIME_MAX, tokio::spawn(next.run(request))).await.map_err(late) {
        Ok(Ok(answer)) | Err(answer) => answer,
        Ok(Err(broken)) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The process ends: what was not begun is not done, and is not known to be.
            Err(_) => Refused::Late.into_response(),
        },
    }
}

pub(super) fn queue_id(text: &str) -> Result<QueueId, Refused> {
    text.parse().map_err(|fault| Refused::Bad { fault: format!("{fault}") })
}

pub(super) fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refused> {
    body.map(|Json(value)| value).map_err(|fault| Refused::Bad { fault: fault.body_text() })
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    query.map(|Query(value)| value).map_err(|fault| Refused::Bad { fault: fault.body_text() })
}

async fn status(_: Reader, State(api): State<Api>) -> Answer<StatusView> {
    let daemon = Some(api.operator.running().await?);
    Ok(Json(StatusView { daemon, queue: api.store.totals().await?, gates: api.store.gates().await? }))
}

/// The query of `GET /v1/queue`.
#[derive(Debug, Deserialize)]
struct QueueQuery {
    account: Option<String>,
    recipient: Option<String>,
    state: Option<DeliveryState>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn queue(
    _: Reader,
    State(api): State<Api>,
    asked: Result<Query<QueueQuery>, QueryRejection>,
) -> Answer<QueuePage> {
    let asked = query(asked)?;
    let filter = Filter {
        id: None,
        account: asked.account.as_deref().map(|name| api.account(name)),
        recipient: asked.recipient,
        state: asked.state,
    };
    let limit = asked.limit.unwrap_or(100).clamp(1, PAGE_MESSAGES_MAX);
    let after = asked.after.as_deref().map(queue_id).transpose()?;
    let found = api.store.list(filter, Page { after, limit }).await?;
    let messages = api.operator.views(found).await?;
    // A short page may be the store's choice, so only an empty one is the end.
    let next = messages.last().map(|last| last.id.clone());
    Ok(Json(QueuePage { messages, next }))
}

async fn message(_: Reader, State(api): State<Api>, Path(id): Path<String>) -> Answer<MessageDetail> {
    let found = api.store.message(queue_id(&id)?).await?;
    let (row, deliveries) = found.ok_or(Refused::NoSuchMessage { id })?;
    Ok(Json(api.detail(row, deliveries).await?))
}

pub(super) fn of_message(deliveries: Option<u32>, id: String) -> Answer<Done> {
    let deliveries = deliveries.ok_or(Refused::NoSuchMessage { id })?;
    Ok(Json(Done { deliveries: deliveries.into(), changed: deliveries > 0, changes: Vec::new() }))
}

async fn flush(admin: Admin, State(api): State<Api>, asked: Result<Json<FlushRequest>, JsonRejection>) -> Answer<Done> {
    let asked = body(asked)?;
    let which = Filter {
        id: asked.id.as_deref().map(queue_id).transpose()?,
        account: asked.account.as_deref().map(|name| api.account(name)),
        recipient: asked.recipient,
        state: None,
    };
    let deliveries = api.operator.flush(which, admin.name()).await?;
    Ok(Json(Done { deliveries, changed: deliveries > 0, changes: Vec::new() }))
}

async fn hold(admin: Admin, State(api): State<Api>, asked: Result<Json<GateRequest>, JsonRejection>) -> Answer<Done> {
    let asked = body(asked)?;
    if asked.reason.len() > REASON_BYTES_MAX {
        return Err(Refused::Bad { fault: format!("a reason has at most {REASON_BYTES_MAX} bytes") });
    }
    let key = api.key(asked.kind, &asked.key)?;
    let under_way = api.operator.hold(asked.kind, key, admin.name(), asked.reason).await?;
    Ok(Json(Done { deliveries: under_way.into(), changed: true, changes: Vec::new() }))
}

async fn resume(admin: Admin, State(api): State<Api>, asked: Result<Json<GateRequest>, JsonRejection>) -> Answer<Done> {
    let asked = body(asked)?;
    let key = api.key(asked.kind, &asked.key)?;
    let changed = api.operator.resume(asked.kind, key, admin.name()).await?;
    Ok(Json(Done { deliveries: 0, changed, changes: Vec::new() }))
}

async fn holds(_: Reader, State(api): State<Api>) -> Answer<HoldsView> {
    Ok(Json(HoldsView { gates: api.store.gates().await? }))
}

async fn limits(_: Reader, State(api): State<Api>) -> Answer<LimitsView> {
    let mut limits = api.operator.limits().await?;
    // Fullest first; a limit of zero slots is full.
    let share = |l: &super::LimitUse| u64::from(l.used + l.leased) * 10_000 / u64::from(l.slots.max(1));
    limits.sort_by(|a, b| {
        share(b).cmp(&share(a)).then_with(|| (&a.kind, &a.key, &a.rule).cmp(&(&b.kind, &b.key, &b.rule)))
    });
    Ok(Json(LimitsView { limits }))
}

async fn sent(_: Reader, State(api): State<Api>) -> Answer<Sent> {
    Ok(Json(api.operator.sent().await?))
}

async fn doctor(_: Reader, State(api): State<Api>) -> Answer<Examined> {
    Ok(Json(api.operator.examined().await?.worst_first()))
}

/// The query of `GET /v1/trace`.
#[derive(Debug, Deserialize)]
struct TraceQuery {
    term: String,
    after: Option<String>,
    limit: Option<usize>,
}

async fn trace(
    _: Reader,
    State(api): State<Api>,
    asked: Result<Query<TraceQuery>, QueryRejection>,
) -> Answer<TraceView> {
    let asked = query(asked)?;
    let limit = asked.limit.unwrap_or(10).clamp(1, TRACE_MESSAGES_MAX);
    let after = asked.after.as_deref().map(queue_id).transpose()?;
    // One more than is shown tells whether there is more.
    let mut found = api.store.find(asked.term, Page { after, limit: limit + 1 }).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut messages = Vec::new();
    for (row, deliveries) in found {
        messages.push(api.detail(row, deliveries).await?);
    }
    let next = messages.last().filter(|_| more).map(|last| last.message.id.clone());
    Ok(Json(TraceView { messages, next }))
}

/// The query of `GET /v1/events`.
#[derive(Debug, Deserialize)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn events(
    _: Reader,
    State(api): State<Api>,
    asked: Result<Query<EventsQuery>, QueryRejection>,
) -> Answer<EventsPage> {
    let asked = query(asked)?;
    let rows = api.store.events(asked.after, asked.limit.unwrap_or(100).clamp(1, PAGE_EVENTS_MAX)).await?;
    let events: Vec<EventView> = rows.into_iter().map(EventView::of).collect();
    let next = events.last().map_or(asked.after, |last| last.row);
    Ok(Json(EventsPage { events, next }))
}

async fn reload(admin: Admin, State(api): State<Api>) -> Answer<Done> {
    let changes = api.operator.reload(admin.name()).await?;
    Ok(Json(Done { deliveries: 0, changed: !changes.is_empty(), changes }))
}
