//! One generation of settings, with what was read from the files they name. A session keeps the one it began with.

use std::fmt;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::ServerConfig;

use super::listener::BindError;
use super::passwords::{PasswordFileError, Passwords};
use super::settings::{IntakeSettings, ListenTls};
use super::tls::{self, TlsError};
use super::trust::{AuthMeans, TrustRules};
use crate::account::AccountSettings;
use crate::mail::Domain;
use crate::smtp::server::ServerSettings;

/// Settings that can be used.
pub(super) struct Live {
    pub settings: IntakeSettings,
    pub accounts: AccountSettings,
    pub smtp: Arc<ServerSettings>,
    pub trust: TrustRules,
    pub tls: Option<Arc<ServerConfig>>,
    pub passwords: Option<Arc<Passwords>>,
}

/// Why settings cannot be used.
#[derive(Debug)]
pub enum SettingsError {
    /// Certificate or key.
    Tls(TlsError),
    /// The password file.
    Passwords(PasswordFileError),
    /// A listener with TLS from the first byte, and no certificate.
    ImplicitWithoutTls,
    /// A listener that is new cannot be opened.
    Bind(BindError),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Passwords(error) => error.fmt(f),
            Self::ImplicitWithoutTls => f.write_str(
                "a listener has tls = \"implicit\", but no certificate is configured; set [tls] certificate and key",
            ),
            Self::Bind(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SettingsError {}

impl Live {
    /// Reads the files.
    pub(super) fn new(settings: IntakeSettings, mut accounts: AccountSettings) -> Result<Self, SettingsError> {
        let tls = settings.tls.as_ref().map(tls::server_config).transpose().map_err(SettingsError::Tls)?;
        if tls.is_none() && settings.listen.iter().any(|listen| listen.tls == ListenTls::Implicit) {
            return Err(SettingsError::ImplicitWithoutTls);
        }
        let passwords = settings.auth.as_ref().map(Passwords::load).transpose().map_err(SettingsError::Passwords)?;
        let limits = &settings.limits;
        let own_name = own_name(&settings);
        accounts.own_names.extend([machine_name(), own_name.clone()].into_iter().filter(|name| !name.is_empty()));
        let smtp = Arc::new(ServerSettings {
            own_name: own_name.into(),
            line_bytes_max: limits.line_bytes_max,
            recipients_max: limits.recipients_max,
            message_bytes_max: limits.message_bytes_max,
            commands_max: limits.commands_max,
            errors_max: limits.errors_max,
            strays: settings.strays,
        });
        let trust = TrustRules::new(&settings.trust);
        Ok(Self { smtp, trust, tls, passwords: passwords.map(Arc::new), settings, accounts })
    }

    /// How passwords can be checked on a listener.
    pub(super) fn auth_means(&self, listener: ListenTls) -> AuthMeans {
        match (&self.passwords, &self.tls, listener) {
            (None, ..) => AuthMeans::None,
            (Some(_), Some(_), ListenTls::StartTls | ListenTls::Implicit) => AuthMeans::Tls,
            (Some(_), ..) => AuthMeans::Plaintext,
        }
    }
}

/// Our name: as configured, else the machine's, its full one if it calls itself by a word without a dot; never empty.
pub fn own_name(settings: &IntakeSettings) -> String {
    // Asked for once: what the resolver says may take its time.
    static FULL: OnceLock<Option<String>> = OnceLock::new();
    name_of(&settings.own_name, machine_name(), || FULL.get_or_init(full_name).clone())
}

fn name_of(configured: &str, machine: String, full: impl FnOnce() -> Option<String>) -> String {
    match (configured, machine.as_str()) {
        ("", "") => "localhost".to_owned(),
        ("", bare) if !bare.contains('.') => full().unwrap_or(machine),
        ("", _) => machine,
        (name, _) => name.to_owned(),
    }
}

/// The machine's canonical name (`AI_CANONNAME` of `getaddrinfo`), as `hostname --fqdn` tells it; `None` where it tells none
/// with a dot in time.
fn full_name() -> Option<String> {
    let mut asked = Command::new("hostname")
        .arg("--fqdn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    for _ in 0..FULL_NAME_LOOKS {
        match asked.try_wait().ok()? {
            Some(status) if status.success() => {
                let mut said = String::new();
                asked.stdout.take()?.take(FULL_NAME_BYTES_MAX).read_to_string(&mut said).ok()?;
                let name = said.trim().trim_end_matches('.');
                let is_full = name.contains('.') && !name.starts_with("localhost.");
                return Domain::parse(name).ok().filter(|_| is_full).map(|_| name.to_owned());
            }
            Some(_) => return None,
            None => std::thread::sleep(FULL_NAME_LOOK_EVERY),
        }
    }
    let _ = asked.kill(); // it waits for DNS
    let _ = asked.wait();
    None
}

/// How often it is looked whether the name is there: 2 s in all.
const FULL_NAME_LOOKS: u32 = 100;
const FULL_NAME_LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest name that is read, in bytes.
const FULL_NAME_BYTES_MAX: u64 = 300;

/// The machine's name for itself; empty where it has none.
pub fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_dot_where_there_is_one() {
        let cases = [
            // configured, the machine's own, its full one: the name
            ("mail.example.com", "web1", Some("web1.example.com"), "mail.example.com"),
            ("", "web1.example.com", None, "web1.example.com"),
            ("", "web1", Some("web1.example.com"), "web1.example.com"),
            ("", "web1", None, "web1"), // EHLO has an address literal then
            ("", "", Some("web1.example.com"), "localhost"),
        ];
        for (configured, machine, full, expected) in cases {
            let got = name_of(configured, machine.to_owned(), || full.map(str::to_owned));
            assert_eq!(got, expected, "{configured:?} {machine:?} {full:?}");
        }
        assert!(full_name().is_none_or(|name| name.contains('.')));
    }
}
