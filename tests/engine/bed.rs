//! A test bed: engine, store, clock, and what puts mail in and reads how it ended.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use outguard::account::{Account, AccountSource};
use outguard::clock::{BootId, BootMs, Clock, Now, WallMs};
use outguard::daemon::engine::{AsItCame, Engine, EngineSettings, Renewing};
use outguard::delivery::credentials::Credentials;
use outguard::delivery::settings::{EightBit, RouteKind, RouteMatch, SmarthostSettings};
use outguard::delivery::{
    Abandoned, DeliverySettings, Dns, Edges, EgressSettings, ReplyTable, RouteSettings, Router, Timeouts, Tls, TlsMode,
};
use outguard::dispatch::{DispatchSettings, RetrySettings};
use outguard::event::Event;
use outguard::guard::{Decision, Verdict};
use outguard::intake::Queue as _;
use outguard::limits::{LimitSettings, PaceSettings, Rate, RuleBook};
use outguard::mail::{Address, BodyType, Envelope, QueueId, Recipient, ReversePath};
use outguard::store::settings::{FreeMin, StoreSettings};
use outguard::store::sqlite::SqliteStore;
use outguard::store::sqlite::faults::{CommitFault, Faults};
use outguard::store::{Acceptance, Body, DeliveryState, GateKind, Reads as _, Store};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::rig::PATIENCE;
use crate::rig::loopback::own_address;
use crate::rig::process::wait_for;
use crate::rig::sink::Sink;

/// Stands still until the test moves it: how long the machine takes for anything is no time that passes.
pub(crate) struct TestClock {
    /// How far both clocks were moved.
    ahead_ms: AtomicU64,
    /// Added to the wall clock alone.
    stepped_ms: AtomicI64,
    free_running: AtomicBool,
    /// How many boots there were before this one, and when it began: the first some time before the test.
    boots: AtomicU64,
    booted_ms: AtomicI64,
    /// The task that reads the clock next within an async function of that file panics.
    panics_in: Mutex<Option<&'static str>>,
    /// It stands still with what it read, until it may go on.
    stalls_in: Mutex<Option<&'static str>>,
    is_stalled: AtomicBool,
}

const WALL_START_MS: i64 = 1_900_000_000_000;

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            ahead_ms: AtomicU64::new(0),
            stepped_ms: AtomicI64::new(0),
            free_running: AtomicBool::new(false),
            boots: AtomicU64::new(0),
            booted_ms: AtomicI64::new(-1_000_000),
            panics_in: Mutex::default(),
            stalls_in: Mutex::default(),
            is_stalled: AtomicBool::new(false),
        })
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Whether the kernel calls the wall clock synchronised from now on.
    pub(crate) fn synchronise(&self, is: bool) {
        self.free_running.store(!is, Ordering::SeqCst);
    }

    pub(crate) fn step_wall(&self, ms: i64) {
        self.stepped_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The task that reads the clock next within an async function of that file panics, once.
    pub(crate) fn panic_in(&self, file: &'static str) {
        *self.panics_in.lock().unwrap() = Some(file);
    }

    /// Whether that panic came.
    pub(crate) fn has_panicked(&self) -> bool {
        self.panics_in.lock().unwrap().is_none()
    }

    fn strike(&self) {
        let strikes = Self::comes_to(&self.panics_in);
        assert!(!strikes, "the panic that the test asked for");
    }

    /// The task that reads the clock next within an async function of that file stands still with what it read.
    pub(crate) fn stall_in(&self, file: &'static str) {
        *self.stalls_in.lock().unwrap() = Some(file);
    }

    /// Whether one does.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::SeqCst)
    }

    pub(crate) fn go_on(&self) {
        self.is_stalled.store(false, Ordering::SeqCst);
    }

    fn stall(&self) {
        if Self::comes_to(&self.stalls_in) {
            self.is_stalled.store(true, Ordering::SeqCst);
            wait_for("leave to go on", || !self.is_stalled());
        }
    }

    /// Whether the caller is within an async function of the file that is asked for: the first that comes is the one.
    fn comes_to(asked: &Mutex<Option<&'static str>>) -> bool {
        let Some(file) = *asked.lock().unwrap() else { return false };
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        // Each function stands above the line that says where it is; async ones go by their number alone.
        let lines: Vec<&str> = trace.lines().collect();
        let is_within = lines.windows(2).any(|frame| frame[0].contains("async_fn") && frame[1].contains(file));
        is_within && asked.lock().unwrap().take().is_some()
    }

    /// Another boot begins: its clock starts anew, the wall clock goes on.
    pub(crate) fn reboot(&self) {
        self.booted_ms.store(i64::try_from(self.passed_ms()).unwrap(), Ordering::SeqCst);
        self.boots.fetch_add(1, Ordering::SeqCst);
    }

    /// Since the test began, whatever the clocks show.
    pub(crate) fn passed_ms(&self) -> u64 {
        self.ahead_ms.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        self.strike();
        let passed = i64::try_from(self.passed_ms()).unwrap();
        let wall = WALL_START_MS + passed + self.stepped_ms.load(Ordering::SeqCst);
        let boot = passed - self.booted_ms.load(Ordering::SeqCst);
        let now = Now { boot: BootMs(u64::try_from(boot).unwrap()), wall: WallMs(u64::try_from(wall).unwrap()) };
        self.stall();
        now
    }

    fn boot_id(&self) -> BootId {
        BootId(format!("boot {}", self.boots.load(Ordering::SeqCst)).into())
    }

    fn synchronised(&self) -> bool {
        !self.free_running.load(Ordering::SeqCst)
    }
}

