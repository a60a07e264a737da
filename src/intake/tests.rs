//! Intake over real sockets, before a queue that keeps what it is given in memory.

#![cfg(test)]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use argon2::password_hash::PasswordHasher as _;
use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::judge::{Asked, JudgeFuture, Judged, Mark};
use super::settings::{AuthSettings, ListenAt, ListenSettings, ListenTls, PaceOfClient, TlsFiles};
use super::stream::Stream;
use super::*;
use crate::account::{Account, AccountSource, RotationSettings};
use crate::clock::{Now, SystemClock, WallMs};
use crate::dispatch::{self, Class, ClassSettings};
use crate::event::Event;
use crate::guard::{Decision, Verdict};
use crate::mail::{Envelope, QueueId};
use crate::smtp::{Refusal, replies};
use crate::store::{Acceptance, Body, Destination, SpoolWriter, StoreError, StoreFuture, Stored};

#[derive(Default)]
struct Fake {
    ids: AtomicU64,
    accepted: Mutex<Vec<Acceptance>>,
    spooled: Mutex<usize>,
    refuse_admission_of: Mutex<Option<String>>,
    panics: AtomicBool,
    /// Account, client, size and text of what was judged.
    judged: Mutex<Vec<WasJudged>>,
    /// What was judged and could not be stored.
    not_taken: Mutex<Vec<Mark>>,
    fail_accept: Mutex<Option<StoreError>>,
    /// Accepting waits for this, where it is set.
    hold: Mutex<Option<Arc<Notify>>>,
}

type WasJudged = (String, Option<std::net::IpAddr>, u64, String);

struct FakeSpool(Vec<u8>);

impl SpoolWriter for FakeSpool {
    fn write(&mut self, bytes: Bytes) -> StoreFuture<'_, ()> {
        self.0.extend_from_slice(&bytes);
        Box::pin(async { Ok(()) })
    }

    fn finish(self: Box<Self>) -> StoreFuture<'static, Body> {
        Box::pin(async move { Ok(Body::Inline(self.0.into())) })
    }
}

struct FakeQueue(Arc<Fake>);

impl Queue for FakeQueue {
    fn allocate(&self) -> Result<QueueId, StoreError> {
        Ok(QueueId::new(self.0.ids.fetch_add(1, Ordering::Relaxed)).unwrap())
    }

    fn spool(&self, _: QueueId) -> StoreFuture<'_, Box<dyn SpoolWriter>> {
        *self.0.spooled.lock().unwrap() += 1;
        Box::pin(async { Ok(Box::new(FakeSpool(Vec::new())) as Box<dyn SpoolWriter>) })
    }

    fn admit(&self, account: &Account, _: u32) -> Result<(), Refusal> {
        assert!(!self.0.panics.load(Ordering::Relaxed), "a fault that a test asked for");
        match &*self.0.refuse_admission_of.lock().unwrap() {
            Some(name) if name == account.as_str() => Err(Refusal::STORE_FULL),
            _ => Ok(()),
        }
    }

    fn destinations(&self, _: &Account, envelope: &Envelope, _: Option<&str>) -> Vec<Destination> {
        envelope.recipients.iter().map(|_| Destination("smarthost".into())).collect()
    }

    fn class(&self, head: &[u8], message_bytes: u64, recipients: usize) -> Class {
        dispatch::classify(&ClassSettings::default(), head, message_bytes, recipients)
    }

    fn accept(&self, acceptance: Acceptance) -> StoreFuture<'_, Stored<QueueId>> {
        Box::pin(async move {
            let hold = self.0.hold.lock().unwrap().clone();
            if let Some(hold) = hold {
                hold.notified().await;
            }
            if let Some(error) = self.0.fail_accept.lock().unwrap().clone() {
                return Err(error);
            }
            let id = acceptance.id;
            self.0.accepted.lock().unwrap().push(acceptance);
            Ok(Stored::pretended(id))
        })
    }

    fn note(&self, _: Event, _: Now) {}
}

