//! dkimpy and OpenDKIM verify what we sign, and we verify what they sign.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use outguard::align::arc::seal::{self, Found};
use outguard::align::arc::{self, Chain};
use outguard::align::dkim::{Failure, Leaving, Outcome, check};
use outguard::align::dns::Fixed;
use outguard::align::sign::KeyKind;
use tokio::time::Instant;

use crate::messages::{Keys, NOW, messages};

/// A name server that takes its records on the command line.
const DNSMASQ: &str = "/usr/sbin/dnsmasq";
/// The system's own: a newer one elsewhere does not see Debian's packages.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// What dkimpy is asked. First line of input: a JSON object; then the message.
const DKIMPY: &str = r#"
import json, sys
import dkim
line = sys.stdin.buffer.readline()
asked, message = json.loads(line), sys.stdin.buffer.read()
zone = {name: text.encode() for name, text in asked["zone"]}
def txt(name, timeout=5):
    return zone.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
key = asked.get("key", "").encode()
if asked["do"] == "verify":
    for index in range(asked["count"]):
        try:
            print(dkim.DKIM(message).verify(idx=index, dnsfunc=txt))
        except dkim.ValidationError as error:
            print(False)
elif asked["do"] == "sign":
    kind = asked["algorithm"].encode()
    form = tuple(part.encode() for part in asked["form"].split("/"))
    sys.stdout.buffer.write(dkim.sign(message, b"them", b"example.com", key, canonicalize=form, signature_algorithm=kind))
elif asked["do"] == "arc-verify":
    print(dkim.arc_verify(message, dnsfunc=txt)[0].decode())
elif asked["do"] == "arc-sign":
    for field in dkim.arc_sign(message, b"them", b"example.com", key, b"mail.example.com"):
        sys.stdout.buffer.write(field)
"#;

/// Whether dkimpy can be asked; says so where not.
pub(crate) fn has_dkimpy() -> bool {
    let found = Command::new(PYTHON).args(["-c", "import authres, dkim, nacl"]).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {PYTHON} has no dkimpy with all it needs; ./check installs python3-dkim, -nacl and -authres"
        );
    }
    found
}

pub(crate) fn dkimpy(asked: &serde_json::Value, message: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new(PYTHON).args(["-c", DKIMPY]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{asked}").unwrap();
    stdin.write_all(message).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "dkimpy did not {}", asked["do"]);
    output.stdout
}

pub(crate) fn zone_of(records: &[(String, String)]) -> Fixed {
    let mut zone = Fixed::default();
    for (name, text) in records {
        zone.text(name, text);
    }
    zone
}

#[test]
fn dkimpy_verifies_ours() {
    if !has_dkimpy() {
        return;
    }
    let keys = Keys::new(&[("ed", KeyKind::Ed25519), ("rsa", KeyKind::Rsa)]);
    for (what, message) in messages() {
        let asked = serde_json::json!({ "do": "verify", "count": 2, "zone": keys.zone });
        let said = dkimpy(&asked, &keys.signed(&message));
        assert_eq!(String::from_utf8_lossy(&said), "True\nTrue\n", "{what}");
    }
    // It does look: a changed body fails both.
    let (_, message) = &messages()[0];
    let changed = String::from_utf8(keys.signed(message)).unwrap().replace("Hello Bob", "Hello Rob");
    let asked = serde_json::json!({ "do": "verify", "count": 2, "zone": keys.zone });
    assert_eq!(dkimpy(&asked, changed.as_bytes()), b"False\nFalse\n");
}

