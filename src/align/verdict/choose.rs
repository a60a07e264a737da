//! From which of a route's egresses a message leaves, where receivers would find different things.
//!
//! | found on the egresses | the verdict is | it leaves from |
//! |---|---|---|
//! | some pass | pass | those; one that SPF forbids is left out beside one that SPF allows |
//! | none passes, for some DNS does not answer | temperror | all but those that fail for certain |
//! | none passes, some fail, the addresses of the rest are unknown | the mildest failure | those that fail no worse, and the unknown |
//! | all addresses are unknown | temperror | all |
//!
//! An unknown address is no excuse for an egress that fails: it is mended by a line in the configuration, while DNS
//! trouble ends by itself. Of an egress with several addresses, as of both families, the worst counts: it is not ours to
//! say which of them a receiver will see.

use std::sync::Arc;

use super::{Alignment, Exit, Facts, Found, InView, PASS, Policy, Seen, SpfResult, Way, how_it_fails, in_view};

/// What is found on one egress. In order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OnExit {
    Pass,
    /// The address is not known, and nothing else authenticates the message.
    Unknown,
    /// DNS does not say.
    NoDns,
    Fail(Found),
}

pub(super) const UNSURE: Found = Found { policy: Policy::None, alignment: Alignment::TempError };

pub(super) fn choose<'a>(facts: &Facts, author: &str, exits: &'a [Exit]) -> Way<'a> {
    let found: Vec<(OnExit, Option<&Seen>)> = exits.iter().map(|exit| on_exit(facts, author, exit)).collect();
    let among = |wanted: &dyn Fn(OnExit) -> bool| -> Vec<usize> {
        (0..exits.len()).filter(|at| wanted(found[*at].0)).collect()
    };
    let passing = among(&|on| on == OnExit::Pass);
    let mildest = found.iter().map(|(on, _)| *on).filter(|on| matches!(on, OnExit::Fail(_))).min();
    let (verdict, about, chosen) = if exits.is_empty() || !passing.is_empty() {
        (PASS, OnExit::Pass, not_forbidden(exits, passing))
    } else if found.iter().any(|(on, _)| *on == OnExit::NoDns) {
        (UNSURE, OnExit::NoDns, among(&|on| !matches!(on, OnExit::Fail(_))))
    } else if let Some(OnExit::Fail(failure)) = mildest {
        (failure, OnExit::Fail(failure), among(&|on| on <= OnExit::Fail(failure)))
    } else {
        (UNSURE, OnExit::Unknown, among(&|_| true))
    };
    let exit = found.iter().position(|(on, _)| *on == about).and_then(|at| Some((&exits[at], found[at].1?)));
    let names = || chosen.iter().map(|at| Arc::clone(&exits[*at].egress)).collect();
    let egresses = (chosen.len() < exits.len()).then(names);
    Way { found: verdict, exit, smarthost: None, egresses }
}

/// Where DKIM carries it everywhere, one that SPF forbids is left out beside one that SPF allows: some receivers refuse at
/// MAIL already.
fn not_forbidden(exits: &[Exit], mut passing: Vec<usize>) -> Vec<usize> {
    let has = |at: usize, result: SpfResult| {
        exits[at].seen.iter().filter_map(Seen::spf).any(|passed| passed.spf.result == result)
    };
    if passing.iter().any(|at| has(*at, SpfResult::Pass) && !has(*at, SpfResult::Fail)) {
        passing.retain(|at| !has(*at, SpfResult::Fail));
    }
    passing
}

/// What all kinds of receivers together make of it, whatever they see of the egress: the worst that one of them finds,
/// and with which address.
fn on_exit<'a>(facts: &Facts, author: &str, exit: &'a Exit) -> (OnExit, Option<&'a Seen>) {
    let mut worst = (OnExit::Pass, exit.seen.first());
    for seen in &exit.seen {
        for (at, view) in facts.views.iter().enumerate() {
            let on = match in_view(facts, author, seen, at, view) {
                InView::Pass => OnExit::Pass,
                InView::Unknown(_) => OnExit::Unknown,
                InView::NoDns => OnExit::NoDns,
                InView::Fail(policy) => OnExit::Fail(Found { policy, alignment: how_it_fails(facts, seen) }),
            };
            if on > worst.0 {
                worst = (on, Some(seen));
            }
        }
    }
    worst
}
