//! What alignment costs a message: signing (RSA-2048, Ed25519), everything that is found out about it, of one that passes and of
//! one that fails, and doing it all anew for one that waited. DNS answers are cached.
//!
//! `cargo bench --bench align`

#![expect(clippy::print_stdout, reason = "a bench's report goes to standard output")]

use std::sync::Arc;
use std::time::Instant;

use outguard::align::AlignSettings;
use outguard::align::author::Author;
use outguard::align::dkim::Leaving;
use outguard::align::dns::{Cached, Fixed};
use outguard::align::facts::Own;
use outguard::align::gather::{Claims, Leg, Source, Subject, gather};
use outguard::align::settings::{Covers, DkimKeySettings, SigningSettings};
use outguard::align::sign::{KeyKind, PrivateKey, Signer};
use outguard::align::verdict::{Alignment, judge};
use outguard::clock::{SystemClock, WallMs};
use outguard::mail::ReversePath;
use outguard::secret::Secret;

const NOW: WallMs = WallMs(1_790_000_000_000);

fn main() {
    for kib in [4, 100, 1_024] {
        let message = message(kib << 10);
        println!("a message of {kib} KiB:");
        for (what, kinds) in [
            ("RSA-2048", &[KeyKind::Rsa][..]),
            ("Ed25519", &[KeyKind::Ed25519][..]),
            ("both", &[KeyKind::Rsa, KeyKind::Ed25519][..]),
        ] {
            let (signer, zone) = signer(kinds);
            let signing = microseconds_each(200, || drop(signer.sign(&[&message], "example.com", NOW)));
            println!(
                "    signed with {what}: {signing:.0} us; found out about it: {:.0} us",
                found_out(&signer, zone.clone(), &message, Alignment::Pass)
            );
            println!("        signed and found out anew: {:.0} us", anew(&signer, zone, &message));
        }
        let (unknown, zone) = (Signer::of(Vec::new(), SigningSettings::default()), failing());
        let failing = found_out(&unknown, zone, &message, Alignment::None);
        println!("    not signed, and SPF forbids it: {failing:.0} us to find out and to say what mends it");
    }
}

/// Microseconds that each run takes.
#[expect(clippy::disallowed_methods, reason = "a bench measures the clock that people wait on")]
fn microseconds_each(runs: u32, mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    for _ in 0..runs {
        run();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(runs)
}

fn message(body_bytes: usize) -> Vec<u8> {
    let mut message = b"From: Ann <ann@example.com>\r\nTo: bob@example.org\r\nSubject: Minutes of Tuesday\r\n\
        Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\n"
        .to_vec();
    while message.len() < body_bytes {
        message.extend_from_slice(b"Hello Bob, here are the minutes that I promised, with a second point.\r\n");
    }
    message
}

/// Keys for example.com and a zone as a well kept domain has it: SPF by two includes, DMARC, keys.
fn signer(kinds: &[KeyKind]) -> (Signer, Fixed) {
    let mut settings = SigningSettings::default();
    for (n, kind) in kinds.iter().enumerate() {
        let (_, pem) = PrivateKey::generate(*kind).expect("the machine makes keys");
        let key = Secret::new(pem.as_bytes().to_vec());
        let selector = format!("s{n}");
        settings.keys.push(DkimKeySettings {
            domain: "example.com".into(),
            selector,
            key,
            covers: Covers::Subdomains,
            accounts: Vec::new(),
        });
    }
    let signer = Signer::new(&settings).expect("keys of ours");
    let mut zone = Fixed::default();
    zone.text("example.com", "v=spf1 include:_spf.example.net include:_spf.example.org -all")
        .text("_spf.example.net", "v=spf1 ip4:198.51.100.0/24 -all")
        .text("_spf.example.org", "v=spf1 ip4:192.0.2.0/24 -all")
        .text("_dmarc.example.com", "v=DMARC1; p=reject; adkim=s");
    for key in signer.keys() {
        zone.text(&key.record_name(), &key.record());
    }
    (signer, zone)
}

/// The same domain without a key, and its record names somebody else.
fn failing() -> Fixed {
    let mut zone = Fixed::default();
    zone.text("example.com", "v=spf1 include:_spf.example.net include:_spf.example.org -all")
        .text("_spf.example.net", "v=spf1 ip4:198.51.100.0/24 -all")
        .text("_spf.example.org", "v=spf1 ip4:203.0.113.0/24 -all")
        .text("_dmarc.example.com", "v=DMARC1; p=reject; adkim=s");
    zone
}

/// SPF, DKIM, DMARC and ARC of the message as it leaves, and the verdict.
fn found_out(signer: &Signer, zone: Fixed, message: &[u8], expected: Alignment) -> f64 {
    let signature = signer.sign(&[message], "example.com", NOW);
    let looked = Looked::new(zone);
    microseconds_each(200, || assert_eq!(looked.at(&[&signature, message]), expected))
}

/// What a message costs that waited until its key or its record was another: signed, and found out, once more.
fn anew(signer: &Signer, zone: Fixed, message: &[u8]) -> f64 {
    let looked = Looked::new(zone);
    microseconds_each(200, || {
        let signature = signer.sign(&[message], "example.com", NOW);
        assert_eq!(looked.at(&[&signature, message]), Alignment::Pass);
    })
}

/// Looks at messages, with answers that are cached.
struct Looked {
    settings: AlignSettings,
    dns: Cached<Fixed>,
    runtime: tokio::runtime::Runtime,
}

impl Looked {
    fn new(zone: Fixed) -> Self {
        let settings = AlignSettings::default();
        let clock = Arc::new(SystemClock::new().expect("a machine has a boot id"));
        let dns = Cached::new(zone, &settings.dns, clock);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
        Self { settings, dns, runtime }
    }

    fn at(&self, pieces: &[&[u8]]) -> Alignment {
        let reverse_path = ReversePath::parse(b"ann@example.com").expect("an address");
        let egress: Arc<str> = "one".into();
        let leaving = Leaving::new(pieces).expect("a short header");
        let source =
            Source { egress: &egress, addresses: vec![Some([192, 0, 2, 10].into())], ehlo: "mail.example.com" };
        let subject = Subject {
            leaving: &leaving,
            author: Author::Domain("example.com".into()),
            reverse_path: &reverse_path,
            routes: vec![Leg::Direct(vec![source])],
            own: Own::Key,
            claims: Claims::default(),
            at: NOW,
        };
        let facts = self.runtime.block_on(gather(&self.dns, &self.settings, &subject));
        judge(&facts, &self.settings.deeds).alignment
    }
}
