//! A next hop that records what reached it (envelope, bytes, source address, moments) and misbehaves on request.
//!
//! Strict where the relay must be judged: a line ends with CRLF and content with CRLF.CRLF, nothing else. Blocking,
//! one thread a connection: what stands here can be read from top to bottom.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::loopback::own_address;
use super::process::wait_for;
use super::tls::{Certificate, Stream};

/// One message that the sink answered 250 to (or whose content it had, with another answer: see `accepted`).
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The source address of the connection: which egress it left through.
    pub(crate) egress: IpAddr,
    /// The name the relay greeted with.
    pub(crate) ehlo: String,
    pub(crate) tls: bool,
    /// Which connection of the sink it came over, from 1.
    pub(crate) connection: usize,
    /// The reverse-path without its brackets.
    pub(crate) mail_from: String,
    /// What followed the reverse-path: `SIZE=…`, `BODY=…`, `RET=…`, `ENVID=…`.
    pub(crate) mail_parameters: String,
    /// Accepted recipients, without brackets.
    pub(crate) recipients: Vec<String>,
    /// What followed each accepted recipient: `NOTIFY=…`, `ORCPT=…`.
    pub(crate) recipient_parameters: Vec<String>,
    /// Content without dot stuffing and without the final dot.
    pub(crate) content: Vec<u8>,
    /// Whether the answer to the content was 2xx.
    pub(crate) accepted: bool,
    /// Since the sink was made: when MAIL was read.
    pub(crate) mail_ms: u64,
    /// When the final dot was read: the moment at which a network that counts would have counted it.
    pub(crate) content_ms: u64,
}

impl Arrival {
    /// The content below the header fields the relay wrote on top: everything from the line that starts with `mark`.
    pub(crate) fn content_from(&self, mark: &str) -> &[u8] {
        let mark = mark.as_bytes();
        let at = (0..self.content.len())
            .find(|&i| (i == 0 || self.content[i - 1] == b'\n') && self.content[i..].starts_with(mark));
        let at = at.unwrap_or_else(|| panic!("no line starts with {mark:?} in {}", self.text()));
        &self.content[at..]
    }

