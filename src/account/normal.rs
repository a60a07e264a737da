//! One name for one sender: the normal form of accounts.
//!
//! A reverse-path may carry a tag, a forwarder's rewriting (SRS), a signature (BATV) or the recipient (VERP). What changes
//! from message to message is taken out, so that one sender is one account. Numbers go only where a word of bounces stands
//! before them: `agent007@` and `kasse-2@` are names.

use super::LocalPart;
use crate::mail::Address;

/// The words behind which a local part carries a number or a recipient.
const BOUNCE_WORDS: [&str; 6] = ["bounce", "bounces", "return", "returns", "verp", "msprvs1"];

/// The account of a reverse-path: domain in lower case and A-label, local part reduced to what is stable.
pub fn reverse_path(address: &Address, case: LocalPart) -> String {
    let local = in_case(&unquoted(address.local_part()), case);
    format!("{}@{}", stable(&local), address.domain())
}

/// The account of a name that somebody proved (a login): only the domain and the case are made one. A tag is kept, for
/// it is part of what was proven. `None` if nothing is left.
pub fn identity(name: &str, case: LocalPart) -> Option<String> {
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    Some(match Address::parse(name.as_bytes()) {
        Ok(address) => format!("{}@{}", in_case(&unquoted(address.local_part()), case), address.domain()),
        Err(_) => in_case(name, case),
    })
}

fn in_case(text: &str, case: LocalPart) -> String {
    match case {
        LocalPart::Lower => text.to_lowercase(),
        LocalPart::AsWritten => text.to_owned(),
    }
}

/// A quoted local part without its quotes, where they were not needed (RFC 5321 4.1.2: the two are the same mailbox).
fn unquoted(local: &str) -> String {
    let Some(inside) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return local.to_owned() };
    let plain = !inside.is_empty()
        && inside.bytes().all(|b| b.is_ascii_alphanumeric() || b >= 0x80 || b"!#$%&'*+-/=?^_`{|}~.".contains(&b));
    if plain { inside.to_owned() } else { local.to_owned() }
}

/// The part of a local part that does not change from message to message. Never empty.
fn stable(local: &str) -> String {
    if local.starts_with('"') {
        return local.to_owned();
    }
    if let Some(forwarded) = srs(local) {
        return forwarded;
    }
    let inner = batv(local).unwrap_or(local);
    let reduced = verp(without_tag(inner));
    if reduced.is_empty() { local.to_owned() } else { reduced.to_owned() }
}

/// `SRS0=hash=day=domain=local` and `SRS1=hash=forwarder==hash=day=domain=local` without hash, day and forwarder. The
/// separator behind the word may be `=`, `-` or `+`.
fn srs(local: &str) -> Option<String> {
    let word = local.get(..4)?;
    let rest = local.get(4..)?.strip_prefix(['=', '-', '+'])?;
    let inner = if word.eq_ignore_ascii_case("srs0") {
        rest
    } else if word.eq_ignore_ascii_case("srs1") {
        // What the first forwarder wrote begins at the doubled separator, which is its own choice.
        let (_, inner) = rest.split_once("==").or_else(|| rest.split_once("=-")).or_else(|| rest.split_once("=+"))?;
        inner
    } else {
        return None;
    };
    let mut fields = inner.splitn(4, '=');
    let (_hash, _day, domain, sender) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(format!("srs0={domain}={}", without_tag(sender)))
}

/// `prvs=0123abcdef=local`, its older order `prvs=local=0123abcdef`, and `btv1==hash==local`: the local part.
fn batv(local: &str) -> Option<&str> {
    if local.get(..6).is_some_and(|p| p.eq_ignore_ascii_case("btv1==")) {
        return local[6..].split_once("==").map(|(_, local)| local);
    }
    if !local.get(..5).is_some_and(|p| p.eq_ignore_ascii_case("prvs=")) {
        return None;
    }
    let is_tag = |text: &str| text.len() == 10 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (first, rest) = local[5..].split_once('=')?;
    if is_tag(first) {
        return Some(rest);
    }
    local[5..].rsplit_once('=').filter(|(_, tag)| is_tag(tag)).map(|(local, _)| local)
}

/// Up to the first `+`, which is where nearly every system puts a tag.
fn without_tag(local: &str) -> &str {
    match local.split_once('+') {
        Some((name, _)) if !name.is_empty() => name,
        Some(_) | None => local,
    }
}

/// A VERP local part without the recipient or the number in it.
fn verp(local: &str) -> &str {
    if let Some(end) = bounce_word_end(local) {
        return &local[..end];
    }
    // bounce-list=user=dom: what stands before the first `=` is the list's.
    let Some((head, rest)) = local.split_once('=') else { return local };
    if rest.contains('=') && !head.is_empty() {
        return head;
    }
    // news-user=dom.example: a domain behind `=` means that a recipient stands before it, after the first hyphen.
    match head.split_once('-') {
        Some((list, user)) if !list.is_empty() && !user.is_empty() && looks_like_domain(rest) => list,
        Some(_) | None => local,
    }
}

