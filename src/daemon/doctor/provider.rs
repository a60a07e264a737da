//! What the doctor says of the credentials for OVHcloud's API, where there are any.

use std::borrow::Cow;
use std::time::Duration;

use crate::align::doctor::{Finding, Grade};
use crate::clock::WallMs;
use crate::config::Config;
use crate::mail::Visible;
use crate::ovh::client::LISTING;
use crate::ovh::settings::{Credentials, Endpoint, OvhSettings};
use crate::ovh::{CREDENTIAL, Credential, Looked, OvhError, Worth, worth};

const WHY: &str = "outguard cannot ask whether an address is blocked for spam, nor have it unblocked";
const WHY_RIGHTS: &str = "a call that the keys do not allow is refused on the day it is needed";
const WHY_CLOCK: &str = "OVHcloud refuses requests that are not of its time";
/// How far the clocks may be apart, in seconds: far less than OVHcloud bears.
const CLOCK_S_MAX: u64 = 30;

/// Asks OVHcloud, where `[ovh]` is configured, and waits no longer than that.
pub(super) async fn examine(config: &Config, now: WallMs, limit: Duration) -> Vec<Finding> {
    let Some(settings) = &config.ovh else { return Vec::new() };
    let answer = tokio::time::timeout(limit, worth(settings, now)).await;
    let late = || OvhError::NotReached(format!("no answer within {} s", limit.as_secs()));
    let looked = answer.unwrap_or_else(|_| Looked { clock_ahead_s: Err(late()), credential: Err(late()) });
    told(settings, &looked)
}

/// What is said of it: each time the same three things, or one that is not known now would be forgotten.
fn told(settings: &OvhSettings, looked: &Looked) -> Vec<Finding> {
    let mut told = Told { findings: Vec::new() };
    match (&looked.credential, &settings.credentials) {
        (Ok(Worth::Keys(credential)), _) => of_credential(&settings.endpoint, credential, &mut told),
        (Ok(Worth::ServiceAccount { listing }), _) => of_account(listing, &mut told),
        (Err(error), Credentials::Keys(_)) => of_refusal(&settings.endpoint, error, &mut told),
        (Err(error), Credentials::ServiceAccount(_)) => of_no_token(error, &mut told),
    }
    match looked.clock_ahead_s {
        Err(_) => told.unknown("clock", "its clock is not known".to_owned()),
        Ok(apart) if apart.unsigned_abs() > CLOCK_S_MAX => {
            let found = format!("OVHcloud's clock is {apart} s ahead of this machine's");
            told.warning("clock", found, WHY_CLOCK, "timedatectl set-ntp true".to_owned());
        }
        Ok(apart) => told.right("clock", format!("its clock and ours are {apart} s apart")),
    }
    told.findings
}

fn make(endpoint: &Endpoint) -> String {
    format!("make keys at {} and write them into [ovh]", endpoint.create_token())
}

fn of_credential(endpoint: &Endpoint, credential: &Credential, told: &mut Told) {
    let ends = credential.expiration.as_deref().unwrap_or("never");
    let state = format!("the keys are {} and end {}", Visible(&credential.status), Visible(ends));
    if credential.status == "validated" {
        told.right("credentials", state);
    } else {
        told.warning("credentials", state, WHY, make(endpoint));
    }
    let rules: Vec<String> = credential.rules.iter().map(|rule| Visible(rule).to_string()).collect();
    let may = if rules.is_empty() { "nothing".to_owned() } else { rules.join(", ") };
    let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !allows(&credential.rules, needed)).collect();
    if missing.is_empty() {
        told.right("rights", format!("the keys may {may}"));
    } else {
        let found = format!("the keys may {may}, but not {}", missing.join(", "));
        told.warning("rights", found, WHY_RIGHTS, make(endpoint));
    }
}

/// What mends an account that lacks a right.
fn grant(rights: &str) -> String {
    format!(
        "give the service account {rights} by an IAM policy (ip:apiovh:get, ip:apiovh:spam/get, ip:apiovh:spam/unblock)"
    )
}

