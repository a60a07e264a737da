//! Whether `abuse@` and `postmaster@` of a sending domain take mail: asked of its servers, with RCPT and no content.
//!
//! Who refuses us says nothing of the mailbox ([`reading`]). Then the next egress asks, and where all are refused it is
//! told as not known.

mod reading;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use self::reading::{Reading, read};
use super::visit::{Visit, address, connect, servers};
use super::{Check, Grade};
use crate::align::dns::Lookup;
use crate::mail::Visible;
use crate::smtp::client::{Extensions, PeerReply, Tone};

const WHY: &str =
    "complaints go there, and receivers that hear nothing of them block in their place (RFC 2142, RFC 5321 4.5.1)";
/// Servers of a domain that are tried.
const HOSTS_MAX: usize = 2;
/// Egresses that ask, one after the other, where the one before was not served.
const ASKERS_MAX: usize = 3;

/// Who asks, and for what.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The domain.
    pub domain: String,
    /// Local parts.
    pub mailboxes: Vec<String>,
    /// Who may ask, the first first.
    pub askers: Vec<Asker>,
    /// For each connection and each reply.
    pub time_limit: Duration,
    /// For all of it; what is known by then is told.
    pub whole: Duration,
    /// Where mail is taken.
    pub port: u16,
    /// For servers that want TLS first. Any certificate is taken: no mail is sent, and what is asked is no secret.
    pub tls: Arc<ClientConfig>,
}

/// One way out of an egress.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    /// The egress's own address, and one of its family.
    pub from: Option<IpAddr>,
    pub like: Option<IpAddr>,
    /// What the world sees.
    pub seen: Option<IpAddr>,
    /// Its EHLO name.
    pub ehlo: String,
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
    /// Its server takes no mail for the domain.
    NoDomain {
        /// Which server.
        server: String,
        /// Its words.
        reply: String,
    },
    /// It could not be asked; why.
    Unknown(String),
}

/// What is known so far. Each mailbox has an answer.
type Answers = Vec<(String, Deliverable)>;

/// What is told before a server was reached.
const NOBODY: &str = "DNS names no mail server of its domain, or does not answer";

/// Asks the best server that is reached, from one egress after the other until all is known.
pub(super) async fn ask(dns: Arc<dyn Lookup>, question: Question) -> Answers {
    let unknown = |mailbox: &String| (mailbox.clone(), Deliverable::Unknown(NOBODY.to_owned()));
    let mut answers: Answers = question.mailboxes.iter().map(unknown).collect();
    let asking = async {
        for host in servers(&*dns, &question.domain, HOSTS_MAX).await {
            for asker in question.askers.iter().take(ASKERS_MAX) {
                if let Err(why) = of_host(&*dns, &question, asker, &host, &mut answers).await {
                    not_asked(&mut answers, &why);
                }
                if !answers.iter().any(|(_, answer)| matches!(answer, Deliverable::Unknown(_))) {
                    return;
                }
            }
        }
    };
    let _ = tokio::time::timeout(question.whole, asking).await; // what is known is told
    answers
}

/// The first reason stands: what a server said to one egress tells more than that another did not reach it.
fn not_asked(answers: &mut Answers, why: &str) {
    for (_, answer) in answers {
        if matches!(answer, Deliverable::Unknown(before) if before == NOBODY) {
            *answer = Deliverable::Unknown(why.to_owned());
        }
    }
}

/// Asks one server from one egress for what is not known yet; or why it was not asked.
async fn of_host(
    dns: &dyn Lookup,
    question: &Question,
    asker: &Asker,
    host: &str,
    answers: &mut Answers,
) -> Result<(), String> {
    let shown = Visible(host);
    let ip = address(dns, host, asker.from.or(asker.like)).await;
    let ip = ip.ok_or_else(|| format!("{shown} has no address that the egress can reach"))?;
    let server = format!("{shown} ({ip})");
    let connected = connect(SocketAddr::new(ip, question.port), asker.from, question.time_limit).await;
    let stream = connected.map_err(|fault| format!("{server} is not reached: {fault}"))?;
    let begun = begin(Visit::new(stream, question.time_limit), question, asker, host).await;
    let mut visit = begun.map_err(|words| format!("{server} was not asked: {words}"))?;
    for (mailbox, answer) in answers.iter_mut().filter(|(_, answer)| matches!(answer, Deliverable::Unknown(_))) {
        let path = format!("{mailbox}@{}", question.domain);
        let reply = visit.say(&format!("RCPT TO:<{path}>")).await.map_err(|words| format!("{server}: {words}"))?;
        *answer = told(&server, &reply, read(&reply, &path, asker.seen));
    }
    visit.quit().await;
    Ok(())
}

