//! Attempts against next hops over loopback: honest, slow, broken and hostile ones.

use std::io::Write as _;

use super::*;
use crate::delivery::attempt::{AttemptEnd, ContentBegan, Fate, ReportDuty, SignalKind};
use crate::delivery::error::{ConnectFate, LoopSign};
use crate::delivery::mx::{Mx, NoServer};
use crate::delivery::route::Router;
use crate::delivery::script::{Names, World, message, server, smarthost, world};
use crate::delivery::settings::{DeliverySettings, TlsMode};
use crate::store::query::ContentBody;
use crate::store::{Destination, SlotsEnd};

mod encrypted;

const GREETING: &str = "S: 220 mx.example\nC: EHLO us.example\n";
const ENVELOPE: &str = "C: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@x.example>\nC: RCPT TO:<c@x.example>\nC: DATA\n";

async fn hop(address: SocketAddr, world: &World) -> NextHop {
    let plan = smarthost("127.0.0.1", address.port(), TlsMode::None, b"");
    NextHop::connect(&plan, &plan.egresses[0], &world.edges).await.unwrap()
}

/// One message to two recipients at a next hop that plays `script` after a greeting with PIPELINING.
async fn attempt(script: &str) -> AttemptEnd {
    let script = format!("{GREETING}S: 250-mx.example\nS: 250 PIPELINING\n{script}");
    let world = world(|_| ());
    let (address, _task) = server(&[script.leak()], None).await;
    let (lease, message) = message(b"", b"Subject: x\r\n\r\nhi\r\n", &["b@x.example", "c@x.example"]);
    hop(address, &world).await.mail(lease, message).run().await
}

fn fates(end: &AttemptEnd) -> Vec<Fate> {
    end.recipients.iter().map(|recipient| recipient.fate).collect()
}

#[tokio::test]
async fn outcomes_of_each_recipient() {
    use Fate::{Again, Bounced, Deferred, Held};
    let yes = |recipients| ContentBegan::Yes { recipients };
    let ours = Fate::Delivered(ReportDuty::Ours);
    let cases = [
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC*\nS: 250 2.0.0 taken", yes(2), [ours, ours], true),
        ("S: 250 ok\nS: 550 5.1.1 no\nS: 250 ok\nS: 354 go\nC*\nS: 250 taken", yes(1), [Bounced, ours], true),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC*\nS: 451 4.3.0 later", yes(2), [Deferred, Deferred], true),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC*\nS: 554 5.6.0 no", yes(2), [Bounced, Bounced], true),
        ("S: 250 ok\nS: 250 ok\nS: 452 4.5.3 too many\nS: 354 go\nC*\nS: 250 ok", yes(1), [ours, Again], true),
        // Nobody was accepted: no content, the lease goes back whole.
        ("S: 250 ok\nS: 550 no\nS: 450 no\nS: 554 no", ContentBegan::No, [Bounced, Deferred], true),
        ("S: 250 ok\nS: 550 no\nS: 450 no\nS: 354 go\nC: .\nS: 554 no", ContentBegan::No, [Bounced, Deferred], true),
        (
            "S: 550 5.7.1 From header domain does not align with authenticated domain\nS: 503 a\nS: 503 b\nS: 503 c",
            ContentBegan::No,
            [Held, Held],
            true,
        ),
        // 421 in the middle, then nothing: everyone waits, in its words.
        ("S: 250 ok\nS: 421 4.3.2 closing\nX", ContentBegan::No, [Deferred, Deferred], false),
        ("S: 250 ok\nX", ContentBegan::No, [Deferred, Deferred], false),
        // Lost after the content: it may have arrived.
        ("S: 250 ok\nS: 250 ok\nS: 550 no\nS: 354 go\nC*\nX", ContentBegan::Unanswered, [Deferred, Bounced], false),
        (
            "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC*\nS: gibberish",
            ContentBegan::Unanswered,
            [Deferred, Deferred],
            false,
        ),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 and DATA too", ContentBegan::No, [Deferred, Deferred], false),
    ];
    for (script, content, expected, reusable) in cases {
        let end = attempt(&format!("{ENVELOPE}{script}")).await;
        assert_eq!((end.content, fates(&end)), (content, expected.to_vec()), "{script}\n{end:?}");
        assert_eq!(end.connection.is_some(), reusable, "{script}");
    }
}

