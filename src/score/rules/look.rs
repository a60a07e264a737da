//! What a rule looks at: the submission, and what several rules want to know about it, worked out once.

use crate::account::AccountSource;
use crate::mail::{ReversePath, Visible};
use crate::message::{Html, LinkKind, Mailbox, Message};
use crate::score::Submission;

use super::click::Click;
use super::fold::Folded;
use super::hosts::{Brands, site};
use super::lists::Lists;
use super::names::Names;
use super::outlook::OutlookId;
use super::words::{Found, WordFinder};

/// The most links that rules look at: a thousandth one says nothing that the first hundred did not.
const LINKS_MAX: usize = 100;
/// The longest piece of a message that a sentence shows, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// One message in front of the rules.
pub(super) struct Look<'a> {
    /// The message.
    pub(super) message: &'a Message,
    /// What is known of its submission.
    pub(super) submission: &'a Submission<'a>,
    names: Names,
    /// The programs that X-Mailer and User-Agent name, in lower case.
    pub(super) mailers: Vec<String>,
    /// The Message-ID, where it has Outlook's form.
    pub(super) outlook_id: Option<OutlookId<'a>>,
    /// Lists as data.
    pub(super) lists: &'a Lists,
    /// Brands as data.
    pub(super) brands: &'a Brands,
    /// The first From.
    pub(super) from: Option<&'a Mailbox>,
    /// Its domain; empty where there is none.
    pub(super) from_domain: String,
    /// Its display name, folded.
    pub(super) from_name: Folded,
    /// The sender's own domains: of From, of the account and of the reverse-path.
    own: Vec<Own>,
    /// The links that a click follows, or a form, with a host; at most [`LINKS_MAX`].
    pub(super) clicks: Vec<Click<'a>>,
    /// The different registered domains that they lead to, by the alphabet.
    sites: Vec<&'a str>,
    /// The hosts of somebody else that they lead to, in their order; not the same one twice in a row.
    pub(super) strange_hosts: Vec<&'a str>,
    /// The registered domains of clicks that are made to look like a brand's, with the brand.
    pub(super) imitations: Vec<(&'a str, &'a str)>,
    /// Of the subject.
    pub(super) subject: Folded,
    /// The text that a reader shows, folded.
    pub(super) text: Folded,
    finder: &'a WordFinder,
    /// Words of the subject.
    pub(super) subject_words: Found,
    /// Words of subject and text.
    pub(super) words: Found,
}

/// A domain of the sender's own.
struct Own {
    domain: String,
    /// Where in it the registered domain begins.
    site: usize,
}

impl Own {
    fn new(domain: String) -> Self {
        Self { site: domain.len() - site(&domain).len(), domain }
    }

    /// Whether a host of a registered domain is of the same.
    fn has(&self, host: &str, site: &str) -> bool {
        self.domain == host || self.domain[self.site..] == *site
    }
}

/// What a rule saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Evidence {
    /// A piece of the message that shows it, fit to be read.
    pub(super) example: Option<String>,
}

/// Whether a rule sees what it looks for.
pub(super) type Sight = Option<Evidence>;

/// It does, if this holds.
pub(super) fn seen(holds: bool) -> Sight {
    holds.then(Evidence::default)
}

/// It does, and this shows it.
#[expect(clippy::unnecessary_wraps, reason = "every rule ends in a sight")]
pub(super) fn example(piece: &str) -> Sight {
    let mut short: String = piece.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < piece.len() {
        short.push('…');
    }
    Some(Evidence { example: Some(Visible(&short).to_string()) })
}

