//! One connection to a next hop: connect without a lease, then turn after turn, each on record before its MAIL.

use std::sync::Arc;

use super::Engine;
use super::cache::Loaded;
use super::core::Work;
use super::in_hand::{InHand, OnRecord};
use super::renew::{Bearing, Overtaken};
use super::settle::{Sent, Settled};
use crate::delivery::{Egress, NextHop, Outgoing, Plan};
use crate::dispatch::HopId;
use crate::limits::RecordId;
use crate::store::{DeliveryState, Index, Lease, LeaseRequest, Stored};

/// A turn whose message is read and whose deliveries are chosen.
pub(super) struct Prepared {
    pub(super) hand: InHand,
    /// Recipients of the message that can go on by this hop after this turn.
    pub(super) left: u32,
    loaded: Loaded,
    egress: Arc<str>,
    /// The host that it is meant for.
    next_hop: String,
}

/// A turn whose lease is on record: MAIL may be said.
pub(super) struct Ready {
    hand: InHand,
    left: u32,
    loaded: Loaded,
    lease: OnRecord,
}

impl Ready {
    fn new(engine: &Engine, prepared: Prepared, lease: Stored<Lease>) -> Self {
        let Prepared { hand, left, loaded, egress, next_hop } = prepared;
        Self { lease: OnRecord::new(lease, &egress, next_hop, &engine.broken), hand, left, loaded }
    }
}

impl Engine {
    /// The life of one connection. It was counted as opened.
    pub(super) async fn connection(self: Arc<Self>, hop: HopId, plan: Arc<Plan>, egress: Arc<Egress>) {
        let open = OpenGuard { engine: &self, hop, egress: &egress };
        let connected = NextHop::connect(&plan, &egress, &self.edges()).await;
        match connected {
            Ok(next_hop) => {
                self.connected(hop, &egress);
                self.serve(hop, &plan, &egress, next_hop).await;
            }
            Err(error) => {
                drop(open);
                self.not_connected(hop, &plan, &egress, &error).await;
                self.signals.connections.notify_one();
            }
        }
    }

    async fn serve(self: &Arc<Self>, hop: HopId, plan: &Arc<Plan>, egress: &Arc<Egress>, mut next_hop: NextHop) {
        let (mut ready, mut used) = (None, false);
        loop {
            let next = match ready.take() {
                Some(ready) => Some(ready),
                None if used && self.core().gives_way(hop, egress) => None,
                None => self.next_leased(hop, plan, egress, &mut next_hop).await,
            };
            let Some(Ready { hand, left, loaded, lease }) = next else {
                next_hop.quit().await;
                return;
            };
            used = true;
            let message = Sent::new(&loaded, lease.lease());
            let outgoing = Outgoing::new(&loaded.row, &loaded.deliveries, lease.lease(), loaded.content);
            let mut end = next_hop.mail(lease.spend(), outgoing).run().await;

            let connection = end.connection.take().filter(|_| !self.draining.is_cancelled());
            let settled = self.settle(end, &message, hop, plan);
            let goes_on = connection.is_some() && !self.core().gives_way(hop, egress);
            // What ended is on record before anything is waited for: a crash would send it again.
            let next = if goes_on { self.next_prepared(hop, plan, egress, Overtaken::PutBack).await } else { None };
            ready = self.conclude(settled, hand, left, next).await;
            match connection {
                Some(connection) => next_hop = connection,
                None => return,
            }
        }
    }

    /// Stores the end of an attempt and the next lease of this connection in one transaction.
    async fn conclude(
        self: &Arc<Self>,
        settled: Settled,
        hand: InHand,
        left: u32,
        next: Option<(Prepared, LeaseRequest)>,
    ) -> Option<Ready> {
        let (prepared, request) = next.unzip();
        let Settled { conclusion, mut after } = settled;
        let conclusion = conclusion.take();
        let attempt = RecordId(conclusion.lease.attempt().0);
        let concluded = match self.store.conclude(conclusion, request).await {
            Ok(concluded) => concluded.into_inner(),
            Err(error) => {
                // The store keeps trying by itself until it holds; it gives up only when it is closed.
                tracing::error!(%error, advice = error.advice(), "an outcome was not stored before the store closed");
                return None;
            }
        };
        let (next, refused) = match (prepared, concluded.next) {
            (Some(prepared), Some(lease)) => (Some(Ready::new(self, prepared, lease)), None),
            (prepared, _) => (None, prepared),
        };
        self.core().slots.limits.recorded(attempt);
        if let Some(granted) = concluded.next_granted {
            self.core().give_back(granted, self.clock.now());
        }
        after.without_reports(&concluded.reports_lost);
        self.after_conclusion(after, hand, left).await;
        if let Some(prepared) = refused {
            prepared.hand.put_back();
        }
        match next {
            Some(ready) => self.unless_empty(ready).await,
            None => None,
        }
    }