/// A disk that fails as the test asks: the next commits, and the next tries to open the store again.
#[derive(Default)]
pub(crate) struct Disk {
    commits: Mutex<Vec<CommitFault>>,
    reopens: AtomicU32,
}

impl Disk {
    pub(crate) fn fails(&self, commit: CommitFault, reopens: u32) {
        self.reopens.store(reopens, Ordering::SeqCst);
        self.commits.lock().unwrap().push(commit);
    }

    /// Whether what was asked for has come.
    pub(crate) fn has_failed(&self) -> bool {
        self.commits.lock().unwrap().is_empty() && self.reopens.load(Ordering::SeqCst) == 0
    }
}

impl Faults for Disk {
    fn commit(&self) -> CommitFault {
        self.commits.lock().unwrap().pop().unwrap_or(CommitFault::None)
    }

    fn reopen(&self) -> bool {
        self.reopens.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err()
    }
}

/// What may be written otherwise than [`Plan`] has it.
pub(crate) struct Written {
    pub(crate) delivery: DeliverySettings,
    pub(crate) limits: LimitSettings,
    pub(crate) dispatch: DispatchSettings,
    pub(crate) pace: PaceSettings,
}

/// What a bed is made of. Recipients of `a.example` go to the first next hop, of `b.example` to the second, and so on;
/// all other mail, reports among it, to the first.
pub(crate) struct Plan {
    pub(crate) account: &'static str,
    pub(crate) egress: &'static str,
    pub(crate) egresses: Vec<IpAddr>,
    pub(crate) next_hops: Vec<SocketAddr>,
    /// The rest of the configuration.
    pub(crate) adjust: fn(&mut Written),
}

impl Plan {
    /// One egress and wide limits.
    pub(crate) fn to(next_hops: &[&Sink]) -> Self {
        Self {
            account: "1000/h",
            egress: "1000/h",
            egresses: vec![IpAddr::from(own_address())],
            next_hops: next_hops.iter().map(|sink| sink.address()).collect(),
            adjust: |_| {},
        }
    }

