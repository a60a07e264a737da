//! `outguard doctor`: what receivers hold against this server and its domains, and what mends it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::arguments::{Arguments, CONFIG_PATH, DoctorArguments, Look};
use super::exit::Failed;
use super::json_line;
use super::moment::{local, local_or_dash};
use super::source::Place;
use crate::align::dns::{Cached, Hickory, Lookup};
use crate::align::doctor::{Finding, Grade, Patience, Sent};
use crate::api::Client;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::daemon::{asked_by, look, sent};
use crate::mail::{Domain, Visible};
use crate::store::sqlite::SqliteStore;

/// Examines or asks the daemon, says what was found, and fails where something is wrong.
pub(super) fn run(arguments: &Arguments, asked: &DoctorArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let looked = runtime.block_on(looked(arguments, asked, out));
    // A name that the system's own resolver still looks for is not waited for.
    runtime.shutdown_background();
    let findings = looked?;
    say(arguments.look(), asked, &findings, out)?;
    match findings.iter().filter(|finding| finding.grade == Grade::Fault).count() {
        0 => Ok(()),
        faults => Err(Failed::Unhealthy { faults }),
    }
}

/// What was found, by us or by the daemon.
async fn looked(arguments: &Arguments, asked: &DoctorArguments, out: &mut dyn Write) -> Result<Vec<Finding>, Failed> {
    if asked.last {
        let place = Place::find(arguments)?;
        let last = Place::needs_daemon(place.client.doctor().await, LOOK_YOURSELF)?;
        let Some(at) = last.at_ms else {
            let what = "a look of the doctor".to_owned();
            return Err(Failed::NotFound {
                what,
                advice: "the daemon has not looked yet; `outguard doctor` looks now",
            });
        };
        if arguments.look() == Look::People {
            writeln!(out, "looked at {}; again at {}", local(at), local_or_dash(last.next_ms))?;
        }
        return Ok(last.findings);
    }
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    let config = Config::load(file).map_err(|faults| Failed::Config(faults.to_string()))?.config;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new()?);
    let socket = arguments.socket.as_deref().unwrap_or(&config.api.socket);
    let sent = sent_lately(&config, socket, &clock).await;
    examined(&config, asked, &sent, &clock).await
}

/// Who sent of late, by the daemon or, without one, by its store. That nobody can tell is told among the findings: a machine
/// that has sent nothing yet may be looked at too.
async fn sent_lately(config: &Config, socket: &Path, clock: &Arc<dyn Clock>) -> Sent {
    match Client::new(socket).sent().await {
        Ok(sent) => sent,
        Err(daemon) => match SqliteStore::open_read_only(&config.store.path, Arc::clone(clock)) {
            Ok(store) => sent(config, &store, clock.now().wall).await,
            // Before the first start.
            Err(_) if SqliteStore::is_absent(&config.store.path) => Sent::default(),
            Err(store) => Sent::unknown(format!("{daemon}; {store}")),
        },
    }
}

const LOOK_YOURSELF: &str = "the daemon keeps what it found; without --last the doctor looks here and now";

/// Who calls the doctor waits for the answer: it comes within a minute, whoever is silent.
const PATIENCE: Patience =
    Patience { question: Duration::from_secs(20), visit: Duration::from_secs(40), whole: Duration::from_secs(45) };

async fn examined(
    config: &Config,
    asked: &DoctorArguments,
    sent: &Sent,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Finding>, Failed> {
    let domains = domains(&asked.domains)?;
    let asked = asked_by(config, &domains, sent, clock.as_ref(), PATIENCE).map_err(Failed::Config)?;
    let resolver = Hickory::new(&config.align.dns).map_err(|why| Failed::Config(why.to_string()))?;
    let dns: Arc<dyn Lookup> = Arc::new(Cached::new(resolver, &config.align.dns, Arc::clone(clock)));
    Ok(look(config, &dns, &asked, sent, clock.as_ref()).await)
}

/// The domains as they are compared.
fn domains(named: &[String]) -> Result<Vec<String>, Failed> {
    let name = |domain: &String| match Domain::parse(domain) {
        Ok(Domain::Name(name)) => Ok(name.into()),
        Ok(Domain::Literal(_)) | Err(_) => Err(Failed::Usage { what: format!("{domain:?} is no domain") }),
    };
    named.iter().map(name).collect()
}

fn say(look: Look, asked: &DoctorArguments, findings: &[Finding], out: &mut dyn Write) -> Result<(), Failed> {
    if look == Look::Json {
        return findings.iter().try_for_each(|finding| json_line(out, finding));
    }
    let mut subject = "";
    for finding in findings.iter().filter(|finding| asked.all || finding.grade != Grade::Right) {
        if finding.subject != subject {
            subject = &finding.subject;
            let of_sender = findings.iter().find(|one| one.check == "sender" && one.subject == *subject);
            match of_sender.filter(|_| !asked.all) {
                Some(origin) => writeln!(out, "{} ({})", Visible(subject), origin.found)?,
                None => writeln!(out, "{}", Visible(subject))?,
            }
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
    // What nobody looked at is not healthy for that: which domains were, is said in any case.
    for looked_at in findings.iter().filter(|one| !asked.all && one.check == "domains" && one.grade == Grade::Right) {
        writeln!(out, "{}", looked_at.found)?;
    }
    let count = |grade: Grade| findings.iter().filter(|finding| finding.grade == grade).count();
    let (right, unknown) = (count(Grade::Right), count(Grade::Unknown));
    let (warnings, faults) = (count(Grade::Warning), count(Grade::Fault));
    writeln!(out, "faults: {faults}, warnings: {warnings}, not known: {unknown}, right: {right}")?;
    Ok(())
}