/// Sends everything, but what a test asks to be refused; tells what it was asked.
struct FakeJudge(Arc<Fake>);

impl Judge for FakeJudge {
    fn bytes_max(&self) -> usize {
        1 << 20
    }

    fn judge<'a>(&'a self, asked: Asked<'a>) -> JudgeFuture<'a> {
        Box::pin(async move {
            let text = String::from_utf8_lossy(&asked.bytes).into_owned();
            self.0.judged.lock().unwrap().push((asked.account.to_string(), asked.client, asked.message_bytes, text));
            if asked.bytes.windows(8).any(|word| word == b"REFUSEME") {
                return Judged::Refused(Refusal::fixed(replies::JUDGED_SPAM));
            }
            let verdict = Verdict { decision: Decision::Send, score_points: 7, reasons: Vec::new() };
            Judged::Verdict { verdict, fields: "X-Judged: yes\r\n".to_owned(), mark: Mark(7), destinations: None }
        })
    }

    fn not_taken(&self, mark: Mark) {
        self.0.not_taken.lock().unwrap().push(mark);
    }
}

struct Rig {
    intake: Intake,
    fake: Arc<Fake>,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Intake on a free port of loopback. The tests' own user is trusted only if they ask for it.
    fn start(change: impl FnOnce(&mut IntakeSettings, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = IntakeSettings { own_name: "relay.example".into(), ..IntakeSettings::default() };
        let at = ListenAt::Tcp("127.0.0.1:0".parse().unwrap());
        settings.listen = vec![ListenSettings { at, tls: ListenTls::StartTls }];
        settings.trust.trusted_uids = Vec::new();
        change(&mut settings, folder.path());
        let sockets = Intake::bind(&settings).unwrap();
        let address = sockets[0].local_addr().unwrap_or(SocketAddr::from(([0; 4], 0)));
        let fake = Arc::new(Fake::default());
        let intake = Intake::new(Parts {
            settings,
            accounts: AccountSettings::default(),
            rotation: Rotation::new(RotationSettings::default(), WallMs(0)),
            queue: Arc::new(FakeQueue(Arc::clone(&fake))),
            judge: Arc::new(FakeJudge(Arc::clone(&fake))),
            clock: Arc::new(SystemClock::new().unwrap()),
        })
        .unwrap();
        intake.serve(sockets).unwrap();
        Self { intake, fake, address, folder }
    }

    async fn connect(&self) -> Talk<TcpStream> {
        Talk { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// Connected, greeted, and past EHLO.
    async fn hello(&self) -> Talk<TcpStream> {
        let mut talk = self.connect().await;
        talk.expect("220 relay.example ").await;
        talk.say("EHLO client.example", "250").await;
        talk
    }

    fn accepted(&self) -> Vec<Acceptance> {
        std::mem::take(&mut self.fake.accepted.lock().unwrap())
    }
}

struct Talk<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads one reply, all its lines.
    async fn reply(&mut self) -> String {
        let mut text = String::new();
        loop {
            let start = text.len();
            while !text.ends_with("\r\n") || text.len() == start {
                match self.stream.read_u8().await {
                    Ok(byte) => text.push(byte.into()),
                    Err(_) => return text,
                }
            }
            if text.as_bytes().get(start + 3) != Some(&b'-') {
                return text;
            }
        }
    }

    async fn expect(&mut self, start: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "{reply:?} where {start:?} should be");
        reply
    }

    async fn say(&mut self, line: &str, start: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        self.expect(start).await
    }

    /// Sends a whole message in the pipelined way and gives the last reply.
    async fn message(&mut self, content: &[u8]) -> String {
        self.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n").await;
        self.expect("250 2.1.0").await;
        self.expect("250 2.1.5").await;
        self.expect("354").await;
        self.send([content, b".\r\n"].concat()).await;
        self.reply().await
    }

    async fn is_closed(&mut self) -> bool {
        self.stream.read_u8().await.is_err()
    }
}

fn inline(body: &Body) -> &[u8] {
    match body {
        Body::Inline(bytes) => bytes,
        Body::Spooled(_) => panic!("the fake spools in memory"),
    }
}

fn own_user() -> String {
    let uid = nix::unistd::Uid::current().as_raw();
    peer::user_name(uid).unwrap_or(uid.to_string())
}

#[tokio::test]
async fn a_message_is_taken_as_it_came_with_our_field_before_it() {
    let rig = Rig::start(|settings, _| settings.trust.trusted_uids = vec![own_user()]);
    let mut talk = rig.hello().await;
    talk.say("XFORWARD IDENT=4bXyz", "250").await;
    let content = b"Received: by mx (Postfix, from userid 33)\r\n\tid 4bXyz; x\r\nMessage-ID: <1@x>\r\nList-Id: x\r\n\r\n..dot\r\n\xff\r\n";
    assert_eq!(talk.message(content).await, "250 2.6.0 queued as 0000000000\r\n");
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!(
        inline(&taken.body),
        [&content[..content.len() - 10], b".dot\r\n\xff\r\n".as_slice()].concat().as_slice()
    );
    assert_eq!((taken.mta_id.as_deref(), taken.message_id.as_deref()), (Some("4bXyz"), Some("<1@x>")));
    assert_eq!((taken.source, taken.class), (AccountSource::LocalUser, 1));
    assert_eq!((taken.client.as_str(), taken.destinations.len()), ("127.0.0.1", 1));
    let prefix = String::from_utf8(taken.prefix.to_vec()).unwrap();
    let start = "Received: from client.example ([127.0.0.1])\r\n\tby relay.example (outguard) with ESMTP id 0000000000";
    assert!(prefix.starts_with(start) && prefix.ends_with("\r\n"), "{prefix}");
}

#[tokio::test]
async fn another_local_user_speaks_for_itself_alone() {
    let rig = Rig::start(|_, _| {});
    let mut talk = rig.hello().await;
    talk.say("XCLIENT ADDR=192.0.2.1", "550 5.7.0").await;
    talk.say("XFORWARD IDENT=4bXyz", "550 5.7.0").await;
    talk.send("MAIL FROM:<boss@example.org> AUTH=boss\r\nRCPT TO:<b@example.net>\r\nDATA\r\n").await;
    for start in ["250", "250", "354"] {
        talk.expect(start).await;
    }
    talk.say("X: y\r\n\r\n.", "250 2.6.0").await;
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!((taken.account, taken.source), (Account::of_user(&own_user()), AccountSource::LocalUser));
}

#[tokio::test]
async fn trust_is_judged_anew_after_xclient() {
    let rig = Rig::start(|settings, _| settings.trust.trusted_uids = vec![own_user()]);
    let mut talk = rig.hello().await;
    talk.say("XCLIENT ADDR=192.0.2.1", "554 5.7.1").await;
    assert!(talk.is_closed().await);

    let mut talk = rig.hello().await;
    talk.say("XCLIENT ADDR=192.0.2.1 LOGIN=ann@example.org", "220").await;
    let hello = talk.say("EHLO pc", "250").await;
    assert!(!hello.contains("XCLIENT"), "{hello}");
    talk.say("XCLIENT ADDR=127.0.0.1", "550 5.7.0").await;
    assert!(talk.message(b"X: y\r\n\r\n").await.starts_with("250"));
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!((taken.account.as_str(), taken.source), ("ann@example.org", AccountSource::Xclient));
    assert_eq!(taken.client, "192.0.2.1");
}

#[tokio::test]
async fn a_trusted_client_is_believed_about_the_login() {
    let rig = Rig::start(|settings, _| settings.trust.trusted_uids = vec![own_user()]);
    let mut talk = rig.hello().await;
    talk.send("MAIL FROM:<x@example.org> AUTH=ann+40example.org\r\nRCPT TO:<b@example.net>\r\nDATA\r\n.\r\n").await;
    for start in ["250 2.1.0", "250 2.1.5", "354", "250 2.6.0"] {
        talk.expect(start).await;
    }
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!((taken.account.as_str(), taken.source), ("ann@example.org", AccountSource::MailAuth));
}

#[tokio::test]
async fn a_stranger_is_told_554_and_goes() {
    let rig = Rig::start(|settings, _| settings.trust.relay_networks = Vec::new());
    let mut talk = rig.connect().await;
    talk.expect("554 5.7.1").await;
    assert!(talk.is_closed().await);
}

fn with_tls_and_passwords(settings: &mut IntakeSettings, folder: &Path) -> rustls::pki_types::CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(vec!["relay.example".into()]).unwrap();
    let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    let cheap = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash = argon2.hash_password_with_salt(b"secret", b"0123456789abcdef").unwrap();
    let auth = AuthSettings { failures_max: 2, ..AuthSettings::with_file(folder.join("passwords")) };
    std::fs::write(&auth.password_file, format!("user:{hash}\n")).unwrap();
    (settings.tls, settings.auth) = (Some(files), Some(auth));
    pair.cert.der().clone()
}

