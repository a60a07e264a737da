//! Links: where they lead and what they show.

/// One link of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it stands.
    pub kind: LinkKind,
    /// The target as written, character references decoded, bounded.
    pub target: String,
    /// The target's scheme in lower case (`https`, `mailto`, `data` …); empty for a relative one.
    pub scheme: String,
    /// The target's host in lower case and A-label form, an address without its brackets; empty where there is none.
    pub host: String,
    /// The visible text of the link, or the alternative text of its image; bounded.
    pub visible: String,
}

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// `<a href>` or `<area href>`.
    Anchor,
    /// The target of a form.
    Form,
    /// A remote image, style or frame, loaded without a click.
    Loaded,
    /// An address written out in plain text.
    Written,
}