/// However much is said about it, content that was answered 250 has arrived: tried again, it arrived once more each time.
#[tokio::test]
async fn a_long_answer_counts_once_by_its_code() {
    let taken = [Fate::Delivered(ReportDuty::Ours); 2];
    let (long, lines) = ("x".repeat(3_000), "S: 250-2.0.0 taken\n".repeat(200));
    let endless = |code| format!("S: {code}-{}\n", "x".repeat(2_000)).repeat(200);
    let go = "S: 250 ok\nS: 250 ok\nS: 250 ok\n";
    let cases = [
        (format!("{go}S: 354 go\nC*\nS: 250 2.0.0 {long}"), ContentBegan::Yes { recipients: 2 }, taken, true),
        (format!("{go}S: 354 go\nC*\n{lines}S: 250 2.0.0 taken"), ContentBegan::Yes { recipients: 2 }, taken, true),
        (
            format!("S: 250 {long}\nS: 250 {long}\nS: 250 ok\nS: 354 {long}\nC*\nS: 250 ok"),
            ContentBegan::Yes { recipients: 2 },
            taken,
            true,
        ),
        // No end to it: where the next reply starts is unknown.
        (format!("{go}S: 354 go\nC*\n{}", endless(250)), ContentBegan::Yes { recipients: 2 }, taken, false),
        (
            format!("{go}S: 354 go\nC*\n{}", endless(451)),
            ContentBegan::Yes { recipients: 2 },
            [Fate::Deferred; 2],
            false,
        ),
        // The answer to the content could not be read: it is not sent.
        (format!("{go}{}", endless(354)), ContentBegan::No, [Fate::Deferred; 2], false),
        (format!("S: 250 ok\n{}", endless(550)), ContentBegan::No, [Fate::Bounced, Fate::Deferred], false),
    ];
    for (script, content, expected, reusable) in cases {
        let end = attempt(&format!("{ENVELOPE}{script}")).await;
        let seen = (end.content, fates(&end), end.connection.is_some());
        assert_eq!(seen, (content, expected.to_vec(), reusable), "{}", &script[..script.len().min(100)]);
    }
}

#[tokio::test]
async fn words_and_signals_reach_the_engine() {
    let end = attempt(&format!("{ENVELOPE}S: 555 hourly limit\nS: 503 a\nS: 503 b\nS: 503 c")).await;
    assert_eq!(end.slots(), SlotsEnd::Returned);
    assert_eq!(end.signals.len(), 1, "once, not once a recipient");
    assert_eq!(end.signals[0].kind, SignalKind::LimitFull);
    assert_eq!(end.recipients[0].status, "5.0.0");
    assert_eq!(end.recipients[0].diagnostic.as_deref(), Some("555 hourly limit"));
    assert!(end.recipients[0].words.contains("[127.0.0.1]:") && end.recipients[0].words.contains("reply to MAIL"));
}

#[tokio::test]
async fn bytes_are_kept_and_dots_are_stuffed() {
    let script = format!(
        "{GREETING}S: 250 mx.example\nC: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\n\
         S: 354 go\nC*\nS: 250 ok\nC: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\n\
         S: 354 go\nC*\nS: 250 ok\nC: QUIT\nS: 221 bye\nX"
    );
    let (address, task) = server(&[script.leak()], None).await;
    let world = world(|_| ());
    let body = b"A: \xff\x00\r\n\r\n.\r\n..x\r\nlast\r\n";
    let (lease, first) = message(b".prefix: 1\r\n", body, &["b@x.example"]);
    let end = hop(address, &world).await.mail(lease, first).run().await;
    let mut hop = end.connection.unwrap();
    assert!(hop.is_reusable());
    // The same once more over the same connection, from a file.
    let (lease, mut second) = message(b"", b"", &["b@x.example"]);
    let mut file = tempfile::tempfile().unwrap();
    let long = b"0123456789\r\n.123456789\r\n".repeat(40_000);
    file.write_all(&long).unwrap();
    second.content.size_bytes = long.len() as u64;
    second.content.body = ContentBody::File(std::sync::Arc::new(file));
    let end = hop.mail(lease, second).run().await;
    assert_eq!(fates(&end), [Fate::Delivered(ReportDuty::Ours)]);
    end.connection.unwrap().quit().await;
    let mut expected = b"..prefix: 1\r\nA: \xff\x00\r\n\r\n..\r\n...x\r\nlast\r\n".to_vec();
    expected.extend(b"0123456789\r\n..123456789\r\n".repeat(40_000));
    assert_eq!(task.await.unwrap().content, expected);
}

#[tokio::test]
async fn a_body_cut_short_on_disk_never_gets_its_dot() {
    let script = format!(
        "{GREETING}S: 250 mx.example\nC: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\n"
    );
    let (address, task) = server(&[script.leak()], None).await;
    let world = world(|_| ());
    let (lease, mut short) = message(b"", b"half\r\n", &["b@x.example"]);
    short.content.size_bytes = 12;
    let end = hop(address, &world).await.mail(lease, short).run().await;
    assert_eq!(fates(&end), [Fate::Deferred]);
    assert!(end.connection.is_none());
    task.await.unwrap();
}

