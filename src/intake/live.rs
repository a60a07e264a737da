//! One generation of settings, with what was read from the files they name. A session keeps the one it began with.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;

use super::listener::BindError;
use super::passwords::{PasswordFileError, Passwords};
use super::settings::{IntakeSettings, ListenTls};
use super::tls::{self, TlsError};
use super::trust::{AuthMeans, TrustRules};
use crate::account::AccountSettings;
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

/// Our name: as configured, else the machine's; never empty.
pub fn own_name(settings: &IntakeSettings) -> String {
    if !settings.own_name.is_empty() {
        return settings.own_name.clone();
    }
    let machine = machine_name();
    if machine.is_empty() { "localhost".to_owned() } else { machine }
}

/// The machine's name for itself; empty where it has none.
pub fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
