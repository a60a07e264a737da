//! The pages: which path shows what. Their templates stand in `templates/review`; they escape whatever is put into them.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::moment::utc;
use super::{Overview, Status};
use crate::align::doctor::{Examined, Finding, Grade};
use crate::mail::Visible;

/// How long a page may take.
const PAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Findings that a page shows; `outguard doctor --last --json` has all.
const FINDINGS_MAX: usize = 1_000;
/// Where the style is: the one thing that needs no password.
pub(super) const STYLE: &str = "/style.css";

/// The routes of all pages. Who may come in is the affair of whoever serves them.
pub fn pages(overview: Arc<dyn Overview>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/doctor", get(doctor))
        .route(STYLE, get(style))
        .layer(axum::middleware::map_response(super::door::with_headers))
        .with_state(overview)
}

#[derive(Template)]
#[template(path = "review/overview.html")]
struct HomePage {
    version: String,
    started: String,
    troubles: Vec<String>,
    waiting: u64,
    held: u64,
    under_way: u64,
    findings: String,
}

#[derive(Template)]
#[template(path = "review/doctor.html")]
struct DoctorPage {
    seen: String,
    findings: String,
    wrong: Vec<Shown>,
    right: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "review/sorry.html")]
struct SorryPage<'a> {
    title: &'a str,
    sentence: &'a str,
}

/// A finding, everything in it visible.
struct Shown {
    grade: &'static str,
    subject: String,
    /// Why the domain is looked at; empty where it is none.
    origin: String,
    check: String,
    found: String,
    why: String,
    mend: String,
}

impl Shown {
    fn of(finding: &Finding, all: &[Finding]) -> Self {
        let visible = |text: &str| Visible(text).to_string();
        let check = match &*finding.about {
            "" => visible(&finding.check),
            about => format!("{} ({})", Visible(&finding.check), Visible(about)),
        };
        Self {
            grade: finding.grade.as_str(),
            subject: visible(&finding.subject),
            origin: all
                .iter()
                .find(|one| one.check == "sender" && one.subject == finding.subject)
                .map_or_else(String::new, |one| visible(&one.found)),
            check,
            found: visible(&finding.found),
            why: visible(&finding.why),
            mend: visible(&finding.mend),
        }
    }
}

async fn home(State(overview): State<Arc<dyn Overview>>) -> Response {
    let status = tokio::time::timeout(PAGE_TIME_MAX, overview.status()).await;
    match status.unwrap_or_else(|_| Err("the daemon did not answer in time".to_owned())) {
        Ok(status) => page(&HomePage::of(status, &overview.examined())),
        Err(sentence) => sorry(StatusCode::SERVICE_UNAVAILABLE, "Not now", &Visible(&sentence).to_string()),
    }
}

impl HomePage {
    fn of(status: Status, examined: &Examined) -> Self {
        Self {
            version: status.version,
            started: utc(status.started),
            troubles: status.troubles.iter().map(|trouble| Visible(trouble).to_string()).collect(),
            waiting: status.waiting,
            held: status.held,
            under_way: status.under_way,
            findings: counted(examined),
        }
    }
}

async fn doctor(State(overview): State<Arc<dyn Overview>>) -> Response {
    let examined = overview.examined().worst_first();
    let findings = counted(&examined);
    let next = examined.next_ms.map_or_else(String::new, |at| format!(" It looks again at {}.", utc(at)));
    let seen = match examined.at_ms {
        Some(at) => format!("As seen at {}.{next}", utc(at)),
        None => format!("Nothing was looked at yet.{next}"),
    };
    let shown = examined.findings.into_iter().take(FINDINGS_MAX);
    let (right, wrong): (Vec<Finding>, Vec<Finding>) = shown.partition(|finding| finding.grade == Grade::Right);
    let shown = |findings: &[Finding]| findings.iter().map(|finding| Shown::of(finding, &right)).collect();
    page(&DoctorPage { seen, findings, wrong: shown(&wrong), right: shown(&right) })
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

fn counted(examined: &Examined) -> String {
    let count = |grade| examined.findings.iter().filter(|finding| finding.grade == grade).count();
    let (faults, warnings) = (count(Grade::Fault), count(Grade::Warning));
    let (unknown, right) = (count(Grade::Unknown), count(Grade::Right));
    format!("Faults: {faults}, warnings: {warnings}, not known: {unknown}, right: {right}.")
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // writing to a String cannot fail
    }
}

/// A page that is none.
pub(super) fn sorry(status: StatusCode, title: &str, sentence: &str) -> Response {
    (status, page(&SorryPage { title, sentence })).into_response()
}
