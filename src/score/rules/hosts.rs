//! Hosts: which belong together, which look like another, which a text names.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use unicode_normalization::char::is_combining_mark;

use super::data::Brand;

/// The domain that was registered for a host (`b.example.co.uk` → `example.co.uk`); the host itself where there is none.
pub(in crate::score) fn site(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

/// Whether two hosts belong to one registered domain.
pub(super) fn same_site(one: &str, other: &str) -> bool {
    one == other || site(one) == site(other)
}

/// The host that a visible text names, if all of it is a host or an address of the web: `www.example.org/offers`.
pub(super) fn named_in(visible: &str) -> Option<String> {
    let text = visible.trim();
    if text.contains(char::is_whitespace) || text.contains('@') {
        return None;
    }
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', ':']).next()?.trim_end_matches('.').to_lowercase();
    let suffix = psl::suffix(host.as_bytes()).filter(psl::Suffix::is_known)?;
    let labelled = host.len() > suffix.as_bytes().len() + 1 && host.contains('.');
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    // "readme.md" and "node.js" are files; of a bare name only the endings that no file has are believed.
    let certain = rest.len() < text.len() || host.starts_with("www.") || host.matches('.').count() >= 2;
    let file_like = ["md", "rs", "py", "pl", "sh", "so", "cc", "ps", "pm", "zip", "mov", "ai", "js"];
    let believed = certain || !file_like.iter().any(|ending| host.ends_with(&format!(".{ending}")));
    (labelled && believed && host.chars().all(plain)).then_some(host)
}

/// A host's labels as a reader sees them: A-labels made Unicode.
pub(super) fn as_read(host: &str) -> Cow<'_, str> {
    if host.contains("xn--") { Cow::Owned(idna::domain_to_unicode(host).0) } else { Cow::Borrowed(host) }
}

/// What a name looks like (UTS 39 4), so that `paypa1` and `pаypаl` with Cyrillic letters are one. Names have no case, but
/// the prototype of `0` is `O`: what comes out is in lower case, too.
pub(super) fn skeleton(name: &str) -> String {
    static ASCII: LazyLock<[String; 128]> = LazyLock::new(|| {
        std::array::from_fn(|code| {
            let letter = u8::try_from(code).map_or_else(|_| String::new(), |code| char::from(code).to_string());
            skeleton_of_any(&letter)
        })
    });
    if name.is_ascii() {
        // Letter by letter: nothing of ASCII is composed.
        return name.bytes().map(|byte| ASCII[usize::from(byte)].as_str()).collect();
    }
    skeleton_of_any(name)
}

fn skeleton_of_any(name: &str) -> String {
    unicode_security::skeleton(&name.to_lowercase()).collect::<String>().to_lowercase()
}

/// What is left of a skeleton at a glance: without accents, `i` as `l` (which `1` is already), `vv` as `w`.
///
/// For names that are known to be borrowed, and for no others: a firm has its name with and without accents.
fn glance(skeleton: &str) -> String {
    let plain = skeleton.chars().filter(|c| !is_combining_mark(*c));
    plain.map(|c| if c == 'i' { 'l' } else { c }).collect::<String>().replace("vv", "w")
}

/// The part of a host that a registrant chose: `example` of `www.example.co.uk`.
pub(super) fn own_label(host: &str) -> &str {
    let site = site(host);
    site.split('.').next().unwrap_or(site)
}

/// Names that fraud borrows.
#[derive(Debug)]
pub(super) struct Brands {
    by_glance: HashMap<String, usize>,
    by_word: BTreeMap<String, usize>,
    all: Vec<Brand>,
}

impl Brands {
    /// Makes the index.
    pub(super) fn new(brands: &[Brand]) -> Self {
        let indexed = || brands.iter().enumerate();
        Self {
            by_glance: indexed().map(|(index, brand)| (glance(&skeleton(&brand.name)), index)).collect(),
            by_word: indexed()
                .filter(|(_, brand)| !brand.ordinary_word)
                .map(|(index, brand)| (brand.name.clone(), index))
                .collect(),
            all: brands.to_vec(),
        }
    }

    /// The brand whose own name this host is made to look like, without being it.
    pub(super) fn imitated(&self, host: &str) -> Option<&str> {
        let read = as_read(site(host));
        let label = read.split('.').next()?;
        label.split('-').find_map(|token| {
            // Most names are their own skeleton up to case; a short one looks like too many others.
            if token.len() < 4 {
                return None;
            }
            let brand = self.alike(token)?;
            (token != brand.name && !brand.owns(host)).then_some(brand.name.as_str())
        })
    }

    /// The brand whose name a word looks like, or is.
    fn alike(&self, word: &str) -> Option<&Brand> {
        let shape = skeleton(word);
        let brand = &self.all[*self.by_glance.get(&glance(&shape))?];
        // At a glance other words are like an ordinary one (Appie and Äpple like Apple), and like a short one (Amell).
        let is_short = word.len() < SHORT_BYTES && word.bytes().all(|byte| byte.is_ascii_lowercase());
        (!(brand.ordinary_word || is_short) || shape == skeleton(&brand.name)).then_some(brand)
    }

    /// The brand that stands as a word of its own in a host that is not the brand's.
    pub(super) fn borrowed_by(&self, host: &str) -> Option<&str> {
        let words = host.split(['.', '-']).filter(|word| word.len() >= 4);
        let named = words.filter_map(|word| self.by_word.get(word)).map(|index| &self.all[*index]);
        named.into_iter().find(|brand| !brand.owns(host)).map(|brand| brand.name.as_str())
    }