    fn settings(&self) -> EngineSettings {
        let egress = |address: &IpAddr| EgressSettings {
            name: address.to_string(),
            address: Some(*address),
            ..EgressSettings::default()
        };
        let route = |(letter, to): (u8, &SocketAddr)| RouteSettings {
            name: format!("to-{}", char::from(letter)),
            matches: RouteMatch {
                recipient_domains: match letter {
                    b'a' => Vec::new(),
                    letter => vec![format!("{}.example", char::from(letter))],
                },
                ..RouteMatch::default()
            },
            kind: RouteKind::Smarthost(SmarthostSettings {
                host: to.ip().to_string(),
                port: to.port(),
                tls: TlsMode::None,
                credentials: Credentials::default(),
            }),
            egresses: Vec::new(),
            concurrency: 3,
        };
        let mut routes: Vec<RouteSettings> = (b'a'..).zip(&self.next_hops).map(route).collect();
        // The first takes what no other does.
        routes.rotate_left(1);
        let delivery = DeliverySettings {
            egresses: self.egresses.iter().map(egress).collect(),
            routes,
            timeouts: Timeouts { connect: Duration::from_secs(5), ..Timeouts::default() },
            ..DeliverySettings::default()
        };
        let rates = |text: &str| -> Vec<Rate> { vec![text.parse().unwrap()] };
        let limits = LimitSettings {
            account: rates(self.account),
            egress: rates(self.egress),
            unknown_grace_ms: 20_000,
            ..LimitSettings::default()
        };
        let retry = RetrySettings {
            first_wait_ms: 5_000,
            wait_ms_max: 20_000,
            expiry_ms: 3_600_000,
            ..RetrySettings::default()
        };
        let dispatch = DispatchSettings { retry, ..DispatchSettings::default() };
        let pace = PaceSettings { egress: None, account: None, domain: None };
        let mut written = Written { delivery, limits, dispatch, pace };
        (self.adjust)(&mut written);
        let Written { delivery, limits, dispatch, pace } = written;
        EngineSettings {
            rules: RuleBook::new(&limits).unwrap(),
            pace,
            dispatch,
            router: Arc::new(Router::new(&delivery, "relay.example").unwrap()),
            delivery,
            host_name: "relay.example".into(),
        }
    }
}

/// A running engine. Dropped, it is gone as after a kill: nothing is drained.
pub(crate) struct Bed {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<TestClock>,
    /// So many of the next numbers that are rolled are a panic of the task that rolls.
    pub(crate) panics: Arc<AtomicU32>,
    pub(crate) disk: Arc<Disk>,
    abandoned: UnboundedSender<Abandoned>,
    runtime: Option<Runtime>,
}

impl Bed {
    pub(crate) fn start(plan: &Plan, folder: &Path, clock: &Arc<TestClock>) -> Self {
        Self::start_with(plan.settings(), folder, clock, Arc::new(AsItCame))
    }

    /// The same where mail that waits may be made anew.
    pub(crate) fn start_renewing(
        plan: &Plan,
        folder: &Path,
        clock: &Arc<TestClock>,
        renewing: Arc<dyn Renewing>,
    ) -> Self {
        Self::start_with(plan.settings(), folder, clock, renewing)
    }

    /// The same from the text of a configuration file.
    pub(crate) fn start_from_file(text: &str, folder: &Path, clock: &Arc<TestClock>) -> Self {
        let file = folder.with_extension("toml");
        std::fs::write(&file, text).unwrap();
        let loaded = outguard::config::Config::load(&file).unwrap_or_else(|faults| panic!("{faults}"));
        let settings = outguard::daemon::engine_settings(&loaded.config).unwrap();
        Self::start_with(settings, folder, clock, Arc::new(AsItCame))
    }

    fn start_with(
        settings: EngineSettings,
        folder: &Path,
        clock: &Arc<TestClock>,
        renewing: Arc<dyn Renewing>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let place = StoreSettings {
            path: folder.to_path_buf(),
            free_min: FreeMin::Bytes(0),
            ballast_bytes: 0,
            ..StoreSettings::default()
        };
        let any_clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
        let disk = Arc::new(Disk::default());
        let faults = Arc::clone(&disk) as Arc<dyn Faults>;
        let (store, _) = SqliteStore::open_with_faults(&place, Arc::clone(&any_clock), faults).unwrap();
        let panics = Arc::new(AtomicU32::new(0));
        let (abandoned, receiver) = tokio::sync::mpsc::unbounded_channel();
        let edges = edges(&settings.delivery, &panics, &abandoned);
        let any_store: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let started = Engine::start(settings, any_store, any_clock, edges, renewing, receiver);
        let engine = runtime.block_on(started).unwrap();
        Self { engine, store, clock: Arc::clone(clock), panics, disk, abandoned, runtime: Some(runtime) }
    }

