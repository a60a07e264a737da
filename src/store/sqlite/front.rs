//! [`Store`] for callers: each call becomes a request to the writer, or a read beside it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::accept::accept;
use super::attempt::{self, Settled, Taken, UnattemptedEnds};
use super::failure::Failure;
use super::history::{self, Prune, Pruned};
use super::memory;
use super::operator;
use super::readers::{Read, Reader};
use super::request::{Deed, Kind, Undo};
use super::shared::{IDS_BLOCK, Ids, Shared};
use super::tx::Tx;
use super::waiting::{self, PAGE, Place, PutOff};
use super::{Message, SqliteStore};
use crate::clock::{Now, WallMs};
use crate::event::Event;
use crate::mail::QueueId;
use crate::store::{
    Acceptance, Body, Concluded, Conclusion, DeliveryEnd, DeliveryState, Destination, Filter, Gate, GateKind, Index,
    KeepAttempts, Lease, LeaseError, LeaseFuture, LeaseRequest, Memory, MemoryKind, Renewed, Reroute, SpoolWriter,
    Store, StoreError, StoreFuture, Stored,
};

type Run<I, T> = fn(&I, &mut Tx<'_>) -> Result<T, Failure>;

impl SqliteStore {
    /// Sends a deed to the writer at once. The answer comes after the sync; a caller that goes away changes nothing.
    fn send<I: Send + 'static, T: Send + 'static, A: Send + 'static>(
        &self,
        kind: Kind,
        input: I,
        run: Run<I, T>,
        undo: fn(&I, &T) -> Option<Undo>,
        finish: fn(I, Result<T, StoreError>) -> A,
        permit: Option<OwnedSemaphorePermit>,
    ) -> oneshot::Receiver<A> {
        let (reply, answer) = oneshot::channel();
        let deed = Deed { kind, input, run, undo, finish, output: None, reply, _permit: permit };
        if let Err(failed) = self.requests.send(Message::Request(Box::new(deed)))
            && let Message::Request(request) = failed.0
        {
            request.answer(Err(StoreError::Closed));
        }
        answer
    }

    /// A deed that waits for a place first.
    async fn ask<I: Send + 'static, T: Send + 'static, A: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        kind: Kind,
        input: I,
        run: Run<I, T>,
        undo: fn(&I, &T) -> Option<Undo>,
        finish: fn(I, Result<T, StoreError>) -> Result<A, E>,
    ) -> Result<A, E> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        self.send(kind, input, run, undo, finish, permit).await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// A deed that leaves nothing to undo, whose answer is the proof of what it gave.
    pub(super) async fn plain<I: Send + 'static, T: Send + 'static>(
        &self,
        kind: Kind,
        input: I,
        run: Run<I, T>,
    ) -> Result<Stored<T>, StoreError> {
        self.ask(kind, input, run, |_, _| None, |_, done| done.map(Stored::after_sync)).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Read<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        Arc::clone(&self.shared.readers).read(read).await
    }

    /// The waiting deliveries after a place, of one account or destination or of all.
    async fn places(&self, state: DeliveryState, after: Option<Place>, which: Which) -> Result<Vec<Place>, StoreError> {
        self.read(move |reader| {
            let number = |name: Option<&Arc<str>>| name.map(|name| reader.number_of(name)).transpose();
            match (number(which.account.as_ref())?, number(which.destination.as_ref())?) {
                (Some(None), _) | (_, Some(None)) => Ok(Vec::new()), // a name that never occurred
                (account, destination) => reader.places(state, after, account.flatten(), destination.flatten(), PAGE),
            }
        })
        .await
    }

    fn reserve_ids(&self) {
        let finish = |shared: Arc<Shared>, done: Result<(), StoreError>| {
            if done.is_err() {
                shared.not_reserved();
            }
        };
        let run = |_: &Arc<Shared>, tx: &mut Tx<'_>| {
            tx.memory.ids_reserved += IDS_BLOCK.cast_signed();
            Ok(())
        };
        // Nobody waits for the answer: the writer tells `Shared` when the ids are there.
        drop(self.send(Kind::Other, Arc::clone(&self.shared), run, |_, ()| None, finish, None));
    }
}

/// Which deliveries a page is of.
#[derive(Debug, Clone, Default)]
struct Which {
    account: Option<Arc<str>>,
    destination: Option<Arc<str>>,
}

impl Store for SqliteStore {
    fn allocate(&self) -> Result<QueueId, StoreError> {
        let (id, ids) = self.shared.allocate();
        if ids == Ids::AskForMore {
            self.reserve_ids();
        }
        id
    }

