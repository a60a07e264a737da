//! What an operator decides about accounts.

use super::AccountSource;

/// How the account of a message is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSettings {
    /// Which sources are used, first to last. The reverse-path's fallbacks (`null-reverse-path`, `client`) need not be
    /// named: they are what is left when nothing else is known.
    pub sources: Vec<AccountSource>,
    /// The names that our MTAs write behind `by` in their Received fields. `qmail` and `nullmailer` stand for the fields of
    /// these two, which name no host. Intake adds its own name and the machine's.
    pub own_names: Vec<String>,
    /// Whether a Received field by one of `own_names` is believed without XFORWARD. Only for sites where no rule strips
    /// Received fields: there the sender's own would come to lie on top.
    pub received_trusted: bool,
    /// Received fields of hops of our own that say nothing about the sender (content filters that re-inject), skipped from
    /// the top down. `*` stands for any text; case does not matter. A field that names somebody is never skipped.
    pub own_hops: Vec<String>,
    /// Header fields in which a hosting panel names the account (`X-Authenticated-Id`), most believed first. Read only
    /// above a Received field that is believed.
    pub header_fields: Vec<String>,
    /// Whether the local part's case says something.
    pub local_part: LocalPart,
    /// What is done about senders that change their name.
    pub rotation: RotationSettings,
}

/// Whether `Alice@example.org` and `alice@example.org` are one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LocalPart {
    /// They are: what nearly every system does.
    #[default]
    Lower,
    /// They are two (RFC 5321 2.4 leaves it to the domain).
    AsWritten,
}

/// When reverse-paths that keep changing are counted as one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationSettings {
    /// So many new reverse-paths an hour from one client, uid or domain are ordinary; further ones share an account.
    pub new_per_hour: u32,
    /// A reverse-path is new if it was not seen for so many days.
    pub new_after_days: u32,
    /// For so many days after the rule's first start it only reports.
    pub report_only_days: u32,
    /// How many reverse-paths are remembered; past it the longest unseen are forgotten.
    pub senders_max: usize,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            sources: vec![
                AccountSource::Login,
                AccountSource::Xclient,
                AccountSource::MailAuth,
                AccountSource::Received,
                AccountSource::LocalUser,
                AccountSource::HeaderField,
                AccountSource::ReversePath,
            ],
            own_names: Vec::new(),
            received_trusted: false,
            own_hops: vec!["(qmail * invoked from network)*".to_owned()],
            header_fields: Vec::new(),
            local_part: LocalPart::Lower,
            rotation: RotationSettings::default(),
        }
    }
}

impl Default for RotationSettings {
    fn default() -> Self {
        Self { new_per_hour: 20, new_after_days: 30, report_only_days: 7, senders_max: 100_000 }
    }
}

/// Whether `text` is of the shape `pattern`, in which `*` stands for any text. Case does not matter. Linear but for the
/// last `*` tried again, so at most the product of the two lengths.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            again = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|b| b.eq_ignore_ascii_case(&text[t])) {
            p += 1;
            t += 1;
        } else if let Some((after_star, from)) = again {
            again = Some((after_star, from + 1));
            (p, t) = (after_star, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            (
                "from localhost * by mail.example.org (amavis*",
                "from localhost (a [::1]) by mail.example.org (amavisd-new)",
                true,
            ),
            ("from localhost*", "From LOCALHOST (x)", true), // case says nothing
            ("from localhost", "from localhost (x)", false), // no star, no more text
            ("*b*c", "abbbc", true),                         // the star gives back what it took too eagerly
            ("*b*c", "abbbd", false),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }
}
