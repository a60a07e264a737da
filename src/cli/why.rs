//! Why mail stays, as far as the store and the configuration alone tell it: what a person held, and what stands behind a gate.
//! What waits for time or a slot only a daemon can reckon.

use crate::api::Stand;
use crate::delivery::Router;
use crate::dispatch::Why;
use crate::store::{DeliveryRow, DeliveryState, Gate, GateKind, MessageRow};

/// What stands in a delivery's way; nothing is known of what would go on with a daemon.
pub(super) fn stand(
    gates: &[Gate],
    router: Option<&Router>,
    row: &MessageRow,
    delivery: &DeliveryRow,
) -> Option<Stand> {
    match delivery.state {
        DeliveryState::Held => Some(Stand::of(&row.why_held(delivery), None)),
        DeliveryState::Waiting => {
            let gate = gate_before(gates, router, row, delivery)?;
            Some(Stand::of(&Why::Held(gate.into()), gate.until))
        }
        DeliveryState::UnderWay | DeliveryState::Delivered | DeliveryState::Bounced | DeliveryState::Removed => None,
    }
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
