//! Which domains really sent: counted from the mail that was taken, whatever the configuration names.
//!
//! A From field is whatever its writer put there. So a domain counts as a sending one only where the account may speak for
//! it; the others are told, and nobody asks the DNS or a server about them.

use std::collections::HashMap;

use super::domains;
use crate::account::{Account, AccountSource};
use crate::align::dkim::signature::is_under;
use crate::align::doctor::{SendingDomain, Sent};
use crate::align::sign::{Permission, Signer, Speaker};
use crate::clock::WallMs;
use crate::config::Config;
use crate::intake::{machine_name, own_name};
use crate::mail::Domain;
use crate::store::{AuthorRow, Reads, StoreError};

/// What is "lately", in days.
const DAYS: u64 = 7;
const DAY_MS: u64 = 86_400_000;
/// Messages that are looked at: the newest.
const MESSAGES_MAX: usize = 100_000;
/// Messages that are read at once.
const PAGE_ROWS: usize = 2_000;
/// Domains that are told, of accounts that may speak for them.
const SPOKEN_FOR_MAX: usize = 20;
/// And of those that only claim them.
const CLAIMED_MAX: usize = 5;

/// In whose name the mail of the last days was sent. Where it cannot be found out, that is said.
pub async fn sent(config: &Config, store: &dyn Reads, now: WallMs) -> Sent {
    let signer = match Signer::new(&config.align.signing) {
        Ok(signer) => signer,
        Err(fault) => return Sent::unknown(fault.to_string()),
    };
    let mut counting = Counting::new(Site::of(config, &signer));
    match read(&mut counting, store, now).await {
        Ok(whole) => counting.counted(whole),
        Err(error) => Sent::unknown(format!("{error}; {}", error.advice())),
    }
}

/// Whether all messages of the days were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    NewestAlone,
}

async fn read(counting: &mut Counting<'_>, store: &dyn Reads, now: WallMs) -> Result<Whole, StoreError> {
    let oldest = now.0.saturating_sub(DAYS * DAY_MS);
    let (mut before, mut left) = (None, MESSAGES_MAX);
    while left > 0 {
        let page = store.authors(before, PAGE_ROWS.min(left)).await?;
        let Some(last) = page.last() else { return Ok(Whole::Yes) };
        before = Some(last.id);
        left = left.saturating_sub(page.len());
        // Ids rise with time, but for steps of the clock: a page of old mail alone is the end.
        if page.iter().all(|row| row.received.0 < oldest) {
            return Ok(Whole::Yes);
        }
        page.iter().filter(|row| row.received.0 >= oldest).for_each(|row| counting.add(row));
    }
    Ok(Whole::NewestAlone)
}

/// Whose word counts for what at this site.
struct Site<'a> {
    signer: &'a Signer,
    /// Domains that the configuration names.
    named: Vec<String>,
    /// Names of this machine and its MTAs.
    own_names: Vec<String>,
}

impl<'a> Site<'a> {
    fn of(config: &Config, signer: &'a Signer) -> Self {
        let mut own_names = vec![own_name(&config.intake), machine_name()];
        own_names.extend_from_slice(&config.account.own_names);
        own_names.retain(|name| !name.is_empty());
        Self { signer, named: domains::named(config).map(|named| named.domain).collect(), own_names }
    }

    /// Whether the account may speak for the domain: its own mail, by a key or a name of this site, or by what is proven
    /// of the account.
    fn lets(&self, account: &Account, source: AccountSource, domain: &str) -> bool {
        let own = |name: &String| is_under(domain, &name.to_ascii_lowercase());
        if source == AccountSource::Own || self.named.iter().any(own) || self.own_names.iter().any(own) {
            return true;
        }
        let speaker = Speaker { account, source, own_names: &self.own_names };
        if self.signer.permits(domain, speaker) == Permission::Granted {
            return true;
        }
        let related = |of: &str| of.contains('.') && (is_under(domain, of) || is_under(of, domain));
        source.is_proven() && account.domain().is_some_and(related)
    }
}

/// Messages by domain and account.
type Counts = HashMap<String, HashMap<Account, u64>>;

