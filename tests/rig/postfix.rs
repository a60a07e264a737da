//! A private Postfix: own configuration, queue and log in its own folder, own address, started and ended by the test.
//!
//! It needs root, as Postfix does. Everything not said here is Postfix's default, fsync included.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Output;

use rustix::process::Signal;

use super::loopback::own_address;
use super::process::{self, Running, find, wait_for};
use super::tls::set_mode;

/// What differs from a plain instance.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Lines of `main.cf`, after ours.
    pub(crate) main: Vec<(String, String)>,
    /// Lines of `master.cf`, after ours.
    pub(crate) master: Vec<String>,
    /// Where `smtpd` listens besides port 25 of the instance's address, with further `-o` options.
    pub(crate) smtpd_options: Vec<String>,
}

impl Plan {
    #[must_use]
    pub(crate) fn main(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.main.push((name.to_owned(), value.to_string()));
        self
    }

    /// Everything goes to this next hop.
    #[must_use]
    pub(crate) fn relayhost(self, to: SocketAddr) -> Self {
        self.main("relayhost", format_args!("[{}]:{}", to.ip(), to.port()))
    }

    /// Everything goes through the relay, as our recipe for Postfix says.
    #[must_use]
    pub(crate) fn recipe(mut self, relay: SocketAddr) -> Self {
        self.master.push(super::relay::recipe("postfix/master.cf", relay));
        let main = super::relay::recipe("postfix/main.cf", relay);
        let settings = main.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        self.main.extend(settings.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
        self
    }

    #[must_use]
    pub(crate) fn master(mut self, line: &str) -> Self {
        self.master.push(line.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn smtpd_option(mut self, option: &str) -> Self {
        self.smtpd_options.push(option.to_owned());
        self
    }
}

/// A running instance. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub(crate) struct Postfix {
    master: Running,
    address: Ipv4Addr,
    folder: tempfile::TempDir,
}

/// Whether this machine and user can run one; otherwise the reason.
pub(crate) fn missing() -> Option<&'static str> {
    if find("master").is_none() || find("postconf").is_none() {
        return Some("Postfix is not installed");
    }
    (!process::is_root()).then_some("Postfix's master wants root")
}

impl Postfix {
    /// Starts one that listens on port 25 of an address of its own.
    pub(crate) fn start(plan: &Plan) -> Self {
        let folder = tempfile::Builder::new().prefix("postfix-").tempdir().expect("a folder");
        // Postfix's own user must reach its queue.
        set_mode(folder.path(), 0o755);
        let address = own_address();
        lay_out(folder.path());
        write_configuration(folder.path(), address, plan);
        let config = folder.path().join("etc").display().to_string();
        let master = find("master").expect("checked by `missing`");
        let log = folder.path().join("master.out");
        let master = Running::start_with("postfix", &master, &["-c", &config, "-d"], &log, &[("MAIL_CONFIG", &config)]);
        let this = Self { master, address, folder };
        wait_for(&format!("Postfix: {}", this.log()), || std::net::TcpStream::connect((this.address, 25)).is_ok());
        this
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((self.address, 25))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.master.pid()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("master.out") + &read("log")
    }

    /// Waits for a line of the log that contains all of `words`.
    pub(crate) fn wait_log(&self, words: &[&str]) -> String {
        let mut found = None;
        wait_for(&format!("{words:?} in Postfix's log"), || {
            found = self.log().lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned);
            found.is_some()
        });
        found.expect("waited for")
    }

    /// Runs one of Postfix's commands on this instance.
    pub(crate) fn command(&self, program: &str, arguments: &[&str], input: &[u8]) -> Output {
        let config = self.folder.path().join("etc").display().to_string();
        let program = find(program).unwrap_or_else(|| panic!("{program} belongs to Postfix"));
        let arguments = [&["-c", &config][..], arguments].concat();
        process::run_with(&program, &arguments, input, &[("MAIL_CONFIG", &config)])
    }

