//! The doctor in the daemon: what a configuration gives it to look at, and its rounds.
//!
//! It looks a little after the start and then every few hours, never twice at once. What it found is kept in the store, so
//! that a restart does not forget what was right. Only what changed is told: an event of the journal for what was right and
//! is wrong, and one for what is right again. Read [`rounds`] first.

mod domains;
mod kept;
mod provider;
pub(super) mod rounds;
mod sent;

pub use self::sent::sent;
use super::judge::aligning::{SystemAddresses, ways_out};
use std::sync::Arc;

use crate::align::dns::Lookup;
use crate::align::doctor::{Asked, Finding, KeyWanted, Patience, Patient, Probe, Reach, Sender, Sent, examine, gather};
use crate::align::sign::Signer;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::{Router, Tls};
use crate::intake::own_name;

/// One look at everything: at what was asked for, and at OVHcloud's API where it is configured. It ends when the patience
/// does; what was not found out by then is told as not known.
pub async fn look(
    config: &Config,
    dns: &Arc<dyn Lookup>,
    asked: &Asked,
    sent: &Sent,
    clock: &dyn Clock,
) -> Vec<Finding> {
    let provider = provider::examine(config, clock.now().wall, asked.patience.whole);
    let (facts, of_provider) = tokio::join!(gather(dns, asked), provider);
    let mut findings = examine(&facts);
    findings.push(domains::told(config, &asked.senders, sent));
    findings.extend(of_provider);
    findings
}

/// Every egress, and the sending domains that are named here; with none named, those that the configuration knows and those
/// that really sent.
///
/// # Errors
/// A route or a key that cannot be used, as a sentence.
pub fn asked_by(
    config: &Config,
    domains: &[String],
    sent: &Sent,
    clock: &dyn Clock,
    patience: Patience,
) -> Result<Asked, String> {
    let doctor = &config.align.doctor;
    let router = Router::new(&config.delivery, &own_name(&config.intake)).map_err(|error| error.to_string())?;
    let signer = Signer::new(&config.align.signing).map_err(|fault| fault.to_string())?;
    let tls = Tls::new(config.delivery.ca_file.as_deref())?.unverified();
    let direct = router.direct_egresses();
    let system = SystemAddresses::now();
    let patient = |egress: &std::sync::Arc<crate::delivery::Egress>| Patient {
        name: egress.name.to_string(),
        local: egress.address,
        ways: ways_out(egress, &system),
        ehlo: egress.ehlo.to_string(),
        reach: if direct.contains(egress) { Reach::Anybodys } else { Reach::Smarthosts },
    };
    let keys: Vec<KeyWanted> = signer
        .keys()
        .iter()
        .map(|key| KeyWanted { domain: key.domain.to_string(), name: key.record_name(), record: key.record() })
        .collect();
    let sender = |domains::Origin { domain, why }: domains::Origin| {
        let ways = router.ways_of(&domain);
        let egresses = ways.egresses.iter().map(|egress| egress.name.to_string()).collect();
        let signed_as = signer.signs_as(&domain).unwrap_or(&domain).to_owned();
        Sender { signed_as, egresses, smarthosts: ways.smarthosts, domain, origin: why }
    };
    Ok(Asked {
        egresses: router.egresses().iter().map(patient).collect(),
        senders: domains::looked_at(config, domains, sent).into_iter().map(sender).collect(),
        keys,
        lists: doctor.lists.clone(),
        probe: Probe::of(&doctor.port25, doctor.time_limit),
        mailboxes: doctor.mailboxes.clone(),
        dnssec: config.align.dns.dnssec.clone(),
        clock_synchronised: clock.synchronised(),
        patience,
        tls,
    })
}