/// Some of it left, however little: its slots are not given back.
#[tokio::test]
async fn content_that_breaks_off_in_the_middle_keeps_its_slots() {
    let script = format!(
        "{GREETING}S: 250 mx.example\nC: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\nX"
    );
    let (address, task) = server(&[script.leak()], None).await;
    let world = world(|_| ());
    // More than the kernels keep of what nobody reads.
    let (lease, large) = message(b"", b"0123456789\r\n".repeat(1 << 21).leak(), &["b@x.example"]);
    let end = hop(address, &world).await.mail(lease, large).run().await;
    assert_eq!((end.content, fates(&end)), (ContentBegan::Unanswered, vec![Fate::Deferred]));
    assert_eq!(end.slots(), SlotsEnd::Unknown);
    assert!(end.connection.is_none());
    task.await.unwrap();
}

/// A script's mail with raw bytes in its Subject and a plain MAIL: asked to carry it as SMTPUTF8, a hop that offers it may
/// know only next hops that do not, and bounces what it would have taken as it is.
#[tokio::test]
async fn smtputf8_is_asked_for_only_where_it_was_declared() {
    let cases = [
        (false, false, "C: MAIL FROM:<a@example.org>"),
        (false, true, "C: MAIL FROM:<a@example.org> BODY=8BITMIME"),
        (true, false, "C: MAIL FROM:<a@example.org>"), // declared, but nothing needs it
        (true, true, "C: MAIL FROM:<a@example.org> BODY=8BITMIME SMTPUTF8"),
    ];
    for (declared, raw, mail) in cases {
        let script = format!(
            "{GREETING}S: 250-mx.example\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250 PIPELINING\n{mail}\n\
             C: RCPT TO:<b@x.example>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC*\nS: 250 ok"
        );
        let (address, _task) = server(&[script.leak()], None).await;
        let world = world(|_| ());
        let (lease, mut message) = message(b"", b"Subject: \xfc\r\n\r\nhi\r\n", &["b@x.example"]);
        (message.smtputf8, message.header_needs_utf8) = (declared, raw);
        let end = hop(address, &world).await.mail(lease, message).run().await;
        assert_eq!(fates(&end), [Fate::Delivered(ReportDuty::Ours)], "{mail}: {end:?}");
    }
}

#[tokio::test]
async fn after_refused_recipients_the_next_message_starts_with_rset() {
    let script = format!(
        "{GREETING}S: 250-mx.example\nS: 250 PIPELINING\nC: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@x.example>\nC: DATA\n\
         S: 250 ok\nS: 550 no\nS: 503 no\nC: RSET\nC: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@x.example>\nC: DATA\n\
         S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC*\nS: 250 ok"
    );
    let (address, _task) = server(&[script.leak()], None).await;
    let world = world(|_| ());
    let (lease, first) = message(b"", b"x\r\n", &["b@x.example"]);
    let end = hop(address, &world).await.mail(lease, first).run().await;
    assert_eq!((end.content, fates(&end)), (ContentBegan::No, vec![Fate::Bounced]));
    let (lease, second) = message(b"", b"x\r\n", &["b@x.example"]);
    let end = end.connection.unwrap().mail(lease, second).run().await;
    assert_eq!(fates(&end), [Fate::Delivered(ReportDuty::Ours)]);
}

#[tokio::test]
async fn a_used_connection_that_closes_costs_no_attempt() {
    let commands = "C: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@x.example>\nC: DATA\n";
    for ending in ["S: 421 4.7.0 enough messages\nX", "X"] {
        let script = format!(
            "{GREETING}S: 250-mx.example\nS: 250 PIPELINING\n{commands}S: 250 ok\nS: 250 ok\nS: 354 go\nC*\nS: 250 ok\n\
             {commands}{ending}"
        );
        let (address, _task) = server(&[script.leak()], None).await;
        let world = world(|_| ());
        let (lease, first) = message(b"", b"x\r\n", &["b@x.example"]);
        let end = hop(address, &world).await.mail(lease, first).run().await;
        let (lease, second) = message(b"", b"x\r\n", &["b@x.example"]);
        let end = end.connection.unwrap().mail(lease, second).run().await;
        assert_eq!((end.slots(), fates(&end)), (SlotsEnd::Returned, vec![Fate::Again]), "{ending}");
        assert!(end.connection.is_none());
    }
}

