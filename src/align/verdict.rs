//! The verdict over gathered facts: whether receivers will find the message aligned, from which egresses, what they
//! would do about it, and what mends it. Pure.
//!
//! Where receivers of different kinds find different things, the worse counts. Where egresses differ, the message leaves
//! by those from which it passes.

use std::sync::Arc;

use super::author::Author;
use super::dkim::{Failure, Outcome};
use super::dmarc::{Mode, Policy, View};
use super::facts::{Demands, Exit, Facts, Forwarded, Own, Passed, Route, Signed, Smarthost};
use super::settings::{Deed, Deeds};
use super::spf::SpfResult;
use crate::mail::Visible;
use crate::reason::Reason;

mod words;

/// What receivers will find. In order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alignment {
    /// Something that speaks for the From domain authenticates it; or a smarthost sees to that.
    Pass,
    /// DNS does not say, or we do not know our own address.
    TempError,
    /// A record or the From field is broken.
    PermError,
    /// Something authenticates it, but not for the From domain.
    Misaligned,
    /// Nothing authenticates it.
    None,
}

impl Alignment {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
            Self::Misaligned => "misaligned",
            Self::None => "none",
        }
    }
}

/// What was concluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What receivers will find, on the worst of the routes that it takes.
    pub alignment: Alignment,
    /// What the From domain asks receivers to do about it; [`Policy::None`] where it passes.
    pub policy: Policy,
    /// What is to be done; `None`: nothing.
    pub deed: Option<Deed>,
    /// A stable name.
    pub name: &'static str,
    /// What was found and what mends it.
    pub sentence: String,
    /// For each of [`Facts::routes`] the egresses that may carry it; `None`: all.
    pub egresses: Vec<Option<Vec<Arc<str>>>>,
}

impl Finding {
    /// The finding where the facts could not be gathered in time, or at all.
    pub fn unsure(why: &str, routes: usize, deeds: &Deeds) -> Self {
        Self {
            alignment: Alignment::TempError,
            policy: Policy::None,
            deed: Some(deeds.temperror),
            name: "align-temperror",
            sentence: format!("whether receivers will find it aligned cannot be told now: {why}"),
            egresses: vec![None; routes],
        }
    }

    /// The line of evidence, where there is something to say. One that holds or rejects has no points: it does not
    /// depend on them.
    pub fn reason(&self) -> Option<Reason> {
        let points = match self.deed {
            None => return self.chosen_egresses(),
            Some(Deed::Points(points)) => i32::from(points),
            Some(Deed::Send | Deed::Hold | Deed::Reject) => 0,
        };
        Some(Reason { name: self.name.into(), points, sentence: self.sentence.clone().into() })
    }

    /// Of a message that passes: from which egresses alone.
    fn chosen_egresses(&self) -> Option<Reason> {
        let mut names: Vec<&str> = self.egresses.iter().flatten().flatten().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return None;
        }
        let sentence = format!("{}, from {} alone: it leaves from there", self.sentence, names.join(" and "));
        Some(Reason { name: "align-egress".into(), points: 0, sentence: sentence.into() })
    }
}

/// The line that says why a domain's key was not used, where one was kept back.
pub fn not_signed(own: &Own, author: &str) -> Option<Reason> {
    let Own::NotForAccount(domain, account) = own else { return None };
    let sentence = format!(
        "not signed for {author}: the account {} is of another domain. {}",
        Visible(account.as_str()),
        words::not_signed(domain, account)
    );
    Some(Reason { name: "not-signed".into(), points: 0, sentence: sentence.into() })
}

/// What is found on one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    /// Policies weigh more than how it came about.
    policy: Policy,
    alignment: Alignment,
}

const PASS: Found = Found { policy: Policy::None, alignment: Alignment::Pass };

