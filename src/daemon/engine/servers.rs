//! Next hops as they are known whatever egresses mail may leave by: destinations that differ in those alone are one server,
//! and what it lets in, how fast, and whether it answers, holds for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::core::Core;
use super::hops::Hop;
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
    /// Failed connects in a row.
    pub(super) failures: u32,
    /// Until when those are remembered though nothing waits.
    pub(super) failures_kept_until: Moment,
    /// Not to be connected to before then: it could not be.
    pub(super) unreachable_until: Moment,
    /// The last words of a failed connect, or of a pause.
    pub(super) trouble: Option<String>,
    /// Left alone until then, because it said so; limits' parks neither end nor shorten this.
    pub(super) paused_until: Moment,
    /// The number of connections that it lets in, and until when that is believed.
    fewer: Option<(u32, Moment)>,
    /// What the operator was told of it, by the row of the reply table, and when.
    told: HashMap<String, Moment>,
}

impl Server {
    fn new() -> Self {
        Self {
            hops: Vec::new(),
            open: 0,
            failures: 0,
            failures_kept_until: Moment::BEGINNING,
            unreachable_until: Moment::BEGINNING,
            trouble: None,
            paused_until: Moment::BEGINNING,
            fewer: None,
            told: HashMap::new(),
        }
    }

    /// Whether there is something to know of it beside its mail and connections.
    fn is_remembered(&self, now: Moment) -> bool {
        self.open > 0 || (self.failures > 0 && self.failures_kept_until > now) || self.paused_until > now
    }

    /// Nothing is begun with it before then.
    pub(super) fn left_alone_until(&self) -> Moment {
        self.paused_until.max(self.unreachable_until)
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
        let until = server.left_alone_until();
        if until > self.slots.limits.now() {
            self.dispatch.park_hop(hop, until);
        }
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
        self.hops.retain(|hop, _| self.dispatch.knows_hop(*hop));
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
            self.dispatch.set_hop_limit(hop, own + left);
        }
    }

    /// How many connections the hop's server may have now.
    fn connections_max(&self, hop: HopId) -> Option<u32> {
        let plan = self.hops.get(&hop)?.plan.as_ref().ok()?;
        let fewer = self.server(hop)?.fewer;
        Some(fewer.map_or(plan.concurrency, |(max, _)| max.min(plan.concurrency)))
    }

    /// Whether a connection of the hop should end for another hop of its server, which has mail and none.
    pub(super) fn gives_way_to_sibling(&self, hop: HopId) -> bool {
        self.siblings_without(hop) > self.connections_left(hop)
    }

    /// Whether what connections the server has left are for its other hops: this one has some.
    pub(super) fn leaves_it_to_siblings(&self, hop: HopId) -> bool {
        self.dispatch.hop_load(hop).0 > 0 && self.siblings_without(hop) >= self.connections_left(hop).max(1)
    }

    /// How many other hops of its server have mail free to leave, an egress for it, and no connection.
    fn siblings_without(&self, hop: HopId) -> u32 {
        let Some(server) = self.server(hop).filter(|server| server.hops.len() > 1) else { return 0 };
        let without = |other: &&HopId| {
            **other != hop && self.dispatch.waits_for_connection(**other) && self.has_free_egress(**other)
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
        server.paused_until = server.paused_until.max(until);
        server.trouble = Some(why);
        let until = server.paused_until;
        for hop in self.hops_of_server(hop) {
            self.dispatch.park_hop(hop, until);
        }
    }

    /// The server answers.
    pub(super) fn reached_server(&mut self, hop: HopId) {
        let Some(server) = self.server_mut(hop) else { return };
        server.trouble = None;
        if std::mem::take(&mut server.failures) > 0 {
            server.unreachable_until = Moment::BEGINNING;
            for hop in self.hops_of_server(hop) {
                self.dispatch.unpark_hop(hop);
            }
        }
    }

    /// The server could not be reached once more: it is not connected to before `until`, and what stands in line for it here
    /// is forgotten. Returns the destinations that this holds for.
    pub(super) fn missed_server(&mut self, hop: HopId, until: Moment, kept_until: Moment) -> Vec<Destination> {
        if let Some(server) = self.server_mut(hop) {
            (server.unreachable_until, server.failures_kept_until) = (until, kept_until);
        }
        let hops = self.hops_of_server(hop);
        for hop in &hops {
            // Parked before its heads go: what comes meanwhile stands in line and finds the park.
            self.dispatch.park_hop(*hop, until);
            let _ = self.dispatch.take_hop(*hop);
        }
        hops.iter().filter_map(|hop| self.destinations.name(hop.0).cloned()).collect()
    }

    /// The server lets in no more than those open now; more are tried after `until`.
    pub(super) fn fewer_connections(&mut self, hop: HopId, until: Moment) {
        if let Some(server) = self.server_mut(hop) {
            server.fewer = Some((server.open.max(1), until));
            self.fewer_until = self.fewer_until.min(until);
            self.share_connections(hop);
        }
    }

    /// More connections are tried where the time has come.
    pub(super) fn more_connections(&mut self, moment: Moment) {
        self.fewer_until = Moment::END;
        let mut free = Vec::new();
        for server in self.servers.values_mut() {
            match server.fewer {
                Some((_, until)) if until > moment => self.fewer_until = self.fewer_until.min(until),
                Some(_) => {
                    server.fewer = None;
                    free.extend(server.hops.first());
                }
                None => {}
            }
        }
        for hop in free {
            self.share_connections(hop);
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

    /// An operator wants it tried now: what next hops did before is forgotten, what limits say is not.
    pub(super) fn forgive_troubles(&mut self) {
        let is_planned = |hop: &HopId| self.hops.get(hop).is_some_and(|state: &Hop| state.plan.is_ok());
        for server in self.servers.values_mut() {
            if server.failures > 0 || server.paused_until > Moment::BEGINNING {
                server.failures = 0;
                server.trouble = None;
                (server.paused_until, server.unreachable_until) = (Moment::BEGINNING, Moment::BEGINNING);
                for hop in server.hops.iter().filter(|hop| is_planned(hop)) {
                    self.dispatch.unpark_hop(*hop);
                }
            }
        }
    }
}
