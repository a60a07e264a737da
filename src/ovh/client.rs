//! One question to OVHcloud's API: what the credentials are worth.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

use super::settings::{Credentials, Keys, OvhSettings, ServiceAccount};
use super::{service_account, signature};
use crate::clock::WallMs;
use crate::delivery::Tls;
use crate::secret::Secret;

/// The longest answer taken, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Rights that lack are named up to so many.
const MISSING_MAX: usize = 20;
/// The longest words of a refusal that are kept, in characters.
const WORDS_CHARS_MAX: usize = 300;
/// For one question, connection and TLS included.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// What keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `validated`, `pendingValidation`, `refused` or `expired`.
    pub status: String,
    /// When they end, as OVHcloud writes it; absent: never.
    pub expiration: Option<String>,
    /// What they may do: method and path.
    pub rules: Vec<String>,
}

/// What a look at the API came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// OVHcloud's clock less ours, in seconds.
    pub clock_ahead_s: Result<i64, OvhError>,
    /// What the credentials are.
    pub credential: Result<Worth, OvhError>,
}

/// What credentials turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worth {
    /// Keys: what is known of them.
    Keys(Credential),
    /// A service account that got its token.
    ServiceAccount {
        /// Whether it may ask for the addresses ([`LISTING`]).
        listing: Result<(), OvhError>,
    },
}

/// Why nothing is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OvhError {
    /// The API was not reached, or its answer is none.
    NotReached(String),
    /// It has no time for us (429): that says nothing of the credentials.
    Busy {
        /// How long it asks to wait, where it says so, in seconds.
        retry_after_s: Option<u64>,
    },
    /// It has trouble of its own (5xx).
    Trouble {
        /// The HTTP status.
        status: u16,
    },
    /// It says no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its code, such as `INVALID_KEY`.
        code: String,
        /// Its words.
        message: String,
        /// The rights that lack, where it names them.
        missing: Vec<String>,
    },
}

impl fmt::Display for OvhError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached(why) => f.write_str(why),
            Self::Busy { retry_after_s: None } => f.write_str("OVHcloud's API wants fewer questions (429)"),
            Self::Busy { retry_after_s: Some(wait) } => {
                write!(f, "OVHcloud's API wants fewer questions (429), the next after {wait} s")
            }
            Self::Trouble { status } => write!(f, "OVHcloud's API has trouble of its own ({status})"),
            Self::Refused { status, code, message, .. } => write!(f, "{message} ({status} {code})"),
        }
    }
}

impl OvhError {
    /// Whether another time of OVHcloud's clock may help: a request is signed with it.
    fn is_of_time_or_signature(&self) -> bool {
        match self {
            Self::Refused { status: 400, code, message, .. } => {
                let text = format!("{code} {message}").to_ascii_lowercase();
                text.contains("signature") || text.contains("time")
            }
            Self::Refused { .. } | Self::NotReached(_) | Self::Busy { .. } | Self::Trouble { .. } => false,
        }
    }
}

impl std::error::Error for OvhError {}

#[derive(Debug, Deserialize)]
struct CredentialJson {
    status: String,
    expiration: Option<String>,
    #[serde(default)]
    rules: Vec<RuleJson>,
}

#[derive(Debug, Deserialize)]
struct RuleJson {
    method: String,
    path: String,
}

/// Every field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RefusalJson {
    #[serde(rename = "errorCode")]
    code: Option<String>,
    class: Option<String>,
    message: Option<String>,
    /// Of OAuth 2.0 (RFC 6749 5.2).
    error: Option<String>,
    #[serde(rename = "error_description")]
    description: Option<String>,
    /// Its shape is not ours to demand: an odd one must not hide the rest.
    details: serde_json::Value,
}

