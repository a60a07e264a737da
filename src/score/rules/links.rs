//! How a link is made: what it shows against where it leads. Whose hosts they are stands in `hosting`.

use std::net::IpAddr;

use crate::message::{Link, LinkKind};

use super::click::Click;
use super::hosts::{named_in, same_site};
use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "link-shows-other-host", look: shows_other_host },
    Rule { name: "link-shows-https-leads-http", look: shows_https },
    Rule { name: "link-runs-script", look: runs_script },
    Rule { name: "link-with-name-before-host", look: |look| find(look, has_user) },
    Rule { name: "link-bare-address", look: bare_address },
    Rule { name: "link-odd-port", look: |look| find(look, has_odd_port) },
    Rule { name: "link-host-encoded", look: |look| find(look, is_host_encoded) },
    Rule { name: "link-to-program", look: to_program },
    Rule { name: "link-carries-recipient", look: carries_recipient },
    Rule { name: "link-with-number-alone", look: |look| find(look, has_number_alone) },
    Rule { name: "link-over-redirector", look: over_redirector },
    Rule { name: "link-form-elsewhere", look: form_elsewhere },
    Rule { name: "link-leads-nowhere", look: leads_nowhere },
    Rule { name: "links-to-one-stranger", look: to_one_stranger },
];

fn find(look: &Look<'_>, odd: fn(&Click<'_>) -> bool) -> Sight {
    look.clicks.iter().find(|click| odd(click)).and_then(|click| example(&click.link.target))
}

/// Newsletters that count clicks do this too, through a host of their own or of their service.
fn shows_other_host(look: &Look<'_>) -> Sight {
    let differs = |click: &&Click<'_>| {
        let link = click.link;
        link.kind == LinkKind::Anchor
            && !click.is_own
            && named_in(&link.visible).is_some_and(|shown| !same_site(&shown, &link.host))
            && look.lists.of("click-counters").domain(&link.host).is_none()
    };
    let link = look.clicks.iter().find(differs)?.link;
    example(&format!("{} leads to {}", link.visible.trim(), link.host))
}

/// The provider's guide: no https text on an http target.
fn shows_https(look: &Look<'_>) -> Sight {
    find(look, |Click { link, .. }| {
        let shown = link.visible.trim_start().get(..8);
        link.scheme == "http" && shown.is_some_and(|shown| shown.eq_ignore_ascii_case("https://"))
    })
}

/// `javascript:` and pages inside the link itself (`data:text/html`). Pictures of that form are only loaded.
fn runs_script(look: &Look<'_>) -> Sight {
    let runs = |link: &Link| {
        let followed = matches!(link.kind, LinkKind::Anchor | LinkKind::Form);
        followed && matches!(link.scheme.as_str(), "javascript" | "vbscript" | "data")
    };
    // What a copied button is left with.
    let idle = |link: &Link| {
        let target = link.target.trim_end_matches([';', ' ']);
        target.len() == IDLE.len() && target.eq_ignore_ascii_case(IDLE)
    };
    let link = look.message.links.iter().take(LINKS_MAX).find(|link| runs(link) && !idle(link))?;
    example(&link.target)
}

/// `https://bank.example@evil.example/`.
fn has_user(click: &Click<'_>) -> bool {
    click.authority.contains('@') && is_of_web(click)
}

fn is_of_web(click: &Click<'_>) -> bool {
    matches!(click.link.scheme.as_str(), "http" | "https")
}

/// `http://example.com/?83566803`: whom it was sent to, and nothing else.
fn has_number_alone(click: &Click<'_>) -> bool {
    let number = click.path.strip_prefix("/?").unwrap_or_default();
    let is_one = number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    number.len() >= 4 && is_one && number.bytes().any(|b| b.is_ascii_digit())
}

/// Machines of one's own house are named so in ordinary mail.
fn bare_address(look: &Look<'_>) -> Sight {
    find(look, |click| match click.link.host.parse() {
        Ok(IpAddr::V4(ip)) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation()),
        Ok(IpAddr::V6(ip)) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
        Err(_) => false,
    })
}

fn has_odd_port(click: &Click<'_>) -> bool {
    let Some((_, port)) = host_and_port(click).rsplit_once(':') else { return false };
    let host = &click.link.host;
    let known = ["80", "443", "8080", "8443", "2083", "2087", "2096", "8006", "10000"];
    let is_odd = port.parse::<u16>().is_ok() && !known.contains(&port);
    is_odd && is_of_web(click) && host.contains('.') && host.parse::<IpAddr>().is_err()
}

fn host_and_port<'a>(click: &Click<'a>) -> &'a str {
    click.authority.rsplit_once('@').map_or(click.authority, |(_, host)| host)
}

/// `http://0x7f.1/`, `http://3232235777/`, `http://%65vil.example/`: hosts that a reader is not meant to read.
fn is_host_encoded(click: &Click<'_>) -> bool {
    let host = host_and_port(click).split(':').next().unwrap_or("");
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let hex = |part: &str| part.len() > 2 && part.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("0x"));
    let few_numbers = || host.split('.').all(|part| number(part) || hex(part)) && host.parse::<IpAddr>().is_err();
    is_of_web(click) && (host.contains('%') || (!host.is_empty() && few_numbers()))
}

