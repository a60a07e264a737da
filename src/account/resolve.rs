//! From the facts of a session, an envelope and the top of a header to the account.
//!
//! The sources are asked in the configured order. All but our own AUTH are believed only from trusted clients; of the
//! header only a Received field that is proven to be the MTA's own, and what stands above it.

use super::received::{RECEIVED_BYTES_MAX, Received, Sender};
use super::settings::matches;
use super::{Account, AccountSettings, AccountSource, normal};
use crate::mail::header::{self, Field};
use crate::mail::{Address, ReversePath};

/// How many hops of our own are skipped at most.
const OWN_HOPS_MAX: usize = 8;
/// The longest queue id of an MTA that is kept, in bytes.
const MTA_ID_BYTES_MAX: usize = 128;

/// What the session knows about the client when the content has ended. Absent is what was not said, or said to be
/// unavailable.
#[derive(Debug, Clone, Copy)]
pub struct SessionFacts<'a> {
    /// Whether the client is believed about identity.
    pub trust: Trust,
    /// The client's address without port, or the socket's name.
    pub client: &'a str,
    /// The login of our own AUTH.
    pub login: Option<&'a str>,
    /// The user of the connecting process, for Unix sockets and loopback.
    pub peer: Option<&'a PeerUser>,
    /// `XCLIENT LOGIN=`.
    pub xclient_login: Option<&'a str>,
    /// `MAIL FROM:<…> AUTH=`, decoded; `<>` (nobody) as absent (RFC 4954 5).
    pub mail_auth: Option<&'a str>,
    /// What XFORWARD says of the message.
    pub xforward: Xforward<'a>,
}

/// What a trusted client says in XFORWARD of where it has a message from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Xforward<'a> {
    /// Nothing that helps.
    Silent,
    /// `IDENT=`: the queue id under which its own smtpd took the message.
    Ident(&'a str),
    /// `SOURCE=LOCAL` and no queue id: what Postfix says of mail that no client brought over a network, which is that of
    /// its `sendmail` command and its own reports.
    HandedInLocally,
}

impl<'a> Xforward<'a> {
    fn ident(self) -> Option<&'a str> {
        match self {
            Self::Ident(ident) => Some(ident),
            Self::Silent | Self::HandedInLocally => None,
        }
    }
}

/// Whether a client is believed about identity (design: Trust).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// An MTA of ours.
    Trusted,
    /// It may relay, and speaks for itself alone.
    RelayOnly,
}

/// The user of a local process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUser {
    /// Its number.
    pub uid: u32,
    /// Its name, where the system knows one.
    pub name: Option<String>,
}

impl PeerUser {
    fn account(&self) -> Account {
        self.name.as_deref().map_or_else(|| Account::of_user(&self.uid.to_string()), Account::of_user)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Whom the message counts against.
    pub account: Account,
    /// How that is known.
    pub source: AccountSource,
    /// The client MTA's own queue id, for tracing. From a trusted client only.
    pub mta_id: Option<String>,
}

/// Finds the account. `content` is the message as received, of which only the top of the header is read; `user_name`
/// names a local user by number.
pub fn resolve(
    settings: &AccountSettings,
    session: &SessionFacts<'_>,
    reverse_path: &ReversePath,
    content: &[u8],
    user_name: &dyn Fn(u32) -> Option<String>,
) -> Resolved {
    if session.trust == Trust::RelayOnly {
        return own_word(settings, session);
    }
    let top = Top::read(settings, session.xforward, content);
    let mta_id = session.xforward.ident().map(str::to_owned).or_else(|| top.id.clone()).and_then(bounded_id);
    for &source in &settings.sources {
        let account = match source {
            AccountSource::Login => session.login.and_then(|name| proven(settings, name)),
            AccountSource::Xclient => session.xclient_login.and_then(|name| proven(settings, name)),
            AccountSource::MailAuth => session.mail_auth.and_then(|name| told_login(settings, &top, name)),
            AccountSource::Received => match &top.sender {
                Some(Sender::Login(name)) => proven(settings, name),
                Some(Sender::Uid(_) | Sender::User(_)) | None => None,
            },
            AccountSource::LocalUser => match &top.sender {
                Some(Sender::User(name)) => Some(Account::of_user(name)),
                Some(Sender::Uid(uid)) => Some(PeerUser { uid: *uid, name: user_name(*uid) }.account()),
                Some(Sender::Login(_)) | None => None,
            },
            AccountSource::HeaderField => top.named_field.as_deref().and_then(|name| proven(settings, name)),
            AccountSource::ReversePath => reverse_path.address().map(|address| claimed(settings, address)),
            // What is left when nothing else is known, whatever the order.
            AccountSource::NullReversePath | AccountSource::Client | AccountSource::Own => None,
        };
        if let Some(account) = account {
            return Resolved { account, source, mta_id };
        }
    }
    let (account, source) = match reverse_path {
        ReversePath::Null => (Account::mailer_daemon(session.client), AccountSource::NullReversePath),
        ReversePath::Address(_) => (Account::of_client(session.client), AccountSource::Client),
    };
    Resolved { account, source, mta_id }
}

/// A client that is not believed about others: its login, its uid, or itself. A login in XCLIENT was told by the trusted
/// client that speaks for this one, before trust was judged anew.
fn own_word(settings: &AccountSettings, session: &SessionFacts<'_>) -> Resolved {
    let login = session.login.and_then(|name| proven(settings, name));
    let xclient = session.xclient_login.and_then(|name| proven(settings, name));
    let (account, source) = match (login, xclient, session.peer) {
        (Some(account), ..) => (account, AccountSource::Login),
        (None, Some(account), _) => (account, AccountSource::Xclient),
        (None, None, Some(peer)) => (peer.account(), AccountSource::LocalUser),
        (None, None, None) => (Account::of_client(session.client), AccountSource::Client),
    };
    Resolved { account, source, mta_id: None }
}

fn proven(settings: &AccountSettings, name: &str) -> Option<Account> {
    normal::identity(name, settings.local_part).map(|name| Account::named(&name))
}

/// The login that `AUTH=` tells. Exim writes there whom it knows, be it a mail client's login or the local user that ran it:
/// a word without domain that the topmost Received field calls a local user is that user's account, and not the account of
/// a login of the same name.
fn told_login(settings: &AccountSettings, top: &Top, name: &str) -> Option<Account> {
    match &top.local_user {
        Some(user) if user == name => Some(Account::of_user(user)),
        Some(_) | None => proven(settings, name),
    }
}

/// The account of a reverse-path that nothing better is known for.
pub fn claimed(settings: &AccountSettings, address: &Address) -> Account {
    Account::named(&normal::reverse_path(address, settings.local_part))
}

fn bounded_id(id: String) -> Option<String> {
    (!id.is_empty() && id.len() <= MTA_ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_graphic())).then_some(id)
}

