//! Marks of a message's form, each a name and a bin: what it is made of rather than what it says.
//!
//! Only what a person's or a shop's mail shares with others of its kind whoever sent it: no host, no file name. Counts are put in bins, so that no mark can weigh more because there is much of it.

use super::features::named;
use super::sender;
use super::text::{SubjectMark, Tally};
use crate::message::{Content, Link, LinkKind, Message};

/// One mark: a name, and which of its bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// What was looked at.
    pub name: &'static str,
    /// Which of its bins.
    pub bin: u8,
}

impl Mark {
    /// The hash under which the model knows it.
    pub fn hash(self) -> u32 {
        named(self.name, 0x6d61_726b + u64::from(self.bin))
    }

    /// Whether it was read from the sender's header fields.
    pub(super) fn is_of_sender(self) -> bool {
        sender::is_of_sender(self.name)
    }
}

/// The marks of a message.
pub(super) fn of(message: &Message, subject_mark: SubjectMark, subject: &Tally, body: &Tally) -> Vec<Mark> {
    let mut marks = Vec::with_capacity(56);
    let mut put = |name: &'static str, bin: u8| marks.push(Mark { name, bin });
    put("subject-mark", subject_mark as u8);
    put("subject-words", doubling(subject.words.into()));
    put("subject-shouted", at_most(subject.shouted, 3));
    put("subject-exclaims", at_most(subject.exclamations, 2));
    put("subject-digits", u8::from(subject.digits > 0) + u8::from(subject.digits > 5));
    put("subject-money", at_most(subject.money, 1));
    put("text-words", doubling(body.words.into()));
    put("text-quoted", share(body.quoted_lines, body.lines));
    put("text-shouted", share(body.shouted * 4, body.words));
    put("text-upper", share(body.upper * 3, body.letters));
    put("text-digits", share(body.digits * 3, body.letters + body.digits));
    put("text-exclaims", doubling(body.exclamations.into()).min(5));
    put("text-money", doubling(body.money.into()).min(4));
    put("text-addresses", doubling(body.addresses.into()).min(4));
    put("text-urls", doubling(body.urls.into()).min(5));
    put("text-invisible", doubling(body.invisible.into()).min(4));
    let scripts = [(0_u8, body.cyrillic), (1, body.spaceless), (2, body.other), (3, body.latin)];
    let most = scripts.iter().max_by_key(|(_, n)| *n).map_or(3, |(i, _)| *i);
    put("text-script", if body.letters == 0 { 9 } else { most });
    let second = scripts.iter().filter(|(i, _)| *i != most).map(|(_, n)| *n).max().unwrap_or(0);
    put("text-scripts-mixed", share(second * 4, body.letters));
    html(message, &mut put);
    links(&message.links, body.words, &mut put);
    attachments(message, &mut put);
    sender::put(message, &mut put);
    marks
}