fn to_program(look: &Look<'_>) -> Sight {
    let endings = look.lists.of("download-endings");
    let leads = |click: &&Click<'_>| {
        let path = click.path.split(['?', '#']).next().unwrap_or("");
        let name = path.rsplit('/').next().unwrap_or("");
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        ending.is_some_and(|ending| endings.has(&ending))
    };
    let mut strangers = look.clicks.iter().filter(|click| !click.is_own);
    strangers.find(leads).and_then(|click| example(&click.link.target))
}

/// Behind `#`, where a page reads it and no server counts it: a page of stolen logins fills in the name. Links to leave
/// a list carry the address in the query.
fn carries_recipient(look: &Look<'_>) -> Sight {
    let carries = |click: &&Click<'_>| {
        let Some((_, fragment)) = click.link.target.split_once('#') else { return false };
        let decoded = fragment.replace("%40", "@").to_lowercase();
        let mut to = look.message.to.iter().map(|mailbox| mailbox.address.to_lowercase());
        to.any(|address| address.contains('@') && decoded.contains(&address))
    };
    let mut strangers = look.clicks.iter().filter(|click| !click.is_own);
    strangers.find(carries).and_then(|click| example(&click.link.target))
}

/// A well-known host that sends anybody on to anywhere: `google.com/url?q=https://…`.
fn over_redirector(look: &Look<'_>) -> Sight {
    let redirectors = look.lists.of("redirectors");
    let redirects = |click: &&Click<'_>| {
        let another = memchr::memmem::rfind(click.lower.as_bytes(), b"http");
        another.is_some_and(|at| at > 8) && redirectors.within(&click.lower).is_some()
    };
    look.clicks.iter().find(redirects).and_then(|click| example(&click.link.target))
}

/// What is typed into the mail goes to a stranger.
fn form_elsewhere(look: &Look<'_>) -> Sight {
    let form = look.clicks.iter().find(|click| click.link.kind == LinkKind::Form && !click.is_own)?.link;
    if form.target.is_empty() { seen(false) } else { example(&form.host) }
}

/// The provider's guide: links are valid. One without a host is none, nor is a place where a program should have put one.
fn leads_nowhere(look: &Look<'_>) -> Sight {
    let followed = |link: &&Link| matches!(link.kind, LinkKind::Anchor | LinkKind::Form);
    let is_broken = |link: &&Link| {
        let target = link.target.trim();
        let hostless = matches!(link.scheme.as_str(), "http" | "https") && link.host.is_empty();
        hostless || UNFILLED.iter().any(|(start, end)| target.starts_with(start) && target.ends_with(end))
    };
    let link = look.message.links.iter().filter(followed).take(LINKS_MAX).find(is_broken)?;
    example(&link.target)
}

/// A first letter all of whose links lead to one site, and that is somebody else's. Who answers quotes what he answers.
fn to_one_stranger(look: &Look<'_>) -> Sight {
    let mut sites = look.sites();
    let (Some(site), None) = (sites.next(), sites.next()) else { return None };
    let strange = look.clicks.iter().all(|click| !click.is_own) && !look.from_domain.is_empty() && !look.is_reply();
    if strange { example(site) } else { None }
}

/// Links that are looked at one by one.
const LINKS_MAX: usize = 100;
/// A script that does nothing.
const IDLE: &str = "javascript:void(0)";
/// How programs for mass mail write a place to be filled in.
const UNFILLED: [(&str, &str); 6] = [("{{", "}}"), ("${", "}"), ("*|", "|*"), ("[[", "]]"), ("%%", "%%"), ("<%", "%>")];

#[cfg(test)]
mod tests {
    use super::super::sample::{Case, check, hit, mail, miss};
    use super::*;

