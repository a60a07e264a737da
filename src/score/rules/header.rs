//! Fields that every mail program writes: missing, broken, or there twice.

use crate::message::{Bound, DateField, Unkept};

use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "date-missing", look: |look| seen(look.message.date == DateField::Missing && lacks(look, "Date")) },
    Rule { name: "date-broken", look: |look| seen(look.message.date == DateField::Broken) },
    Rule { name: "date-far", look: date_far },
    Rule { name: "message-id-missing", look: |look| seen(lacks(look, "Message-ID")) },
    Rule { name: "message-id-broken", look: message_id_broken },
    Rule { name: "header-not-encoded", look: header_not_encoded },
    Rule { name: "from-missing", look: |look| seen(lacks(look, "From")) },
    Rule { name: "from-broken", look: from_broken },
    Rule { name: "from-many", look: from_many },
    Rule { name: "field-twice", look: field_twice },
    Rule { name: "to-missing", look: to_missing },
    Rule { name: "to-names-nobody", look: to_names_nobody },
];

/// A message may wait in an MTA for days before it comes here; its clock is rarely a day ahead.
const PAST_S: i64 = 7 * 86_400;
const FUTURE_S: i64 = 86_400;

/// Whether a field is not there. Of a header of which only a part was read nobody knows: what stands behind that part
/// may be it, and alignment reads it there.
fn lacks(look: &Look<'_>, name: &str) -> bool {
    !look.has(name) && !look.message.shape.met.contains(&Bound::Fields)
}

/// Seen beside the moment of submission, so that old mail in an archive is judged as if it were sent on its day.
fn date_far(look: &Look<'_>) -> Sight {
    let DateField::At { unix_s, .. } = look.message.date else { return None };
    let at_s = i64::try_from(look.submission.at.0 / 1_000).unwrap_or(i64::MAX);
    seen(unix_s < at_s.saturating_sub(PAST_S) || unix_s > at_s.saturating_add(FUTURE_S))
}

/// `<left@right>` (RFC 5322 3.6.4). What stands around it, and which characters are in it, is left alone: too many
/// programs are loose there.
fn message_id_broken(look: &Look<'_>) -> Sight {
    let id = look.field("Message-ID")?.trim();
    let inside = id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let whole = inside
        .and_then(|id| id.rsplit_once('@'))
        .is_some_and(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(char::is_whitespace));
    if whole { None } else { example(id) }
}

/// A server that has not offered SMTPUTF8 may refuse it, and readers guess at the letters.
fn header_not_encoded(look: &Look<'_>) -> Sight {
    let allowed = look.submission.envelope.is_some_and(|envelope| envelope.smtputf8);
    seen(!allowed && look.message.shape.unkept.contains(&Unkept::HeaderBytes))
}

fn from_broken(look: &Look<'_>) -> Sight {
    let field = look.field("From")?;
    if look.from_domain.is_empty() { example(field) } else { None }
}

/// Several authors are allowed, but then Sender says who sent it (RFC 5322 3.6.2).
fn from_many(look: &Look<'_>) -> Sight {
    let many = look.message.from.len() > 1 && look.message.sender.is_none();
    seen(many || look.has_two("From"))
}

/// Fields that may stand there once (RFC 5322 3.6): readers and filters disagree about which one counts. From has a rule
/// of its own.
fn field_twice(look: &Look<'_>) -> Sight {
    const ONCE: [&str; 8] = ["Date", "Sender", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "Subject"];
    let twice = ONCE.into_iter().find(|name| look.has_two(name))?;
    example(twice)
}

fn to_missing(look: &Look<'_>) -> Sight {
    let unnamed = ["To", "Cc", "Bcc", "Resent-To"].iter().all(|name| lacks(look, name));
    seen(unnamed && !look.is_report_path())
}

