//! What is sent in plain text ahead of a handshake is never heard behind it (RFC 3207 4.2), on both sides of the relay.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rig::client::Client;
use crate::rig::relay::{Site, smarthost};
use crate::rig::sink::{Answer, Said, Sink};
use crate::rig::tls::Certificate;

fn certified(site_folder: &tempfile::TempDir) -> (Certificate, String) {
    let certificate = Certificate::make(site_folder.path(), &["relay.example"]);
    let section = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.certificate_pem.display(),
        certificate.key_pem.display()
    );
    (certificate, section)
}

#[test]
fn commands_behind_starttls_are_thrown_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, section) = certified(&folder);
    let sink = Sink::start();
    let relay = Site::new(&format!("{section}{}", smarthost(sink.address()))).start();
    for injected in [
        &b"NOOP\r\n"[..],
        b"MAIL FROM:<injected@example.com>\r\n",
        b"EHLO injected.example\r\nMAIL FROM:<i@example.com>\r\n",
    ] {
        let mut client = Client::greeted(relay.site().address());
        client.send(&[b"STARTTLS\r\n", injected].concat()).expect("a connection");
        assert_eq!(client.hear().expect("an answer").code, 220);
        // Either the relay refuses to go on, or it has forgotten what was injected.
        if client.start_tls(&certificate, "relay.example").is_err() {
            continue;
        }
        client.expect("NOOP", 250);
        client.expect("EHLO client.example", 250);
        client.expect("RCPT TO:<b@example.net>", 503);
    }
    let mut client = Client::greeted(relay.site().address());
    client.expect("STARTTLS", 220);
    client.start_tls(&certificate, "relay.example").expect("a handshake");
    assert!(!client.expect("EHLO client.example", 250).offers("STARTTLS"), "offered once");
    let heard = client.deliver("a@example.com", &["b@example.net"], b"Subject: x\r\n\r\nx\r\n").expect("an answer");
    assert_eq!(heard.code, 250);
    assert!(sink.wait_accepted(1)[0].text().contains("ESMTPS"), "RFC 3848: the trace says that it came over TLS");
}

#[test]
fn replies_behind_starttls_are_thrown_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = Certificate::make(folder.path(), &["sink.example"]);
    let handshakes = AtomicUsize::new(0);
    let sink = Sink::with_tls(&certificate, move |said| match said {
        Said::StartTls => {
            handshakes.fetch_add(1, Ordering::Relaxed);
            Answer::Inject(b"220 go\r\n250-sink.example\r\n250 X-INJECTED\r\n250 2.1.0 injected\r\n".to_vec())
        }
        _ => Answer::Usual,
    });
    let route = format!("[[route]]\nsmarthost = \"{}\"\ntls = \"opportunistic\"\n", sink.address());
    let relay = Site::new(&route).start();
    let mut client = Client::greeted(relay.site().address());
    let heard = client.deliver("a@example.com", &["b@example.net"], b"Subject: x\r\n\r\nx\r\n").expect("an answer");
    assert_eq!(heard.code, 250);
    crate::rig::process::wait_for("STARTTLS", || sink.commands().iter().any(|line| line == "STARTTLS"));
    // It goes on over TLS with an EHLO of its own, or it goes away. An answer it takes from the injected bytes would
    // let it send MAIL before that.
    crate::rig::process::wait_for("the relay's next step", || {
        let commands = sink.commands();
        let after = commands.iter().skip_while(|line| *line != "STARTTLS").nth(1).cloned();
        match after {
            Some(line) => {
                assert!(line.starts_with("EHLO "), "after STARTTLS: {line:?}");
                true
            }
            None => relay.site().log().contains("TLS"),
        }
    });
    for arrival in sink.arrivals() {
        assert!(arrival.tls, "never in plain text once TLS was begun");
    }
}

/// `tls = "required"` towards a server without TLS: the mail waits, and not even MAIL is said.
#[test]
fn required_tls_is_required() {
    let sink = Sink::start();
    let route = format!("[[route]]\nsmarthost = \"{}\"\ntls = \"required\"\n", sink.address());
    let relay = Site::new(&route).start();
    let mut client = Client::greeted(relay.site().address());
    let heard = client.deliver("a@example.com", &["b@example.net"], b"Subject: x\r\n\r\nx\r\n").expect("an answer");
    assert_eq!(heard.code, 250);
    relay.wait_log(&["TLS is required"]);
    assert!(sink.commands().iter().all(|line| line.starts_with("EHLO ") || line == "QUIT"), "{:?}", sink.commands());
}
