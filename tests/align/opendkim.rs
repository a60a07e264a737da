//! OpenDKIM signs, by its own library as its milter does, and we verify: by our verifier, and through the real binary.

use std::io::Write as _;
use std::process::{Command, Stdio};

use outguard::align::dkim::{Failure, Leaving, Outcome, check};
use outguard::align::sign::{KeyKind, PrivateKey};

use crate::end_to_end::{World, now_s, text};
use crate::messages::messages;
use crate::others::{PYTHON, dkimpy, has_dkimpy, zone_of};

/// First line of input: a JSON object; then the message. Writes the signature. Says "absent" where there is no library.
const SIGN: &str = r#"
import ctypes, json, sys
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_ssize_t, c_void_p
try:
    lib = ctypes.CDLL("libopendkim.so.11")
except OSError:
    sys.stdout.write("absent")
    sys.exit()
lib.dkim_init.restype = lib.dkim_sign.restype = c_void_p
lib.dkim_init.argtypes = [c_void_p, c_void_p]
lib.dkim_sign.argtypes = [c_void_p, c_char_p, c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_int, c_int, c_ssize_t,
                          POINTER(c_int)]
lib.dkim_chunk.argtypes = [c_void_p, c_char_p, c_size_t]
lib.dkim_eom.argtypes = [c_void_p, c_void_p]
lib.dkim_getsighdr_d.argtypes = [c_void_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t)]
asked, message = json.loads(sys.stdin.buffer.readline()), sys.stdin.buffer.read()
forms = {"simple": 0, "relaxed": 1}
header, body = (forms[form] for form in asked["form"].split("/"))
algorithm = {"rsa-sha256": 1, "ed25519-sha256": 2}[asked["algorithm"]]
status = c_int()
dkim = lib.dkim_sign(lib.dkim_init(None, None), b"id", None, asked["key"].encode(), b"od", b"signed.example", header, body,
                     algorithm, asked["length"], byref(status))
assert dkim, status.value
assert lib.dkim_chunk(dkim, message, len(message)) == 0
assert lib.dkim_chunk(dkim, None, 0) == 0
assert lib.dkim_eom(dkim, None) == 0
field, length = c_void_p(), c_size_t()
assert lib.dkim_getsighdr_d(dkim, len("DKIM-Signature: "), byref(field), byref(length)) == 0
sys.stdout.buffer.write(b"DKIM-Signature: " + ctypes.string_at(field, length.value) + b"\r\n")
"#;

/// How a message is to be signed.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    algorithm: &'a str,
    form: &'a str,
    key: &'a str,
    /// `l=`; -1: none.
    length: i64,
}

/// The message under OpenDKIM's signature for signed.example; `None`, said aloud, where it is not installed.
fn signed(message: &[u8], wanted: Wanted<'_>) -> Option<Vec<u8>> {
    let Wanted { algorithm, form, key, length } = wanted;
    let asked = serde_json::json!({ "algorithm": algorithm, "form": form, "key": key, "length": length });
    let mut child =
        Command::new(PYTHON).args(["-c", SIGN]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Without the library it ends before it has read.
    let _ = writeln!(stdin, "{asked}").and_then(|()| stdin.write_all(message));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "OpenDKIM did not sign ({algorithm}, {form})");
    if output.stdout == b"absent" {
        let _ = writeln!(std::io::stderr(), "skipped: no libopendkim.so.11; ./check installs libopendkim11");
        return None;
    }
    Some([&*output.stdout, message].concat())
}

/// A key of each kind: how the signature is called, the private key, the record.
fn keys() -> Vec<(&'static str, String, String)> {
    [("rsa-sha256", KeyKind::Rsa), ("ed25519-sha256", KeyKind::Ed25519)]
        .into_iter()
        .map(|(algorithm, kind)| {
            let (key, pem) = PrivateKey::generate(kind).unwrap();
            (algorithm, pem.to_string(), key.record())
        })
        .collect()
}

const FORMS: [&str; 4] = ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"];

/// Ed25519 with a simple header is a fault of OpenDKIM 2.11.0-beta2: nobody verifies it, dkimpy as little as we.
fn is_sound(algorithm: &str, form: &str) -> bool {
    algorithm == "rsa-sha256" || form.starts_with("relaxed/")
}

const HEADER_CHANGED: Outcome = Outcome::Fails(Failure::HeaderChanged);
const KEY_NAME: &str = "od._domainkey.signed.example";

