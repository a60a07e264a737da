//! What a server's answers say of a mailbox, and what it is told.

use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::align::dns::{Data, Fixed};
use crate::align::doctor::Subject;
use crate::sockets::self_signed::{self_signed, trusting};

const HOST: Ipv4Addr = Ipv4Addr::new(127, 77, 26, 1);

/// What each command, by how it begins, is answered with; the empty command is the connection.
type Script = &'static [(&'static str, &'static str)];

/// A server that answers each command that begins so with that reply; gives its port, and all that it was told.
async fn server(script: Script) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.split();
        let answer = |line: &str| script.iter().find(|(command, _)| line.starts_with(command)).map(|(_, reply)| *reply);
        write.write_all(answer("").unwrap_or("220 hello\r\n").as_bytes()).await.unwrap();
        let (mut lines, mut told) = (BufReader::new(read).lines(), Vec::new());
        while let Ok(Some(line)) = lines.next_line().await {
            let reply = answer(&line).unwrap_or("250 ok\r\n");
            told.push(line);
            if reply.is_empty() || write.write_all(reply.as_bytes()).await.is_err() {
                break;
            }
        }
        told
    });
    (port, told)
}

fn dns() -> Arc<dyn Lookup> {
    let mut zone = Fixed::default();
    zone.add("example.com", Data::Exchange(10, "mx.example.com".into()));
    zone.add("mx.example.com", Data::Address(HOST.into()));
    Arc::new(zone)
}

fn question(port: u16) -> Question {
    Question {
        domain: "example.com".into(),
        mailboxes: vec!["abuse".into(), "postmaster".into()],
        askers: vec![Asker { from: None, like: None, seen: None, ehlo: "mail.example.com".into() }],
        time_limit: Duration::from_secs(5),
        whole: Duration::from_secs(10),
        port,
        tls: trusting(&[]),
    }
}

#[tokio::test]
async fn it_asks_and_sends_nothing() {
    let (port, told) = server(&[("RCPT TO:<abuse", "550 5.1.1 no such user\r\n"), ("QUIT", "")]).await;
    let answers = ask(dns(), question(port)).await;
    let server = format!("mx.example.com ({HOST})");
    let no = Deliverable::No { server: server.clone(), reply: "550 5.1.1 no such user".into() };
    assert_eq!(answers, [("abuse".into(), no), ("postmaster".into(), Deliverable::Yes { server })]);
    let told = told.await.unwrap();
    let expected = [
        "EHLO mail.example.com",
        "MAIL FROM:<>",
        "RCPT TO:<abuse@example.com>",
        "RCPT TO:<postmaster@example.com>",
        "QUIT",
    ];
    assert_eq!(told, expected);

    let mut findings = Vec::new();
    for (mailbox, answer) in &answers {
        tell(
            "example.com",
            mailbox,
            answer,
            Subject { name: "example.com", findings: &mut findings }.check("mailbox", mailbox),
        );
    }
    assert_eq!((findings[0].grade, findings[1].grade), (Grade::Warning, Grade::Right));
    assert!(findings[0].mend.contains("abuse: root"), "{findings:?}");
}

#[tokio::test]
async fn what_comes_of_an_answer() {
    // What the server is like; whether abuse@ takes mail, and words of what is told.
    let cases: [(Script, Option<bool>, &str); 9] = [
        (&[("RCPT", "250 ok\r\n")], Some(true), ""),
        (&[("RCPT", "550 no such user\r\n")], Some(false), ""),
        (&[("RCPT", "554 5.7.1 Relay access denied\r\n")], Some(false), ""),
        (&[("RCPT", "550 5.7.1 listed by zen.spamhaus.org\r\n")], None, "speaks of this server and not of the mailbox"),
        (&[("RCPT", "550 access denied\r\n")], None, "does not say whether"),
        (&[("RCPT", "450 4.2.0 greylisted\r\n")], None, "asks to come back later"),
        (&[("MAIL", "550 5.7.1 no null senders from you\r\n")], None, "answers MAIL FROM:<> with 550 5.7.1 no null"),
        (&[("MAIL", "530 5.7.0 Must issue a STARTTLS command first\r\n")], None, "STARTTLS"), // and offers none
        (&[("", "554 5.7.1 go away\r\n")], None, "answers the connection with 554"),
    ];
    for (script, expected, words) in cases {
        let (port, _told) = server(script).await;
        let answers = ask(dns(), question(port)).await;
        let (got, why) = match &answers[0].1 {
            Deliverable::Yes { .. } => (Some(true), ""),
            Deliverable::No { .. } | Deliverable::NoDomain { .. } => (Some(false), ""),
            Deliverable::Unknown(why) => (None, why.as_str()),
        };
        assert_eq!(got, expected, "{script:?}: {answers:?}");
        assert!(why.contains(words), "{script:?}: {answers:?}");
    }
}

