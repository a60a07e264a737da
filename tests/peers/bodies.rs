//! Invariant 4: what leaves is what came, after the relay's own header fields.

use crate::rig::client::Client;
use crate::rig::relay::{Site, smarthost};
use crate::rig::sink::Sink;

/// Bytes without CR, LF and NUL, in lines, from a simple generator: every other value occurs.
fn noise(bytes: usize, line: usize) -> Vec<u8> {
    let mut state: u32 = 1;
    let mut out = Vec::with_capacity(bytes + bytes / line * 2);
    for i in 1..=bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = state.to_be_bytes()[0];
        out.push(if matches!(byte, 0 | b'\r' | b'\n') { b'.' } else { byte });
        if i % line == 0 {
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[test]
fn content_arrives_byte_for_byte() {
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let header = b"Subject: x\r\n\r\n";
    let below = |body: &[u8]| [header, body].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", b"".to_vec()), // .CRLF right behind DATA
        ("one empty line", b"\r\n".to_vec()),
        ("no header", b"only a line\r\n".to_vec()),
        ("header alone", b"Subject: x\r\n".to_vec()),
        ("dots", below(b".\r\n..\r\n...\r\n.a\r\n a.\r\n.\r\n")), // stuffed by the client, stuffed again by us
        ("white space", below(b" \t \r\n\ttab\r\ntrailing \r\n\r\n\r\n")),
        ("UTF-8", below("Grüße\r\n".as_bytes())),
        ("8-bit", below(&noise(20_000, 70))),
        ("998 bytes", below(&noise(998, 998))),        // RFC 5321 4.5.3.1.6
        ("long lines", below(&noise(40_000, 20_000))), // beyond the RFC; they are kept all the same
        ("64 KiB", below(&noise(64 * 1024 - 14 - 2, 70_000))), // at the edge between database and spool
        ("a byte over 64 KiB", below(&noise(64 * 1024 + 1, 70_000))),
        ("3 MiB", below(&noise(3 * 1024 * 1024, 76))),
        ("1 MiB without a line end", below(&noise(1024 * 1024, 2 * 1024 * 1024))),
        ("looks like SMTP", below(b"QUIT\r\nDATA\r\nRSET\r\n354 x\r\nMAIL FROM:<a@example.com>\r\n")),
    ];
    let mut client = Client::greeted(relay.site().address());
    for (i, (name, content)) in cases.iter().enumerate() {
        let heard = client.deliver(&format!("case{i}@example.com"), &["b@example.net"], content).expect(name);
        assert_eq!(heard.code, 250, "{name}: {heard:?}");
    }
    let arrivals = sink.wait_accepted(cases.len());
    for (i, (name, content)) in cases.iter().enumerate() {
        let from = format!("case{i}@example.com");
        let arrival = arrivals.iter().find(|arrival| arrival.mail_from == from).expect("all have come");
        let prefix_bytes = arrival.content.len().checked_sub(content.len()).expect(name);
        let (prefix, kept) = arrival.content.split_at(prefix_bytes);
        assert!(kept == content, "{name}: the content is another one: {}", first_difference(kept, content));
        let prefix = String::from_utf8(prefix.to_vec()).expect("our own fields are ASCII");
        assert!(prefix.starts_with("Received: ") && prefix.ends_with("\r\n"), "{name}: {prefix:?}");
        for line in prefix.split_terminator("\r\n") {
            assert!(line.starts_with([' ', '\t']) || line.contains(": "), "{name}: not a field: {line:?}");
        }
    }
}

fn first_difference(kept: &[u8], sent: &[u8]) -> String {
    let at = kept.iter().zip(sent).position(|(a, b)| a != b).unwrap_or(0);
    let around = |bytes: &[u8]| bytes[at.saturating_sub(20)..(at + 20).min(bytes.len())].escape_ascii().to_string();
    format!("at byte {at}: {} came, {} was sent", around(kept), around(sent))
}

#[test]
fn one_message_to_many_goes_once_to_each() {
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let recipients: Vec<String> = (0..60).map(|i| format!("r{i}@example.net")).collect();
    let borrowed: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut client = Client::greeted(relay.site().address());
    let heard = client.deliver("a@example.com", &borrowed, b"Subject: x\r\n\r\nx\r\n").expect("an answer");
    assert_eq!(heard.code, 250, "{heard:?}");
    let seen = || -> Vec<String> {
        let mut seen: Vec<String> = sink.accepted().into_iter().flat_map(|arrival| arrival.recipients).collect();
        seen.sort();
        seen
    };
    crate::rig::process::wait_for("sixty recipients", || seen().len() >= recipients.len());
    let mut expected = recipients.clone();
    expected.sort();
    assert_eq!(seen(), expected);
}
