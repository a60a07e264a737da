//! Who a message says it is from, against who sends it and where answers go.

use crate::mail::Domain;
use crate::message::Mailbox;

use super::hosts::{own_label, same_site, skeleton};
use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "from-not-account", look: from_not_account },
    Rule { name: "from-not-reverse-path", look: from_not_reverse_path },
    Rule { name: "from-free-mail", look: from_free_mail },
    Rule { name: "from-name-is-another-address", look: name_is_another_address },
    Rule { name: "from-name-borrows-brand", look: name_borrows_brand },
    Rule { name: "from-looks-like-brand", look: |look| look.brands.imitated(&look.from_domain).and_then(example) },
    Rule { name: "from-looks-like-recipient", look: looks_like_recipient },
    Rule { name: "reply-to-elsewhere", look: reply_to_elsewhere },
    Rule { name: "reply-to-free-mail", look: reply_to_free_mail },
    Rule { name: "reply-to-other-free-mail", look: reply_to_other_free_mail },
    Rule { name: "to-self-only", look: to_self_only },
    Rule { name: "recipients-not-named", look: recipients_not_named },
];

/// So many recipients that no field names are no longer a few copies.
const UNNAMED_RECIPIENTS_MIN: usize = 5;

fn from_not_account(look: &Look<'_>) -> Sight {
    let (_, domain) = look.proven_account()?.rsplit_once('@')?;
    let elsewhere = !look.from_domain.is_empty() && !same_site(domain, &look.from_domain);
    if elsewhere { example(&look.from_domain) } else { None }
}

/// A forwarder's rewritten path (SRS) and a list's own are told by other rules.
fn from_not_reverse_path(look: &Look<'_>) -> Sight {
    let path = look.submission.envelope?.reverse_path.address()?;
    let forwarded = look.has("List-Id") || super::kind::is_srs(path.local_part());
    let domain = path.domain().to_string();
    let elsewhere = !look.from_domain.is_empty() && !same_site(&domain, &look.from_domain);
    if elsewhere && !forwarded { example(&domain) } else { None }
}

/// Mail of the large free providers leaves through their own servers alone. Of a file nothing is known.
fn from_free_mail(look: &Look<'_>) -> Sight {
    look.submission.envelope?;
    let free = look.lists.of("free-mail").domain(&look.from_domain)?;
    let forwarded = look.has("List-Id") || super::kind::is_forward(look);
    if forwarded { None } else { example(free) }
}

/// `"support@bank.example" <x@elsewhere.example>`: most readers show the name alone.
fn name_is_another_address(look: &Look<'_>) -> Sight {
    let name = &look.from?.name;
    let shown = name.split([' ', '"', '\'', '<', '>', '(', ')', ',']).find(|word| word.contains('@'))?;
    let shown = Mailbox { name: String::new(), address: shown.to_owned() };
    let elsewhere = shown.domain().is_some_and(|domain| !same_site(&domain, &look.from_domain));
    if elsewhere { example(name) } else { None }
}

fn name_borrows_brand(look: &Look<'_>) -> Sight {
    if look.from_domain.is_empty() {
        return None;
    }
    look.brands.borrowed_in_name(&look.from_name.text, &look.from_domain).and_then(example)
}

/// The fraud of the chief who writes from a domain that is nearly the company's.
fn looks_like_recipient(look: &Look<'_>) -> Sight {
    let own = own_label(&look.from_domain);
    if own.len() < 5 {
        return None;
    }
    let envelope = look.submission.envelope.into_iter().flat_map(|envelope| &envelope.recipients);
    let recipients = envelope.filter_map(|recipient| match recipient.address.domain() {
        Domain::Name(name) => Some(name.to_string()),
        Domain::Literal(_) => None,
    });
    let named = look.message.to.iter().filter_map(Mailbox::domain);
    let own_read = skeleton(&super::hosts::as_read(own));
    let alike = |domain: &String| {
        let label = own_label(domain);
        label != own && skeleton(&super::hosts::as_read(label)) == own_read
    };
    recipients.take(RECIPIENTS_MAX).chain(named.take(RECIPIENTS_MAX)).find(alike).and_then(|domain| example(&domain))
}

/// Recipients that are compared with From.
const RECIPIENTS_MAX: usize = 20;

