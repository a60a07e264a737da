//! What the line of an event is: its level, its fields, their order.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use tracing::Level;

use crate::event::Event;
use crate::mail::Quoted;

/// What may need a person is a warning.
pub(super) fn level_of(event: &Event) -> Level {
    match event {
        Event::AttemptUnknown { .. }
        | Event::DsnToOperator { .. }
        | Event::LimitNearlyReached { .. }
        | Event::GateClosed { .. }
        | Event::NextHopTrouble { .. }
        | Event::AccountMerged { .. }
        | Event::AccountSuspect { .. }
        | Event::HeldReminder { .. }
        | Event::DoctorWorse { .. } => Level::WARN,
        Event::Accepted { .. }
        | Event::Held { .. }
        | Event::Rejected { .. }
        | Event::Delivered { .. }
        | Event::Deferred { .. }
        | Event::Bounced { .. }
        | Event::Removed { .. }
        | Event::Released { .. }
        | Event::EightBitAsIs { .. }
        | Event::DsnQueued { .. }
        | Event::GateOpened { .. }
        | Event::DoctorBetter { .. }
        | Event::Started { .. }
        | Event::Reloaded { .. }
        | Event::Stopped { .. } => Level::INFO,
    }
}

/// The event as its journal row has it.
pub(super) fn fields(event: &Event) -> Map<String, Value> {
    match serde_json::to_value(event) {
        Ok(Value::Object(mut fields)) => {
            // Whatever an event calls them: who looks for a message or an account finds all of it.
            if let Some(id) = event.message().filter(|_| !fields.contains_key("id")) {
                fields.insert("id".to_owned(), id.into());
            }
            if let Some(account) = concerned(event).filter(|_| !fields.contains_key("account")) {
                fields.insert("account".to_owned(), account.into());
            }
            fields
        }
        // An event is a struct with a tag, so this is an error of a release, not of a message.
        Ok(_) | Err(_) => Map::from_iter([("event".to_owned(), event.name().into())]),
    }
}

/// The account that an event is about, where its field has another name.
fn concerned(event: &Event) -> Option<&str> {
    match event {
        Event::LimitNearlyReached { key, source: Some(_), .. } => Some(key),
        Event::GateClosed { kind, key, .. } | Event::GateOpened { kind, key, .. } if kind == "account" => Some(key),
        Event::AccountMerged { into, .. } => Some(into.as_str()),
        _ => None,
    }
}

/// `message.accepted id=… account=…`: name, queue id and account first, then the rest by name.
pub(super) fn key_values(fields: &Map<String, Value>) -> String {
    let mut line = fields.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = ["id", "account"];
    let rest = fields.keys().map(String::as_str).filter(|key| *key != "event" && !first.contains(key));
    for key in first.into_iter().filter(|key| fields.contains_key(*key)).chain(rest) {
        let _ = write!(line, " {key}="); // writing to a String cannot fail
        match &fields[key] {
            Value::String(text) => push_quoted(&mut line, text),
            Value::Array(items) if items.is_empty() => line.push_str("none"),
            Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                push_quoted(&mut line, &items.join(","));
            }
            other => push_quoted(&mut line, &other.to_string()),
        }
    }
    line
}

pub(super) fn push_quoted(line: &mut String, text: &str) {
    let _ = write!(line, "{}", Quoted(text)); // writing to a String cannot fail
}
