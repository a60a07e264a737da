//! The next hop of the demonstration: takes every message, and writes down when, from whom and for whom.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::{BootMs, Clock};

/// The longest line taken, in bytes.
const LINE_BYTES_MAX: usize = 4_096;

/// One recipient of one message, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Arrival {
    /// When its content had come, by the sink's own clock.
    pub(super) at: BootMs,
    /// The reverse-path.
    pub(super) from: String,
    /// The recipient.
    pub(super) to: String,
    /// The subject, which names the message.
    pub(super) subject: String,
}

/// A listening sink; it ends with the runtime.
#[derive(Debug, Clone)]
pub(super) struct Sink {
    address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Sink {
    /// Listens on a free port of the loopback.
    pub(super) async fn start(clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let sink = Self { address: listener.local_addr()?, arrivals: Arc::default() };
        let arrivals = Arc::clone(&sink.arrivals);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = Session { clock: Arc::clone(&clock), arrivals: Arc::clone(&arrivals) };
                tokio::spawn(async move {
                    let _ = session.talk(stream).await; // a connection that breaks is the relay's to repeat
                });
            }
        });
        Ok(sink)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has come so far.
    pub(super) fn received(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Session {
    clock: Arc<dyn Clock>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Session {
    async fn talk(&self, stream: TcpStream) -> io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read);
        let (mut from, mut to): (String, Vec<String>) = Default::default();
        write.write_all(b"220 sink.example ESMTP\r\n").await?;
        while let Some(line) = line(&mut lines).await? {
            let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let answer = match word.as_str() {
                "EHLO" => "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
                "HELO" | "NOOP" => "250 2.0.0 ok\r\n",
                "MAIL" => {
                    from = path(&line);
                    to.clear();
                    "250 2.1.0 ok\r\n"
                }
                "RCPT" => {
                    to.push(path(&line));
                    "250 2.1.5 ok\r\n"
                }
                "RSET" => {
                    to.clear();
                    "250 2.0.0 ok\r\n"
                }
                "DATA" if !to.is_empty() => {
                    write.write_all(b"354 go on\r\n").await?;
                    let Some(subject) = content(&mut lines).await? else { return Ok(()) };
                    self.arrived(&from, &to, &subject);
                    to.clear();
                    "250 2.6.0 taken\r\n"
                }
                "QUIT" => {
                    write.write_all(b"221 2.0.0 bye\r\n").await?;
                    return Ok(());
                }
                _ => "500 5.5.1 what?\r\n",
            };
            write.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }

    fn arrived(&self, from: &str, to: &[String], subject: &str) {
        let at = self.clock.now().boot;
        let arrival = |to: &String| Arrival { at, from: from.into(), to: to.clone(), subject: subject.into() };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).extend(to.iter().map(arrival));
    }
}

/// The next line without its end; `None` at the end of the connection.
async fn line<R: tokio::io::AsyncBufRead + Unpin>(from: &mut R) -> io::Result<Option<String>> {
    use tokio::io::AsyncReadExt as _;
    let mut line = Vec::new();
    (&mut *from).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).await?;
    let whole = line.ends_with(b"\r\n");
    Ok(whole.then(|| String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()))
}

/// Reads content up to the lone dot; gives the subject. `None` if the connection ended before.
async fn content<R: tokio::io::AsyncBufRead + Unpin>(from: &mut R) -> io::Result<Option<String>> {
    let mut subject = String::new();
    while let Some(line) = line(from).await? {
        if line == "." {
            return Ok(Some(subject));
        }
        if let Some(text) = line.strip_prefix("Subject: ") {
            text.clone_into(&mut subject);
        }
    }
    Ok(None)
}

/// What stands between the angle brackets.
fn path(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path.to_owned()).unwrap_or_default()
}
