//! Sendmail in front of the relay, configured as its recipe says.
//!
//! It is unpacked rather than installed, so its configuration is made here from the package's own m4 files, with the paths
//! of `/etc` and `/var` pointed into the test's folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::rig::client::Client;
use crate::rig::loopback::own_address;
use crate::rig::process::{Running, find, is_root, run, wait_for};
use crate::rig::relay::{Site, recipe, smarthost};
use crate::rig::sink::Sink;
use crate::rig::tls::set_mode;
use crate::{need, skip};

/// The name behind `by` in its Received fields.
const OWN_NAME: &str = "mail.example.com";

struct Sendmail {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    unshare: PathBuf,
}

/// A file of a Debian package, unpacked beside the build or installed.
fn of_package(package: &str, path: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(package);
    [unpacked.join(path), Path::new("/").join(path)].into_iter().find(|found| found.exists())
}

impl Sendmail {
    fn configured(program: PathBuf, macros: &Path, m4: &Path, folder: PathBuf, relay: SocketAddr) -> Self {
        let unshare = find("unshare").expect("asked for by the test");
        fs::create_dir(&folder).expect("ours");
        set_mode(&folder, 0o755);
        fs::create_dir(folder.join("queue")).expect("ours");
        set_mode(&folder.join("queue"), 0o700);
        fs::write(folder.join("switch"), "hosts files\naliases files\n").expect("ours");
        let address = SocketAddr::from((own_address(), 25));
        let (at, cf) = (folder.display(), macros.display());
        let text = format!(
            "define(`_CF_DIR_', `{cf}/')dnl\n\
             include(`{cf}/m4/cf.m4')dnl\n\
             OSTYPE(`linux')dnl\n\
             define(`confDOMAIN_NAME', `{OWN_NAME}')dnl\n\
             define(`QUEUE_DIR', `{at}/queue')dnl\n\
             define(`ALIAS_FILE', `')dnl\n\
             define(`STATUS_FILE', `{at}/statistics')dnl\n\
             define(`confPID_FILE', `{at}/pid')dnl\n\
             define(`confSERVICE_SWITCH_FILE', `{at}/switch')dnl\n\
             define(`confTRUSTED_USER', `root')dnl\n\
             define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl\n\
             FEATURE(`no_default_msa')dnl\n\
             FEATURE(`promiscuous_relay')dnl\n\
             FEATURE(`accept_unresolvable_domains')dnl\n\
             DAEMON_OPTIONS(`Family=inet, Name=MTA, Port={}, Addr={}')dnl\n\
             {}\n\
             MAILER(`local')dnl\n\
             MAILER(`smtp')dnl\n",
            address.port(),
            address.ip(),
            recipe("sendmail/outguard.mc", relay),
        );
        let source = folder.join("sendmail.mc");
        fs::write(&source, text).expect("ours");
        let made = run(m4, &[&source.display().to_string()], b"");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(folder.join("sendmail.cf"), made.stdout).expect("ours");
        Self { program, folder, address, unshare }
    }

    /// Sendmail waits a minute at each start where the machine's own name has no dot, so it gets one that nobody else sees.
    fn arguments(&self, further: &[&str]) -> Vec<String> {
        let script = format!("hostname {OWN_NAME} && exec \"$0\" \"$@\"");
        let config = self.folder.join("sendmail.cf").display().to_string();
        let program = self.program.display().to_string();
        let fixed = ["--uts", "sh", "-c", &script, &program, "-C", &config];
        fixed.iter().chain(further).map(|&argument| argument.to_owned()).collect()
    }

    /// What a local program does that sends mail; delivered before it ends.
    fn submit(&self, further: &[&str], message: &str) -> Output {
        let fixed = ["-Am", "-odi", "-oi", "-f", "alice@example.com"];
        let arguments = self.arguments(&[&fixed, further, &["bob@example.net"]].concat());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&self.unshare, &arguments, message.as_bytes())
    }

    fn start(&self) -> Running {
        let arguments = self.arguments(&["-bD", "-q1m"]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let daemon = Running::start("sendmail", &self.unshare, &arguments, &self.folder.join("log"));
        wait_for("Sendmail", || std::net::TcpStream::connect(self.address).is_ok());
        daemon
    }
}

#[test]
fn sendmail() {
    let Some(program) = of_package("sendmail-bin", "usr/libexec/sendmail/sendmail") else {
        skip!("Sendmail is not unpacked");
    };
    let Some(macros) = of_package("sendmail-cf", "usr/share/sendmail/cf") else {
        skip!("Sendmail's m4 files are not unpacked");
    };
    let m4 = need!("m4");
    let unshare = need!("unshare");
    need!("hostname");
    if !is_root() {
        skip!("Sendmail's daemon wants root");
    }
    if !run(&unshare, &["--uts", "true"], b"").status.success() {
        skip!("a host name of its own cannot be had here, and Sendmail wants one with a dot");
    }
    let sink = Sink::start();
    // The same name on both sides, as on one machine: Sendmail must not take the relay for itself.
    let accounts = format!(
        "[intake]\nown_name = \"{OWN_NAME}\"\n[account]\nown_names = [\"{OWN_NAME}\"]\nreceived_trusted = true\n"
    );
    let relay = Site::new(&format!("{accounts}{}", smarthost(sink.address()))).start();
    set_mode(relay.site().folder(), 0o755);
    let folder = relay.site().folder().join("sendmail");
    let sendmail = Sendmail::configured(program, &macros, &m4, folder, relay.site().address());

    let message = |subject: &str| {
        format!("From: alice@example.com\nTo: bob@example.net\nSubject: {subject}\n\n.dot\nGr\u{fc}\u{df}e\n")
    };
    let submit = |further: &[&str], subject: &str| {
        let output = sendmail.submit(further, &message(subject));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    submit(&[], "by a local user");
    relay.wait_log(&["message.accepted", "account=uid:root"]);
    // The macro that Sendmail sets at a login, as a login needs SASL's own daemons.
    submit(&["-M{auth_authen}carol"], "by a login");
    relay.wait_log(&["message.accepted", "account=carol"]);

    let _daemon = sendmail.start();
    let content = message("by SMTP").replace('\n', "\r\n");
    let heard =
        Client::greeted(sendmail.address).deliver("alice@example.com", &["bob@example.net"], content.as_bytes());
    assert_eq!(heard.expect("an answer").code, 250);
    // Nobody logged in: the reverse-path is all that is known.
    relay.wait_log(&["message.accepted", "account=alice@example.com"]);

    let arrivals = sink.wait_accepted(3);
    for subject in ["by a local user", "by a login", "by SMTP"] {
        let subject = format!("Subject: {subject}\r\n");
        let arrival = arrivals.iter().find(|arrival| arrival.text().contains(&subject)).expect("each arrives");
        assert_eq!(
            (arrival.mail_from.as_str(), &arrival.recipients[..]),
            ("alice@example.com", &["bob@example.net".to_owned()][..])
        );
        assert!(arrival.text().ends_with("\r\n\r\n.dot\r\nGr\u{fc}\u{df}e\r\n"), "{}", arrival.text());
    }
    relay.stop();
}