/// The messages, as written at signed.example.
fn theirs() -> Vec<(&'static str, Vec<u8>)> {
    let ends = |bytes: &[u8]| bytes.ends_with(b"\r\n");
    let of_them = |bytes: Vec<u8>| {
        // Bytes of no character set stand in some of them.
        let (from, to) = (&b"@example.com"[..], &b"@signed.example"[..]);
        match bytes.windows(from.len()).position(|window| window == from) {
            Some(at) => [&bytes[..at], to, &bytes[at + from.len()..]].concat(),
            None => bytes,
        }
    };
    // SMTP ends every message with a line's end.
    messages().into_iter().filter(|(_, bytes)| ends(bytes)).map(|(what, bytes)| (what, of_them(bytes))).collect()
}

#[tokio::test]
async fn we_verify_opendkims() {
    let has_dkimpy = has_dkimpy();
    for (algorithm, key, record) in keys() {
        let zone_lines = [(KEY_NAME.to_owned(), record)];
        let zone = zone_of(&zone_lines);
        for form in FORMS {
            for (what, message) in theirs() {
                let wanted = Wanted { algorithm, form, key: &key, length: -1 };
                let Some(content) = signed(&message, wanted) else { return };
                let leaving = [&*content];
                let results = check(&zone, &Leaving::new(&leaving).unwrap(), now_s(), 5).await;
                let outcomes: Vec<_> = results.iter().map(|checked| checked.outcome.clone()).collect();
                let expected = if is_sound(algorithm, form) { Outcome::Pass } else { HEADER_CHANGED };
                assert_eq!(outcomes, [expected], "{what}, {algorithm}, {form}");
                if has_dkimpy && what == "plain" {
                    let said = dkimpy(&serde_json::json!({ "do": "verify", "count": 1, "zone": zone_lines }), &content);
                    let holds = said == b"True\n";
                    assert_eq!(holds, is_sound(algorithm, form), "dkimpy: {algorithm}, {form}");
                }
            }
        }
    }
}

#[test]
fn what_opendkim_signed_is_seen_to_pass_by_the_binary() {
    let world = World::start("ed25519 = \"counted\"\n[align.dns]\nttl_min = \"0s\"\nttl_max = \"0s\"\n");
    let dns = &world.dns;
    // Nothing but its signature can carry it; the egress is chosen by the reverse-path's record, so that the reason is shown.
    dns.set("_dmarc.signed.example", text("v=DMARC1; p=reject"));
    dns.set("bounces.example", text("v=spf1 ip4:192.0.2.10 -all"));
    let (_, plain) = theirs().swap_remove(0);
    let mut count = 0;
    for (algorithm, key, record) in keys() {
        dns.set(KEY_NAME, text(&record));
        for form in FORMS.into_iter().filter(|form| is_sound(algorithm, form)) {
            let wanted = Wanted { algorithm, form, key: &key, length: -1 };
            let Some(content) = signed(&plain, wanted) else { return };
            world.deliver("x@bounces.example", &content);
            count += 1;
            let arrival = world.arrived(count).pop().unwrap();
            assert!(arrival.content.ends_with(&content), "{}", arrival.text());
            let told = world.told_of(&arrival);
            let words = "signed.example is authenticated: a DKIM signature of signed.example holds, from ten alone";
            assert!(told.contains(words), "{algorithm}, {form}: {told}");
        }
    }
    // Over a part of the body (`l=`): it holds, and that is said. Every other message of theirs passes, too.
    let (_, key, record) = keys().swap_remove(0);
    dns.set(KEY_NAME, text(&record));
    let wanted = Wanted { algorithm: "rsa-sha256", form: "relaxed/relaxed", key: &key, length: 5 };
    let Some(content) = signed(&plain, wanted) else { return };
    world.deliver("x@bounces.example", &content);
    count += 1;
    let told = world.told_of(&world.arrived(count).pop().unwrap());
    assert!(
        told.contains("is over a part of the body (`l=`)") && told.contains("Let who signs leave out `l=`"),
        "{told}"
    );
    for (what, message) in theirs().into_iter().skip(1) {
        let Some(content) = signed(&message, Wanted { length: -1, ..wanted }) else { return };
        world.deliver("x@bounces.example", &content);
        count += 1;
        let told = world.told_of(&world.arrived(count).pop().unwrap());
        assert!(told.contains("a DKIM signature of signed.example holds"), "{what}: {told}");
    }
    // It does look: what is changed after signing is held.
    let Some(content) = signed(&plain, Wanted { length: -1, ..wanted }) else { return };
    let changed = String::from_utf8(content).unwrap().replace("yours, Ann", "yours, Eve");
    world.deliver("x@bounces.example", changed.as_bytes());
    let (name, sentence) = crate::end_to_end::reason(&world.newest());
    assert_eq!(name, "align-policy", "{sentence}");
}