fn reply_to_elsewhere(look: &Look<'_>) -> Sight {
    let domains: Vec<String> = look.message.reply_to.iter().filter_map(Mailbox::domain).collect();
    let elsewhere = !domains.is_empty()
        && !look.from_domain.is_empty()
        && !domains.iter().any(|domain| same_site(domain, &look.from_domain));
    let free = domains.iter().any(|domain| look.lists.of("free-mail").domain(domain).is_some());
    if elsewhere && !free && !look.has("List-Id") { example(&domains[0]) } else { None }
}

/// Answers to a company go to a mailbox that anybody can open: hijacked mailboxes and advance fee fraud do so, contact
/// forms too, whose reader is the site's own.
fn reply_to_free_mail(look: &Look<'_>) -> Sight {
    let free = look.lists.of("free-mail");
    let to = look.message.reply_to.iter().filter_map(Mailbox::domain).find(|domain| free.domain(domain).is_some())?;
    let own = look.message.to.iter().filter_map(Mailbox::domain).any(|domain| same_site(&domain, &look.from_domain));
    let elsewhere = !look.from_domain.is_empty() && !same_site(&to, &look.from_domain);
    if elsewhere && !own && !look.has("List-Id") { example(&to) } else { None }
}

/// Who has a mailbox there answers from it; who writes from one that will be closed soon has a second.
fn reply_to_other_free_mail(look: &Look<'_>) -> Sight {
    let free = look.lists.of("free-mail");
    let from = look.from.filter(|_| free.domain(&look.from_domain).is_some())?;
    let is_other = |reply: &&Mailbox| {
        let is_free = reply.domain().is_some_and(|domain| free.domain(&domain).is_some());
        is_free && !reply.address.eq_ignore_ascii_case(&from.address)
    };
    let other = look.message.reply_to.iter().find(is_other)?;
    if look.has("List-Id") { None } else { example(&other.address) }
}

/// To names the sender; the real recipients are somewhere else.
fn to_self_only(look: &Look<'_>) -> Sight {
    let envelope = look.submission.envelope?;
    let [only] = look.message.to.as_slice() else { return None };
    let is_only = |address: &str| address.eq_ignore_ascii_case(&only.address);
    let to_others = !envelope.recipients.iter().any(|recipient| is_only(recipient.address.as_str()));
    let own = look.from.is_some_and(|from| is_only(&from.address));
    seen(own && to_others && !envelope.recipients.is_empty() && look.message.cc.is_empty())
}

