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
mod tests {
    use super::*;

    const TRUSTED: SessionFacts<'static> = SessionFacts {
        trust: Trust::Trusted,
        client: "127.0.0.1",
        login: None,
        peer: None,
        xclient_login: None,
        mail_auth: None,
        xforward: Xforward::Silent,
    };

    const AUTHENTICATED: &str = "Received: from pc (pc.example.net [192.0.2.7])\r\n\t(Authenticated sender: Alice@Example.org)\r\n\
        \tby mail.example.org (Postfix) with ESMTPSA id 4XvK2n\r\n\tfor <b@c.example>; Sat, 21 Nov 2026 10:00:00 +0100 (CET)\r\n";
    const PICKUP: &str =
        "Received: by mail.example.org (Postfix, from userid 33)\r\n\tid 9F3A21; Sat, 21 Nov 2026 10:00:00 +0100\r\n";
    const AMAVIS: &str = "Received: from mail.example.org ([127.0.0.1])\r\n\tby localhost (mail.example.org [127.0.0.1]) (amavis, port 10024)\r\n\
        \twith ESMTP id XYZ; Sat\r\nReceived: from localhost (localhost [127.0.0.1])\r\n\tby mail.example.org (Postfix) with ESMTP id 7777; Sat\r\n";

    fn settings() -> AccountSettings {
        AccountSettings {
            own_names: ["mail.example.org", "qmail", "nullmailer"].map(str::to_owned).to_vec(),
            ..AccountSettings::default()
        }
    }

    fn ask(
        settings: &AccountSettings,
        session: &SessionFacts<'_>,
        from: &str,
        header: &str,
    ) -> (String, AccountSource) {
        let reverse_path = ReversePath::parse(from.as_bytes()).unwrap();
        let content = format!("{header}From: x@y.example\r\n\r\nbody\r\n");
        let names = |uid: u32| (uid == 33).then(|| "www-data".to_owned());
        let found = resolve(settings, session, &reverse_path, content.as_bytes(), &names);
        (found.account.as_str().to_owned(), found.source)
    }

    #[test]
    fn the_order_of_belief() {
        let ident = SessionFacts { xforward: Xforward::Ident("4XvK2n"), ..TRUSTED };
        let from = "bounce@example.org";
        let full =
            SessionFacts { login: Some("L"), xclient_login: Some("X"), mail_auth: Some("M@example.org"), ..ident };
        let www = PeerUser { uid: 33, name: Some("www-data".into()) };
        let cases = [
            (full, from, AUTHENTICATED, "l", AccountSource::Login),
            (SessionFacts { login: None, ..full }, from, AUTHENTICATED, "x", AccountSource::Xclient),
            (
                SessionFacts { login: None, xclient_login: None, ..full },
                from,
                AUTHENTICATED,
                "m@example.org",
                AccountSource::MailAuth,
            ),
            (ident, from, AUTHENTICATED, "alice@example.org", AccountSource::Received),
            (
                SessionFacts { xforward: Xforward::Ident("9F3A21"), ..TRUSTED },
                from,
                PICKUP,
                "uid:www-data",
                AccountSource::LocalUser,
            ),
            // a queue id that is not XFORWARD's: a field that the sender brought
            (
                SessionFacts { xforward: Xforward::Ident("OTHER"), ..TRUSTED },
                from,
                AUTHENTICATED,
                from,
                AccountSource::ReversePath,
            ),
            // without XFORWARD the field needs `received_trusted`
            (TRUSTED, from, AUTHENTICATED, from, AccountSource::ReversePath),
            (ident, "", "", "mailer-daemon:127.0.0.1", AccountSource::NullReversePath),
            (ident, "", AUTHENTICATED, "alice@example.org", AccountSource::Received), // a null path hides nobody
            // clients that are believed about nobody else
            (SessionFacts { trust: Trust::RelayOnly, ..full }, from, AUTHENTICATED, "l", AccountSource::Login),
            (
                SessionFacts { trust: Trust::RelayOnly, peer: Some(&www), ..ident },
                from,
                AUTHENTICATED,
                "uid:www-data",
                AccountSource::LocalUser,
            ),
            // judged anew after XCLIENT: the login was told by the trusted client that speaks for this one
            (
                SessionFacts { trust: Trust::RelayOnly, login: None, ..full },
                from,
                AUTHENTICATED,
                "x",
                AccountSource::Xclient,
            ),
            (
                SessionFacts { trust: Trust::RelayOnly, ..ident },
                from,
                AUTHENTICATED,
                "client:127.0.0.1",
                AccountSource::Client,
            ),
            (SessionFacts { peer: Some(&www), ..TRUSTED }, from, "", from, AccountSource::ReversePath), // the MTA's own uid
        ];
        for (session, from, header, account, source) in cases {
            let expected = (account.to_owned(), source);
            assert_eq!(ask(&settings(), &session, from, header), expected, "{session:?} {from:?} {header}");
        }
    }

    #[test]
    fn received_without_xforward() {
        let trusting = AccountSettings { received_trusted: true, ..settings() };
        let from = "a@b.example";
        let by_other = AUTHENTICATED.replace("by mail.example.org", "by mail.evil.example");
        let below = format!(
            "Received: from x (x [192.0.2.9]) by mail.example.org (Postfix) with ESMTP id Q; Sat\r\n{AUTHENTICATED}"
        );
        let qmail = "Received: (qmail 77 invoked by uid 33); 21 Nov 2026 09:00:00 -0000\r\n";
        let nullmailer = "Received: (nullmailer pid 4242 invoked by uid 33);\r\n\tSat, 21 Nov 2026 10:00:00 -0000\r\n";
        let qmail_smtpd = "Received: (qmail 77 invoked from network); 21 Nov 2026 09:00:00 -0000\r\n\
            Received: from unknown (HELO pc) (alice@192.0.2.7) by mail.example.org with ESMTPA; 21 Nov 2026\r\n";
        let cases = [
            (AUTHENTICATED, "alice@example.org", AccountSource::Received),
            (by_other.as_str(), from, AccountSource::ReversePath),
            (below.as_str(), from, AccountSource::ReversePath), // a claim below the MTA's own field
            (qmail, "uid:www-data", AccountSource::LocalUser),
            (nullmailer, "uid:www-data", AccountSource::LocalUser),
            (qmail_smtpd, "alice", AccountSource::Received), // qmail-queue's field lies on top of qmail-smtpd's
        ];
        for (header, account, source) in cases {
            assert_eq!(ask(&trusting, &TRUSTED, from, header), (account.to_owned(), source), "{header}");
        }
    }

    #[test]
    fn the_sendmail_command_of_postfix() {
        let local = SessionFacts { xforward: Xforward::HandedInLocally, ..TRUSTED };
        let from = "script@example.org";
        let login = (from, AccountSource::ReversePath);
        let www = ("uid:www-data", AccountSource::LocalUser);
        // as Postfix 3.7 writes them
        let other = PICKUP.replace("mail.example.org", "mail.evil.example");
        let bounce =
            "Received: by mail.example.org (Postfix)\r\n\tid 9F3A21; Sat, 21 Nov 2026 10:00:00 +0100 (CET)\r\n";
        let cases = [
            (local, PICKUP.to_owned(), www),
            (TRUSTED, PICKUP.to_owned(), login), // nothing says that it was not a client's
            (
                SessionFacts { trust: Trust::RelayOnly, ..local },
                PICKUP.to_owned(),
                ("client:127.0.0.1", AccountSource::Client),
            ),
            (local, other, login),
            (local, format!("{bounce}{PICKUP}"), login), // a claim below the MTA's own field
            (local, AUTHENTICATED.to_owned(), login),    // the script's own: nobody logs in at `sendmail`
        ];
        for (session, header, (account, source)) in cases {
            assert_eq!(ask(&settings(), &session, from, &header), (account.to_owned(), source), "{session:?} {header}");
        }
    }

    #[test]
    fn exims_word_for_a_login_and_for_a_local_user() {
        let told = |name| SessionFacts { mail_auth: Some(name), ..TRUSTED };
        let local = "Received: from root by client.example with local (Exim 4.96)\r\n\t(envelope-from <alice@example.com>)\r\n\
            \tid 1tDxyz-0004Ab-1C\r\n\tfor bob@example.net;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n";
        let remote = "Received: from [192.0.2.7] (helo=pc.example.net)\r\n\tby client.example with esmtpsa (TLS1.3) tls \
            TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.96)\r\n\t(envelope-from <alice@example.com>)\r\n\tid 1tDxyz-0004Ab-1C\r\n\
            \tfor bob@example.net;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n";
        let cases = [
            ("root", local, "uid:root"),
            ("root", remote, "root"), // a login of that name is no local user
            ("alice", local, "alice"),
            ("alice@example.com", local, "alice@example.com"),
        ];
        for (name, header, account) in cases {
            let expected = (account.to_owned(), AccountSource::MailAuth);
            assert_eq!(ask(&settings(), &told(name), "alice@example.com", header), expected, "{name} {header}");
        }
    }

    #[test]
    fn hops_of_our_own_are_skipped() {
        let patterns = ["from localhost (localhost [[]127.0.0.1]) by mail.example.org (Postfix)*", "from * (amavis*"];
        let skipping =
            AccountSettings { own_hops: vec![patterns[0].replace("[[]", "["), patterns[1].to_owned()], ..settings() };
        let ident = SessionFacts { xforward: Xforward::Ident("7777"), ..TRUSTED };
        // Fields are added on top: the re-injecting hop first, the filter's below it, the submission at the bottom.
        let lines: Vec<&str> = AMAVIS.split_inclusive("Sat\r\n").collect();
        let through_filter = format!("{}{}{AUTHENTICATED}", lines[1], lines[0]);
        let foreign = through_filter
            .replace("by mail.example.org (Postfix) with ESMTPSA", "by mail.evil.example (Postfix) with ESMTPSA");
        let everything = AccountSettings { own_hops: vec!["*".into()], ..settings() };
        let from = "a@b.example";
        let cases = [
            (&skipping, through_filter.as_str(), "alice@example.org", AccountSource::Received),
            (&settings(), through_filter.as_str(), from, AccountSource::ReversePath), // not told to skip
            (&skipping, foreign.as_str(), from, AccountSource::ReversePath), // below a skip the name must be ours
            // a pattern that is too wide does not reach below the field that names somebody
            (&everything, through_filter.as_str(), "alice@example.org", AccountSource::Received),
        ];
        for (settings, header, account, source) in cases {
            assert_eq!(ask(settings, &ident, from, header), (account.to_owned(), source), "{header}");
        }
    }

    #[test]
    fn named_fields_count_above_the_mtas_own_field_only() {
        let panel = AccountSettings {
            header_fields: vec!["X-Authenticated-Id".into(), "X-Script".into()],
            received_trusted: true,
            ..settings()
        };
        let exim = "Received: from [192.0.2.7] (helo=pc) by mail.example.org with esmtpsa (Exim 4.96) (envelope-from <a@b.example>) id 1t-1-1; Sat\r\n";
        let from = "a@b.example";
        let cases = [
            (format!("X-Authenticated-Id: Shop\r\n{exim}"), "shop", AccountSource::HeaderField),
            (format!("X-Script: s\r\nX-Authenticated-Id: Shop\r\n{exim}"), "shop", AccountSource::HeaderField), // order is belief
            (format!("{exim}X-Authenticated-Id: victim\r\n"), from, AccountSource::ReversePath), // the sender's
            ("X-Authenticated-Id: victim\r\n".to_owned(), from, AccountSource::ReversePath), // no field to stand above
        ];
        for (header, account, source) in cases {
            assert_eq!(ask(&panel, &TRUSTED, from, &header), (account.to_owned(), source), "{header}");
        }
    }

    #[test]
    fn the_mtas_queue_id() {
        let reverse_path = ReversePath::parse(b"a@b.example").unwrap();
        let id = |session: &SessionFacts<'_>, header: &str| {
            resolve(&settings(), session, &reverse_path, header.as_bytes(), &|_| None).mta_id
        };
        assert_eq!(id(&TRUSTED, AUTHENTICATED).as_deref(), Some("4XvK2n"), "from its Received field");
        assert_eq!(
            id(&SessionFacts { xforward: Xforward::Ident("IDENT"), ..TRUSTED }, AUTHENTICATED).as_deref(),
            Some("IDENT")
        );
        assert_eq!(id(&SessionFacts { trust: Trust::RelayOnly, ..TRUSTED }, AUTHENTICATED), None);
        assert_eq!(id(&TRUSTED, ""), None);
    }

    #[test]
    fn sources_can_be_left_out() {
        let by_login_alone = AccountSettings { sources: vec![AccountSource::Login], ..settings() };
        let expected = ("client:127.0.0.1".to_owned(), AccountSource::Client);
        assert_eq!(ask(&by_login_alone, &TRUSTED, "a@b.example", ""), expected);
    }
}