async fn over_tls(
    stream: TcpStream,
    certificate: rustls::pki_types::CertificateDer<'static>,
) -> Talk<impl AsyncRead + AsyncWrite + Unpin> {
    let config = crate::sockets::self_signed::trusting(&[certificate]);
    let name = ServerName::try_from("relay.example").unwrap();
    Talk { stream: TlsConnector::from(config).connect(name, stream).await.unwrap() }
}

const PLAIN_RIGHT: &str = "AUTH PLAIN AHVzZXIAc2VjcmV0";
const PLAIN_WRONG: &str = "AUTH PLAIN AHVzZXIAd3Jvbmc=";

#[tokio::test]
async fn plaintext_behind_starttls_is_gone_and_auth_works_over_tls() {
    let mut certificate = None;
    let rig = Rig::start(|settings, folder| certificate = Some(with_tls_and_passwords(settings, folder)));
    let mut talk = rig.hello().await;
    talk.send("STARTTLS\r\nEHLO injected\r\nMAIL FROM:<evil@example.org>\r\n").await;
    talk.expect("220 2.0.0").await;
    let mut talk = over_tls(talk.stream, certificate.unwrap()).await;
    talk.say("MAIL FROM:<a@example.org>", "503").await; // the injected EHLO is forgotten
    assert!(!talk.say("EHLO client.example", "250").await.contains("STARTTLS"));
    talk.say(PLAIN_WRONG, "535 5.7.8").await;
    talk.say(PLAIN_RIGHT, "235 2.7.0").await;
    assert!(talk.message(b"X: y\r\n\r\n").await.starts_with("250"));
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!((taken.account.as_str(), taken.source), ("user", AccountSource::Login));
    assert!(String::from_utf8_lossy(&taken.prefix).contains(" with ESMTPSA id "));
    let large = b"0123456789\r\n".repeat(20_000);
    assert!(talk.message(&large).await.starts_with("250"), "many records, in any cut");
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!(inline(&taken.body), large);
    talk.say("QUIT", "221").await;
}

