//! One message for people: who, where each recipient stands, why it has not left, what happened.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

use super::moment::{local, size, utc};
use super::table::Table;
use crate::api::WhyLine;
use crate::api::view::{DeliveryView, EventView, MessageDetail, MessageView};
use crate::guard::Decision;
use crate::mail::Visible;
use crate::store::DeliveryState;

/// Recipients that are listed one by one; of more, only a count.
const RECIPIENTS_SHOWN_MAX: usize = 50;

/// Prints a message with everything that is known of it.
pub(super) fn detail(detail: &MessageDetail, out: &mut dyn Write) -> io::Result<()> {
    head(&detail.message, out)?;
    deliveries(detail, out)?;
    for line in &detail.why {
        let whom = match line.deliveries.len() {
            n if n == detail.message.deliveries.len() => String::new(),
            1 => "1 recipient: ".to_owned(),
            n => format!("{n} recipients: "),
        };
        writeln!(out, "  why       {whom}{}", reason(line))?;
    }
    for event in &detail.history {
        writeln!(out, "  {}  {}", local(event.at_ms), event_line(event))?;
    }
    Ok(())
}

/// Why something has not left, with the time in this machine's zone unless the sentence names it.
pub(super) fn reason(line: &WhyLine) -> String {
    match line.expected {
        Some(at) if !line.sentence.contains(&utc(at)) => {
            format!("{}; expected to leave at {}", Visible(&line.sentence), local(at))
        }
        Some(_) | None => Visible(&line.sentence).to_string(),
    }
}

fn head(message: &MessageView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", message.id)?;
    let from = if message.from.is_empty() { "<>" } else { &message.from };
    let mut line = |name: &str, text: &str| writeln!(out, "  {name:<8}  {}", Visible(text));
    line("received", &format!("{} from {}, {}", local(message.received_ms), message.client, size(message.size_bytes)))?;
    line("account", &format!("{} (known by {})", message.account, message.source))?;
    line("from", from)?;
    if let Some(id) = &message.mta_id {
        line("mta id", id)?;
    }
    if let Some(id) = &message.message_id {
        line("msg-id", id)?;
    }
    if let Some(id) = &message.report_on {
        line("report", &format!("on {id}"))?;
    }
    let verdict = &message.verdict;
    if !verdict.reasons.is_empty() || verdict.decision != Decision::Send {
        line("verdict", &format!("{}, {} points", decision(verdict.decision), verdict.score_points))?;
    }
    for reason in &verdict.reasons {
        line("", &format!("{:+5}  {}  {}", reason.points, reason.name, reason.sentence))?;
    }
    Ok(())
}

fn deliveries(detail: &MessageDetail, out: &mut dyn Write) -> io::Result<()> {
    let all = &detail.message.deliveries;
    let mut table = Table::new(&["  TO", "STATE", ">TRIES", "NEXT TRY", "LAST WORDS"]);
    for delivery in all.iter().take(RECIPIENTS_SHOWN_MAX) {
        table.row(&[
            format!("  {}", delivery.to),
            state(delivery).to_owned(),
            delivery.attempts.to_string(),
            next_try(std::slice::from_ref(delivery)),
            delivery.last_reply.clone().unwrap_or_default(),
        ]);
    }
    table.print(out)?;
    if all.len() > RECIPIENTS_SHOWN_MAX {
        writeln!(out, "  and {} more recipients (--json lists them all)", all.len() - RECIPIENTS_SHOWN_MAX)?;
    }
    Ok(())
}

/// The word of a decision for people.
pub(super) fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Send => "send",
        Decision::Hold => "hold",
        Decision::Reject => "reject",
    }
}

/// The word of where a delivery stands for people: what a gate stands before is held.
pub(super) fn state(delivery: &DeliveryView) -> &'static str {
    if delivery.state == DeliveryState::Waiting && delivery.why.as_ref().is_some_and(|why| why.held) {
        return word(DeliveryState::Held);
    }
    word(delivery.state)
}

/// The word of a state for people.
pub(super) fn word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Held => "held",
        DeliveryState::UnderWay => "under way",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Bounced => "bounced",
        DeliveryState::Removed => "removed",
    }
}

/// When the first of these is expected to be tried; where no time can be said, what stands in the way.
pub(super) fn next_try(deliveries: &[DeliveryView]) -> String {
    if let Some(at) = deliveries.iter().filter_map(|delivery| delivery.due_ms).min() {
        return local(at);
    }
    let open = |delivery: &&DeliveryView| matches!(delivery.state, DeliveryState::Waiting | DeliveryState::Held);
    match deliveries.iter().find(open) {
        None => "-".to_owned(),
        // Nothing that the store knows: it is tried as soon as a daemon runs.
        Some(delivery) => delivery.why.as_ref().map_or("due", |why| &why.brief).to_owned(),
    }
}

/// The name and what an event says beyond the message that it stands under.
fn event_line(event: &EventView) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(&event.event) else { return event.event.name().to_owned() };
    let mut line = event.event.name().to_owned();
    for (key, value) in &fields {
        if matches!(key.as_str(), "event" | "id" | "account") {
            continue;
        }
        let text = match value {
            Value::String(text) => Visible(text).to_string(),
            Value::Number(number) if key == "due" => {
                number.as_u64().map_or(String::new(), |ms| local(crate::clock::WallMs(ms)))
            }
            other => Visible(&other.to_string()).to_string(),
        };
        let _ = write!(line, "  {key}: {text}"); // writing to a String cannot fail
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallMs;
    use crate::dispatch::Why;

    /// "waits to be tried again at 10:00:05 UTC …; expected to leave at 11:00:05" was one time said twice.
    #[test]
    fn a_time_is_said_once() {
        let at = WallMs(1_795_255_205_999);
        let line = |why: &Why| WhyLine { deliveries: Vec::new(), sentence: why.to_string(), expected: Some(at) };
        let retry = Why::Retry { at, failed_attempts: 1, last_reply: "450 later".into() };
        let busy = Why::NextHopBusy { next_hop: "mx.example".into(), until: Some(at) };
        let slot = Why::WaitingForSlot { rule: "account 200/h of a@b.example".into(), expected: Some(at) };
        for why in [&retry, &busy, &slot] {
            assert_eq!(reason(&line(why)), why.to_string());
        }
        let turn = reason(&line(&Why::Turn { ahead: 3 }));
        assert!(turn.ends_with(&format!("; expected to leave at {}", local(at))), "{turn}");
    }
}
