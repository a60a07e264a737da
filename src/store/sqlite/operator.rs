//! What people and breakers do to the queue: gates, removal, release; and events that belong to no other deed.

use rusqlite::params;

use super::attempt::{account_of, end_message};
use super::failure::Failure;
use super::rows::state_number;
use super::tx::{Closed, Tx, number, wall};
use crate::clock::WallMs;
use crate::event::Event;
use crate::mail::QueueId;
use crate::store::{DeliveryState, Gate, GateKind, Refiled, Renewed};

/// Closes a gate, or changes why it is closed.
pub(super) fn close_gate((gate, at, under_way): &(Gate, WallMs, u32), tx: &mut Tx<'_>) -> Result<(), Failure> {
    tx.run(
        "INSERT INTO gate (kind, key, by, reason, since, until) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (kind, key) DO UPDATE SET by = excluded.by, reason = excluded.reason, until = excluded.until",
        params![gate.kind.as_str(), gate.key, gate.by, gate.reason, wall(gate.since), gate.until.map(wall)],
    )?;
    tx.gate_changed(gate.kind, &gate.key, Closed::Yes);
    let event = Event::GateClosed {
        kind: gate.kind.as_str().to_owned(),
        key: gate.key.clone(),
        by: gate.by.clone(),
        reason: gate.reason.clone(),
        under_way: *under_way,
    };
    Ok(tx.event(*at, event)?)
}

/// Opens a gate; false if it was not closed.
pub(super) fn open_gate(
    (kind, key, by, at): &(GateKind, String, String, WallMs),
    tx: &mut Tx<'_>,
) -> Result<bool, Failure> {
    let opened = tx.run("DELETE FROM gate WHERE kind = ? AND key = ?", params![kind.as_str(), key])? > 0;
    if opened {
        tx.gate_changed(*kind, key, Closed::No);
        tx.event(*at, Event::GateOpened { kind: kind.as_str().to_owned(), key: key.clone(), by: by.clone() })?;
    }
    Ok(opened)
}

/// What waits or is held of a message ends by an operator's name.
pub(super) fn remove((message, by, at): &(QueueId, String, WallMs), tx: &mut Tx<'_>) -> Result<Option<u32>, Failure> {
    let Some(account) = account_of(*message, tx)? else { return Ok(None) };
    let mut removed = 0;
    for state in [DeliveryState::Waiting, DeliveryState::Held] {
        let ended = tx.run(
            "UPDATE delivery SET state = 5 WHERE message = ? AND state = ?",
            params![number(*message), state_number(state)],
        )?;
        tx.memory.counts.moved(state, DeliveryState::Removed, ended);
        removed += ended;
    }
    let recipients = u32::try_from(removed).unwrap_or(u32::MAX);
    if removed > 0 {
        end_message(*message, removed, *at, tx)?;
        tx.event(*at, Event::Removed { id: message.to_string(), account, by: by.clone(), recipients })?;
    }
    Ok(Some(recipients))
}

/// Held deliveries of a message wait from now on, and leave with what was made anew.
pub(super) fn release(
    (message, by, renewed, at): &(QueueId, String, Option<Renewed>, WallMs),
    tx: &mut Tx<'_>,
) -> Result<Option<u32>, Failure> {
    let Some(account) = account_of(*message, tx)? else { return Ok(None) };
    if let Some(renewed) = renewed {
        // Only while one is held: what has left keeps the bytes that it left with.
        tx.run(
            "UPDATE body SET prefix = ?1 WHERE message = ?2 \
             AND EXISTS (SELECT 1 FROM delivery WHERE message = ?2 AND state = 1)",
            params![&renewed.prefix[..], number(*message)],
        )?;
        for Refiled { index, from, to } in &renewed.refiled {
            let (from, to) = (tx.name(&from.0)?, tx.name(&to.0)?);
            tx.run(
                "UPDATE delivery SET destination = ?1 WHERE message = ?2 AND place = ?3 AND state = 1 AND destination = ?4",
                params![to, number(*message), index.0, from],
            )?;
        }
    }
    let released = tx.run(
        "UPDATE delivery SET state = 0, again = 1, due = ? WHERE message = ? AND state = 1",
        params![wall(*at), number(*message)],
    )?;
    tx.memory.counts.moved(DeliveryState::Held, DeliveryState::Waiting, released);
    if released > 0 {
        tx.event(*at, Event::Released { id: message.to_string(), account, by: by.clone() })?;
    }
    Ok(Some(u32::try_from(released).unwrap_or(u32::MAX)))
}

/// Appends an event of its own.
pub(super) fn note((event, at): &(Event, WallMs), tx: &mut Tx<'_>) -> Result<(), Failure> {
    Ok(tx.event(*at, event.clone())?)
}
