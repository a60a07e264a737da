//! The client's side: connections that stay open, messages that are made once, and a clock around each answer.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::measure::Percentiles;

/// Content of one message on the wire, final dot included.
const CONTENT_BYTES: usize = 4096;
/// Senders that take turns: enough that no line stands alone, few enough that none is a rotating sender.
const SENDERS: u64 = 10;
/// Where the message's number stands, for the sink.
pub(crate) const NUMBER_FIELD: &[u8] = b"X-Load: ";
/// Digits of the number.
pub(crate) const NUMBER_DIGITS: usize = 12;

/// Whether a client waits for each answer (four round trips a message) or sends ahead as RFC 2920 lets it (one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipelining {
    On,
    Off,
}

impl fmt::Display for Pipelining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Self::On { "pipelined" } else { "in turn" })
    }
}

/// How a relay is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) to: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) pipelining: Pipelining,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// From the final dot (at a fixed rate: from the planned moment) to the 250.
    pub(crate) acks: Percentiles,
    accepted: u64,
    /// At a fixed rate: when each message was due.
    pub(crate) planned: Vec<Instant>,
    /// At a fixed rate: how late a message was at most before it found a free connection.
    pub(crate) behind_max: Duration,
}

impl Run {
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }
}

impl Load {
    pub(crate) fn numbered_from(self, first: u64) -> Numbered {
        Numbered { load: self, first }
    }

    pub(crate) async fn for_time(self, time: Duration) -> Run {
        self.numbered_from(0).for_time(time).await
    }
}

/// A load whose messages carry numbers from a first one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered {
    load: Load,
    first: u64,
}

impl Numbered {
    /// Each connection sends its next message as soon as the one before is answered.
    pub(crate) async fn for_time(self, time: Duration) -> Run {
        let next = Rc::new(Cell::new(self.first));
        let acks = Rc::new(RefCell::new(Vec::with_capacity(1 << 20)));
        let clients = self.open().await;
        let end = Instant::now() + time;
        let mut tasks = JoinSet::new();
        for mut client in clients {
            let (next, acks) = (Rc::clone(&next), Rc::clone(&acks));
            tasks.spawn_local(async move {
                while Instant::now() < end {
                    let number = next.replace(next.get() + 1);
                    let sent = client.send(number, self.load.pipelining).await;
                    acks.borrow_mut().push(sent.elapsed());
                }
            });
        }
        tasks.join_all().await;
        Run { accepted: next.get() - self.first, acks: Percentiles::of(acks.take()), ..Run::default() }
    }

    /// `count` messages at planned moments, whether or not those before are answered.
    pub(crate) async fn at_rate(self, per_second: u64, count: u64) -> Run {
        let clients = self.open().await;
        let start = Instant::now();
        let planned: Vec<Instant> =
            (0..count).map(|i| start + Duration::from_nanos(i * 1_000_000_000 / per_second)).collect();
        let (due, waiting) = mpsc::unbounded_channel();
        let waiting = Rc::new(Mutex::new(waiting));
        let acks = Rc::new(RefCell::new(Vec::with_capacity(planned.len())));
        let behind_max = Rc::new(Cell::new(Duration::ZERO));
        let mut tasks = JoinSet::new();
        for mut client in clients {
            let (waiting, acks, behind_max) = (Rc::clone(&waiting), Rc::clone(&acks), Rc::clone(&behind_max));
            tasks.spawn_local(async move {
                loop {
                    let next: Option<(u64, Instant)> = waiting.lock().await.recv().await;
                    let Some((number, at)) = next else { return };
                    behind_max.set(behind_max.get().max(at.elapsed()));
                    client.send(number, self.load.pipelining).await;
                    acks.borrow_mut().push(at.elapsed());
                }
            });
        }
        for (&at, number) in planned.iter().zip(self.first..) {
            if at > Instant::now() {
                tokio::time::sleep_until(at.into()).await;
            }
            due.send((number, at)).unwrap();
        }
        drop(due);
        tasks.join_all().await;
        Run { accepted: count, acks: Percentiles::of(acks.take()), planned, behind_max: behind_max.get() }
    }

    async fn open(self) -> Vec<Client> {
        greeted(self.load.to, self.load.connections).await
    }
}

