//! What happens at the final dot: hops, account, verdict, prefix, and the store's proof.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::collect::{Collected, Collector};
use super::judge::{Asked, Judged};
use super::live::Live;
use super::reports::Report;
use super::shared::Shared;
use super::trace::Trace;
use crate::account::Resolved;
use crate::clock::Now;
use crate::dispatch::Class;
use crate::event::Event;
use crate::guard::Verdict;
use crate::mail::{Domain, QueueId, header};
use crate::smtp::server::{Session, TlsState, Transaction};
use crate::smtp::{Accepted, ContentAnswer, Refusal, replies};
use crate::store::{Acceptance, Body, StoreError};

/// The longest Message-ID kept, in bytes (RFC 5322 2.1.1 bounds its line).
const MESSAGE_ID_BYTES_MAX: usize = 998;
/// The longest From field looked at for its domain, in bytes.
const FROM_BYTES_MAX: usize = 4_096;

/// A message whose content has ended.
pub(super) struct Ended<'a> {
    /// The session, for what it knows of the client.
    pub session: &'a Session,
    /// The client.
    pub client: &'a Client,
    /// The settings that the session began with.
    pub live: &'a Live,
    /// What MAIL, RCPT and XFORWARD said.
    pub transaction: Transaction,
}

impl Shared {
    /// Takes a message over, or says why not. A 250 comes out of the store's proof alone (invariant 3).
    pub(super) async fn take_over(&self, ended: Ended<'_>, collector: Collector) -> ContentAnswer {
        let label = &ended.client.label;
        let until = Instant::now() + ended.live.settings.timeouts.answer;
        let late = || {
            self.report(Report::StoreRefused, label, "the store is slow; the client was told to try again");
            ContentAnswer::Refused(Refusal::fixed(replies::STORE_SLOW))
        };
        let collected = match timeout_at(until, collector.finish()).await {
            Ok(Ok(collected)) => collected,
            Ok(Err(error)) => {
                self.report(Report::StoreRefused, label, &error.to_string());
                return ContentAnswer::Refused(error.refusal());
            }
            Err(_) => return late(),
        };
        let Collected { id, head, body, share } = collected;
        let now = self.clock.now();
        let refused = |refusal: Refusal| {
            self.report(Report::MessageRefused, label, &refusal.reply().to_string());
            ContentAnswer::Refused(refusal)
        };
        let mut draft = match self.draft(&ended, &head, id, body.len(), now) {
            Ok(draft) => draft,
            Err(refusal) => return refused(refusal),
        };
        let judged = match timeout_at(until, self.judged(&ended, &draft, &head, &body, now)).await {
            Ok(Ok(judged)) => judged,
            Ok(Err(error)) => {
                self.report(Report::StoreRefused, label, &error.to_string());
                return ContentAnswer::Refused(error.refusal());
            }
            Err(_) => return late(),
        };
        let (verdict, fields, mark) = match judged {
            Judged::Verdict { verdict, fields, mark, destinations } => {
                draft.destinations = destinations.unwrap_or(draft.destinations);
                (verdict, fields, mark)
            }
            Judged::Refused(refusal) => return refused(refusal),
        };
        let acceptance = draft.with(body, &ended, now, verdict, &fields);
        // A task of its own: what may be stored already must come to its end, whatever becomes of this session.
        let (queue, judge) = (Arc::clone(&self.queue), Arc::clone(&self.judge));
        let accepting = self.tasks.spawn(async move {
            let stored = queue.accept(acceptance).await;
            if stored.is_err() {
                judge.not_taken(mark);
            }
            drop(share);
            stored
        });
        match timeout_at(until, accepting).await {
            Ok(Ok(Ok(stored))) => ContentAnswer::Accepted(Accepted::of(&stored)),
            Ok(Ok(Err(error))) => {
                self.report(Report::StoreRefused, label, &error.to_string());
                ContentAnswer::Refused(error.refusal())
            }
            Ok(Err(_panicked)) => {
                self.report(Report::Broken, label, "a fault of outguard while the message was stored");
                ContentAnswer::Refused(Refusal::fixed(replies::STORE_SLOW))
            }
            Err(_) => late(),
        }
    }

