//! Forwarded mail through the real binary: whose seals it believes, what it does where DNS is silent, and how it seals.

use std::time::Duration;

use outguard::align::arc::seal::{self, Found};
use outguard::align::arc::{self, Chain};
use outguard::align::dkim::Leaving;
use outguard::align::dns::Fixed;
use outguard::align::settings::{Covers, DkimKeySettings, SigningSettings};
use outguard::align::sign::{KeyKind, PrivateKey, Signer};
use outguard::clock::WallMs;
use outguard::secret::Secret;
use serde_json::Value;
use tokio::time::Instant;

use crate::end_to_end::{World, message, now_s, reason, text};
use crate::others::{dkimpy, has_dkimpy};
use crate::receiver::seals_hold;
use crate::rig::dns::Record;
use crate::rig::process;
use crate::rig::relay::binary;

/// Believes one forwarder, seals what is forwarded, and shows what it found.
const SEALING: &str = "forwarders = [\"lists.example.net\"]\n[signing]\nseal_domain = \"example.com\"\n\
                       [score]\nheader_fields = true\n";

/// Somebody who forwards mail and seals it.
struct Forwarder {
    domain: &'static str,
    signer: Signer,
    /// The name of its key, and the record.
    key: (String, String),
}

impl Forwarder {
    fn of(domain: &'static str) -> Self {
        let (_, pem) = PrivateKey::generate(KeyKind::Rsa).unwrap();
        let key = DkimKeySettings {
            domain: domain.into(),
            selector: "fw".into(),
            key: Secret::new(pem.as_bytes().to_vec()),
            covers: Covers::Subdomains,
            accounts: Vec::new(),
        };
        let settings = SigningSettings { keys: vec![key], seal_domain: Some(domain.into()), ..Default::default() };
        let signer = Signer::new(&settings).unwrap();
        let key = &signer.keys()[0];
        let key = (key.record_name(), key.record());
        Self { domain, signer, key }
    }

    /// The message as this one passes it on.
    fn seals(&self, message: &[u8], chain: &Chain) -> Vec<u8> {
        let found = Found { by: self.domain, chain, signatures: &[] };
        let key = self.signer.sealer().unwrap();
        let at = WallMs(now_s() * 1_000);
        let link = seal::begin(key, &Leaving::new(&[message]).unwrap(), found, at).unwrap().finish(key);
        [link, message.to_vec()].concat()
    }
}

/// A world with a domain that asks to reject what fails, and whose SPF record names somebody else.
fn world(more: &str) -> World {
    let world = World::start(more);
    world.dns.set("_dmarc.strict.example", text("v=DMARC1; p=reject"));
    world.dns.set("strict.example", text("v=spf1 ip4:198.51.100.1 -all"));
    world
}

/// What a verifier makes of the chain that arrived.
async fn chain_of(keys: &[(String, String)], content: &[u8]) -> Chain {
    let mut zone = Fixed::default();
    for (name, record) in keys {
        zone.text(name, record);
    }
    let until = Instant::now() + Duration::from_secs(30);
    let ours = arc::verify(&zone, &Leaving::new(&[content]).unwrap(), now_s(), until).await;
    if has_dkimpy() {
        let theirs = dkimpy(&serde_json::json!({ "do": "arc-verify", "zone": keys }), content);
        assert_eq!(
            String::from_utf8_lossy(&theirs).trim(),
            ours.as_str(),
            "dkimpy: {}",
            String::from_utf8_lossy(content)
        );
    }
    ours
}

#[tokio::test]
async fn what_a_forwarder_sealed_leaves_and_bears_our_seal() {
    let world = world(SEALING);
    let forwarder = Forwarder::of("lists.example.net");
    world.dns.set(&forwarder.key.0, text(&forwarder.key.1));
    let sealed = forwarder.seals(&message("ann@strict.example"), &Chain::None);
    world.deliver("bounces@lists.example.net", &sealed);
    let arrival = world.arrived(1).pop().unwrap();
    let shown = arrival.text();
    assert!(shown.contains("align-forwarded") && !shown.contains("DKIM-Signature"), "{shown}");
    assert!(arrival.content.ends_with(&sealed), "{shown}");
    let ours = shown.split("ARC-Seal: ").nth(1).unwrap_or_else(|| panic!("no seal: {shown}"));
    assert!(ours.starts_with("i=2; a=rsa-sha256; ") && ours.contains("cv=pass;"), "{shown}");
    let keys = [world.key.clone(), vec![forwarder.key.clone()]].concat();
    assert_eq!(chain_of(&keys, &arrival.content).await, Chain::Pass(2), "{shown}");
    assert!(seals_hold(world.dns.address(), &arrival.content).await, "{shown}");
    // They do look.
    let changed = shown.replace("minutes.", "seconds.");
    assert!(matches!(chain_of(&keys, changed.as_bytes()).await, Chain::Fail(_)));
    assert!(!seals_hold(world.dns.address(), changed.as_bytes()).await);
}

