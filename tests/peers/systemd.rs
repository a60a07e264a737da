//! The unit as it is shipped, under a real systemd: readiness, sandbox, journal, reload, restart, stop.
//!
//! This machine's systemd is started once more as process 1 of namespaces of its own (`tests/rig/boot_systemd.sh`), with a
//! root folder in memory. The network is shared, so clients and next hop stand outside as in every other test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::rig::client::Client;
use crate::rig::loopback::own_address;
use crate::rig::process::{Running, find, is_root, run, wait_for};
use crate::rig::relay::{binary, smarthost};
use crate::rig::sink::Sink;
use crate::rig::tls::set_mode;
use crate::{need, skip};

/// Namespaces of its own, except for the network.
const NAMESPACES: [&str; 6] = ["--cgroup", "--mount", "--pid", "--uts", "--ipc", "--fork"];

/// The group of `outguard` in the second systemd's `/etc/group`.
const SERVICE_GROUP: u32 = 64_321;

/// A second systemd. Dropping it kills all that runs in it.
struct Systemd {
    running: Option<Running>,
    group: PathBuf,
    folder: tempfile::TempDir,
}

/// Where this process may make a control group of the second version.
fn own_group() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mount =
        mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|line| line.get(2) == Some(&"cgroup2"))?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new(mount[1]).join(own.trim_start_matches('/')).join(format!("outguard-test-{}", std::process::id())))
}

