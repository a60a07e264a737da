//! What a message is when it is no letter: a report, an automatic answer, something sent on. These rules say it, for it is
//! what a provider asks about; few of their points speak against the message.

use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "report-not-in-form", look: report_not_in_form },
    Rule { name: "report-with-return-path", look: report_with_return_path },
    Rule { name: "auto-reply", look: auto_reply },
    Rule { name: "forwarded", look: |look| seen(is_forward(look)) },
    Rule { name: "relayed-far", look: |look| seen(look.message.count("Received") >= FAR_HOPS && !is_forward(look)) },
    Rule { name: "already-called-spam", look: already_called_spam },
];

/// A program, its MTA, perhaps a filter and back: ours are fewer.
const FAR_HOPS: usize = 5;

/// A path that a forwarder rewrote (SRS0, SRS1).
pub(super) fn is_srs(local_part: &str) -> bool {
    let tag = local_part.get(..5).unwrap_or("");
    ["SRS0=", "SRS1=", "SRS0+", "SRS1+", "SRS0-", "SRS1-"].iter().any(|known| tag.eq_ignore_ascii_case(known))
}

/// Whether somebody sent it on: redirections of a mailbox are what spam most often leaves through.
pub(super) fn is_forward(look: &Look<'_>) -> bool {
    const FIELDS: [&str; 6] =
        ["Resent-From", "Resent-To", "X-Forwarded-To", "X-Forwarded-For", "X-Forwarded-Encrypted", "X-Original-To"];
    let path = look.submission.envelope.and_then(|envelope| envelope.reverse_path.address());
    FIELDS.iter().any(|name| look.has(name)) || path.is_some_and(|path| is_srs(path.local_part()))
}

fn speaks_of_failure(look: &Look<'_>) -> bool {
    let subject = look.subject.text.trim();
    look.lists.of("report-subjects").within(subject).is_some()
}

/// A failure told in a letter: programs before 1996 and spam that plays one.
fn report_not_in_form(look: &Look<'_>) -> Sight {
    seen(!look.message.shape.report && speaks_of_failure(look) && !look.is_reply() && !is_forward(look))
}

/// RFC 3464 2: a report has the null reverse-path, or it may be answered with another.
fn report_with_return_path(look: &Look<'_>) -> Sight {
    let path = look.submission.envelope?.reverse_path.address()?;
    if look.message.shape.report && !is_forward(look) { example(path.as_str()) } else { None }
}

/// RFC 3834 and what came before it.
fn auto_reply(look: &Look<'_>) -> Sight {
    let says = |name: &str, values: &[&str]| {
        let value = look.field(name).unwrap_or_default().trim().to_ascii_lowercase();
        values.iter().any(|known| value.starts_with(known))
    };
    let marked = says("Auto-Submitted", &["auto-replied"])
        || says("Precedence", &["auto_reply", "auto-reply"])
        || ["X-Autoreply", "X-Autorespond", "X-AutoReply-From"].iter().any(|name| look.has(name));
    let subject = look.lists.of("auto-reply-subjects").within(look.subject.text.trim()).is_some();
    seen(marked || subject)
}

/// Another filter has judged it before it came here.
fn already_called_spam(look: &Look<'_>) -> Sight {
    let value = |name: &str| look.field(name).unwrap_or_default().trim().to_ascii_lowercase();
    let starts = |name: &str, word: &str| value(name).starts_with(word);
    let fields = starts("X-Spam-Flag", "yes")
        || starts("X-Spam-Status", "yes")
        || starts("X-Spam", "yes")
        || starts("X-VR-SPAMSTATE", "spam")
        || starts("X-OVH-SPAMSTATE", "spam")
        || starts("X-Ovh-Spam-Status", "spam")
        || starts("X-Rspamd-Action", "reject");
    let subject = look.message.subject.trim_start().to_ascii_lowercase();
    let marks = ["[spam]", "***spam***", "*****spam*****", "{spam?}", "[probable spam]"];
    seen(fields || marks.iter().any(|mark| subject.starts_with(mark)))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{check, hit, mail, miss};
    use super::*;

    #[test]
    fn hits_and_near_misses() {
        let report = || {
            let mut mail = mail().subject("Undelivered Mail Returned to Sender");
            mail.message.shape.report = true;
            mail
        };
        let hops = |count: usize| (0..count).fold(mail(), |mail, _| mail.also("Received", "from a by b"));
        check(
            RULES,
            vec![
                hit(
                    "report-not-in-form",
                    "a letter",
                    mail().subject("Mail delivery failed: returning message to sender"),
                ),
                miss("report-not-in-form", "in form", report().reverse_path("")),
                miss(
                    "report-not-in-form",
                    "somebody asks about one",
                    mail().subject("Re: Mail delivery failed").field("In-Reply-To", "<1@example.net>"),
                ),
                hit("report-with-return-path", "can be answered", report()),
                miss("report-with-return-path", "cannot", report().reverse_path("")),
                hit("auto-reply", "says so", mail().field("Auto-Submitted", "auto-replied (vacation)")),
                hit("auto-reply", "in its subject", mail().subject("Out of office: Alice")),
                miss("auto-reply", "made by a program, no answer", mail().field("Auto-Submitted", "auto-generated")),
                miss("auto-reply", "about an office", mail().subject("The office is out of paper")),
                hit("forwarded", "by a reader", mail().field("Resent-From", "alice@example.org")),
                hit("forwarded", "by a server", mail().reverse_path("SRS0=ab=cd=other.example=x@example.org")),
                miss("forwarded", "a name that begins so", mail().reverse_path("srsly@example.org")),
                hit("relayed-far", "five hops", hops(5)),
                miss("relayed-far", "a filter of one's own", hops(4)),
                hit("already-called-spam", "by a field", mail().field("X-Spam-Flag", "YES")),
                hit("already-called-spam", "in the subject", mail().subject("[SPAM] Great offers")),
                miss("already-called-spam", "by nobody", mail().field("X-Spam-Status", "No, score=-0.1")),
                miss("already-called-spam", "speaks of it", mail().subject("Too much [SPAM] these days")),
            ],
        );
    }
}
