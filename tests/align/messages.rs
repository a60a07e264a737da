//! Messages that canonical forms trip over, and the keys that sign them.

use std::fmt::Write as _;

use outguard::align::settings::{Covers, DkimKeySettings, SigningSettings};
use outguard::align::sign::{KeyKind, PrivateKey, Signer, SigningKey};
use outguard::clock::WallMs;
use outguard::secret::Secret;

/// Signatures must not lie in the future of the verifiers.
pub(crate) const NOW: WallMs = WallMs(1_790_000_000_000);

/// Keys with their selectors, ready to sign for example.com without an end, and their records by name.
pub(crate) struct Keys {
    pub(crate) signer: Signer,
    pub(crate) pems: Vec<String>,
    pub(crate) zone: Vec<(String, String)>,
}

impl Keys {
    pub(crate) fn new(kinds: &[(&str, KeyKind)]) -> Self {
        let mut settings =
            SigningSettings { expiry: None, seal_domain: Some("example.com".into()), ..Default::default() };
        let mut pems = Vec::new();
        for (selector, kind) in kinds {
            let (_, pem) = PrivateKey::generate(*kind).unwrap();
            settings.keys.push(DkimKeySettings {
                domain: "example.com".into(),
                selector: (*selector).into(),
                key: Secret::new(pem.as_bytes().to_vec()),
                covers: Covers::Subdomains,
                accounts: Vec::new(),
            });
            pems.push(pem.to_string());
        }
        let signer = Signer::new(&settings).unwrap();
        let zone = signer.keys().iter().map(|key| (key.record_name(), key.record())).collect();
        Self { signer, pems, zone }
    }

    /// The field of a signature for another domain, by the first key.
    pub(crate) fn signed_as(&self, domain: &str, message: &[u8]) -> Vec<u8> {
        let settings = DkimKeySettings {
            domain: domain.into(),
            selector: "s".into(),
            key: Secret::new(self.pems[0].as_bytes().to_vec()),
            covers: Covers::Subdomains,
            accounts: Vec::new(),
        };
        let key = SigningKey::new(&settings, PrivateKey::of_pem(self.pems[0].as_bytes()).unwrap());
        let signer = Signer::of(vec![key], SigningSettings { expiry: None, ..Default::default() });
        signer.sign(&[message], domain, NOW)
    }

    /// The message as it would leave.
    pub(crate) fn signed(&self, message: &[u8]) -> Vec<u8> {
        let prefix = self.signer.sign(&[message], "example.com", NOW);
        assert!(!prefix.is_empty());
        [prefix, message.to_vec()].concat()
    }
}

/// Each with what is special about it.
pub(crate) fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let header = "Received: from a by b; Sat, 21 Nov 2026 12:00:00 +0000\r\nFrom: Ann <ann@example.com>\r\n\
                  To: bob@example.org\r\nSubject: Hello\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n\
                  Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n";
    let with = |more: &str, body: &[u8]| [header.as_bytes(), more.as_bytes(), b"\r\n", body].concat();
    let mut many = String::new();
    for n in 0..300 {
        let _ = write!(many, "X-Field-{n}: {}\r\n", "y".repeat(n % 70));
    }
    vec![
        ("plain", with("", b"Hello Bob,\r\n\r\nyours, Ann\r\n")),
        ("8-bit", with("Content-Transfer-Encoding: 8bit\r\n", "Gr\u{fc}\u{df}e \u{2713}\r\n".as_bytes())),
        ("bytes that are no UTF-8", with("", b"caf\xe9 \xff\xfe\r\n")),
        ("a line over 998 bytes", with("", format!("{}\r\nend\r\n", "x".repeat(5_000)).as_bytes())),
        ("dots at the start of lines", with("", b".\r\n..\r\n.hidden\r\nx\r\n.\r\n")),
        ("SMTPUTF8", with("", b"x\r\n").replace_from("From: J\u{f6}rg <j\u{f6}rg@example.com>\r\n")),
        ("no body", with("", b"")),
        ("empty lines alone", with("", b"\r\n\r\n\r\n")),
        ("white space at ends of lines and of the body", with("", b"a \t\r\n  b   c\t \r\n \t \r\n\r\n \r\n\r\n")),
        ("no end of the last line", with("", b"line\r\nlast")),
        ("folded and spaced fields", with("Reply-To:\r\n \tann@example.com  \r\n\t\r\nCc:c@example.org\r\n", b"x\r\n")),
        ("many fields", with(&many, b"x\r\n")),
        ("a field over 998 bytes", with(&format!("X-Long: {}\r\n", "y".repeat(3_000)), b"x\r\n")),
        ("long lines that begin with dots", with("", format!(".{0}\r\n..{0}\r\n", "x".repeat(70_000)).as_bytes())),
        ("one empty line", with("", b"\r\n")),
        ("white space alone", with("", b" \t \r\n")),
        ("8-bit in a field that nobody declared", with("X-Raw: caf\u{e9}\r\n", b"x\r\n")),
        ("the same field twice", with("List-Id: <a>\r\nList-Id: <b>\r\n", b"x\r\n")),
    ]
}

trait ReplaceFrom {
    fn replace_from(self, field: &str) -> Self;
}

impl ReplaceFrom for Vec<u8> {
    fn replace_from(self, field: &str) -> Self {
        let text = String::from_utf8(self).unwrap();
        text.replace("From: Ann <ann@example.com>\r\n", field).into_bytes()
    }
}