fn recipients_not_named(look: &Look<'_>) -> Sight {
    let envelope = look.submission.envelope?;
    // A To that names nobody is another rule's, and the same news.
    let names_somebody = look.message.to.iter().chain(&look.message.cc).any(|mailbox| !mailbox.address.is_empty());
    if envelope.recipients.len() < UNNAMED_RECIPIENTS_MIN || !names_somebody || look.has("List-Id") {
        return None;
    }
    let named = |address: &str| {
        let mut fields = look.message.to.iter().chain(&look.message.cc);
        fields.any(|mailbox| mailbox.address.eq_ignore_ascii_case(address))
    };
    let any = envelope.recipients.iter().take(100).any(|recipient| named(recipient.address.as_str()));
    seen(!any)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Case, check, hit, mail, miss};
    use super::*;
    use crate::account::AccountSource;

    #[test]
    fn hits_and_near_misses() {
        check(RULES, senders().into_iter().chain(recipients()).collect());
    }

    fn senders() -> Vec<Case> {
        vec![
            hit("from-not-account", "another company", mail().from("boss@other.example")),
            miss("from-not-account", "another host of the domain", mail().from("alice@shop.example.org")),
            miss(
                "from-not-account",
                "an account that is only claimed proves nothing",
                mail().from("boss@other.example").account("alice@example.org", AccountSource::ReversePath),
            ),
            miss(
                "from-not-account",
                "a local user has no domain",
                mail().account("uid:web7", AccountSource::LocalUser).from("shop@other.example"),
            ),
            hit("from-not-reverse-path", "another company", mail().reverse_path("x@other.example")),
            miss("from-not-reverse-path", "a bounce address below", mail().reverse_path("b+1@bounce.example.org")),
            miss(
                "from-not-reverse-path",
                "forwarded by SRS",
                mail().reverse_path("SRS0=aa=bb=other.example=x@fwd.example"),
            ),
            miss("from-not-reverse-path", "a report", mail().reverse_path("")),
            hit("from-free-mail", "a contact form in the visitor's name", mail().from("visitor@gmail.com")),
            miss("from-free-mail", "of a file nothing is known", mail().from("visitor@gmail.com").without_submission()),
            miss(
                "from-free-mail",
                "forwarded mail keeps its author",
                mail().from("friend@gmail.com").field("Resent-From", "alice@example.org"),
            ),
            hit(
                "from-name-is-another-address",
                "a reader shows the bank",
                mail().from("\"service@bank.example\" <alice@example.org>"),
            ),
            miss(
                "from-name-is-another-address",
                "its own address as its name",
                mail().from("\"alice@example.org\" <alice@example.org>"),
            ),
            miss(
                "from-name-is-another-address",
                "an at that is no address",
                mail().from("Alice @ Work <alice@example.org>"),
            ),
            hit("from-name-borrows-brand", "somebody else's name", mail().from("PayPal Service <alice@example.org>")),
            miss("from-name-borrows-brand", "the brand itself", mail().from("PayPal <service@intl.paypal.com>")),
            miss("from-name-borrows-brand", "part of a longer word", mail().from("Netflixen Club <alice@example.org>")),
        ]
    }

    fn recipients() -> Vec<Case> {
        vec![
            hit("from-looks-like-brand", "a digit for a letter", mail().from("Service <x@paypa1.com>")),
            miss("from-looks-like-brand", "the brand itself", mail().from("Service <x@paypal.com>")),
            hit(
                "from-looks-like-recipient",
                "l for 1",
                mail()
                    .from("Chief <chief@examp1e.example>")
                    .to("clerk@example.example")
                    .recipients(&["clerk@example.example"]),
            ),
            miss(
                "from-looks-like-recipient",
                "the same company",
                mail().from("Chief <chief@example.example>").to("clerk@example.example"),
            ),
            miss(
                "from-looks-like-recipient",
                "one letter more is another name",
                mail().from("Chief <chief@examples.example>").to("clerk@example.example"),
            ),
            hit("reply-to-elsewhere", "another company", mail().reply_to("x@other.example")),
            miss("reply-to-elsewhere", "another desk", mail().reply_to("desk@help.example.org")),
            miss(
                "reply-to-elsewhere",
                "a list",
                mail().reply_to("x@other.example").field("List-Id", "<l.example.org>"),
            ),
            hit("reply-to-free-mail", "anybody's mailbox", mail().reply_to("alice.office@gmail.com")),
            miss(
                "reply-to-free-mail",
                "a contact form to the site's owner",
                mail().reply_to("visitor@gmail.com").to("owner@example.org"),
            ),
            miss("reply-to-free-mail", "from there too", mail().from("a@gmail.com").reply_to("b@gmail.com")),
            hit(
                "reply-to-other-free-mail",
                "two mailboxes of one stranger",
                mail().from("a@gmail.com").reply_to("b@gmail.com"),
            ),
            miss(
                "reply-to-other-free-mail",
                "its own mailbox, in capitals",
                mail().from("a@gmail.com").reply_to("A@gmail.com"),
            ),
            miss("reply-to-other-free-mail", "a company's mail", mail().reply_to("alice.office@gmail.com")),
            miss(
                "reply-to-other-free-mail",
                "a list",
                mail().from("a@gmail.com").reply_to("l@gmail.com").field("List-Id", "<l.example.org>"),
            ),
            hit("to-self-only", "the recipients stand nowhere", mail().to("alice@example.org")),
            miss(
                "to-self-only",
                "a copy for oneself",
                mail().to("alice@example.org").recipients(&["alice@example.org", "bob@example.net"]),
            ),
            hit("recipients-not-named", "five strangers", mail().many_recipients(5)),
            miss(
                "recipients-not-named",
                "a To of nobody is another rule's",
                mail().without("To").also("To", "undisclosed-recipients:;").many_recipients(5),
            ),
            miss("recipients-not-named", "a few hidden copies", mail().many_recipients(4)),
            miss(
                "recipients-not-named",
                "a list names itself",
                mail().many_recipients(50).field("List-Id", "<l.example.org>"),
            ),
        ]
    }
}
