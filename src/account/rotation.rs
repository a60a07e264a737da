//! Senders that keep changing their name: where one client, user or domain shows many new reverse-paths within an hour,
//! the further ones share an account, so that a limit for each account stays a limit.
//!
//! Only for accounts that are known by their reverse-path. Nothing here is stored: after a start the caller gives back what
//! the store remembers ([`Rotation::remember`]).

use std::collections::{HashMap, VecDeque};

use super::{Account, AccountSource, Resolved, RotationSettings};
use crate::clock::WallMs;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// How many senders are kept until what was known before is here; of more, the first are forgotten.
const UNPLACED_MAX: usize = 20_000;
/// How many clients, users and domains are watched at once. One that is idle for an hour is dropped first.
const WATCHED_MAX: usize = 20_000;

/// The memory of reverse-paths.
#[derive(Debug)]
pub struct Rotation {
    settings: RotationSettings,
    /// When the rule first watched, ever.
    since: WallMs,
    senders: HashMap<Account, SenderSeen>,
    /// New senders (or new domains) of the last hour.
    watched: HashMap<Watched, Recent>,
    /// The latest time seen: a clock set back makes nothing young again.
    now: WallMs,
    /// What was seen while it is not known yet who was known before: nobody is new until then.
    unplaced: Option<VecDeque<Unplaced>>,
}

/// A sender seen before it could be told whether it is new.
#[derive(Debug)]
struct Unplaced {
    sender: Account,
    client: Box<str>,
    at: WallMs,
}

#[derive(Debug, Clone)]
struct SenderSeen {
    last: WallMs,
    /// The account that it shares, since it was merged.
    merged: Option<Account>,
}

/// What the number of new names is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Watched {
    /// New reverse-paths within a domain.
    SendersOfDomain(Box<str>),
    /// New reverse-paths from a client or user.
    SendersOfClient(Box<str>),
    /// New domains from a client or user.
    DomainsOfClient(Box<str>),
    /// A domain of a client or user: known once it was seen.
    Domain(Box<str>),
}

#[derive(Debug, Default)]
struct Recent {
    /// When, oldest first; at most one more than the limit is kept.
    new: VecDeque<WallMs>,
    /// When the last report was made.
    reported: Option<WallMs>,
    last: WallMs,
}

/// How many new names there were within the hour, each capped at one over the limit.
struct NewNames {
    /// Reverse-paths of the domain.
    in_domain: u32,
    /// Reverse-paths from the client.
    of_client: u32,
    /// Domains from the client; 0 if this one was known.
    domains: u32,
}

/// A rotating sender was found. The caller makes the event `account.merged` of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The account that takes the further ones.
    pub into: Account,
    /// The account that would have been used.
    pub from: Account,
    /// How many new ones were seen within the hour, at least.
    pub new_senders: u32,
    /// Whether nothing is done about it yet.
    pub report_only: bool,
}

impl Rotation {
    /// An empty memory; `since` is when the rule first watched here, over all starts.
    pub fn new(settings: RotationSettings, since: WallMs) -> Self {
        Self { settings, since, senders: HashMap::new(), watched: HashMap::new(), now: since, unplaced: None }
    }

    /// One to which what was known before is still to be given ([`Rotation::recall`]): until then nobody is new, and nobody
    /// shares an account.
    pub fn unread(settings: RotationSettings) -> Self {
        Self { unplaced: Some(VecDeque::new()), ..Self::new(settings, WallMs(0)) }
    }

    /// What was known before is here; who was seen meanwhile is known too.
    pub fn recall(&mut self, known: Self) {
        let Some(unplaced) = self.unplaced.take() else { return };
        *self = Self { settings: self.settings, ..known };
        for Unplaced { sender, client, at } in unplaced {
            let account = self.senders.get(&sender).and_then(|known| known.merged.clone());
            self.remember(&sender, account.as_ref().unwrap_or(&sender), &client, at);
        }
    }

    /// Takes over settings that were read again.
    pub fn set(&mut self, settings: RotationSettings) {
        self.settings = settings;
    }

