//! Lists in the DNS (RFC 5782): domains and addresses that links of the message name, and the client's address.
//!
//! An answer in 127.0.0.0/8 is a listing, but 127.255.255.0/24, with which operators of lists say that they do not serve
//! the resolver that asks (Spamhaus: public resolvers, too many queries): that is a failure, never a listing.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::settings::{List, ListKind};
use super::{Answer, Failure, Question};
use crate::mail::Visible;
use crate::message::{Link, LinkKind};
use crate::reason::Reason;

/// Names of one message that are looked up in one list.
const NAMES_MAX: usize = 20;
/// Answers that are remembered.
const CACHE_ENTRIES_MAX: usize = 10_000;
/// How long an answer is remembered.
const CACHE_FOR: Duration = Duration::from_mins(10);

/// What [`ListLookup::addresses`] gives: the A records, none for a name that does not exist.
pub type LookupFuture = Pin<Box<dyn Future<Output = Result<Vec<Ipv4Addr>, String>> + Send>>;

/// Who asks the DNS.
pub trait ListLookup: Send + Sync {
    /// The A records of a name.
    fn addresses(&self, name: &str) -> LookupFuture;
}

/// Answers of the lists, remembered for a while.
#[derive(Debug, Default)]
pub struct ListCache {
    known: Mutex<HashMap<String, (Instant, bool), foldhash::fast::RandomState>>,
}

impl ListCache {
    fn get(&self, name: &str, now: Instant) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).filter(|(until, _)| *until > now).map(|(_, listed)| *listed)
    }

    fn put(&self, name: String, listed: bool, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHE_ENTRIES_MAX {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() >= CACHE_ENTRIES_MAX {
            // Full of answers that still hold: a flood of new names. It begins again rather than grow.
            known.clear();
        }
        known.insert(name, (now + CACHE_FOR, listed));
    }
}

/// Asks every list at once.
pub(super) async fn ask(
    lists: &[List],
    question: Question<'_>,
    (cache, lookup): (&ListCache, &dyn ListLookup),
) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(lists.len());
    let mut asking = Vec::new();
    for list in lists {
        let names = names(list, question);
        let until = Instant::now() + list.timeout;
        let mut open = JoinSet::new();
        let mut listed = Vec::new();
        for (shown, name) in names {
            match cache.get(&name, Instant::now()) {
                Some(true) => listed.push(shown),
                Some(false) => {}
                None => {
                    let addresses = lookup.addresses(&name);
                    open.spawn(async move { (shown, name, addresses.await) });
                }
            }
        }
        asking.push((list, until, open, listed));
    }
    for (list, until, open, listed) in asking {
        answers.push(answer(list, until, open, listed, cache).await);
    }
    answers
}

type Open = JoinSet<(String, String, Result<Vec<Ipv4Addr>, String>)>;

async fn answer(list: &List, until: Instant, mut open: Open, mut listed: Vec<String>, cache: &ListCache) -> Answer {
    let mut failed = None;
    loop {
        match tokio::time::timeout_at(until, open.join_next()).await {
            Ok(Some(Ok((shown, name, Ok(addresses))))) => match standing(&addresses) {
                Standing::Refused => failed = Some("the list does not serve this resolver".to_owned()),
                Standing::Listed => {
                    cache.put(name, true, Instant::now());
                    listed.push(shown);
                }
                Standing::Free => cache.put(name, false, Instant::now()),
            },
            Ok(Some(Ok((_, _, Err(error))))) => failed = Some(error),
            Ok(Some(Err(_panicked))) => failed = Some("a fault of outguard".to_owned()),
            Ok(None) => break,
            Err(_) => {
                failed = Some(format!("no answer in {}", super::seconds(list.timeout)));
                break;
            }
        }
    }
    if let Some(worst) = listed.iter().min() {
        let what = if list.kind == ListKind::Client { "client" } else { "link" };
        let sentence = format!("{} ({what}) is listed in {}", Visible(worst), list.zone);
        return Answer::Reasons(vec![Reason { name: "listed".into(), points: list.points, sentence: sentence.into() }]);
    }
    match failed {
        Some(detail) => Answer::Failed(Failure {
            scorer: "a list in the DNS",
            then: list.on_failure,
            detail: format!("{} ({})", list.zone.hide_in(&detail), list.zone),
        }),
        None => Answer::Reasons(Vec::new()),
    }
}

enum Standing {
    Listed,
    Free,
    Refused,
}

fn standing(addresses: &[Ipv4Addr]) -> Standing {
    let local = |a: &&Ipv4Addr| a.octets()[0] == 127;
    match addresses.iter().find(local) {
        Some(a) if a.octets()[1..3] == [255, 255] => Standing::Refused,
        Some(_) => Standing::Listed,
        None => Standing::Free,
    }
}

