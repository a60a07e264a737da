//! Why mail waits and when it is expected to leave: what `queue show` and the page say, from what decides it.

use std::sync::Arc;

use super::Engine;
use super::core::Core;
use super::slots::{Parked, Waits};
use crate::api::view::MessageView;
use crate::api::{LimitUse, Stand, WhyLine};
use crate::clock::{Now, WallMs};
use crate::delivery::{Egress, Plan};
use crate::dispatch::{Standing, Why};
use crate::limits::{Charged, Moment, NextSlot};
use crate::mail::QueueId;
use crate::store::{DeliveryRow, DeliveryState, MessageRow, StoreError};

impl Engine {
    /// Why the deliveries of a message have not left; empty if there is no such message.
    pub async fn explain(&self, id: QueueId) -> Result<Vec<WhyLine>, StoreError> {
        let Some(found) = self.store.message(id).await? else { return Ok(Vec::new()) };
        Ok(self.views(vec![found]).await.iter().flat_map(WhyLine::all).collect())
    }

    /// Messages with what stands in the way of each delivery. Others have their turn between any two.
    pub async fn views(&self, found: Vec<(MessageRow, Vec<DeliveryRow>)>) -> Vec<MessageView> {
        let mut views = Vec::with_capacity(found.len());
        for (row, deliveries) in found {
            views.push(self.view(row, deliveries));
            tokio::task::yield_now().await;
        }
        views
    }

    fn view(&self, row: MessageRow, deliveries: Vec<DeliveryRow>) -> MessageView {
        let now = self.clock.now();
        let core = self.core();
        // A hundred recipients at one place stand alike, and to find out where takes a look at all lines there.
        let mut last: Option<(DeliveryRow, Option<Stand>)> = None;
        MessageView::of(row, deliveries, now.wall, |row, delivery| {
            if let Some((other, stand)) = &last
                && stands_alike(other, delivery)
            {
                return stand.clone();
            }
            let stand = core.why(row, delivery, now).map(|(why, expected)| Stand::of(&why, expected));
            last = Some((delivery.clone(), stand.clone()));
            stand
        })
    }

    /// How full each limit is.
    pub fn limit_uses(&self) -> Vec<LimitUse> {
        let now = self.clock.now();
        let present = Moment::from(now);
        let usage = self.core().slots.limits.usage(present);
        let next = |next| match next {
            NextSlot::At(at) if at > present => Some(at.to_wall(now)),
            NextSlot::At(_) | NextSlot::AfterLeases | NextSlot::Never => None,
        };
        let to_use = |usage: crate::limits::Usage| LimitUse {
            kind: usage.kind.to_string(),
            key: usage.key.to_string(),
            rule: usage.rule.to_string(),
            used: usage.used,
            leased: usage.leased,
            slots: usage.slots,
            next_slot: next(usage.next),
        };
        usage.into_iter().map(to_use).collect()
    }
}

/// Whether one reason is that of two deliveries of a message.
fn stands_alike(one: &DeliveryRow, other: &DeliveryRow) -> bool {
    let of = |row: &DeliveryRow| (row.state, row.due, row.attempts);
    of(one) == of(other) && one.destination == other.destination && one.last_reply == other.last_reply
}

