//! A store and a daemon for tests: a few messages in memory, deeds written down instead of done.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::guardian::{
    AllowRequest, AllowView, Became, FlaggedMessage, FlaggedView, Guardian, LessonView, MailLabel, ReleaseRequest,
    RemoveRequest,
};
use super::operator::{LimitUse, Operator, OperatorError, OperatorFuture, Running};
use super::view::MessageView;
use super::why::Stand;
use crate::account::{Account, AccountSource};
use crate::align::doctor::{Examined, Finding, Grade, SendingDomain, Sent};
use crate::clock::WallMs;
use crate::event::Event;
use crate::guard::{Decision, Verdict};
use crate::mail::{Address, BodyType, QueueId, Recipient, ReversePath};
use crate::store::{
    AttemptRow, AttemptsPruned, AuthorRow, Content, DeliveryRow, DeliveryState, Destination, DueAfter, DueDelivery,
    EventRow, Filter, Gate, GateKind, Index, Line, LineCount, MemoryKind, MemoryRow, MessageRow, Page, Reads,
    SenderRow, StoreError, StoreFuture, Totals, WaitingMessage,
};

/// When everything in the fake happened: 2026-11-21 10:00:00 UTC.
pub(crate) const THEN: WallMs = WallMs(1_795_255_200_000);

/// A message of `account` with these recipients, the first `delivered` of them gone.
pub(crate) fn message(number: u64, account: &str, to: &[&str], delivered: usize) -> (MessageRow, Vec<DeliveryRow>) {
    let row = MessageRow {
        id: QueueId::new(number).unwrap(),
        received: THEN,
        received_by: crate::limits::WallClock::Synchronised,
        client: "127.0.0.1".into(),
        account: Account::named(account),
        source: AccountSource::Received,
        reverse_path: ReversePath::parse(account.as_bytes()).unwrap_or(ReversePath::Null),
        body_type: BodyType::SevenBit,
        smtputf8: false,
        header_needs_utf8: false,
        ret: None,
        envid: None,
        mta_id: Some("4XvK2n".into()),
        message_id: Some(format!("<{number}@shop.example>")),
        header_from: None,
        verdict: Verdict { decision: Decision::Send, score_points: 0, reasons: Vec::new() },
        class: 0,
        size_bytes: 4_096,
        report_on: None,
    };
    let deliveries = to.iter().enumerate().map(|(place, to)| DeliveryRow {
        index: Index(u32::try_from(place).unwrap()),
        recipient: Recipient::plain(Address::parse(to.as_bytes()).unwrap()),
        destination: Destination("mx:c.example".into()),
        state: if place < delivered { DeliveryState::Delivered } else { DeliveryState::Waiting },
        due: THEN,
        attempts: 1,
        spent_ms: 0,
        delay_reported: false,
        last_reply: Some("450 4.7.1 later\r\n\x1b[31mplease".into()),
    });
    (row, deliveries.collect())
}

/// Messages in memory.
#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) messages: Vec<(MessageRow, Vec<DeliveryRow>)>,
    pub(crate) gates: Vec<Gate>,
}

fn now<'a, T: Send + 'a>(value: T) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

/// What no route asks.
fn never<'a, T: Send + 'a>() -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(Err(StoreError::Closed)))
}

