//! The client of the routes, for the CLI.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::guardian::{
    AllowRequest, AllowView, AllowedView, FlaggedAnswer, FlaggedRequest, LessonRequest, LessonsView, ReleaseRequest,
    RemoveRequest,
};
use super::view::{
    Done, EventsPage, Failure, FlushRequest, GateRequest, HoldsView, LimitsView, MessageDetail, QueuePage, StatusView,
    TraceView,
};
use crate::align::doctor::{Examined, Sent};
use crate::store::DeliveryState;

/// The longest answer taken, in bytes: a page of messages with a thousand recipients each.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How long an answer may take: longer than the daemon gives itself, so that its own words arrive.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(40);

/// Asks a daemon.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens there: no daemon runs, or with another socket.
    NoDaemon {
        /// Where.
        socket: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The socket may not be opened.
    NotAllowed {
        /// Where.
        socket: PathBuf,
    },
    /// The daemon said no.
    Refused {
        /// The HTTP status, which says of what kind.
        status: u16,
        /// Its words.
        failure: Failure,
    },
    /// The connection broke, or what came is no answer.
    Broken {
        /// What happened.
        detail: String,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDaemon { socket, source } => write!(f, "no daemon answers at {}: {source}", socket.display()),
            Self::NotAllowed { socket } => write!(f, "{} may not be opened by this user", socket.display()),
            Self::Refused { failure, .. } => f.write_str(&failure.error),
            Self::Broken { detail } => write!(f, "the daemon's answer did not arrive: {detail}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl ClientError {
    /// What to do.
    pub fn advice(&self) -> &str {
        match self {
            Self::NoDaemon { .. } => {
                "start it (`systemctl start outguard`), or name its configuration with --config or its socket with --socket"
            }
            Self::NotAllowed { .. } => "run it with sudo, or join the socket's group",
            Self::Refused { failure, .. } => &failure.advice,
            Self::Broken { .. } => "what was asked may have been done; look again before you repeat it",
        }
    }
}

/// Which page of the queue, and of what.
#[derive(Debug, Clone, Default)]
pub struct QueueQuery {
    /// Only of this account.
    pub account: Option<String>,
    /// Only to this recipient, or with `@example.org` to this domain.
    pub recipient: Option<String>,
    /// Only with deliveries in this state.
    pub state: Option<DeliveryState>,
    /// Only after this queue id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Client {
    /// Of the daemon with that socket. Nothing is opened yet.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// What the daemon does, and how much waits.
    ///
    /// # Errors
    /// [`ClientError`], as for every question here.
    pub async fn status(&self) -> Result<StatusView, ClientError> {
        self.get("/v1/status", &[]).await
    }

    /// A page of the queue.
    pub async fn queue(&self, which: &QueueQuery) -> Result<QueuePage, ClientError> {
        let state = which.state.map(|state| serde_json::to_string(&state).unwrap_or_default().replace('"', ""));
        let limit = which.limit.map(|limit| limit.to_string());
        let query = [
            ("account", &which.account),
            ("recipient", &which.recipient),
            ("state", &state),
            ("after", &which.after),
            ("limit", &limit),
        ];
        let query: Vec<(&str, &str)> = query.iter().filter_map(|(k, v)| v.as_deref().map(|v| (*k, v))).collect();
        self.get("/v1/queue", &query).await
    }

    /// One message, why it waits, and its history.
    pub async fn message(&self, id: &str) -> Result<MessageDetail, ClientError> {
        self.get(&format!("/v1/queue/{}", percent(id)), &[]).await
    }

    /// Messages by Message-ID, queue id, the MTA's queue id or address; with `after` older ones than that.
    pub async fn trace(&self, term: &str, after: Option<&str>, limit: usize) -> Result<TraceView, ClientError> {
        let limit = limit.to_string();
        let query = [("term", Some(term)), ("limit", Some(&limit)), ("after", after)];
        let query: Vec<(&str, &str)> =
            query.iter().filter_map(|(key, value)| value.map(|value| (*key, value))).collect();
        self.get("/v1/trace", &query).await
    }

    /// How full the limits are.
    pub async fn limits(&self) -> Result<LimitsView, ClientError> {
        self.get("/v1/limits", &[]).await
    }

    /// In whose name mail was sent lately.
    pub async fn sent(&self) -> Result<Sent, ClientError> {
        self.get("/v1/doctor/sent", &[]).await
    }

    /// What the doctor found when it last looked by itself, what is worst first.
    pub async fn doctor(&self) -> Result<Examined, ClientError> {
        self.get("/v1/doctor", &[]).await
    }

    /// The closed gates.
    pub async fn holds(&self) -> Result<HoldsView, ClientError> {
        self.get("/v1/holds", &[]).await
    }

    /// The journal from a cursor on.
    pub async fn events(&self, after: u64, limit: usize) -> Result<EventsPage, ClientError> {
        self.get("/v1/events", &[("after", &after.to_string()), ("limit", &limit.to_string())]).await
    }

    /// Closes a gate.
    pub async fn hold(&self, gate: &GateRequest) -> Result<Done, ClientError> {
        self.post("/v1/hold", gate).await
    }

    /// Opens a gate.
    pub async fn resume(&self, gate: &GateRequest) -> Result<Done, ClientError> {
        self.post("/v1/resume", gate).await
    }

    /// Makes waiting mail due now.
    pub async fn flush(&self, which: &FlushRequest) -> Result<Done, ClientError> {
        self.post("/v1/queue/flush", which).await
    }

    /// Takes a message out of the queue.
    pub async fn remove(&self, id: &str, how: &RemoveRequest) -> Result<Done, ClientError> {
        self.post(&format!("/v1/queue/{}/remove", percent(id)), how).await
    }

    /// Lets a held message go.
    pub async fn release(&self, id: &str, how: &ReleaseRequest) -> Result<Done, ClientError> {
        self.post(&format!("/v1/queue/{}/release", percent(id)), how).await
    }

    /// What the model was taught.
    pub async fn lessons(&self) -> Result<LessonsView, ClientError> {
        self.get("/v1/lessons", &[]).await
    }

    /// Teaches the model, or takes a lesson back.
    pub async fn teach(&self, asked: &LessonRequest) -> Result<Done, ClientError> {
        self.post("/v1/lessons", asked).await
    }

    /// Teaches what the network flagged.
    pub async fn teach_flagged(&self, asked: &FlaggedRequest) -> Result<FlaggedAnswer, ClientError> {
        self.post("/v1/lessons/flagged", asked).await
    }

    /// What may pass.
    pub async fn allowed(&self) -> Result<AllowedView, ClientError> {
        self.get("/v1/allow", &[]).await
    }

    /// Makes an allow rule.
    pub async fn allow(&self, asked: &AllowRequest) -> Result<AllowView, ClientError> {
        self.post("/v1/allow", asked).await
    }

    /// Removes one.
    pub async fn disallow(&self, id: u64) -> Result<Done, ClientError> {
        self.post(&format!("/v1/allow/{id}/remove"), &()).await
    }

    /// Reads the configuration again.
    pub async fn reload(&self) -> Result<Done, ClientError> {
        self.post("/v1/reload", &()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, ClientError> {
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", percent(value))).collect();
        let separator = if query.is_empty() { "" } else { "?" };
        self.ask(Method::GET, &format!("{path}{separator}{}", query.join("&")), Bytes::new()).await
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| ClientError::Broken { detail: e.to_string() })?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, target: &str, body: Bytes) -> Result<T, ClientError> {
        let (status, body) =
            tokio::time::timeout(ANSWER_TIME_MAX, self.exchange(method, target, body)).await.map_err(|_| {
                ClientError::Broken { detail: format!("nothing came in {} s", ANSWER_TIME_MAX.as_secs()) }
            })??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|e| ClientError::Broken { detail: e.to_string() });
        }
        let failure = serde_json::from_slice(&body).unwrap_or_else(|_| Failure {
            error: format!("HTTP {status}"),
            advice: "is this client older or newer than the daemon? see `outguard --version`".to_owned(),
        });
        Err(ClientError::Refused { status: status.as_u16(), failure })
    }

    async fn exchange(&self, method: Method, target: &str, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        let broken = |e: &dyn fmt::Display| ClientError::Broken { detail: e.to_string() };
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| {
            if source.kind() == io::ErrorKind::PermissionDenied {
                ClientError::NotAllowed { socket: self.socket.clone() }
            } else {
                ClientError::NoDaemon { socket: self.socket.clone(), source }
            }
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "outguard")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|e| broken(&e))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|e| broken(&e))?;
            Ok((head.status, body.to_bytes()))
        };
        // The connection lives exactly as long as the question; what it still holds when it ends is read.
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            _ = connection => exchange.await,
        }
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn percent(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // writing to a String cannot fail
        }
    }
    encoded
}
