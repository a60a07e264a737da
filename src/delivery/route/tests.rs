//! Which route wins, what a destination means, and which names are none.

use super::*;
use crate::delivery::credentials::Credentials;
use crate::delivery::settings::SmarthostSettings;
use crate::mail::Address;

fn smarthost(name: &str, matches: RouteMatch, credentials: &[u8]) -> RouteSettings {
    let credentials =
        if credentials.is_empty() { Credentials::default() } else { Credentials::parse(credentials).unwrap() };
    let (host, port, tls) = ("smtp.example".to_owned(), 587, TlsMode::Opportunistic);
    let kind = RouteKind::Smarthost(SmarthostSettings { host, port, tls, credentials });
    RouteSettings { name: name.to_owned(), matches, kind, egresses: Vec::new(), concurrency: 10 }
}

fn destination(router: &Router, account: &str, from: &str, to: &str, header: Option<&str>) -> String {
    let reverse_path = ReversePath::parse(from.as_bytes()).unwrap();
    let recipient = Address::parse(to.as_bytes()).unwrap();
    let facts = Facts {
        account: &Account::named(account),
        reverse_path: &reverse_path,
        recipient_domain: recipient.domain(),
        from_domain: header,
    };
    router.destination(facts).to_string()
}

#[test]
fn the_first_route_that_matches_wins() {
    let list = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let settings = DeliverySettings {
        routes: vec![
            smarthost(
                "near",
                RouteMatch { recipient_domains: list(&["example.net", "*.example.net"]), ..RouteMatch::default() },
                b"",
            ),
            smarthost("null", RouteMatch { sender_domains: list(&["<>"]), ..RouteMatch::default() }, b""),
            smarthost(
                "ovh",
                RouteMatch {
                    sender_domains: list(&["example.org"]),
                    accounts: list(&["web", "shop@example.org"]),
                    ..RouteMatch::default()
                },
                b"web web-user pw\n@example.org org pw",
            ),
        ],
        ..DeliverySettings::default()
    };
    let router = Router::new(&settings, "host.example").unwrap();
    let cases = [
        ("web", "a@example.org", "b@sub.EXAMPLE.net", None, "near"), // recipient's domain, and below it
        ("web", "a@example.org", "b@badexample.net", None, "ovh login=web-user"), // not a label of it
        ("web", "", "b@example.com", None, "null"),
        ("Web", "a@example.org", "b@example.com", None, "ovh login=web-user"),
        ("shop@example.org", "a@example.org", "b@example.com", None, "ovh login=org"), // by the reverse-path's domain
        ("shop@example.org", "a@example.org", "b@example.com", Some("example.com"), "ovh login-missing"),
        ("other", "a@example.org", "b@example.com", None, "default to=example.com"), // both lists must match
        ("other", "a@x.example", "b@[192.0.2.1]", None, "default to=[192.0.2.1]"),
    ];
    for (account, from, to, header, expected) in cases {
        assert_eq!(destination(&router, account, from, to, header), expected, "{account} {from} {to} {header:?}");
    }
}

#[test]
fn a_plan_is_made_anew_and_what_is_gone_waits() {
    let with = |credentials: &[u8]| {
        let routes = vec![smarthost("ovh", RouteMatch::default(), credentials)];
        Router::new(&DeliverySettings { routes, ..DeliverySettings::default() }, "host.example").unwrap()
    };
    let plan = |router: &Router, name: &str| router.plan(&Destination(name.into()));
    let router = with(b"* u@example.org pw");
    let found = plan(&router, "ovh login=u@example.org").unwrap();
    assert_eq!(found.login.unwrap().user, "u@example.org");
    assert_eq!(found.tls, TlsMode::Required, "a password never goes to whoever answers");
    assert_eq!(&*found.egresses[0].ehlo, "host.example");
    let route = || "ovh".to_owned();
    let cases = [
        ("ovh login=gone", NoPlan::LoginGone { route: route(), login: "gone".to_owned() }),
        ("ovh login-missing", NoPlan::NoLoginFits { route: route() }),
        ("ovh", NoPlan::NoLoginFits { route: route() }), // credentials came with a reload
        ("old to=example.org", NoPlan::RouteGone { route: "old".to_owned() }),
        ("default", NoPlan::RouteGone { route: "default".to_owned() }), // a name that we did not make
    ];
    for (name, expected) in cases {
        assert_eq!(plan(&router, name).unwrap_err(), expected, "{name}");
    }
    let open = plan(&with(b""), "ovh").unwrap();
    assert_eq!((open.login, open.tls), (None, TlsMode::Opportunistic));
    let direct = plan(&router, "default to=[IPv6:2001:db8::1]").unwrap();
    assert_eq!(direct.target, Target::Mx { domain: Domain::Literal("2001:db8::1".parse().unwrap()), port: 25 });
}