#[tokio::test]
async fn a_dropped_attempt_gives_its_lease_away() {
    let script = format!("{GREETING}S: 250 mx.example\nC: MAIL FROM:<a@example.org>\n");
    let (address, _task) = server(&[script.leak()], None).await;
    let mut world = world(|_| ());
    let (lease, message) = message(b"", b"x\r\n", &["b@x.example"]);
    let under_way = hop(address, &world).await.mail(lease, message);
    let ended = tokio::time::timeout(Duration::from_millis(50), under_way.run()).await;
    assert!(ended.is_err(), "the next hop never answers MAIL");
    let abandoned = world.abandoned.recv().await.unwrap();
    assert_eq!(abandoned.lease.message().number(), 1);
}

#[tokio::test]
async fn slow_answers_to_mail_give_the_lease_back() {
    let script = format!("{GREETING}S: 250 mx.example\nC: MAIL FROM:<a@example.org>\n");
    let (address, _task) = server(&[script.leak()], None).await;
    let world = world(|edges| edges.timeouts.envelope = Duration::from_millis(30));
    let (lease, message) = message(b"", b"x\r\n", &["b@x.example"]);
    let end = hop(address, &world).await.mail(lease, message).run().await;
    assert_eq!((end.slots(), fates(&end)), (SlotsEnd::Returned, vec![Fate::Deferred]));
    assert!(end.connection.is_none());
}

