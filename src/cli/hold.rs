//! `outguard hold` and `outguard resume`.

use std::io::Write;

use super::arguments::{GateArguments, HoldArguments, Look};
use super::exit::Failed;
use super::moment::deliveries;
use super::queue::tell;
use super::source::Place;
use crate::api::view::GateRequest;
use crate::mail::Visible;
use crate::store::GateKind;

/// While no daemon runs nothing leaves, but nothing remembers a hold either.
const START_IT: &str = "nothing leaves while no daemon runs; to start it with this hold in place, start it (`systemctl start outguard`) \
     and repeat the command at once, or first stop the way out (firewall, [route])";
const START_TO_RESUME: &str = "holds are kept; start the daemon (`systemctl start outguard`) and repeat the command";

pub(super) async fn hold(place: &Place, asked: &HoldArguments, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let gate = request(&asked.gate, asked.reason.clone());
    let done = Place::needs_daemon(place.client.hold(&gate).await, START_IT)?;
    let under_way = match done.deliveries {
        0 => String::new(),
        n => format!("; {} under way cannot be called back", deliveries(n)),
    };
    tell(look, out, &done, &format!("{} is held{under_way}", name(&gate)))
}

pub(super) async fn resume(
    place: &Place,
    asked: &GateArguments,
    look: Look,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let gate = request(asked, String::new());
    let done = Place::needs_daemon(place.client.resume(&gate).await, START_TO_RESUME)?;
    if !done.changed {
        let what = format!("a hold of {}", name(&gate));
        return Err(Failed::NotFound { what, advice: "`outguard status` lists what is held" });
    }
    tell(look, out, &done, &format!("{} goes on", name(&gate)))
}

fn request(asked: &GateArguments, reason: String) -> GateRequest {
    GateRequest { kind: asked.kind.into(), key: asked.name.clone(), reason }
}

fn name(gate: &GateRequest) -> String {
    match gate.kind {
        GateKind::All => "everything".to_owned(),
        GateKind::Account | GateKind::Egress => format!("{} {}", gate.kind.as_str(), Visible(&gate.key)),
    }
}
