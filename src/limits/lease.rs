//! The proof of leased slots, and the ways it ends.

use std::sync::Arc;

use super::rate::Unit;
use super::rule::{Charged, CountRefused};
use super::timeline::Moment;

/// Which lease it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LeaseId(pub(super) u64);

/// Slots of every key that applies, held for one transaction. It is spent by [`Limits::used`], [`Limits::give_back`] or
/// [`Limits::unknown`]. One that is dropped leaves its slots taken.
///
/// [`Limits::used`]: super::Limits::used
/// [`Limits::give_back`]: super::Limits::give_back
/// [`Limits::unknown`]: super::Limits::unknown
#[must_use = "slots stay taken until the lease is spent"]
#[derive(Debug)]
pub struct Granted {
    pub(super) id: LeaseId,
    pub(super) charge: Arc<Charge>,
    pub(super) recipients: u32,
    pub(super) at: Moment,
}

impl Granted {
    /// Ends the proof: nobody can spend it twice.
    pub(super) fn spend(self) -> LeaseId {
        self.id
    }

    /// How many recipients the transaction may have.
    pub fn recipients(&self) -> u32 {
        self.recipients
    }

    /// When the slots were taken.
    pub fn leased_at(&self) -> Moment {
        self.at
    }

    /// Whom the transaction is counted against.
    pub fn charged(&self) -> Charged<'_> {
        self.charge.charged()
    }
}

/// [`Charged`], owned.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) account: Arc<str>,
    pub(super) egress: Arc<str>,
    pub(super) login: Option<Arc<str>>,
    pub(super) route: Arc<str>,
}

impl Charge {
    pub(super) fn new(to: &Charged<'_>) -> Self {
        Self {
            account: to.account.into(),
            egress: to.egress.into(),
            login: to.login.map(Into::into),
            route: to.route.into(),
        }
    }

    pub(super) fn charged(&self) -> Charged<'_> {
        Charged { account: &self.account, egress: &self.egress, login: self.login.as_deref(), route: &self.route }
    }
}

/// What became of the recipients of a transaction. Those in neither number were never tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Recipients that content was sent for, whatever was answered to it: content answered 4xx counts.
    pub content: u32,
    /// Recipients that the next hop refused before content; all of them where it refused MAIL.
    pub refused: u32,
}

/// What a transaction counts, as the record of attempts keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// For rules that count recipients.
    pub recipients: u32,
    /// For rules that count messages: 0 or 1.
    pub messages: u32,
}

impl Counted {
    /// What a transaction of that many recipients counts if all of them do.
    pub(super) fn all(recipients: u32) -> Self {
        Self { recipients, messages: u32::from(recipients > 0) }
    }

    pub(super) fn of(spent: Spent, count_refused: CountRefused) -> Self {
        Self::all(match count_refused {
            CountRefused::No => spent.content,
            CountRefused::Yes => spent.content + spent.refused,
        })
    }

    pub(super) fn in_unit(self, unit: Unit) -> u32 {
        match unit {
            Unit::Recipients => self.recipients,
            Unit::Messages => self.messages,
        }
    }
}
