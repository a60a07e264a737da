//! The client of a session, as far as it is known: where it is, which user, and for whom a trusted one speaks.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::limits::ClientKey;
use super::peer;
use super::trust::{AuthMeans, TrustRules, Whereabouts};
use crate::account::{self, Account, AccountSettings, AccountSource, PeerUser, Resolved, SessionFacts, Xforward};
use crate::mail::ReversePath;
use crate::smtp::command::{Attribute, ForwardAttributes, MailAuth, XclientAttributes};
use crate::smtp::server::{Access, ClientRights, Session, Transaction, Trust};

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// For log and history: the address, or the socket.
    pub label: String,
    /// Where it is.
    pub place: Whereabouts,
    /// Whom its connections and failures are counted for.
    pub key: ClientKey,
    /// What it may do.
    pub rights: ClientRights,
    /// The user of the connecting process.
    user: Option<PeerUser>,
    /// `XCLIENT LOGIN=` of a trusted client.
    xclient_login: Option<Box<str>>,
}

impl Client {
    /// A client over TCP. For one on this machine its user is looked up; `None` is what the kernel did not tell.
    pub(super) fn at(client: SocketAddr, local: SocketAddr, rules: &TrustRules, means: AuthMeans) -> Self {
        let ip = client.ip().to_canonical();
        let uid = if rules.asks_for_user(ip) { peer::tcp_user(client, local) } else { None };
        let place = Whereabouts::Address { ip, uid };
        let key = uid.map_or(ClientKey::of(ip), ClientKey::User);
        Self::new(ip.to_string(), place, key, uid, rules.judge(place, means))
    }

    /// A client over a Unix socket.
    pub(super) fn on_socket(path: &Path, uid: u32, rules: &TrustRules, means: AuthMeans) -> Self {
        let place = Whereabouts::Unix { uid };
        Self::new(format!("unix:{}", path.display()), place, ClientKey::User(uid), Some(uid), rules.judge(place, means))
    }

    fn new(label: String, place: Whereabouts, key: ClientKey, uid: Option<u32>, rights: ClientRights) -> Self {
        Self { label, place, key, rights, user: uid.map(peer::user), xclient_login: None }
    }

    /// XCLIENT: from here on the client is the one that is spoken for. An address is judged anew; a login that a trusted
    /// client tells has been checked by it.
    pub(super) fn speak_for(&mut self, told: &XclientAttributes, rules: &TrustRules, means: AuthMeans) {
        if let Attribute::Given(ip) = told.addr {
            self.place = Whereabouts::Named { ip };
            self.label = ip.to_canonical().to_string();
            self.key = ClientKey::of(ip);
            self.user = None;
            self.xclient_login = None;
            self.rights = rules.judge(self.place, means);
        }
        match &told.login {
            Attribute::Given(login) => {
                self.xclient_login = Some(login.clone());
                self.rights.access = Access::Relay;
            }
            Attribute::Unavailable => self.xclient_login = None,
            Attribute::Absent => {}
        }
    }

    /// Whether this is a process on this machine whose user the kernel did not tell.
    pub(super) fn is_unknown_local(&self) -> bool {
        matches!(self.place, Whereabouts::Address { ip, uid: None } if ip.is_loopback())
            && self.rights.trust == Trust::Plain
    }

    /// Its address, for the trace.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self.place {
            Whereabouts::Address { ip, .. } | Whereabouts::Named { ip } => Some(ip),
            Whereabouts::Unix { .. } => None,
        }
    }

    /// Where the one who wrote the message is: what a trusted client says of its own client, else the client itself.
    pub(super) fn origin(&self, transaction: &Transaction) -> Option<IpAddr> {
        match transaction.forward.addr {
            Attribute::Given(ip) if self.rights.trust == Trust::Trusted => Some(ip.to_canonical()),
            _ => self.ip(),
        }
    }

    /// Whose the message is, by all that is known at its end.
    pub(super) fn resolve(
        &self,
        settings: &AccountSettings,
        session: &Session,
        transaction: &Transaction,
        head: &[u8],
    ) -> Resolved {
        let facts = self.facts(session, transaction);
        account::resolve(settings, &facts, &transaction.envelope.reverse_path, head, &peer::user_name)
    }

    /// Whose it will be, where that is known before its content: what else is claimed may yet be overruled by the header.
    pub(super) fn known_account(
        &self,
        settings: &AccountSettings,
        session: &Session,
        transaction: &Transaction,
    ) -> Option<Account> {
        let facts = self.facts(session, transaction);
        let resolved = account::resolve(settings, &facts, &ReversePath::Null, b"", &peer::user_name);
        let early = match resolved.source {
            AccountSource::Login | AccountSource::Xclient | AccountSource::MailAuth | AccountSource::LocalUser => true,
            AccountSource::Client => self.rights.trust == Trust::Plain,
            AccountSource::Received
            | AccountSource::HeaderField
            | AccountSource::ReversePath
            | AccountSource::NullReversePath
            | AccountSource::Own => false,
        };
        early.then_some(resolved.account)
    }

    fn facts<'a>(&'a self, session: &'a Session, transaction: &'a Transaction) -> SessionFacts<'a> {
        SessionFacts {
            trust: match self.rights.trust {
                Trust::Trusted => account::Trust::Trusted,
                Trust::Plain => account::Trust::RelayOnly,
            },
            client: &self.label,
            login: session.login(),
            peer: self.user.as_ref(),
            xclient_login: self.xclient_login.as_deref(),
            mail_auth: match &transaction.mail_auth {
                Some(MailAuth::Login(login)) => Some(login),
                Some(MailAuth::Unknown) | None => None,
            },
            xforward: xforward(&transaction.forward),
        }
    }
}

fn xforward(told: &ForwardAttributes) -> Xforward<'_> {
    match (&told.ident, &told.source) {
        (Attribute::Given(ident), _) => Xforward::Ident(ident),
        (_, Attribute::Given(source)) if source.eq_ignore_ascii_case("LOCAL") => Xforward::HandedInLocally,
        _ => Xforward::Silent,
    }
}
