//! `outguard doctor`: what receivers hold against this server and its domains, and what mends it.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::arguments::{Arguments, CONFIG_PATH, DoctorArguments, Look};
use super::exit::Failed;
use super::json_line;
use crate::align::dns::{Cached, Hickory};
use crate::align::doctor::{Finding, Grade, KeyWanted, Patient, examine, gather};
use crate::align::sign::Signer;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::daemon::seen_address;
use crate::delivery::Router;
use crate::mail::{Domain, Visible};

/// Examines, says what was found, and fails where something is wrong.
pub(super) fn run(arguments: &Arguments, asked: &DoctorArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    let config = Config::load(file).map_err(|faults| Failed::Config(faults.to_string()))?.config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(examined(&config, asked))?;
    say(arguments.look(), asked, &findings, out)?;
    match findings.iter().filter(|finding| finding.grade == Grade::Fault).count() {
        0 => Ok(()),
        faults => Err(Failed::Unhealthy { faults }),
    }
}

/// For all questions together: a doctor who waits for servers that are down helps nobody.
const TIME_LIMIT: Duration = Duration::from_mins(1);
const NO_ANSWER: &str = "the DNS did not answer all questions within a minute; see whether its servers ([align.dns] servers, \
                         else [dns] servers, else /etc/resolv.conf) answer at all, and name fewer domains";

async fn examined(config: &Config, asked: &DoctorArguments) -> Result<Vec<Finding>, Failed> {
    let wrong = |what: String| Failed::Config(what);
    let router = Router::new(&config.delivery, &config.intake.own_name).map_err(|error| wrong(error.to_string()))?;
    let signer = Signer::new(&config.align.signing).map_err(|fault| wrong(fault.to_string()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new()?);
    let resolver = Hickory::new(&config.align.dns).map_err(|why| wrong(why.to_string()))?;
    let dns = Cached::new(resolver, &config.align.dns, Arc::clone(&clock));
    let egresses: Vec<Patient> = router
        .egresses()
        .iter()
        .map(|egress| Patient {
            name: egress.name.to_string(),
            address: seen_address(egress),
            ehlo: egress.ehlo.to_string(),
        })
        .collect();
    let keys: Vec<KeyWanted> = signer
        .keys()
        .iter()
        .map(|key| KeyWanted { domain: key.domain.to_string(), name: key.record_name(), record: key.record() })
        .collect();
    let mut domains: Vec<String> = Vec::new();
    if asked.domains.is_empty() {
        domains.extend(keys.iter().map(|key| key.domain.clone()).chain(config.align.doctor.domains.iter().cloned()));
    } else {
        for domain in &asked.domains {
            match Domain::parse(domain) {
                Ok(Domain::Name(name)) => domains.push(name.into()),
                Ok(Domain::Literal(_)) | Err(_) => {
                    return Err(Failed::Usage { what: format!("{domain:?} is no domain") });
                }
            }
        }
    }
    domains.sort_unstable();
    domains.dedup();
    let lists = &config.align.doctor.lists;
    let gathering = gather(&dns, &egresses, &domains, &keys, lists, clock.synchronised());
    match tokio::time::timeout(TIME_LIMIT, gathering).await {
        Ok(facts) => Ok(examine(&facts)),
        Err(_) => Err(Failed::Io(io::Error::new(io::ErrorKind::TimedOut, NO_ANSWER))),
    }
}

fn say(look: Look, asked: &DoctorArguments, findings: &[Finding], out: &mut dyn Write) -> Result<(), Failed> {
    if look == Look::Json {
        return findings.iter().try_for_each(|finding| json_line(out, finding));
    }
    let mut subject = "";
    for finding in findings.iter().filter(|finding| asked.all || finding.grade != Grade::Right) {
        if finding.subject != subject {
            subject = &finding.subject;
            writeln!(out, "{}", Visible(subject))?;
        }
        let grade = match finding.grade {
            Grade::Right => "right  ",
            Grade::Unknown => "unknown",
            Grade::Warning => "warning",
            Grade::Fault => "FAULT  ",
        };
        writeln!(out, "  {grade} {}: {}", finding.check, finding.found)?;
        if !finding.why.is_empty() {
            writeln!(out, "          why:  {}", finding.why)?;
        }
        if !finding.mend.is_empty() {
            writeln!(out, "          mend: {}", finding.mend)?;
        }
    }
    let count = |grade: Grade| findings.iter().filter(|finding| finding.grade == grade).count();
    let (right, unknown) = (count(Grade::Right), count(Grade::Unknown));
    let (warnings, faults) = (count(Grade::Warning), count(Grade::Fault));
    writeln!(out, "{faults} faults, {warnings} warnings, {unknown} not known, {right} right")?;
    Ok(())
}