fn html(message: &Message, put: &mut impl FnMut(&'static str, u8)) {
    let Some(html) = &message.html else {
        put("html", 0);
        return;
    };
    put("html", 1 + u8::from(!message.plain.trim().is_empty()));
    put("html-images", doubling(html.images.into()).min(5));
    put("html-image-only", u8::from(html.images > 0 && html.visible.trim().len() < 200));
    put("html-scripts", at_most(html.scripts, 1));
    put("html-forms", at_most(html.forms, 1));
    put("html-hidden", doubling(html.hidden.len() as u64 / 16).min(6));
    put("html-camouflaged", doubling(html.camouflaged_chars.into()).min(4));
    put("html-pixels", at_most(html.pixels, 1));
    let text_bytes = html.visible.len() as u64 + 1;
    put("html-markup", doubling(html.size_bytes / text_bytes).min(7));
}

fn links(links: &[Link], words: u32, put: &mut impl FnMut(&'static str, u8)) {
    let clicked: Vec<&Link> =
        links.iter().filter(|l| matches!(l.kind, LinkKind::Anchor | LinkKind::Written | LinkKind::Form)).collect();
    put("links", doubling(clicked.len() as u64).min(6));
    let mut hosts: Vec<&str> = clicked.iter().map(|l| l.host.as_str()).filter(|h| !h.is_empty()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    put("link-hosts", doubling(hosts.len() as u64).min(4));
    put("link-density", share(clicked.len() * 10, words));
    if clicked.iter().any(|l| l.scheme == "mailto") {
        put("link-mailto", 1);
    }
    for (name, is_so) in HOST_KINDS {
        if hosts.iter().any(|host| is_so(host)) {
            put(name, 1);
        }
    }
    let written_elsewhere = |l: &Link| {
        let shown = l.visible.trim().to_ascii_lowercase();
        shown.contains('.')
            && !shown.contains(' ')
            && !l.host.is_empty()
            && shown.len() < 100
            && (shown.starts_with("http") || shown.starts_with("www."))
            && !shown.contains(l.host.trim_start_matches("www."))
    };
    if clicked.iter().filter(|l| l.kind == LinkKind::Anchor).any(|l| written_elsewhere(l)) {
        put("link-shows-other", 1);
    }
    let secure = clicked.iter().filter(|l| l.scheme == "https").count();
    let open = clicked.iter().filter(|l| l.scheme == "http").count();
    put("link-open-http", if secure + open == 0 { 0 } else { 1 + share(open, secure + open) });
}

type HostTest = fn(&str) -> bool;

/// Kinds of hosts that a link may lead to.
const HOST_KINDS: [(&str, HostTest); 5] = [
    ("host-number", |h| h.parse::<std::net::IpAddr>().is_ok()),
    ("host-punycode", |h| h.contains("xn--")),
    ("host-shortener", |h| SHORTENERS.contains(&h.trim_start_matches("www."))),
    ("host-free-pages", |h| FREE_PAGES.iter().any(|end| h.ends_with(end))),
    ("host-deep", |h| h.bytes().filter(|b| *b == b'.').count() >= 4),
];

const SHORTENERS: [&str; 20] = [
    "bit.ly",
    "t.co",
    "tinyurl.com",
    "goo.gl",
    "ow.ly",
    "is.gd",
    "buff.ly",
    "cutt.ly",
    "rb.gy",
    "shorturl.at",
    "t.ly",
    "s.id",
    "rebrand.ly",
    "tiny.cc",
    "lnkd.in",
    "v.gd",
    "qrco.de",
    "bl.ink",
    "urlz.fr",
    "x.gd",
];

/// Where anybody can put a page without a name of their own.
const FREE_PAGES: [&str; 30] = [
    "blogspot.com",
    "weebly.com",
    "wixsite.com",
    "web.app",
    "firebaseapp.com",
    "github.io",
    "netlify.app",
    "vercel.app",
    "pages.dev",
    "workers.dev",
    "r2.dev",
    "herokuapp.com",
    "glitch.me",
    "storage.googleapis.com",
    "windows.net",
    "amazonaws.com",
    "azurewebsites.net",
    "translate.goog",
    "forms.gle",
    "docs.google.com",
    "sites.google.com",
    "jotform.com",
    "typeform.com",
    "telegra.ph",
    "ipfs.io",
    "dweb.link",
    "duckdns.org",
    "ngrok.io",
    "geocities.com",
    "tripod.com",
];

fn attachments(message: &Message, put: &mut impl FnMut(&'static str, u8)) {
    put("attachments", doubling(message.attachments.iter().filter(|a| !a.inline).count() as u64).min(3));
    for attachment in &message.attachments {
        let name = match attachment.content {
            Content::Media => "attached-media",
            Content::Pdf => "attached-pdf",
            Content::Office => "attached-office",
            Content::Archive => "attached-archive",
            Content::Program => "attached-program",
            Content::Script => "attached-script",
            Content::Message => "attached-message",
            Content::Text => "attached-text",
            Content::Unknown => continue,
        };
        put(name, u8::from(attachment.inline));
    }
    if message.shape.report {
        put("report", 1);
    }
    if message.shape.secured {
        put("secured", 1);
    }
}

/// 0, 1, 2–3, 4–7, … as 0, 1, 2, 3, …
pub(super) fn doubling(count: u64) -> u8 {
    u8::try_from(64 - count.leading_zeros()).unwrap_or(64)
}

/// A count, cut off.
pub(super) fn at_most(count: u32, most: u8) -> u8 {
    u8::try_from(count).unwrap_or(most).min(most)
}

/// A share in eighths, nothing apart.
fn share(part: impl TryInto<u64>, whole: impl TryInto<u64>) -> u8 {
    match (part.try_into().unwrap_or(0), whole.try_into().unwrap_or(0)) {
        (0, _) | (_, 0) => 0,
        (part, whole) => 1 + u8::try_from((part * 8 / whole).min(7)).unwrap_or(7),
    }
}