/// Opens connections and says EHLO on each.
pub(crate) async fn greeted(to: SocketAddr, connections: usize) -> Vec<Client> {
    let mut clients = Vec::with_capacity(connections);
    for i in 0..connections {
        clients.push(Client::greeted(to).await.unwrap_or_else(|e| panic!("connection {i} to {to}: {e}")));
    }
    clients
}

/// One connection after EHLO.
pub(crate) struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
    /// Envelope and content of every sender, made once; only the number is written anew.
    messages: Rc<[Message]>,
}

struct Message {
    envelope: Vec<u8>,
    content: Vec<u8>,
    number_at: usize,
}

thread_local! {
    static MESSAGES: Rc<[Message]> = (0..SENDERS).map(Message::from_sender).collect();
}

impl Message {
    fn from_sender(sender: u64) -> Self {
        let envelope =
            format!("MAIL FROM:<sender{sender}@example.com>\r\nRCPT TO:<reader@example.net>\r\nDATA\r\n").into_bytes();
        let mut content = Vec::with_capacity(CONTENT_BYTES + 100);
        content.extend_from_slice(NUMBER_FIELD);
        let number_at = content.len();
        content.extend_from_slice(&[b'0'; NUMBER_DIGITS]);
        content.extend_from_slice(
            format!(
                "\r\nFrom: sender{sender}@example.com\r\nTo: reader@example.net\r\nSubject: load\r\n\
                 Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <load.{sender}@example.com>\r\n\r\n"
            )
            .as_bytes(),
        );
        while content.len() < CONTENT_BYTES - 75 {
            content.extend_from_slice(b"A line of an ordinary length, as people and programs write them daily.\r\n");
        }
        content.extend_from_slice(b".\r\n");
        Self { envelope, content, number_at }
    }
}

impl Client {
    async fn greeted(to: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let mut this = Self { stream, heard: Vec::with_capacity(512), messages: MESSAGES.with(Rc::clone) };
        this.hear(1, 220).await?;
        this.stream.write_all(b"EHLO load.example\r\n").await?;
        this.hear(1, 250).await?;
        // A session that idles holds as little here as can be: the relay is what is measured.
        this.heard = Vec::new();
        Ok(this)
    }

    /// Sends message `number`; the moment its final dot was written, once it is answered 250.
    pub(crate) async fn send(&mut self, number: u64, pipelining: Pipelining) -> Instant {
        let messages = Rc::clone(&self.messages);
        let message = &messages[usize::try_from(number % SENDERS).unwrap()];
        let mut wire = Vec::with_capacity(message.content.len());
        wire.extend_from_slice(&message.content);
        let digits = format!("{number:0NUMBER_DIGITS$}");
        wire[message.number_at..message.number_at + NUMBER_DIGITS].copy_from_slice(digits.as_bytes());

        self.converse(message, &wire, pipelining).await.unwrap_or_else(|e| panic!("message {number}: {e}"))
    }

    async fn converse(&mut self, message: &Message, wire: &[u8], pipelining: Pipelining) -> std::io::Result<Instant> {
        match pipelining {
            Pipelining::On => {
                self.stream.write_all(&message.envelope).await?;
                self.hear(3, 354).await?;
            }
            Pipelining::Off => {
                for (command, code) in message.envelope.split_inclusive(|&byte| byte == b'\n').zip([250, 250, 354]) {
                    self.stream.write_all(command).await?;
                    self.hear(1, code).await?;
                }
            }
        }
        self.stream.write_all(wire).await?;
        let sent = Instant::now();
        self.hear(1, 250).await?;
        Ok(sent)
    }

    /// Hears `count` replies, of which the last must have `code`.
    async fn hear(&mut self, count: usize, code: u16) -> std::io::Result<()> {
        self.heard.clear();
        loop {
            if self.stream.read_buf(&mut self.heard).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if !self.heard.ends_with(b"\r\n") {
                continue;
            }
            let ends = |line: &&[u8]| line.get(3) == Some(&b' ');
            let mut finals = self.heard.split(|&byte| byte == b'\n').filter(ends);
            let seen = finals.clone().count();
            if seen >= count || finals.clone().any(|line| matches!(line.first(), Some(b'4' | b'5'))) {
                let last = finals.next_back().unwrap_or_default();
                if seen == count && last.starts_with(code.to_string().as_bytes()) {
                    return Ok(());
                }
                return Err(std::io::Error::other(String::from_utf8_lossy(&self.heard).into_owned()));
            }
        }
    }
}