struct Counting<'a> {
    site: Site<'a>,
    spoken_for: Counts,
    claimed: Counts,
}

impl<'a> Counting<'a> {
    fn new(site: Site<'a>) -> Self {
        Self { site, spoken_for: Counts::new(), claimed: Counts::new() }
    }

    /// A message counts once for each domain that it names.
    fn add(&mut self, row: &AuthorRow) {
        let of_path = row.reverse_path.rsplit_once('@').map(|(_, domain)| domain);
        let from = row.header_from.as_deref().and_then(comparable);
        let path = of_path.and_then(comparable).filter(|path| Some(path) != from.as_ref());
        for domain in from.into_iter().chain(path) {
            let may = self.site.lets(&row.account, row.source, &domain);
            let counts = if may { &mut self.spoken_for } else { &mut self.claimed };
            *counts.entry(domain).or_default().entry(row.account.clone()).or_default() += 1;
        }
    }

    fn counted(self, whole: Whole) -> Sent {
        let span = match whole {
            Whole::Yes => format!("in the last {DAYS} days"),
            Whole::NewestAlone => format!("of the newest {MESSAGES_MAX}"),
        };
        // A domain that somebody may speak for is not told as a mere claim of others.
        let claimed = self.claimed.into_iter().filter(|(domain, _)| !self.spoken_for.contains_key(domain)).collect();
        let claimed = busiest(claimed, CLAIMED_MAX);
        Sent { spoken_for: busiest(self.spoken_for, SPOKEN_FOR_MAX), claimed, span, trouble: None }
    }
}

/// A full domain name in comparable form; an address literal or a bare name is none.
fn comparable(domain: &str) -> Option<String> {
    match Domain::parse(domain) {
        Ok(Domain::Name(name)) if name.contains('.') => Some(name.into()),
        Ok(_) | Err(_) => None,
    }
}

