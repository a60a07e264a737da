//! A start with a million waiting deliveries of a thousand accounts: what the store's first questions cost, when the daemon
//! greets, and how much memory it has then.
//!
//! `cargo bench --bench million [-- messages]`. On a disk of its own: `OUTGUARD_BENCH_DIR=/path`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench is read by people and ends at the first fault")]
#![expect(clippy::disallowed_methods, reason = "a bench measures the time that passes")]

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use outguard::account::AccountSource;
use outguard::clock::{Clock, Now, SystemClock};
use outguard::mail::QueueId;
use outguard::store::settings::StoreSettings;
use outguard::store::sqlite::SqliteStore;
use outguard::store::{Acceptance, Page, Reads};

#[path = "../tests/engine/filled.rs"]
mod filled;

const ACCOUNTS: u64 = 1_000;
const DOMAINS: u64 = 20;
/// What is searched for.
const FIRST: Page = Page { after: None, limit: 20 };

fn main() {
    let messages = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(1_000_000_u64);
    let parent = std::env::var_os("OUTGUARD_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let settings = filled::place(&folder.path().join("store"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
        timed("filled", filled::fill(&settings, clock, messages, acceptance)).await;
        questions(&settings).await;
    });
    drop(runtime);
    daemon(folder.path());
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let value = work.await;
    println!("{what:>20} {:>10.1} ms", begin.elapsed().as_secs_f64() * 1_000.0);
    value
}

async fn questions(settings: &StoreSettings) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
    let open = async { SqliteStore::open(settings, Arc::clone(&clock)).unwrap() };
    let (store, recovered) = timed("open", open).await;
    println!("{:>20} {:>10}", "waiting", recovered.waiting);
    let lines = timed("lines", store.lines()).await.unwrap();
    println!("{:>20} {:>10}", "number of lines", lines.len());
    let page = timed("line_page", store.line_page(lines[0].line.clone(), clock.now().wall, 100)).await.unwrap();
    assert!(!page.is_empty());
    timed("waiting_by_account", store.waiting_by_account()).await.unwrap();
    timed("totals", store.totals()).await.unwrap();
    timed("next_due", store.next_due(clock.now().wall)).await.unwrap();
    let account = format!("account7@shop{}.example", 7 % DOMAINS);
    assert_eq!(timed("find an account", store.find(account, FIRST)).await.unwrap().len(), 20);
    assert!(timed("find nothing", store.find("nobody@example.org".into(), FIRST)).await.unwrap().is_empty());
    store.close();
}

/// The real daemon on that store, until it greets.
fn daemon(folder: &Path) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (config, log) = (folder.join("outguard.toml"), folder.join("log"));
    // No name can be looked up, so that all of it is put off: what is measured is mail that waits.
    let text = format!(
        "store = \"{}\"\n[dns]\nservers = [\"127.0.0.1:1\"]\n[disk]\nfree_min = \"1 B\"\nballast = \"0 B\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n\
         [control]\nsocket = \"{}\"\n",
        folder.join("store").display(),
        folder.join("control.sock").display(),
    );
    std::fs::write(&config, text).unwrap();
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_outguard"))
        .args(["run", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(std::fs::File::create(folder.join("errors")).unwrap())
        .spawn()
        .unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    while !greets(address) {
        if let Some(status) = child.try_wait().unwrap() {
            println!("{}", std::fs::read_to_string(folder.join("errors")).unwrap());
            panic!("the daemon ended: {status}");
        }
        assert!(begin.elapsed() < Duration::from_mins(2), "no greeting in two minutes");
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{:>20} {:>10.1} ms", "daemon greets", begin.elapsed().as_secs_f64() * 1_000.0);
    for seconds in [0, 2, 5, 10] {
        std::thread::sleep(Duration::from_secs(seconds));
        println!("{:>20} {}", format!("memory +{seconds} s"), memory(&child));
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    child.wait().unwrap();
}

fn greets(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).is_ok() && &greeting == b"220"
}

fn memory(child: &Child) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

fn acceptance(n: u64, stamp: (QueueId, Now)) -> Acceptance {
    let account = n % ACCOUNTS;
    let sender = format!("account{account}@shop{}.example", account % DOMAINS);
    let domain = format!("d{}.example", n / ACCOUNTS % DOMAINS);
    let (to, destination) = (format!("someone{n}@{domain}"), format!("default to={domain}"));
    Acceptance {
        source: AccountSource::Received,
        mta_id: Some(format!("4ZxYw{n}")),
        message_id: Some(format!("<{n}@mail.shop.example>")),
        header_from: Some("shop.example".into()),
        ..filled::message(stamp, &sender, &to, &destination, &[b'x'; 200])
    }
}