/// A service account that got its token: of its rights only what changes nothing is tried.
fn of_account(listing: &Result<(), OvhError>, told: &mut Told) {
    told.right("credentials", "the service account is known and gets a token".to_owned());
    match listing {
        Ok(()) => {
            let found =
                format!("it may GET {LISTING}; what it may do for an address that is blocked shows when one is");
            told.right("rights", found);
        }
        Err(OvhError::Refused { status: 401 | 403, missing, .. }) => {
            let lacks: Vec<String> = missing.iter().map(|right| Visible(right).to_string()).collect();
            let lacks = if lacks.is_empty() { format!("the right to GET {LISTING}") } else { lacks.join(", ") };
            told.warning("rights", format!("the service account lacks {lacks}"), WHY_RIGHTS, grant(&lacks));
        }
        Err(error) => told.unknown("rights", Visible(&error.to_string()).to_string()),
    }
}

/// A service account that gets no token. Only what speaks of the account is told as its fault.
fn of_no_token(error: &OvhError, told: &mut Told) {
    let words = Visible(&error.to_string()).to_string();
    match error {
        OvhError::Refused { code, .. } if code == "invalid_client" || code == "unauthorized_client" => {
            let mend = "correct client_id and client_secret in [ovh], or endpoint if the account is of another region";
            told.warning("credentials", format!("the service account gets no token: {words}"), WHY, mend.to_owned());
        }
        _ => told.unknown("credentials", format!("no token came: {words}")),
    }
    told.unknown("rights", "what the service account may do is not known".to_owned());
}

/// Only what speaks of the keys is told as their fault; else it is not known what they are worth.
fn of_refusal(endpoint: &Endpoint, error: &OvhError, told: &mut Told) {
    let words = Visible(&error.to_string()).to_string();
    let (status, code, missing) = match error {
        OvhError::NotReached(_) | OvhError::Busy { .. } | OvhError::Trouble { .. } => {
            told.unknown("credentials", words);
            return told.unknown("rights", "what the keys may do is not known".to_owned());
        }
        OvhError::Refused { status, code, missing, .. } => (*status, code.as_str(), missing),
    };
    let granted = || code == "NOT_GRANTED_CALL" || words.contains("not been granted") || words.contains("not granted");
    if status == 403 && (!missing.is_empty() || granted()) {
        told.unknown("credentials", format!("the keys are known, but not when they end: {words}"));
        let call = format!("GET {CREDENTIAL}");
        let lacks: Vec<String> = missing.iter().map(|right| Visible(right).to_string()).collect();
        let lacks = if lacks.is_empty() { call } else { lacks.join(", ") };
        return told.warning(
            "rights",
            format!("the keys lack the right to {lacks}: {words}"),
            WHY_RIGHTS,
            make(endpoint),
        );
    }
    let base = endpoint.base();
    let (found, mend) = match (status, code) {
        (400, "INVALID_SIGNATURE") => (
            format!("the signature is refused: {words}"),
            "correct application_secret and consumer_key in [ovh]: one of them is not that of the application_key"
                .to_owned(),
        ),
        (_, "INVALID_KEY") => (
            format!("{base} does not know the application key: {words}"),
            format!(
                "correct application_key in [ovh], or endpoint if the keys are of another region; else {}",
                make(endpoint)
            ),
        ),
        (_, "NOT_CREDENTIAL") => (format!("the consumer key is not known: {words}"), make(endpoint)),
        (_, "INVALID_CREDENTIAL") => {
            (format!("the consumer key was never confirmed, has ended or was withdrawn: {words}"), make(endpoint))
        }
        (401 | 403, _) => (format!("the API refuses the keys: {words}"), make(endpoint)),
        // A question that is not understood, or not of its time even by its own clock, is no fault of the keys.
        _ => (format!("the API does not answer what was asked: {words}"), String::new()),
    };
    if mend.is_empty() {
        told.unknown("credentials", found);
    } else {
        told.warning("credentials", found, WHY, mend);
    }
    told.unknown("rights", "what the keys may do is not known".to_owned());
}

struct Told {
    findings: Vec<Finding>,
}

impl Told {
    fn right(&mut self, check: &'static str, found: String) {
        self.tell(check, Grade::Right, found, "", String::new());
    }

    fn unknown(&mut self, check: &'static str, found: String) {
        self.tell(check, Grade::Unknown, found, "", String::new());
    }

    fn warning(&mut self, check: &'static str, found: String, why: &'static str, mend: String) {
        self.tell(check, Grade::Warning, found, why, mend);
    }

    fn tell(&mut self, check: &'static str, grade: Grade, found: String, why: &'static str, mend: String) {
        let (check, why) = (Cow::Borrowed(check), Cow::Borrowed(why));
        let (subject, about) = ("OVHcloud API".to_owned(), String::new());
        self.findings.push(Finding { subject, check, about, grade, found, why, mend });
    }
}