    fn spool(&self, id: QueueId) -> StoreFuture<'_, Box<dyn SpoolWriter>> {
        let spool = Arc::clone(&self.shared.spool);
        Box::pin(super::spool::off_the_runtime(move || spool.create(id)))
    }

    fn accept(&self, acceptance: Acceptance) -> StoreFuture<'_, Stored<QueueId>> {
        Box::pin(self.ask(
            Kind::Accept,
            acceptance,
            |acceptance, tx| accept(acceptance, tx).map(|()| acceptance.id),
            |acceptance, _| {
                // From here on the file belongs to whatever of the message is on disk.
                keep_bodies([acceptance]);
                Some(Undo::Message(acceptance.id))
            },
            |acceptance, done| {
                if done.is_ok() {
                    keep_bodies([&acceptance]);
                }
                done.map(Stored::after_sync)
            },
        ))
    }

    fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_> {
        Box::pin(self.ask(
            Kind::Lease,
            request,
            attempt::lease,
            |_, taken: &Taken| (taken.attempt.0 != 0).then_some(Undo::Attempt(taken.attempt)),
            |request, done| match done {
                Ok(taken) => Ok(Stored::after_sync(lease_of(request, taken))),
                Err(error) => Err(LeaseError { error, granted: request.granted }),
            },
        ))
    }

    fn conclude(&self, conclusion: Conclusion, next: Option<LeaseRequest>) -> StoreFuture<'_, Stored<Concluded>> {
        let finish = |(conclusion, next): (Conclusion, Option<LeaseRequest>), done: Result<Settled, StoreError>| {
            let done = done?;
            keep_bodies(conclusion.reports.iter().filter(|report| !done.reports_lost.contains(&report.id)));
            let granted = conclusion.lease.granted;
            let (next, next_granted) = match (next, done.next) {
                (Some(request), Some(taken)) => (Some(Stored::after_sync(lease_of(request, taken))), None),
                (Some(request), None) => (None, request.granted),
                (None, _) => (None, None),
            };
            let Settled { message_ended, reports_lost, .. } = done;
            Ok(Stored::after_sync(Concluded { next, next_granted, granted, message_ended, reports_lost }))
        };
        // Sent before anyone awaits: what happened is stored even if the caller is dropped.
        let answer = self.send(Kind::Outcome, (conclusion, next), attempt::conclude, |_, _| None, finish, None);
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn defer_destination(
        &self,
        destination: Destination,
        now: Now,
        due: WallMs,
        reply: String,
    ) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let which = Which { destination: Some(destination.0), ..Which::default() };
            let (mut after, mut changed) = (None, 0);
            loop {
                let page = self.places(DeliveryState::Waiting, after, which.clone()).await?;
                let Some(last) = page.last() else { return Ok(changed) };
                after = Some(*last);
                let put_off = PutOff { page, now: now.wall, due, reply: reply.clone() };
                changed += self.plain(Kind::Other, put_off, waiting::put_off).await?.into_inner();
            }
        })
    }

    fn end_unattempted(
        &self,
        message: QueueId,
        now: Now,
        from: DeliveryState,
        ends: Vec<DeliveryEnd>,
        reports: Vec<Acceptance>,
    ) -> StoreFuture<'_, Stored<bool>> {
        let input = UnattemptedEnds { message, at: now.wall, from, ends, reports };
        let finish = |input: UnattemptedEnds, done: Result<bool, StoreError>| {
            let all = done?;
            if all {
                keep_bodies(&input.reports);
            }
            Ok(Stored::after_sync(all))
        };
        Box::pin(self.ask(Kind::Outcome, input, attempt::end_unattempted, |_, _| None, finish))
    }

    fn report_delay(
        &self,
        message: QueueId,
        deliveries: Vec<Index>,
        report: Acceptance,
    ) -> StoreFuture<'_, Stored<()>> {
        let finish = |(_, _, report): (QueueId, Vec<Index>, Acceptance), done: Result<(), StoreError>| {
            done?;
            keep_bodies([&report]);
            Ok(Stored::after_sync(()))
        };
        let input = (message, deliveries, report);
        Box::pin(self.ask(Kind::Outcome, input, attempt::report_delay, |_, ()| None, finish))
    }

    fn close_gate(&self, gate: Gate, now: Now, under_way: u32) -> StoreFuture<'_, Stored<()>> {
        Box::pin(self.plain(Kind::Other, (gate, now.wall, under_way), operator::close_gate))
    }

    fn open_gate(&self, kind: GateKind, key: String, by: String, now: Now) -> StoreFuture<'_, Stored<bool>> {
        Box::pin(self.plain(Kind::Other, (kind, key, by, now.wall), operator::open_gate))
    }

    fn remove(&self, message: QueueId, by: String, now: Now) -> StoreFuture<'_, Stored<Option<u32>>> {
        Box::pin(self.plain(Kind::Other, (message, by, now.wall), operator::remove))
    }

    fn release(
        &self,
        message: QueueId,
        by: String,
        renewed: Option<Renewed>,
        now: Now,
    ) -> StoreFuture<'_, Stored<Option<u32>>> {
        Box::pin(self.plain(Kind::Other, (message, by, renewed, now.wall), operator::release))
    }

    fn renew(&self, message: QueueId, renewed: Renewed, now: Now) -> StoreFuture<'_, Stored<bool>> {
        Box::pin(self.plain(Kind::Other, (message, renewed, now.wall), waiting::renew))
    }

    fn flush(&self, which: Filter, now: Now) -> StoreFuture<'_, Stored<u64>> {
        Box::pin(async move {
            let line = Which { account: which.account.as_ref().map(|a| a.as_str().into()), ..Which::default() };
            let (mut after, mut changed) = (None, 0);
            loop {
                let page = match which.id {
                    Some(_) if after.is_some() => Vec::new(),
                    Some(id) => self.read(move |reader| reader.places_of(id)).await?,
                    None => self.places(DeliveryState::Waiting, after, line.clone()).await?,
                };
                let Some(last) = page.last() else { return Ok(Stored::after_sync(changed)) };
                after = Some(*last);
                let wanted = which.clone();
                let page = self.read(move |reader| reader.filtered(&wanted, page)).await?;
                changed += self.plain(Kind::Other, (page, now.wall), waiting::flush).await?.into_inner();
            }
        })
    }

    fn fresh_is_due(&self, now: Now) -> StoreFuture<'_, Stored<u64>> {
        Box::pin(self.plain(Kind::Other, now.wall, waiting::fresh_is_due))
    }

    fn reroute(&self, route: Reroute) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let route: Arc<Reroute> = Arc::new(route);
            let mut changed = 0;
            // What is under way may wait again before what waits was looked through, and the other way round.
            for state in [DeliveryState::UnderWay, DeliveryState::Held, DeliveryState::Waiting, DeliveryState::UnderWay]
            {
                let mut after = None;
                loop {
                    let page = self.places(state, after, Which::default()).await?;
                    let Some(last) = page.last() else { break };
                    after = Some(*last);
                    let route = Arc::clone(&route);
                    let page = self.read(move |reader| reader.rerouted(page, &route)).await?;
                    if !page.is_empty() {
                        changed += self.plain(Kind::Other, page, waiting::reroute).await?.into_inner();
                    }
                }
            }
            Ok(changed)
        })
    }

    fn note(&self, event: Event, now: Now) -> StoreFuture<'_, Stored<()>> {
        Box::pin(self.plain(Kind::Other, (event, now.wall), operator::note))
    }

    fn remember(&self, memories: Vec<Memory>, now: Now) -> StoreFuture<'_, Stored<()>> {
        Box::pin(async move {
            // What people and next hops decided is written as deeds are, though the disk takes no mail: it is little.
            let is_deed = |memory: &Memory| {
                let kinds = [MemoryKind::Taught, MemoryKind::Allow, MemoryKind::Reminder, MemoryKind::UsedUp];
                kinds.contains(&memory.kind())
            };
            let kind = if memories.iter().all(is_deed) { Kind::Other } else { Kind::Accept };
            for batch in Memory::batches(memories) {
                self.plain(kind, (batch, now.wall), memory::remember).await?.into_inner();
            }
            Ok(Stored::after_sync(()))
        })
    }

    fn forget_memories(&self, kind: MemoryKind, before: WallMs) -> StoreFuture<'_, bool> {
        Box::pin(async move { Ok(self.plain(Kind::Other, (kind, before), memory::forget).await?.into_inner()) })
    }

    fn prune(&self, before: WallMs, attempts: KeepAttempts, journal_bytes_max: u64) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let after = self.pruned.load(Ordering::Relaxed);
            let input = Prune { before, attempts, journal_bytes_max, after };
            let done: Pruned = self.plain(Kind::Other, input, history::prune).await?.into_inner();
            self.pruned.store(done.messages_after.unwrap_or(0), Ordering::Relaxed);
            let more = done.more || done.messages_after.is_some();
            if !more {
                self.sweep_names().await?;
            }
            Ok(more)
        })
    }
}

fn lease_of(request: LeaseRequest, taken: Taken) -> Lease {
    Lease {
        attempt: taken.attempt,
        message: request.message,
        deliveries: taken.deliveries,
        account: request.account,
        granted: request.granted,
    }
}

/// The spool files of these messages are theirs now.
fn keep_bodies<'a>(acceptances: impl IntoIterator<Item = &'a Acceptance>) {
    for acceptance in acceptances {
        if let Body::Spooled(file) = &acceptance.body {
            file.entry.keep();
        }
    }
}
