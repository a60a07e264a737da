//! Next hops as they are known whatever egresses mail may leave by: destinations that differ in those alone are one server,
//! and how many connections it may have, and that it asks for patience, holds for all of them. Whether it answers is each
//! hop's own: nothing tells a server that is down from an egress that it lets in nowhere.

use std::collections::HashMap;
use std::sync::Arc;

use super::core::Core;
use crate::clock::Now;
use crate::delivery::Router;
use crate::dispatch::HopId;
use crate::limits::Moment;
use crate::store::Destination;

/// How long the operator is not told of the same trouble again, in milliseconds.
const TELL_AGAIN_MS: u64 = 3_600_000;

/// One next hop, or the servers of one domain.
#[derive(Debug)]
pub(super) struct Server {
    /// Its hops: one for each choice of egresses that mail for it has.
    pub(super) hops: Vec<HopId>,
    /// Connections open or being opened, over all its hops.
    pub(super) open: u32,
    /// Left alone, because it said so.
    pub(super) pause: Pause,
    /// What the operator was told of it, by the row of the reply table, and when.
    told: HashMap<String, Moment>,
}

/// For how long a next hop is left alone that asked for it, and its words. The parks of limits neither end nor shorten this.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) until: Moment,
    why: String,
}

impl Default for Pause {
    fn default() -> Self {
        Self { until: Moment::BEGINNING, why: String::new() }
    }
}

impl Pause {
    pub(super) fn prolong(&mut self, until: Moment, why: String) {
        if until >= self.until {
            *self = Self { until, why };
        }
    }

    /// The words, as long as it lasts.
    pub(super) fn why(&self, now: Moment) -> Option<&str> {
        (self.until > now).then_some(&*self.why)
    }
}

impl Server {
    fn new() -> Self {
        Self { hops: Vec::new(), open: 0, pause: Pause::default(), told: HashMap::new() }
    }

    /// Whether there is something to know of it beside its mail and connections.
    fn is_remembered(&self, now: Moment) -> bool {
        self.open > 0 || self.pause.until > now
    }
}

impl Core {
    /// The hop is one of its server's from now on.
    pub(super) fn join_server(&mut self, hop: HopId, destination: &Destination) -> Arc<str> {
        let name = Router::server(destination);
        let known = self.servers.get_key_value(name).map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| name.into());
        let server = self.servers.entry(Arc::clone(&name)).or_insert_with(Server::new);
        server.hops.push(hop);
        name
    }

    pub(super) fn server(&self, hop: HopId) -> Option<&Server> {
        self.servers.get(&self.hops.get(&hop)?.server)
    }

    pub(super) fn server_mut(&mut self, hop: HopId) -> Option<&mut Server> {
        self.servers.get_mut(&self.hops.get(&hop)?.server)
    }

    /// All hops of its server, itself among them.
    pub(super) fn hops_of_server(&self, hop: HopId) -> Vec<HopId> {
        self.server(hop).map_or_else(Vec::new, |server| server.hops.clone())
    }

    /// Forgets hops that dispatch has forgotten, and servers without hops of which nothing is to be remembered.
    pub(super) fn sweep_hops(&mut self, now: Moment) {
        self.hops.retain(|hop, state| self.dispatch.knows_hop(*hop) || state.is_remembered(now));
        let hops = &self.hops;
        self.servers.retain(|_, server| {
            server.hops.retain(|hop| hops.contains_key(hop));
            !server.hops.is_empty() || server.is_remembered(now)
        });
    }

    /// A connection to the hop's server is open or being opened.
    pub(super) fn opened_to_server(&mut self, hop: HopId) {
        if let Some(server) = self.server_mut(hop) {
            server.open += 1;
        }
        self.share_connections(hop);
    }

    /// It is closed, and is to be shared anew.
    pub(super) fn closed_to_server(&mut self, hop: HopId) {
        if let Some(server) = self.server_mut(hop) {
            server.open = server.open.saturating_sub(1);
        }
    }

    /// Each hop of the server may have the connections that it has and those that are left of the server's.
    pub(super) fn share_connections(&mut self, hop: HopId) {
        let Some(max) = self.connections_max(hop) else { return };
        let Some(server) = self.server(hop) else { return };
        let left = max.saturating_sub(server.open);
        // One that dispatch has forgotten has nothing to be limited. Who has none is named first, who just had one last.
        let known = server.hops.iter().filter(|other| self.dispatch.knows_hop(**other));
        let mut hops: Vec<(u32, bool, HopId)> =
            known.map(|other| (self.dispatch.hop_load(*other).0, *other == hop, *other)).collect();
        hops.sort_unstable_by_key(|(own, is_same, _)| (*own, *is_same));
        for (own, _, hop) in hops {
            let most = self.hops.get(&hop).map_or(max, |state| state.connections_max(max));
            self.dispatch.set_hop_limit(hop, most.min(own + left));
        }
    }

    /// How many connections the hop's server may have.
    fn connections_max(&self, hop: HopId) -> Option<u32> {
        self.hops.get(&hop)?.plan.as_ref().ok().map(|plan| plan.concurrency)
    }

    /// Whether a connection of the hop should end for another hop of its server, which has mail and none.
    pub(super) fn gives_way_to_sibling(&self, hop: HopId) -> bool {
        self.siblings_without(hop) > self.connections_left(hop)
    }

    /// Whether what connections the server has left are for its other hops: this one has some.
    pub(super) fn leaves_it_to_siblings(&self, hop: HopId) -> bool {
        self.dispatch.hop_load(hop).0 > 0 && self.siblings_without(hop) >= self.connections_left(hop).max(1)
    }

    /// How many other hops of its server have mail free to leave, an egress for it, and no connection. Those that could not be
    /// reached are none until they are tried anew.
    fn siblings_without(&self, hop: HopId) -> u32 {
        let Some(server) = self.server(hop).filter(|server| server.hops.len() > 1) else { return 0 };
        let now = self.slots.limits.now();
        let without = |other: &&HopId| {
            **other != hop
                && self.dispatch.waits_for_connection(**other)
                && self.left_alone_until(**other) <= now
                && self.has_free_egress(**other)
        };
        u32::try_from(server.hops.iter().filter(without).count()).unwrap_or(u32::MAX)
    }

    fn connections_left(&self, hop: HopId) -> u32 {
        let open = self.server(hop).map_or(0, |server| server.open);
        self.connections_max(hop).map_or(0, |max| max.saturating_sub(open))
    }

    /// The server is left alone for a while: it said so.
    pub(super) fn pause_server(&mut self, hop: HopId, until: Moment, why: String) {
        let Some(server) = self.server_mut(hop) else { return };
        server.pause.prolong(until, why);
        let until = server.pause.until;
        for hop in self.hops_of_server(hop) {
            if self.dispatch.knows_hop(hop) {
                self.dispatch.park_hop(hop, until);
            }
        }
    }

    /// Whether the operator is to be told of that row of the reply table: once an hour for each server, or a flood of refused
    /// mail becomes a flood of events.
    pub(super) fn may_tell(&mut self, hop: HopId, row: &str, now: Now) -> bool {
        let moment = Moment::from(now);
        let Some(server) = self.server_mut(hop) else { return true };
        server.told.retain(|_, at| moment.since_ms(*at) < TELL_AGAIN_MS);
        if server.told.contains_key(row) {
            return false;
        }
        server.told.insert(row.to_owned(), moment);
        true
    }
}
