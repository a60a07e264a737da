//! The relay under test: the real binary with a configuration in a folder of its own.

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
    address: Ipv4Addr,
    egress: Ipv4Addr,
}

impl Site {
    /// Writes a configuration: one listener, one egress, then `further`. `{store}`, `{egress}` and `{address}` in it are filled in.
    pub(crate) fn new(further: &str) -> Arc<Self> {
        let folder = tempfile::Builder::new().prefix("outguard-").tempdir().expect("a folder");
        let this = Self { folder, address: own_address(), egress: own_address() };
        std::fs::create_dir(this.store()).expect("a folder of ours");
        super::tls::set_mode(&this.store(), 0o700);
        this.configure(further);
        Arc::new(this)
    }

    /// Replaces the configuration; a running relay reads it at the next reload.
    pub(crate) fn configure(&self, further: &str) {
        let (store, socket) = (self.store().display().to_string(), self.socket().display().to_string());
        let (address, egress) = (self.address, self.egress);
        let head = format!(
            "store = \"{store}\"\n\
             control_socket = \"{socket}\"\n\
             [[listen]]\n\
             address = \"{address}:10025\"\n\
             [[egress]]\n\
             address = \"{egress}\"\n\
             ehlo = \"out.example.com\"\n"
        );
        std::fs::write(self.config(), head + further).expect("a file of ours");
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("outguard.toml")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
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

    /// Starts the relay and waits until it greets.
    pub(crate) fn start(self: &Arc<Self>) -> Relay {
        let mut relay = self.launch();
        wait_for("the relay to listen", || {
            assert!(relay.running.ended().is_none(), "the relay ended at its start:\n{}", self.log());
            std::net::TcpStream::connect(self.address()).is_ok()
        });
        relay
    }

    /// Starts it and does not wait.
    pub(crate) fn launch(self: &Arc<Self>) -> Relay {
        let config = self.config().display().to_string();
        let log = self.folder.path().join("log");
        let running = Running::start("outguard", &binary(), &["run", "--config", &config], &log);
        Relay { site: Arc::clone(self), running }
    }

    /// Runs another command of the binary on this site's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let config = self.config().display().to_string();
        process::run(&binary(), &[arguments, &["--config", &config]].concat(), b"")
    }
}

/// A running relay. Dropping it is kill -9.
#[derive(Debug)]
pub(crate) struct Relay {
    site: Arc<Site>,
    running: Running,
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
    pub(crate) fn stop(mut self) {
        self.running.signal(Signal::TERM);
        let status = self.running.wait();
        assert!(status.success(), "drained with {status}:\n{}", self.site.log());
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.running.kill();
    }

    /// Waits for a line of the log that contains all of `words`.
    pub(crate) fn wait_log(&self, words: &[&str]) -> String {
        let mut found = None;
        wait_for(&format!("{words:?} in the relay's log:\n{}", self.site.log()), || {
            found = self.site.log().lines().find(|l| words.iter().all(|w| l.contains(w))).map(str::to_owned);
            found.is_some()
        });
        found.expect("waited for")
    }
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_outguard"))
}
