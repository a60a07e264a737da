//! Alignment at the final dot: our signature, what receivers will make of the message, and from where it may leave.

mod matter;
mod seen;
mod ways;

use std::sync::Arc;

use bytes::Bytes;

pub(super) use self::matter::{Matter, Unread, Whole};
use self::matter::{NotRead, away};
pub(in crate::daemon) use self::seen::{SystemAddresses, ways_out};
use self::ways::Ways;
use crate::align::arc::newest_sealer;
use crate::align::arc::seal::{self, Found};
use crate::align::author::Author;
use crate::align::dkim::Leaving;
use crate::align::dns::{Cached, Hickory};
use crate::align::facts::{Facts, Forwarded, Own};
use crate::align::gather::{Claims, Subject, gather, is_rewritten};
use crate::align::settings::{AlignDnsSettings, AlignSettings, Deed, Judge};
use crate::align::sign::{Begun, KeyFault, Permission, Signer, SigningKey, Speaker};
use crate::align::verdict::{Finding, judge, not_signed};
use crate::clock::{Clock, WallMs};
use crate::delivery::Router;
use crate::delivery::route::domain_matches;
use crate::guard::{Decision, Reason};
use crate::mail::{Address, Domain};
use crate::message::Message;
use crate::store::Destination;

/// Everything that alignment needs of one reading of the configuration.
pub(in crate::daemon) struct Aligning {
    settings: AlignSettings,
    signer: Arc<Signer>,
    dns: Cached<Hickory>,
    /// Who seals; and all names of this machine and its MTAs, that one first.
    own_names: Vec<String>,
    /// Domains whose mail is ours, as `[dsn]` has them.
    own_domains: Vec<String>,
    /// What the world sees of an egress that has no address written.
    system: SystemAddresses,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum AligningError {
    /// A key cannot be used.
    #[error("{0}")]
    Key(#[from] KeyFault),
    /// The resolver cannot be set up.
    #[error("{0}")]
    Dns(#[from] crate::align::dns::NoAnswer),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Aligned {
    /// What receivers will make of it; `None`: it was not judged.
    pub finding: Option<Finding>,
    /// Signatures and seals, whole fields.
    pub fields: String,
    /// Why there is no signature of a domain that has a key.
    pub not_signed: Option<Reason>,
    /// Where the recipients' mail goes, where not all egresses may carry it.
    pub destinations: Option<Vec<Destination>>,
}

impl Aligned {
    /// The lines of evidence.
    pub(super) fn reasons(&self) -> impl Iterator<Item = Reason> + '_ {
        self.finding.iter().flat_map(Finding::reasons).chain(self.not_signed.clone())
    }

    /// What its line is called; empty where it was not judged.
    pub(super) fn name(&self) -> &'static str {
        self.finding.as_ref().map_or("", |finding| finding.name)
    }

    /// What is done for it, whatever the score.
    pub(super) fn at_least(&self) -> Decision {
        match self.finding.as_ref().and_then(|finding| finding.deed) {
            None | Some(Deed::Send | Deed::Points(_)) => Decision::Send,
            Some(Deed::Hold) => Decision::Hold,
            Some(Deed::Reject) => Decision::Reject,
        }
    }
}

impl Aligning {
    /// For a configuration. `own_names` are the names of this machine and its MTAs, outguard's first. The answers that
    /// `before` knows stay known, where the servers are the same.
    pub(in crate::daemon) fn new(
        settings: &AlignSettings,
        (own_names, own_domains): (Vec<String>, Vec<String>),
        clock: Arc<dyn Clock>,
        before: Option<&Self>,
    ) -> Result<Self, AligningError> {
        let signer = Arc::new(Signer::new(&settings.signing)?);
        // The system's own name servers may be others now: they are read again, whatever is written here.
        let mut asking = settings.dns.clone();
        // A silent server must be known as one before its share of the time is over, not to be asked for each message.
        asking.timeout = asking.timeout.min(settings.time_limit / 2);
        let fresh = Cached::new(Hickory::new(&asking)?, &asking, clock);
        let dns = match before {
            Some(before) if is_same(&before.settings.dns, &settings.dns) => fresh.remembering(&before.dns),
            Some(_) | None => fresh,
        };
        let system = SystemAddresses::now();
        Ok(Self { settings: settings.clone(), signer, dns, own_names, own_domains, system })
    }

