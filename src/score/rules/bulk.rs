//! Mail to many: how it can be left, whom it shows.

use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "bulk-without-unsubscribe", look: without_unsubscribe },
    Rule { name: "bulk-without-one-click", look: without_one_click },
    Rule { name: "recipients-shown-to-all", look: shown_to_all },
    Rule { name: "bulk-by-mailer", look: by_mailer },
];

/// So many addresses in To and Cc are a list that everybody can read.
const SHOWN_MAX: usize = 20;

/// Bulk that says so, or goes to many, with neither the field nor a word of leaving in its text.
fn without_unsubscribe(look: &Look<'_>) -> Sight {
    let personal = || look.is_reply() || look.is_report_path() || look.has("Auto-Submitted");
    let leaves = || look.has("List-Unsubscribe") || super::favour::speaks_of_leaving(look);
    seen(look.is_bulk() && !personal() && !leaves())
}

/// RFC 8058: an https target and List-Unsubscribe-Post, so that one click is enough.
fn without_one_click(look: &Look<'_>) -> Sight {
    let field = look.field("List-Unsubscribe")?;
    let one_click = field.to_ascii_lowercase().contains("https://") && look.has("List-Unsubscribe-Post");
    seen(look.is_bulk() && !one_click)
}

fn shown_to_all(look: &Look<'_>) -> Sight {
    seen(look.message.to.len() + look.message.cc.len() >= SHOWN_MAX && !look.has("List-Id"))
}

/// A program for mass mail, with no way out.
fn by_mailer(look: &Look<'_>) -> Sight {
    let bulk = look.lists.of("bulk-mailers");
    let mailer = look.mailers.iter().find(|mailer| bulk.within(mailer).is_some())?;
    let leaves = look.has("List-Unsubscribe") || super::favour::speaks_of_leaving(look);
    if leaves { None } else { example(mailer) }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ORDINARY, check, hit, mail, miss};
    use super::*;

    #[test]
    fn hits_and_near_misses() {
        let bulk = || mail().field("Precedence", "bulk");
        let many = |count: usize| {
            let to: Vec<String> = (0..count).map(|n| format!("reader{n}@example.net")).collect();
            mail().to(&to.join(", "))
        };
        let mailer = |name: &str| mail().field("X-Mailer", name);
        check(
            RULES,
            vec![
                hit("bulk-without-unsubscribe", "says that it is bulk", bulk()),
                hit("bulk-without-unsubscribe", "goes to many", mail().many_recipients(20)),
                miss("bulk-without-unsubscribe", "goes to a few", mail().many_recipients(4)),
                miss(
                    "bulk-without-unsubscribe",
                    "says how to leave",
                    bulk().text(&format!("{ORDINARY}\nUnsubscribe here")),
                ),
                miss(
                    "bulk-without-unsubscribe",
                    "in another language",
                    bulk().text(&format!("{ORDINARY}\nNewsletter abbestellen")),
                ),
                miss(
                    "bulk-without-unsubscribe",
                    "has the field",
                    bulk().field("List-Unsubscribe", "<mailto:x@example.org>"),
                ),
                miss("bulk-without-unsubscribe", "an automatic answer", bulk().field("Auto-Submitted", "auto-replied")),
                hit(
                    "bulk-without-one-click",
                    "by mail only",
                    bulk().field("List-Unsubscribe", "<mailto:x@example.org>"),
                ),
                miss(
                    "bulk-without-one-click",
                    "in one click",
                    bulk()
                        .field("List-Unsubscribe", "<https://example.org/u/1>")
                        .field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                ),
                miss("bulk-without-one-click", "not bulk", mail().field("List-Unsubscribe", "<mailto:x@example.org>")),
                hit("recipients-shown-to-all", "twenty", many(20)),
                miss("recipients-shown-to-all", "a department", many(12)),
                hit("bulk-by-mailer", "a program of spammers", mailer("MaxBulk.Mailer 8.4")),
                miss("bulk-by-mailer", "a mail program", mailer("Mozilla Thunderbird")),
                miss("bulk-by-mailer", "with a way out", mailer("MaxBulk.Mailer 8.4").text("Unsubscribe")),
            ],
        );
    }
}
