//! Whose hosts links lead to: shorteners, free hosting, look-alikes, sites that were broken into.

use crate::message::{Link, LinkKind};

use super::click::Click;
use super::hosts::{as_read, own_label, skeleton};
use super::look::{Look, Sight, example};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "link-shortener", look: |look| listed(look, "shorteners") },
    Rule { name: "link-free-hosting", look: |look| listed(look, "free-hosting") },
    Rule { name: "link-form-service", look: |look| prefixed(look, "form-services") },
    Rule { name: "image-on-free-host", look: image_on_free_host },
    Rule { name: "link-risky-ending", look: risky_ending },
    Rule { name: "link-looks-like-brand", look: looks_like_brand },
    Rule { name: "link-looks-like-brand-form", look: looks_like_brand_form },
    Rule { name: "link-looks-like-own", look: looks_like_own },
    Rule { name: "link-borrows-brand", look: borrows_brand },
    Rule { name: "link-into-site-code", look: into_site_code },
];

/// Links of pictures that are looked at.
const LINKS_MAX: usize = 100;

fn listed(look: &Look<'_>, list: &str) -> Sight {
    let list = look.lists.of(list);
    look.strange_hosts.iter().find(|host| list.domain(host).is_some()).and_then(|host| example(host))
}

/// Entries of host and path: `docs.google.com/forms`.
fn prefixed(look: &Look<'_>, list: &str) -> Sight {
    let list = look.lists.of(list);
    let mut strangers = look.clicks.iter().filter(|click| !click.is_own);
    strangers.find(|click| list.within(&click.lower).is_some()).and_then(|click| example(&click.link.target))
}

/// Who has a site of his own has his pictures there.
fn image_on_free_host(look: &Look<'_>) -> Sight {
    let list = look.lists.of("image-hosts");
    let is_there = |link: &&Link| link.kind == LinkKind::Loaded && list.domain(&link.host).is_some();
    look.message.links.iter().take(LINKS_MAX).find(is_there).and_then(|link| example(&link.host))
}

fn risky_ending(look: &Look<'_>) -> Sight {
    let endings = look.lists.of("risky-endings");
    let risky = |site: &&str| site.rsplit('.').next().is_some_and(|ending| endings.has(ending)) && !look.is_own(site);
    look.sites().find(risky).and_then(example)
}

fn looks_like_brand(look: &Look<'_>) -> Sight {
    let (host, brand) = look.imitations.first()?;
    example(&format!("{host} for {brand}"))
}

/// The look-alike asks for something, in the mail or on a page for logins.
fn looks_like_brand_form(look: &Look<'_>) -> Sight {
    if look.imitations.is_empty() {
        return None;
    }
    let asks = |click: &Click<'_>| {
        click.link.kind == LinkKind::Form || look.lists.of("login-paths").within(&click.lower).is_some()
    };
    let forms = look.message.html.as_ref().is_some_and(|html| html.forms > 0);
    let imitates = |click: &&Click<'_>| look.brands.imitated(&click.link.host).is_some() && (forms || asks(click));
    example(&look.clicks.iter().find(imitates)?.link.target)
}

/// A domain that reads like the sender's own or a recipient's, but is another.
fn looks_like_own(look: &Look<'_>) -> Sight {
    look.sites().next()?;
    let recipients = look.message.to.iter().take(5).filter_map(crate::message::Mailbox::domain);
    let known: Vec<(String, String)> = std::iter::once(look.from_domain.clone())
        .chain(recipients)
        .map(|domain| own_label(&domain).to_owned())
        .filter(|label| label.len() >= 5)
        .map(|label| (skeleton(&as_read(&label)), label))
        .collect();
    let alike = |site: &&str| {
        let label = own_label(site);
        let read = as_read(label);
        let mut others = known.iter().filter(|(_, own)| own != label).peekable();
        label.len() >= 5 && others.peek().is_some() && {
            let shape = skeleton(&read);
            others.any(|(known, _)| *known == shape)
        }
    };
    look.sites().find(alike).and_then(example)
}

