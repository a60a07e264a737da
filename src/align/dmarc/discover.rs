//! Finding a domain's record and its organizational domain.

use super::record::{Mode, Parsed, Policy, PublicSuffix, Record};
use crate::align::dns::{Kind, Lookup, NoAnswer, is_name, texts};
use crate::align::settings::DiscoverySettings;

/// How a receiver finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// By the Public Suffix List (RFC 7489 3.2 and 6.6.3).
    PublicSuffix,
    /// By walking up the DNS tree (RFC 9989 4.10).
    TreeWalk,
}

impl Method {
    /// Those that the settings ask for.
    pub fn of(settings: DiscoverySettings) -> &'static [Self] {
        match settings {
            DiscoverySettings::PublicSuffix => &[Self::PublicSuffix],
            DiscoverySettings::TreeWalk => &[Self::TreeWalk],
            DiscoverySettings::Both => &[Self::TreeWalk, Self::PublicSuffix],
        }
    }
}

/// What a receiver of one kind finds for a From domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// How the organizational domains of others are to be found for a comparison with this one.
    pub compares_by: Method,
    /// Its organizational domain.
    pub organizational: Box<str>,
    /// What applies; `None`: there is no record, DMARC does not apply.
    pub applied: Option<Applied>,
    /// A record that is no use: where, and why. For people.
    pub fault: Option<Box<str>>,
}

/// The record that applies, as it applies to this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Whose record it is.
    pub record_of: Box<str>,
    /// What is asked for mail that fails: `p=`, `sp=` or `np=`, made milder by `t=y` (RFC 9989) or `pct=0` (RFC 7489). A
    /// `pct=` between is a lottery, and counts as drawn.
    pub policy: Policy,
    /// How alike the domain of a DKIM signature must be.
    pub dkim: Mode,
    /// How alike the domain that SPF passed for must be.
    pub spf: Mode,
}

impl View {
    /// Whether an authenticated domain speaks for the From domain. `theirs` is its organizational domain.
    pub fn is_aligned(&self, author: &str, domain: &str, theirs: &str, mode: Mode) -> bool {
        domain == author || mode == Mode::Relaxed && theirs == &*self.organizational
    }

    /// What is asked for mail that fails.
    pub fn policy(&self) -> Policy {
        self.applied.as_ref().map_or(Policy::None, |applied| applied.policy)
    }

    /// The mode for DKIM; relaxed where no record applies.
    pub fn dkim_mode(&self) -> Mode {
        self.applied.as_ref().map_or(Mode::Relaxed, |applied| applied.dkim)
    }

    /// The mode for SPF; relaxed where no record applies.
    pub fn spf_mode(&self) -> Mode {
        self.applied.as_ref().map_or(Mode::Relaxed, |applied| applied.spf)
    }
}

/// What a receiver of one kind finds for a From domain, which is in its comparable form.
///
/// # Errors
/// DNS gives no answer to rely on.
pub async fn discover(dns: &dyn Lookup, author: &str, method: Method) -> Result<View, NoAnswer> {
    match method {
        Method::PublicSuffix => by_list(dns, author).await,
        Method::TreeWalk => by_walk(dns, author).await,
    }
}

/// The organizational domain of an authenticated domain.
///
/// # Errors
/// DNS gives no answer to rely on.
pub async fn organizational(dns: &dyn Lookup, domain: &str, method: Method) -> Result<Box<str>, NoAnswer> {
    match method {
        Method::PublicSuffix => Ok(registered(domain).into()),
        Method::TreeWalk => Ok(walk(dns, domain).await?.organizational(domain).unwrap_or(domain).into()),
    }
}

/// The domain right under the public suffix; a suffix itself is taken as it is.
fn registered(domain: &str) -> &str {
    psl::domain_str(domain).unwrap_or(domain)
}

async fn by_list(dns: &dyn Lookup, author: &str) -> Result<View, NoAnswer> {
    let organizational = registered(author);
    let mut fault = None;
    let mut found = published(dns, author, &mut fault).await?.map(|record| (author, record));
    if found.is_none() && organizational != author {
        found = published(dns, organizational, &mut fault).await?.map(|record| (organizational, record));
    }
    let applied = found.map(|(record_of, record)| {
        let asked = if record_of == author { record.policy } else { record.subdomains.unwrap_or(record.policy) };
        let policy = if record.percent == 0 { asked.milder() } else { asked };
        Applied { record_of: record_of.into(), policy, dkim: record.dkim, spf: record.spf }
    });
    Ok(View { compares_by: Method::PublicSuffix, organizational: organizational.into(), applied, fault })
}

