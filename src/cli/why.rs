//! Why mail stays, as far as the store and the configuration alone tell it: what a person held, and what stands behind a gate.
//! What waits for time or a slot only a daemon can reckon.

use crate::api::WhyLine;
use crate::delivery::Router;
use crate::dispatch::Why;
use crate::store::{DeliveryRow, DeliveryState, Gate, GateKind, MessageRow};

/// The reasons of a message's deliveries; of those that would go on with a daemon there is none.
pub(super) fn stays(
    gates: &[Gate],
    router: Option<&Router>,
    (row, deliveries): (&MessageRow, &[DeliveryRow]),
) -> Vec<WhyLine> {
    let mut lines = Vec::new();
    for delivery in deliveries {
        match delivery.state {
            DeliveryState::Held => {
                WhyLine::add(&mut lines, delivery.index, row.why_held(delivery).to_string(), None);
            }
            DeliveryState::Waiting => {
                if let Some(gate) = gate_before(gates, router, row, delivery) {
                    let sentence = Why::Held(gate.into()).to_string();
                    WhyLine::add(&mut lines, delivery.index, sentence, gate.until);
                }
            }
            DeliveryState::UnderWay | DeliveryState::Delivered | DeliveryState::Bounced | DeliveryState::Removed => {}
        }
    }
    lines
}

/// The gate that a waiting delivery stands behind, the widest first, as the daemon has it.
fn gate_before<'a>(
    gates: &'a [Gate],
    router: Option<&Router>,
    row: &MessageRow,
    delivery: &DeliveryRow,
) -> Option<&'a Gate> {
    let of =
        |kind, key: &str| gates.iter().find(|gate| gate.kind == kind && (kind == GateKind::All || gate.key == key));
    if let Some(gate) = of(GateKind::All, "").or_else(|| of(GateKind::Account, row.account.as_str())) {
        return Some(gate);
    }
    let plan = router?.plan(&delivery.destination).ok()?;
    let closed: Option<Vec<&Gate>> = plan.egresses.iter().map(|egress| of(GateKind::Egress, &egress.name)).collect();
    closed?.first().copied()
}
