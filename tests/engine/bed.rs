//! A test bed: engine, store, clock, and what puts mail in and reads how it ended.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use outguard::account::{Account, AccountSource};
use outguard::clock::{BootId, BootMs, Clock, Now, WallMs};
use outguard::daemon::engine::{Engine, EngineSettings};
use outguard::delivery::credentials::Credentials;
use outguard::delivery::settings::{EightBit, RouteKind, RouteMatch, SmarthostSettings};
use outguard::delivery::{
    DeliverySettings, Dns, Edges, EgressSettings, ReplyTable, RouteSettings, Router, Timeouts, Tls, TlsMode,
};
use outguard::dispatch::{DispatchSettings, RetrySettings};
use outguard::guard::{Decision, Verdict};
use outguard::intake::Queue as _;
use outguard::limits::{LimitSettings, PaceSettings, Rate, RuleBook};
use outguard::mail::{Address, BodyType, Envelope, QueueId, Recipient, ReversePath};
use outguard::store::settings::{FreeMin, StoreSettings};
use outguard::store::sqlite::SqliteStore;
use outguard::store::{Acceptance, Body, DeliveryState, GateKind, Reads as _, Store};
use tokio::runtime::Runtime;

/// Real time, and what the test adds to it.
pub(crate) struct TestClock {
    start: Instant,
    /// Added to both clocks.
    ahead_ms: AtomicU64,
    /// Added to the wall clock alone.
    stepped_ms: AtomicI64,
}

const WALL_START_MS: i64 = 1_900_000_000_000;

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), ahead_ms: AtomicU64::new(0), stepped_ms: AtomicI64::new(0) })
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn step_wall(&self, ms: i64) {
        self.stepped_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap() + self.ahead_ms.load(Ordering::SeqCst);
        let wall = WALL_START_MS + i64::try_from(passed).unwrap() + self.stepped_ms.load(Ordering::SeqCst);
        Now { boot: BootMs(1_000_000 + passed), wall: WallMs(u64::try_from(wall).unwrap()) }
    }

    fn boot_id(&self) -> BootId {
        BootId("boot".into())
    }

    fn synchronised(&self) -> bool {
        true
    }
}

/// What a bed is made of. Recipients of `a.example` go to the first next hop, of `b.example` to the second, and so on;
/// all other mail, reports among it, to the first.
pub(crate) struct Plan {
    pub(crate) account: &'static str,
    pub(crate) egress: &'static str,
    pub(crate) egresses: Vec<IpAddr>,
    pub(crate) next_hops: Vec<SocketAddr>,
}

impl Plan {
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
        EngineSettings {
            rules: RuleBook::new(&limits).unwrap(),
            pace: PaceSettings { egress: None, account: None, domain: None },
            dispatch: DispatchSettings {
                retry: RetrySettings {
                    first_wait_ms: 5_000,
                    wait_ms_max: 20_000,
                    expiry_ms: 3_600_000,
                    ..RetrySettings::default()
                },
                ..DispatchSettings::default()
            },
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
    runtime: Option<Runtime>,
}

impl Bed {
    pub(crate) fn start(plan: &Plan, folder: &Path, clock: &Arc<TestClock>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let settings = StoreSettings {
            path: folder.to_path_buf(),
            free_min: FreeMin::Bytes(0),
            ballast_bytes: 0,
            ..StoreSettings::default()
        };
        let any_clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
        let (store, _) = SqliteStore::open(&settings, Arc::clone(&any_clock)).unwrap();
        let engine = runtime.block_on(async {
            let (abandoned, receiver) = tokio::sync::mpsc::unbounded_channel();
            let settings = plan.settings();
            let dice = AtomicU64::new(1);
            let edges = Edges {
                resolver: Arc::new(Dns::new(&settings.delivery.dns).unwrap()),
                tls: Tls::new(None).unwrap(),
                timeouts: settings.delivery.timeouts,
                eightbit: EightBit::Send,
                replies: Arc::new(ReplyTable::embedded()),
                listeners: Vec::new(),
                random: Box::new(move || dice.fetch_add(7_919, Ordering::Relaxed)),
                abandoned,
            };
            let any_store: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
            Engine::start(settings, any_store, any_clock, Arc::new(edges), receiver).await.unwrap()
        });
        Self { engine, store, clock: Arc::clone(clock), runtime: Some(runtime) }
    }

    pub(crate) fn run<T>(&self, task: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("there until dropped").block_on(task)
    }

    /// Takes a message over as intake does.
    pub(crate) fn accept(&self, from: &str, to: &[String]) -> QueueId {
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
        let acceptance = Acceptance {
            id: self.engine.allocate().unwrap(),
            received: self.clock.now(),
            client: "127.0.0.1".into(),
            source: AccountSource::ReversePath,
            destinations: self.engine.destinations(&account, &envelope, None),
            account,
            envelope,
            class: 0,
            mta_id: None,
            message_id: None,
            header_from: None,
            prefix: Bytes::from_static(b"Received: by relay.example\r\n"),
            verdict: Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() },
            header_needs_utf8: false,
            body: Body::Inline(Bytes::from_static(b"Subject: x\r\n\r\nhello\r\n")),
            report_on: None,
        };
        self.run(self.engine.accept(acceptance)).unwrap().into_inner()
    }

    /// The loops sleep in real time: after the clock was moved they are made to look at it.
    pub(crate) fn poke(&self) {
        self.run(async {
            self.engine.open_gate(GateKind::Account, "nobody".into(), "test".into()).await.unwrap();
            self.engine.release(QueueId::MAX, "test".into()).await.unwrap();
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

    /// Moves the clock on, a second at a time, until nothing waits.
    ///
    /// # Panics
    /// Mail waits longer than `seconds` of the clock: what is stuck, and why it says it waits.
    pub(crate) fn until_empty(&self, seconds: u64) {
        for _ in 0..seconds {
            if self.unended() == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(15));
            self.clock.advance(1_000);
            self.poke();
        }
        panic!("mail is stuck: {:#?}", self.waits());
    }

    /// Why what waits says it waits.
    pub(crate) fn waits(&self) -> BTreeMap<String, Vec<String>> {
        let page = outguard::store::Page { after: None, limit: 5 };
        let listed = self.run(self.store.list(outguard::store::Filter::default(), page)).unwrap();
        let why = |id| self.run(self.engine.explain(id)).unwrap().into_iter().map(|line| line.sentence).collect();
        listed.into_iter().map(|(row, _)| (format!("{} {}", row.id, row.account), why(row.id))).collect()
    }
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
