//! `outguard allow`: mail that passes though it would be held, until when and why.

use std::io::Write;
use std::time::Duration;

use super::arguments::{AllowCommand, Look};
use super::exit::Failed;
use super::json_line;
use super::moment::local;
use super::queue::tell;
use super::source::Place;
use super::table::Table;
use crate::api::guardian::{AllowRequest, AllowView};

/// Rules are in the daemon's memory.
const START_IT: &str = "the daemon keeps these rules; start it (`systemctl start outguard`) and repeat the command";

pub(super) async fn run(place: &Place, command: &AllowCommand, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    match command {
        AllowCommand::Add { account, list, like, duration, why } => {
            let asked = AllowRequest {
                account: account.clone(),
                list: list.clone(),
                like: like.clone(),
                for_ms: Some(milliseconds(*duration)),
                why: why.clone(),
            };
            let rule = Place::needs_daemon(place.client.allow(&asked).await, START_IT)?;
            match look {
                Look::Json => json_line(out, &rule),
                Look::People => Ok(writeln!(
                    out,
                    "rule {}: {} passes until {}, unless it has over 300 points more than a hold needs",
                    rule.id,
                    what(&rule),
                    until(&rule)
                )?),
            }
        }
        AllowCommand::Remove { id } => {
            let done = Place::needs_daemon(place.client.disallow(*id).await, START_IT)?;
            if !done.changed {
                let what = format!("an allow rule {id}");
                return Err(Failed::NotFound { what, advice: "`outguard allow list` lists the rules" });
            }
            tell(look, out, &done, &format!("rule {id} is gone"))
        }
        AllowCommand::List => list(place, look, out).await,
    }
}

async fn list(place: &Place, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let found = Place::needs_daemon(place.client.allowed().await, START_IT)?;
    if look == Look::Json {
        return found.rules.iter().try_for_each(|rule| json_line(out, rule));
    }
    if found.rules.is_empty() {
        writeln!(out, "no allow rules")?;
        return Ok(());
    }
    let mut table = Table::new(&["RULE", "PASSES", "UNTIL", "BY", "WHY"]);
    for rule in found.rules {
        table.row(&[rule.id.to_string(), what(&rule), until(&rule), rule.by, rule.why]);
    }
    Ok(table.print(out)?)
}

/// `mail of shop@example.org, list news.example.org`.
fn what(rule: &AllowView) -> String {
    let account = rule.account.as_ref().map(|account| format!("mail of {account}"));
    let list = rule.list.as_ref().map(|list| format!("list {list}"));
    let template = rule.template.as_ref().map(|template| format!("template {template}"));
    let named: Vec<String> = [account, list, template].into_iter().flatten().collect();
    crate::mail::Visible(&named.join(", ")).to_string()
}

fn until(rule: &AllowView) -> String {
    rule.expires_ms.map_or_else(|| "for ever".to_owned(), local)
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
