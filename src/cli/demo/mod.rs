//! `outguard demo`: a relay, three senders and a next hop in this process, with the hour shortened, so that one sees in two
//! minutes what otherwise takes an afternoon. Nothing leaves the machine.
//!
//! [`sink`] is the next hop, [`sender`] the three accounts, [`view`] what is shown meanwhile, [`proof`] what is reckoned from
//! the sink's own clock at the end.

mod proof;
mod sender;
mod sink;
mod view;

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::arguments::DemoArguments;
use super::exit::Failed;
use crate::api::Client;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::daemon::log::Log;
use crate::intake::Intake;
use sender::Sender;
use sink::Sink;
use view::{Picture, View};

/// Recipients that each account may send in a window.
const ACCOUNT_SLOTS: usize = 20;
/// Recipients that the egress may send in a window.
const EGRESS_SLOTS: usize = 30;
/// How often the view is looked at.
const TICK: Duration = Duration::from_millis(500);

/// How the hour is shortened.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The window of both limits, in seconds.
    window_secs: u64,
    /// After so many windows it ends, whatever happened.
    windows_max: u64,
}

impl Pace {
    /// The window as a rate of the configuration names it.
    fn window(self) -> String {
        if self.window_secs == 60 { "m".to_owned() } else { format!("{}s", self.window_secs) }
    }
}

/// Shows it, and fails if what it shows is not what outguard promises.
pub(super) fn run(arguments: &DemoArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let pace = if arguments.fast {
        Pace { window_secs: 10, windows_max: 6 }
    } else {
        Pace { window_secs: 60, windows_max: 4 }
    };
    let folder = Folder::make()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(show(folder.path(), pace, out))
}

async fn show(folder: &Path, pace: Pace, out: &mut dyn Write) -> Result<(), Failed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new()?);
    let sink = Sink::start(Arc::clone(&clock)).await?;
    let text = configuration(folder, &sink, pace);
    introduce(out, &text, pace)?;
    let file = folder.join("outguard.toml");
    std::fs::write(&file, text)?;
    let config = Config::load(&file).map_err(|faults| Failed::Config(faults.to_string()))?.config;
    let client = Client::new(&config.api.socket);
    let broken = |what: String| Failed::Demo { what };
    let sockets = Intake::bind(&config.intake).map_err(|e| broken(e.to_string()))?;
    let log = Log::silent(Arc::clone(&clock));
    let daemon =
        Daemon::start(config, sockets, Arc::clone(&clock), None, log).await.map_err(|e| broken(e.to_string()))?;
    let address = *daemon.addresses.first().ok_or_else(|| broken("the relay listens nowhere".to_owned()))?;

    let started = clock.now().boot;
    let senders = Sender::all(pace.window_secs);
    let expected: usize = senders.iter().map(Sender::recipients).sum();
    // Asked for once: between two listeners an interrupt would be heard by nobody.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut ends = signal(SignalKind::terminate())?;
    let sending: Vec<_> = senders.iter().map(|sender| tokio::spawn(sender.clone().send(address))).collect();
    let mut view = View::new(&senders, started, on_terminal());
    let patience_ms = pace.window_secs * pace.windows_max * 1_000;
    let mut interrupted = false;
    while sink.received().len() < expected && !interrupted {
        let now = clock.now();
        if now.boot.0.saturating_sub(started.0) > patience_ms {
            break;
        }
        view.show(Picture::Passing, now, &sink.received(), &client, out).await?;
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            Some(()) = interrupts.recv() => interrupted = true,
            Some(()) = ends.recv() => interrupted = true,
        }
    }
    if interrupted {
        sending.iter().for_each(tokio::task::JoinHandle::abort);
        daemon.shutdown().await;
        return Err(std::io::Error::new(std::io::ErrorKind::Interrupted, "interrupted before the proof").into());
    }
    // A delivery that came twice would arrive right behind the last.
    tokio::time::sleep(TICK).await;
    view.show(Picture::Last, clock.now(), &sink.received(), &client, out).await?;
    let mut failed = None;
    for task in sending {
        match task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed = Some(error.to_string()),
            Err(error) => failed = Some(error.to_string()),
        }
    }
    daemon.shutdown().await;
    if let Some(error) = failed {
        return Err(broken(format!("a sender was not served: {error}")));
    }
    proof::print(&senders, &sink.received(), pace, out)
}

fn configuration(folder: &Path, sink: &Sink, pace: Pace) -> String {
    let (window, folder, port) = (pace.window(), folder.display(), sink.address().port());
    format!(
        "store = \"{folder}/store\"\n\
         [control]\n\
         socket = \"{folder}/control.sock\"\n\
         [limits]\n\
         account = \"{ACCOUNT_SLOTS}/{window}\"\n\
         egress = \"{EGRESS_SLOTS}/{window}\"\n\
         [[listen]]\n\
         address = \"127.0.0.1:0\"\n\
         [trust]\n\
         trusted_networks = [\"127.0.0.1\"]\n\
         [[egress]]\n\
         address = \"127.0.0.1\"\n\
         ehlo = \"demo.example\"\n\
         [[route]]\n\
         smarthost = \"127.0.0.1:{port}\"\n\
         tls = \"none\"\n\
         [align]\n\
         judge = false\n\
         [disk]\n\
         free_min = \"1 MiB\"\n\
         ballast = \"0 B\"\n"
    )
}

fn introduce(out: &mut dyn Write, configuration: &str, pace: Pace) -> Result<(), Failed> {
    writeln!(out, "A relay, three senders and a next hop, all in this process; nothing leaves the machine.")?;
    writeln!(
        out,
        "The hour is shortened to {} s: each account may send to {ACCOUNT_SLOTS} recipients in it, all together to \
         {EGRESS_SLOTS}.\nanna and ben write now and then; flood, a hacked web site, hands in 45 messages at once.",
        pace.window_secs
    )?;
    writeln!(out, "The relay's whole configuration:\n")?;
    for line in configuration.lines() {
        writeln!(out, "    {line}")?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Whether a person sees the output at once, so that lines may be drawn over.
fn on_terminal() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// A folder of our own, gone with this value.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let clock = SystemClock::new()?.now();
        let name = format!("outguard-demo-{}-{}", std::process::id(), clock.boot.0);
        let path = std::env::temp_dir().join(name);
        // Made by us alone and for us alone: one that is there already is an error.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self(path);
        std::fs::DirBuilder::new().mode(0o700).create(folder.0.join("store"))?;
        Ok(folder)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // what cannot be removed is a demo's leftovers in /tmp
    }
}