#[tokio::test]
async fn we_verify_dkimpys() {
    if !has_dkimpy() {
        return;
    }
    let keys = Keys::new(&[("them", KeyKind::Rsa), ("other", KeyKind::Ed25519)]);
    // dkimpy takes an Ed25519 key as the base64 of its 32 bytes: the end of the PKCS #8 structure.
    let der: Vec<u8> = base64_of(&keys.pems[1]);
    let seed = encode(&der[16..48]);
    let cases = [("rsa-sha256", &keys.pems[0], &keys.zone[0].1), ("ed25519-sha256", &seed, &keys.zone[1].1)];
    for (algorithm, key, record) in cases {
        let zone = zone_of(&[("them._domainkey.example.com".into(), record.clone())]);
        for form in ["relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed"] {
            for (what, message) in messages() {
                let asked =
                    serde_json::json!({ "do": "sign", "algorithm": algorithm, "form": form, "key": key, "zone": [] });
                let field = dkimpy(&asked, &message);
                let signed = [&*field, &*message].concat();
                // By the clock of the one who signed.
                let results = check(&zone, &Leaving::new(&[&signed]).unwrap(), NOW.0 / 1_000, 5).await;
                let outcomes: Vec<_> = results.iter().map(|checked| &checked.outcome).collect();
                assert_eq!(outcomes, [&Outcome::Pass], "{what}, {algorithm}, {form}");
            }
        }
    }
}

fn base64_of(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn chains_of_seals_by_turns() {
    if !has_dkimpy() {
        return;
    }
    let keys = Keys::new(&[("them", KeyKind::Rsa)]);
    let zone = zone_of(&keys.zone);
    let (_, message) = &messages()[0];
    let chain_of = async |message: &[u8]| {
        let until = Instant::now() + Duration::from_secs(30);
        arc::verify(&zone, &Leaving::new(&[message]).unwrap(), NOW.0 / 1_000, until).await
    };
    let ours = |message: &[u8], chain: &Chain| {
        let found = Found { by: "mail.example.com", chain, signatures: &[] };
        let key = keys.signer.sealer().unwrap();
        let link = seal::begin(key, &Leaving::new(&[message]).unwrap(), found, NOW).unwrap().finish(key);
        [link, message.to_vec()].concat()
    };
    let says = |message: &[u8]| {
        let said = dkimpy(&serde_json::json!({ "do": "arc-verify", "zone": keys.zone }), message);
        String::from_utf8(said).unwrap()
    };
    let mut sealed = ours(message, &Chain::None);
    assert_eq!((says(&sealed).as_str(), chain_of(&sealed).await), ("pass\n", Chain::Pass(1)));
    let asked = serde_json::json!({ "do": "arc-sign", "key": keys.pems[0], "zone": keys.zone });
    let results = b"Authentication-Results: mail.example.com; arc=pass; dkim=none\r\n".to_vec();
    let with_results = [results, sealed].concat();
    sealed = [dkimpy(&asked, &with_results), with_results].concat();
    assert_eq!((says(&sealed).as_str(), chain_of(&sealed).await), ("pass\n", Chain::Pass(2)), "theirs over ours");
    let sealed = ours(&sealed, &Chain::Pass(2));
    assert_eq!((says(&sealed).as_str(), chain_of(&sealed).await), ("pass\n", Chain::Pass(3)), "ours over theirs");
}

/// The words for these TXT records. Strings of a record hold 255 bytes each.
fn words(zone: &[(String, String)]) -> Vec<String> {
    let mut words: Vec<String> =
        ["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces"]
            .into_iter()
            .chain(["--listen-address=127.0.0.1", "--user=root", "--pid-file", "--local=/com/", "--local=/org/"])
            .map(Into::into)
            .collect();
    for (name, text) in zone {
        let strings: Vec<&str> = text.as_bytes().chunks(200).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
        // No text of ours has a comma, which would end a string.
        words.push(format!("--txt-record={name},{}", strings.join(",")));
    }
    words
}

/// Asks OpenDKIM's verifier, in a network of its own with a name server that has these records. `None`, said aloud, where
/// that cannot be.
pub(crate) fn opendkim(
    zone: &[(String, String)],
    words_of_it: &[&str],
    messages: &[&[u8]],
) -> Option<Vec<(bool, Vec<u8>)>> {
    for needed in ["/usr/sbin/opendkim-testmsg", DNSMASQ, "/usr/sbin/ip"] {
        if !Path::new(needed).exists() {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: no {needed}; ./check installs opendkim-tools, dnsmasq-base and iproute2"
            );
            return None;
        }
    }
    let may = Command::new("unshare").args(["--mount", "--net", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: OpenDKIM asks the system's name server, and this user may make no network of its own"
        );
        return None;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    for (n, message) in messages.iter().enumerate() {
        std::fs::write(path(&n.to_string()), message).unwrap();
    }
    let script = "set -e\ncd \"$1\"; count=$2; shift 2\nip link set lo up\nmount --bind resolv.conf /etc/resolv.conf\n\
                  dnsmasq \"$@\" & server=$!\ntrap 'kill $server' EXIT\nset +e\n\
                  for try in $(seq 100); do ss -lun | grep -q '127.0.0.1:53 ' && break; sleep 0.05; done\n\
                  for n in $(seq 0 $((count - 1))); do\n\
                  opendkim-testmsg $WORDS <$n >$n.out 2>$n.err; echo $? >$n.rc\ndone";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "bash", "-c", script, "opendkim"]).arg(folder.path());
    command.arg(messages.len().to_string()).args(words(zone)).arg("--port=53").env("WORDS", words_of_it.join(" "));
    let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
    let result = |n: usize| -> io::Result<(bool, Vec<u8>)> {
        let done = std::fs::read_to_string(path(&format!("{n}.rc")))?.trim() == "0";
        Ok((done, std::fs::read(path(&format!("{n}.{}", if done { "out" } else { "err" })))?))
    };
    let results: io::Result<Vec<_>> = (0..messages.len()).map(result).collect();
    Some(results.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr))))
}

