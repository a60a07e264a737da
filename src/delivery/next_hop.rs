//! A connection that takes mail: made without a lease, spending one for each message.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attempt::{Abandoned, Outgoing};
use super::classify::{HopKind, ReplyTable};
use super::connect;
use super::dns::Resolver;
use super::error::DeliveryError;
use super::route::{Egress, Plan, Target};
use super::settings::{EightBit, Timeouts};
use super::tls::Tls;
use super::under_way::UnderWay;
use super::wire::Wire;
use crate::align::sign::Signer;
use crate::smtp::client::Extensions;
use crate::smtp::client::transaction::Before;
use crate::store::{Lease, Stored};

/// How long QUIT may take.
const QUIT_LIMIT: Duration = Duration::from_secs(5);

/// What connections touch beyond their socket.
pub struct Edges {
    /// Where names are looked up.
    pub resolver: Arc<dyn Resolver>,
    /// How TLS is agreed.
    pub tls: Tls,
    /// How long is waited.
    pub timeouts: Timeouts,
    /// What happens to 8-bit content where 8BITMIME is not offered.
    pub eightbit: EightBit,
    /// What replies mean.
    pub replies: Arc<ReplyTable>,
    /// Our own listeners: no next hops.
    pub listeners: Vec<SocketAddr>,
    /// Shuffles servers of equal preference.
    pub random: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Signs our own reports.
    pub signer: Signer,
    /// Where the lease of an attempt goes that was dropped before its end.
    pub abandoned: mpsc::UnboundedSender<Abandoned>,
}

impl fmt::Debug for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edges")
            .field("timeouts", &self.timeouts)
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The name by which it was found; an address where there is none.
    pub host: Arc<str>,
    /// Where it is.
    pub address: SocketAddr,
}

impl Peer {
    pub(super) fn new(host: &Arc<str>, address: SocketAddr) -> Self {
        Self { host: host.clone(), address }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]:{}", self.host, self.address.ip(), self.address.port())
    }
}

/// A connection ready for MAIL.
#[derive(Debug)]
pub struct NextHop {
    pub(super) wire: Wire,
    pub(super) offered: Extensions,
    pub(super) peer: Peer,
    pub(super) kind: HopKind,
    pub(super) egress: Arc<Egress>,
    pub(super) login: Option<Arc<str>>,
    pub(super) edges: Arc<Edges>,
    /// Whether the transaction before was left open.
    pub(super) before: Before,
    /// The bytes going out; kept from message to message.
    pub(super) out: Vec<u8>,
    messages: u32,
}

impl NextHop {
    /// Connects to the best server of the plan that takes mail, greets, starts TLS and logs in. No lease is needed: a dead
    /// host must not hold slots.
    ///
    /// # Errors
    /// None took mail; the error is that of the last one tried.
    pub async fn connect(plan: &Plan, egress: &Arc<Egress>, edges: &Arc<Edges>) -> Result<Self, DeliveryError> {
        connect::connect(plan, egress, edges).await
    }

    pub(super) fn ready(
        wire: Wire,
        offered: Extensions,
        peer: Peer,
        plan: &Plan,
        egress: &Arc<Egress>,
        edges: &Arc<Edges>,
    ) -> Self {
        let kind = match plan.target {
            Target::Smarthost { .. } => HopKind::Smarthost,
            Target::Mx { .. } => HopKind::Mx,
        };
        Self {
            wire,
            offered,
            peer,
            kind,
            egress: egress.clone(),
            login: plan.login.as_ref().map(|login| login.user.as_str().into()),
            edges: edges.clone(),
            before: Before::Clean,
            out: Vec::new(),
            messages: 0,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Where it starts.
    pub fn egress(&self) -> &Arc<Egress> {
        &self.egress
    }

    /// The user it is logged in as.
    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// How many messages it was given.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Whether it can take another message: nothing was heard from the other side since the last reply. Cheap; ask before
    /// each use after a pause.
    pub fn is_reusable(&mut self) -> bool {
        self.wire.is_quiet()
    }

    /// Spends the lease on this message. Nothing is sent before [`UnderWay::run`].
    pub fn mail(mut self, lease: Stored<Lease>, message: Outgoing) -> UnderWay {
        self.messages += 1;
        UnderWay::new(self, lease, message)
    }

    /// Says QUIT and closes, in bounded time.
    pub async fn quit(mut self) {
        let until = Instant::now() + QUIT_LIMIT;
        if self.wire.send(b"QUIT\r\n", until).await.is_ok() {
            // Whatever it answers, this is the end.
            let _ = self.wire.reply(until).await;
        }
    }
}

#[cfg(test)]
mod tests;