    fn draft<'a>(
        &self,
        ended: &Ended<'_>,
        head: &'a [u8],
        id: QueueId,
        message_bytes: u64,
        now: Now,
    ) -> Result<Draft<'a>, Refusal> {
        if header::fields(head).filter(|field| field.is("Received")).count() > ended.live.settings.limits.received_max {
            return Err(Refusal::fixed(replies::MAIL_LOOP));
        }
        let resolved = self.account(ended, head, now);
        let envelope = &ended.transaction.envelope;
        let recipients = u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX);
        self.queue.admit(&resolved.account, recipients)?;
        let header_from = header_from(head);
        let destinations = self.queue.destinations(&resolved.account, envelope, header_from.as_deref());
        let class = self.queue.class(head, message_bytes, envelope.recipients.len());
        let trace = trace(ended, id, now);
        Ok(Draft { id, resolved, destinations, class, header_from, trace, head })
    }

    /// What the guard says, by as much of the message as it looks at.
    async fn judged(
        &self,
        ended: &Ended<'_>,
        draft: &Draft<'_>,
        head: &Bytes,
        body: &Body,
        now: Now,
    ) -> Result<Judged, StoreError> {
        let bytes = match body {
            Body::Inline(bytes) => bytes.clone(),
            Body::Spooled(file) => file.first_bytes(self.judge.bytes_max()).await?,
        };
        debug_assert!(bytes.starts_with(&head[..head.len().min(bytes.len())]), "the head is the body's");
        let judging = self.judge.judge(Asked {
            id: draft.id,
            bytes,
            message_bytes: body.len(),
            body,
            envelope: &ended.transaction.envelope,
            destinations: &draft.destinations,
            account: &draft.resolved.account,
            source: draft.resolved.source,
            client: ended.client.origin(&ended.transaction),
            header_from: draft.header_from.as_deref(),
            prefix: &draft.trace,
            at: now,
        });
        Ok(judging.await)
    }

    /// Whose it is, after senders that keep changing their name have been seen through.
    fn account(&self, ended: &Ended<'_>, head: &[u8], now: Now) -> Resolved {
        let Ended { session, client, live, transaction } = ended;
        let mut resolved = client.resolve(&live.accounts, session, transaction, head);
        let merge = self.rotation().see(&mut resolved, &client.label, now.wall);
        if let Some(merge) = merge {
            let event = Event::AccountMerged {
                into: merge.into,
                from: merge.from.as_str().to_owned(),
                new_senders: merge.new_senders,
                report_only: merge.report_only,
            };
            self.queue.note(event, now);
        }
        resolved
    }
}

/// What was found out about a message before it is put together.
struct Draft<'a> {
    id: QueueId,
    resolved: Resolved,
    destinations: Vec<crate::store::Destination>,
    class: Class,
    header_from: Option<String>,
    /// Our Received field.
    trace: String,
    head: &'a [u8],
}

/// Our Received field, with its line end.
fn trace(ended: &Ended<'_>, id: QueueId, now: Now) -> String {
    let Ended { session, client, live, transaction } = ended;
    let trace = Trace {
        hello: session.hello(),
        ip: client.ip(),
        own_name: &live.smtp.own_name,
        encrypted: session.tls() == TlsState::Active,
        authenticated: session.login().is_some(),
        id,
        envelope: &transaction.envelope,
        received: now.wall,
    };
    trace.to_string()
}

impl Draft<'_> {
    /// The message as it is stored. The Received field stands on top (RFC 5321 4.4), further fields of ours under it.
    fn with(self, body: Body, ended: &Ended<'_>, now: Now, verdict: Verdict, fields: &str) -> Acceptance {
        let prefix = Bytes::from(self.trace + fields);
        let message_id = header::first(self.head, "Message-ID").map(|field| field.text(MESSAGE_ID_BYTES_MAX));
        Acceptance {
            id: self.id,
            received: now,
            client: ended.client.label.clone(),
            account: self.resolved.account,
            source: self.resolved.source,
            class: self.class.number(),
            envelope: ended.transaction.envelope.clone(),
            destinations: self.destinations,
            mta_id: self.resolved.mta_id,
            message_id: message_id.filter(|id| !id.is_empty()),
            header_from: self.header_from,
            prefix,
            verdict,
            header_needs_utf8: header::fields(self.head).any(|field| !field.raw.is_ascii()),
            body,
            report_on: None,
        }
    }
}

/// The domain of the From field's first address, in its comparable form.
fn header_from(head: &[u8]) -> Option<String> {
    let from = header::first(head, "From")?.text(FROM_BYTES_MAX);
    let address = match from.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next()?,
        None => from.split(',').next()?,
    };
    let domain = address.trim().rsplit_once('@')?.1.trim();
    match Domain::parse(domain).ok()? {
        Domain::Name(name) => Some(name.into()),
        Domain::Literal(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_domains() {
        let cases = [
            ("From: a@Example.ORG\r\n\r\n", Some("example.org")),
            ("From: \"x <y@z.example>\" <a@example.org>\r\n\r\n", Some("example.org")), // the name is no address
            ("From: A\r\n <a@b\u{fc}cher.example>\r\n\r\n", Some("xn--bcher-kva.example")),
            ("From: undisclosed\r\n\r\n", None),
            ("Subject: x\r\n\r\n", None),
        ];
        for (head, expected) in cases {
            assert_eq!(header_from(head.as_bytes()).as_deref(), expected, "{head}");
        }
    }
}