#[test]
fn opendkim_verifies_ours() {
    let keys = Keys::new(&[("rsa", KeyKind::Rsa)]);
    let both = Keys::new(&[("rsa2", KeyKind::Rsa), ("ed2", KeyKind::Ed25519)]);
    let zone = [keys.zone.clone(), both.zone.clone()].concat();
    let messages = messages();
    let mut signed: Vec<Vec<u8>> = messages.iter().map(|(_, message)| keys.signed(message)).collect();
    signed.push(both.signed(&messages[0].1));
    let changed = String::from_utf8(signed[0].clone()).unwrap().replace("Hello Bob", "Hello Rob");
    signed.push(changed.into_bytes());
    let asked: Vec<&[u8]> = signed.iter().map(AsRef::as_ref).collect();
    let Some(results) = opendkim(&zone, &[], &asked) else { return };
    for (n, (holds, said)) in results.iter().enumerate() {
        let what = messages.get(n).map_or("with an Ed25519 signature, or changed", |(what, _)| what);
        assert_eq!(*holds, n + 1 < signed.len(), "{what}: {}", String::from_utf8_lossy(said));
    }
}

#[tokio::test]
async fn opendkims_test_tool_signs_with_what_no_longer_counts() {
    // It knows rsa-sha1 alone, which RFC 8301 3.1 forbids to believe: read, and said so.
    let keys = Keys::new(&[("rsa", KeyKind::Rsa)]);
    let folder = tempfile::TempDir::new().unwrap();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, &keys.pems[0]).unwrap();
    let key = key.display().to_string();
    let (_, message) = &messages()[0];
    let Some(results) = opendkim(&keys.zone, &["-C", "-d", "example.com", "-s", "rsa", "-k", &key], &[message]) else {
        return;
    };
    let (signed, bytes) = &results[0];
    assert!(signed, "{}", String::from_utf8_lossy(bytes));
    let checked = check(&zone_of(&keys.zone), &Leaving::new(&[bytes]).unwrap(), NOW.0 / 1_000, 5).await;
    assert_eq!(checked[0].outcome, Outcome::Fails(Failure::Weak("rsa-sha1")));
}