    #[test]
    fn hits_and_near_misses() {
        let click = |target: &str, visible: &str| mail().click(target, visible);
        let to = |target: &str| mail().click(target, "more");
        let mut cases = cases_of_one_stranger();
        cases.extend(vec![
            hit("link-shows-other-host", "another host", click("https://evil.example/x", "www.example.com")),
            hit(
                "link-shows-other-host",
                "another host, written as a link",
                click("https://evil.example/", "https://example.com/login"),
            ),
            miss(
                "link-shows-other-host",
                "another host of the same site",
                click("https://click.example.com/", "www.example.com"),
            ),
            miss("link-shows-other-host", "words", click("https://evil.example/x", "Click here")),
            miss(
                "link-shows-other-host",
                "the sender's own counter",
                click("https://click.example.org/x", "www.example.com"),
            ),
            miss(
                "link-shows-other-host",
                "a newsletter service",
                click("https://x.list-manage.com/track", "www.example.com"),
            ),
            hit("link-shows-https-leads-http", "less than it says", click("http://a.example/", "https://a.example/")),
            miss("link-shows-https-leads-http", "as it says", click("https://a.example/", "https://a.example/")),
            miss("link-shows-https-leads-http", "more than it says", click("https://a.example/", "http://a.example/")),
            hit("link-runs-script", "a script", to("javascript:alert(1)")),
            hit("link-runs-script", "a page in the link", to("data:text/html;base64,PGh0bWw+")),
            miss("link-runs-script", "a button of a copied page", to("JavaScript:void(0);")),
            hit("link-runs-script", "a script that ends so", to("javascript:alert(1);void(0)")),
            hit(
                "link-runs-script",
                "behind an idle one",
                to("javascript:void(0)").link(LinkKind::Anchor, "javascript:alert(1)", ""),
            ),
            miss("link-runs-script", "a picture", mail().link(LinkKind::Loaded, "data:image/png;base64,iVBO", "")),
            hit("link-with-name-before-host", "shows another host first", to("https://bank.example@evil.example/")),
            miss("link-with-name-before-host", "an at in the path", to("https://social.example/@alice")),
            hit("link-bare-address", "a public one", to("http://8.8.4.4/login")),
            hit("link-bare-address", "IPv6", to("http://2001:4860::1/").with_host("2001:4860::1")),
            miss("link-bare-address", "a machine in the house", to("http://192.168.1.1/")),
            miss("link-bare-address", "a version in a host", to("http://1.2.3.4.example/")),
            hit("link-odd-port", "not a web server's", to("http://evil.example:4444/x")),
            miss("link-odd-port", "a panel", to("https://panel.example:8443/")),
            miss("link-odd-port", "a machine in the house", to("http://printer:631/")),
            hit("link-host-encoded", "a number", to("http://3232235777/")),
            hit("link-host-encoded", "in hex", to("http://0xc0.0xa8.1.1/")),
            hit("link-host-encoded", "in per cent", to("http://%65vil.example/")),
            miss("link-host-encoded", "an address", to("http://8.8.4.4/")),
            miss("link-host-encoded", "per cent in the path", to("http://a.example/%65")),
            hit("link-to-program", "a program", to("https://evil.example/invoice.exe")),
            hit("link-to-program", "with a query", to("https://evil.example/a/invoice.scr?x=1")),
            miss("link-to-program", "a page", to("https://evil.example/exe")),
            miss("link-to-program", "the sender's own", to("https://www.example.org/setup.exe")),
            hit(
                "link-carries-recipient",
                "for a page that asks the password",
                to("https://evil.example/#bob@example.net"),
            ),
            hit("link-carries-recipient", "encoded", to("https://evil.example/#bob%40example.net")),
            miss("link-carries-recipient", "to leave a list", to("https://evil.example/leave?a=bob@example.net")),
            miss("link-carries-recipient", "somebody else's", to("https://evil.example/#carol@example.net")),
            hit("link-with-number-alone", "whom it was sent to", to("http://evil.example/?83566803")),
            miss("link-with-number-alone", "a name with it", to("http://shop.example/?item=83566803")),
            miss("link-with-number-alone", "a word", to("http://shop.example/?unsubscribe")),
            miss("link-with-number-alone", "a page with it", to("http://shop.example/show?83566803")),
            hit("link-over-redirector", "to anywhere", to("https://www.google.com/url?q=https://evil.example/")),
            miss("link-over-redirector", "a search", to("https://www.google.com/search?q=minutes")),
            miss("link-over-redirector", "to nowhere", to("https://www.google.com/url?q=x")),
            hit("link-form-elsewhere", "a stranger's", mail().link(LinkKind::Form, "https://evil.example/post", "")),
            miss(
                "link-form-elsewhere",
                "the sender's own",
                mail().link(LinkKind::Form, "https://www.example.org/s", ""),
            ),
            miss("link-form-elsewhere", "only a link", to("https://evil.example/post")),
            hit("link-leads-nowhere", "without a host", to("http://").with_host("")),
            hit("link-leads-nowhere", "not filled in", to("*|ORDER_URL|*").with_host("")),
            hit("link-leads-nowhere", "nor this", to("{{ link }}").with_host("")),
            miss("link-leads-nowhere", "braces in a query", to("https://a.example/?q={{x}}")),
            miss("link-leads-nowhere", "a place in the page", to("#top").with_host("")),
            miss("link-leads-nowhere", "a mailbox", to("mailto:bob@example.net").with_host("")),
        ]);
        check(RULES, cases);
    }

    fn cases_of_one_stranger() -> Vec<Case> {
        let to = |target: &str| mail().click(target, "more");
        vec![
            hit("links-to-one-stranger", "to one", to("https://pay.example/").click("https://www.pay.example/x", "x")),
            miss("links-to-one-stranger", "to two", to("https://pay.example/").click("https://example.com/", "x")),
            miss("links-to-one-stranger", "home as well", to("https://a.example/").click("https://example.org/", "x")),
            miss(
                "links-to-one-stranger",
                "in an answer",
                to("https://a.example/").field("In-Reply-To", "<1@a.example>"),
            ),
            miss("links-to-one-stranger", "no links", mail()),
        ]
    }
}
