//! Which header fields are signed (RFC 6376 5.4).

use crate::align::dkim::Leaving;

/// Signed as often as they stand, and once more: a further one breaks the signature (RFC 6376 8.15). What a reader sees
/// or a program obeys belongs here.
pub const OVERSIGNED: [&str; 14] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// Signed where they stand. Mailing lists and forwarders add these to mail of others, which must not break it.
pub const SIGNED: [&str; 12] = [
    "Sender",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Date",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "Feedback-ID",
];

/// Of one name more fields than this are not signed one by one; RFC 5322 3.6 allows one of most.
const SAME_MAX: usize = 5;
/// How many signatures that stand already are looked at.
pub(super) const EXISTING_MAX: usize = 10;

/// What `h=` lists.
pub(super) fn names(leaving: &Leaving<'_>, further: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for name in OVERSIGNED {
        let there = leaving.count(name).min(SAME_MAX);
        names.extend(std::iter::repeat_n(name.to_owned(), there + 1));
    }
    let further = further.iter().map(String::as_str);
    for name in SIGNED.into_iter().chain(further.filter(|name| !is_listed(name))) {
        names.extend(std::iter::repeat_n(name.to_owned(), leaving.count(name).min(SAME_MAX)));
    }
    names
}

/// What a forwarder's signature lists: what stands there, and the signatures that it found (RFC 8617 5.1.2). A forwarder's
/// own fields are not forbidden to those after it.
pub(in crate::align) fn sealed(leaving: &Leaving<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for name in OVERSIGNED.into_iter().chain(SIGNED).chain(["DKIM-Signature"]) {
        names.extend(std::iter::repeat_n(name.to_owned(), leaving.count(name).min(SAME_MAX)));
    }
    names
}

fn is_listed(name: &str) -> bool {
    OVERSIGNED.iter().chain(&SIGNED).any(|known| known.eq_ignore_ascii_case(name))
}
