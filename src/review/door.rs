//! Who may come in by TCP, and what a browser may do with a page.
//!
//! A page asked for under a foreign name is refused, or a page of somebody else's could read ours (DNS rebinding). The
//! password is asked for anew with each page: nothing is remembered that could be stolen.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use zeroize::Zeroizing;

use super::pages::{STYLE, sorry};
use super::settings::ReviewSettings;
use super::tries::{Leave, Tries};
use crate::clock::Clock;
use crate::intake::limits::ClientKey;
use crate::intake::passwords::{Checked, PasswordFileError, Passwords};
use crate::intake::peer;
use crate::intake::settings::AuthSettings;
use crate::mail::Visible;
use crate::smtp::server::Credentials;

/// How much longer the answer to each further wrong password takes.
const WRONG_PAUSE: Duration = if cfg!(test) { Duration::from_millis(10) } else { Duration::from_secs(1) };
/// The longest that one takes.
const WRONG_PAUSE_MAX: Duration = Duration::from_secs(5);
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
pub struct Door {
    keys: Mutex<Arc<Keys>>,
    tries: Tries,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("keys", &self.keys()).finish_non_exhaustive()
    }
}

/// What a reload of the configuration reads anew.
#[derive(Debug)]
pub struct Keys {
    passwords: Passwords,
    names: Vec<String>,
}

impl Keys {
    /// Reads the password file.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn read(settings: &ReviewSettings) -> Result<Self, PasswordFileError> {
        let passwords = Passwords::load(&AuthSettings::with_file(settings.password_file.clone()))?;
        Ok(Self { passwords, names: settings.names.iter().map(|name| name.to_ascii_lowercase()).collect() })
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

impl Door {
    /// With these keys.
    pub fn new(keys: Keys, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { keys: Mutex::new(Arc::new(keys)), tries: Tries::default(), clock })
    }

    /// With other keys from now on.
    pub fn take_over(&self, keys: Keys) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A wrong password: one line in the log, and the longer the more there were.
    async fn refuse(&self, visitor: &Visitor, login: &str, nth: u32) {
        let client = visitor.label.as_str();
        tracing::warn!(event = "review.password-wrong", client, login, nth, "a wrong password at the pages ([review])");
        if Tries::is_last(nth) {
            let advice = "the pages refuse this client for up to ten minutes; if nobody knows of it, somebody guesses";
            tracing::warn!(event = "review.put-off", client, nth, advice, "too many wrong passwords at the pages");
        }
        tokio::time::sleep(WRONG_PAUSE.saturating_mul(nth).min(WRONG_PAUSE_MAX)).await;
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// Whom wrong passwords are counted for.
    key: ClientKey,
    /// For the log.
    label: String,
}

impl Visitor {
    /// All of one machine have one address, so their user is asked for.
    pub(super) fn at(client: SocketAddr, local: SocketAddr) -> Self {
        match peer::tcp_user(client, local).map(peer::user) {
            Some(user) => {
                let name = user.name.unwrap_or_default();
                Self { key: ClientKey::User(user.uid), label: format!("uid:{} {}", user.uid, Visible(&name)) }
            }
            None => Self { key: ClientKey::of(client.ip()), label: client.ip().to_string() },
        }
    }
}

/// Lets a request in, or says why not.
pub(super) async fn enter(
    State(door): State<Arc<Door>>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
    next: Next,
) -> Response {
    let keys = door.keys();
    if !keys.is_for_us(&request) {
        let sentence = "This name is not ours. Open http://localhost with the port of [review] listen, or add the name \
                        to [review] names.";
        return sorry(StatusCode::MISDIRECTED_REQUEST, "Wrong name", sentence);
    }
    if request.uri().path() == STYLE {
        return next.run(request).await;
    }
    let Some(login) = request.headers().get(header::AUTHORIZATION).and_then(login) else { return ask() };
    let nth = match door.tries.begin(visitor.key, door.clock.now().boot) {
        Leave::Try(nth) => nth,
        Leave::PutOff(left) => return put_off(left),
    };
    // What nobody is called may be a password in the wrong field.
    let name = if keys.passwords.knows(&login.login) { login.login.to_string() } else { "unknown".to_owned() };
    match keys.passwords.check(login).await {
        Checked::Right => {
            door.tries.take_back(visitor.key);
            next.run(request).await
        }
        Checked::Wrong => {
            door.refuse(&visitor, &name, nth).await;
            ask()
        }
        Checked::Busy => {
            door.tries.take_back(visitor.key);
            sorry(StatusCode::SERVICE_UNAVAILABLE, "Not now", "Too many logins are being checked; try again.")
        }
    }
}

/// Too many were wrong.
fn put_off(left: Duration) -> Response {
    let seconds = left.as_millis().div_ceil(1_000).max(1);
    let minutes = seconds.div_ceil(60);
    let sentence = format!(
        "Too many wrong passwords from here. Try again in {minutes} min, or ask the control socket: curl --unix-socket \
         /run/outguard/control.sock http://localhost/doctor"
    );
    let page = sorry(StatusCode::TOO_MANY_REQUESTS, "Not now", &sentence);
    ([(header::RETRY_AFTER, seconds.to_string())], page).into_response()
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
