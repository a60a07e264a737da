//! One connection: bytes moved between the socket and the pure session, deadlines kept, questions answered.
//!
//! No rule stands here. Replies are written in one go when there is nothing more to read; an idle session has no buffer.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroize as _;

use super::acceptance::Ended;
use super::client::Client;
use super::collect::Collector;
use super::live::Live;
use super::passwords::Checked;
use super::reports::Report;
use super::settings::ListenTls;
use super::shared::Shared;
use super::stream::Stream;
use crate::smtp::server::{Credentials, Session, Step, TlsState, Transaction, Trust};
use crate::smtp::{Refusal, replies};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// Replies are sent once they are so many, in bytes, even if more is there to read.
const REPLIES_BYTES: usize = 16 * 1024;
/// How long a closing connection waits for what the client has still under way: a socket closed before all is read is
/// reset, and the last reply lost with it.
const LINGER: Duration = Duration::from_secs(2);
/// How much is read and dropped then, in bytes.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// A connection with its session.
pub(super) struct Connection {
    shared: Arc<Shared>,
    live: Arc<Live>,
    listener: ListenTls,
    client: Client,
    stream: Stream,
    session: Session,
    /// What was read; from `at` on it is not used yet.
    held: Vec<u8>,
    at: usize,
    out: Vec<u8>,
    message: Option<Message>,
    /// Until when the command under way must have come, whole. From the last reply on.
    command_until: Option<Instant>,
    draining: bool,
    /// Whether `held` may hold a password.
    secret: bool,
}

struct Message {
    collector: Collector,
    deadline: Instant,
}

