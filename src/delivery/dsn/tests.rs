//! Reports as they leave, read back part by part.

use super::*;
use crate::account::Account;
use crate::clock::BootMs;
use crate::delivery::settings::DeliverySettings;
use crate::mail::{Notify, OriginalRecipient, Ret};
use crate::store::Content;
use crate::store::query::ContentBody;

const NOW: Now = Now { boot: BootMs(1), wall: WallMs(1_790_000_000_000) };

fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).unwrap()
}

fn message(from: &str) -> MessageRow {
    MessageRow {
        id: QueueId::new(5).unwrap(),
        received: WallMs(1_789_990_000_000),
        received_by: crate::limits::WallClock::Synchronised,
        client: "c".to_owned(),
        account: Account::named("web"),
        source: AccountSource::Login,
        reverse_path: ReversePath::parse(from.as_bytes()).unwrap(),
        body_type: BodyType::SevenBit,
        smtputf8: !from.is_ascii(),
        header_needs_utf8: false,
        ret: None,
        envid: Some("env 1".into()),
        mta_id: None,
        message_id: None,
        header_from: None,
        verdict: Verdict::unjudged(),
        class: 0,
        size_bytes: 9,
        report_on: None,
    }
}

fn failed<'a>(recipient: &'a Recipient, diagnostic: &'a str) -> Reported<'a> {
    let remote_mta = Some("mx.example");
    let last_attempt = Some(WallMs(1_789_999_000_000));
    Reported { recipient, status: "5.1.1", words: diagnostic, diagnostic: Some(diagnostic), remote_mta, last_attempt }
}

