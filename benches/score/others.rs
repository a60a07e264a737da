//! Rspamd and SpamAssassin on the same mail: each with one process that scans, the rules that it comes with, and nothing
//! that asks the network. What counts is the processor time of that process and its helpers, as `/proc` tells it: it
//! stays the same on a busy machine.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long one may take to start.
const START: Duration = Duration::from_mins(5);
/// How long one may take for a message.
const MESSAGE: Duration = Duration::from_mins(1);
/// Ticks of `/proc/*/stat` in a second; the same on every Linux that one meets.
const TICKS: f64 = 100.0;

/// Another scorer, running. It ends when this is dropped.
pub(crate) struct Other {
    name: &'static str,
    process: Child,
    address: SocketAddr,
    request: fn(&[u8]) -> Vec<u8>,
    _folder: tempfile::TempDir,
}

impl Other {
    /// Rspamd, if it is installed.
    pub(crate) fn rspamd() -> Result<Self, String> {
        let folder = folder()?;
        let local = folder.path().join("local.d");
        let address = free_address().map_err(|why| why.to_string())?;
        let write = |name: &str, text: String| fs::write(local.join(name), text).map_err(|why| why.to_string());
        fs::create_dir(&local).map_err(|why| why.to_string())?;
        write("worker-normal.inc", format!("bind_socket = \"{address}\"; count = 1;"))?;
        for worker in ["controller", "proxy", "fuzzy"] {
            write(&format!("worker-{worker}.inc"), "enabled = false;".to_owned())?;
        }
        write("options.inc", "dns { nameserver = [\"127.0.0.1:9\"]; timeout = 0.01s; retransmits = 1; }".to_owned())?;
        for module in NETWORK_MODULES {
            write(&format!("{module}.conf"), "enabled = false;".to_owned())?;
        }
        let at = folder.path().display();
        let variables = ["LOCAL_CONFDIR", "RUNDIR", "DBDIR", "LOGDIR"].map(|name| format!("--var={name}={at}"));
        let mut command = Command::new("rspamd");
        command.args(["-f", "-i", "-c", "/etc/rspamd/rspamd.conf"]).args(variables);
        Self::start("Rspamd", command, address, folder, |message| {
            let head = format!("POST /checkv2 HTTP/1.0\r\nContent-Length: {}\r\n\r\n", message.len());
            [head.as_bytes(), message].concat()
        })
    }

    /// SpamAssassin, if it is installed.
    pub(crate) fn spamassassin() -> Result<Self, String> {
        let folder = folder()?;
        let address = free_address().map_err(|why| why.to_string())?;
        let program = ["/usr/sbin/spamd", "/usr/bin/spamd"].map(PathBuf::from).into_iter().find(|path| path.exists());
        let mut command = Command::new(program.ok_or("spamd is not installed")?);
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        command.args(["-L", "-x", "-m", "1", "--max-conn-per-child=100000", "-s", "stderr", "-i", &host, "-p", &port]);
        Self::start("SpamAssassin", command, address, folder, |message| {
            let head = format!("CHECK SPAMC/1.5\r\nContent-length: {}\r\n\r\n", message.len());
            [head.as_bytes(), message].concat()
        })
    }

    fn start(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        folder: tempfile::TempDir,
        request: fn(&[u8]) -> Vec<u8>,
    ) -> Result<Self, String> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.map_err(|why| format!("{name}: {why}"))?;
        let mut other = Self { name, process, address, request, _folder: folder };
        let start = Instant::now();
        // The first message makes it read the rest of its rules.
        while other.ask(b"Subject: a\r\n\r\nb\r\n").is_err() {
            let gone = other.process.try_wait().map_err(|why| why.to_string())?;
            if gone.is_some() || start.elapsed() > START {
                return Err(format!("{name} does not start"));
            }
            sleep(Duration::from_millis(200));
        }
        Ok(other)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Lets it look at these messages. Returns its processor time, and how many it answered.
    pub(crate) fn judge<'a>(&self, mail: impl Iterator<Item = &'a [u8]>) -> (Duration, usize) {
        let before = self.processor_time();
        let answered = mail.filter(|message| self.ask(message).is_ok()).count();
        (self.processor_time().saturating_sub(before), answered)
    }

    fn ask(&self, message: &[u8]) -> io::Result<()> {
        let mut connection = TcpStream::connect(self.address)?;
        connection.set_read_timeout(Some(MESSAGE))?;
        connection.write_all(&(self.request)(message))?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        let said = String::from_utf8_lossy(&answer);
        if said.contains("200 OK") || said.contains("EX_OK") {
            Ok(())
        } else {
            Err(io::Error::other(format!("{} answers {:?}", self.name, said.lines().next())))
        }
    }

    /// Of the process and all that it started.
    fn processor_time(&self) -> Duration {
        let mut family = vec![self.process.id()];
        let mut ticks = 0;
        let stats = stats();
        while let Some(parent) = family.pop() {
            family.extend(stats.iter().filter(|stat| stat.parent == parent).map(|stat| stat.id));
            ticks += stats.iter().filter(|stat| stat.id == parent).map(|stat| stat.ticks).sum::<u32>();
        }
        Duration::from_secs_f64(f64::from(ticks) / TICKS)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // By SIGTERM, so that it ends its children too.
        if let Some(id) = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// Modules of Rspamd that ask the network or another program; they are off.
const NETWORK_MODULES: [&str; 15] = [
    "rbl",
    "spf",
    "dkim",
    "dmarc",
    "arc",
    "asn",
    "fuzzy_check",
    "mx_check",
    "dkim_signing",
    "greylist",
    "history_redis",
    "ratelimit",
    "replies",
    "neural",
    "url_redirector",
];

/// One process.
struct Stat {
    id: u32,
    parent: u32,
    /// User and system time, its own and that of children that ended.
    ticks: u32,
}

fn stats() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let read = |path: &Path| {
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let text = fs::read_to_string(path.join("stat")).ok()?;
        // The name in parentheses may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(Stat { id, parent: number(1)?, ticks: (11..15).filter_map(number).sum() })
    };
    entries.flatten().filter_map(|entry| read(&entry.path())).collect()
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|why| why.to_string())
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