impl<'a> Look<'a> {
    /// The HTML, where there is some.
    pub(super) fn html(&self) -> Option<&'a Html> {
        self.message.html.as_ref()
    }

    /// Works out what rules want to know.
    pub(super) fn new(
        submission: &'a Submission<'a>,
        lists: &'a Lists,
        brands: &'a Brands,
        finder: &'a WordFinder,
    ) -> Self {
        let message = submission.message;
        let from = message.from.first();
        let subject = Folded::new(&message.subject);
        let text = Folded::new(&message.text);
        let subject_words = finder.find(&subject);
        let words = finder.find(&text).with(&subject_words);
        let from_domain = from.and_then(Mailbox::domain).unwrap_or_default();
        let own = own(submission, &from_domain);
        let clicks = clicks(message, &own);
        let mut look = Self {
            message,
            submission,
            names: Names::of(&message.header),
            mailers: Vec::new(),
            outlook_id: None,
            lists,
            brands,
            from,
            own,
            from_domain,
            from_name: Folded::new(from.map_or("", |from| &from.name)),
            sites: clicks.iter().map(|click| click.site).collect(),
            strange_hosts: clicks.iter().filter(|click| !click.is_own).map(|click| click.link.host.as_str()).collect(),
            imitations: Vec::new(),
            clicks,
            subject,
            text,
            finder,
            subject_words,
            words,
        };
        look.mailers =
            ["X-Mailer", "User-Agent"].into_iter().flat_map(|name| look.fields(name)).map(str::to_lowercase).collect();
        look.outlook_id = look.field("Message-ID").and_then(OutlookId::read);
        look.strange_hosts.dedup();
        look.sites.sort_unstable();
        look.sites.dedup();
        look.imitations = look.sites().filter_map(|site| Some((site, brands.imitated(site)?))).collect();
        look
    }

    /// The value of the first field of that name, as [`Message::field`].
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        if self.names.may_have(name) { self.message.field(name) } else { None }
    }

    /// The values of all fields of that name, in their order.
    pub(super) fn fields(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        let header = if self.names.may_have(name) { self.message.header.as_slice() } else { &[] };
        header.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// Whether a field stands in the header.
    pub(super) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// Whether it stands there more than once.
    pub(super) fn has_two(&self, name: &str) -> bool {
        self.names.may_have_two(name) && self.message.count(name) > 1
    }

    /// How many different words of a topic stand in subject and text.
    pub(super) fn said(&self, topic: &str) -> usize {
        let topic = self.finder.topic(topic);
        debug_assert!(topic.is_some(), "no such topic");
        topic.map_or(0, |topic| self.words.of(topic).count())
    }

    /// In how many places of subject and text words of these topics stand, whatever topics hold them.
    pub(super) fn places(&self, topics: &[&str]) -> usize {
        debug_assert!(topics.iter().all(|topic| self.finder.topic(topic).is_some()), "no such topic");
        let topics = topics.iter().filter_map(|topic| self.finder.topic(topic));
        self.finder.places(topics.flat_map(|topic| self.words.of(topic)), [&self.text, &self.subject])
    }

    /// The domain of the reverse-path, where there is one.
    pub(super) fn reverse_path_domain(&self) -> Option<String> {
        reverse_path_domain(self.submission)
    }

    /// Whether the reverse-path is null; a file has none.
    pub(super) fn is_report_path(&self) -> bool {
        self.submission.envelope.is_some_and(|envelope| envelope.reverse_path == ReversePath::Null)
    }

    /// The account, where it was proven and not merely claimed by the sender.
    pub(super) fn proven_account(&self) -> Option<&'a str> {
        let source = self.submission.source.filter(|source| source.is_proven())?;
        debug_assert!(source != AccountSource::Client, "a client proves nothing");
        self.submission.account.map(crate::account::Account::as_str)
    }

    /// The local user that a script runs as, where the account is one.
    pub(super) fn local_user(&self) -> Option<&'a str> {
        let account = self.submission.account?.as_str();
        let (local, _) = account.split_once('@').unwrap_or((account, ""));
        account.strip_prefix("uid:").or(Some(local))
    }

    /// Whether a host belongs to the sender: to the domain of From, of the reverse-path or of the account.
    pub(super) fn is_own(&self, host: &str) -> bool {
        let site = site(host);
        self.own.iter().any(|own| own.has(host, site))
    }

    /// Whether the message answers another.
    pub(super) fn is_reply(&self) -> bool {
        self.field("In-Reply-To").is_some_and(|ids| ids.contains('<'))
            || self.field("References").is_some_and(|ids| ids.contains('<'))
    }

    /// Whether it says of itself that it goes to many.
    pub(super) fn is_bulk(&self) -> bool {
        let precedence = self.field("Precedence").unwrap_or_default().trim();
        ["bulk", "list", "junk"].iter().any(|word| precedence.eq_ignore_ascii_case(word))
            || self.has("List-Id")
            || self.submission.envelope.is_some_and(|envelope| envelope.recipients.len() >= BULK_RECIPIENTS)
    }

    /// The different registered domains that clicks lead to.
    pub(super) fn sites(&self) -> impl Iterator<Item = &'a str> {
        self.sites.iter().copied()
    }
}

/// Links that a click follows, taken apart. Many that follow each other lead to one host.
fn clicks<'a>(message: &'a Message, own: &[Own]) -> Vec<Click<'a>> {
    let links = message.links.iter().filter(|link| link.kind != LinkKind::Loaded && !link.host.is_empty());
    let mut clicks: Vec<Click<'_>> = Vec::new();
    for link in links.take(LINKS_MAX) {
        let (site, is_own) = match clicks.last() {
            Some(before) if before.link.host == link.host => (before.site, before.is_own),
            _ => {
                let site = site(&link.host);
                (site, own.iter().any(|own| own.has(&link.host, site)))
            }
        };
        clicks.push(Click::new(link, site, is_own));
    }
    clicks
}

fn own(submission: &Submission<'_>, from_domain: &str) -> Vec<Own> {
    let account = submission.account.and_then(crate::account::Account::domain).map(str::to_owned);
    let mut own: Vec<Own> = Vec::with_capacity(3);
    for domain in [Some(from_domain.to_owned()), account, reverse_path_domain(submission)].into_iter().flatten() {
        if !own.iter().any(|own| own.domain == domain) {
            own.push(Own::new(domain));
        }
    }
    own
}

fn reverse_path_domain(submission: &Submission<'_>) -> Option<String> {
    Some(submission.envelope?.reverse_path.address()?.domain().to_string())
}

/// A message to so many is sent to a list, whatever it says.
const BULK_RECIPIENTS: usize = 20;
