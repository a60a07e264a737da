//! The verdict over a From that is not one domain's: none, several domains, several fields.
//!
//! That is a fault of its own. Some receivers exempt such mail from DMARC and some refuse it; the rest apply the strictest
//! policy of all the domains (RFC 7489 6.6.1). So each domain is judged as if it stood there alone, and the worst counts.

use std::sync::Arc;

use super::{Alignment, Finding, of_domain, words};
use crate::align::author::{Author, Domains};
use crate::align::dmarc::Policy;
use crate::align::facts::Facts;
use crate::align::settings::Deeds;

pub(super) fn judge(facts: &Facts, deeds: &Deeds) -> Finding {
    let fault = Finding { egresses: vec![None; facts.routes.len()], ..of_field(&facts.author, deeds) };
    if facts.author.several().is_some_and(Domains::are_more) {
        return Finding {
            policy: Policy::Reject,
            deed: fault.deed.max(Some(deeds.policy_fails)),
            name: "align-policy",
            ..fault
        };
    }
    let of_each = |of: &Facts| of.author.domain().map(|domain| of_domain(of, domain, deeds));
    let each: Vec<Finding> = facts.each.iter().filter_map(of_each).collect();
    let Some(egresses) = egresses_of_all(&each, facts.routes.len()) else {
        // Whichever is taken, one of the domains is not authenticated for.
        let asks = |of: &Facts| of.views.iter().flatten().any(|view| view.policy() != Policy::None);
        let deed = if facts.each.iter().any(asks) { fault.deed.max(Some(deeds.policy_fails)) } else { fault.deed };
        return Finding { deed, ..fault };
    };
    let worst = each.into_iter().max_by_key(|finding| (finding.deed, finding.policy));
    match worst {
        Some(worst) if (worst.deed, worst.policy) > (fault.deed, fault.policy) => Finding {
            alignment: worst.alignment.max(fault.alignment),
            sentence: format!("{}. {}", worst.sentence, fault.sentence),
            egresses,
            ..worst
        },
        Some(_) | None => Finding { egresses, ..fault },
    }
}

/// What the field is guilty of, whatever its domains ask for.
fn of_field(author: &Author, deeds: &Deeds) -> Finding {
    Finding {
        alignment: Alignment::PermError,
        policy: Policy::None,
        deed: Some(deeds.permerror),
        name: "align-from",
        sentence: words::no_author(author),
        note: None,
        egresses: Vec::new(),
    }
}

/// For each route the egresses that may carry it whichever of the domains the receiver looks at; `None`: on one of the
/// routes there is none.
pub(super) fn egresses_of_all(each: &[Finding], routes: usize) -> Option<Vec<Option<Vec<Arc<str>>>>> {
    let mut all: Vec<Option<Vec<Arc<str>>>> = vec![None; routes];
    for finding in each {
        for (kept, wanted) in all.iter_mut().zip(&finding.egresses) {
            let Some(wanted) = wanted else { continue };
            match kept {
                None => *kept = Some(wanted.clone()),
                Some(kept) => kept.retain(|egress| wanted.contains(egress)),
            }
        }
    }
    let serves = |egresses: &Option<Vec<Arc<str>>>| egresses.as_ref().is_none_or(|names| !names.is_empty());
    all.iter().all(serves).then_some(all)
}
