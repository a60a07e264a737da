//! Slots and pace, as a turn asks for them: what fits, what is parked for want of them and why.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::account::Account;
use crate::delivery::{Egress, Plan, Router};
use crate::dispatch::{AccountId, Fit, HopId, Line, Offer};
use crate::limits::{
    Cause, Charged, Filled, KeyKind, Leased, Limits, Moment, NextSlot, Pace, Paced, Paces, Reach, Refusal, RuleScope,
    TooFast,
};

/// Limits and paces, and what they said.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) limits: Limits,
    pub(super) paces: Paces,
    /// Why an account, a hop or a line is parked, for people to read; gone with the park's end.
    reasons: HashMap<Parked, Waits>,
    /// Egresses without a free slot, by what they are counted as and under which rules, and until when. All routes that
    /// are counted together know of it; one that is counted apart has slots of its own.
    full_egresses: HashMap<(Arc<str>, RuleScope), (Moment, Refusal)>,
    /// Egresses whose pace says not yet, and until when.
    paced_egresses: HashMap<Arc<str>, Moment>,
    /// Parks that end when leased slots come back sooner than the park says.
    hoping: HashSet<Parked>,
    /// A hop whose next mail is refused by the egress that asked and has room at another of its pool.
    wanted: Option<(HopId, Arc<str>)>,
}

/// What is parked for want of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Parked {
    Account(AccountId),
    Hop(HopId),
    Line(Line),
}

/// What it waits for.
#[derive(Debug, Clone)]
pub(super) enum Waits {
    /// A slot.
    Slot(Refusal),
    /// The pace within the limits: how fast and of what, as people read it.
    Pace(Box<str>),
}

/// What the other egresses of a pool say.
enum Elsewhere {
    /// This one has room.
    Room(Arc<str>),
    /// None has, before then.
    Until(Moment),
}

/// Whose slots are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) account: &'a Account,
    pub(super) egress: &'a Egress,
    pub(super) plan: &'a Plan,
    /// The other egresses of the pool before which no gate stands, each with until when it is left alone.
    pub(super) others: &'a [(Arc<Egress>, Moment)],
}

impl<'a> Asking<'a> {
    fn by(&self, egress: &'a Egress) -> Charged<'a> {
        Charged {
            account: self.account.as_str(),
            egress: &egress.counted_as,
            login: self.plan.login.as_ref().map(|login| login.user.as_str()),
            route: &self.plan.route,
        }
    }
}

impl Slots {
    pub(super) fn new(limits: Limits, paces: Paces) -> Self {
        Self {
            limits,
            paces,
            reasons: HashMap::new(),
            full_egresses: HashMap::new(),
            paced_egresses: HashMap::new(),
            hoping: HashSet::new(),
            wanted: None,
        }
    }

    /// Leases what fits of an offer, or says who is to be parked and until when.
    pub(super) fn fit(&mut self, offer: &Offer, asking: Asking<'_>, now: Moment) -> Result<Leased, Fit> {
        let Asking { account, egress, plan, .. } = asking;
        let Some(most) = NonZeroU32::new(offer.recipients) else { return Err(Fit::Stop) };
        // A destination that is one server is paced as that server.
        let paced =
            Paced { egress: &egress.counted_as, account: account.as_str(), domain: Router::server(&plan.destination) };
        self.paces.would_pass(paced, most, now).map_err(|too_fast| self.too_fast(offer, too_fast, asking, now))?;
        match self.limits.lease(asking.by(egress), most, now) {
            Ok(lease) => {
                if let Some(recipients) = NonZeroU32::new(lease.granted.recipients()) {
                    let _ = self.paces.pass(paced, recipients, now); // as many as would have passed, or fewer
                }
                self.reasons.remove(&Parked::Account(offer.line.account));
                Ok(lease)
            }
            Err(refusal) => Err(self.refused(offer, refusal, asking, now)),
        }
    }

    fn too_fast(&mut self, offer: &Offer, too_fast: TooFast, asking: Asking<'_>, now: Moment) -> Fit {
        let hop = Parked::Hop(offer.line.hop);
        let paces = self.paces.settings();
        let (parked, waits, fit) = match too_fast {
            TooFast::Egress(until) => {
                let waits = self.pace_of_egress(asking.egress);
                self.paced_egresses.insert(asking.egress.counted_as.clone(), until);
                (hop, waits, self.pool_until(asking.plan, now).map_or(Fit::Stop, Fit::ParkHop))
            }
            TooFast::Account(until) => {
                let waits = paced(paces.account, format_args!("account {}", asking.account));
                (Parked::Account(offer.line.account), waits, Fit::ParkAccount(until))
            }
            TooFast::Domain(until) => {
                let waits = paced(paces.domain, format_args!("mail to {}", asking.plan.destination));
                (hop, waits, Fit::ParkHop(until))
            }
        };
        self.reasons.insert(parked, waits);
        fit
    }

