//! The verdict over gathered facts: whether receivers will find the message aligned, from which egresses, what they
//! would do about it, and what mends it. Pure.
//!
//! Where receivers of different kinds find different things, the worse counts. Where egresses differ, [`choose`] says by
//! which of them the message leaves.

use std::sync::Arc;

use super::author::Author;
use super::dkim::{Failure, Outcome};
use super::dmarc::{Mode, Policy, View};
use super::facts::{Demands, Exit, Facts, Forwarded, Own, Passed, Route, Seen, Signed, Smarthost};
use super::gather::may_relate;
use super::settings::{Deed, Deeds};
use super::spf::SpfResult;
use crate::mail::Visible;
use crate::reason::Reason;

mod choose;
mod several;
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
    /// What is weak about a signature that holds.
    pub note: Option<String>,
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
            note: None,
            egresses: vec![None; routes],
        }
    }

    /// What is said of a header that cannot be read to its end: a fault of the message, which no DNS excuses. Whose policy
    /// it fails is not known then, and no honest program writes one: it is treated as if it failed the strictest.
    pub fn unreadable(why: &str, deeds: &Deeds) -> Self {
        Self {
            alignment: Alignment::PermError,
            deed: Some(deeds.permerror.max(deeds.policy_fails)),
            name: "align-header",
            sentence: format!("whose word it is cannot be told: {why}"),
            ..Self::unsure(why, 0, deeds)
        }
    }

    /// The lines of evidence, where there is something to say. One that holds or rejects has no points: it does not
    /// depend on them.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        let points = |deed: Deed| match deed {
            Deed::Points(points) => i32::from(points),
            Deed::Send | Deed::Hold | Deed::Reject => 0,
        };
        let main = match self.deed {
            None => self.chosen_egresses(),
            Some(deed) => Some(reason(self.name, points(deed), &self.sentence)),
        };
        let note = self.note.as_ref().map(|note| reason("align-weak", 0, note));
        main.into_iter().chain(note)
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
        Some(reason("align-egress", 0, &sentence))
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
    Some(reason("not-signed", 0, &sentence))
}

/// A sentence holds others' words: names, records, what servers say.
const SENTENCE_CHARS_MAX: usize = 1_200;

/// A line of evidence, bounded and with nothing in it that a terminal would obey.
fn reason(name: &'static str, points: i32, sentence: &str) -> Reason {
    let shown = Visible(sentence).to_string();
    let sentence = match shown.char_indices().nth(SENTENCE_CHARS_MAX) {
        Some((end, _)) => format!("{} …", &shown[..end]),
        None => shown,
    };
    Reason { name: name.into(), points, sentence: sentence.into() }
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
        None => several::judge(facts, deeds),
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

fn of_domain(facts: &Facts, author: &str, deeds: &Deeds) -> Finding {
    let ways: Vec<Way<'_>> = facts
        .routes
        .iter()
        .map(|route| match route {
            Route::Smarthost(smarthost) => on_smarthost(facts, author, smarthost),
            Route::Direct(exits) => unless_forwarded(facts.forwarded, choose::choose(facts, author, exits)),
        })
        .collect();
    // What weighs most for the sender decides; of equals, what is worst at the receiver.
    let worst = ways.iter().max_by_key(|way| (deed(way, facts.forwarded, deeds).0, way.found));
    let (found, (deed, name)) = match worst {
        Some(way) => (way.found, deed(way, facts.forwarded, deeds)),
        None => (PASS, (None, "align-pass")),
    };
    let sentence = match worst {
        Some(way) if way.found.alignment != Alignment::Pass => words::of(facts, author, way),
        Some(_) | None => words::pass(facts, author),
    };
    let note = words::weak(facts, author);
    let egresses = ways.into_iter().map(|way| way.egresses).collect();
    Finding { alignment: found.alignment, policy: found.policy, deed, name, sentence, note, egresses }
}

/// What is found on one route.
struct Way<'a> {
    found: Found,
    /// Which of its egresses, and what receivers see of it, the finding is about.
    exit: Option<(&'a Exit, &'a Seen)>,
    /// The server through which it goes.
    smarthost: Option<&'a Smarthost>,
    /// The egresses that may carry it; `None`: all.
    egresses: Option<Vec<Arc<str>>>,
}