/// Why a connection ended before its session did.
enum Gone {
    /// The client closed, or the connection broke.
    Client,
    /// TLS did not come about.
    Tls,
}

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self::Client
    }
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        live: Arc<Live>,
        listener: ListenTls,
        client: Client,
        stream: Stream,
    ) -> Self {
        let tls = match (&stream, &live.tls, listener) {
            (Stream::Tls(_), ..) => TlsState::Active,
            (Stream::Tcp(_), Some(_), ListenTls::StartTls) => TlsState::Offered,
            _ => TlsState::Unavailable,
        };
        let session = Session::new(Arc::clone(&live.smtp), client.rights, tls);
        Self {
            shared,
            live,
            listener,
            client,
            stream,
            session,
            held: Vec::new(),
            at: 0,
            out: Vec::new(),
            message: None,
            command_until: None,
            draining: false,
            secret: false,
        }
    }

    /// Runs the session to its end.
    pub(super) async fn run(mut self) {
        loop {
            let step = unbroken(self.advance()).await;
            let Ok(step) = step else {
                self.broken().await;
                break;
            };
            match step {
                Ok(Next::GoOn) => {}
                Ok(Next::Close) => {
                    let _ = self.send().await;
                    break;
                }
                Ok(Next::Tls) => match self.into_tls().await {
                    Ok(encrypted) => self = encrypted,
                    Err(Gone::Tls | Gone::Client) => return,
                },
                Err(Gone::Client | Gone::Tls) => {
                    self.forget_secret();
                    return;
                }
            }
        }
        self.forget_secret();
        self.linger().await;
    }

    /// One step of the session, with what it asks for. The bytes of a message are copied here and nowhere else.
    async fn advance(&mut self) -> Result<Next, Gone> {
        let mut input = &self.held[self.at..];
        let unread = input.len();
        let step = self.session.feed(&mut input, &mut self.out);
        self.at += unread - input.len();
        match step {
            Step::Content(bytes) => {
                let Some(message) = &mut self.message else { unreachable!("content comes after DATA was let through") };
                message.collector.push(bytes);
                if message.collector.is_full() {
                    message.collector.flush().await;
                }
            }
            Step::Read => {
                if self.is_too_fast() {
                    self.session.too_fast(&mut self.out);
                    return Ok(Next::GoOn);
                }
                self.send().await?;
                self.read().await?;
            }
            Step::DecideAuth(credentials) => {
                let answer = self.check(credentials).await;
                self.session.auth_decided(answer, &mut self.out);
            }
            Step::DecideMail => {
                let answer = self.admit(1);
                self.session.mail_decided(answer, &mut self.out);
            }
            Step::DecideRecipient => {
                let before = self.session.transaction().map_or(0, |t| t.envelope.recipients.len());
                let answer = self.admit(u32::try_from(before + 1).unwrap_or(u32::MAX));
                self.session.recipient_decided(answer, &mut self.out);
            }
            Step::DecideContent => {
                let answer = self.begin_message();
                self.session.content_decided(answer, &mut self.out);
            }
            Step::ContentRefused(reply) => {
                self.message = None;
                self.shared.report(Report::MessageRefused, &self.client.label, &reply.to_string());
            }
            Step::Message(transaction) => self.end_message(*transaction).await,
            Step::StartTls => {
                self.send().await?;
                return Ok(Next::Tls);
            }
            Step::Xclient(told) => {
                self.client.speak_for(&told, &self.live.trust, self.live.auth_means(self.listener));
                self.session.client_judged(self.client.rights, &mut self.out);
            }
            Step::Close => return Ok(Next::Close),
        }
        if self.out.len() > REPLIES_BYTES {
            self.send().await?;
        }
        Ok(Next::GoOn)
    }

    /// Whether so many recipients of this account may wait, where the account is known already.
    fn admit(&self, recipients: u32) -> Result<(), Refusal> {
        let Some(transaction) = self.session.transaction() else { return Ok(()) };
        match self.client.known_account(&self.live.accounts, &self.session, transaction) {
            Some(account) => self.shared.queue.admit(&account, recipients),
            None => Ok(()),
        }
    }

    fn begin_message(&mut self) -> Result<(), Refusal> {
        let told_bytes = self.session.transaction().and_then(|transaction| transaction.declared_bytes);
        let limit = self.live.settings.limits.in_flight_bytes_max;
        let Some(share) = self.shared.in_flight.take(told_bytes, limit) else {
            self.shared.report(Report::MessageRefused, &self.client.label, "too many bytes in flight");
            return Err(Refusal::fixed(replies::IN_FLIGHT_FULL));
        };
        self.message = Some(Message {
            collector: Collector::new(Arc::clone(&self.shared.queue), share, told_bytes),
            deadline: Instant::now() + self.live.settings.timeouts.content,
        });
        Ok(())
    }

    async fn end_message(&mut self, transaction: Transaction) {
        let Some(message) = self.message.take() else { unreachable!("a message ends after DATA was let through") };
        let ended = Ended { session: &self.session, client: &self.client, live: &self.live, transaction };
        let answer = self.shared.take_over(ended, message.collector).await;
        self.session.content_answered(answer, &mut self.out);
    }

    async fn check(&mut self, credentials: Credentials) -> Result<(), Refusal> {
        let (Some(auth), Some(passwords)) = (&self.live.settings.auth, &self.live.passwords) else {
            return Err(Refusal::fixed(replies::AUTH_UNAVAILABLE));
        };
        let (key, label) = (self.client.key, &self.client.label);
        if !self.shared.failures.may_try(key, auth.failures_max, self.shared.clock.now().boot) {
            self.shared.report(Report::AuthPutOff, label, &format!("login {}: too many failures", credentials.login));
            return Err(Refusal::fixed(replies::AUTH_UNAVAILABLE));
        }
        let login = credentials.login.clone();
        match passwords.check(credentials).await {
            Checked::Right => Ok(()),
            Checked::Wrong => {
                self.shared.failures.count(key, self.shared.clock.now().boot);
                self.shared.report(Report::AuthFailed, label, &format!("login {login}"));
                Err(Refusal::fixed(replies::AUTH_FAILED))
            }
            Checked::Busy => {
                self.shared.report(Report::AuthPutOff, label, &format!("login {login}: too many checks wait"));
                Err(Refusal::fixed(replies::AUTH_UNAVAILABLE))
            }
        }
    }

    /// Whether a client that is not trusted sends commands faster than it may.
    fn is_too_fast(&mut self) -> bool {
        let commands = self.session.take_commands();
        let too_fast = self.client.rights.trust == Trust::Plain
            && !self.shared.guards().commands_pass(self.client.key, commands, self.shared.clock.now().boot);
        if too_fast {
            self.shared.report(Report::ClientRefused, &self.client.label, "commands come too fast");
        }
        too_fast
    }

    /// After a panic: nothing that was not answered is taken, and the client is told as much. What the session holds is
    /// not to be relied on any more.
    async fn broken(&mut self) {
        self.message = None;
        self.shared.report(
            Report::Broken,
            &self.client.label,
            "a fault of outguard ended the session; its log says more",
        );
        replies::INTERNAL.write(&mut self.out);
        let _ = self.send().await;
    }

    /// Reads more, or ends the session for its silence, or begins to drain.
    async fn read(&mut self) -> Result<(), Gone> {
        self.secret |= self.session.awaits_secret();
        let idle = self.at == self.held.len() && !self.session.in_content();
        if idle {
            self.forget_secret();
            (self.held, self.out) = (Vec::new(), Vec::new());
        } else {
            self.held.drain(..self.at);
        }
        self.at = 0;
        let timeouts = &self.live.settings.timeouts;
        let now = Instant::now();
        let until = match &self.message {
            Some(message) => message.deadline.min(now + timeouts.content_block),
            // A byte now and then does not make a command.
            None => *self.command_until.get_or_insert(now + timeouts.command),
        };
        let Self { stream, held, .. } = self;
        let read = async {
            if idle {
                stream.read_from_idle(held, READ_BYTES).await
            } else {
                held.reserve(READ_BYTES);
                stream.read_buf(held).await
            }
        };
        tokio::select! {
            biased;
            () = self.shared.drain.cancelled(), if !self.draining => {
                self.draining = true;
                self.session.drain();
            }
            read = timeout_at(until, read) => match read {
                Ok(Ok(0)) => return Err(Gone::Client),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    self.message = None;
                    self.session.timed_out(&mut self.out);
                }
            },
        }
        Ok(())
    }

    /// Sends what was written.
    async fn send(&mut self) -> Result<(), Gone> {
        if self.out.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        let sent = timeout(self.live.settings.timeouts.command, write).await;
        self.out.clear();
        self.command_until = None;
        sent.map_err(|_| Gone::Client)?.map_err(Gone::from)
    }

    /// After STARTTLS was answered.
    async fn into_tls(mut self) -> Result<Self, Gone> {
        let Some(config) = self.live.tls.clone() else { return Err(Gone::Tls) };
        let limit = self.live.settings.timeouts.handshake;
        match timeout(limit, self.stream.into_tls(config)).await {
            Ok(Ok(stream)) => self.stream = stream,
            Ok(Err(error)) => {
                self.shared.report(Report::TlsFailed, &self.client.label, &error.to_string());
                return Err(Gone::Tls);
            }
            Err(_) => {
                self.shared.report(Report::TlsFailed, &self.client.label, "no handshake in time");
                return Err(Gone::Tls);
            }
        }
        (self.held, self.at) = (Vec::new(), 0);
        self.session.tls_started(self.client.rights);
        Ok(self)
    }

    fn forget_secret(&mut self) {
        if self.secret {
            self.held.zeroize();
            self.secret = false;
        }
    }

    async fn linger(mut self) {
        let rest = async {
            self.stream.shutdown().await?;
            let mut dropped = [0; 512];
            let mut total = 0;
            while total < LINGER_BYTES_MAX {
                match self.stream.read(&mut dropped).await? {
                    0 => break,
                    read => total += read,
                }
            }
            Ok::<(), io::Error>(())
        };
        let _ = timeout(LINGER, rest).await;
    }
}

/// A panic in `work` came to an end here: it ends one session, never the relay (invariant 6).
struct Panicked;

async fn unbroken<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        // Nothing is used of the session afterwards but its socket.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(std::task::Poll::Ready(value)) => std::task::Poll::Ready(Ok(value)),
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Err(_) => std::task::Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

enum Next {
    GoOn,
    Tls,
    Close,
}