fn borrows_brand(look: &Look<'_>) -> Sight {
    example(look.strange_hosts.iter().find(|host| look.brands.borrowed_by(host).is_some())?)
}

/// Folders of a site's program that no visitor is sent to: a page there was put there by a burglar.
fn into_site_code(look: &Look<'_>) -> Sight {
    let (paths, endings) = (look.lists.of("site-code-paths"), look.lists.of("harmless-endings"));
    let harmless = |target: &str| {
        let path = target.split(['?', '#']).next().unwrap_or("");
        let name = path.rsplit('/').next().unwrap_or("");
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        endings.has(ending)
    };
    let inside = |click: &&Click<'_>| paths.within(&click.lower).is_some() && !harmless(&click.lower);
    look.clicks.iter().find(inside).and_then(|click| example(&click.link.target))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{check, hit, mail, miss};
    use super::*;
    use LinkKind::Loaded;

    #[test]
    fn hits_and_near_misses() {
        let to = |target: &str| mail().click(target, "more");
        check(
            RULES,
            vec![
                hit("link-shortener", "leads anywhere", to("https://bit.ly/3xyz")),
                miss("link-shortener", "a host that ends alike", to("https://rabbit.ly/3xyz")),
                miss("link-shortener", "the sender's own", to("https://go.example.org/3xyz")),
                hit("image-on-free-host", "anybody's", mail().link(Loaded, "https://i.imgur.com/x.png", "")),
                miss("image-on-free-host", "a link to one", to("https://i.imgur.com/x.png")),
                miss("image-on-free-host", "the sender's", mail().link(Loaded, "https://www.example.org/x.png", "")),
                hit("link-free-hosting", "anybody's page", to("https://login-1234.weebly.com/")),
                miss("link-free-hosting", "the service that hosts the pages", to("https://about.example/weebly.com")),
                hit("link-form-service", "anybody's form", to("https://docs.google.com/forms/d/e/1")),
                miss("link-form-service", "a document", to("https://docs.google.com/document/d/1")),
                hit("link-risky-ending", "cheap and gone tomorrow", to("https://a.example.icu/")),
                miss("link-risky-ending", "only the path ends so", to("https://a.example/x.icu")),
                hit("link-looks-like-brand", "a digit for a letter", to("https://paypa1.com/")),
                hit("link-looks-like-brand", "Cyrillic letters", to("https://xn--pypl-53dc.com/")),
                miss("link-looks-like-brand", "the brand", to("https://www.paypal.com/")),
                hit("link-looks-like-brand-form", "a page for logins", to("https://paypa1.com/signin")),
                miss("link-looks-like-brand-form", "the brand's own", to("https://www.paypal.com/signin")),
                miss("link-looks-like-brand-form", "a look-alike that asks nothing", to("https://paypa1.com/a")),
                hit("link-looks-like-own", "the sender's name with a digit", to("https://examp1e.com/")),
                hit(
                    "link-looks-like-own",
                    "the recipient's name",
                    mail().to("bob@company.example").click("https://cornpany.example/", "x"),
                ),
                miss("link-looks-like-own", "the sender's", to("https://www.example.org/")),
                miss("link-looks-like-own", "the same name elsewhere", to("https://www.example.com/")),
                hit("link-borrows-brand", "in front of another domain", to("https://paypal.com.evil.example/")),
                miss("link-borrows-brand", "the brand", to("https://paypal.com/")),
                miss("link-borrows-brand", "in the path", to("https://shop.example/paypal")),
                hit(
                    "link-into-site-code",
                    "a page among the program",
                    to("https://shop.example/wp-includes/js/x/index.php"),
                ),
                miss(
                    "link-into-site-code",
                    "a picture that was uploaded",
                    to("https://shop.example/wp-content/uploads/a.jpg"),
                ),
                miss(
                    "link-into-site-code",
                    "a sheet of a theme",
                    to("https://shop.example/wp-content/themes/a/price.pdf"),
                ),
            ],
        );
    }
}
