//! Messages for the tables of hits and near misses: an ordinary one, changed in the point that a case is about.

use crate::account::{Account, AccountSource};
use crate::clock::WallMs;
use crate::mail::{Address, BodyType, Envelope, Recipient, ReversePath};
use crate::message::{Attachment, Content, DateField, HeaderField, Html, Link, LinkKind, Mailbox, Message, Page};
use crate::score::{ScoreSettings, Submission};

use super::Rules;
use super::registry::Rule;

/// When every sample comes: 2026-11-21 12:00 UTC.
pub(super) const AT_S: i64 = 1_795_262_400;

/// A message with its submission.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    pub(super) message: Message,
    envelope: Option<Envelope>,
    account: Option<Account>,
    source: Option<AccountSource>,
}

/// One line of a table.
pub(super) struct Case {
    rule: &'static str,
    hits: bool,
    why: &'static str,
    mail: Mail,
}

/// The rule sees it.
pub(super) fn hit(rule: &'static str, why: &'static str, mail: Mail) -> Case {
    Case { rule, hits: true, why, mail }
}

/// The rule does not.
pub(super) fn miss(rule: &'static str, why: &'static str, mail: Mail) -> Case {
    Case { rule, hits: false, why, mail }
}

/// Runs a table, and says which rule of the family has no hit or no miss in it.
pub(super) fn check(family: &[Rule], cases: Vec<Case>) {
    let rules = Rules::new(&ScoreSettings::default()).unwrap();
    let mut seen: Vec<(&str, bool)> = Vec::new();
    for Case { rule, hits, why, mail } in cases {
        assert!(family.iter().any(|own| own.name == rule), "{rule} is no rule of this family");
        let reasons = mail.reasons(&rules);
        let names: Vec<&str> = reasons.iter().map(|reason| &*reason.name).collect();
        assert_eq!(names.contains(&rule), hits, "{rule}: {why}; seen are {names:?}");
        seen.push((rule, hits));
    }
    for rule in family {
        assert!(seen.contains(&(rule.name, true)), "{} has no hit", rule.name);
        assert!(seen.contains(&(rule.name, false)), "{} has no near miss", rule.name);
    }
}

/// An ordinary message of alice@example.org to bob@example.net that no rule sees anything in.
pub(super) fn mail() -> Mail {
    let mut mail = Mail { message: Message::default(), envelope: None, account: None, source: None }
        .from("Alice <alice@example.org>");
    mail = mail.field("Date", "Sat, 21 Nov 2026 13:00:00 +0100");
    mail.message.date = DateField::At { unix_s: AT_S, zone_min: 60 };
    mail.field("Message-ID", "<1234@mail.example.org>")
        .to("bob@example.net")
        .subject("Minutes of our meeting")
        .text(ORDINARY)
        .reverse_path("alice@example.org")
        .recipients(&["bob@example.net"])
        .account("alice@example.org", AccountSource::Login)
}

/// A text that says nothing to any rule.
pub(super) const ORDINARY: &str = "Dear Bob,\n\nthe minutes of our meeting on Tuesday are ready. We agreed on the new \
    schedule for the spring and on the order of the talks. Please tell me until Friday whether something is missing.\n\n\
    Kind regards\nAlice";

impl Mail {
    /// What the rules say.
    pub(super) fn reasons(&self, rules: &Rules) -> Vec<crate::reason::Reason> {
        rules.evaluate(&Submission {
            message: &self.message,
            envelope: self.envelope.as_ref(),
            account: self.account.as_ref(),
            source: self.source,
            client: None,
            at: WallMs(u64::try_from(AT_S).unwrap() * 1_000),
        })
    }

    /// A field in place of those of that name.
    pub(super) fn field(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    /// One more field.
    pub(super) fn also(mut self, name: &str, value: &str) -> Self {
        self.message.header.push(HeaderField { name: name.to_owned(), value: value.to_owned() });
        self
    }

    /// No such field.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.message.header.retain(|field| !field.name.eq_ignore_ascii_case(name));
        match name {
            "From" => self.message.from.clear(),
            "To" => self.message.to.clear(),
            "Date" => self.message.date = DateField::Missing,
            "Subject" => self.message.subject.clear(),
            _ => {}
        }
        self
    }

    /// Another Date.
    pub(super) fn date(mut self, date: DateField) -> Self {
        self.message.date = date;
        self
    }

    /// Another From.
    pub(super) fn from(self, written: &str) -> Self {
        let mut mail = self.field("From", written);
        mail.message.from = mailboxes(written);
        mail
    }

    /// Another To.
    pub(super) fn to(self, written: &str) -> Self {
        let mut mail = self.field("To", written);
        mail.message.to = mailboxes(written);
        mail
    }