    /// Whether there is anything to do.
    pub(super) fn is_on(&self) -> bool {
        self.settings.judge == Judge::All || !self.signer.keys().is_empty()
    }

    /// What it works by, in words: others mean that a message may be signed or judged otherwise.
    pub(super) fn outline(&self) -> String {
        let Self { settings, signer, own_names, own_domains, system, .. } = self;
        let AlignSettings { judge, discovery, signatures_max, ed25519, forwarders, deeds, signing, .. } = settings;
        let records: Vec<String> = signer.keys().iter().map(SigningKey::record).collect();
        format!(
            "{judge:?} {discovery:?} {signatures_max} {ed25519:?} {forwarders:?} {deeds:?} {signing:?} {records:?} \
             {own_names:?} {own_domains:?} {system:?}"
        )
    }

    /// After how long our signatures end, in milliseconds.
    pub(super) fn signature_lasts_ms(&self) -> Option<u64> {
        let expiry = self.settings.signing.expiry?;
        Some(u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX))
    }

    /// The signature of a report that outguard wrote itself.
    pub(super) async fn signature_of_own(&self, bytes: Bytes, from: String, at: WallMs) -> String {
        let signer = Arc::clone(&self.signer);
        let signature = away(move || signer.sign(&[&bytes], &from, at)).await;
        String::from_utf8_lossy(&signature).into_owned()
    }

    /// Signs, then judges what will leave.
    ///
    /// # Errors
    /// The disk does not give all of it now.
    pub(super) async fn aligned(
        &self,
        matter: &Matter<'_>,
        message: &Message,
        router: &Router,
    ) -> Result<Aligned, Unread> {
        if !self.is_on() {
            return Ok(Aligned::default());
        }
        match matter.unsigned(self.signer.body_forms()).await {
            Ok(unsigned) => Ok(self.found(matter, message, unsigned, router).await),
            Err(NotRead::HeaderTooLong) => Ok(Aligned { finding: self.too_long(), ..Aligned::default() }),
            Err(NotRead::Now(unread)) => Err(unread),
        }
    }

    async fn found(&self, matter: &Matter<'_>, message: &Message, unsigned: Leaving<'_>, router: &Router) -> Aligned {
        let author = Author::in_leaving(message, &unsigned);
        let from = author.domain().unwrap_or_default();
        let (begun, own) = self.begun(matter, message, &unsigned, from);
        let signature = self.finished(begun).await;
        let not_signed = not_signed(&own, from);
        let mut fields = String::from_utf8_lossy(&signature).into_owned();
        if self.settings.judge == Judge::Nothing {
            return Aligned { fields, not_signed, ..Aligned::default() };
        }
        let Ok(leaving) = unsigned.under(&signature) else {
            return Aligned { finding: self.too_long(), fields, not_signed, ..Aligned::default() };
        };
        let ways = Ways::of(matter.destinations, router);
        let subject = Subject {
            leaving: &leaving,
            author,
            reverse_path: &matter.envelope.reverse_path,
            routes: ways.legs(&self.system),
            own,
            claims: self.claims(matter, &leaving, router),
            at: matter.at,
        };
        let gathering = gather(&self.dns, &self.settings, &subject);
        let Ok(facts) = tokio::time::timeout(self.settings.time_limit, gathering).await else {
            return Aligned { finding: self.unsure("DNS takes too long"), fields, not_signed, ..Aligned::default() };
        };
        let finding = judge(&facts, &self.settings.deeds);
        fields.insert_str(0, &self.sealed(&facts, &leaving, matter).await);
        let destinations = ways.restricted(matter.destinations, &finding);
        Aligned { finding: Some(finding), fields, not_signed, destinations }
    }

    /// Our signature, away from the threads that serve sessions: RSA takes longer than all else.
    async fn finished(&self, begun: Begun) -> Vec<u8> {
        if begun.is_empty() {
            return Vec::new();
        }
        let signer = Arc::clone(&self.signer);
        away(move || signer.finish(begun)).await
    }