#[tokio::test]
async fn implicit_tls_and_failures_that_are_put_off() {
    let mut certificate = None;
    let rig = Rig::start(|settings, folder| {
        certificate = Some(with_tls_and_passwords(settings, folder));
        settings.listen[0].tls = ListenTls::Implicit;
        settings.trust.relay_networks = Vec::new();
    });
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let mut talk = over_tls(stream, certificate.unwrap()).await;
    talk.expect("220").await;
    talk.say("EHLO client.example", "250").await;
    talk.say("MAIL FROM:<a@example.org>", "530 5.7.0").await;
    talk.say(PLAIN_WRONG, "535").await;
    talk.say(PLAIN_WRONG, "535").await;
    talk.say(PLAIN_RIGHT, "454 4.7.0").await; // two failures are the limit here
}

#[tokio::test]
async fn large_goes_to_the_spool_and_too_large_is_refused() {
    let rig = Rig::start(|settings, _| settings.limits.message_bytes_max = 300_000);
    let mut talk = rig.hello().await;
    let line = [b"x".repeat(98).as_slice(), b"\r\n"].concat();
    let fits = line.repeat(3_000);
    assert!(talk.message(&fits).await.starts_with("250 2.6.0"));
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!((inline(&taken.body), *rig.fake.spooled.lock().unwrap()), (fits.as_slice(), 1));
    assert_eq!(talk.message(&line.repeat(3_001)).await, "552 5.3.4 message too large\r\n");
    talk.say("MAIL FROM:<a@example.org> SIZE=300001", "552 5.3.4").await;
    assert!(rig.accepted().is_empty());
    assert_eq!(rig.intake.in_flight_bytes(), 0);
}