    /// Gives back what was known before a restart, oldest first: that `sender` (the account of its reverse-path) was seen
    /// at that time, brought by `client`, and counted against `account`, which is another one where it had been merged.
    pub fn remember(&mut self, sender: &Account, account: &Account, client: &str, seen: WallMs) {
        let Some(domain) = sender.domain() else { return };
        self.now = self.now.max(seen);
        // Any other difference is that of the settings of then.
        let shared = ["@", "client:", "uid:"].iter().any(|start| account.as_str().starts_with(start));
        let merged = shared.then(|| account.clone());
        let forgotten = self.forgotten();
        if let Some(known) = self.senders.get_mut(sender).filter(|known| known.last >= forgotten) {
            (known.last, known.merged) = (self.now, merged);
            return;
        }
        self.make_room();
        self.senders.insert(sender.clone(), SenderSeen { last: self.now, merged });
        self.count_new(domain.into(), client, forgotten);
    }

    /// Sees a message that `client` (an address, a socket or `uid:…`) brought. Changes `resolved` where its account is one
    /// of many; the decision to report it is made once an hour for each account that takes others.
    pub fn see(&mut self, resolved: &mut Resolved, client: &str, now: WallMs) -> Option<Merge> {
        if resolved.source != AccountSource::ReversePath {
            return None;
        }
        let domain = resolved.account.domain()?;
        if let Some(unplaced) = &mut self.unplaced {
            if unplaced.len() >= UNPLACED_MAX {
                unplaced.pop_front();
            }
            unplaced.push_back(Unplaced { sender: resolved.account.clone(), client: client.into(), at: now });
            return None;
        }
        self.now = self.now.max(now);
        let domain: Box<str> = domain.into();
        let sender = resolved.account.clone();
        let forgotten = self.forgotten();
        let (last, merged) = (self.now, None);
        if let Some(known) = self.senders.get_mut(&sender).filter(|known| known.last >= forgotten) {
            known.last = self.now;
            if let Some(into) = &known.merged {
                resolved.account = into.clone();
            }
            return None;
        }
        self.make_room();
        self.senders.insert(sender.clone(), SenderSeen { last, merged });
        self.new_sender(resolved, sender, domain, client, forgotten)
    }

    fn new_sender(
        &mut self,
        resolved: &mut Resolved,
        sender: Account,
        domain: Box<str>,
        client: &str,
        forgotten: WallMs,
    ) -> Option<Merge> {
        let NewNames { in_domain, of_client, domains } = self.count_new(domain.clone(), client, forgotten);
        let limit = self.settings.new_per_hour;
        let (into, key, new_senders) = if domains > limit {
            (client_account(client), Watched::DomainsOfClient(client.into()), domains)
        } else if in_domain > limit || of_client > limit {
            let into = Account::of_domain(&domain);
            (into, Watched::SendersOfDomain(domain), in_domain.max(of_client))
        } else {
            return None;
        };
        let report_only = self.now.0 < self.since.0 + u64::from(self.settings.report_only_days) * DAY_MS;
        if !report_only {
            resolved.account = into.clone();
            if let Some(known) = self.senders.get_mut(&sender) {
                known.merged = Some(into.clone());
            }
        }
        let reported = &mut self.watched.entry(key).or_default().reported;
        if reported.is_some_and(|at| self.now.0 < at.0 + HOUR_MS) {
            return None;
        }
        *reported = Some(self.now);
        Some(Merge { into, from: sender, new_senders, report_only })
    }

    /// Counts a new sender for all that are watched for it.
    fn count_new(&mut self, domain: Box<str>, client: &str, forgotten: WallMs) -> NewNames {
        let known_domain =
            self.watched.get(&Watched::Domain(domain.clone())).is_some_and(|seen| seen.last >= forgotten);
        self.watched.entry(Watched::Domain(domain.clone())).or_default().last = self.now;
        NewNames {
            in_domain: self.count(Watched::SendersOfDomain(domain)),
            of_client: self.count(Watched::SendersOfClient(client.into())),
            domains: if known_domain { 0 } else { self.count(Watched::DomainsOfClient(client.into())) },
        }
    }

    /// What was last seen before this moment is new when it comes again.
    fn forgotten(&self) -> WallMs {
        WallMs(self.now.0.saturating_sub(u64::from(self.settings.new_after_days) * DAY_MS))
    }

    /// Counts one more, and says how many there were within the hour, capped at one over the limit.
    fn count(&mut self, key: Watched) -> u32 {
        let (now, limit) = (self.now, self.settings.new_per_hour);
        let recent = self.watched.entry(key).or_default();
        recent.last = now;
        while recent.new.front().is_some_and(|at| at.0 + HOUR_MS <= now.0) {
            recent.new.pop_front();
        }
        recent.new.push_back(now);
        if recent.new.len() > limit as usize + 1 {
            recent.new.pop_front();
        }
        u32::try_from(recent.new.len()).unwrap_or(u32::MAX)
    }

