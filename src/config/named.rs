//! Names in the file of what stands in another section, or outside: accounts, domains, egresses.

use super::item::{Place, nearest};
use super::reader::Reading;
use crate::account::{LocalPart, normal};
use crate::delivery::settings::{DeliverySettings, EgressSettings};
use crate::mail::Domain;

/// Names that are listed where one is not among them; of more, only how many.
const NAMES_LISTED_MAX: usize = 10;

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// An account, in the form in which it is counted.
    Account,
    /// An egress, by its name.
    Egress,
}

/// Warns of each account that is written as no account is ever called, and of each egress that is not there: what is said about
/// them changes nothing.
pub(super) fn check(reading: &Reading<'_>, case: LocalPart, delivery: &DeliverySettings) {
    let default = [EgressSettings::default()];
    let egresses = if delivery.egresses.is_empty() { &default[..] } else { &delivery.egresses };
    let egresses: Vec<&str> = egresses.iter().map(|egress| egress.name.as_str()).collect();
    for (of, name, place) in reading.names() {
        match of {
            Of::Account => check_account(reading, &name, &place, case),
            Of::Egress if egresses.contains(&name.as_str()) => {}
            Of::Egress => {
                let advice = advice(&name, &egresses);
                reading.warning(&place, format!("no egress is named {name}, so this changes nothing; {advice}"));
            }
        }
    }
}

fn check_account(reading: &Reading<'_>, name: &str, place: &Place, case: LocalPart) {
    // `uid:…` and the like are names of our own making.
    let normal = normal::identity(name, case).filter(|normal| normal != name && !name.contains(':'));
    if let Some(normal) = normal {
        let sentence = format!("that account is counted as {normal}, so this changes nothing; write it so");
        reading.warning(place, sentence);
    }
}

/// What may have been meant by a name that is none of `known`.
pub(super) fn advice(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "there are none; for the mail of an account write account = …".to_owned(),
        None if known.len() > NAMES_LISTED_MAX => format!("there are {} others", known.len()),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// A domain as accounts have it: in lower case, as A-labels.
pub(super) fn domain(text: &str) -> Box<str> {
    Domain::parse(text).map_or_else(|_| text.to_ascii_lowercase(), |domain| domain.to_string()).into()
}
