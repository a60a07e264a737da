//! Whether `abuse@` and `postmaster@` of a sending domain take mail: asked of its servers, with RCPT and no content.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::visit::{Visit, address, connect, servers};
use super::{Check, Grade};
use crate::align::dns::Lookup;
use crate::mail::Visible;
use crate::smtp::client::{PeerReply, Tone};

const WHY: &str =
    "complaints go there, and receivers that hear nothing of them block in their place (RFC 2142, RFC 5321 4.5.1)";
/// Servers of a domain that are tried.
const HOSTS_MAX: usize = 2;

/// Who asks, and for what.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The domain.
    pub domain: String,
    /// Local parts.
    pub mailboxes: Vec<String>,
    /// The egress's own address, and one of its family.
    pub from: Option<IpAddr>,
    pub like: Option<IpAddr>,
    /// Its EHLO name.
    pub ehlo: String,
    /// For each connection and each reply.
    pub time_limit: Duration,
    /// Where mail is taken.
    pub port: u16,
}

/// What a server says of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deliverable {
    /// It takes mail for it.
    Yes {
        /// Which server.
        server: String,
    },
    /// It does not.
    No {
        /// Which server.
        server: String,
        /// Its words.
        reply: String,
    },
    /// Nothing can be told now; why.
    Unknown(String),
}

/// Asks the best server that is reached. Each mailbox has an answer.
pub(super) async fn ask(dns: Arc<dyn Lookup>, question: Question) -> Vec<(String, Deliverable)> {
    let mut why = "DNS names no mail server of its domain".to_owned();
    for host in servers(&*dns, &question.domain, HOSTS_MAX).await {
        let Some(ip) = address(&*dns, &host, question.from.or(question.like)).await else {
            why = format!("{} has no address that the egress can reach", Visible(&host));
            continue;
        };
        let server = format!("{} ({ip})", Visible(&host));
        match connect(SocketAddr::new(ip, question.port), question.from, question.time_limit).await {
            Ok(stream) => return talk(Visit::new(stream, question.time_limit), &server, &question).await,
            Err(fault) => why = format!("{server} is not reached: {fault}"),
        }
    }
    all_unknown(&question.mailboxes, &why)
}

fn all_unknown(mailboxes: &[String], why: &str) -> Vec<(String, Deliverable)> {
    mailboxes.iter().map(|mailbox| (mailbox.clone(), Deliverable::Unknown(why.to_owned()))).collect()
}

async fn talk(mut visit: Visit, server: &str, question: &Question) -> Vec<(String, Deliverable)> {
    let mut answers = Vec::new();
    let begun = begin(&mut visit, question).await;
    let mut trouble = begun.err().map(|words| format!("{server}: {words}"));
    for mailbox in &question.mailboxes {
        let answer = match &trouble {
            Some(why) => Deliverable::Unknown(why.clone()),
            None => match visit.say(&format!("RCPT TO:<{mailbox}@{}>", question.domain)).await {
                Ok(reply) => read(server, &reply),
                Err(words) => {
                    let why = format!("{server}: {words}");
                    trouble = Some(why.clone());
                    Deliverable::Unknown(why)
                }
            },
        };
        answers.push((mailbox.clone(), answer));
    }
    visit.quit().await;
    answers
}

/// Up to MAIL with the null reverse-path, which no bounce follows.
async fn begin(visit: &mut Visit, question: &Question) -> Result<(), String> {
    let expect = |reply: PeerReply, to: &str| {
        if reply.tone() == Tone::Done { Ok(()) } else { Err(format!("it answers {to} with {reply}")) }
    };
    expect(visit.reply().await?, "the connection")?;
    if visit.say(&format!("EHLO {}", question.ehlo)).await?.tone() != Tone::Done {
        expect(visit.say(&format!("HELO {}", question.ehlo)).await?, "HELO")?;
    }
    expect(visit.say("MAIL FROM:<>").await?, "MAIL FROM:<>")
}

/// A refusal speaks of the mailbox, or of us: only the first says that it does not take mail.
fn read(server: &str, reply: &PeerReply) -> Deliverable {
    let of_mailbox = match reply.enhanced.map(|enhanced| enhanced.subject) {
        Some(1 | 2) => true,
        Some(7) => reply.text.to_ascii_lowercase().contains("relay"), // its server does not know the domain
        Some(_) => false,
        None => matches!(reply.code, 550 | 551 | 553),
    };
    match reply.tone() {
        Tone::Done => Deliverable::Yes { server: server.to_owned() },
        Tone::Never if of_mailbox => Deliverable::No { server: server.to_owned(), reply: reply.to_string() },
        Tone::GoOn | Tone::NotNow | Tone::Never => Deliverable::Unknown(format!("{server} answers {reply}")),
    }
}

/// What is said of it.
pub(super) fn tell(domain: &str, mailbox: &str, deliverable: &Deliverable, check: Check<'_>) {
    match deliverable {
        Deliverable::Yes { server } => check.right(format!("{server} takes mail for {mailbox}@{domain}")),
        Deliverable::Unknown(why) => check.unknown(format!("{mailbox}@{domain}: {}", Visible(why))),
        Deliverable::No { server, reply } => {
            let found = format!("{server} refuses {mailbox}@{domain}: {}", Visible(reply));
            let mend =
                format!("let {mailbox}@{domain} reach a person, at its mail server: an alias such as {mailbox}: root");
            check.tell(Grade::Warning, found, WHY, mend);
        }
    }
}

#[cfg(test)]
mod tests;