/// Those with most messages, of equal ones by name.
fn busiest(counts: Counts, most: usize) -> Vec<SendingDomain> {
    let of_one = |(domain, accounts): (String, HashMap<Account, u64>)| {
        let messages = accounts.values().sum();
        let by_count = |one: &(Account, u64), other: &(Account, u64)| one.1.cmp(&other.1).then(other.0.cmp(&one.0));
        let (account, _) = accounts.into_iter().max_by(by_count)?;
        Some(SendingDomain { domain, messages, account })
    };
    let mut domains: Vec<SendingDomain> = counts.into_iter().filter_map(of_one).collect();
    domains.sort_by(|one, other| other.messages.cmp(&one.messages).then_with(|| one.domain.cmp(&other.domain)));
    domains.truncate(most);
    domains
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::settings::{Covers, DkimKeySettings, SigningSettings};
    use crate::align::sign::{KeyKind, PrivateKey, SigningKey};
    use crate::mail::QueueId;
    use crate::secret::Secret;

    fn signer() -> Signer {
        let settings = DkimKeySettings {
            domain: "signed.example".into(),
            selector: "s".into(),
            key: Secret::new(Vec::new()),
            covers: Covers::Subdomains,
            accounts: vec![],
        };
        let key = SigningKey::new(&settings, PrivateKey::generate(KeyKind::Ed25519).unwrap().0);
        Signer::of(vec![key], SigningSettings::default())
    }

    fn site(signer: &Signer) -> Site<'_> {
        Site { signer, named: vec!["named.example".into()], own_names: vec!["host.hoster.example".into()] }
    }

    #[test]
    fn who_may_speak_for_what() {
        use AccountSource::{HeaderField, LocalUser, Login, NullReversePath, Own, Received, ReversePath};
        let signer = signer();
        let site = site(&signer);
        let cases = [
            ("ann@mine.example", Login, "mine.example", true, "her own domain"),
            ("ann@mine.example", Received, "news.mine.example", true, "below it"),
            ("ann@news.mine.example", HeaderField, "mine.example", true, "above it"),
            ("ann@mine.example", Login, "bank.example", false, "a hijacked login forges a bank"),
            ("ann@mine.example", ReversePath, "mine.example", false, "anybody writes that"),
            ("ann@badmine.example", Login, "mine.example", false, "a like name is another"),
            ("ann@example", Login, "mine.example", false, "nobody is proven for a whole top level"),
            ("uid:www-data", LocalUser, "bank.example", false, "a form on a site sends whatever a visitor writes"),
            ("uid:www-data", LocalUser, "host.hoster.example", true, "this machine"),
            ("x@gmail.example", ReversePath, "named.example", true, "the configuration names it"),
            ("x@gmail.example", ReversePath, "sub.named.example", true, "below one that it names"),
            ("uid:www-data", LocalUser, "shop.signed.example", true, "its mail is signed"),
            ("ann@signed.example", ReversePath, "signed.example", true, "its mail is signed"),
            ("x@gmail.example", ReversePath, "signed.example", false, "its mail is not signed for a stranger"),
            ("mailer-daemon:127.0.0.1", NullReversePath, "bank.example", false, "passed on"),
            ("reports", Own, "reports.example", true, "our own reports"),
        ];
        for (account, source, domain, may, why) in cases {
            assert_eq!(site.lets(&Account::named(account), source, domain), may, "{account} {domain}: {why}");
        }
    }

    fn row(account: &str, source: AccountSource, path: &str, from: Option<&str>) -> AuthorRow {
        AuthorRow {
            id: QueueId::new(1).unwrap(),
            received: WallMs(0),
            account: Account::named(account),
            source,
            reverse_path: path.to_owned(),
            header_from: from.map(str::to_owned),
        }
    }

    #[test]
    fn each_message_counts_once_for_each_domain_that_it_names() {
        use AccountSource::{Login, ReversePath};
        let signer = signer();
        let mut counting = Counting::new(site(&signer));
        for (account, source, path, from) in [
            ("ann@mine.example", Login, "ann@mine.example", Some("Mine.Example")),
            ("ann@mine.example", Login, "bounce@news.mine.example", Some("mine.example")),
            ("bob@mine.example", Login, "", Some("mine.example")),
            ("bob@mine.example", Login, "bob@forged.example", Some("forged.example")),
            ("eve@other.example", ReversePath, "eve@other.example", Some("mine.example")), // forged by a stranger
            ("eve@other.example", ReversePath, "eve@[192.0.2.1]", Some("bare")),
            ("eve@other.example", ReversePath, "eve@other.example", None),
        ] {
            counting.add(&row(account, source, path, from));
        }
        let sent = counting.counted(Whole::Yes);
        let shown = |domains: &[SendingDomain]| -> Vec<(String, u64, String)> {
            domains.iter().map(|d| (d.domain.clone(), d.messages, d.account.as_str().to_owned())).collect()
        };
        let one = |domain: &str, count, account: &str| (domain.to_owned(), count, account.to_owned());
        assert_eq!(
            shown(&sent.spoken_for),
            [one("mine.example", 3, "ann@mine.example"), one("news.mine.example", 1, "ann@mine.example")]
        );
        let claimed = [one("other.example", 2, "eve@other.example"), one("forged.example", 1, "bob@mine.example")];
        assert_eq!(shown(&sent.claimed), claimed, "mine.example is spoken for");
        assert_eq!(sent.span, "in the last 7 days");
    }

    #[test]
    fn the_busiest_alone_are_told() {
        let signer = signer();
        let mut counting = Counting::new(site(&signer));
        for n in 0..30 {
            let domain = format!("d{n:02}.example");
            let account = format!("ann@{domain}");
            for _ in 0..=n {
                counting.add(&row(&account, AccountSource::Login, &account, Some(&domain)));
                counting.add(&row("x", AccountSource::ReversePath, "", Some(&format!("c{n:02}.example"))));
            }
        }
        let sent = counting.counted(Whole::NewestAlone);
        assert_eq!((sent.spoken_for.len(), sent.claimed.len()), (SPOKEN_FOR_MAX, CLAIMED_MAX));
        assert_eq!((&*sent.spoken_for[0].domain, sent.spoken_for[0].messages), ("d29.example", 30));
        assert_eq!(sent.span, "of the newest 100000");
    }
}
