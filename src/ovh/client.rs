//! One question to OVHcloud's API: what the credentials are worth.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

use super::settings::OvhSettings;
use super::signature;
use crate::clock::WallMs;
use crate::delivery::Tls;

/// The longest answer taken, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// For one question, connection and TLS included.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// What the credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `validated`, `pendingValidation`, `refused` or `expired`.
    pub status: String,
    /// When they end, as OVHcloud writes it; absent: never.
    pub expiration: Option<String>,
    /// What they may do: method and path.
    pub rules: Vec<String>,
    /// OVHcloud's clock less ours, in seconds.
    pub clock_ahead_s: i64,
}

/// Why nothing is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OvhError {
    /// The API was not reached, or its answer is none.
    NotReached(String),
    /// It says no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its code, such as `INVALID_KEY`.
        code: String,
        /// Its words.
        message: String,
    },
}

impl fmt::Display for OvhError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached(why) => f.write_str(why),
            Self::Refused { status, code, message } => write!(f, "{message} ({status} {code})"),
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
}

/// Asks what the credentials are worth. `now` is our wall clock.
///
/// # Errors
/// [`OvhError`].
pub async fn current_credential(settings: &OvhSettings, now: WallMs) -> Result<Credential, OvhError> {
    let time = ask(settings, "/auth/time", None).await?;
    let time: u64 = serde_json::from_slice(&time).map_err(|_| broken("/auth/time"))?;
    let answer = ask(settings, "/auth/currentCredential", Some(time)).await?;
    let told: CredentialJson = serde_json::from_slice(&answer).map_err(|_| broken("/auth/currentCredential"))?;
    Ok(Credential {
        status: told.status,
        expiration: told.expiration,
        rules: told.rules.into_iter().map(|rule| format!("{} {}", rule.method, rule.path)).collect(),
        clock_ahead_s: time.cast_signed() - (now.0 / 1_000).cast_signed(),
    })
}

fn broken(path: &str) -> OvhError {
    OvhError::NotReached(format!("the answer to {path} is not what it should be"))
}

/// One GET; signed where the seconds of OVHcloud's clock are given.
async fn ask(settings: &OvhSettings, path: &str, seconds: Option<u64>) -> Result<Bytes, OvhError> {
    let asked = tokio::time::timeout(ANSWER_TIME_MAX, exchange(settings, path, seconds)).await;
    let (status, body) = asked
        .map_err(|_| OvhError::NotReached(format!("no answer in {} s", ANSWER_TIME_MAX.as_secs())))?
        .map_err(OvhError::NotReached)?;
    if status == StatusCode::OK {
        return Ok(body);
    }
    let told: RefusalJson = serde_json::from_slice(&body).unwrap_or_default();
    Err(OvhError::Refused {
        status: status.as_u16(),
        code: told.code.or(told.class).unwrap_or_default(),
        message: told.message.unwrap_or_else(|| "it refuses without a word".to_owned()),
    })
}

/// Status and body, or what went wrong as a sentence. Redirects are not followed: they are a refusal.
async fn exchange(settings: &OvhSettings, path: &str, seconds: Option<u64>) -> Result<(StatusCode, Bytes), String> {
    let text = format!("{}{path}", settings.endpoint.base());
    let url = Url::parse(&text).map_err(|error| format!("{text}: {error}"))?;
    let host = url.host_str().ok_or("the endpoint has no host")?.to_owned();
    let port = url.port_or_known_default().ok_or("the endpoint has no port")?;
    let mut request =
        Request::builder().uri(url.path()).header("host", url.authority()).header("accept", "application/json");
    if let Some(seconds) = seconds {
        let header = |secret: &crate::secret::Secret| {
            let mut value = hyper::header::HeaderValue::from_bytes(secret.reveal()).map_err(|_| "a key is no text")?;
            value.set_sensitive(true);
            Ok::<_, &str>(value)
        };
        request = request
            .header("x-ovh-application", header(&settings.application_key)?)
            .header("x-ovh-consumer", header(&settings.consumer_key)?)
            .header("x-ovh-timestamp", seconds)
            .header("x-ovh-signature", signature::of_request(settings, "GET", &text, seconds));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
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

async fn converse<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<(StatusCode, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: &dyn fmt::Display| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| broken(&error))?;
        Ok((head.status, body.to_bytes()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests;