/// Up to MAIL with the null reverse-path, which no bounce follows; encrypted where the server demands it (RFC 3207 4).
async fn begin(mut visit: Visit, question: &Question, asker: &Asker, host: &str) -> Result<Visit, String> {
    expect(&visit.reply().await?, "the connection")?;
    let offers_tls = greet(&mut visit, &asker.ehlo).await?;
    let reply = visit.say("MAIL FROM:<>").await?;
    if !(offers_tls && demands_tls(&reply)) {
        return expect(&reply, "MAIL FROM:<>").map(|()| visit);
    }
    expect(&visit.say("STARTTLS").await?, "STARTTLS")?;
    let mut visit = visit.encrypted(host, &question.tls).await?;
    greet(&mut visit, &asker.ehlo).await?;
    expect(&visit.say("MAIL FROM:<>").await?, "MAIL FROM:<>")?;
    Ok(visit)
}

/// EHLO, or HELO; whether the server offers TLS.
async fn greet(visit: &mut Visit, ehlo: &str) -> Result<bool, String> {
    let reply = visit.say(&format!("EHLO {ehlo}")).await?;
    if reply.tone() == Tone::Done {
        return Ok(Extensions::of(&reply).starttls);
    }
    expect(&visit.say(&format!("HELO {ehlo}")).await?, "HELO")?;
    Ok(false)
}

fn expect(reply: &PeerReply, to: &str) -> Result<(), String> {
    if reply.tone() == Tone::Done { Ok(()) } else { Err(format!("it answers {to} with {reply}")) }
}

fn demands_tls(reply: &PeerReply) -> bool {
    reply.tone() == Tone::Never && (reply.code == 530 || reply.text.to_ascii_uppercase().contains("STARTTLS"))
}

fn told(server: &str, reply: &PeerReply, reading: Reading) -> Deliverable {
    let (server, reply) = (server.to_owned(), reply.to_string());
    let unknown = |of: &str| Deliverable::Unknown(format!("{server} answers {reply}, {of}"));
    match reading {
        Reading::Takes => Deliverable::Yes { server },
        Reading::NoMailbox => Deliverable::No { server, reply },
        Reading::NoDomain => Deliverable::NoDomain { server, reply },
        Reading::Us => unknown("which speaks of this server and not of the mailbox"),
        Reading::Later => unknown("which asks to come back later"),
        Reading::Unclear => unknown("which does not say whether it means the mailbox or this server"),
    }
}

/// What is said of it.
pub(super) fn tell(domain: &str, mailbox: &str, deliverable: &Deliverable, check: Check<'_>) {
    match deliverable {
        Deliverable::Yes { server } => check.right(format!("{server} takes mail for {mailbox}@{domain}")),
        Deliverable::Unknown(why) => {
            check.unknown(format!("{mailbox}@{domain} could not be asked about: {}", Visible(why)));
        }
        Deliverable::No { server, reply } => {
            let found = format!("{server} refuses {mailbox}@{domain}: {}", Visible(reply));
            let mend =
                format!("let {mailbox}@{domain} reach a person, at its mail server: an alias such as {mailbox}: root");
            check.tell(Grade::Warning, found, WHY, mend);
        }
        Deliverable::NoDomain { server, reply } => {
            let found = format!("{server} does not know {domain}: {}", Visible(reply));
            let mend = format!(
                "make {domain} a domain of that server (Postfix: mydestination or virtual_mailbox_domains), or name \
                 another: {domain}. IN MX 10 the server that takes its mail"
            );
            check.tell(Grade::Warning, found, WHY, mend);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