    /// For people and for searching.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

/// What the sink has just read, and asks its script about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said<'a> {
    /// A connection was opened, the greeting is due.
    Connect,
    /// EHLO or HELO with its name.
    Ehlo(&'a str),
    StartTls,
    /// MAIL with its reverse-path.
    Mail(&'a str),
    /// RCPT with its recipient.
    Rcpt(&'a str),
    Data,
    /// The content is complete; the reverse-path and the recipients it is for.
    Content(&'a str, &'a [String]),
    /// Any other command.
    Other(&'a str),
}

/// What the script makes of it.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// What a friendly server says.
    Usual,
    /// These lines (without CRLF), as they are.
    Say(String),
    /// These bytes in one write, and only then what a friendly server would do.
    Inject(Vec<u8>),
    /// First wait.
    After(Duration, Box<Answer>),
    /// Close without a word.
    Close,
    /// Answer nothing, read nothing, until the peer goes or the sink ends.
    Silence,
    /// For [`Said::Data`]: say 354, read this many bytes of content, close.
    CloseInContent(usize),
}

impl Answer {
    pub(crate) fn say(lines: &str) -> Self {
        Self::Say(lines.to_owned())
    }
}

type Script = dyn Fn(Said<'_>) -> Answer + Send + Sync;

struct Shared {
    start: Instant,
    script: Box<Script>,
    tls: Option<Certificate>,
    arrivals: Mutex<Vec<Arrival>>,
    commands: Mutex<Vec<String>>,
    connections: AtomicUsize,
    /// The numbers of those that are not over.
    live: Mutex<BTreeSet<usize>>,
    open: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

/// A running sink. Dropping it closes its connections.
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Sink {
    /// A friendly one, on an address of its own.
    pub(crate) fn start() -> Self {
        Self::scripted(|_| Answer::Usual)
    }

    pub(crate) fn scripted(script: impl Fn(Said<'_>) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from((own_address(), 2525)), None, script)
    }

    /// One that takes so long for each content, and the most transactions that it ever had under way at once.
    pub(crate) fn slow(each: Duration) -> (Self, Arc<AtomicU32>) {
        let (now, most) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
        let counted = most.clone();
        let sink = Self::scripted(move |said| match said {
            Said::Mail(_) => {
                counted.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                Answer::Usual
            }
            Said::Content(..) => {
                thread::sleep(each);
                now.fetch_sub(1, Ordering::SeqCst);
                Answer::Usual
            }
            _ => Answer::Usual,
        });
        (sink, most)
    }

    /// One that asks for patience at each recipient until the flag is set.
    pub(crate) fn impatient() -> (Self, Arc<AtomicBool>) {
        let patient = Arc::new(AtomicBool::new(false));
        let set = patient.clone();
        let sink = Self::scripted(move |said| match said {
            Said::Rcpt(_) if !set.load(Ordering::SeqCst) => {
                Answer::say("451 4.7.650 temporarily rate limited due to IP reputation")
            }
            _ => Answer::Usual,
        });
        (sink, patient)
    }

    /// One that offers STARTTLS.
    pub(crate) fn with_tls(
        certificate: &Certificate,
        script: impl Fn(Said<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(SocketAddr::from((own_address(), 2525)), Some(certificate.clone()), script)
    }

    pub(crate) fn start_at(
        address: SocketAddr,
        tls: Option<Certificate>,
        script: impl Fn(Said<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("sink at {address}: {e}"));
        let shared = Arc::new(Shared {
            start: Instant::now(),
            script: Box::new(script),
            tls,
            arrivals: Mutex::default(),
            commands: Mutex::default(),
            connections: AtomicUsize::new(0),
            live: Mutex::default(),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything so far, in the order of the final dots.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.shared.arrivals).clone()
    }

    /// How many they are.
    pub(crate) fn arrived(&self) -> usize {
        lock(&self.shared.arrivals).len()
    }

    /// Everything so far that was answered 2xx.
    pub(crate) fn accepted(&self) -> Vec<Arrival> {
        self.arrivals().into_iter().filter(|arrival| arrival.accepted).collect()
    }

    /// Every command line so far, over all connections.
    pub(crate) fn commands(&self) -> Vec<String> {
        lock(&self.shared.commands).clone()
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The numbers of the connections that are open, or of which not all that was sent is read yet.
    pub(crate) fn live(&self) -> BTreeSet<usize> {
        lock(&self.shared.live).clone()
    }

    /// Waits until at least `count` messages were accepted, as long as they come.
    pub(crate) fn wait_accepted(&self, count: usize) -> Vec<Arrival> {
        let accepted = || lock(&self.shared.arrivals).iter().filter(|arrival| arrival.accepted).count();
        let mut here = accepted();
        while here < count {
            let before = here;
            wait_for(&format!("{count} messages at the sink, of which {before} came"), || {
                here = accepted();
                here > before
            });
        }
        self.accepted()
    }

    /// Cuts every open connection, as a next hop that is restarted does.
    pub(crate) fn cut(&self) {
        for socket in lock(&self.shared.open).drain(..) {
            // Gone already is as good.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let Ok(socket) = socket else { continue };
        let connection = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(handle) = socket.try_clone() {
            lock(&shared.open).push(handle);
        }
        let shared = Arc::clone(shared);
        lock(&shared.live).insert(connection);
        thread::spawn(move || {
            // A peer that goes in the middle is part of many tests; what it left behind is in the records.
            let _ = Session::new(&shared, socket, connection).and_then(Session::run);
            lock(&shared.live).remove(&connection);
        });
    }
}

struct Session<'a> {
    shared: &'a Shared,
    stream: Stream,
    unread: Vec<u8>,
    egress: IpAddr,
    connection: usize,
    ehlo: String,
    mail: Option<(String, String, u64)>,
    recipients: Vec<(String, String)>,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, socket: TcpStream, connection: usize) -> io::Result<Self> {
        let egress = socket.peer_addr()?.ip();
        let stream = Stream::Plain(socket);
        stream.set_patience(PATIENCE * 5);
        let (ehlo, unread, recipients) = (String::new(), Vec::new(), Vec::new());
        Ok(Self { shared, stream, unread, egress, connection, ehlo, mail: None, recipients })
    }

    fn run(mut self) -> io::Result<()> {
        self.answer(Said::Connect, "220 sink.example ESMTP")?;
        loop {
            let line = self.line()?;
            lock(&self.shared.commands).push(line.clone());
            let upper = line.to_ascii_uppercase();
            if upper.starts_with("EHLO ") || upper.starts_with("HELO ") {
                line[5..].trim().clone_into(&mut self.ehlo);
                self.forget();
                let starttls = if self.shared.tls.is_some() && !self.stream.is_tls() { "250-STARTTLS\r\n" } else { "" };
                let usual = format!(
                    "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n{starttls}\
                     250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN"
                );
                let ehlo = self.ehlo.clone();
                self.answer(Said::Ehlo(&ehlo), &usual)?;
            } else if upper == "STARTTLS" {
                self.start_tls()?;
            } else if upper.starts_with("MAIL FROM:") {
                let (path, parameters) = split_path(&line[10..]);
                if self.answer(Said::Mail(&path), "250 2.1.0 ok")? {
                    self.mail = Some((path, parameters, self.now_ms()));
                }
            } else if upper.starts_with("RCPT TO:") {
                let (path, parameters) = split_path(&line[8..]);
                if self.mail.is_none() {
                    self.say("503 5.5.1 MAIL first")?;
                } else if self.answer(Said::Rcpt(&path), "250 2.1.5 ok")? {
                    self.recipients.push((path, parameters));
                }
            } else if upper == "DATA" {
                self.data()?;
            } else if upper == "RSET" {
                self.forget();
                self.answer(Said::Other(&line), "250 2.0.0 ok")?;
            } else if upper == "QUIT" {
                self.answer(Said::Other(&line), "221 2.0.0 bye")?;
                return Ok(());
            } else {
                let usual = if upper == "NOOP" { "250 2.0.0 ok" } else { "500 5.5.2 what?" };
                self.answer(Said::Other(&line), usual)?;
            }
        }
    }

    fn start_tls(&mut self) -> io::Result<()> {
        let Some(certificate) = self.shared.tls.clone() else { return self.say("502 5.5.1 no TLS here") };
        if !self.answer(Said::StartTls, "220 2.0.0 go ahead")? {
            return Ok(());
        }
        self.unread.clear();
        self.forget();
        // A socket for the moment of the exchange; it is never read.
        let stand_in = Stream::Plain(self.stream.socket().try_clone()?);
        let plain = std::mem::replace(&mut self.stream, stand_in);
        self.stream = plain.accept_tls(certificate.server())?;
        Ok(())
    }

    fn data(&mut self) -> io::Result<()> {
        if self.recipients.is_empty() {
            return self.say("554 5.5.1 no recipients");
        }
        if let Answer::CloseInContent(bytes) = (self.shared.script)(Said::Data) {
            self.say("354 go ahead")?;
            while self.unread.len() < bytes {
                self.fill()?;
            }
            self.stream.cut();
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if !self.answer(Said::Data, "354 go ahead")? {
            return Ok(());
        }
        let content = self.content()?;
        let content_ms = self.now_ms();
        let (mail_from, mail_parameters, mail_ms) = self.mail.take().expect("recipients stand only below MAIL");
        let (recipients, recipient_parameters): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.recipients).into_iter().unzip();
        let at = {
            let mut arrivals = lock(&self.shared.arrivals);
            arrivals.push(Arrival {
                egress: self.egress,
                ehlo: self.ehlo.clone(),
                tls: self.stream.is_tls(),
                connection: self.connection,
                mail_from: mail_from.clone(),
                mail_parameters,
                recipients: recipients.clone(),
                recipient_parameters,
                content,
                accepted: false,
                mail_ms,
                content_ms,
            });
            arrivals.len() - 1
        };
        // Written down as accepted before the answer leaves: an answer that is lost does not undo an arrival.
        let answer = (self.shared.script)(Said::Content(&mail_from, &recipients));
        lock(&self.shared.arrivals)[at].accepted = match &answer {
            // Taken, and the word of it lost: the case that costs a second copy.
            Answer::Usual | Answer::Close => true,
            Answer::Say(text) => text.starts_with('2'),
            Answer::After(_, then) => matches!(**then, Answer::Usual | Answer::Close),
            _ => false,
        };
        self.act(answer, "250 2.0.0 taken").map(drop)
    }

    /// Asks the script and does what it says; whether the answer was positive.
    fn answer(&mut self, said: Said<'_>, usual: &str) -> io::Result<bool> {
        let answer = (self.shared.script)(said);
        self.act(answer, usual)
    }

    fn act(&mut self, answer: Answer, usual: &str) -> io::Result<bool> {
        match answer {
            Answer::Usual => self.say(usual)?,
            Answer::Say(lines) => {
                self.say(&lines)?;
                return Ok(lines.starts_with('2') || lines.starts_with('3'));
            }
            Answer::Inject(bytes) => self.stream.write_all(&bytes)?,
            Answer::After(time, then) => {
                thread::sleep(time);
                return self.act(*then, usual);
            }
            Answer::Close | Answer::CloseInContent(_) => {
                self.stream.cut();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Answer::Silence => loop {
                self.fill()?;
                self.unread.clear();
            },
        }
        Ok(true)
    }

    fn say(&mut self, lines: &str) -> io::Result<()> {
        self.stream.write_all(format!("{lines}\r\n").as_bytes())?;
        self.stream.flush()
    }

    fn forget(&mut self) {
        self.mail = None;
        self.recipients.clear();
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n", 0) {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.fill()?;
        }
    }

    /// Content up to CRLF.CRLF, stuffing removed. The CRLF before the final dot belongs to the content.
    fn content(&mut self) -> io::Result<Vec<u8>> {
        let mut seen = 0;
        let end = loop {
            if self.unread.starts_with(b".\r\n") {
                break 0;
            }
            if let Some(at) = find(&self.unread, b"\r\n.\r\n", seen) {
                break at + 2;
            }
            seen = self.unread.len().saturating_sub(4);
            self.fill()?;
        };
        let stuffed: Vec<u8> = self.unread.drain(..end + 3).take(end).collect();
        let mut content = Vec::with_capacity(stuffed.len());
        let mut rest = &stuffed[..];
        while !rest.is_empty() {
            let line_end = find(rest, b"\r\n", 0).map_or(rest.len(), |at| at + 2);
            let line = &rest[..line_end];
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            rest = &rest[line_end..];
        }
        Ok(content)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.shared.start.elapsed().as_millis()).expect("no test runs that long")
    }
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(&bytes[from..], what).map(|at| from + at)
}

/// `<path> parameters`, without brackets.
fn split_path(argument: &str) -> (String, String) {
    let argument = argument.trim();
    let end = argument.rfind("> ").map_or(argument.len(), |at| at + 1);
    let path = argument[..end].trim_start_matches('<').trim_end_matches('>');
    (path.to_owned(), argument[end..].trim().to_owned())
}

/// The address of a peer that nobody listens on.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from((own_address(), 2525))
}