    /// Keeps both maps under their bounds (invariant 6): first what is past its time goes, then the older half.
    fn make_room(&mut self) {
        if self.senders.len() >= self.settings.senders_max.max(1) {
            let forgotten = self.forgotten();
            keep_newer(&mut self.senders, self.settings.senders_max, forgotten, |seen| seen.last);
        }
        if self.watched.len() >= WATCHED_MAX {
            let idle = self.now.0.saturating_sub(HOUR_MS);
            // Domains are known for as long as senders are; counters say nothing after an hour.
            self.watched.retain(|key, recent| matches!(key, Watched::Domain(_)) || recent.last.0 > idle);
            if self.watched.len() >= WATCHED_MAX / 2 {
                keep_newer(&mut self.watched, WATCHED_MAX, WallMs(0), |recent| recent.last);
            }
        }
    }
}

/// Drops what was last seen before `forgotten`, and if the map is still over half of `max`, its older half.
fn keep_newer<K: std::hash::Hash + Eq, V>(
    map: &mut HashMap<K, V>,
    max: usize,
    forgotten: WallMs,
    last: impl Fn(&V) -> WallMs,
) {
    map.retain(|_, value| last(value) >= forgotten);
    if map.len() <= max / 2 {
        return;
    }
    let mut times: Vec<WallMs> = map.values().map(&last).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    let mut equal_left = middle;
    // Those of the same moment are dropped until half is gone: a burst within one millisecond must not stay whole.
    map.retain(|_, value| {
        let at = last(value);
        if at > median {
            return true;
        }
        let keep = at == median && equal_left > 0;
        equal_left -= usize::from(keep);
        keep
    });
}

