//! The next hop: takes everything, keeps the moment at which each number arrived, and no byte more.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::generator::{NUMBER_DIGITS, NUMBER_FIELD};
use super::rig::loopback::own_address;

#[derive(Default)]
struct Arrivals {
    /// When each number came first.
    first: Vec<Option<Instant>>,
    distinct: u64,
    copies: u64,
    last: Option<Instant>,
}

/// A sink on an address of its own, run by the generator's own thread.
pub(crate) struct Sink {
    address: SocketAddr,
    arrivals: Rc<RefCell<Arrivals>>,
    task: tokio::task::AbortHandle,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((own_address(), 2525)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals: Rc<RefCell<Arrivals>> = Rc::default();
        let task = tokio::task::spawn_local({
            let arrivals = Rc::clone(&arrivals);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let arrivals = Rc::clone(&arrivals);
                    // A relay that goes ends the session; what it had not handed over is missed by the count.
                    tokio::task::spawn_local(async move { Session::new(stream, arrivals).run().await });
                }
            }
        });
        Self { address, arrivals, task: task.abort_handle() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until `count` different messages have arrived, as long as any arrives within a minute.
    pub(crate) async fn wait_for(&self, count: u64) {
        let mut seen = 0;
        let mut since = Instant::now();
        loop {
            let now = self.arrivals.borrow().distinct;
            if now >= count {
                return;
            }
            if now > seen {
                (seen, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{now} of {count} messages arrived, then none for 60 s");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn last_arrival(&self) -> Instant {
        self.arrivals.borrow().last.unwrap()
    }

    /// From each planned moment to the arrival of the message, numbers from `first`.
    pub(crate) fn delays_since(&self, planned: &[Instant], first: u64) -> Vec<Duration> {
        let arrivals = self.arrivals.borrow();
        let arrived = arrivals.first.iter().skip(usize::try_from(first).unwrap());
        arrived.zip(planned).filter_map(|(arrived, planned)| Some((*arrived)? - *planned)).collect()
    }

    /// Says where the count of arrivals is not what it should be.
    pub(crate) fn report_oddities(&self, expected: u64) {
        let arrivals = self.arrivals.borrow();
        if arrivals.copies > 0 || arrivals.distinct != expected {
            println!("          {} of {expected} messages, {} second copies", arrivals.distinct, arrivals.copies);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    stream: TcpStream,
    arrivals: Rc<RefCell<Arrivals>>,
    unread: Vec<u8>,
    replies: Vec<u8>,
}

impl Session {
    fn new(stream: TcpStream, arrivals: Rc<RefCell<Arrivals>>) -> Self {
        Self { stream, arrivals, unread: Vec::with_capacity(16 * 1024), replies: Vec::new() }
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.write_all(b"220 sink.example ESMTP\r\n").await?;
        let mut in_content = false;
        loop {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(());
            }
            let mut at = 0;
            loop {
                let rest = &self.unread[at..];
                if in_content {
                    let Some(end) = memmem::find(rest, b"\r\n.\r\n") else { break };
                    self.arrived(at);
                    self.replies.extend_from_slice(b"250 2.0.0 taken\r\n");
                    at += end + 5;
                    in_content = false;
                } else {
                    let Some(end) = memchr::memchr(b'\n', rest) else { break };
                    let reply: &[u8] = match rest.first() {
                        Some(b'E' | b'e') => {
                            b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
                        }
                        Some(b'D' | b'd') => b"354 go ahead\r\n",
                        Some(b'Q' | b'q') => b"221 2.0.0 bye\r\n",
                        _ => b"250 2.0.0 ok\r\n",
                    };
                    in_content = reply.starts_with(b"3");
                    self.replies.extend_from_slice(reply);
                    at += end + 1;
                }
            }
            self.unread.drain(..at);
            if !self.replies.is_empty() {
                self.stream.write_all(&self.replies).await?;
                self.replies.clear();
            }
        }
    }

    fn arrived(&self, content_at: usize) {
        let content = &self.unread[content_at..];
        // The relay's own fields stand above ours, so the number is near the top.
        let Some(field) = memmem::find(content, NUMBER_FIELD) else { return };
        let digits = &content[field + NUMBER_FIELD.len()..][..NUMBER_DIGITS];
        let number: usize = std::str::from_utf8(digits).unwrap().parse().unwrap();
        let mut arrivals = self.arrivals.borrow_mut();
        if arrivals.first.len() <= number {
            arrivals.first.resize(number + 1, None);
        }
        let now = Instant::now();
        if arrivals.first[number].is_none() {
            arrivals.first[number] = Some(now);
            arrivals.distinct += 1;
            arrivals.last = Some(now);
        } else {
            arrivals.copies += 1;
        }
    }
}
