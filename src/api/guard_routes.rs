//! Routes by which operators tell the guard what a message was, and what may pass.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};

use super::caller::{Admin, Reader};
use super::guardian::{
    AllowRequest, AllowView, AllowedView, FlaggedAnswer, FlaggedRequest, LessonRequest, LessonsView, ReleaseRequest,
    RemoveRequest,
};
use super::refusal::Refused;
use super::routes::{Answer, Api, REASON_BYTES_MAX, body, of_message, queue_id};
use super::view::Done;

/// The longest name of an account, list or message in a request, in bytes.
const NAME_BYTES_MAX: usize = 1_000;

pub(super) async fn lessons(_: Reader, State(api): State<Api>) -> Answer<LessonsView> {
    Ok(Json(LessonsView { lessons: api.guardian.lessons().await? }))
}

pub(super) async fn teach(
    admin: Admin,
    State(api): State<Api>,
    asked: Result<Json<LessonRequest>, JsonRejection>,
) -> Answer<Done> {
    let (deliveries, changed) = match body(asked)? {
        LessonRequest::Teach { about, label } => {
            let lessons = api.guardian.teach(bounded(about)?, label, admin.name()).await?;
            (lessons, lessons > 0)
        }
        LessonRequest::Undo { about } => (0, api.guardian.unteach(bounded(about)?, admin.name()).await?),
        LessonRequest::Import { lines } => {
            let lessons = api.guardian.import_lessons(lines, admin.name()).await?;
            (lessons, lessons > 0)
        }
    };
    Ok(Json(Done { deliveries, changed, changes: Vec::new() }))
}

pub(super) async fn teach_flagged(
    admin: Admin,
    State(api): State<Api>,
    asked: Result<Json<FlaggedRequest>, JsonRejection>,
) -> Answer<FlaggedAnswer> {
    let FlaggedRequest { message_ids } = body(asked)?;
    if message_ids.len() > FlaggedRequest::MESSAGES_MAX {
        let fault = format!("at most {} Message-IDs at once", FlaggedRequest::MESSAGES_MAX);
        return Err(Refused::Bad { fault });
    }
    let message_ids = message_ids.into_iter().map(bounded).collect::<Result<_, _>>()?;
    // The network judged, an operator handed its judgement on.
    let by = format!("ovhcloud, by {}", admin.name());
    Ok(Json(FlaggedAnswer { flagged: api.guardian.teach_flagged(message_ids, by).await? }))
}

pub(super) async fn allowed(_: Reader, State(api): State<Api>) -> Answer<AllowedView> {
    Ok(Json(AllowedView { rules: api.guardian.allowed().await? }))
}

pub(super) async fn allow(
    admin: Admin,
    State(api): State<Api>,
    asked: Result<Json<AllowRequest>, JsonRejection>,
) -> Answer<AllowView> {
    let mut asked = body(asked)?;
    if asked.why.len() > REASON_BYTES_MAX {
        return Err(Refused::Bad { fault: format!("a reason has at most {REASON_BYTES_MAX} bytes") });
    }
    asked.account = asked.account.map(bounded).transpose()?.map(|name| api.account(&name).to_string());
    asked.list = asked.list.map(bounded).transpose()?;
    let Some(like) = asked.like.take() else { return Ok(Json(api.guardian.allow(asked, admin.name()).await?)) };
    if asked.account.is_some() || asked.list.is_some() {
        return Err(Refused::Bad { fault: "a rule is like a message, or names account and list".to_owned() });
    }
    let made = api.guardian.allow_like(queue_id(&like)?, asked, admin.name()).await?;
    made.map(Json).ok_or(Refused::NoSuchMessage { id: like })
}

pub(super) async fn disallow(admin: Admin, State(api): State<Api>, Path(id): Path<String>) -> Answer<Done> {
    let number = id.parse().map_err(|_| Refused::Bad { fault: "the number of a rule is a number".to_owned() })?;
    let changed = api.guardian.disallow(number, admin.name()).await?;
    Ok(Json(Done { deliveries: 0, changed, changes: Vec::new() }))
}

pub(super) async fn remove(
    admin: Admin,
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Result<Json<Option<RemoveRequest>>, JsonRejection>,
) -> Answer<Done> {
    let asked = body(asked)?.unwrap_or_default();
    of_message(api.operator.remove(queue_id(&id)?, asked, admin.name()).await?, id)
}

pub(super) async fn release(
    admin: Admin,
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Result<Json<Option<ReleaseRequest>>, JsonRejection>,
) -> Answer<Done> {
    let asked = body(asked)?.unwrap_or_default();
    of_message(api.operator.release(queue_id(&id)?, asked, admin.name()).await?, id)
}

fn bounded(name: String) -> Result<String, Refused> {
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Refused::Bad { fault: format!("a name has 1 to {NAME_BYTES_MAX} bytes") });
    }
    Ok(name)
}