/// Where the last word of bounces ends, if what follows it is a number, a token with digits or a recipient.
fn bounce_word_end(local: &str) -> Option<usize> {
    let mut start = 0;
    for token in local.split(['-', '_', '.', '=']) {
        let end = start + token.len();
        let rest = local.get(end + 1..).unwrap_or("");
        if BOUNCE_WORDS.iter().any(|word| token.eq_ignore_ascii_case(word)) && !rest.is_empty() {
            let next = rest.split(['-', '_', '.', '=']).next().unwrap_or("");
            let recipient =
                rest.split_once('=').is_some_and(|(_, domain)| looks_like_domain(domain) && !domain.contains('='));
            if next.bytes().any(|b| b.is_ascii_digit()) || recipient {
                return Some(end);
            }
        }
        start = end + 1;
    }
    None
}

fn looks_like_domain(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-' || b >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_paths() {
        let cases = [
            ("Alice@Example.ORG", "alice@example.org"),
            ("alice@bücher.example", "alice@xn--bcher-kva.example"),
            ("\"alice\"@example.org", "alice@example.org"), // the same mailbox
            ("\"a b\"@example.org", "\"a b\"@example.org"),
            ("alice@[192.0.2.1]", "alice@[192.0.2.1]"),
            // tags
            ("alice+shop@example.org", "alice@example.org"),
            ("+alice@example.org", "+alice@example.org"), // nothing would be left
            ("list-bounces+bob=c.example@example.org", "list-bounces@example.org"), // Mailman
            ("bounces+12345-ab12-bob=c.example@em.example.org", "bounces@em.example.org"), // SendGrid
            // SRS: hash and day change every day
            ("SRS0=HHH=TT=c.example=bob@example.org", "srs0=c.example=bob@example.org"),
            ("SRS0+HHH=TT=c.example=bob+tag@example.org", "srs0=c.example=bob@example.org"),
            ("SRS1=HH2=fwd.example==HHH=TT=c.example=bob@example.org", "srs0=c.example=bob@example.org"),
            ("srs0@example.org", "srs0@example.org"),
            // BATV
            ("prvs=4123abcdef=alice@example.org", "alice@example.org"),
            ("prvs=alice=4123abcdef@example.org", "alice@example.org"), // the draft's older order
            ("prvs=4123abcdef=alice+tag@example.org", "alice@example.org"),
            ("btv1==123abc==alice@example.org", "alice@example.org"),
            ("prvs=alice@example.org", "prvs=alice@example.org"), // no signature in it
            // VERP
            ("bounce-list=user=dom@example.org", "bounce-list@example.org"),
            ("list-return-123-user=c.example@example.org", "list-return@example.org"), // ezmlm
            ("list-return-123@example.org", "list-return@example.org"),
            ("bounce-user=c.example@example.org", "bounce@example.org"),
            ("bounces_3f2a9c@example.org", "bounces@example.org"),
            ("news-user=c.example@example.org", "news@example.org"),
            // and names that only look like it
            ("agent007@example.org", "agent007@example.org"),
            ("kasse-2@example.org", "kasse-2@example.org"),
            ("news-2026@example.org", "news-2026@example.org"),
            ("bounce-team@example.org", "bounce-team@example.org"),
            ("bounce@example.org", "bounce@example.org"),
            ("a=b@example.org", "a=b@example.org"),
        ];
        for (written, expected) in cases {
            let address = Address::parse(written.as_bytes()).unwrap();
            assert_eq!(reverse_path(&address, LocalPart::Lower), expected, "{written}");
            let again = Address::parse(expected.as_bytes()).unwrap();
            if !expected.starts_with("srs0=") {
                assert_eq!(reverse_path(&again, LocalPart::Lower), expected, "a normal form is its own: {written}");
            }
        }
        let alice = Address::parse(b"Alice+x@Example.ORG").unwrap();
        assert_eq!(reverse_path(&alice, LocalPart::AsWritten), "Alice@example.org");
    }

    #[test]
    fn identities_keep_what_was_proven() {
        let cases = [
            ("Alice", Some("alice")),
            ("Alice+x@Example.ORG", Some("alice+x@example.org")),
            ("DOMAIN\\Alice", Some("domain\\alice")),
            (" ", None),
        ];
        for (written, expected) in cases {
            assert_eq!(identity(written, LocalPart::Lower).as_deref(), expected, "{written:?}");
        }
    }
}