#[tokio::test]
async fn what_is_rewritten_begins_a_chain() {
    let world = world(SEALING);
    // By a rewriter of our own: nobody sealed it before.
    world.deliver("SRS0=HHH=TT=strict.example=ann@example.com", &message("ann@strict.example"));
    let arrival = world.arrived(1).pop().unwrap();
    let shown = arrival.text();
    assert!(shown.contains("align-forwarded") && shown.contains("ARC-Seal: i=1; a=rsa-sha256; "), "{shown}");
    assert_eq!(chain_of(&world.key, &arrival.content).await, Chain::Pass(1), "{shown}");
    // What came with a chain that does not hold gets no link: a seal over a broken chain helps nobody.
    let forwarder = Forwarder::of("lists.example.net");
    world.dns.set(&forwarder.key.0, text(&forwarder.key.1));
    let sealed = String::from_utf8(forwarder.seals(&message("ann@strict.example"), &Chain::None)).unwrap();
    let broken = sealed.replace("minutes.", "seconds.");
    world.deliver("SRS0=HHH=TT=strict.example=ann@example.com", broken.as_bytes());
    let arrival = world.arrived(2).pop().unwrap();
    assert_eq!(arrival.text().matches("ARC-Seal:").count(), 1, "{}", arrival.text());
    assert!(arrival.text().contains("align-forwarded"), "{}", arrival.text());
    // Without `seal_domain` nothing is sealed.
    let plain = world_without_seals();
    plain.deliver("SRS0=HHH=TT=strict.example=ann@example.com", &message("ann@strict.example"));
    let arrival = plain.arrived(1).pop().unwrap();
    assert!(!arrival.text().contains("ARC-Seal"), "{}", arrival.text());
}

fn world_without_seals() -> World {
    world("[score]\nheader_fields = true\n")
}

#[test]
fn strangers_seals_and_forged_ones_excuse_nothing() {
    let world = world(SEALING);
    let stranger = Forwarder::of("evil.example");
    world.dns.set(&stranger.key.0, text(&stranger.key.1));
    world.deliver("eve@evil.example", &stranger.seals(&message("ann@strict.example"), &Chain::None));
    let (name, sentence) = reason(&world.newest());
    assert_eq!(name, "align-policy", "{sentence}");
    let asks = "It says that evil.example forwards it: if that is so, write evil.example into `align.forwarders`";
    assert!(sentence.contains(asks), "{sentence}");

    // In the name of the forwarder, by another's key.
    let forger = Forwarder::of("lists.example.net");
    let real = Forwarder::of("lists.example.net");
    world.dns.set(&real.key.0, text(&real.key.1));
    world.deliver("eve@evil.example", &forger.seals(&message("ann@strict.example"), &Chain::None));
    assert_eq!(reason(&world.newest()).0, "align-policy");

    // A stranger's link beneath it whose name server is silent changes nothing about that.
    world.dns.set("quiet._domainkey.evil.example", vec![Record::Silence]);
    let older = stranger.seals(&message("ann@strict.example"), &Chain::None);
    let older = String::from_utf8(older).unwrap().replace("s=fw;", "s=quiet;");
    world.deliver("eve@evil.example", &forger.seals(older.as_bytes(), &Chain::Pass(1)));
    assert_eq!(reason(&world.newest()).0, "align-policy");
    let held = world.site.command(&["queue", "list", "--state", "held", "--json"]);
    assert_eq!(String::from_utf8_lossy(&held.stdout).lines().count(), 3);
}

#[test]
fn a_forwarder_whose_name_server_is_silent_holds_no_mail() {
    let dns = "[align.dns]\ntimeout = \"2s\"\nfailure_ttl = \"1s\"\n";
    let world = world(&format!("{SEALING}[align.verdict]\ntemperror = 7\nforwarded = \"hold\"\n{dns}"));
    let forwarder = Forwarder::of("lists.example.net");
    world.dns.set(&forwarder.key.0, vec![Record::Silence]);
    let sealed = forwarder.seals(&message("ann@strict.example"), &Chain::None);
    world.deliver("bounces@lists.example.net", &sealed);
    let arrival = world.arrived(1).pop().unwrap();
    let shown = arrival.text();
    assert!(shown.contains("align-temperror"), "{shown}");
    assert!(!shown.contains("ARC-Seal: i=2"), "what is open is not called broken: {shown}");
    // What was said to people, with the points that are configured for it.
    let traced = world.told_of(&arrival);
    for words in ["+7", "cannot be told now", "whether it is forwarded mail depends on seals (ARC)", "once DNS answers"]
    {
        assert!(traced.contains(words), "{traced}\nlacks\n{words}");
    }
    // SERVFAIL is no better, asked once the silence is forgotten.
    std::thread::sleep(Duration::from_millis(1_100));
    world.dns.set(&forwarder.key.0, vec![Record::ServerFailure]);
    world.deliver("bounces@lists.example.net", &sealed);
    let arrival = world.arrived(2).pop().unwrap();
    assert!(arrival.text().contains("align-temperror"), "{}", arrival.text());
}

#[test]
fn who_seals_needs_a_key_that_can() {
    let world = World::start("");
    let keys = tempfile::TempDir::new().unwrap();
    let folder = keys.path().display().to_string();
    let words =
        ["dkim", "keygen", "example.com", "--selector", "ed", "--kind", "ed25519", "--folder", &folder, "--json"];
    let made: Value = serde_json::from_slice(&process::run(&binary(), &words, b"").stdout).unwrap();
    let file = made["file"].as_str().unwrap();
    let dkim = format!("[[dkim]]\ndomain = \"example.com\"\nselector = \"ed\"\nkey = {{ file = \"{file}\" }}\n");
    let check = |seal_domain: &str| {
        world.site.configure(&format!("[signing]\nseal_domain = \"{seal_domain}\"\n{dkim}"));
        let output = world.site.command(&["check"]);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let cases = [
        ("example.com", "example.com has an Ed25519 key alone, and seals know RSA keys only (RFC 8617 4.1); add one"),
        ("example.net", "there is no [[dkim]] of example.net"),
    ];
    for (seal_domain, words) in cases {
        let (code, said) = check(seal_domain);
        assert!(code == Some(78) && said.contains(words), "{seal_domain}: {code:?}: {said}");
        assert!(said.contains("signing.seal_domain"), "{said}");
    }
}