    /// Waits for a turn, and for the sync of its lease. `None`: the connection is not needed any longer.
    async fn next_leased(
        self: &Arc<Self>,
        hop: HopId,
        plan: &Arc<Plan>,
        egress: &Arc<Egress>,
        next_hop: &mut NextHop,
    ) -> Option<Ready> {
        let turns = self.core().hop(hop)?.turns.clone();
        let idle = tokio::time::sleep(super::IDLE);
        tokio::pin!(idle);
        loop {
            let told = turns.notified();
            if !next_hop.is_reusable() {
                return None;
            }
            if let Some((prepared, request)) = self.next_prepared(hop, plan, egress, Overtaken::MadeAnew).await {
                match self.store.lease(request).await {
                    Ok(lease) => match self.unless_empty(Ready::new(self, prepared, lease)).await {
                        Some(ready) => return Some(ready),
                        None => continue,
                    },
                    Err(refused) => {
                        tracing::warn!(error = %refused, advice = refused.error.advice(), "no lease; mail waits");
                        match refused.granted {
                            Some(granted) => {
                                prepared.hand.put_back();
                                self.core().give_back(granted, self.clock.now());
                            }
                            None => drop(prepared),
                        }
                        let mut core = self.core();
                        core.dispatch.park_hop(hop, crate::limits::Moment::from(self.clock.now()).plus_ms(1_000));
                        return None;
                    }
                }
            }
            if !self.core().is_of_use(hop, plan, egress, self.clock.now()) {
                return None;
            }
            tokio::select! {
                () = told => {}
                () = &mut idle => return None,
                () = self.draining.cancelled() => return None,
            }
        }
    }

    /// The next turn with its message and deliveries, ready to be leased.
    async fn next_prepared(
        self: &Arc<Self>,
        hop: HopId,
        plan: &Arc<Plan>,
        egress: &Arc<Egress>,
        overtaken: Overtaken,
    ) -> Option<(Prepared, LeaseRequest)> {
        loop {
            let now = self.clock.now();
            let Some((hand, mut work, fresh)) = self.take_turn(hop, plan, egress, now) else {
                // What was parked or emptied meanwhile has a wakeup or a refill that the loops must hear of.
                self.signals.connections.notify_one();
                return None;
            };
            for crossing in std::mem::take(&mut work.crossings) {
                self.tell_crossing(crossing).await;
            }
            let loaded = match self.read(&hand, &work, fresh).await {
                Some((_, Bearing::Overtaken)) if overtaken == Overtaken::PutBack => {
                    hand.put_back();
                    return None;
                }
                Some((loaded, Bearing::Overtaken)) => {
                    self.brought_up_to_date(loaded, hand.line(), &work.destination).await
                }
                Some((loaded, Bearing::UpToDate)) => Some(loaded),
                None => None,
            };
            if let Some(prepared) = self.choose(hand, work, loaded, plan, egress) {
                return Some(prepared);
            }
        }
    }

    fn take_turn(
        self: &Arc<Self>,
        hop: HopId,
        plan: &Arc<Plan>,
        egress: &Egress,
        now: crate::clock::Now,
    ) -> Option<(InHand, Work, Option<Loaded>)> {
        let mut core = self.core();
        let (turn, granted, work) = core.take_turn(hop, plan, egress, now)?;
        let fresh = core.fresh.take(turn.message());
        drop(core);
        Some((InHand::new(self, turn, granted), work, fresh))
    }

    /// A message as it is on record, and whether that may leave. `None`: as with [`load`](Self::load).
    async fn read(&self, hand: &InHand, work: &Work, mut fresh: Option<Loaded>) -> Option<(Loaded, Bearing)> {
        loop {
            let looked_at_by = self.renewing.looked_at_by(hand.message());
            // A copy in memory may be older than what the store has: refiled by a reload, released, removed.
            let loaded = match fresh.take().filter(|loaded| !self.free_deliveries(loaded, work).is_empty()) {
                Some(loaded) => loaded,
                None => self.load(hand, work).await?,
            };
            let bearing = self.bearing(&loaded);
            // Asked last: where another line of it made it anew meanwhile, what was read may be older than that, and is
            // called up to date for what the other wrote.
            if self.renewing.looked_at_by(hand.message()) == looked_at_by {
                return Some((loaded, bearing));
            }
        }
    }