impl Reads for FakeStore {
    fn message(&self, id: QueueId) -> StoreFuture<'_, Option<(MessageRow, Vec<DeliveryRow>)>> {
        now(self.messages.iter().find(|(row, _)| row.id == id).cloned())
    }

    fn list(&self, filter: Filter, page: Page) -> StoreFuture<'_, Vec<(MessageRow, Vec<DeliveryRow>)>> {
        let fits = |row: &MessageRow| {
            page.after.is_none_or(|after| row.id > after) && filter.account.as_ref().is_none_or(|a| *a == row.account)
        };
        now(self.messages.iter().filter(|(row, _)| fits(row)).take(page.limit).cloned().collect())
    }

    fn find(&self, term: String, page: Page) -> StoreFuture<'_, Vec<(MessageRow, Vec<DeliveryRow>)>> {
        let fits = |row: &MessageRow| {
            let known =
                row.id.to_string() == term || row.message_id.as_ref() == Some(&term) || row.account.as_str() == term;
            known && page.after.is_none_or(|after| row.id < after)
        };
        now(self.messages.iter().rev().filter(|(row, _)| fits(row)).take(page.limit).cloned().collect())
    }

    fn history(&self, id: QueueId) -> StoreFuture<'_, Vec<EventRow>> {
        let event = Event::Deferred {
            id: id.to_string(),
            account: Account::named("shop@example.org"),
            to: "b@c.example".into(),
            reply: "450 later".into(),
            due: THEN,
        };
        now(vec![EventRow { row: 7, at: THEN, event }])
    }

    fn events(&self, after: u64, limit: usize) -> StoreFuture<'_, Vec<EventRow>> {
        let rows = (after + 1..=3).map(|row| EventRow { row, at: THEN, event: Event::Stopped { waiting: row } });
        now(rows.take(limit).collect())
    }

    fn gates(&self) -> StoreFuture<'_, Vec<Gate>> {
        now(self.gates.clone())
    }

    fn totals(&self) -> StoreFuture<'_, Totals> {
        let waiting = self.messages.iter().flat_map(|(_, d)| d).filter(|d| d.state == DeliveryState::Waiting).count();
        now(Totals { messages: self.messages.len() as u64, waiting: waiting as u64, held: 0, under_way: 0 })
    }

    fn lines(&self) -> StoreFuture<'_, Vec<LineCount>> {
        never()
    }

    fn line_page(&self, _: Line, _: WallMs, _: usize) -> StoreFuture<'_, Vec<WaitingMessage>> {
        never()
    }

    fn due(&self, _: DueAfter, _: WallMs, _: usize) -> StoreFuture<'_, Vec<DueDelivery>> {
        never()
    }

    fn next_due(&self, _: WallMs) -> StoreFuture<'_, Option<WallMs>> {
        never()
    }

    fn content(&self, _: QueueId) -> StoreFuture<'_, Content> {
        never()
    }

    fn attempts(&self, _: u64) -> StoreFuture<'_, Vec<AttemptRow>> {
        never()
    }

    fn authors(&self, _: Option<QueueId>, _: usize) -> StoreFuture<'_, Vec<AuthorRow>> {
        never()
    }

    fn senders(&self, _: Option<QueueId>, _: usize) -> StoreFuture<'_, Vec<SenderRow>> {
        never()
    }

    fn attempts_pruned(&self) -> StoreFuture<'_, Option<AttemptsPruned>> {
        never()
    }

    fn memories(&self, _: MemoryKind, _: Option<bytes::Bytes>, _: usize) -> StoreFuture<'_, Vec<MemoryRow>> {
        never()
    }

    fn memory(&self, _: MemoryKind, _: bytes::Bytes) -> StoreFuture<'_, Option<bytes::Bytes>> {
        never()
    }

    fn waiting_by_account(&self) -> StoreFuture<'_, Vec<(Account, u64)>> {
        never()
    }
}

/// A daemon that writes down what it is told.
#[derive(Default)]
pub(crate) struct FakeOperator {
    pub(crate) told: Mutex<Vec<String>>,
    /// The next flush goes on only once this is told.
    pub(crate) flush_waits_for: Mutex<Option<Arc<Notify>>>,
}

impl FakeOperator {
    fn tell<T: Send + 'static>(&self, what: String, answer: T) -> OperatorFuture<'_, T> {
        self.told.lock().unwrap().push(what);
        Box::pin(std::future::ready(Ok(answer)))
    }
}