/// To is there and holds no address: `undisclosed-recipients:;`, or nothing. A local name (`root`) is one.
fn to_names_nobody(look: &Look<'_>) -> Sight {
    let field = look.field("To")?;
    let is_named = |mailbox: &crate::message::Mailbox| !mailbox.address.trim().is_empty();
    let empty = field.trim().is_empty() || field.contains(':') || field.trim() == "<>";
    let none = !look.message.to.iter().chain(&look.message.cc).any(is_named);
    if none && empty && !look.is_report_path() && !look.has("List-Id") { example(field) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{AT_S, Mail, check, hit, mail, miss};
    use super::*;

    #[test]
    fn hits_and_near_misses() {
        let at = |unix_s| mail().date(DateField::At { unix_s, zone_min: 0 });
        let id = |id: &str| mail().field("Message-ID", id);
        let raw = |mut mail: Mail| {
            mail.message.shape.unkept = vec![Unkept::HeaderBytes];
            mail
        };
        let in_part = |mut mail: Mail| {
            mail.message.shape.met = vec![Bound::Fields];
            mail
        };
        check(
            RULES,
            vec![
                hit("date-missing", "no field", mail().without("Date")),
                miss("date-missing", "one that is broken is another rule's", mail().date(DateField::Broken)),
                hit("date-broken", "not a date", mail().date(DateField::Broken)),
                miss("date-broken", "none at all is another rule's", mail().without("Date")),
                hit("date-far", "eight days ago", at(AT_S - 8 * 86_400)),
                hit("date-far", "in two days", at(AT_S + 2 * 86_400)),
                miss("date-far", "waited six days in an MTA", at(AT_S - 6 * 86_400)),
                miss("date-far", "a clock that is half a day ahead", at(AT_S + 43_200)),
                hit("message-id-missing", "no field", mail().without("Message-ID")),
                miss("message-id-missing", "broken is another rule's", id("x")),
                hit("message-id-broken", "no right side", id("<1234>")),
                hit("message-id-broken", "no brackets", id("1234@example.org")),
                hit("message-id-broken", "empty", id("<@>")),
                miss("message-id-broken", "an address literal", id("<1234@[192.0.2.1]>")),
                miss("message-id-broken", "a name without a dot", id("<1234@localhost>")),
                miss("message-id-broken", "none at all is another rule's", mail().without("Message-ID")),
                hit("header-not-encoded", "bytes over 127", raw(mail())),
                miss("header-not-encoded", "encoded", mail()),
                miss("header-not-encoded", "with SMTPUTF8", raw(mail().smtputf8())),
                hit("from-missing", "no field", mail().without("From")),
                miss("from-missing", "a broken one", mail().from("undisclosed")),
                // What stands behind the part that was read is alignment's to say; that it is long is a reason of its own.
                miss("from-missing", "a header that was read in part", in_part(mail().without("From"))),
                miss("date-missing", "a header that was read in part", in_part(mail().without("Date"))),
                miss("message-id-missing", "a header that was read in part", in_part(mail().without("Message-ID"))),
                miss("to-missing", "a header that was read in part", in_part(mail().without("To"))),
                hit("from-broken", "no address in it", mail().from("The Shop")),
                hit("from-broken", "no domain", mail().from("shop@")),
                miss("from-broken", "another script", mail().from("info@bücher.example")),
                hit("from-many", "two authors and nobody who sent it", mail().from("a@example.org, b@example.org")),
                hit("from-many", "two fields", mail().also("From", "b@example.org")),
                miss("from-many", "a name with a comma-like sign", mail().from("Alice ‚A‘ <alice@example.org>")),
                hit("field-twice", "two subjects", mail().also("Subject", "Another")),
                miss("field-twice", "two trace fields", mail().also("Received", "a").also("Received", "b")),
                hit("to-missing", "no recipient is named", mail().without("To")),
                miss("to-missing", "only copies", mail().without("To").field("Cc", "bob@example.net")),
                hit(
                    "to-names-nobody",
                    "a group of nobody",
                    mail().without("To").also("To", "undisclosed-recipients:;"),
                ),
                hit("to-names-nobody", "an empty field", mail().without("To").also("To", "")),
                miss("to-names-nobody", "a local name", mail().to("root")),
                miss("to-names-nobody", "somebody", mail()),
                miss("to-missing", "a report may name none", mail().without("To").reverse_path("")),
            ],
        );
    }
}
