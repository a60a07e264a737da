//! Which accounts a key signs for. Pure.
//!
//! A signature says that the domain answers for the message, so it is not for everybody who may relay here. What is
//! known of an account differs: a login is proven, a reverse-path is whatever the client wrote, a script's user has no
//! domain. The default keeps a key from accounts that are plainly another domain's, and from nobody else: an unsigned
//! message fails at the receiver, which harms an honest site more than a strict rule helps it.

use super::{Signer, SigningKey};
use crate::account::{Account, AccountSource};
use crate::align::dkim::signature::is_under;
use crate::align::settings::Senders;

/// Whose message is to be signed, and how that is known.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// The account.
    pub account: &'a Account,
    /// How it is known.
    pub source: AccountSource,
    /// Names of this machine and its MTAs, whole: an address there is one of a local user, as a script's.
    pub own_names: &'a [String],
}

/// Whether a From domain's key may be used for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Granted,
    /// No key covers the From domain.
    NoKey,
    /// There is a key, and the account may not have it: of which domain it is.
    Refused(Box<str>),
}

impl Signer {
    /// Whether a message of this speaker may have the signature of a From domain.
    pub fn permits(&self, from_domain: &str, speaker: Speaker<'_>) -> Permission {
        let keys = self.keys_for(from_domain);
        match keys.first() {
            None => Permission::NoKey,
            Some(_) if keys.iter().any(|key| self.serves(key, speaker)) => Permission::Granted,
            Some(key) => Permission::Refused(key.domain.clone()),
        }
    }

    /// The keys for a From domain that serve this speaker.
    pub(super) fn keys_serving(&self, from_domain: &str, speaker: Speaker<'_>) -> Vec<&SigningKey> {
        let mut keys = self.keys_for(from_domain);
        keys.retain(|key| self.serves(key, speaker));
        keys
    }

    fn serves(&self, key: &SigningKey, speaker: Speaker<'_>) -> bool {
        // What outguard writes itself is this site's word.
        if speaker.source == AccountSource::Own || key.lists(speaker.account) {
            return true;
        }
        let plausible = |related: &dyn Fn(&str) -> bool| match speaker.account.domain() {
            None => true,
            Some(domain) if speaker.own_names.iter().any(|name| name.eq_ignore_ascii_case(domain)) => true,
            Some(domain) => related(domain),
        };
        match self.settings.senders {
            Senders::Any => true,
            Senders::Proven => {
                speaker.source.is_proven() && speaker.account.domain().is_some_and(|domain| key.is_related(domain))
            }
            Senders::Plausible => plausible(&|domain| key.is_related(domain)),
            Senders::OneOwner => plausible(&|domain| self.keys.iter().any(|key| key.is_related(domain))),
        }
    }
}

impl SigningKey {
    /// Whether a domain is the key's, above it, or below it as the key covers.
    fn is_related(&self, domain: &str) -> bool {
        self.covers(domain) || is_under(&self.domain, domain)
    }