/// The verdict.
pub fn judge(facts: &Facts, deeds: &Deeds) -> Finding {
    let mut finding = match facts.author.domain() {
        Some(author) => of_domain(facts, author, deeds),
        None => without_domain(&facts.author, facts.routes.len(), deeds),
    };
    // Worse than what receivers may do is what the next server will do for certain.
    if let Some(smarthost) = facts.routes.iter().find_map(|route| refusing(route, &facts.author))
        && finding.deed.is_none_or(|deed| deed <= deeds.login_domain)
    {
        finding.alignment = finding.alignment.max(Alignment::Misaligned);
        finding.deed = Some(deeds.login_domain);
        finding.name = "align-login-domain";
        finding.sentence = words::login_domain(smarthost, &facts.author);
    }
    finding
}

/// A smarthost that refuses this From field.
fn refusing<'a>(route: &'a Route, author: &Author) -> Option<&'a Smarthost> {
    let Route::Smarthost(smarthost) = route else { return None };
    let login_domain = smarthost.login_domain.as_deref()?;
    let refuses = smarthost.demands == Demands::LoginDomain && author.domain() != Some(login_domain);
    refuses.then_some(smarthost)
}

fn without_domain(author: &Author, routes: usize, deeds: &Deeds) -> Finding {
    Finding {
        alignment: Alignment::PermError,
        policy: Policy::None,
        deed: Some(deeds.permerror),
        name: "align-from",
        sentence: words::no_author(author),
        egresses: vec![None; routes],
    }
}

fn of_domain(facts: &Facts, author: &str, deeds: &Deeds) -> Finding {
    let mut worst = PASS;
    let mut worst_exit: Option<&Exit> = None;
    let mut egresses = Vec::with_capacity(facts.routes.len());
    for route in &facts.routes {
        match route {
            // Whatever receivers see of a smarthost, it is that one's address.
            Route::Smarthost(_) => egresses.push(None),
            Route::Direct(exits) => {
                let found: Vec<Found> = exits.iter().map(|exit| on_exit(facts, author, exit)).collect();
                let best = found.iter().min().copied().unwrap_or(PASS);
                if best > worst {
                    worst = best;
                    worst_exit = found.iter().position(|found| *found == best).map(|at| &exits[at]);
                }
                egresses.push(if best == PASS { passing(exits, &found) } else { None });
            }
        }
    }
    let (deed, name) = deed(worst, facts.forwarded, deeds);
    let sentence = match worst.alignment {
        Alignment::Pass => words::pass(facts, author),
        _ => words::of(facts, author, worst.alignment, worst_exit),
    };
    Finding { alignment: worst.alignment, policy: worst.policy, deed, name, sentence, egresses }
}

fn deed(found: Found, forwarded: Forwarded, deeds: &Deeds) -> (Option<Deed>, &'static str) {
    match (found.alignment, found.policy) {
        (Alignment::Pass, _) => (None, "align-pass"),
        (Alignment::TempError, _) => (Some(deeds.temperror), "align-temperror"),
        (_, Policy::Quarantine | Policy::Reject) if forwarded != Forwarded::No => {
            (Some(deeds.forwarded_fails), "align-forwarded")
        }
        (_, Policy::Quarantine | Policy::Reject) => (Some(deeds.policy_fails), "align-policy"),
        (Alignment::PermError, Policy::None) => (Some(deeds.permerror), "align-permerror"),
        (Alignment::Misaligned, Policy::None) => (Some(deeds.misaligned), "align-misaligned"),
        (Alignment::None, Policy::None) => (Some(deeds.none), "align-none"),
    }
}

/// The egresses from which it passes. Where DKIM carries it everywhere, one that SPF forbids is left out beside one that
/// SPF allows: some receivers refuse at MAIL already.
fn passing(exits: &[Exit], found: &[Found]) -> Option<Vec<Arc<str>>> {
    let result = |exit: &Exit| exit.spf.as_ref().map(|passed| passed.spf.result);
    let passes: Vec<&Exit> =
        exits.iter().zip(found).filter(|(_, found)| **found == PASS).map(|(exit, _)| exit).collect();
    let some_pass = passes.iter().any(|exit| result(exit) == Some(SpfResult::Pass));
    let chosen: Vec<Arc<str>> = passes
        .into_iter()
        .filter(|exit| !some_pass || result(exit) != Some(SpfResult::Fail))
        .map(|exit| Arc::clone(&exit.egress))
        .collect();
    (chosen.len() < exits.len()).then_some(chosen)
}