    /// The brand that a folded name (" paypal service ") carries as a word, unless the domain is the brand's.
    pub(super) fn borrowed_in_name(&self, folded: &str, domain: &str) -> Option<&str> {
        let named = folded.split(' ').filter_map(|word| self.by_word.get(word)).map(|index| &self.all[*index]);
        named.into_iter().find(|brand| !brand.owns(domain)).map(|brand| brand.name.as_str())
    }
}

/// A word of plain letters that is shorter may be another word.
const SHORT_BYTES: usize = 6;

impl Brand {
    /// Whether the host is the brand's: one of its domains, or its name under some country's ending.
    fn owns(&self, host: &str) -> bool {
        let site = site(host);
        let own = own_label(host);
        own == self.name
            || self.accented.as_ref().is_some_and(|accented| as_read(own) == *accented)
            || self
                .domains
                .iter()
                .any(|own| site == own || host.strip_suffix(own.as_str()).is_some_and(|h| h.ends_with('.')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brands() -> Brands {
        let brand = |name: &str, domains: &[&str], ordinary_word| Brand {
            name: name.to_owned(),
            accented: (name == "itau").then(|| "itaú".to_owned()),
            domains: domains.iter().map(|d| (*d).to_owned()).collect(),
            ordinary_word,
        };
        Brands::new(&[
            brand("paypal", &["paypal.com", "paypal-community.com"], false),
            brand("apple", &["apple.com"], true),
            brand("outlook", &["outlook.com"], true),
            brand("microsoft", &["microsoft.com"], false),
            brand("whatsapp", &["whatsapp.com"], false),
            brand("itau", &["itau.com.br"], false),
            brand("ameli", &["ameli.fr"], false),
        ])
    }

    #[test]
    fn hosts_named_by_a_text() {
        let cases = [
            ("https://www.Example.org/a?b", Some("www.example.org")),
            ("example.org", Some("example.org")),
            (" www.example.org ", Some("www.example.org")),
            ("Click here", None),       // words
            ("info@example.org", None), // an address
            ("README.md", None),        // a file, though .md is a country
            ("https://readme.md", Some("readme.md")),
            ("v1.2.3", None), // no known ending
            ("co.uk", None),  // an ending alone
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(named_in(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn ascii_looks_like_what_it_looks_like() {
        for text in ["paypal", "PayPa1", "m0re.example-I|l", "\u{0}\u{7f} %\"`'"] {
            assert_eq!(skeleton(text), skeleton_of_any(text), "{text:?}");
        }
    }

    #[test]
    fn brands_are_told_from_their_look_alikes() {
        let cases = [
            // host, imitated, borrowed
            ("paypa1.com", Some("paypal"), None),           // a digit for a letter
            ("xn--pypl-53dc.com", Some("paypal"), None),    // Cyrillic а twice
            ("login-paypa1.example", Some("paypal"), None), // one of several words
            ("www.paypal.com", None, None),                 // itself
            ("paypal.fr", None, None),                      // itself elsewhere
            ("paypal-community.com", None, None),           // another domain of its own
            ("paypal.com.evil.example", None, Some("paypal")), // in front of another domain
            ("secure-paypal.example", None, Some("paypal")),
            ("paypalooza.example", None, None),     // part of a longer word
            ("apple-pie.example", None, None),      // an ordinary word is borrowed by many
            ("app1e.example", Some("apple"), None), // but not written so
            ("0utl00k.example", Some("outlook"), None),
            ("micros0ft.com", Some("microsoft"), None),
            ("m1crosoft.com", Some("microsoft"), None),
            ("microsoft.com", None, None),
            ("rnicrosoft.com", Some("microsoft"), None),
            ("xn--mcrosoft-c2a.com", Some("microsoft"), None), // mícrosoft
            ("xn--pypal-gra.com", Some("paypal"), None),       // päypal
            ("paypai.com", Some("paypal"), None),              // an I in capitals
            ("vvhatsapp.com", Some("whatsapp"), None),
            ("xn--80ak6aa92e.com", Some("apple"), None), // аррӏе in Cyrillic letters
            ("appie.example", None, None),               // a shop of its own
            ("xn--pple-koa.example", None, None),        // äpple: the fruit in Sweden
            ("itau.com.br", None, None),
            ("xn--ita-boa.com.br", None, None), // itaú: its own name, as it writes it
            ("xn--tau-qma.com.br", Some("itau"), None), // ítau
            ("amell.example", None, None),      // a family
            ("ame1i.example", Some("ameli"), None),
            ("paybäck.example", None, None), // like no brand
        ];
        for (host, imitated, borrowed) in cases {
            assert_eq!(brands().imitated(host), imitated, "{host}");
            assert_eq!(brands().borrowed_by(host), borrowed, "{host}");
        }
    }

    #[test]
    fn hosts_of_one_site() {
        let cases = [
            ("a.example.org", "b.example.org", true),
            ("a.example.co.uk", "b.example.co.uk", true),
            ("example.co.uk", "other.co.uk", false), // an ending is no site
            ("a.pages.dev", "b.pages.dev", false),   // nor is a host of strangers' pages
            ("192.0.2.1", "192.0.2.1", true),
        ];
        for (one, other, expected) in cases {
            assert_eq!(same_site(one, other), expected, "{one} {other}");
        }
    }
}
