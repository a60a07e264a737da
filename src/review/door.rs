//! Who may come in by TCP, and what a browser may do with a page.
//!
//! A page asked for under a foreign name is refused, or a page of somebody else's could read ours (DNS rebinding). The
//! password is asked for anew with each page: nothing is remembered that could be stolen.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use zeroize::Zeroizing;

use super::pages::{STYLE, sorry};
use crate::intake::passwords::{Checked, Passwords};
use crate::smtp::server::Credentials;

/// How long a wrong password is waited for, so that few can be tried.
const WRONG_PAUSE: Duration = Duration::from_secs(1);
/// The longest field with a login, in bytes.
const LOGIN_BYTES_MAX: usize = 1_024;

/// What a browser may do with a page: show it, with our style, and nothing else.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Adds what a browser may do to any answer.
pub(super) async fn with_headers(mut answer: Response) -> Response {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Who may come in.
#[derive(Debug)]
pub struct Door {
    passwords: Passwords,
    names: Vec<String>,
}

impl Door {
    /// For these passwords; `names` are those of a proxy.
    pub fn new(passwords: Passwords, names: &[String]) -> Arc<Self> {
        Arc::new(Self { passwords, names: names.iter().map(|name| name.to_ascii_lowercase()).collect() })
    }

    /// Whether a page may be asked for under that name, its port aside: another may stand before ours (`ssh -L`).
    fn is_own(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(literal) => literal.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost"
            || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            || self.names.contains(&name)
    }

    /// Whether everything that names the host of a request names us.
    fn is_for_us(&self, request: &Request) -> bool {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let named = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().is_ok_and(|host| self.is_own(host)),
            _ => false,
        };
        named && request.uri().authority().is_none_or(|authority| self.is_own(authority.as_str()))
    }
}

/// Lets a request in, or says why not.
pub(super) async fn enter(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if !door.is_for_us(&request) {
        let sentence = "This name is not ours. Open http://localhost with the port of [review] listen, or add the name \
                        to [review] names.";
        return sorry(StatusCode::MISDIRECTED_REQUEST, "Wrong name", sentence);
    }
    if request.uri().path() == STYLE {
        return next.run(request).await;
    }
    let Some(login) = request.headers().get(header::AUTHORIZATION).and_then(login) else { return ask() };
    match door.passwords.check(login).await {
        Checked::Right => next.run(request).await,
        Checked::Wrong => {
            tokio::time::sleep(WRONG_PAUSE).await;
            ask()
        }
        Checked::Busy => {
            sorry(StatusCode::SERVICE_UNAVAILABLE, "Not now", "Too many logins are being checked; try again.")
        }
    }
}

fn ask() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"outguard\", charset=\"UTF-8\"")];
    let page = sorry(StatusCode::UNAUTHORIZED, "Who is it?", "A login of the [review] password file is needed.");
    (challenge, page).into_response()
}

/// Login and password (RFC 7617 2).
fn login(field: &HeaderValue) -> Option<Credentials> {
    let text = field.to_str().ok().filter(|text| text.len() <= LOGIN_BYTES_MAX)?;
    let (scheme, token) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.decode(token.trim()).ok()?);
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let login = std::str::from_utf8(&decoded[..colon]).ok()?.into();
    Some(Credentials { login, password: Zeroizing::new(decoded[colon + 1..].to_vec()) })
}