/// A hop that takes its time for each of many recipients lost all that it had accepted, at each try.
#[tokio::test]
async fn each_answer_to_the_envelope_has_its_time_and_all_have_a_bound() {
    // the limit, answers to recipients and the pause before each, in milliseconds
    let cases = [(500, 4, 200, Fate::Delivered(ReportDuty::Ours)), (100, 14, 50, Fate::Deferred)];
    for (limit_ms, count, pause_ms, expected) in cases {
        for pipelining in ["S: 250 mx.example\n", "S: 250-mx.example\nS: 250 PIPELINING\n"] {
            let to: Vec<String> = (0..count).map(|n| format!("r{n}@x.example")).collect();
            let answer = format!("W: {pause_ms}\nS: 250 ok\n");
            let mail = "C: MAIL FROM:<a@example.org>\n";
            let script = if pipelining.contains("PIPELINING") {
                let rcpts = to.iter().map(|to| format!("C: RCPT TO:<{to}>\n")).collect::<Vec<_>>().concat();
                format!("{mail}{rcpts}C: DATA\nS: 250 ok\n{}S: 354 go\n", answer.repeat(count))
            } else {
                let rcpts = to.iter().map(|to| format!("C: RCPT TO:<{to}>\n{answer}")).collect::<Vec<_>>().concat();
                format!("{mail}S: 250 ok\n{rcpts}C: DATA\nS: 354 go\n")
            };
            let script = format!("{GREETING}{pipelining}{script}C*\nS: 250 ok");
            let (address, _task) = server(&[script.leak()], None).await;
            let world = world(|edges| edges.timeouts.envelope = Duration::from_millis(limit_ms));
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            let (lease, message) = message(b"", b"x\r\n", &to);
            let end = hop(address, &world).await.mail(lease, message).run().await;
            assert_eq!(fates(&end), vec![expected; count], "{limit_ms} {pipelining}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_says_something_unasked_or_closes_is_not_used_again() {
    for rest in ["S: 421 4.4.2 idle", "X"] {
        let script = format!("{GREETING}S: 250 mx.example\n{rest}");
        let (address, _task) = server(&[script.leak()], None).await;
        let world = world(|_| ());
        let mut hop = hop(address, &world).await;
        for _ in 0..24_000 {
            if !hop.is_reusable() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!hop.is_reusable(), "{rest}");
    }
}

async fn refused(
    script: &str,
    tls: TlsMode,
    credentials: &[u8],
    change: impl FnOnce(&mut Edges, SocketAddr),
) -> DeliveryError {
    let (address, _task) = server(&[script.to_owned().leak()], None).await;
    let world = world(|edges| change(edges, address));
    let plan = smarthost("127.0.0.1", address.port(), tls, credentials);
    NextHop::connect(&plan, &plan.egresses[0], &world.edges).await.unwrap_err()
}

#[tokio::test]
async fn nothing_bounces_before_mail() {
    let none = |_: &mut Edges, _: SocketAddr| ();
    let error = refused("S: 554 5.7.1 no service", TlsMode::None, b"", none).await;
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error}");
    assert_eq!(error.fate(), ConnectFate::Defer);
    let ehlo = format!("{GREETING}S: 250 mx.example");
    let error = refused(&ehlo, TlsMode::Required, b"", none).await;
    assert!(matches!(error, DeliveryError::NoTls { .. }), "{error}");
    let error = refused("S: hello", TlsMode::None, b"", none).await;
    assert!(matches!(error, DeliveryError::BadReply { .. }), "{error}");
    let login =
        format!("{GREETING}S: 250-mx.example\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHVzZXIAc2VjcmV0\nS: 535 5.7.8 no");
    let error = refused(&login, TlsMode::None, b"* user secret", none).await;
    assert_eq!(error.fate(), ConnectFate::PauseLogin, "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    let error = refused("", TlsMode::None, b"", |edges, address| edges.listeners.push(address)).await;
    assert!(matches!(error, DeliveryError::Loop { sign: LoopSign::Listener, .. }), "{error}");
    let any =
        |edges: &mut Edges, address: SocketAddr| edges.listeners.push(SocketAddr::from(([0, 0, 0, 0], address.port())));
    let error = refused("", TlsMode::None, b"", any).await;
    assert!(matches!(error, DeliveryError::Loop { sign: LoopSign::Listener, .. }), "{error}");
}

fn direct(domain: &str, port: u16) -> crate::delivery::Plan {
    let router = Router::new(&DeliverySettings::default(), "us.example").unwrap();
    let mut plan = router.plan(&Destination(format!("default to={domain}").into())).unwrap();
    if let crate::delivery::route::Target::Mx { port: own, .. } = &mut plan.target {
        *own = port;
    }
    plan
}

#[tokio::test]
async fn by_mx_the_next_server_is_tried_and_a_null_mx_bounces() {
    let good = format!("{GREETING}S: 250 mx.example");
    let (address, _task) = server(&["S: 421 4.3.2 busy\nX", good.leak()], None).await;
    let mx = |preference, host: &str| Mx { preference, host: host.to_owned() };
    let here = vec!["127.0.0.1".parse().unwrap()];
    let names = Names {
        mx: [
            ("two.example", Ok(vec![mx(20, "second.example"), mx(5, "gone.example"), mx(10, "first.example")])),
            ("null.example", Ok(vec![mx(0, "")])),
            ("us.example", Ok(vec![mx(10, "us.example")])),
        ]
        .into(),
        addresses: [("first.example", here.clone()), ("second.example", here)].into(),
    };
    let world = world(|edges| edges.resolver = Arc::new(names));
    let connect = async |domain: &str| {
        let plan = direct(domain, address.port());
        NextHop::connect(&plan, &plan.egresses[0], &world.edges).await
    };
    let hop = connect("two.example").await.unwrap();
    assert_eq!(&*hop.peer().host, "second.example");
    let error = connect("null.example").await.unwrap_err();
    assert!(matches!(error.fate(), ConnectFate::Bounce { status: "5.1.10", .. }), "{error}");
    let error = connect("nothing.example").await.unwrap_err(); // neither MX nor address
    assert!(matches!(error.fate(), ConnectFate::Bounce { status: "5.1.2", .. }), "{error}");
    let error = connect("us.example").await.unwrap_err();
    assert!(matches!(error, DeliveryError::NoServer { source: NoServer::Ourselves, .. }), "{error}");
    assert_eq!(error.fate(), ConnectFate::Defer);
}

#[tokio::test]
async fn literals_own_names_and_the_egress_address() {
    // By MX, a server with our name is ourselves; a smarthost beside us may share it.
    let (address, _task) =
        server(&["S: 220 us.example", "S: 220 us.example\nC: EHLO us.example\nS: 250 us.example"], None).await;
    let world = world(|_| ());
    let plan = direct("[127.0.0.1]", address.port());
    let error = NextHop::connect(&plan, &plan.egresses[0], &world.edges).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Loop { sign: LoopSign::Name, .. }), "{error}");
    let from = Egress { address: Some("127.0.0.2".parse().unwrap()), ..(*plan.egresses[0]).clone() };
    let plan = smarthost("127.0.0.1", address.port(), TlsMode::Opportunistic, b"");
    let hop = NextHop::connect(&plan, &Arc::new(from), &world.edges).await.unwrap();
    assert_eq!(hop.wire.ends().unwrap().0.ip().to_string(), "127.0.0.2");
    // An egress of the other family reaches nothing, and says so.
    let other = Egress { address: Some("::1".parse().unwrap()), ..(*plan.egresses[0]).clone() };
    let error = NextHop::connect(&plan, &Arc::new(other), &world.edges).await.unwrap_err();
    assert!(matches!(error, DeliveryError::NoServer { source: NoServer::NoAddress, .. }), "{error}");
}
