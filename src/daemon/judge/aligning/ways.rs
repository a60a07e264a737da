//! The ways that a message's recipients take, each once.

use std::sync::Arc;

use super::seen::{SystemAddresses, addresses};
use crate::align::facts::{Demands, Smarthost};
use crate::align::gather::{Leg, Source};
use crate::align::verdict::Finding;
use crate::delivery::route::{Plan, Target};
use crate::delivery::{Egress, Router};
use crate::store::Destination;

pub(super) struct Ways {
    plans: Vec<Plan>,
    /// Of each destination; `None`: it waits for a configuration that has one.
    of: Vec<Option<usize>>,
}

impl Ways {
    pub(super) fn of(destinations: &[Destination], router: &Router) -> Self {
        let mut ways = Self { plans: Vec::new(), of: Vec::with_capacity(destinations.len()) };
        let mut known: Vec<(&Destination, Option<usize>)> = Vec::new();
        for destination in destinations {
            let before = known.iter().find(|(before, _)| *before == destination).map(|(_, way)| *way);
            let way = before.unwrap_or_else(|| {
                let way = router.plan(destination).ok().map(|plan| ways.add(plan));
                known.push((destination, way));
                way
            });
            ways.of.push(way);
        }
        ways
    }

    fn add(&mut self, plan: Plan) -> usize {
        // For alignment the recipients' domains make no difference.
        let same = |known: &Plan| {
            let login = |plan: &Plan| plan.login.as_ref().map(|login| login.user.clone());
            known.route == plan.route && login(known) == login(&plan)
        };
        self.plans.iter().position(same).unwrap_or_else(|| {
            self.plans.push(plan);
            self.plans.len() - 1
        })
    }

    /// The ways as alignment asks about them.
    pub(super) fn legs(&self, system: &SystemAddresses) -> Vec<Leg<'_>> {
        self.plans.iter().map(|plan| leg(plan, system)).collect()
    }

    /// The destinations with the egresses that were chosen; `None`: as they are.
    pub(super) fn restricted(&self, destinations: &[Destination], finding: &Finding) -> Option<Vec<Destination>> {
        if finding.egresses.iter().all(Option::is_none) {
            return None;
        }
        let restricted = destinations.iter().zip(&self.of).map(|(destination, way)| {
            match way.and_then(|way| finding.egresses.get(way)?.as_ref()) {
                Some(egresses) => Router::restricted(destination, egresses),
                None => destination.clone(),
            }
        });
        Some(restricted.collect())
    }
}

fn leg<'a>(plan: &'a Plan, system: &SystemAddresses) -> Leg<'a> {
    let source = |egress: &'a Arc<Egress>| Source {
        egress: &egress.name,
        addresses: addresses(egress, system),
        ehlo: &egress.ehlo,
    };
    match &plan.target {
        Target::Mx { .. } => Leg::Direct(plan.egresses.iter().map(source).collect()),
        Target::Smarthost { host, .. } => Leg::Smarthost(Smarthost {
            host: Arc::clone(host),
            login_domain: plan.login.as_ref().and_then(|login| login.domain()),
            demands: Demands::of_host(host),
        }),
    }
}