    /// The deliveries of a message that may leave by the line of a turn now.
    fn free_deliveries(&self, loaded: &Loaded, work: &Work) -> Vec<Index> {
        let now = self.clock.now().wall.max(loaded.row.received);
        let free = loaded.deliveries.iter().filter(|delivery| {
            delivery.state == DeliveryState::Waiting
                && delivery.due.0 <= now.0.saturating_add(super::feed::SLACK_MS)
                && delivery.destination == work.destination
        });
        free.map(|delivery| delivery.index).collect()
    }

    /// Chooses the deliveries of a turn. `None`: none of them waits any more, and turn and slots went back.
    fn choose(
        &self,
        mut hand: InHand,
        work: Work,
        loaded: Option<Loaded>,
        plan: &Plan,
        egress: &Arc<Egress>,
    ) -> Option<(Prepared, LeaseRequest)> {
        if !self.core().still_stands(&work) {
            drop(hand); // its turn is lost, which has what waits read by the routes of now
            return None;
        }
        let now = self.clock.now();
        let mut chosen = loaded.as_ref().map(|loaded| self.free_deliveries(loaded, &work)).unwrap_or_default();
        let room = hand.room();
        let left = u32::try_from(chosen.len().saturating_sub(room)).unwrap_or(u32::MAX);
        chosen.truncate(room);
        let Some(loaded) = loaded.filter(|_| !chosen.is_empty()) else {
            // It left, or was held, while its line was read from the store.
            hand.annul();
            return None;
        };
        let request = LeaseRequest {
            message: hand.message(),
            deliveries: chosen,
            account: work.account,
            egress: egress.name.to_string(),
            counted_as: egress.counted_as.to_string(),
            login: plan.login.as_ref().map(|login| login.user.clone()),
            route: plan.route.to_string(),
            boot_id: self.clock.boot_id(),
            leased: now,
            granted: hand.take_granted(),
        };
        let (egress, next_hop) = (egress.name.clone(), plan.target.to_string());
        Some((Prepared { hand, left, loaded, egress, next_hop }, request))
    }

    /// A lease that found nothing waiting (an operator was faster) is ended as returned. What still waits of the message,
    /// for a gate was closed first, is found in the store.
    async fn unless_empty(&self, ready: Ready) -> Option<Ready> {
        if !ready.lease.lease().deliveries().is_empty() {
            return Some(ready);
        }
        let Ready { hand, lease, .. } = ready;
        let conclusion = self.settle_empty(lease.spend().into_inner());
        if let Err(error) = self.store.conclude(conclusion, None).await {
            tracing::error!(%error, advice = error.advice(), "an empty attempt was not ended before the store closed");
        }
        drop(hand); // its turn is lost, which has what still waits read from the store
        None
    }

    /// Reads a message from the store. `None`: it is gone, is held because its content is damaged, or cannot be read now
    /// (and is tried again later).
    async fn load(&self, hand: &InHand, work: &Work) -> Option<Loaded> {
        let id = hand.message();
        match self.load_message(id).await {
            Ok(loaded) => loaded,
            Err(error) if self.hold_unreadable(id, &error).await => None,
            Err(error) => {
                tracing::error!(%id, account = %work.account, %error, advice = error.advice(), "a message cannot be read");
                self.line_later(hand.line(), &error);
                None
            }
        }
    }
}

/// How long a hop is left alone whose task panicked, in milliseconds: the next one may do the same.
const PANIC_PAUSE_MS: u64 = 60_000;

/// Counts a connection as closed when its task is over, however it ends.
struct OpenGuard<'a> {
    engine: &'a Arc<Engine>,
    hop: HopId,
    egress: &'a Egress,
}

impl Drop for OpenGuard<'_> {
    fn drop(&mut self) {
        let now = self.engine.clock.now();
        let mut core = self.engine.core();
        if std::thread::panicking() {
            core.dispatch.park_hop(self.hop, crate::limits::Moment::from(now).plus_ms(PANIC_PAUSE_MS));
        }
        core.closed(self.hop, self.egress);
        drop(core);
        self.engine.signals.connections.notify_one();
    }
}
