//! The relay under test: the real binary with a configuration in a folder of its own.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use rustix::process::Signal;

use super::loopback::own_address;
use super::process::{self, Running, wait_for};

/// A folder with configuration and store; the relay may be started in it, killed, and started again.
#[derive(Debug)]
pub(crate) struct Site {
    folder: tempfile::TempDir,
    store: PathBuf,
    address: Ipv4Addr,
    egress: Ipv4Addr,
}

impl Site {
    /// Writes a configuration: store, one listener, one egress, then `further`.
    pub(crate) fn new(further: &str) -> Arc<Self> {
        let folder = tempfile::Builder::new().prefix("outguard-").tempdir().expect("a folder");
        let store = folder.path().join("store");
        std::fs::create_dir(&store).expect("a folder of ours");
        Self::with_store(folder, store, further)
    }

    /// The same, with the store elsewhere.
    pub(crate) fn with_store(folder: tempfile::TempDir, store: PathBuf, further: &str) -> Arc<Self> {
        super::tls::set_mode(&store, 0o700);
        let this = Self { folder, store, address: own_address(), egress: own_address() };
        this.configure(further);
        Arc::new(this)
    }

    /// Replaces the configuration; a running relay reads it at the next reload. Sections that `further` writes stand in
    /// place of ours.
    pub(crate) fn configure(&self, further: &str) {
        let (address, egress, store) = (self.address, self.egress, self.store.display());
        let mut text = format!(
            "store = \"{store}\"\n\
             [[listen]]\n\
             address = \"{address}:10025\"\n\
             [[egress]]\n\
             address = \"{egress}\"\n\
             ehlo = \"out.example.com\"\n"
        );
        let socket = self.folder.path().join("control.sock");
        let sections = [
            // Many stores side by side: none keeps more of the disk than it needs.
            ("[disk]", "free_min = \"1 MiB\"\nballast = \"1 MiB\"\n".to_owned()),
            ("[control]", format!("socket = \"{}\"\n", socket.display())),
            ("[log]", "to = \"text\"\n".to_owned()),
            ("[pace]", "egress = \"off\"\naccount = \"off\"\ndomain = \"off\"\n".to_owned()),
            // Names of tests are in no DNS.
            ("[align]", "judge = false\n".to_owned()),
            ("[retry]", "first_wait = \"1s\"\ngrowth_percent = 100\n".to_owned()),
            ("[waiting]", "account_deliveries = 1000000\n".to_owned()),
        ];
        for (name, lines) in sections {
            if !further.contains(name) {
                let _ = write!(text, "{name}\n{lines}");
            }
        }
        std::fs::write(self.config(), text + further).expect("a file of ours");
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("outguard.toml")
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((self.address, 10025))
    }

    /// The source address that next hops see.
    pub(crate) fn egress(&self) -> Ipv4Addr {
        self.egress
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts the relay and waits until it says that it is ready.
    pub(crate) fn start(self: &Arc<Self>) -> Relay {
        self.start_with(&[])
    }

    /// The same, with variables added to its environment.
    pub(crate) fn start_with(self: &Arc<Self>, variables: &[(&str, &str)]) -> Relay {
        let starts = || self.log().matches("outguard: ready").count();
        let before = starts();
        let mut relay = self.launch_with(variables);
        wait_for("the relay to be ready", || {
            assert!(relay.running.ended().is_none(), "the relay ended at its start:\n{}", self.log());
            starts() > before
        });
        relay
    }

    /// Starts it and does not wait.
    pub(crate) fn launch(self: &Arc<Self>) -> Relay {
        self.launch_with(&[])
    }

    /// The same, with variables added to its environment.
    pub(crate) fn launch_with(self: &Arc<Self>, variables: &[(&str, &str)]) -> Relay {
        let config = self.config().display().to_string();
        let log = self.folder.path().join("log");
        let running = Running::start_with("outguard", &binary(), &["run", "--config", &config], &log, variables);
        Relay { site: Arc::clone(self), running }
    }

    /// Runs another command of the binary on this site's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let config = self.config().display().to_string();
        process::run(&binary(), &[arguments, &["--config", &config]].concat(), b"")
    }

    /// The ids of the messages that are held.
    pub(crate) fn held(&self) -> Vec<String> {
        let listed = self.command(&["queue", "list", "--state", "held", "--json"]);
        let listed = String::from_utf8(listed.stdout).expect("JSON");
        let id = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).expect("a line each");
            row["id"].as_str().expect("its id").to_owned()
        };
        listed.lines().map(id).collect()
    }
}

/// A running relay. Dropping it is kill -9.
#[derive(Debug)]
pub(crate) struct Relay {
    // Ends first: a relay that still writes would keep its folder from being removed.
    running: Running,
    site: Arc<Site>,
}

impl Relay {
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    pub(crate) fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// SIGTERM, and waits for a clean end.
    pub(crate) fn stop(self) {
        self.running.signal(Signal::TERM);
        self.stop_after_signal();
    }

    /// Waits for the clean end that a signal has asked for.
    pub(crate) fn stop_after_signal(mut self) {
        let status = self.running.wait();
        assert!(status.success(), "drained with {status}:\n{}", self.site.log());
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.running.kill();
    }

    /// Waits for a line of the log that contains all of `words`.
    pub(crate) fn wait_log(&self, words: &[&str]) -> String {
        let found =
            || self.site.log().lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned);
        wait_for(&format!("{words:?} in the log"), || found().is_some());
        found().expect("waited for")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.site.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("the end of the relay's log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// `OUTGUARD_BINARY` names another build, such as an installed one.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("OUTGUARD_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_outguard").into(), PathBuf::from)
}

/// Everything goes to this next hop, without TLS.
pub(crate) fn smarthost(to: SocketAddr) -> String {
    format!("[[route]]\nsmarthost = \"{to}\"\ntls = \"none\"\n")
}

/// A file of `config/recipes`, with this relay in place of the address that the recipe writes.
pub(crate) fn recipe(name: &str, to: SocketAddr) -> String {
    assert_eq!(to.port(), 10025, "recipes name the usual port");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/recipes").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.replace("127.0.0.1", &to.ip().to_string())
}