    /// Takes over another configuration.
    pub(crate) fn reload(&self, plan: &Plan) {
        self.run(self.reloading(plan));
    }

    /// The same, to be run with others.
    pub(crate) fn reloading(&self, plan: &Plan) -> impl Future<Output = ()> + Send + use<> {
        let settings = plan.settings();
        let edges = edges(&settings.delivery, &self.panics, &self.abandoned);
        let engine = Arc::clone(&self.engine);
        async move { engine.reload(settings, edges).await.unwrap() }
    }

    pub(crate) fn run<T>(&self, task: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("there until dropped").block_on(task)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.as_ref().expect("there until dropped").spawn(task)
    }

    /// Takes a message over as intake does.
    pub(crate) fn accept(&self, from: &str, to: &[String]) -> QueueId {
        self.accept_as(from, to, None, |_| {})
    }

    /// The same, with the domain of its header From, and changed before it is stored.
    pub(crate) fn accept_as(
        &self,
        from: &str,
        to: &[String],
        header_from: Option<&str>,
        change: impl FnOnce(&mut Acceptance),
    ) -> QueueId {
        let to: Vec<Recipient> = to.iter().map(|to| Recipient::plain(Address::parse(to.as_bytes()).unwrap())).collect();
        let account = Account::named(from);
        let envelope = Envelope {
            reverse_path: ReversePath::parse(from.as_bytes()).unwrap(),
            recipients: to,
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
        };
        let mut acceptance = Acceptance {
            id: self.engine.allocate().unwrap(),
            received: self.clock.now(),
            client: "127.0.0.1".into(),
            source: AccountSource::ReversePath,
            destinations: self.engine.destinations(&account, &envelope, header_from),
            account,
            envelope,
            class: 0,
            mta_id: None,
            message_id: None,
            header_from: header_from.map(str::to_owned),
            prefix: Bytes::from_static(b"Received: by relay.example\r\n"),
            verdict: Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() },
            header_needs_utf8: false,
            body: Body::Inline(Bytes::from_static(b"Subject: x\r\n\r\nhello\r\n")),
            report_on: None,
        };
        change(&mut acceptance);
        self.run(self.engine.accept(acceptance)).unwrap().into_inner()
    }

    pub(crate) fn close(&self, kind: GateKind, key: &str) {
        let closed = self.engine.close_gate(kind, key.to_owned(), "root".into(), "test".into());
        let _ = self.run(closed).unwrap();
    }

    pub(crate) fn open(&self, kind: GateKind, key: &str) {
        assert!(self.run(self.engine.open_gate(kind, key.to_owned(), "root".into())).unwrap(), "it was closed");
    }

    /// Everything in the journal.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.run(self.store.events(0, 10_000)).unwrap().into_iter().map(|row| row.event).collect()
    }

    /// The sentences that say why a message waits.
    pub(crate) fn why(&self, id: QueueId) -> Vec<String> {
        self.run(self.engine.explain(id)).unwrap().into_iter().map(|line| line.sentence).collect()
    }

    /// The loops sleep in real time: after the clock was moved they are made to look at it.
    pub(crate) fn poke(&self) {
        self.run(async {
            self.engine.open_gate(GateKind::Account, "nobody".into(), "test".into()).await.unwrap();
            self.engine.release(QueueId::MAX, "test".into(), None).await.unwrap();
        });
    }

    pub(crate) fn states(&self, id: QueueId) -> Vec<DeliveryState> {
        let message = self.run(self.store.message(id)).unwrap().expect("the journal keeps it");
        message.1.iter().map(|delivery| delivery.state).collect()
    }

    /// How much waits, is held or under way.
    pub(crate) fn unended(&self) -> u64 {
        let totals = self.run(self.store.totals()).unwrap();
        totals.waiting + totals.held + totals.under_way
    }

    fn is_any_under_way(&self) -> bool {
        self.run(self.store.totals()).unwrap().under_way > 0
    }

    /// An hour passes, and people are told of what is held.
    pub(crate) fn until_told_of_held(&self) {
        self.clock.advance(3_600_000);
        self.poke();
        wait_for("people to be told of what is held", || {
            self.events().iter().any(|event| matches!(event, Event::HeldReminder { .. }))
        });
    }

    /// Moves the clock on, a second at a time, until nothing waits. A slow machine may have used the seconds up before it
    /// made its first connect: it has patience then, and one second of the clock more for every four in which nothing ends.
    ///
    /// # Panics
    /// Mail waits longer than `seconds` of the clock, and half a minute: what is stuck, and why it says it waits.
    pub(crate) fn until_empty(&self, seconds: u64) {
        let (mut left, mut unended) = (seconds, self.unended());
        let (mut last, mut further) = (Instant::now(), 0);
        while unended > 0 {
            assert!(last.elapsed() < PATIENCE, "mail is stuck: {:#?}", self.waits());
            std::thread::sleep(Duration::from_millis(15));
            let before = std::mem::replace(&mut unended, self.unended());
            if unended != before {
                (last, further) = (Instant::now(), 0);
            }
            if unended == 0 || self.is_any_under_way() {
                continue; // it takes the machine's time, and none of the clock's
            }
            if left > 0 {
                (left, last) = (left - 1, Instant::now());
            } else if last.elapsed().as_secs() / 4 > further {
                further += 1;
            } else {
                continue;
            }
            self.clock.advance(1_000);
            self.poke();
        }
    }

    /// Why what waits says it waits.
    pub(crate) fn waits(&self) -> BTreeMap<String, Vec<String>> {
        let page = outguard::store::Page { after: None, limit: 5 };
        let listed = self.run(self.store.list(outguard::store::Filter::default(), page)).unwrap();
        listed.into_iter().map(|(row, _)| (format!("{} {}", row.id, row.account), self.why(row.id))).collect()
    }
}