impl Systemd {
    /// Boots one; what stands in the way is the error.
    fn boot(config: &str) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("systemd-").tempdir().expect("a folder");
        set_mode(folder.path(), 0o755);
        for (inner, mode) in [("root", 0o755), ("config", 0o750)] {
            fs::create_dir(folder.path().join(inner)).expect("ours");
            set_mode(&folder.path().join(inner), mode);
        }
        // As the unit's comment has it: the service user's group may read.
        std::os::unix::fs::chown(folder.path().join("config"), Some(0), Some(SERVICE_GROUP)).expect("root may");
        let group = own_group().ok_or("there are no control groups of the second version")?;
        fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
        let mut this = Self { running: None, group, folder };
        this.configure(config);
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let paths = [
            this.group.join("cgroup.procs"),
            find("unshare").ok_or("there is no unshare")?,
            here.join("tests/rig/boot_systemd.sh"),
            this.folder.path().join("root"),
            binary(),
            here.join("config/outguard.service"),
            this.folder.path().join("config"),
        ];
        let texts = paths.map(|path| path.display().to_string());
        let script = format!("echo $$ > \"$0\" && exec \"$1\" {} --kill-child -- \"${{@:2}}\"", NAMESPACES.join(" "));
        let [group, further @ ..] = &texts;
        let arguments: Vec<&str> =
            ["-c", &script, group].into_iter().chain(further.iter().map(String::as_str)).collect();
        let bash = find("bash").ok_or("there is no bash")?;
        let mut running = Running::start("systemd", &bash, &arguments, &this.folder.path().join("log"));
        let mut ended = false;
        wait_for("systemd to boot", || {
            ended = running.ended().is_some();
            ended || this.log().contains("booting")
        });
        this.running = Some(running);
        if ended { Err(this.log()) } else { Ok(this) }
    }

    fn configure(&self, config: &str) {
        let file = self.folder.path().join("config/outguard.toml");
        fs::write(&file, config).expect("ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Runs a command inside.
    fn inside(&self, command: &[&str]) -> Output {
        let parent = self.running.as_ref().expect("it runs").pid();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        let first = children.split_whitespace().next().unwrap_or("none");
        let fixed = ["--target", first, "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd", "--"];
        run(&find("nsenter").expect("asked for by the test"), &[&fixed[..], command].concat(), b"")
    }

    fn said(&self, command: &[&str]) -> String {
        String::from_utf8_lossy(&self.inside(command).stdout).into_owned()
    }

    fn property(&self, name: &str) -> String {
        self.said(&["systemctl", "show", "--value", "--property", name, "outguard"]).trim().to_owned()
    }

    fn wait_property(&self, name: &str, value: &str) {
        wait_for(&format!("{name}={value}: {}", self.journal()), || self.property(name) == value);
    }

    fn journal(&self) -> String {
        self.said(&["journalctl", "--no-pager", "--output", "cat", "--lines", "30"])
    }

    /// The fields of the journal's line of an event.
    fn event(&self, name: &str) -> serde_json::Map<String, serde_json::Value> {
        let event = format!("OUTGUARD_EVENT={name}");
        let mut line = String::new();
        wait_for(&format!("{name} in the journal"), || {
            line = self.said(&["journalctl", "--no-pager", "--output", "json", "--lines", "1", &event]);
            line.starts_with('{')
        });
        serde_json::from_str(line.lines().next().expect("waited for")).expect("JSON")
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if std::thread::panicking() && self.running.is_some() {
            println!("{}\n{}", self.log(), self.journal());
        }
        self.running = None;
        // Process 1 is gone, and with it all others; their groups can be removed once the kernel has buried them.
        wait_for("the control groups to be empty", || remove_groups(&self.group));
    }
}

fn remove_groups(group: &Path) -> bool {
    for inner in fs::read_dir(group).into_iter().flatten().flatten() {
        if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&inner.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

fn config(at: Ipv4Addr, egress: Ipv4Addr, further: &str) -> String {
    format!(
        "[[listen]]\naddress = \"{at}:25\"\n\
         [[egress]]\naddress = \"{egress}\"\nehlo = \"out.example.com\"\n\
         [disk]\nfree_min = \"1 MiB\"\nballast = \"1 MiB\"\n{further}"
    )
}

#[test]
fn the_unit_runs_under_systemd() {
    for program in ["unshare", "nsenter", "systemctl", "journalctl", "pivot_root", "bash"] {
        need!(program);
    }
    if !is_root() {
        skip!("namespaces with a systemd in them want root");
    }
    if !Path::new("/lib/systemd/systemd").exists() {
        skip!("systemd is not installed");
    }
    let unshare = find("unshare").expect("asked for above");
    if !run(&unshare, &[&NAMESPACES[..], &["true"]].concat(), b"").status.success() {
        skip!("no namespaces can be had here");
    }
    let sink = Sink::start();
    let (at, egress) = (own_address(), own_address());
    let good = config(at, egress, &smarthost(sink.address()));
    let systemd = match Systemd::boot(&good) {
        Ok(systemd) => systemd,
        Err(why) => skip!("a second systemd does not start here: {why}"),
    };
    let address = SocketAddr::from((at, 25)); // a low port, and no root
    let submit = |from: &str| {
        let heard = Client::greeted(address).deliver(from, &["b@example.net"], b"Subject: x\r\n\r\nx\r\n");
        assert_eq!(heard.expect("an answer").code, 250);
    };

    // It is started when it says so itself.
    systemd.wait_property("ActiveState", "active");
    assert_eq!(systemd.property("StatusText"), "taking mail");
    submit("first@example.com");
    assert_eq!(sink.wait_accepted(1)[0].mail_from, "first@example.com");
    let main = systemd.property("MainPID");
    let user = systemd.said(&["stat", "--format", "%U %a", "/var/lib/outguard", &format!("/proc/{main}")]);
    assert_eq!(user, "outguard 700\noutguard 555\n", "the store is the service user's, and so is the process");

    // One line of the journal for each event, with what is searched for in fields of its own and everything in one.
    let accepted = systemd.event("message.accepted");
    let all: serde_json::Value = serde_json::from_str(accepted["OUTGUARD_JSON"].as_str().expect("text")).expect("JSON");
    // Another user than root relays, but is not believed: the clients of this test are root's.
    assert_eq!(accepted["OUTGUARD_ACCOUNT"], "first@example.com");
    assert_eq!(all["from"], "first@example.com");
    let delivered = systemd.event("delivery.delivered");
    let all: serde_json::Value =
        serde_json::from_str(delivered["OUTGUARD_JSON"].as_str().expect("text")).expect("JSON");
    assert_eq!(all["to"], "b@example.net");
    assert_eq!(delivered["OUTGUARD_ID"], accepted["OUTGUARD_ID"]);
    let message = delivered["MESSAGE"].as_str().expect("text");
    for (key, value) in all.as_object().expect("an object") {
        let (key, value) =
            (if key == "event" { String::new() } else { format!(" {key}=") }, value.as_str().unwrap_or(""));
        assert!(message.contains(&key) && message.contains(value), "{key}{value} in {message}");
    }

    // A reload of a bad file fails, is told, and changes nothing; a good one is taken.
    systemd.configure(&config(at, egress, "nonsense = 1\n"));
    assert!(!systemd.inside(&["systemctl", "reload", "outguard"]).status.success());
    submit("second@example.com");
    sink.wait_accepted(2);
    let other = Sink::start();
    systemd.configure(&config(at, egress, &smarthost(other.address())));
    assert!(systemd.inside(&["systemctl", "reload", "outguard"]).status.success());
    systemd.event("daemon.reloaded");
    submit("third@example.com");
    assert_eq!(other.wait_accepted(1)[0].mail_from, "third@example.com");

    // Killed it is started again, stopped it stays.
    systemd.inside(&["systemctl", "kill", "--signal", "KILL", "outguard"]);
    systemd.wait_property("NRestarts", "1");
    systemd.wait_property("ActiveState", "active");
    submit("fourth@example.com");
    assert_eq!(other.wait_accepted(2)[1].mail_from, "fourth@example.com");
    assert!(systemd.inside(&["systemctl", "stop", "outguard"]).status.success());
    assert_eq!((systemd.property("ActiveState"), systemd.property("Result")), ("inactive".into(), "success".into()));
    systemd.event("daemon.stopped");
}
