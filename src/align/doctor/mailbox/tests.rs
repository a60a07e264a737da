//! What a server's answers say of a mailbox, and what it is told.

use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::align::dns::{Data, Fixed};
use crate::align::doctor::Subject;

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
        from: None,
        like: None,
        ehlo: "mail.example.com".into(),
        time_limit: Duration::from_millis(500),
        port,
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
async fn what_a_refusal_speaks_of() {
    // The answer to RCPT for abuse@, whether it says that the mailbox takes no mail.
    let cases: [(Script, Option<bool>); 9] = [
        (&[("RCPT", "250 ok\r\n")], Some(true)),
        (&[("RCPT", "251 will forward\r\n")], Some(true)),
        (&[("RCPT", "550 no such user\r\n")], Some(false)),
        (&[("RCPT", "550 5.2.1 disabled\r\n")], Some(false)),
        (&[("RCPT", "554 5.7.1 Relay access denied\r\n")], Some(false)), // it does not know the domain
        (&[("RCPT", "550 5.7.1 listed by zen.spamhaus.org\r\n")], None), // that is about us
        (&[("RCPT", "450 4.2.0 greylisted\r\n")], None),
        (&[("MAIL", "530 5.7.0 Must issue a STARTTLS command first\r\n")], None),
        (&[("", "554 go away\r\n")], None),
    ];
    for (script, expected) in cases {
        let (port, _told) = server(script).await;
        let answers = ask(dns(), question(port)).await;
        let got = match &answers[0].1 {
            Deliverable::Yes { .. } => Some(true),
            Deliverable::No { .. } => Some(false),
            Deliverable::Unknown(_) => None,
        };
        assert_eq!(got, expected, "{script:?}: {answers:?}");
    }
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