#[test]
fn the_outline_tells_who_logs_in_and_no_password() {
    let outline = |credentials: &[u8]| {
        let routes = vec![smarthost("ovh", RouteMatch::default(), credentials)];
        Router::new(&DeliverySettings { routes, ..DeliverySettings::default() }, "host.example").unwrap().outline()
    };
    let before = outline(b"@a.example box@a.example hush\n* all@a.example hush");
    assert!(before.contains("box@a.example") && !before.contains("hush"), "{before}");
    assert_eq!(before, outline(b"* all@a.example other\n@a.example box@a.example other"), "another password alone");
    let others: [&[u8]; 3] = [
        b"@a.example box@b.example hush\n* all@a.example hush", // the user
        b"@b.example box@a.example hush\n* all@a.example hush", // whose mail
        b"* all@a.example hush",
    ];
    for other in others {
        assert_ne!(before, outline(other), "{}", String::from_utf8_lossy(other));
    }
}

#[test]
fn names_must_be_names() {
    let egress = |name: &str| EgressSettings { name: name.to_owned(), ..EgressSettings::default() };
    let route = |name: &str| smarthost(name, RouteMatch::default(), b"");
    let base = DeliverySettings::default;
    let mut unknown = route("a");
    unknown.egresses = vec!["x".to_owned()];
    let mut dsn = base();
    dsn.dsn.route = Some("x".to_owned());
    let cases = [
        (DeliverySettings { egresses: vec![egress("a"), egress("a")], ..base() }, "egress name \"a\""),
        (DeliverySettings { egresses: vec![egress("a b")], ..base() }, "egress name \"a b\""),
        (DeliverySettings { routes: vec![route("")], ..base() }, "route name \"\""),
        (DeliverySettings { routes: vec![route("default")], ..base() }, "route name \"default\""), // ours
        (DeliverySettings { routes: vec![unknown], ..base() }, "names the egress \"x\""),
        (dsn, "[dsn] route names \"x\""),
    ];
    for (settings, expected) in cases {
        let error = Router::new(&settings, "h").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn mail_that_may_leave_from_some_egresses_alone() {
    let egress = |name: &str| EgressSettings { name: name.to_owned(), ..EgressSettings::default() };
    let settings = |names: &[&str]| DeliverySettings {
        egresses: names.iter().map(|name| egress(name)).collect(),
        ..DeliverySettings::default()
    };
    let router = Router::new(&settings(&["one", "two", "three"]), "mail.example.com").unwrap();
    let anywhere = Destination("default to=example.org".into());
    let names = |router: &Router, destination: &Destination| {
        let plan = router.plan(destination)?;
        Ok::<_, NoPlan>(plan.egresses.iter().map(|egress| egress.name.to_string()).collect::<Vec<_>>())
    };
    let some = Router::restricted(&anywhere, &["three".into(), "one".into()]);
    assert_eq!(names(&router, &some).unwrap(), ["one", "three"]);
    assert_eq!(router.plan(&some).unwrap().target.to_string(), "example.org");
    let two = Router::restricted(&some, &["two".into()]);
    assert_eq!(names(&router, &two).unwrap(), ["two"], "the last word counts");
    assert_eq!(names(&router, &Router::restricted(&two, &[])).unwrap().len(), 3);

    // A reload keeps what was found when it was judged; where no such egress is left the mail is filed as if nothing was,
    // for it is judged anew at its turn.
    let account = Account::named("a");
    let waiting = RouteFacts {
        account: &account,
        reverse_path: "a@example.com",
        recipient: "b@example.org",
        header_from: None,
        destination: &two.0,
        is_report: false,
    };
    assert_eq!(router.refile(&waiting), two);
    let fewer = Router::new(&settings(&["one"]), "mail.example.com").unwrap();
    assert!(fewer.has_lost_its_egresses(&two) && !router.has_lost_its_egresses(&two));
    let gone = fewer.plan(&two).unwrap_err();
    assert!(matches!(&gone, NoPlan::EgressGone { egresses, .. } if egresses == "two"), "{gone}");
    assert_eq!(fewer.refile(&waiting), anywhere);
}