/// What is looked up: as it is shown, and the name in the DNS. Each once, as many as are looked up: those of links that a
/// reader follows first, in the order of the text, so that no heap of others hides one.
fn names(list: &List, question: Question<'_>) -> BTreeMap<String, String> {
    let links = |followed: bool| question.message.links.iter().filter(move |link| is_followed(link) == followed);
    let hosts = || links(true).chain(links(false)).map(|link| link.host.as_str()).filter(|host| !host.is_empty());
    let addresses = || hosts().filter_map(|host| host.parse::<IpAddr>().ok());
    let shown: Vec<(String, String)> = match list.kind {
        ListKind::Domain => hosts()
            .filter(|host| host.parse::<IpAddr>().is_err() && host.is_ascii())
            .filter_map(|host| psl::domain_str(host))
            .map(|domain| (domain.to_owned(), domain.to_owned()))
            .collect(),
        ListKind::Address => addresses().map(|ip| (ip.to_string(), reversed(ip))).collect(),
        ListKind::Client => question.client.into_iter().map(|ip| (ip.to_string(), reversed(ip))).collect(),
    };
    let mut names = BTreeMap::new();
    for (shown, name) in shown {
        if names.len() == NAMES_MAX {
            break;
        }
        names.entry(shown).or_insert_with(|| list.zone.name_of(&name));
    }
    names
}

/// Whether a reader follows it: nothing that is loaded by itself.
fn is_followed(link: &Link) -> bool {
    link.kind != LinkKind::Loaded
}

/// The address as RFC 5782 2.1 and 2.4 write it.
fn reversed(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::message::{Link, LinkKind, Message};
    use crate::score::other::OnFailure;

    struct Zone(Arc<AtomicUsize>);

    impl ListLookup for Zone {
        fn addresses(&self, name: &str) -> LookupFuture {
            self.0.fetch_add(1, Ordering::Relaxed);
            let answer = match name {
                "bad.example.dbl.test" | "5.2.0.192.dbl.test" => Ok(vec![Ipv4Addr::new(127, 0, 1, 2)]),
                "refused.example.dbl.test" => Ok(vec![Ipv4Addr::new(127, 255, 255, 254)]),
                "broken.example.dbl.test" => Err("SERVFAIL".to_owned()),
                // A wildcard of a captive network is no listing.
                "captive.example.dbl.test" => Ok(vec![Ipv4Addr::new(198, 51, 100, 1)]),
                "slow.example.dbl.test" => return Box::pin(std::future::pending()),
                _ => Ok(Vec::new()),
            };
            Box::pin(async { answer })
        }
    }

    fn message(hosts: &[&str]) -> Message {
        let link = |host: &&str| Link {
            kind: LinkKind::Anchor,
            target: format!("https://{host}/"),
            scheme: "https".into(),
            host: (*host).into(),
            visible: String::new(),
        };
        Message { links: hosts.iter().map(link).collect(), ..Message::default() }
    }

    async fn asked(kind: ListKind, hosts: &[&str], cache: &ListCache, zone: &Zone) -> Answer {
        let list = List {
            zone: "dbl.test".parse().unwrap(),
            kind,
            points: 120,
            // Only what never answers is waited for.
            timeout: if hosts.contains(&"slow.example") { Duration::from_millis(20) } else { Duration::from_mins(5) },
            on_failure: OnFailure::Pass,
        };
        let message = message(hosts);
        let question = Question {
            bytes: &Bytes::new(),
            message: &message,
            envelope: None,
            account: None,
            client: Some("192.0.2.5".parse().unwrap()),
            queue_id: None,
        };
        ask(&[list], question, (cache, zone)).await.remove(0)
    }

    #[tokio::test]
    async fn listings_failures_and_the_cache() {
        let (cache, asks) = (ListCache::default(), Arc::new(AtomicUsize::new(0)));
        let zone = Zone(Arc::clone(&asks));
        let sentence = |answer: Answer| match answer {
            Answer::Reasons(reasons) => reasons.first().map_or_else(String::new, |r| r.sentence.to_string()),
            Answer::Failed(failure) => failure.detail,
        };
        let cases: [(ListKind, &[&str], &str); 8] = [
            (ListKind::Domain, &["www.good.example"], ""),
            (ListKind::Domain, &["x.bad.example", "y.bad.example"], "bad.example (link) is listed in dbl.test"),
            (ListKind::Domain, &["192.0.2.5"], ""), // an address is no domain
            (ListKind::Address, &["192.0.2.5", "bad.example"], "192.0.2.5 (link) is listed in dbl.test"),
            (ListKind::Client, &[], "192.0.2.5 (client) is listed in dbl.test"),
            (ListKind::Domain, &["refused.example"], "the list does not serve this resolver (dbl.test)"),
            (ListKind::Domain, &["captive.example"], ""),
            (ListKind::Domain, &["slow.example", "good.example"], "no answer in 20ms (dbl.test)"),
        ];
        for (kind, hosts, expected) in cases {
            assert_eq!(sentence(asked(kind, hosts, &cache, &zone).await), expected, "{hosts:?}");
        }
        let before = asks.load(Ordering::Relaxed);
        assert_eq!(sentence(asked(ListKind::Domain, &["bad.example"], &cache, &zone).await), cases[1].2);
        assert_eq!(asks.load(Ordering::Relaxed), before, "a remembered answer is not asked again");
        // A listing among failures stays a listing, and failures are not remembered.
        assert!(
            sentence(asked(ListKind::Domain, &["broken.example", "bad.example"], &cache, &zone).await).contains("bad")
        );
        assert_eq!(sentence(asked(ListKind::Domain, &["broken.example"], &cache, &zone).await), "SERVFAIL (dbl.test)");
    }

    #[test]
    fn addresses_as_names() {
        assert_eq!(reversed("2001:db8::1".parse().unwrap()).len(), 63);
        assert!(reversed("2001:db8::1".parse().unwrap()).starts_with("1.0.0.0."));
        assert_eq!(reversed("::ffff:192.0.2.1".parse().unwrap()), "1.2.0.192");
    }
}
