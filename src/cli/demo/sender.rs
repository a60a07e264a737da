//! The three accounts of the demonstration: two people and a flood.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// How long one reply may take.
const REPLY_TIME_MAX: Duration = Duration::from_mins(1);

/// An account and what it sends.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// The reverse-path, and so the account.
    pub(super) account: &'static str,
    /// How many messages.
    messages: usize,
    /// To how many recipients each.
    recipients_each: usize,
    /// How long it waits before the first.
    starts: Duration,
    /// How long it waits between two.
    every: Duration,
}

impl Sender {
    /// All three, in step with the window.
    pub(super) fn all(window_secs: u64) -> Vec<Self> {
        let part = Duration::from_secs(window_secs) / 12;
        vec![
            Self {
                account: "anna@shop.example",
                messages: 6,
                recipients_each: 1,
                starts: Duration::ZERO,
                every: part * 2,
            },
            Self { account: "ben@office.example", messages: 3, recipients_each: 2, starts: part, every: part * 5 },
            // A hacked web site: everything at once.
            Self {
                account: "flood@hacked.example",
                messages: 45,
                recipients_each: 1,
                starts: part,
                every: Duration::ZERO,
            },
        ]
    }

    /// How many recipients it has in all.
    pub(super) fn recipients(&self) -> usize {
        self.messages * self.recipients_each
    }

    /// Every delivery that is to arrive, as (recipient, subject).
    pub(super) fn deliveries(&self) -> impl Iterator<Item = (String, String)> + '_ {
        (0..self.messages).flat_map(move |n| (0..self.recipients_each).map(move |k| (recipient(n, k), subject(n))))
    }

    /// Sends all of it to the relay; each message must be taken with 250.
    pub(super) async fn send(self, relay: SocketAddr) -> io::Result<()> {
        tokio::time::sleep(self.starts).await;
        let stream = TcpStream::connect(relay).await?;
        let mut session = BufReader::new(stream);
        expect(&mut session, "220").await?;
        say(&mut session, "EHLO client.example", "250").await?;
        for n in 0..self.messages {
            if n > 0 {
                tokio::time::sleep(self.every).await;
            }
            say(&mut session, &format!("MAIL FROM:<{}>", self.account), "250").await?;
            for k in 0..self.recipients_each {
                say(&mut session, &format!("RCPT TO:<{}>", recipient(n, k)), "250").await?;
            }
            say(&mut session, "DATA", "354").await?;
            let content = format!(
                "From: {}\r\nTo: undisclosed-recipients:;\r\nSubject: {}\r\nMessage-ID: <{n}.{}>\r\n\r\nHello.\r\n.",
                self.account,
                subject(n),
                self.account
            );
            say(&mut session, &content, "250").await?;
        }
        say(&mut session, "QUIT", "221").await
    }
}

fn recipient(message: usize, nth: usize) -> String {
    format!("r{message}-{nth}@far.example")
}

fn subject(message: usize) -> String {
    format!("message {message}")
}

async fn say(session: &mut BufReader<TcpStream>, line: &str, code: &str) -> io::Result<()> {
    session.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
    expect(session, code).await
}

/// Reads one reply, all its lines; another code is an error with the reply's words.
async fn expect(session: &mut BufReader<TcpStream>, code: &str) -> io::Result<()> {
    loop {
        let mut line = String::new();
        let read = tokio::time::timeout(REPLY_TIME_MAX, session.read_line(&mut line)).await;
        read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the relay did not answer"))??;
        if !line.starts_with(code) {
            return Err(io::Error::other(format!("the relay said {:?} where {code} was due", line.trim_end())));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