impl Operator for FakeOperator {
    fn running(&self) -> OperatorFuture<'_, Running> {
        let running = Running {
            version: "1.2.3".into(),
            pid: 42,
            started: THEN,
            sessions: 3,
            connections: 2,
            troubles: vec!["intake stopped: disk full".into()],
        };
        Box::pin(std::future::ready(Ok(running)))
    }

    fn views(&self, found: Vec<(MessageRow, Vec<DeliveryRow>)>) -> OperatorFuture<'_, Vec<MessageView>> {
        let stand = |_: &MessageRow, delivery: &DeliveryRow| {
            (delivery.index == Index(0)).then(|| Stand {
                sentence: "the limit account 200/h of account shop@example.org is used up".into(),
                brief: "a slot of account 200/h".into(),
                held: false,
                expected: Some(WallMs(THEN.0 + 600_000)),
            })
        };
        let views = found.into_iter().map(|(row, deliveries)| MessageView::of(row, deliveries, THEN, stand));
        Box::pin(std::future::ready(Ok(views.collect())))
    }

    fn limits(&self) -> OperatorFuture<'_, Vec<LimitUse>> {
        let used = |key: &str, used| LimitUse {
            kind: "account".into(),
            key: key.into(),
            rule: "account 200/h".into(),
            used,
            leased: 0,
            slots: 200,
            next_slot: (used == 200).then_some(THEN),
        };
        Box::pin(std::future::ready(Ok(vec![used("quiet@example.org", 3), used("shop@example.org", 200)])))
    }

    fn hold(&self, kind: GateKind, key: String, by: String, reason: String) -> OperatorFuture<'_, u32> {
        let _ = by; // the user who runs the tests
        self.tell(format!("hold {} {key}: {reason}", kind.as_str()), 1)
    }

    fn resume(&self, kind: GateKind, key: String, _: String) -> OperatorFuture<'_, bool> {
        self.tell(format!("resume {} {key}", kind.as_str()), false)
    }

    fn flush(&self, which: Filter, _: String) -> OperatorFuture<'_, u64> {
        let account = which.account.map(|a| a.as_str().to_owned()).unwrap_or_default();
        let answer = self.tell(format!("flush account {account:?}"), 5);
        let Some(leave) = self.flush_waits_for.lock().unwrap().take() else { return answer };
        Box::pin(async move {
            leave.notified().await;
            self.told.lock().unwrap().push("flushed to the end".to_owned());
            answer.await
        })
    }

    fn remove(&self, id: QueueId, how: RemoveRequest, _: String) -> OperatorFuture<'_, Option<u32>> {
        let spam = if how.spam { " as spam" } else { "" };
        self.tell(format!("remove {id}{spam}"), (id.number() == 1).then_some(2))
    }

    fn release(&self, id: QueueId, how: ReleaseRequest, _: String) -> OperatorFuture<'_, Option<u32>> {
        let allow = how.allow_ms.map_or_else(String::new, |ms| format!(" and allow for {ms} ms"));
        self.tell(format!("release {id}{allow}"), Some(1))
    }

    fn sent(&self) -> OperatorFuture<'_, Sent> {
        let domain =
            SendingDomain { domain: "example.com".into(), messages: 3, account: Account::named("ann@example.com") };
        Box::pin(async { Ok(Sent { spoken_for: vec![domain], ..Sent::default() }) })
    }

    fn examined(&self) -> OperatorFuture<'_, Examined> {
        let of = |check: &'static str, grade| Finding {
            subject: "example.com".into(),
            check: check.into(),
            about: String::new(),
            grade,
            found: "found".into(),
            why: "".into(),
            mend: String::new(),
        };
        let findings = vec![of("mx", Grade::Right), of("spf", Grade::Fault)];
        Box::pin(std::future::ready(Ok(Examined { at_ms: Some(THEN), next_ms: None, findings })))
    }

    fn reload(&self, _: String) -> OperatorFuture<'_, Vec<String>> {
        let refused = OperatorError::Refused {
            faults: vec!["outguard.toml:3:1: limits.account: no".into()],
            advice: "the daemon goes on with the old configuration".into(),
        };
        Box::pin(std::future::ready(Err(refused)))
    }
}

impl Guardian for FakeOperator {
    fn teach(&self, about: String, label: MailLabel, _: String) -> OperatorFuture<'_, u64> {
        self.tell(format!("teach {about} {label:?}"), u64::from(about != "unknown"))
    }

    fn teach_flagged(&self, message_ids: Vec<String>, by: String) -> OperatorFuture<'_, Vec<FlaggedView>> {
        let view = |message_id: &String| FlaggedView {
            message_id: message_id.clone(),
            messages: match message_id.as_str() {
                "unknown" => Vec::new(),
                _ => vec![FlaggedMessage {
                    id: "0000000001".into(),
                    account: "shop@example.org".into(),
                    became: Became::Taught,
                }],
            },
        };
        let answer = message_ids.iter().map(view).collect();
        self.tell(format!("flagged {} {by}", message_ids.join(" ")), answer)
    }

    fn unteach(&self, about: String, _: String) -> OperatorFuture<'_, bool> {
        self.tell(format!("unteach {about}"), true)
    }

    fn import_lessons(&self, lines: String, _: String) -> OperatorFuture<'_, u64> {
        self.tell(format!("import {lines:?}"), lines.lines().count() as u64)
    }

    fn lessons(&self) -> OperatorFuture<'_, Vec<LessonView>> {
        let lesson = LessonView {
            about: "0000000001".into(),
            label: MailLabel::Spam,
            by: "ann".into(),
            at_ms: THEN,
            line: "{\"about\":\"0000000001\"}".into(),
        };
        Box::pin(std::future::ready(Ok(vec![lesson])))
    }

    fn allow(&self, asked: AllowRequest, by: String) -> OperatorFuture<'_, AllowView> {
        let rule = AllowView {
            id: 7,
            account: asked.account.clone(),
            list: asked.list.clone(),
            template: None,
            expires_ms: asked.for_ms.map(|ms| WallMs(THEN.0 + ms)),
            by,
            why: asked.why.clone(),
        };
        self.tell(format!("allow {:?} {:?}", asked.account, asked.list), rule)
    }

    fn allow_like(&self, id: QueueId, _: AllowRequest, _: String) -> OperatorFuture<'_, Option<AllowView>> {
        self.tell(format!("allow like {id}"), None)
    }

    fn disallow(&self, id: u64, _: String) -> OperatorFuture<'_, bool> {
        self.tell(format!("disallow {id}"), id == 7)
    }

    fn allowed(&self) -> OperatorFuture<'_, Vec<AllowView>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