    /// Submits as a local program does.
    pub(crate) fn sendmail(&self, from: &str, to: &[&str], content: &[u8]) {
        let config = self.folder.path().join("etc").display().to_string();
        let arguments = [&["-C", &config, "-i", "-f", from, "--"][..], to].concat();
        let program = find("sendmail").expect("belongs to Postfix");
        let output = process::run_with(&program, &arguments, content, &[("MAIL_CONFIG", &config)]);
        assert!(output.status.success(), "sendmail: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// How many messages are in its queue.
    pub(crate) fn queued(&self) -> usize {
        let output = self.command("postqueue", &["-j"], b"");
        output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count()
    }

    /// Tries everything deferred now.
    pub(crate) fn flush(&self) {
        self.command("postqueue", &["-f"], b"");
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // TERM lets master end its daemons, which have left its process group.
        if self.master.ended().is_none() {
            self.master.signal(Signal::TERM);
            for _ in 0..200 {
                if self.master.ended().is_some() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
}

/// The queue's folders with the owners and modes that Postfix's own installation gives them.
fn lay_out(folder: &Path) {
    let owned = |path: PathBuf, mode: u32, user: &str, group: Option<&str>| {
        std::fs::create_dir_all(&path).expect("a folder of ours");
        let user = nix::unistd::User::from_name(user).ok().flatten().map(|user| user.uid);
        let group = group.and_then(|group| nix::unistd::Group::from_name(group).ok().flatten()).map(|group| group.gid);
        std::os::unix::fs::chown(&path, user.map(nix::unistd::Uid::as_raw), group.map(nix::unistd::Gid::as_raw))
            .expect("root may");
        set_mode(&path, mode);
    };
    std::fs::create_dir(folder.join("etc")).expect("a folder of ours");
    owned(folder.join("data"), 0o700, "postfix", None);
    let queue = folder.join("queue");
    owned(queue.clone(), 0o755, "root", None);
    owned(queue.join("pid"), 0o755, "root", None);
    for name in
        ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"]
    {
        owned(queue.join(name), 0o700, "postfix", None);
    }
    owned(queue.join("maildrop"), 0o730, "postfix", Some("postdrop"));
    owned(queue.join("public"), 0o710, "postfix", Some("postdrop"));
}

fn write_configuration(folder: &Path, address: Ipv4Addr, plan: &Plan) {
    let etc = folder.join("etc");
    let folder = folder.display();
    let mut main = format!(
        "compatibility_level = 3.6\n\
         queue_directory = {folder}/queue\n\
         data_directory = {folder}/data\n\
         maillog_file = {folder}/log\n\
         maillog_file_prefixes = {folder}\n\
         command_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\n\
         myhostname = client.example\n\
         mydestination =\n\
         mynetworks = 127.0.0.0/8\n\
         inet_interfaces = all\n\
         inet_protocols = ipv4\n\
         smtp_bind_address = {address}\n\
         smtpd_peername_lookup = no\n\
         smtp_host_lookup = native\n\
         disable_dns_lookups = yes\n\
         alias_maps =\n\
         alias_database =\n\
         local_recipient_maps =\n"
    );
    for (name, value) in &plan.main {
        let _ = writeln!(main, "{name} = {value}");
    }
    std::fs::write(etc.join("main.cf"), main).expect("a file of ours");

    let mut master = format!("{address}:25 inet n - n - - smtpd {}\n", plan.smtpd_options.join(" "));
    master.push_str(
        "pickup unix n - n 60 1 pickup\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\n\
         flush unix n - n 1000? 0 flush\n\
         proxymap unix - - n - - proxymap\n\
         smtp unix - - n - - smtp\n\
         relay unix - - n - - smtp\n\
         showq unix n - n - - showq\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         discard unix - - n - - discard\n\
         local unix - n n - - local\n\
         virtual unix - n n - - virtual\n\
         lmtp unix - - n - - lmtp\n\
         anvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\n\
         postlog unix-dgram n - n - 1 postlogd\n",
    );
    for line in &plan.master {
        let _ = writeln!(master, "{line}");
    }
    std::fs::write(etc.join("master.cf"), master).expect("a file of ours");
}