    /// A Reply-To.
    pub(super) fn reply_to(self, written: &str) -> Self {
        let mut mail = self.field("Reply-To", written);
        mail.message.reply_to = mailboxes(written);
        mail
    }

    /// Another subject.
    pub(super) fn subject(self, subject: &str) -> Self {
        let mut mail = self.field("Subject", subject);
        subject.clone_into(&mut mail.message.subject);
        mail
    }

    /// Another text.
    pub(super) fn text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.message.text);
        text.clone_into(&mut self.message.plain);
        self
    }

    /// The text in HTML, too.
    pub(super) fn html(mut self, change: impl FnOnce(&mut Html)) -> Self {
        let visible = self.message.text.clone();
        let mut html = Html { size_bytes: visible.len() as u64 + 200, visible, elements: 10, ..Html::default() };
        change(&mut html);
        self.message.html = Some(html);
        self
    }

    /// A link that is clicked.
    pub(super) fn click(self, target: &str, visible: &str) -> Self {
        self.link(LinkKind::Anchor, target, visible)
    }

    /// A link.
    pub(super) fn link(mut self, kind: LinkKind, target: &str, visible: &str) -> Self {
        let (scheme, rest) = target.split_once(':').unwrap_or(("", target));
        let authority = rest.strip_prefix("//").unwrap_or("").split(['/', '?', '#']).next().unwrap();
        let host = authority.rsplit('@').next().unwrap().split(':').next().unwrap();
        self.message.links.push(Link {
            kind,
            target: target.to_owned(),
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            visible: visible.to_owned(),
        });
        self
    }

    /// Another host of the last link, where cutting it out of the target is too simple.
    pub(super) fn with_host(mut self, host: &str) -> Self {
        if let Some(link) = self.message.links.last_mut() {
            host.clone_into(&mut link.host);
        }
        self
    }

    /// A file.
    pub(super) fn file(self, name: &str, declared: &str, content: Content) -> Self {
        self.attachment(name, declared, content, |_| {})
    }

    /// A file with more to say about it.
    pub(super) fn attachment(
        mut self,
        name: &str,
        declared: &str,
        content: Content,
        change: impl FnOnce(&mut Attachment),
    ) -> Self {
        let mut attachment = Attachment {
            name: name.to_owned(),
            declared: declared.to_owned(),
            content,
            size_bytes: 20_000,
            inline: false,
            contains: Vec::new(),
            encrypted: false,
            macros: false,
            page: Page::default(),
        };
        change(&mut attachment);
        self.message.attachments.push(attachment);
        self
    }

    /// Handed over with SMTPUTF8.
    pub(super) fn smtputf8(mut self) -> Self {
        self.envelope_mut().smtputf8 = true;
        self
    }

    /// Another reverse-path; empty is null.
    pub(super) fn reverse_path(mut self, path: &str) -> Self {
        self.envelope_mut().reverse_path = ReversePath::parse(path.as_bytes()).unwrap();
        self
    }

    /// Other recipients.
    pub(super) fn recipients(mut self, addresses: &[&str]) -> Self {
        let parsed = addresses.iter().map(|text| Recipient::plain(Address::parse(text.as_bytes()).unwrap()));
        self.envelope_mut().recipients = parsed.collect();
        self
    }

    /// So many recipients at example.net.
    pub(super) fn many_recipients(self, count: usize) -> Self {
        let addresses: Vec<String> = (0..count).map(|n| format!("reader{n}@example.net")).collect();
        self.recipients(&addresses.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Another account.
    pub(super) fn account(mut self, name: &str, source: AccountSource) -> Self {
        self.account = Some(Account::named(name));
        self.source = Some(source);
        self
    }

    /// As read from a file: nothing is known of a submission.
    pub(super) fn without_submission(mut self) -> Self {
        (self.envelope, self.account, self.source) = (None, None, None);
        self
    }

    fn envelope_mut(&mut self) -> &mut Envelope {
        self.envelope.get_or_insert_with(|| Envelope {
            reverse_path: ReversePath::Null,
            recipients: Vec::new(),
            body: BodyType::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
        })
    }
}

/// `Name <address>, address`: enough for samples.
fn mailboxes(written: &str) -> Vec<Mailbox> {
    let one = |text: &str| match text.split_once('<') {
        Some((name, rest)) => {
            Mailbox { name: name.trim().trim_matches('"').to_owned(), address: rest.trim_end_matches('>').to_owned() }
        }
        None => Mailbox { name: String::new(), address: text.trim().to_owned() },
    };
    written.split(", ").map(one).collect()
}