/// What the top of the header says that can be believed.
#[derive(Debug, Default)]
struct Top {
    /// The queue id of the topmost Received field, believed or not: it is used for tracing alone.
    id: Option<String>,
    /// The local user that the topmost Received field names, believed or not: it says of what kind a name is that is known
    /// from elsewhere.
    local_user: Option<String>,
    /// Whom the MTA's own Received field names.
    sender: Option<Sender>,
    /// The value of the field that the operator named.
    named_field: Option<String>,
}

impl Top {
    /// Reads down to the first Received field that is no skipped hop of ours.
    fn read(settings: &AccountSettings, xforward: Xforward<'_>, content: &[u8]) -> Self {
        let ident = xforward.ident();
        let mut top = Self::default();
        let mut named: Vec<Field<'_>> = Vec::new();
        let mut hops = 0_usize;
        let mut ident_seen = false;
        for field in header::fields(content) {
            if !field.is("Received") {
                if settings.header_fields.iter().any(|name| field.is(name)) {
                    named.push(field);
                }
                continue;
            }
            let text = field.text(RECEIVED_BYTES_MAX);
            let received = Received::parse(&text);
            if hops == 0 {
                top.id.clone_from(&received.id);
                if let Some(Sender::User(name)) = &received.sender {
                    top.local_user = Some(name.clone());
                }
            }
            let by_us =
                received.by.as_deref().is_some_and(|by| settings.own_names.iter().any(|own| same_host(own, by)));
            ident_seen |= ident.is_some() && received.id.as_deref() == ident;
            // A field that names somebody is where the message came in, whatever the pattern says.
            let skipped = received.sender.is_none() && settings.own_hops.iter().any(|hop| matches(hop, &text));
            if skipped && hops < OWN_HOPS_MAX {
                hops += 1;
                continue;
            }
            let anchor = Anchor { ident_seen, by_us, skipped_hops: hops };
            if is_believed(settings, xforward, anchor, received.sender.as_ref()) {
                top.sender = received.sender;
                top.named_field = first_named(settings, &named);
            }
            break;
        }
        top
    }
}

/// What speaks for a Received field being the MTA's own.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    /// Its queue id, or that of a hop of ours above it, is the one that the MTA told in XFORWARD.
    ident_seen: bool,
    /// Its `by` is a name of ours.
    by_us: bool,
    /// How many hops of ours lie above it.
    skipped_hops: usize,
}

fn is_believed(settings: &AccountSettings, xforward: Xforward<'_>, anchor: Anchor, sender: Option<&Sender>) -> bool {
    let told = settings.received_trusted && anchor.by_us;
    match xforward {
        // Below a skipped hop the queue id is another one, so the name must speak for it too.
        Xforward::Ident(_) => anchor.ident_seen && (anchor.skipped_hops == 0 || anchor.by_us),
        // No client over a network could have brought a field of its own, and who runs `sendmail` finds the MTA's field
        // above his. A login was not at work, so none is believed.
        Xforward::HandedInLocally => told || (anchor.by_us && matches!(sender, Some(Sender::Uid(_) | Sender::User(_)))),
        Xforward::Silent => told,
    }
}

/// The most believed of the named fields; of two with one name the upper.
fn first_named(settings: &AccountSettings, found: &[Field<'_>]) -> Option<String> {
    settings
        .header_fields
        .iter()
        .find_map(|name| found.iter().find(|field| field.is(name)))
        .map(|field| field.text(Account::BYTES_MAX))
}

fn same_host(own: &str, by: &str) -> bool {
    own.trim_end_matches('.').eq_ignore_ascii_case(by.trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