#[tokio::test]
async fn stray_line_breaks_and_loops_are_refused() {
    let rig = Rig::start(|settings, _| settings.limits.received_max = 3);
    let mut talk = rig.hello().await;
    assert!(talk.message(b"x\n.\nMAIL FROM:<evil@example.org>\r\n").await.starts_with("550 5.6.0"));
    assert!(talk.message(&b"Received: x\r\n".repeat(4)).await.starts_with("554 5.4.6"));
    assert!(talk.message(&b"Received: x\r\n".repeat(3)).await.starts_with("250"));
    assert_eq!(rig.accepted().len(), 1);
    assert_eq!(rig.intake.in_flight_bytes(), 0);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded() {
    let rig = Rig::start(|settings, _| settings.limits.in_flight_bytes_max = 1_000);
    let (mut a, mut b) = (rig.hello().await, rig.hello().await);
    let begin = "MAIL FROM:<a@example.org> SIZE=600\r\nRCPT TO:<b@example.net>\r\nDATA\r\n";
    for (talk, last) in [(&mut a, "354"), (&mut b, "452 4.3.1")] {
        talk.send(begin).await;
        for start in ["250", "250", last] {
            talk.expect(start).await;
        }
    }
    a.say(".", "250 2.6.0").await;
    b.send(begin).await;
    for start in ["250", "250", "354"] {
        b.expect(start).await;
    }
}

#[tokio::test]
async fn what_the_store_refuses_is_the_clients_to_keep() {
    let rig = Rig::start(|_, _| {});
    let mut talk = rig.hello().await;
    *rig.fake.fail_accept.lock().unwrap() = Some(StoreError::Unknown { detail: "/var/lib/outguard: EIO".into() });
    let reply = talk.message(b"X: y\r\n\r\n").await;
    assert!(reply.starts_with("451 4.3.0") && !reply.contains("EIO"), "{reply}");
    assert_eq!(*rig.fake.not_taken.lock().unwrap(), [Mark(7)], "the judge knows that it comes again");
    *rig.fake.fail_accept.lock().unwrap() = None;
    assert!(talk.message(b"X: y\r\n\r\n").await.starts_with("250"));
    assert_eq!(rig.fake.not_taken.lock().unwrap().len(), 1);
    *rig.fake.refuse_admission_of.lock().unwrap() = Some(format!("uid:{}", own_user()));
    talk.say("MAIL FROM:<a@example.org>", "452 4.3.1").await;
}

#[tokio::test]
async fn a_reverse_path_is_asked_for_only_once_the_header_is_known() {
    let rig = Rig::start(|settings, _| settings.trust.trusted_uids = vec![own_user()]);
    let mut talk = rig.hello().await;
    *rig.fake.refuse_admission_of.lock().unwrap() = Some("a@example.org".into());
    assert!(talk.message(b"X: y\r\n\r\n").await.starts_with("452 4.3.1"), "after the content, not before");
}

#[tokio::test]
async fn connections_of_one_client_are_bounded() {
    let rig = Rig::start(|settings, _| settings.limits.connections_of_client_max = 2);
    let (a, _b) = (rig.hello().await, rig.hello().await);
    let mut refused = rig.connect().await;
    assert_eq!(refused.reply().await, "421 4.7.0 too many connections, try again later\r\n");
    drop(a);
    while rig.intake.connections() > 1 {
        tokio::task::yield_now().await;
    }
    rig.hello().await;
}

#[tokio::test]
async fn silence_ends_a_session() {
    let rig = Rig::start(|settings, _| {
        // The rig's own commands have no longer than that.
        settings.timeouts.command = Duration::from_secs(5);
        settings.timeouts.content_block = Duration::from_secs(5);
    });
    let mut idle = rig.hello().await;
    let mut in_content = rig.hello().await;
    in_content.send("MAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nhalf a line").await;
    idle.expect("421 4.4.2").await;
    for start in ["250", "250", "354", "421 4.4.2"] {
        in_content.expect(start).await;
    }
    while rig.intake.in_flight_bytes() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A byte every now and then kept a session open for ever.
#[tokio::test]
async fn a_command_has_its_time_as_a_whole() {
    let rig = Rig::start(|settings, _| settings.timeouts.command = Duration::from_secs(5));
    let mut slow = rig.hello().await;
    let (mut read, mut write) = slow.stream.split();
    let trickle = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut heard = Vec::new();
    tokio::select! {
        () = trickle => {}
        end = read.read_to_end(&mut heard) => assert!(end.is_ok() || !heard.is_empty()),
    }
    assert!(heard.starts_with(b"421 4.4.2"), "{}", heard.escape_ascii());
}

#[tokio::test]
async fn a_fault_of_ours_ends_one_session_with_421() {
    let rig = Rig::start(|_, _| {});
    let (mut broken, mut other) = (rig.hello().await, rig.hello().await);
    rig.fake.panics.store(true, Ordering::Relaxed);
    broken.say("MAIL FROM:<a@example.org>", "421 4.3.0").await;
    assert!(broken.is_closed().await);
    rig.fake.panics.store(false, Ordering::Relaxed);
    assert!(other.message(b"X: y\r\n\r\n").await.starts_with("250"));
    while rig.intake.connections() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(rig.intake.reports().counts().any(|told| told == ("intake.session-broken", 1)));
}

/// The client may send it again, and then there are two: but what was being stored is not lost.
#[tokio::test]
async fn a_slow_store_is_a_4xx_and_loses_nothing() {
    let rig = Rig::start(|settings, _| settings.timeouts.answer = Duration::from_secs(1));
    let hold = Arc::new(Notify::new());
    *rig.fake.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let mut talk = rig.hello().await;
    assert_eq!(talk.message(b"X: y\r\n\r\n").await, "451 4.3.0 not stored in time, try again later\r\n");
    assert_eq!((rig.accepted().len(), rig.intake.in_flight_bytes() > 0), (0, true));
    talk.say("QUIT", "221").await;
    hold.notify_one();
    rig.intake.drain(Duration::from_secs(20)).await;
    assert_eq!((rig.accepted().len(), rig.intake.in_flight_bytes()), (1, 0));
}

#[tokio::test]
async fn a_client_that_is_too_fast_is_told_421_and_a_trusted_one_never() {
    let pace = |text: &str| text.parse().ok();
    let slow = |settings: &mut IntakeSettings| {
        settings.pace = PaceOfClient { connections: pace("1/h burst 2"), commands: pace("1/h burst 20") };
    };
    let rig = Rig::start(|settings, _| slow(settings));
    let mut busy = rig.hello().await;
    let _second = rig.hello().await;
    rig.connect().await.expect("421 4.7.0 too many connections in a short time").await;
    busy.send("NOOP\r\n".repeat(40)).await;
    let mut last = String::new();
    for _ in 0..=40 {
        last = busy.reply().await;
        if !last.starts_with("250") {
            break;
        }
    }
    assert_eq!(last, "421 4.7.0 too many commands in a short time, closing\r\n");

    let rig = Rig::start(|settings, _| {
        slow(settings);
        settings.trust.trusted_uids = vec![own_user()];
    });
    for _ in 0..4 {
        let mut talk = rig.hello().await;
        for _ in 0..10 {
            talk.say("NOOP", "250").await;
        }
    }
}

#[tokio::test]
async fn a_drain_ends_the_idle_and_waits_for_the_busy() {
    let rig = Rig::start(|_, _| {});
    let hold = Arc::new(Notify::new());
    *rig.fake.hold.lock().unwrap() = Some(Arc::clone(&hold));
    let (mut idle, mut busy) = (rig.hello().await, rig.hello().await);
    busy.send("MAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\n").await;
    busy.expect("250").await;
    busy.expect("250").await;
    let address = rig.address;
    let drain = async {
        rig.intake.drain(Duration::from_secs(20)).await;
        rig.intake.connections()
    };
    let talk = async {
        idle.expect("421 4.3.2").await;
        assert!(idle.is_closed().await);
        busy.say("DATA", "354").await;
        busy.send("X: y\r\n\r\n.\r\n").await;
        hold.notify_one();
        busy.expect("250 2.6.0").await;
        busy.expect("421 4.3.2").await;
        drop((idle, busy));
    };
    let (left, ()) = tokio::join!(drain, talk);
    assert_eq!((left, rig.accepted().len()), (0, 1));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_and_its_users() {
    let rig = Rig::start(|settings, folder| {
        let at = ListenAt::Unix { path: folder.join("smtp.sock"), mode: 0o620 };
        settings.listen = vec![ListenSettings { at, tls: ListenTls::Off }];
    });
    let path = rig.folder.path().join("smtp.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
    let mut talk = Talk { stream: UnixStream::connect(&path).await.unwrap() };
    talk.expect("220").await;
    talk.say("HELO x", "250").await;
    assert!(talk.message(b"X: y\r\n\r\n").await.starts_with("250"));
    let [taken] = rig.accepted().try_into().unwrap();
    assert_eq!((taken.account, taken.client), (Account::of_user(&own_user()), format!("unix:{}", path.display())));

    let again = ListenSettings { at: ListenAt::Unix { path: path.clone(), mode: 0o600 }, tls: ListenTls::Off };
    assert_eq!(Bound::open(&again).unwrap_err().detail.kind(), io::ErrorKind::AddrInUse, "it is served");
    rig.intake.drain(Duration::from_secs(20)).await;
    assert!(Bound::open(&again).is_ok(), "what a dead process left is replaced");
    let file = rig.folder.path().join("file");
    std::fs::write(&file, "mail").unwrap();
    let taken = ListenSettings { at: ListenAt::Unix { path: file.clone(), mode: 0o600 }, tls: ListenTls::Off };
    assert_eq!(Bound::open(&taken).unwrap_err().detail.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(file).unwrap(), b"mail");
}

#[tokio::test]
async fn a_reload_changes_what_new_sessions_get() {
    let rig = Rig::start(|_, _| {});
    let mut old = rig.hello().await;
    let mut settings = rig.intake.shared.live().settings.clone();
    settings.limits.message_bytes_max = 10;
    let reload = |settings: &IntakeSettings| {
        let prepared = rig.intake.prepare(settings.clone(), AccountSettings::default())?;
        rig.intake.take_over(prepared);
        Ok::<(), SettingsError>(())
    };
    reload(&settings).unwrap();
    old.say("MAIL FROM:<> SIZE=11", "250").await;
    rig.hello().await.say("MAIL FROM:<> SIZE=11", "552").await;
    settings.auth = Some(AuthSettings::with_file("/nonexistent".into()));
    assert!(matches!(reload(&settings), Err(SettingsError::Passwords(_))));
    rig.hello().await.say("MAIL FROM:<> SIZE=11", "552").await;
}

#[tokio::test]
async fn a_reload_opens_and_closes_listeners_and_drops_no_session() {
    let rig = Rig::start(|_, _| {});
    let path = rig.folder.path().join("new.sock");
    let unix = |mode| ListenSettings { at: ListenAt::Unix { path: path.clone(), mode }, tls: ListenTls::Off };
    let settings = rig.intake.shared.live().settings.clone();
    let with = |listen: Vec<ListenSettings>| {
        rig.intake.prepare(IntakeSettings { listen, ..settings.clone() }, AccountSettings::default())
    };
    let tcp = settings.listen[0].clone();

    // One of two cannot be opened: neither is.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = ListenSettings { at: ListenAt::Tcp(taken.local_addr().unwrap()), tls: ListenTls::Off };
    let refused = with(vec![tcp.clone(), unix(0o600), busy]).err().unwrap();
    assert!(refused.to_string().contains("another process listens there"), "{refused}");
    assert!(!path.exists());
    let prepared = with(vec![tcp.clone(), unix(0o600)]).unwrap();
    rig.intake.give_up(prepared);
    assert!(!path.exists());

    let mut old = rig.hello().await;
    let prepared = with(vec![tcp.clone(), unix(0o600)]).unwrap();
    assert_eq!(rig.intake.addresses(&prepared), [rig.address]);
    rig.intake.take_over(prepared);
    let mut by_socket = Talk { stream: UnixStream::connect(&path).await.unwrap() };
    by_socket.expect("220").await;
    rig.hello().await;

    // The TCP one goes, the socket gets another mode: it is never away.
    rig.intake.take_over(with(vec![unix(0o660)]).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    while TcpStream::connect(rig.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    Talk { stream: UnixStream::connect(&path).await.unwrap() }.expect("220").await;
    assert!(old.message(b"X: y\r\n\r\n").await.starts_with("250"), "its session goes on");
    by_socket.say("NOOP", "250").await;

    rig.intake.take_over(with(vec![tcp]).unwrap());
    assert!(!path.exists());
    by_socket.say("NOOP", "250").await;
}

#[tokio::test]
async fn an_idle_session_is_small() {
    let rig = Rig::start(|_, _| {});
    let stream = Stream::Tcp(TcpStream::connect(rig.address).await.unwrap());
    let live = rig.intake.shared.live();
    let client = client::Client::at(rig.address, rig.address, &live.trust, trust::AuthMeans::None);
    let connection = session::Connection::new(Arc::clone(&rig.intake.shared), live, ListenTls::Off, client, stream);
    let task = connection.run();
    assert!(size_of_val(&task) < 8 * 1024, "{} bytes", size_of_val(&task));
}

#[tokio::test]
async fn a_message_is_judged_before_it_is_taken() {
    let rig = Rig::start(|_, _| {});
    let mut talk = rig.hello().await;
    talk.say("MAIL FROM:<a@example.org>", "250").await;
    talk.say("RCPT TO:<b@example.net>", "250").await;
    talk.say("DATA", "354").await;
    talk.say("Subject: x\r\n\r\nplease REFUSEME now\r\n.", "550 5.7.1 ").await;
    assert!(rig.fake.accepted.lock().unwrap().is_empty(), "a refused message is not stored");
    talk.say("MAIL FROM:<a@example.org>", "250").await;
    talk.say("RCPT TO:<b@example.net>", "250").await;
    talk.say("DATA", "354").await;
    let body = format!("{}\r\n", "y".repeat(70)).repeat(3_000);
    talk.say(&format!("Subject: x\r\n\r\n{body}."), "250").await;
    let accepted = rig.fake.accepted.lock().unwrap();
    assert_eq!(accepted[0].verdict.score_points, 7);
    let prefix = String::from_utf8_lossy(&accepted[0].prefix).into_owned();
    assert!(prefix.starts_with("Received: ") && prefix.ends_with("\r\nX-Judged: yes\r\n"), "{prefix}");
    let judged = rig.fake.judged.lock().unwrap();
    let (account, client, bytes, text) = &judged[1];
    assert!(account.starts_with("uid:"), "{account}");
    assert_eq!(*client, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(
        (*bytes, text.len() as u64),
        (12 + 2 + 3_000 * 72, 12 + 2 + 3_000 * 72),
        "all of it is shown to the judge"
    );
}