/// Where DNS keeps from us whether a chain makes it forwarded mail, whether a policy concerns it is not known either.
fn unless_forwarded(forwarded: Forwarded, way: Way<'_>) -> Way<'_> {
    let depends = forwarded == Forwarded::NoDns && way.found.policy != Policy::None;
    if depends { Way { found: choose::UNSURE, ..way } } else { way }
}

/// Receivers see the smarthost's address, which is not known here: SPF may pass, and a signature may be put on there. So
/// only this is told, that a policy stands and no signature that we know carries the message.
fn on_smarthost<'a>(facts: &Facts, author: &str, smarthost: &'a Smarthost) -> Way<'a> {
    let views = facts.views.iter().enumerate();
    let found = views.map(|(at, view)| match in_view(facts, author, &Seen::Unknown, at, view) {
        InView::Fail(policy) | InView::Unknown(policy) if policy != Policy::None => {
            Found { policy, alignment: how_it_fails(facts, &Seen::Unknown) }
        }
        InView::Pass | InView::NoDns | InView::Unknown(_) | InView::Fail(_) => PASS,
    });
    Way { found: found.max().unwrap_or(PASS), exit: None, smarthost: Some(smarthost), egresses: None }
}

fn deed(way: &Way<'_>, forwarded: Forwarded, deeds: &Deeds) -> (Option<Deed>, &'static str) {
    match (way.found.alignment, way.found.policy) {
        (Alignment::Pass, _) => (None, "align-pass"),
        (Alignment::TempError, _) => (Some(deeds.temperror), "align-temperror"),
        (_, Policy::Quarantine | Policy::Reject) if way.smarthost.is_some() => {
            (Some(deeds.smarthost_fails), "align-smarthost")
        }
        (_, Policy::Quarantine | Policy::Reject) if forwarded != Forwarded::No => {
            (Some(deeds.forwarded_fails), "align-forwarded")
        }
        (_, Policy::Quarantine | Policy::Reject) => (Some(deeds.policy_fails), "align-policy"),
        (Alignment::PermError, Policy::None) => (Some(deeds.permerror), "align-permerror"),
        (Alignment::Misaligned, Policy::None) => (Some(deeds.misaligned), "align-misaligned"),
        (Alignment::None, Policy::None) => (Some(deeds.none), "align-none"),
    }
}

fn how_it_fails(facts: &Facts, seen: &Seen) -> Alignment {
    let spf = seen.spf().map(|passed| passed.spf.result);
    let broken_key = |signed: &Signed| matches!(signed.checked.outcome, Outcome::Fails(Failure::KeyBroken(..)));
    // One that was not asked for is of another domain, and may hold.
    let of_another = |signed: &Signed| signed.passes() || signed.checked.outcome == Outcome::NotAsked;
    if spf == Some(SpfResult::Pass) || facts.signatures.iter().any(of_another) {
        Alignment::Misaligned
    } else if spf == Some(SpfResult::PermError) || facts.signatures.iter().any(broken_key) {
        Alignment::PermError
    } else {
        Alignment::None
    }
}

/// What one kind of receiver makes of it.
enum InView {
    Pass,
    /// Another time it may pass.
    NoDns,
    /// It may pass, by an address that is not known here. The policy, if it does not.
    Unknown(Policy),
    Fail(Policy),
}

fn in_view(facts: &Facts, author: &str, seen: &Seen, at: usize, view: &Result<View, Box<str>>) -> InView {
    // What the record is nobody knows: all that can be told is that the same domain is aligned in any case.
    let mut unsure = view.is_err();
    let speaks = |domain: &str, organizational: Option<&Option<Box<str>>>, mode: fn(&View) -> Mode| match view {
        _ if domain == author => Speaks::Yes,
        Err(_) if !may_relate(domain, author) => Speaks::No,
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
            Outcome::Fails(_) | Outcome::PassesForFew | Outcome::NotAsked => continue,
        };
        match (holds, speaks(&signed.checked.domain, signed.organizational.get(at), View::dkim_mode)) {
            (Holds::Yes, Speaks::Yes) => return InView::Pass,
            (_, Speaks::No) => {}
            (Holds::Yes | Holds::Perhaps, Speaks::Yes | Speaks::Perhaps) => unsure = true,
        }
    }
    if let Seen::From(_, Passed { spf, organizational }) = seen {
        let speaks = speaks(&spf.domain, organizational.get(at), View::spf_mode);
        match (spf.result, speaks) {
            (SpfResult::Pass, Speaks::Yes) => return InView::Pass,
            (SpfResult::Pass | SpfResult::TempError, Speaks::Yes | Speaks::Perhaps) => unsure = true,
            _ => {}
        }
    }
    match (view, seen) {
        (Ok(view), Seen::From(..)) if !unsure => InView::Fail(view.policy()),
        (Ok(view), Seen::Unknown) if !unsure => InView::Unknown(view.policy()),
        (Ok(_) | Err(_), _) => InView::NoDns,
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
