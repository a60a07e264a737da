//! What the doctor says of the credentials for OVHcloud's API, where there are any.

use std::borrow::Cow;
use std::time::Duration;

use crate::align::doctor::{Finding, Grade};
use crate::clock::WallMs;
use crate::config::Config;
use crate::mail::Visible;
use crate::ovh::settings::Endpoint;
use crate::ovh::{Credential, OvhError, current_credential};

const WHY: &str = "outguard cannot ask whether an address is blocked for spam, nor have it unblocked";
const WHY_RIGHTS: &str = "a call that the keys do not allow is refused on the day it is needed";
const WHY_CLOCK: &str = "OVHcloud refuses requests that are not of its time";
/// How far the clocks may be apart, in seconds: far less than OVHcloud bears.
const CLOCK_S_MAX: u64 = 30;

/// Asks OVHcloud, where `[ovh]` is configured, and waits no longer than that.
pub(super) async fn examine(config: &Config, now: WallMs, limit: Duration) -> Vec<Finding> {
    let Some(settings) = &config.ovh else { return Vec::new() };
    let answer = tokio::time::timeout(limit, current_credential(settings, now)).await;
    let late = |_| Err(OvhError::NotReached(format!("no answer within {} s", limit.as_secs())));
    told(&settings.endpoint, answer.unwrap_or_else(late))
}

fn told(endpoint: &Endpoint, answer: Result<Credential, OvhError>) -> Vec<Finding> {
    let make = || format!("make keys at {} and write them into [ovh]", endpoint.create_token());
    let mut findings = Vec::new();
    let mut tell = |check: &'static str, grade, found: String, why: &'static str, mend: String| {
        let about = String::new();
        let (check, why) = (Cow::Borrowed(check), Cow::Borrowed(why));
        findings.push(Finding { subject: "OVHcloud API".to_owned(), check, about, grade, found, why, mend });
    };
    let credential = match answer {
        Ok(credential) => credential,
        Err(OvhError::Refused { status: 400..=499, code, message }) => {
            let (code, message) = (Visible(&code), Visible(&message));
            tell("credentials", Grade::Warning, format!("the API refuses the keys: {message} ({code})"), WHY, make());
            return findings;
        }
        Err(error @ (OvhError::Refused { .. } | OvhError::NotReached(_))) => {
            tell("credentials", Grade::Unknown, Visible(&error.to_string()).to_string(), "", String::new());
            return findings;
        }
    };
    let ends = credential.expiration.as_deref().unwrap_or("never");
    let state = format!("the keys are {} and end {}", Visible(&credential.status), Visible(ends));
    if credential.status == "validated" {
        tell("credentials", Grade::Right, state, "", String::new());
    } else {
        tell("credentials", Grade::Warning, state, WHY, make());
    }
    let rules: Vec<String> = credential.rules.iter().map(|rule| Visible(rule).to_string()).collect();
    let may = if rules.is_empty() { "nothing".to_owned() } else { rules.join(", ") };
    let missing: Vec<&str> = NEEDED.into_iter().filter(|needed| !allows(&credential.rules, needed)).collect();
    if missing.is_empty() {
        tell("rights", Grade::Right, format!("the keys may {may}"), "", String::new());
    } else {
        let found = format!("the keys may {may}, but not {}", missing.join(", "));
        tell("rights", Grade::Warning, found, WHY_RIGHTS, make());
    }
    let apart = credential.clock_ahead_s;
    if apart.unsigned_abs() > CLOCK_S_MAX {
        let found = format!("OVHcloud's clock is {apart} s ahead of this machine's");
        tell("clock", Grade::Warning, found, WHY_CLOCK, "timedatectl set-ntp true".to_owned());
    } else {
        tell("clock", Grade::Right, format!("its clock and ours are {apart} s apart"), "", String::new());
    }
    findings
}

/// Calls that tell of a block and end it; `1` stands for what a path names.
const NEEDED: [&str; 3] = ["GET /ip", "GET /ip/1/spam/1", "POST /ip/1/spam/1/unblock"];

/// Whether a rule allows the call. `*` stands for anything, as OVHcloud has it at the end of a path.
fn allows(rules: &[String], call: &str) -> bool {
    rules.iter().any(|rule| fits(rule.as_bytes(), call.as_bytes()))
}

fn fits(rule: &[u8], call: &[u8]) -> bool {
    match (rule.split_first(), call.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=call.len()).any(|skipped| fits(rest, &call[skipped..])),
        (Some((a, rule)), Some((b, call))) => a == b && fits(rule, call),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Grade::{Right, Unknown, Warning};
    use super::*;

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
        ];
        for (rule, call, expected) in cases {
            assert_eq!(allows(&[rule.to_owned()], call), expected, "{rule} {call}");
        }
    }

    #[test]
    fn what_is_said_of_each_answer() {
        let of = |status: &str, rules: &[&str], clock_ahead_s| Credential {
            status: status.to_owned(),
            expiration: Some("2026-12-01T00:00:00+01:00".to_owned()),
            rules: rules.iter().map(ToString::to_string).collect(),
            clock_ahead_s,
        };
        let all = ["GET /ip", "GET /ip/*", "POST /ip/*/spam/*/unblock"];
        let refused = |status| OvhError::Refused { status, code: "INVALID_KEY".into(), message: "no\x1b".into() };
        let cases: [(Result<Credential, OvhError>, &[Grade]); 7] = [
            (Ok(of("validated", &all, -3)), &[Right, Right, Right]),
            (Ok(of("expired", &all, 0)), &[Warning, Right, Right]),
            (Ok(of("validated", &all[..2], 0)), &[Right, Warning, Right]),
            (Ok(of("validated", &all, -31)), &[Right, Right, Warning]),
            (Err(refused(403)), &[Warning]),
            (Err(refused(503)), &[Unknown]), // their trouble is not ours
            (Err(OvhError::NotReached("timed out".into())), &[Unknown]),
        ];
        for (answer, expected) in cases {
            let findings = told(&Endpoint::Eu, answer.clone());
            let grades: Vec<Grade> = findings.iter().map(|finding| finding.grade).collect();
            assert_eq!(grades, expected, "{answer:?}");
            for finding in findings {
                assert_eq!(finding.grade == Warning, !finding.mend.is_empty(), "{finding:?}");
                assert!(!finding.found.contains('\x1b'), "{finding:?}");
            }
        }
    }
}