    fn refused(&mut self, offer: &Offer, refusal: Refusal, asking: Asking<'_>, now: Moment) -> Fit {
        let until = until(&refusal);
        let hop = Parked::Hop(offer.line.hop);
        let (parked, fit) = match (refusal.kind, refusal.cause) {
            (KeyKind::Account, _) if refusal.reach == Reach::OneRoute => {
                (Parked::Line(offer.line), Fit::ParkLine(until)) // its mail goes on by other routes
            }
            (KeyKind::Account, _) => (Parked::Account(offer.line.account), Fit::ParkAccount(until)),
            (KeyKind::Egress, Cause::FairReserve | Cause::OwnReserve) => match self.elsewhere(asking, now) {
                Elsewhere::Room(egress) => {
                    self.wanted = Some((offer.line.hop, egress));
                    return Fit::Stop;
                }
                Elsewhere::Until(others) => (Parked::Line(offer.line), Fit::ParkLine(until.min(others))),
            },
            (KeyKind::Login, _) => (hop, Fit::ParkHop(until)),
            (KeyKind::Egress, _) => {
                let key = self.key(asking.egress, asking.plan);
                self.full_egresses.insert(key, (until, refusal.clone()));
                (hop, self.pool_until(asking.plan, now).map_or(Fit::Stop, Fit::ParkHop))
            }
        };
        self.reasons.insert(parked, Waits::Slot(refusal));
        self.hoping.insert(parked);
        fit
    }

    /// Whether another egress of the pool takes what this one keeps for others.
    fn elsewhere(&mut self, asking: Asking<'_>, now: Moment) -> Elsewhere {
        let mut first = Moment::END;
        for (egress, shunned_until) in asking.others {
            let waits = self.egress_waits_until(egress, asking.plan).max(*shunned_until);
            match self.limits.would_fit(asking.by(egress), now) {
                Ok(()) if waits <= now => return Elsewhere::Room(Arc::clone(&egress.name)),
                Ok(()) => first = first.min(waits),
                Err(refusal) => first = first.min(until(&refusal).max(waits)),
            }
        }
        Elsewhere::Until(first)
    }

    /// The hop that has to leave by another egress than the one that just asked, and which.
    pub(super) fn take_wanted(&mut self) -> Option<(HopId, Arc<str>)> {
        self.wanted.take()
    }

    /// When an egress has a slot for mail of that plan and its pace lets one go.
    pub(super) fn egress_waits_until(&self, egress: &Egress, plan: &Plan) -> Moment {
        let full = self.full_egresses.get(&self.key(egress, plan)).map(|(until, _)| *until);
        let paced = self.paced_egresses.get(&egress.counted_as).copied();
        full.max(paced).unwrap_or(Moment::BEGINNING)
    }

    /// What an egress's fullness is remembered under.
    fn key(&self, egress: &Egress, plan: &Plan) -> (Arc<str>, RuleScope) {
        (Arc::clone(&egress.counted_as), self.limits.scope(KeyKind::Egress, &egress.counted_as, &plan.route))
    }

    /// The next hop says that the limit of the login, or without one of the egress, is used up whose window is at least
    /// `window_ms_min`: it is, whatever was counted here. What is to be remembered; `None`: no such limit is kept for it.
    ///
    /// Its words do not tell whether it means login or address. If it was the address, the next login hears it too.
    pub(super) fn fill(&mut self, egress: &Egress, plan: &Plan, window_ms_min: u64, now: Moment) -> Option<Filled> {
        let (kind, name) = match &plan.login {
            Some(login) => (KeyKind::Login, login.user.as_str()),
            None => (KeyKind::Egress, &*egress.counted_as),
        };
        self.limits.fill(kind, name, &plan.route, window_ms_min, now)
    }

    /// Until when no egress of a pool may go on; `None` if one may.
    pub(super) fn pool_until(&self, plan: &Plan, now: Moment) -> Option<Moment> {
        let until = |egress: &Arc<Egress>| Some(self.egress_waits_until(egress, plan)).filter(|until| *until > now);
        plan.egresses.iter().map(until).try_fold(Moment::END, |first, until| until.map(|until| first.min(until)))
    }

    /// A hop is parked until `first` of its egresses has a slot, and its pace lets one go: slots that come back end that
    /// sooner. What it waits for is what the egress was refused for, by whichever hop it was asked.
    pub(super) fn hopes(&mut self, parked: Parked, first: Option<&Egress>, plan: &Plan) {
        let waits = first.and_then(|egress| {
            let full = self.full_egresses.get(&self.key(egress, plan));
            let paced = self.paced_egresses.get(&egress.counted_as);
            match (full, paced) {
                (Some((until, refusal)), paced) if paced.is_none_or(|paced| paced <= until) => {
                    Some(Waits::Slot(refusal.clone()))
                }
                (_, Some(_)) => Some(self.pace_of_egress(egress)),
                (_, None) => None,
            }
        });
        if let Some(waits) = waits {
            self.reasons.insert(parked, waits);
        }
        self.hoping.insert(parked);
    }

