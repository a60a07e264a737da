//! Taking a message over: envelope, body, verdict and event in one transaction.

use rusqlite::params;

use super::failure::Failure;
use super::rows::{self, flag};
use super::tx::{Tx, count, many, number, wall};
use crate::event::Event;
use crate::guard::Decision;
use crate::mail::{BodyType, Notify, Ret};
use crate::store::{Acceptance, Body, DeliveryState, StoreError};

/// Writes the message and its events. Also used for the reports that stand in the place of a delivery.
pub(super) fn accept(acceptance: &Acceptance, tx: &mut Tx<'_>) -> Result<(), Failure> {
    check(acceptance)?;
    write(acceptance, tx)
}

/// Whether it can be a message at all.
pub(super) fn check(acceptance: &Acceptance) -> Result<(), Failure> {
    let refuse = |detail: &str| {
        let object = format!("message {}", acceptance.id);
        Err(Failure::Refused(StoreError::Corrupt { object, detail: detail.into() }))
    };
    if acceptance.destinations.len() != acceptance.envelope.recipients.len() {
        return refuse("each recipient has one destination");
    }
    match &acceptance.body {
        Body::Spooled(file) if file.entry.id() != acceptance.id => refuse("its body was spooled under another id"),
        Body::Spooled(_) | Body::Inline(_) => Ok(()),
    }
}

fn write(acceptance: &Acceptance, tx: &mut Tx<'_>) -> Result<(), Failure> {
    let account = tx.name(acceptance.account.as_str())?;
    insert_message(acceptance, account, tx)?;
    insert_deliveries(acceptance, account, tx)?;
    let content = match &acceptance.body {
        Body::Inline(bytes) => Some(&bytes[..]),
        Body::Spooled(_) => None,
    };
    tx.run(
        "INSERT INTO body (message, prefix, content) VALUES (?, ?, ?)",
        params![number(acceptance.id), &acceptance.prefix[..], content],
    )?;
    super::term::insert(acceptance, tx)?;
    append_events(acceptance, tx)?;
    Ok(())
}

fn insert_message(acceptance: &Acceptance, account: i64, tx: &Tx<'_>) -> Result<(), Failure> {
    let envelope = &acceptance.envelope;
    let mut flags = 0;
    let mut set = |bit: i64, on: bool| flags |= if on { bit } else { 0 };
    set(flag::EIGHT_BIT, envelope.body == BodyType::EightBitMime);
    set(flag::SMTPUTF8, envelope.smtputf8);
    set(flag::HEADER_UTF8, acceptance.header_needs_utf8);
    set(flag::RET_FULL, envelope.ret == Some(Ret::Full));
    set(flag::RET_HEADERS, envelope.ret == Some(Ret::Headers));
    set(flag::SPOOLED, matches!(acceptance.body, Body::Spooled(_)));
    set(flag::UNDATED, !tx.is_dated(acceptance.received));
    let verdict = (!rows::is_plain(&acceptance.verdict))
        .then(|| serde_json::to_string(&acceptance.verdict).expect("a verdict is plain fields and texts"));
    tx.run(
        "INSERT INTO message (id, received, unended, account, class, flags, size_bytes, report_on, source, \
         reverse_path, client, mta_id, message_id, envid, verdict, header_from) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            number(acceptance.id),
            wall(acceptance.received.wall),
            many(envelope.recipients.len()),
            account,
            acceptance.class,
            flags,
            count(acceptance.body.len()),
            acceptance.report_on.as_ref().map(|(id, _)| number(*id)),
            acceptance.source.as_str(),
            envelope.reverse_path.as_str(),
            acceptance.client,
            acceptance.mta_id,
            acceptance.message_id,
            envelope.envid.as_deref(),
            verdict,
            acceptance.header_from,
        ],
    )?;
    Ok(())
}

fn insert_deliveries(acceptance: &Acceptance, account: i64, tx: &mut Tx<'_>) -> Result<(), Failure> {
    let state = match acceptance.verdict.decision {
        Decision::Hold | Decision::Reject => DeliveryState::Held,
        Decision::Send => DeliveryState::Waiting,
    };
    let recipients = acceptance.envelope.recipients.iter().zip(&acceptance.destinations);
    for (place, (recipient, destination)) in recipients.enumerate() {
        let destination = tx.name(&destination.0)?;
        let original = recipient.original.as_ref();
        tx.run(
            "INSERT INTO delivery (message, place, state, account, class, destination, due, again, attempts, \
             spent_ms, delay_reported, recipient, notify, original_type, original) \
             VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?, ?, ?, ?)",
            params![
                number(acceptance.id),
                many(place),
                rows::state_number(state),
                account,
                acceptance.class,
                destination,
                wall(acceptance.received.wall),
                recipient.address.as_str(),
                recipient.notify.map(Notify::bits),
                original.map(|o| &*o.address_type),
                original.map(|o| &*o.address),
            ],
        )?;
    }
    tx.memory.counts.came(acceptance.received.wall, acceptance.envelope.recipients.len(), state);
    Ok(())
}

fn append_events(acceptance: &Acceptance, tx: &mut Tx<'_>) -> Result<(), Failure> {
    let at = acceptance.received.wall;
    let id = acceptance.id.to_string();
    tx.event(
        at,
        Event::Accepted {
            id: id.clone(),
            account: acceptance.account.clone(),
            source: acceptance.source,
            from: acceptance.envelope.reverse_path.as_str().to_owned(),
            recipients: u32::try_from(acceptance.envelope.recipients.len()).unwrap_or(u32::MAX),
            size_bytes: acceptance.body.len(),
            client: acceptance.client.clone(),
            mta_id: acceptance.mta_id.clone(),
            message_id: acceptance.message_id.clone(),
        },
    )?;
    if acceptance.verdict.decision == Decision::Hold {
        let reason = acceptance.verdict.headline().map_or_else(String::new, |r| r.sentence.clone().into_owned());
        let score_points = acceptance.verdict.score_points;
        tx.event(at, Event::Held { id, account: acceptance.account.clone(), score_points, reason })?;
    }
    if let Some((_, event)) = &acceptance.report_on {
        tx.event(at, event.clone())?;
    }
    Ok(())
}