    /// Our signature but for its arithmetic, and whether there is a key for it.
    fn begun(&self, matter: &Matter<'_>, message: &Message, unsigned: &Leaving<'_>, from: &str) -> (Begun, Own) {
        let speaker = Speaker { account: matter.account, source: matter.source, own_names: &self.own_names };
        match self.signer.permits(from, speaker) {
            Permission::NoKey => (Begun::default(), Own::NoKey),
            Permission::Refused(domain) => (Begun::default(), Own::NotForAccount(domain, matter.account.clone())),
            Permission::Granted if is_ours_to_sign(matter, message) => {
                (self.signer.begin_for(speaker, unsigned, from, matter.at), Own::Key)
            }
            Permission::Granted => (Begun::default(), Own::Key),
        }
    }

    fn unsure(&self, why: &str) -> Option<Finding> {
        (self.settings.judge == Judge::All).then(|| Finding::unsure(why, 0, &self.settings.deeds))
    }

    fn too_long(&self) -> Option<Finding> {
        let why = "its header is longer than is looked at (2,000 fields, 1 MiB)";
        (self.settings.judge == Judge::All).then(|| Finding::unreadable(why, &self.settings.deeds))
    }

    /// What a message says about being forwarded, and whether it is believed: an SRS address of an own domain (a key's, one
    /// of `[dsn]`, a name of the machine, its MTAs and egresses) or of a forwarder that the operator named, a chain that such
    /// a one has sealed last. Never of logins: they send.
    fn claims(&self, matter: &Matter<'_>, leaving: &Leaving<'_>, router: &Router) -> Claims {
        if matter.is_submission() {
            return Claims::default();
        }
        let is_believed = |domain: &str| {
            let named = |name: &String| name.eq_ignore_ascii_case(domain);
            let is_written = self.settings.forwarders.iter().any(named) || self.own_names.iter().any(named);
            let is_of_reports = || self.own_domains.iter().any(|own| domain_matches(own, domain));
            let greets = || router.egresses().iter().any(|egress| egress.ehlo.eq_ignore_ascii_case(domain));
            is_written || self.signer.covers(domain) || is_of_reports() || greets()
        };
        let rewriter = match matter.envelope.reverse_path.address().map(Address::domain) {
            Some(Domain::Name(name)) if is_rewritten(&matter.envelope.reverse_path) => Some(name.clone()),
            Some(_) | None => None,
        };
        let newest = newest_sealer(leaving);
        let rewritten = rewriter.as_deref().is_some_and(is_believed);
        let sealed = newest.as_deref().is_some_and(is_believed);
        let doubted = if rewritten || sealed { None } else { rewriter.or(newest) };
        Claims { rewritten, sealed, chain_wanted: rewritten && self.signer.sealer().is_some(), doubted }
    }

    /// Forwarded mail of others is sealed, if that is wanted; as for signatures, away from the threads that serve sessions.
    async fn sealed(&self, facts: &Facts, leaving: &Leaving<'_>, matter: &Matter<'_>) -> String {
        let is_forwarded = matches!(facts.forwarded, Forwarded::Rewritten | Forwarded::Sealed);
        let is_wanted = is_forwarded && facts.own == Own::NoKey && matter.begins_a_field();
        let Some(key) = self.signer.sealer().filter(|_| is_wanted) else { return String::new() };
        let checked: Vec<_> = facts.signatures.iter().map(|signed| signed.checked.clone()).collect();
        let found =
            Found { by: self.own_names.first().map_or("", String::as_str), chain: &facts.chain, signatures: &checked };
        let Some(begun) = seal::begin(key, leaving, found, matter.at) else { return String::new() };
        let signer = Arc::clone(&self.signer);
        let link = away(move || signer.sealer().map_or_else(Vec::new, |key| begun.finish(key))).await;
        String::from_utf8_lossy(&link).into_owned()
    }
}

/// Whether what was learned by one resolver may be taken for the other's word.
fn is_same(one: &AlignDnsSettings, other: &AlignDnsSettings) -> bool {
    one.servers == other.servers && one.dnssec == other.dnssec
}

/// Whether what stands in From is this site's word. Mail that is only passed on is another's: who writes one of our
/// domains into it must not get our signature. A login speaks for itself, whatever it sends again.
fn is_ours_to_sign(matter: &Matter<'_>, message: &Message) -> bool {
    let is_passed_on = is_rewritten(&matter.envelope.reverse_path) || message.field("ARC-Seal").is_some();
    matter.begins_a_field() && (!is_passed_on || matter.is_submission())
}
