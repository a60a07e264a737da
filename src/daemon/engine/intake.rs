//! What sessions ask of the queue.

use std::sync::Arc;

use super::Engine;
use super::cache::Loaded;
use super::core::{Accepted, Core};
use crate::account::Account;
use crate::clock::Now;
use crate::delivery::{Egress, Facts};
use crate::dispatch::{self, Room, RoomIn, WaitingCap, all_leave_in, room_for};
use crate::event::Event;
use crate::intake::Queue;
use crate::limits::{Charged, KeyKind};
use crate::mail::{Envelope, QueueId};
use crate::smtp::{Class, Refusal, Reply, Text};
use crate::store::{Acceptance, Destination, RouteFacts, SpoolWriter, StoreError, StoreFuture, Stored};

/// An account has as much waiting as it may (RFC 3463 3.3, X.2.2 is the recipient's; ours is local policy, X.7.1).
const ACCOUNT_FULL: Reply =
    Reply::of(Class::Retry, 52, 7, 1, Text::fixed("too much mail of this account is waiting, try later"));
/// All accounts together have.
const QUEUE_FULL: Reply = Reply::of(Class::Retry, 52, 3, 1, Text::fixed("too much mail is waiting, try later"));

impl Queue for Engine {
    fn allocate(&self) -> Result<QueueId, StoreError> {
        self.store.allocate()
    }

    fn spool(&self, id: QueueId) -> StoreFuture<'_, Box<dyn SpoolWriter>> {
        self.store.spool(id)
    }

    fn admit(&self, account: &Account, recipients: u32) -> Result<(), Refusal> {
        let core = self.core();
        let to = Charged { account: account.as_str(), egress: "", login: None, route: "" };
        let rules =
            core.slots.limits.book().rules_for(&to).filter(|(kind, _)| *kind == KeyKind::Account).map(|(_, rule)| rule);
        let cap = WaitingCap::new(&core.settings.waiting, rules, core.settings.retry.expiry_ms);
        let room = room_for(&cap, core.load.of(account), core.load.all(), recipients.into());
        let (reply, wait, room) = match room {
            Room::Yes => return Ok(()),
            Room::Full { excess } => {
                let wait = format!("{} deliveries are waiting in all", core.load.all());
                (QUEUE_FULL, wait, core.all_leave_in(excess))
            }
            Room::AccountFull { room } => {
                let is_gated = core.gates.stops_account(account).is_some() || core.open_egresses().next().is_none();
                let wait = format!("{} deliveries of this account are waiting", core.load.of(account));
                (ACCOUNT_FULL, wait, if is_gated { RoomIn::Gated } else { room })
            }
        };
        let reply = reply.with_text(&match room {
            // What of it is held makes no room by itself, nor what waits for an account's limit or a next hop.
            RoomIn::About(ms) => format!("{wait}; as the limits go there is room about {} or later", self.told(ms)),
            RoomIn::AtMost(ms) => format!("{wait}; as the limits go there is room by {}", self.told(ms)),
            RoomIn::Gated => format!("{wait}, and a gate that a person closed holds them; try later"),
            RoomIn::Never => format!("{wait}, and the limits let none leave; try later"),
            RoomIn::Unknown => format!("{wait}; no limit tells when there is room, try later"),
        });
        Err(Refusal::new(reply).unwrap_or(Refusal::STORE_UNAVAILABLE))
    }

    fn destinations(&self, account: &Account, envelope: &Envelope, header_from: Option<&str>) -> Vec<Destination> {
        let router = self.core().router.clone();
        let to = |recipient: &crate::mail::Recipient| {
            router.destination(Facts {
                account,
                reverse_path: &envelope.reverse_path,
                recipient_domain: recipient.address.domain(),
                from_domain: header_from,
            })
        };
        envelope.recipients.iter().map(to).collect()
    }

    fn class(&self, head: &[u8], message_bytes: u64, recipients: usize) -> dispatch::Class {
        dispatch::classify(&self.core().settings.class, head, message_bytes, recipients)
    }

    fn accept(&self, mut acceptance: Acceptance) -> StoreFuture<'_, Stored<QueueId>> {
        Box::pin(async move {
            let filing = self.filing.read().await;
            self.file_anew(&mut acceptance);
            let fresh = Loaded::from_acceptance(&acceptance);
            let (account, id, class) = (acceptance.account.clone(), acceptance.id, acceptance.class);
            let decision = acceptance.verdict.decision;
            let destinations = if fresh.is_some() { Vec::new() } else { acceptance.destinations.clone() };
            let stored = self.store.accept(acceptance).await?;
            let mut core = self.core();
            match fresh {
                Some(loaded) => core.add_loaded(loaded),
                None => core.add_accepted(&account, Accepted { id, class, decision, destinations: &destinations }),
            }
            drop(core);
            drop(filing);
            self.signals.connections.notify_one();
            Ok(stored)
        })
    }

    fn note(&self, event: Event, now: Now) {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            let name = event.name();
            if let Err(error) = store.note(event, now).await {
                tracing::error!(%error, event = name, advice = error.advice(), "the journal lacks an event");
            }
        });
    }
}

impl Engine {
    /// Routes may have changed since a message was asked about. What was found of its egresses holds still.
    fn file_anew(&self, acceptance: &mut Acceptance) {
        let router = {
            let core = self.core();
            if acceptance.received.boot > core.rerouted {
                return;
            }
            core.router.clone()
        };
        let reverse_path = acceptance.envelope.reverse_path.to_string();
        let filed = acceptance.envelope.recipients.iter().zip(&mut acceptance.destinations);
        for (recipient, destination) in filed {
            *destination = router.refile(&RouteFacts {
                account: &acceptance.account,
                reverse_path: &reverse_path,
                recipient: recipient.address.as_str(),
                header_from: acceptance.header_from.as_deref(),
                destination: &destination.0,
                is_report: false,
            });
        }
    }

    /// The time of day in so many milliseconds.
    fn told(&self, in_ms: u64) -> String {
        let at = i64::try_from(self.clock.now().wall.0.saturating_add(in_ms)).unwrap_or(i64::MAX);
        let at = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::MAX);
        at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

impl Core {
    /// Those before which no gate stands.
    fn open_egresses(&self) -> impl Iterator<Item = &Arc<Egress>> {
        self.router.egresses().iter().filter(|egress| self.gates.stops_egress(&egress.name).is_none())
    }

    /// When so many deliveries of all accounts can have left, as the limits of the egresses go.
    fn all_leave_in(&self, excess: u64) -> RoomIn {
        let mut counted: Vec<&str> = self.open_egresses().map(|egress| &*egress.counted_as).collect();
        if counted.is_empty() {
            return RoomIn::Gated;
        }
        counted.sort_unstable();
        counted.dedup();
        let book = self.slots.limits.book();
        let rules = |egress| {
            let to = Charged { account: "", egress, login: None, route: "" };
            book.rules_for(&to).filter(|(kind, _)| *kind == KeyKind::Egress).map(|(_, rule)| rule)
        };
        all_leave_in(excess, counted.into_iter().map(rules))
    }
}