fn edges(delivery: &DeliverySettings, panics: &Arc<AtomicU32>, abandoned: &UnboundedSender<Abandoned>) -> Arc<Edges> {
    let (dice, panics) = (AtomicU64::new(1), Arc::clone(panics));
    let random = move || {
        let strikes = panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        assert!(!strikes, "the panic that the test asked for");
        dice.fetch_add(7_919, Ordering::Relaxed)
    };
    Arc::new(Edges {
        resolver: Arc::new(Dns::new(&delivery.dns).unwrap()),
        tls: Tls::new(None).unwrap(),
        timeouts: delivery.timeouts,
        eightbit: EightBit::Send,
        replies: Arc::new(ReplyTable::embedded()),
        listeners: Vec::new(),
        random: Box::new(random),
        signer: outguard::align::sign::Signer::default(),
        abandoned: abandoned.clone(),
    })
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        self.store.close();
    }
}

/// `count` recipients of one domain.
pub(crate) fn recipients(mark: &str, count: usize, domain: &str) -> Vec<String> {
    (0..count).map(|n| format!("{mark}-{n}@{domain}")).collect()
}

/// A connection alone: the order of arrival is the order of turns.
pub(crate) fn in_turn(written: &mut Written) {
    written.delivery.routes[0].concurrency = 1;
}

/// Where the name server of the tests of that file listens: what adjusts a plan is a function, and takes nothing along.
pub(crate) fn dns_address(file: &'static str) -> SocketAddr {
    static ADDRESSES: Mutex<BTreeMap<&str, SocketAddr>> = Mutex::new(BTreeMap::new());
    *ADDRESSES.lock().unwrap().entry(file).or_insert_with(|| SocketAddr::from((own_address(), 5353)))
}

/// A place for a store.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