    fn pace_of_egress(&self, egress: &Egress) -> Waits {
        paced(self.paces.settings().egress, format_args!("egress {}", egress.counted_as))
    }

    /// What was parked for want of slots that came back: the caller ends those parks.
    pub(super) fn came_back(&mut self) -> HashSet<Parked> {
        self.full_egresses.clear();
        let hoping = std::mem::take(&mut self.hoping);
        for parked in &hoping {
            self.reasons.remove(parked);
        }
        hoping
    }

    /// Whether something is parked until leases under way end, with no time to name.
    pub(super) fn waits_for_leases(&self) -> bool {
        let for_leases = |waits: &Waits| match waits {
            Waits::Slot(refusal) => refusal.next == NextSlot::AfterLeases,
            Waits::Pace(_) => false,
        };
        self.reasons.values().any(for_leases) || self.full_egresses.values().any(|(until, _)| *until == Moment::END)
    }

    /// Why something is parked for want of slots or pace.
    pub(super) fn waits(&self, parked: Parked) -> Option<&Waits> {
        self.reasons.get(&parked)
    }

    /// Rules or routes changed: what was said does not hold any more.
    pub(super) fn forget_refusals(&mut self) {
        self.full_egresses.clear();
        self.paced_egresses.clear();
        self.reasons.clear();
        self.hoping.clear();
    }

    /// Forgets idle keys, and what is said of names that `known` does not know.
    pub(super) fn sweep(&mut self, known: impl Fn(&Parked) -> bool, now: Moment) {
        self.limits.sweep(usize::MAX, now);
        self.paces.sweep(now);
        self.reasons.retain(|parked, _| known(parked));
        self.hoping.retain(known);
        self.full_egresses.retain(|_, (until, _)| *until > now);
        self.paced_egresses.retain(|_, until| *until > now);
    }
}

/// A pace that says not yet, as people read it.
fn paced(pace: Option<Pace>, whose: std::fmt::Arguments<'_>) -> Waits {
    Waits::Pace(match pace {
        Some(pace) => format!("{pace} of {whose}").into(),
        None => whose.to_string().into(),
    })
}

/// When asking again is not in vain. Leases under way tell their end ([`Slots::waits_for_leases`]).
fn until(refusal: &Refusal) -> Moment {
    match refusal.next {
        NextSlot::At(at) => at,
        NextSlot::AfterLeases | NextSlot::Never => Moment::END,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::route::{Facts, Router};
    use crate::delivery::settings::{DeliverySettings, EgressSettings};
    use crate::dispatch::Class;
    use crate::limits::{LimitSettings, PaceSettings, RuleBook};
    use crate::mail::{Domain, QueueId, ReversePath};

    #[test]
    fn egresses_behind_one_public_address_share_its_slots() {
        let egress = |name: &str, address: &str, public: Option<&str>| EgressSettings {
            name: name.to_owned(),
            address: Some(address.parse().unwrap()),
            public_address: public.map(|public| public.parse().unwrap()),
            ..EgressSettings::default()
        };
        let egresses = vec![
            egress("one", "10.0.0.1", Some("192.0.2.1")),
            egress("two", "10.0.0.2", Some("192.0.2.1")),
            egress("three", "192.0.2.3", None),
        ];
        let router =
            Router::new(&DeliverySettings { egresses, ..DeliverySettings::default() }, "mail.example").unwrap();
        let account = Account::named("a@x.example");
        let facts = Facts {
            account: &account,
            reverse_path: &ReversePath::Null,
            recipient_domain: &Domain::parse("y.example").unwrap(),
            from_domain: None,
        };
        let plan = router.plan(&router.destination(facts)).unwrap();
        let rates = LimitSettings { egress: vec!["2/h".parse().unwrap()], ..LimitSettings::default() };
        let limits = Limits::new(RuleBook::new(&rates).unwrap());
        let mut slots = Slots::new(limits, Paces::new(&PaceSettings::default()));
        let line = Line { account: AccountId(0), class: Class::Transactional, hop: HopId(0) };
        let offer = Offer { line, id: QueueId::new(1).unwrap(), recipients: 2 };
        let mut fits = |place: usize| {
            let asking = Asking { account: &account, egress: &plan.egresses[place], plan: &plan, others: &[] };
            slots.fit(&offer, asking, Moment::BEGINNING.plus_ms(1_000)).map(|leased| leased.granted.recipients()).ok()
        };
        assert_eq!(fits(0), Some(2));
        assert_eq!(fits(1), None, "the world counts it with the first");
        assert_eq!(fits(2), Some(2), "an address of its own");
    }
}
