//! Whose mail it is, from each source and in each order.

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

fn ask(settings: &AccountSettings, session: &SessionFacts<'_>, from: &str, header: &str) -> (String, AccountSource) {
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
    let full = SessionFacts { login: Some("L"), xclient_login: Some("X"), mail_auth: Some("M@example.org"), ..ident };
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
    let bounce = "Received: by mail.example.org (Postfix)\r\n\tid 9F3A21; Sat, 21 Nov 2026 10:00:00 +0100 (CET)\r\n";
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
        (&skipping, foreign.as_str(), from, AccountSource::ReversePath),          // below a skip the name must be ours
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
        ("X-Authenticated-Id: victim\r\n".to_owned(), from, AccountSource::ReversePath),     // no field to stand above
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