/// Rights that a refusal names as lacking: one text, or a list of them.
fn missing(details: &serde_json::Value) -> Vec<String> {
    let texts: Vec<&str> = match details.get("unauthorizedActionsByIAM") {
        Some(serde_json::Value::String(text)) => text.split([',', ' ']).collect(),
        Some(serde_json::Value::Array(list)) => list.iter().filter_map(serde_json::Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    let named = texts.into_iter().filter(|text| !text.is_empty());
    named.take(MISSING_MAX).map(shortened).collect()
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(WORDS_CHARS_MAX).collect()
}

/// Asks what the credentials are worth. `now` is our wall clock. A request that is not of its time is signed anew once.
pub async fn worth(settings: &OvhSettings, now: WallMs) -> Looked {
    let time = match its_time(settings).await {
        Ok(time) => time,
        Err(error) => return Looked { clock_ahead_s: Err(error.clone()), credential: Err(error) },
    };
    let clock_ahead_s = Ok(time.cast_signed() - (now.0 / 1_000).cast_signed());
    let credential = match &settings.credentials {
        Credentials::Keys(keys) => of_keys(settings, keys, time).await.map(Worth::Keys),
        Credentials::ServiceAccount(account) => of_account(settings, account).await,
    };
    Looked { clock_ahead_s, credential }
}

/// What tells of the keys that a request is signed with.
pub const CREDENTIAL: &str = "/auth/currentCredential";
/// What tells of the addresses: a question that changes nothing, and for which a service account needs a right.
pub const LISTING: &str = "/ip";

async fn of_keys(settings: &OvhSettings, keys: &Keys, seconds: u64) -> Result<Credential, OvhError> {
    let address = format!("{}{CREDENTIAL}", settings.endpoint.base());
    let mut answer = ask(Question { address: address.clone(), proof: Proof::Signed { keys, seconds } }).await;
    if matches!(&answer, Err(error) if error.is_of_time_or_signature())
        && let Ok(seconds) = its_time(settings).await
    {
        answer = ask(Question { address, proof: Proof::Signed { keys, seconds } }).await;
    }
    answer.and_then(|body| read(&body))
}

/// A token, and then what it may be used for.
async fn of_account(settings: &OvhSettings, account: &ServiceAccount) -> Result<Worth, OvhError> {
    let address = settings.endpoint.token();
    let answer = ask(Question { address, proof: Proof::Client(account) }).await?;
    let token = service_account::token_in(&answer)?;
    let address = format!("{}{LISTING}", settings.endpoint.base());
    let listing = ask(Question { address, proof: Proof::Token(&token) }).await.map(drop);
    Ok(Worth::ServiceAccount { listing })
}

/// What is asked, and what proves who asks.
struct Question<'a> {
    address: String,
    proof: Proof<'a>,
}

enum Proof<'a> {
    Nobody,
    /// At so many seconds of OVHcloud's clock.
    Signed {
        keys: &'a Keys,
        seconds: u64,
    },
    /// For a token: a form that is posted.
    Client(&'a ServiceAccount),
    Token(&'a Secret),
}

impl Question<'_> {
    /// As it is sent. No secret of it is shown by a `Debug`.
    fn request(&self, url: &Url) -> Result<Request<Full<Bytes>>, String> {
        let secret = |secret: &[u8]| {
            let mut value = HeaderValue::from_bytes(secret).map_err(|_| "a key is no text")?;
            value.set_sensitive(true);
            Ok::<_, &str>(value)
        };
        let request =
            Request::builder().uri(url.path()).header("host", url.authority()).header("accept", "application/json");
        let (request, body) = match &self.proof {
            Proof::Nobody => (request, Bytes::new()),
            Proof::Signed { keys, seconds } => {
                let signed = request
                    .header("x-ovh-application", secret(keys.application_key.reveal())?)
                    .header("x-ovh-consumer", secret(keys.consumer_key.reveal())?)
                    .header("x-ovh-timestamp", *seconds)
                    .header("x-ovh-signature", signature::of_request(keys, "GET", &self.address, *seconds));
                (signed, Bytes::new())
            }
            Proof::Client(account) => {
                let form = request.method("POST").header("content-type", "application/x-www-form-urlencoded");
                (form, service_account::form(account))
            }
            Proof::Token(token) => {
                let bearer = Secret::new([b"Bearer ", token.reveal()].concat());
                (request.header("authorization", secret(bearer.reveal())?), Bytes::new())
            }
        };
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }
}

async fn its_time(settings: &OvhSettings) -> Result<u64, OvhError> {
    let address = format!("{}/auth/time", settings.endpoint.base());
    let time = ask(Question { address, proof: Proof::Nobody }).await?;
    serde_json::from_slice(&time).map_err(|_| broken("/auth/time"))
}

fn read(body: &[u8]) -> Result<Credential, OvhError> {
    let told: CredentialJson = serde_json::from_slice(body).map_err(|_| broken(CREDENTIAL))?;
    Ok(Credential {
        status: told.status,
        expiration: told.expiration,
        rules: told.rules.into_iter().map(|rule| format!("{} {}", rule.method, rule.path)).collect(),
    })
}

pub(super) fn broken(path: &str) -> OvhError {
    OvhError::NotReached(format!("the answer to {path} is not what it should be"))
}

async fn ask(question: Question<'_>) -> Result<Bytes, OvhError> {
    let asked = tokio::time::timeout(ANSWER_TIME_MAX, exchange(&question)).await;
    let answer = asked
        .map_err(|_| OvhError::NotReached(format!("no answer in {} s", ANSWER_TIME_MAX.as_secs())))?
        .map_err(OvhError::NotReached)?;
    match answer.status.as_u16() {
        200 => return Ok(answer.body),
        429 => return Err(OvhError::Busy { retry_after_s: answer.retry_after_s }),
        status @ 500.. => return Err(OvhError::Trouble { status }),
        _ => {}
    }
    let told: RefusalJson = serde_json::from_slice(&answer.body).unwrap_or_default();
    Err(OvhError::Refused {
        status: answer.status.as_u16(),
        missing: missing(&told.details),
        code: shortened(&told.code.or(told.class).or(told.error).unwrap_or_default()),
        message: shortened(told.message.or(told.description).as_deref().unwrap_or("it refuses without a word")),
    })
}

/// What came back.
struct Answer {
    status: StatusCode,
    retry_after_s: Option<u64>,
    body: Bytes,
}

/// The answer, or what went wrong as a sentence. Redirects are not followed: they are a refusal.
async fn exchange(question: &Question<'_>) -> Result<Answer, String> {
    let text = &question.address;
    let url = Url::parse(text).map_err(|error| format!("{text}: {error}"))?;
    let host = url.host_str().ok_or("the endpoint has no host")?.to_owned();
    let port = url.port_or_known_default().ok_or("the endpoint has no port")?;
    let request = question.request(&url)?;
    let unreached = |error: &dyn fmt::Display| format!("{host} is not reached: {error}");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((bare, port)).await.map_err(|error| unreached(&error))?;
    if url.scheme() == "http" {
        return converse(tcp, request).await.map_err(|why| unreached(&why));
    }
    let name = rustls::pki_types::ServerName::try_from(bare.to_owned()).map_err(|error| unreached(&error))?;
    let config = Tls::new(None)?.verifying()?;
    let tls = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.map_err(|error| unreached(&error))?;
    converse(tls, request).await.map_err(|why| unreached(&why))
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: &dyn fmt::Display| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| broken(&error))?;
        let wait =
            head.headers.get(hyper::header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
        Ok(Answer { status: head.status, retry_after_s: wait, body: body.to_bytes() })
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests;
