//! `outguard status`.

use std::io::Write;

use super::arguments::Look;
use super::exit::Failed;
use super::json_line;
use super::moment::{counted, deliveries, local};
use super::source::{Answer, Place};
use crate::api::view::StatusView;
use crate::mail::Visible;
use crate::store::{Gate, Reads as _};

pub(super) async fn run(place: &Place, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let status = match place.or_store(place.client.status().await)? {
        Answer::Daemon(status) => status,
        Answer::Store(store) => StatusView { daemon: None, queue: store.totals().await?, gates: store.gates().await? },
    };
    if look == Look::Json {
        return json_line(out, &status);
    }
    match &status.daemon {
        Some(daemon) => {
            let (version, pid, since) = (&daemon.version, daemon.pid, local(daemon.started));
            writeln!(out, "outguard {version} runs since {since} (process {pid})")?;
            let sessions = counted(daemon.sessions.into(), "session of a client", "sessions of clients");
            let connections =
                counted(daemon.connections.into(), "connection to a next hop", "connections to next hops");
            writeln!(out, "{sessions}, {connections}")?;
            for trouble in &daemon.troubles {
                writeln!(out, "TROUBLE  {}", Visible(trouble))?;
            }
        }
        None => writeln!(out, "outguard does not run")?,
    }
    let queue = &status.queue;
    let (waiting, held, under_way) = (deliveries(queue.waiting), queue.held, queue.under_way);
    let messages = counted(queue.messages, "message", "messages");
    writeln!(out, "{messages} in the queue: {waiting} waiting, {held} held, {under_way} under way")?;
    status.gates.iter().try_for_each(|gate| gate_line(gate, out))
}

/// One closed gate.
fn gate_line(gate: &Gate, out: &mut dyn Write) -> Result<(), Failed> {
    let until = gate.until.map(|at| format!(" until {}", local(at))).unwrap_or_default();
    let what = format!("{} {}", gate.kind.as_str(), gate.key);
    writeln!(
        out,
        "HOLD  {} since {}{until}, by {}: {}",
        Visible(what.trim_end()),
        local(gate.since),
        Visible(&gate.by),
        Visible(&gate.reason)
    )?;
    Ok(())
}