impl Core {
    /// The reason of one delivery and its expected time; `None` if it neither waits nor is held or under way.
    pub(super) fn why(&self, row: &MessageRow, delivery: &DeliveryRow, now: Now) -> Option<(Why, Option<WallMs>)> {
        match delivery.state {
            DeliveryState::Delivered | DeliveryState::Bounced | DeliveryState::Removed => return None,
            DeliveryState::UnderWay => return Some((Why::UnderWay, None)),
            DeliveryState::Held => return Some((row.why_held(delivery), None)),
            DeliveryState::Waiting => {}
        }
        if let Some(gate) = self.gates.stops_account(&row.account) {
            return Some((Why::Held(gate.into()), gate.until));
        }
        let line = self.find_line(&row.account, row.class, &delivery.destination);
        let plan = self.router.plan(&delivery.destination);
        let plan = match plan {
            Ok(plan) => plan,
            Err(no_plan) => return Some((Why::NoWay { missing: no_plan.to_string().into() }, None)),
        };
        let gate = plan.egresses.first().and_then(|egress| self.gates.stops_egress(&egress.name));
        if let Some(gate) = gate.filter(|_| plan.egresses.iter().all(|e| self.gates.stops_egress(&e.name).is_some())) {
            return Some((Why::Held(gate.into()), gate.until));
        }
        if delivery.due > now.wall {
            let last_reply = delivery.last_reply.clone().unwrap_or_default().into();
            let why = Why::Retry { at: delivery.due, failed_attempts: delivery.attempts, last_reply };
            return Some((why, Some(delivery.due)));
        }
        let turn = || (Why::Turn { ahead: 0 }, None);
        let Some(line) = line else { return Some(turn()) };
        Some(match self.dispatch.standing(line, row.id) {
            Standing::Absent | Standing::Gated => turn(),
            Standing::UnderWay => (Why::UnderWay, None),
            Standing::AccountParked(until) => self.slot(Parked::Account(line.account), row, &plan, until, now),
            Standing::LineParked(until) => self.slot(Parked::Line(line), row, &plan, until, now),
            Standing::HopParked(until) => match self.left_alone_for(line.hop, now.into()) {
                Some(trouble) => {
                    let until = (until != Moment::END).then(|| until.to_wall(now));
                    (Why::NextHopBusy { next_hop: format!("{} ({trouble})", plan.target).into(), until }, until)
                }
                None => self.slot(Parked::Hop(line.hop), row, &plan, until, now),
            },
            Standing::Busy { ahead } | Standing::Turn { ahead } => {
                let expected = self.expected(row, &plan, ahead, now);
                (Why::Turn { ahead }, expected)
            }
        })
    }

    /// Waiting for a slot: the refusing rule, and the time at which those before it and it have theirs.
    fn slot(&self, parked: Parked, row: &MessageRow, plan: &Plan, until: Moment, now: Now) -> (Why, Option<WallMs>) {
        let ahead = match self.find_line(&row.account, row.class, &plan.destination) {
            Some(line) => self.dispatch.ahead_in_line(line, row.id),
            None => 0,
        };
        let expected = match self.outlook(row, plan, ahead, now) {
            NextSlot::At(at) => Some(at.max(until).to_wall(now)).filter(|_| until != Moment::END),
            NextSlot::AfterLeases | NextSlot::Never => None,
        };
        let why = match self.slots.waits(parked) {
            Some(Waits::Slot(refusal)) => Why::WaitingForSlot {
                rule: format!("{} of {} {}", refusal.rule, refusal.kind, refusal.key).into(),
                expected,
            },
            Some(Waits::Pace(pace)) => Why::Paced { pace: pace.clone(), until: until.to_wall(now) },
            None => Why::NextHopBusy {
                next_hop: plan.target.to_string().into(),
                until: (until != Moment::END).then(|| until.to_wall(now)),
            },
        };
        (why, expected)
    }

    fn expected(&self, row: &MessageRow, plan: &Plan, ahead: u64, now: Now) -> Option<WallMs> {
        match self.outlook(row, plan, ahead, now) {
            NextSlot::At(at) => Some(at.to_wall(now)),
            NextSlot::AfterLeases | NextSlot::Never => None,
        }
    }

    /// When the limits let it leave behind so many others, by the egress of its pool that is first to.
    fn outlook(&self, row: &MessageRow, plan: &Plan, ahead: u64, now: Now) -> NextSlot {
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let open = plan.egresses.iter().filter(|egress| self.gates.stops_egress(&egress.name).is_none());
        let by = |egress: &Arc<Egress>| {
            let to = Charged {
                account: row.account.as_str(),
                egress: &egress.counted_as,
                login: plan.login.as_ref().map(|login| login.user.as_str()),
                route: &plan.route,
            };
            self.slots.limits.outlook(to, ahead, Moment::from(now))
        };
        let sooner = |one: NextSlot, other: NextSlot| match (one, other) {
            (NextSlot::At(a), NextSlot::At(b)) => NextSlot::At(a.min(b)),
            (at @ NextSlot::At(_), _) | (_, at @ NextSlot::At(_)) => at,
            (NextSlot::AfterLeases, _) | (_, NextSlot::AfterLeases) => NextSlot::AfterLeases,
            (NextSlot::Never, NextSlot::Never) => NextSlot::Never,
        };
        open.map(by).reduce(sooner).unwrap_or(NextSlot::Never)
    }
}