/// Calls that tell of a block and end it; `1` stands for what a path names.
const NEEDED: [&str; 3] = ["GET /ip", "GET /ip/1/spam/1", "POST /ip/1/spam/1/unblock"];

/// Whether a rule allows the call. `*` stands for anything, as OVHcloud has it at the end of a path.
fn allows(rules: &[String], call: &str) -> bool {
    rules.iter().any(|rule| fits(rule, call))
}

/// The first piece of a rule begins the call, the last ends it, and the others are found in between, each as early as it can be.
fn fits(rule: &str, call: &str) -> bool {
    let Some((first, behind)) = rule.split_once('*') else { return rule == call };
    let (middle, last) = behind.rsplit_once('*').unwrap_or(("", behind));
    let between = call.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let found = |rest: &str, piece: &str| rest.find(piece).map(|at| at + piece.len());
    between.is_some_and(|between| {
        let mut pieces = middle.split('*');
        pieces.try_fold(between, |rest, piece| found(rest, piece).map(|end| &rest[end..])).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::Grade::{Right, Unknown, Warning};
    use super::*;
    use crate::ovh::settings::{Keys, ServiceAccount};

    #[test]
    fn rules_and_calls() {
        let cases = [
            ("GET /ip/*", "GET /ip/1/spam/1", true),
            ("GET /ip/*", "GET /ip", false), // the star stands behind a slash
            ("GET /ip*", "GET /ip", true),
            ("POST /ip/*/spam/*/unblock", "POST /ip/1/spam/1/unblock", true),
            ("POST /ip/*/spam/*/unblock", "POST /ip/1/spam/1/stats", false),
            ("GET /*", "POST /ip/1/spam/1/unblock", false),
            ("GET /ip ", "GET /ip", false), // a stray space matches nothing
            ("*", "GET /ip", true),
            ("GET /ip*ip", "GET /ip", false),            // no letter serves twice
            ("GET*spam*ip*", "GET /ip/1/spam/1", false), // in this order
            // An answer made to hurt.
            (&"*".repeat(100_000), "GET /ip", true),
            (&("*a".repeat(40) + "*b"), &"a".repeat(60), false),
        ];
        for (rule, call, expected) in cases {
            assert_eq!(allows(&[rule.to_owned()], call), expected, "{rule} {call}");
        }
    }

    fn secret() -> crate::secret::Secret {
        crate::secret::Secret::new(b"x".to_vec())
    }

    fn keys() -> OvhSettings {
        let keys = Keys { application_key: secret(), application_secret: secret(), consumer_key: secret() };
        OvhSettings { endpoint: Endpoint::Eu, credentials: Credentials::Keys(keys) }
    }

    #[test]
    fn what_is_said_of_a_service_account() {
        let account = ServiceAccount { client_id: secret(), client_secret: secret() };
        let settings = OvhSettings { endpoint: Endpoint::Eu, credentials: Credentials::ServiceAccount(account) };
        let refused = |status, code: &str, missing: &[&str]| {
            let missing = missing.iter().map(ToString::to_string).collect();
            OvhError::Refused { status, code: code.into(), message: "no\x1b".into(), missing }
        };
        let with = |listing| Ok(Worth::ServiceAccount { listing });
        let cases = [
            (with(Ok(())), [Right, Right], "it may GET /ip"),
            (with(Err(refused(403, "Client::Forbidden", &["ip:apiovh:get"]))), [Right, Warning], "lacks ip:apiovh:get"),
            (with(Err(refused(403, "", &[]))), [Right, Warning], "lacks the right to GET /ip"),
            (with(Err(OvhError::Trouble { status: 503 })), [Right, Unknown], "(503)"),
            (Err(refused(200, "invalid_client", &[])), [Warning, Unknown], "correct client_id"),
            (Err(refused(400, "invalid_request", &[])), [Unknown, Unknown], "no token came"),
            (Err(OvhError::NotReached("timed out".into())), [Unknown, Unknown], "timed out"),
        ];
        for (credential, expected, words) in cases {
            let findings = told(&settings, &Looked { clock_ahead_s: Ok(0), credential });
            let names: Vec<&str> = findings.iter().map(|finding| &*finding.check).collect();
            assert_eq!(names, ["credentials", "rights", "clock"], "{findings:?}");
            assert_eq!([findings[0].grade, findings[1].grade], expected, "{findings:?}");
            let says = |finding: &Finding| finding.found.contains(words) || finding.mend.contains(words);
            assert!(findings.iter().any(says), "{words}: {findings:?}");
            assert!(findings.iter().all(|one| (one.grade == Warning) != one.mend.is_empty()), "{findings:?}");
            assert!(findings.iter().all(|one| !one.found.contains('\x1b')), "{findings:?}");
        }
    }

    /// The answer and how far the clocks are apart; grades of credentials, rights and clock; words of one of them.
    type Case = (Result<Credential, OvhError>, i64, [Grade; 3], &'static str);

    #[test]
    fn what_is_said_of_each_answer() {
        let of = |status: &str, rules: &[&str]| Credential {
            status: status.to_owned(),
            expiration: Some("2026-12-01T00:00:00+01:00".to_owned()),
            rules: rules.iter().map(ToString::to_string).collect(),
        };
        let all = ["GET /ip", "GET /ip/*", "POST /ip/*/spam/*/unblock"];
        let refused = |status, code: &str, missing: &[&str]| {
            let missing = missing.iter().map(ToString::to_string).collect();
            Err(OvhError::Refused { status, code: code.into(), message: "no\x1b".into(), missing })
        };
        let cases: [Case; 15] = [
            (Ok(of("validated", &all)), -3, [Right, Right, Right], "-3 s apart"),
            (Ok(of("expired", &all)), 0, [Warning, Right, Right], "the keys are expired"),
            (Ok(of("validated", &all[..2])), 0, [Right, Warning, Right], "but not POST /ip/1/spam/1/unblock"),
            (Ok(of("validated", &all)), -31, [Right, Right, Warning], "timedatectl"),
            (
                refused(403, "INVALID_KEY", &[]),
                0,
                [Warning, Unknown, Right],
                "or endpoint if the keys are of another region",
            ),
            (refused(403, "NOT_CREDENTIAL", &[]), 0, [Warning, Unknown, Right], "consumer key is not known"),
            (refused(403, "INVALID_CREDENTIAL", &[]), 0, [Warning, Unknown, Right], "has ended or was withdrawn"),
            (
                refused(403, "NOT_GRANTED_CALL", &[]),
                0,
                [Unknown, Warning, Right],
                "right to GET /auth/currentCredential",
            ),
            (
                refused(403, "Client::Forbidden", &["ip:apiovh:get"]),
                0,
                [Unknown, Warning, Right],
                "right to ip:apiovh:get",
            ),
            (refused(400, "INVALID_SIGNATURE", &[]), 0, [Warning, Unknown, Right], "correct application_secret"),
            (refused(400, "QUERY_TIME_OUT", &[]), 0, [Unknown, Unknown, Right], "does not answer what was asked"),
            (refused(400, "Client::BadRequest", &[]), 0, [Unknown, Unknown, Right], ""),
            // Their trouble is not ours.
            (Err(OvhError::Trouble { status: 503 }), 0, [Unknown, Unknown, Right], "trouble of its own (503)"),
            (Err(OvhError::Busy { retry_after_s: Some(7) }), 0, [Unknown, Unknown, Right], "the next after 7 s"),
            (Err(OvhError::NotReached("timed out".into())), 0, [Unknown, Unknown, Right], "timed out"),
        ];
        for (credential, apart, expected, words) in cases {
            let looked = Looked { clock_ahead_s: Ok(apart), credential: credential.map(Worth::Keys) };
            let findings = told(&keys(), &looked);
            let names: Vec<&str> = findings.iter().map(|finding| &*finding.check).collect();
            assert_eq!(names, ["credentials", "rights", "clock"], "always: {looked:?}");
            let grades: Vec<Grade> = findings.iter().map(|finding| finding.grade).collect();
            assert_eq!(grades, expected, "{looked:?}");
            let says = |finding: &Finding| finding.found.contains(words) || finding.mend.contains(words);
            assert!(findings.iter().any(says), "{words}: {findings:?}");
            for finding in findings {
                assert_eq!(finding.grade == Warning, !finding.mend.is_empty(), "{finding:?}");
                assert!(!finding.found.contains('\x1b'), "{finding:?}");
            }
        }
        let nobody = || OvhError::NotReached("timed out".into());
        let findings = told(&keys(), &Looked { clock_ahead_s: Err(nobody()), credential: Err(nobody()) });
        assert!(findings.iter().all(|finding| finding.grade == Unknown), "{findings:?}");
    }
}