#[test]
fn each_answer_has_its_words() {
    let (server, reply) = ("mx.example.com (192.0.2.1)".to_owned(), "550 no".to_owned());
    let cases = [
        (Deliverable::Yes { server: server.clone() }, Grade::Right, "takes mail", ""),
        (Deliverable::No { server: server.clone(), reply: reply.clone() }, Grade::Warning, "refuses", "abuse: root"),
        (Deliverable::NoDomain { server, reply }, Grade::Warning, "does not know", "example.com. IN MX 10"),
        (Deliverable::Unknown("it is down".into()), Grade::Unknown, "could not be asked about: it is down", ""),
    ];
    for (answer, grade, found, mend) in cases {
        let mut findings = Vec::new();
        let check = Subject { name: "example.com", findings: &mut findings }.check("mailbox", "abuse");
        tell("example.com", "abuse", &answer, check);
        let finding = &findings[0];
        assert!(finding.grade == grade && finding.found.contains(found), "{finding:?}");
        assert!(finding.mend.contains(mend) && finding.mend.is_empty() == mend.is_empty(), "{finding:?}");
    }
}

/// A server that takes nothing in the clear, as many do: it is asked over TLS.
#[tokio::test]
async fn a_server_that_wants_tls_first() {
    let ours = self_signed("mx.example.com");
    let acceptor = tokio_rustls::TlsAcceptor::from(ours.server);
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut plain = BufReader::new(stream);
        plain.write_all(b"220 hello\r\n").await.unwrap();
        let mut told = Vec::new();
        for reply in ["250-mx\r\n250 STARTTLS\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n", "220 go\r\n"] {
            let mut line = String::new();
            plain.read_line(&mut line).await.unwrap();
            told.push(line.trim_end().to_owned());
            plain.write_all(reply.as_bytes()).await.unwrap();
        }
        let mut tls = BufReader::new(acceptor.accept(plain.into_inner()).await.unwrap());
        for reply in ["250 mx", "250 ok", "250 ok", "550 5.1.1 no such user", "221 bye"] {
            let mut line = String::new();
            tls.read_line(&mut line).await.unwrap();
            told.push(line.trim_end().to_owned());
            tls.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        }
        told
    });
    let mut asked = question(port);
    asked.tls = trusting(&[ours.certificate]);
    let answers = ask(dns(), asked).await;
    let expected = [
        "EHLO mail.example.com",
        "MAIL FROM:<>",
        "STARTTLS",
        "EHLO mail.example.com", // anew, for what was said in the clear does not count (RFC 3207 4.2)
        "MAIL FROM:<>",
        "RCPT TO:<abuse@example.com>",
        "RCPT TO:<postmaster@example.com>",
        "QUIT",
    ];
    assert_eq!(serving.await.unwrap(), expected);
    assert!(matches!(&answers[0].1, Deliverable::Yes { .. }), "{answers:?}");
    assert!(matches!(&answers[1].1, Deliverable::No { .. }), "{answers:?}");
}

/// Where one egress is refused the next one asks, and for what is not known yet alone.
#[tokio::test]
async fn the_next_egress_asks_where_the_first_is_refused() {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let refused = IpAddr::from([127, 77, 26, 8]);
    let serving = tokio::spawn(async move {
        let mut told = Vec::new();
        for _ in 0..2 {
            let (mut stream, from) = listener.accept().await.unwrap();
            let greeting = if from.ip() == refused { "554 5.7.1 blocked\r\n" } else { "220 hello\r\n" };
            let (read, mut write) = stream.split();
            write.write_all(greeting.as_bytes()).await.unwrap();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = write.write_all(b"250 ok\r\n").await;
                told.push(format!("{}: {line}", from.ip()));
            }
        }
        told
    });
    let by = |ip: IpAddr| Asker { from: Some(ip), like: None, seen: Some(ip), ehlo: "mail.example.com".into() };
    let mut asked = question(port);
    asked.askers = vec![by(refused), by([127, 77, 26, 9].into())];
    let answers = ask(dns(), asked).await;
    assert!(answers.iter().all(|(_, answer)| matches!(answer, Deliverable::Yes { .. })), "{answers:?}");
    let told = serving.await.unwrap();
    assert!(told.iter().all(|line| line.starts_with("127.77.26.9: ")), "{told:?}");

    // Where all are refused, what the first was told stands.
    let (port, _told) = server(&[("", "554 5.7.1 blocked for you\r\n")]).await;
    let mut asked = question(port);
    asked.askers = vec![by(refused), by([127, 77, 26, 9].into())];
    let answers = ask(dns(), asked).await;
    assert!(matches!(&answers[0].1, Deliverable::Unknown(why) if why.contains("blocked for you")), "{answers:?}");
}

#[tokio::test]
async fn a_server_that_is_silent_hangs_up_or_is_not_there() {
    let (port, _told) = server(&[("RCPT", "")]).await;
    let answers = ask(dns(), question(port)).await;
    assert!(
        answers.iter().all(|(_, answer)| matches!(answer, Deliverable::Unknown(why) if why.contains("hung up"))),
        "{answers:?}"
    );
    let answers = ask(dns(), question(9)).await;
    assert!(matches!(&answers[0].1, Deliverable::Unknown(why) if why.contains("not reached")), "{answers:?}");
    let nobody: Arc<dyn Lookup> = Arc::new(Fixed::default());
    let answers = ask(nobody, question(9)).await;
    assert!(matches!(&answers[1].1, Deliverable::Unknown(why) if why.contains("no address")), "{answers:?}");
}