fn made(
    kind: ReportKind,
    message: &MessageRow,
    original: &Original,
    reported: &[Reported<'_>],
    settings: &DsnSettings,
) -> Report {
    let router = Router::new(&DeliverySettings::default(), "us.example").unwrap();
    let id = QueueId::new(6).unwrap();
    report(
        kind,
        message,
        original,
        reported,
        ReportBasis { id, now: NOW, host_name: "us.example", settings, router: &router, class: 1 },
    )
}

fn text(report: &Report) -> String {
    let Report::Message(acceptance) = report else { panic!("{report:?}") };
    let Body::Inline(bytes) = &acceptance.body else { panic!("spooled") };
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The header and the parts of a multipart message, each with its own header.
fn parts(text: &str) -> (String, Vec<String>) {
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    let boundary = header.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    let pieces: Vec<&str> = body.split(&format!("\r\n--{boundary}")).collect();
    assert_eq!(pieces.last().unwrap().trim_end(), "--", "ends with the closing boundary");
    let inner = pieces[1..pieces.len() - 1].iter().map(|piece| piece.trim_start_matches("\r\n").to_owned());
    (header.to_owned(), inner.collect())
}

fn original(body: &'static [u8], ret: Option<Ret>) -> Original {
    let body = ContentBody::Bytes(Bytes::from_static(body));
    let content = Content { prefix: Bytes::from_static(b"Received: us\r\n"), body, size_bytes: 60 };
    Original::read(&content, ret, &DsnSettings::default()).unwrap()
}

#[test]
fn a_failure_in_all_its_fields() {
    let mut recipient = Recipient::plain(address("b@x.example"));
    recipient.original = Some(OriginalRecipient { address_type: "rfc822".into(), address: "o@y.example".into() });
    let words = format!("550 5.1.1 no\u{1b}[31m such user {}", "x".repeat(90));
    let reported = [failed(&recipient, &words)];
    let report = made(
        ReportKind::Failed,
        &message("a@example.org"),
        &original(b"Subject: s\r\n\r\nsecret body\r\n", None),
        &reported,
        &DsnSettings::default(),
    );
    let text = text(&report);
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\u{1b}']), "only whole line ends, nothing for a terminal");
    let (header, parts) = parts(&text);
    for line in [
        "From: Mail delivery <MAILER-DAEMON@us.example>",
        "To: a@example.org",
        "Auto-Submitted: auto-replied",
        "Message-ID: <0000000006.dsn@us.example>",
        "MIME-Version: 1.0",
    ] {
        assert!(header.contains(line), "{line} in\n{header}");
    }
    assert!(header.contains("multipart/report") && header.contains("report-type=\"delivery-status\""), "{header}");
    assert!(parts[0].contains("<b@x.example>") && parts[0].contains("could not be delivered"), "{}", parts[0]);
    let (kind, fields) = parts[1].split_once("\r\n\r\n").unwrap();
    assert!(kind.starts_with("Content-Type: message/delivery-status\r\n") && kind.ends_with("7bit"), "{kind}");
    let unfolded = fields.replace("\r\n ", " ");
    let expected = "Reporting-MTA: dns; us.example\r\nOriginal-Envelope-Id: env 1\r\nArrival-Date: Mon, 21 Sep 2026 11:26:40 +0000\r\n\
        X-Outguard-Queue-Id: 0000000005\r\n\r\nOriginal-Recipient: rfc822; o@y.example\r\nFinal-Recipient: rfc822; b@x.example\r\n\
        Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example\r\n";
    assert!(unfolded.starts_with(expected), "{unfolded}");
    assert!(unfolded.contains("Diagnostic-Code: smtp; 550 5.1.1 no\\u{1b}[31m such user xxx"), "{unfolded}");
    assert!(unfolded.contains("Last-Attempt-Date: "), "{unfolded}");
    assert!(parts[2].starts_with("Content-Type: text/rfc822-headers"), "{}", parts[2]);
    assert!(parts[2].ends_with("\r\n\r\nReceived: us\r\nSubject: s\r\n") && !text.contains("secret"), "{}", parts[2]);
}

#[test]
fn the_envelope_can_never_make_a_report_on_a_report() {
    let recipient = Recipient::plain(address("b@x.example"));
    let report = made(
        ReportKind::Failed,
        &message("a@example.org"),
        &Original::none(),
        &[failed(&recipient, "550 no")],
        &DsnSettings::default(),
    );
    let Report::Message(acceptance) = report else { panic!("{report:?}") };
    assert_eq!(acceptance.envelope.reverse_path, ReversePath::Null);
    assert_eq!(acceptance.envelope.recipients[0].address.as_str(), "a@example.org");
    assert_eq!(acceptance.destinations[0].to_string(), "default to=example.org");
    assert_eq!((acceptance.account.as_str(), acceptance.source), ("mailer-daemon", AccountSource::Own));
    assert!(matches!(&acceptance.report_on, Some((of, Event::DsnQueued { .. })) if of.number() == 5));
}

#[test]
fn who_is_told() {
    let plain = Recipient::plain(address("b@x.example"));
    let notify =
        |success, failure, delay| Recipient { notify: Some(Notify { success, failure, delay }), ..plain.clone() };
    let never = notify(false, false, false);
    let success = notify(true, false, false);
    let until = ReportKind::Delayed { until: NOW.wall };
    let with_operator = DsnSettings { operator: Some(address("op@example.org")), ..DsnSettings::default() };
    let without = DsnSettings::default();
    let operator = Recipient::plain(address("op@example.org"));
    let cases = [
        ("a@example.org", ReportKind::Failed, &plain, &without, "a@example.org"),
        ("a@example.org", ReportKind::Failed, &never, &with_operator, "nobody"),
        ("a@example.org", until, &plain, &without, "a@example.org"),
        ("a@example.org", ReportKind::Relayed, &plain, &without, "nobody"),
        ("a@example.org", ReportKind::Relayed, &success, &without, "a@example.org"),
        ("", until, &plain, &with_operator, "nobody"),
        ("", ReportKind::Failed, &plain, &with_operator, "op@example.org"), // a bounce that cannot be delivered
        ("", ReportKind::Failed, &plain, &without, "held"),
        ("", ReportKind::Unreleased, &plain, &without, "event"), // and it was held to its end
        ("", ReportKind::Unreleased, &plain, &with_operator, "op@example.org"),
        ("", ReportKind::Failed, &operator, &with_operator, "held"), // its copy could not be delivered either: no circle
    ];
    for (from, kind, recipient, settings, expected) in cases {
        let told = match made(kind, &message(from), &Original::none(), &[failed(recipient, "550 no")], settings) {
            Report::NotWanted => "nobody".to_owned(),
            Report::Message(acceptance) => acceptance.envelope.recipients[0].address.to_string(),
            Report::Hold(_) => "held".to_owned(),
            Report::EventOnly(Event::DsnToOperator { .. }) => "event".to_owned(),
            Report::EventOnly(event) => panic!("{event:?}"),
        };
        assert_eq!(told, expected, "{from:?} {kind:?} {recipient:?}");
    }
}

#[test]
fn the_whole_message_goes_back_byte_for_byte_where_asked() {
    let recipient = Recipient::plain(address("b@x.example"));
    let body = b"Subject: s\r\n\r\n.dots and \xc3\xa4\r\n\r\n";
    let report = made(
        ReportKind::Failed,
        &message("a@example.org"),
        &original(body, ReportKind::Failed.carries(Some(Ret::Full))),
        &[failed(&recipient, "550 no")],
        &DsnSettings::default(),
    );
    let (_, parts) = parts(&text(&report));
    assert!(
        parts[2].starts_with("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"),
        "{}",
        parts[2]
    );
    assert!(parts[2].ends_with("Received: us\r\nSubject: s\r\n\r\n.dots and ä\r\n\r\n"), "{:?}", parts[2]);
    let Report::Message(acceptance) = report else { panic!() };
    assert_eq!(acceptance.envelope.body, BodyType::EightBitMime);
}

/// Told as xtext, `rfc822; user+2Btag@x.example` was an address that nobody had written (RFC 3464 2.3.1).
#[test]
fn original_recipients_are_decoded_and_break_no_line() {
    let cases = [
        ("rfc822", "user+tag@x.example", "rfc822; user+tag@x.example"),
        ("rfc822", "\"a b\"@x.example", "rfc822; \"a b\"@x.example"),
        ("rfc822", "a  b", "rfc822; a+20+20b"), // folding would swallow a space
        ("rfc822", "ü@x.example", "rfc822; +C3+BC@x.example"),
        ("rfc822", "a\r\nAction: delivered", "rfc822; a+0D+0AAction:+20delivered"), // intake takes none such
        ("utf-8", "ü+b@x.example", "utf-8; \\x{FC}\\x{2B}b@x.example"),
    ];
    for (address_type, address, told) in cases {
        let mut recipient = Recipient::plain(self::address("b@x.example"));
        recipient.original = Some(OriginalRecipient { address_type: address_type.into(), address: address.into() });
        let reported = [failed(&recipient, "550 no")];
        let message = message("a@example.org");
        let text = text(&made(ReportKind::Failed, &message, &Original::none(), &reported, &DsnSettings::default()));
        assert!(text.contains(&format!("\r\nOriginal-Recipient: {told}\r\n")), "{told} in\n{text}");
    }
}

#[test]
fn only_a_failure_carries_the_whole_message() {
    for kind in [ReportKind::Delayed { until: NOW.wall }, ReportKind::Relayed, ReportKind::Unreleased] {
        assert_ne!(kind.carries(Some(Ret::Full)), Some(Ret::Full), "{kind:?}");
    }
    assert_eq!(ReportKind::Failed.carries(Some(Ret::Full)), Some(Ret::Full));
    assert_eq!(ReportKind::Failed.carries(None), None);
}

#[test]
fn other_scripts_are_told_as_such_to_senders_who_understand_them() {
    let recipient = Recipient::plain(address("ü@x.example"));
    let report = made(
        ReportKind::Failed,
        &message("ä@example.org"),
        &Original::none(),
        &[failed(&recipient, "550 5.1.1 näh")],
        &DsnSettings::default(),
    );
    let text = text(&report);
    assert!(
        text.contains("report-type=\"global-delivery-status\"") && text.contains("message/global-delivery-status"),
        "{text}"
    );
    assert!(
        text.contains("Final-Recipient: utf-8; ü@x.example\r\n") && text.contains("To: ä@example.org\r\n"),
        "{text}"
    );
    let Report::Message(acceptance) = report else { panic!() };
    assert!(acceptance.header_needs_utf8 && acceptance.envelope.smtputf8);
}
