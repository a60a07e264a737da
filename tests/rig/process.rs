//! Child processes that cannot outlive the test: each has a process group of its own, is killed by its guard, and by
//! the kernel (`setpriv --pdeathsig`) where the test program itself is killed.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::PATIENCE;

/// A child with a process group of its own. Dropping it kills the whole group.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts `program` with its output in `log`.
    pub(crate) fn start(name: &str, program: &Path, arguments: &[&str], log: &Path) -> Self {
        Self::start_with(name, program, arguments, log, &[])
    }

    /// The same, with variables added to the environment.
    pub(crate) fn start_with(
        name: &str,
        program: &Path,
        arguments: &[&str],
        log: &Path,
        variables: &[(&str, &str)],
    ) -> Self {
        use std::os::unix::process::CommandExt as _;
        let log = File::options().create(true).append(true).open(log).expect("the log can be written");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{name} ({}) does not start: {e}", program.display()));
        Self { name: name.to_owned(), child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process itself, not to its group.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.as_pid(), signal)
            .unwrap_or_else(|e| panic!("{} cannot be signalled: {e}", self.name));
    }

    /// `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours can be waited for")
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for(&format!("{} to end", self.name), || {
            status = self.child.try_wait().expect("a child of ours can be waited for");
            status.is_some()
        });
        status.expect("waited for")
    }

    /// SIGKILL, and gone before this returns.
    pub(crate) fn kill(&mut self) {
        // A group that is gone is what was asked for.
        let _ = rustix::process::kill_process_group(self.as_pid(), Signal::KILL);
        let _ = self.child.wait();
    }

    fn as_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process ids fit")).expect("process ids are not zero")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks `condition` again and again until it holds.
///
/// # Panics
/// After [`PATIENCE`], with `what` was waited for.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited {} s in vain for {what}", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(10));
    }
}

/// The program, from the search path, from where Debian keeps daemons, or unpacked beside the build (programs whose
/// packages exclude each other cannot all be installed).
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin", "/usr/lib/postfix/sbin"].map(PathBuf::from));
    for root in std::fs::read_dir(unpacked).into_iter().flatten().flatten() {
        folders.extend(["usr/sbin", "usr/bin", "usr/lib/nullmailer"].map(|inner| root.path().join(inner)));
    }
    folders.into_iter().map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// A program of a package that is unpacked beside the build, where the search path has another one of that name.
pub(crate) fn find_unpacked(package: &str, program: &str) -> Option<PathBuf> {
    let usr = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(package).join("usr");
    ["sbin", "bin"].map(|folder| usr.join(folder).join(program)).into_iter().find(|candidate| candidate.is_file())
}

/// A program that a test cannot do without: where it is absent the test says so aloud and passes.
#[macro_export]
macro_rules! need {
    ($program:expr) => {
        match $crate::rig::process::find($program) {
            Some(found) => found,
            None => $crate::skip!("{} is not installed", $program),
        }
    };
}

/// Leaves the test, aloud.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::rig::process::say_skipped(format_args!($($reason)*));
        return;
    }};
}

/// Told past the test harness, which shows what passing tests print to nobody.
pub(crate) fn say_skipped(reason: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Whether this program may start daemons that drop privileges.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a program to its end, with `input` on its standard input.
pub(crate) fn run(program: &Path, arguments: &[&str], input: &[u8]) -> Output {
    run_with(program, arguments, input, &[])
}

/// The same, with variables added to the environment.
pub(crate) fn run_with(program: &Path, arguments: &[&str], input: &[u8], variables: &[(&str, &str)]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()));
    let mut stdin = child.stdin.take().expect("piped");
    // From a thread: a program that fills its output before it has read its input would stop both.
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not want its input has closed the pipe.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().expect("a child of ours can be waited for")
    })
}