    /// Whether the operator named the account, or its domain as `@example.com`.
    fn lists(&self, account: &Account) -> bool {
        self.accounts.iter().any(|listed| match listed.strip_prefix('@') {
            Some(domain) => account.domain().is_some_and(|of| of.eq_ignore_ascii_case(domain)),
            None => account.as_str().eq_ignore_ascii_case(listed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings_of;
    use super::super::{KeyKind, PrivateKey};
    use super::*;
    use crate::align::settings::{Covers, DkimKeySettings, SigningSettings};

    fn signer(senders: Senders, covers: Covers, accounts: &[&str]) -> Signer {
        let accounts = accounts.iter().map(|name| (*name).to_owned()).collect();
        let settings = DkimKeySettings { covers, accounts, ..settings_of("example.com", "s") };
        let key = SigningKey::new(&settings, PrivateKey::generate(KeyKind::Ed25519).unwrap().0);
        Signer::of(vec![key], SigningSettings { senders, ..SigningSettings::default() })
    }

    #[test]
    fn several_domains_of_one_owner() {
        use AccountSource::{LocalUser, Login, ReversePath};
        let signer = |senders| {
            let key = |domain| {
                let settings = settings_of(domain, "s");
                SigningKey::new(&settings, PrivateKey::generate(KeyKind::Ed25519).unwrap().0)
            };
            Signer::of(vec![key("example.com"), key("example.org")], SigningSettings { senders, ..Default::default() })
        };
        let cases = [
            ("ann@example.org", Login, false, true), // writes as the other of her domains
            ("ann@shop.example.org", ReversePath, false, true),
            ("ann@example.com", Login, true, true),
            ("eve@other.example", ReversePath, false, false), // what a stranger sends through an alias
            ("uid:www-data", LocalUser, true, true),
        ];
        for (account, source, plausible, one_owner) in cases {
            let account = Account::named(account);
            let speaker = Speaker { account: &account, source, own_names: &[] };
            let granted = |senders| signer(senders).permits("example.com", speaker) == Permission::Granted;
            assert_eq!(
                (granted(Senders::Plausible), granted(Senders::OneOwner)),
                (plausible, one_owner),
                "{account} by {source}"
            );
        }
    }

    #[test]
    fn who_gets_a_signature() {
        use AccountSource::{Client, HeaderField, LocalUser, Login, NullReversePath, Own, Received, ReversePath};
        // account, how known, listed; plausible, proven
        let cases: [(&str, AccountSource, &[&str], [bool; 2]); 22] = [
            ("ann@example.com", Login, &[], [true, true]),
            ("ann@example.com", Received, &[], [true, true]),
            ("ann@example.com", ReversePath, &[], [true, false]), // Postfix that tells no login: as it is for most
            ("bounces@news.example.com", ReversePath, &[], [true, false]),
            ("ann@shop.example.com", Login, &[], [true, true]), // below, as the key covers
            ("eve@other.example", Login, &[], [false, false]),  // another customer
            ("eve@other.example", ReversePath, &[], [false, false]), // passed on by an alias, its From forged
            ("eve@badexample.com", Login, &[], [false, false]),
            ("eve@com", Login, &[], [true, true]), // who rules the parent rules the domain
            ("uid:www-data", LocalUser, &[], [true, false]), // a script's user has no domain
            ("uid:cust7", LocalUser, &["uid:www-data"], [true, false]),
            ("uid:www-data", LocalUser, &["uid:www-data"], [true, true]),
            ("www-data@web1.hoster.example", ReversePath, &[], [true, false]), // the same, told by its reverse-path
            ("ann", Login, &[], [true, false]),                                // a login that is no address
            ("ann", HeaderField, &["ANN"], [true, true]),
            ("mailer-daemon:127.0.0.1", NullReversePath, &[], [true, false]),
            ("client:10.1.2.3", Client, &[], [true, false]),
            ("bob@partner.example", Login, &["bob@partner.example"], [true, true]),
            ("joe@partner.example", Login, &["bob@partner.example"], [false, false]),
            ("joe@partner.example", Login, &["@Partner.example"], [true, true]),
            ("joe@sub.partner.example", Login, &["@partner.example"], [false, false]), // as it is written
            ("reports", Own, &[], [true, true]),
        ];
        let own_names = ["web1.hoster.example".to_owned()];
        for (account, source, listed, expected) in cases {
            let account = Account::named(account);
            let speaker = Speaker { account: &account, source, own_names: &own_names };
            let permits = |senders| signer(senders, Covers::Subdomains, listed).permits("example.com", speaker);
            let granted = |yes| if yes { Permission::Granted } else { Permission::Refused("example.com".into()) };
            let got = [permits(Senders::Plausible), permits(Senders::Proven)];
            assert_eq!(got, expected.map(granted), "{account} by {source}, {listed:?}");
            assert_eq!(permits(Senders::Any), Permission::Granted, "{account}");
        }
        // A bare name is no part of a longer one: anybody may call a host of theirs so.
        let names = ["web1".to_owned(), "web1.hoster.example".to_owned()];
        for (account, source, granted) in [
            ("www-data@web1", ReversePath, true),
            ("www-data@web1.hoster.example", ReversePath, true),
            ("eve@web1.evil.example", ReversePath, false),
            ("joe@web1.customer.example", Login, false),
        ] {
            let account = Account::named(account);
            let speaker = Speaker { account: &account, source, own_names: &names };
            let got = signer(Senders::Plausible, Covers::Subdomains, &[]).permits("example.com", speaker);
            assert_eq!(got == Permission::Granted, granted, "{account:?} where the machine calls itself web1");
        }
        let account = Account::named("ann@shop.example.com");
        let speaker = Speaker { account: &account, source: Login, own_names: &[] };
        let exactly = signer(Senders::Plausible, Covers::Exactly, &[]);
        assert_eq!(exactly.permits("example.com", speaker), Permission::Refused("example.com".into()));
        assert_eq!(exactly.permits("example.org", speaker), Permission::NoKey);
    }
}