/// What all kinds of receivers together make of it on one way: the worst that one of them finds.
fn on_exit(facts: &Facts, author: &str, exit: &Exit) -> Found {
    let mut worst = PASS;
    for (at, view) in facts.views.iter().enumerate() {
        let found = match in_view(facts, author, exit, at, view) {
            InView::Pass => PASS,
            InView::Unsure => Found { policy: Policy::None, alignment: Alignment::TempError },
            InView::Fail(policy) => Found { policy, alignment: how_it_fails(facts, exit) },
        };
        worst = worst.max(found);
    }
    worst
}

fn how_it_fails(facts: &Facts, exit: &Exit) -> Alignment {
    let spf = exit.spf.as_ref().map(|passed| passed.spf.result);
    let broken_key = |signed: &Signed| matches!(signed.checked.outcome, Outcome::Fails(Failure::KeyBroken(..)));
    if spf == Some(SpfResult::Pass) || facts.signatures.iter().any(Signed::passes) {
        Alignment::Misaligned
    } else if spf == Some(SpfResult::PermError) || facts.signatures.iter().any(broken_key) {
        Alignment::PermError
    } else {
        Alignment::None
    }
}

enum InView {
    Pass,
    /// Another time it may pass.
    Unsure,
    Fail(Policy),
}

fn in_view(facts: &Facts, author: &str, exit: &Exit, at: usize, view: &Result<View, Box<str>>) -> InView {
    // What the record is nobody knows: all that can be told is that the same domain is aligned in any case.
    let mut unsure = view.is_err() || exit.spf.is_none();
    let speaks = |domain: &str, organizational: Option<&Option<Box<str>>>, mode: fn(&View) -> Mode| match view {
        _ if domain == author => Speaks::Yes,
        Err(_) => Speaks::Perhaps,
        Ok(view) if mode(view) == Mode::Strict => Speaks::No,
        Ok(view) => match organizational {
            Some(Some(theirs)) if view.is_aligned(author, domain, theirs, Mode::Relaxed) => Speaks::Yes,
            Some(Some(_)) => Speaks::No,
            Some(None) | None => Speaks::Perhaps,
        },
    };
    for signed in facts.signatures.iter().filter(|signed| !signed.checked.domain.is_empty()) {
        let holds = match &signed.checked.outcome {
            Outcome::Pass => Holds::Yes,
            Outcome::Fails(failure) if failure.is_temporary() => Holds::Perhaps,
            Outcome::Fails(_) => continue,
        };
        match (holds, speaks(&signed.checked.domain, signed.organizational.get(at), View::dkim_mode)) {
            (Holds::Yes, Speaks::Yes) => return InView::Pass,
            (_, Speaks::No) => {}
            (Holds::Yes | Holds::Perhaps, Speaks::Yes | Speaks::Perhaps) => unsure = true,
        }
    }
    if let Some(Passed { spf, organizational }) = &exit.spf {
        let speaks = speaks(&spf.domain, organizational.get(at), View::spf_mode);
        match (spf.result, speaks) {
            (SpfResult::Pass, Speaks::Yes) => return InView::Pass,
            (SpfResult::Pass | SpfResult::TempError, Speaks::Yes | Speaks::Perhaps) => unsure = true,
            _ => {}
        }
    }
    match view {
        Ok(view) if !unsure => InView::Fail(view.applied.as_ref().map_or(Policy::None, |applied| applied.policy)),
        Ok(_) | Err(_) => InView::Unsure,
    }
}

enum Holds {
    Yes,
    Perhaps,
}

/// Whether a domain speaks for the From domain.
enum Speaks {
    Yes,
    No,
    /// DNS does not say.
    Perhaps,
}

#[cfg(test)]
mod tests;