async fn by_walk(dns: &dyn Lookup, author: &str) -> Result<View, NoAnswer> {
    let walk = walk(dns, author).await?;
    let Some(organizational) = walk.organizational(author) else {
        // Where DMARC does not apply a receiver that asks for alignment all the same has no tree to walk.
        let organizational = registered(author).into();
        return Ok(View { compares_by: Method::PublicSuffix, organizational, applied: None, fault: walk.fault });
    };
    // That of the domain, of its organizational domain, of the public suffix (RFC 9989 4.10.1).
    let at = |domain: &str| walk.found.iter().find(|(name, _)| name == domain);
    let chosen = at(author).or_else(|| at(organizational)).or(walk.found.last());
    let applied = match chosen {
        None => None,
        Some((record_of, record)) => Some(Applied {
            record_of: record_of.as_str().into(),
            policy: asked(dns, author, record_of, record).await?,
            dkim: record.dkim,
            spf: record.spf,
        }),
    };
    let organizational = organizational.into();
    Ok(View { compares_by: Method::TreeWalk, organizational, applied, fault: walk.fault })
}

/// The policy of RFC 9989 4.7 for a domain, from a record of it or above it.
async fn asked(dns: &dyn Lookup, author: &str, record_of: &str, record: &Record) -> Result<Policy, NoAnswer> {
    let of_subdomains = record.subdomains.unwrap_or(record.policy);
    let asked = match record.nonexistent {
        _ if record_of == author => record.policy,
        Some(policy) if policy != of_subdomains => match dns.ask(author, Kind::Text).await.answer {
            Err(NoAnswer::NoSuchName) => policy,
            Ok(_) | Err(NoAnswer::NoRecords) => of_subdomains,
            Err(failed @ NoAnswer::Failed(_)) => return Err(failed),
        },
        _ => of_subdomains,
    };
    Ok(if record.testing { asked.milder() } else { asked })
}

/// The records of a domain and of those above it, from the longest name to the shortest.
struct Walk {
    found: Vec<(String, Record)>,
    fault: Option<Box<str>>,
}

impl Walk {
    /// RFC 9989 4.10.2; `None` where no record was found.
    fn organizational<'a>(&'a self, start: &'a str) -> Option<&'a str> {
        for (name, record) in &self.found {
            match record.public_suffix {
                PublicSuffix::No => return Some(name),
                PublicSuffix::Yes if name != start => return Some(below(start, name)),
                PublicSuffix::Yes | PublicSuffix::Unsaid => {}
            }
        }
        self.found.last().map(|(name, _)| name.as_str())
    }
}

/// The name one label below `above` on the way to `start`.
fn below<'a>(start: &'a str, above: &str) -> &'a str {
    let labels = above.split('.').count() + 1;
    tail(start, labels)
}

/// The last so many labels.
fn tail(name: &str, labels: usize) -> &str {
    let dots = name.rmatch_indices('.').nth(labels - 1);
    dots.map_or(name, |(at, _)| &name[at + 1..])
}

/// From eight labels on a walk goes on with seven (RFC 9989 4.10): eight questions at most.
const LABELS_MAX: usize = 7;

async fn walk(dns: &dyn Lookup, start: &str) -> Result<Walk, NoAnswer> {
    let mut walk = Walk { found: Vec::new(), fault: None };
    let mut name = start;
    loop {
        if let Some(record) = published(dns, name, &mut walk.fault).await? {
            let stops = record.public_suffix != PublicSuffix::Unsaid;
            walk.found.push((name.to_owned(), record));
            if stops {
                return Ok(walk);
            }
        }
        match name.split('.').count() {
            0 | 1 => return Ok(walk),
            labels => name = tail(name, (labels - 1).min(LABELS_MAX)),
        }
    }
}

/// The one record that stands at a domain. Several are as good as none (RFC 9989 4.10, RFC 7489 6.6.3).
async fn published(dns: &dyn Lookup, domain: &str, fault: &mut Option<Box<str>>) -> Result<Option<Record>, NoAnswer> {
    let name = format!("_dmarc.{domain}");
    if !is_name(&name) {
        return Ok(None);
    }
    let texts = match texts(dns, &name).await {
        Ok(texts) => texts,
        Err(failed @ NoAnswer::Failed(_)) => return Err(failed),
        Err(NoAnswer::NoSuchName | NoAnswer::NoRecords) => return Ok(None),
    };
    let mut records = texts.iter().map(|text| Record::parse(text)).filter(|parsed| *parsed != Parsed::Other);
    match (records.next(), records.next()) {
        (None | Some(Parsed::Other), _) => Ok(None),
        (Some(_), Some(_)) => {
            fault.get_or_insert_with(|| format!("{name} has more than one DMARC record").into());
            Ok(None)
        }
        (Some(Parsed::Record(record)), None) => Ok(Some(record)),
        (Some(Parsed::Useless(why)), None) => {
            fault.get_or_insert_with(|| format!("the DMARC record at {name} does not count: {why}").into());
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
