//! ARC (RFC 8617): the chain of seals with which forwarders pass on what they found before they changed a message.
//!
//! [`verify`] checks a chain, [`seal`] adds a link. A chain says that a message is forwarded, and by whom; it never makes
//! a message pass. Read [`verify`] first.

pub mod seal;
pub mod verify;

pub use verify::{Chain, newest_sealer, verify};

use super::dkim::Leaving;
use super::dkim::canonical::RawField;
use super::dkim::tags::Tags;

/// The three fields of one link.
pub(super) const RESULTS: &str = "ARC-Authentication-Results";
pub(super) const MESSAGE: &str = "ARC-Message-Signature";
pub(super) const SEAL: &str = "ARC-Seal";
/// A longer chain fails (RFC 8617 4.2.1 asks for 50).
pub(super) const SETS_MAX: usize = 50;

/// One link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set<'a> {
    pub(super) results: RawField<'a>,
    pub(super) message: RawField<'a>,
    pub(super) seal: RawField<'a>,
}

/// The links of a message in order; `None` where they are no chain (RFC 8617 5.2, step 3).
pub(super) fn sets<'a>(leaving: &'a Leaving<'_>) -> Option<Vec<Set<'a>>> {
    let results = numbered(leaving, RESULTS)?;
    let messages = numbered(leaving, MESSAGE)?;
    let seals = numbered(leaving, SEAL)?;
    if results.len() != messages.len() || results.len() != seals.len() {
        return None;
    }
    let links = results.into_iter().zip(messages).zip(seals);
    Some(links.map(|((results, message), seal)| Set { results, message, seal }).collect())
}

/// The fields of one name, which must be numbered from one without a gap.
fn numbered<'a>(leaving: &'a Leaving<'_>, name: &str) -> Option<Vec<RawField<'a>>> {
    let mut found: Vec<(usize, RawField<'a>)> = Vec::new();
    for field in leaving.fields().filter(|field| field.is(name)) {
        let instance = instance(&String::from_utf8_lossy(field.value()))?;
        if found.len() >= SETS_MAX {
            return None;
        }
        found.push((instance, field));
    }
    found.sort_by_key(|(instance, _)| *instance);
    let in_order = found.iter().enumerate().all(|(at, (instance, _))| at + 1 == *instance);
    in_order.then(|| found.into_iter().map(|(_, field)| field).collect())
}

/// `i=` at the beginning of the results, anywhere in the other two.
fn instance(value: &str) -> Option<usize> {
    let first = value.split(';').next()?;
    let from_first = first.split_once('=').filter(|(name, _)| name.trim() == "i").map(|(_, number)| number);
    let tags = Tags::parse(value);
    let number = from_first.or_else(|| tags.as_ref().and_then(|tags| tags.get("i")))?;
    number.trim().parse().ok().filter(|n| (1..=SETS_MAX).contains(n))
}
