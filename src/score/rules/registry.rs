//! Every rule that is code, by name. What it is worth and what it says is data (`config/rules.toml`).

use super::look::{Look, Sight};
use super::{
    attachments, body, bulk, favour, forged, fraud, header, hidden, hosting, identity, kind, links, outlook, structure,
    subject, web,
};

/// One rule.
pub(super) struct Rule {
    /// Its name in the data.
    pub(super) name: &'static str,
    /// Whether it sees what it looks for.
    pub(super) look: fn(&Look<'_>) -> Sight,
}

/// The families, in the order of the data.
pub(super) const FAMILIES: [&[Rule]; 16] = [
    header::RULES,
    forged::RULES,
    outlook::RULES,
    identity::RULES,
    subject::RULES,
    body::RULES,
    fraud::RULES,
    hidden::RULES,
    links::RULES,
    hosting::RULES,
    attachments::RULES,
    bulk::RULES,
    web::RULES,
    kind::RULES,
    structure::RULES,
    favour::RULES,
];

/// All rules that are code.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.into_iter().flatten()
}