fn client_account(client: &str) -> Account {
    if client.starts_with("uid:") { Account::named(client) } else { Account::of_client(client) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(report_only_days: u32) -> Rotation {
        Rotation::new(RotationSettings { report_only_days, ..RotationSettings::default() }, WallMs(0))
    }

    fn see(rotation: &mut Rotation, name: &str, client: &str, at_ms: u64) -> (String, Option<Merge>) {
        let mut resolved = Resolved { account: Account::named(name), source: AccountSource::ReversePath, mta_id: None };
        let merge = rotation.see(&mut resolved, client, WallMs(at_ms));
        (resolved.account.as_str().to_owned(), merge)
    }

    #[test]
    fn the_twenty_first_new_sender_of_a_domain_shares_its_account() {
        let mut r = rotation(0);
        for n in 0..20 {
            assert_eq!(see(&mut r, &format!("a{n}@x.example"), &format!("c{n}"), n), (format!("a{n}@x.example"), None));
        }
        let (account, merge) = see(&mut r, "a20@x.example", "c20", 20);
        assert_eq!(account, "@x.example");
        let merge = merge.unwrap();
        assert_eq!((merge.from.as_str(), merge.new_senders, merge.report_only), ("a20@x.example", 21, false));
        assert_eq!(see(&mut r, "a21@x.example", "c", 21), ("@x.example".into(), None), "one report an hour");
        assert_eq!(see(&mut r, "a20@x.example", "c", 22).0, "@x.example", "merged, however often it comes back");
        assert_eq!(see(&mut r, "a3@x.example", "c", 23).0, "a3@x.example", "known before the flood");
        assert_eq!(see(&mut r, "b@y.example", "c", 24).0, "b@y.example", "another domain");
        assert_eq!(see(&mut r, "late@x.example", "c", HOUR_MS + 21).0, "late@x.example", "an hour later");
    }

    #[test]
    fn rotating_domains_share_the_clients_account() {
        let mut r = rotation(0);
        for n in 0..20 {
            assert_eq!(see(&mut r, &format!("a@d{n}.example"), "uid:www-data", n).0, format!("a@d{n}.example"));
        }
        assert_eq!(see(&mut r, "a@d20.example", "uid:www-data", 20).0, "uid:www-data");
        assert_eq!(see(&mut r, "a@d21.example", "192.0.2.7", 21).0, "a@d21.example", "another client");
        // A domain known already: new senders of the busy client share the domain's account, not the client's.
        assert_eq!(see(&mut r, "b@d3.example", "uid:www-data", 22).0, "@d3.example");
    }

    #[test]
    fn nobody_is_new_until_it_is_known_who_was_known() {
        let mut r = Rotation::unread(RotationSettings { report_only_days: 0, ..RotationSettings::default() });
        let start = 100 * DAY_MS;
        for n in 0..50 {
            let name = format!("a{n}@x.example");
            assert_eq!(see(&mut r, &name, "c", start + n), (name.clone(), None), "nothing is done about {name}");
        }
        let mut known = rotation(0);
        let merged = Account::named("m@y.example");
        known.remember(&merged, &Account::of_domain("y.example"), "c", WallMs(start - DAY_MS));
        r.recall(known);
        assert_eq!(see(&mut r, "a7@x.example", "c", start + 60).0, "a7@x.example", "known: it was seen meanwhile");
        assert_eq!(see(&mut r, "b@x.example", "c", start + 61).0, "@x.example", "new, after fifty within the hour");
        assert_eq!(see(&mut r, "m@y.example", "c", start + 62).0, "@y.example", "as it was before");
        // A crowd that comes meanwhile does not fill the memory.
        let mut r = Rotation::unread(RotationSettings::default());
        for n in 0..UNPLACED_MAX as u64 + 10 {
            see(&mut r, &format!("a{n}@x.example"), "c", n);
        }
        assert_eq!(r.unplaced.as_ref().map(VecDeque::len), Some(UNPLACED_MAX));
    }

    #[test]
    fn the_first_days_only_report() {
        let mut r = rotation(7);
        for n in 0..20 {
            see(&mut r, &format!("a{n}@x.example"), "c", n);
        }
        let (account, merge) = see(&mut r, "a20@x.example", "c", 20);
        assert_eq!(account, "a20@x.example");
        assert!(merge.unwrap().report_only);
        assert_eq!(see(&mut r, "a20@x.example", "c", 21).0, "a20@x.example", "not merged later either");
    }

    #[test]
    fn what_was_seen_within_thirty_days_is_not_new() {
        let mut r = rotation(0);
        let start = 100 * DAY_MS;
        for n in 0..50 {
            let old = Account::named(&format!("old{n}@x.example"));
            r.remember(&old, &old, "c", WallMs(start - 31 * DAY_MS));
        }
        for n in 0..50 {
            let young = Account::named(&format!("a{n}@x.example"));
            r.remember(&young, &young, "c", WallMs(start - 29 * DAY_MS));
        }
        for n in 0..50 {
            assert_eq!(see(&mut r, &format!("a{n}@x.example"), "c", start).0, format!("a{n}@x.example"));
        }
        let merged =
            (0..50).filter(|n| see(&mut r, &format!("old{n}@x.example"), "c", start).0 == "@x.example").count();
        assert_eq!(merged, 30, "twenty are ordinary");
    }

    #[test]
    fn a_restart_changes_nothing() {
        let start = 100 * DAY_MS;
        let mut stored = Vec::new();
        let mut all = rotation(0);
        for n in 0..25 {
            let name = format!("a{n}@x.example");
            let (account, _) = see(&mut all, &name, "c", start + n);
            stored.push((Account::named(&name), Account::named(&account), start + n));
        }
        let mut again = rotation(0);
        for (sender, account, at) in &stored {
            again.remember(sender, account, "c", WallMs(*at));
        }
        let cases = [
            ("a3@x.example", "a3@x.example"), // ordinary before the flood
            ("a22@x.example", "@x.example"),  // merged stays merged
            ("a99@x.example", "@x.example"),  // the hour's count goes on
            ("b@y.example", "@y.example"),    // and so does that of the client
        ];
        for (name, account) in cases {
            for memory in [&mut all, &mut again] {
                assert_eq!(see(memory, name, "c", start + 60_000).0, account, "{name}");
            }
        }
    }

    #[test]
    fn only_reverse_paths_and_bounded() {
        let mut r = Rotation::new(
            RotationSettings { senders_max: 100, report_only_days: 0, ..RotationSettings::default() },
            WallMs(0),
        );
        let mut login = Resolved { account: Account::named("a@b.example"), source: AccountSource::Login, mta_id: None };
        for n in 0..1_000 {
            see(&mut r, &format!("a{n}@d{n}.example"), &format!("c{n}"), n / 300);
            assert_eq!(r.see(&mut login, "c", WallMs(n)), None);
            assert!(r.senders.len() <= 100, "{n}");
        }
        assert!(r.watched.len() <= WATCHED_MAX);
        assert_eq!(login.account.as_str(), "a@b.example");
    }
}
