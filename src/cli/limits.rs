//! `outguard limits`: from the daemon's windows, or counted from the record of attempts.

use std::collections::BTreeMap;
use std::io::Write;

use super::arguments::Look;
use super::exit::Failed;
use super::json_line;
use super::moment::local_or_dash;
use super::source::{Answer, Place};
use super::table::Table;
use crate::api::LimitUse;
use crate::clock::{Clock as _, SystemClock, WallMs};
use crate::limits::{Charged, KeyKind, LimitSettings, RuleBook, Unit};
use crate::store::{AttemptRow, Reads as _};

pub(super) async fn run(place: &Place, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let limits = match place.or_store(place.client.limits().await)? {
        Answer::Daemon(view) => view.limits,
        Answer::Store(store) => {
            let book = RuleBook::new(&place.limits).map_err(|fault| Failed::Config(fault.to_string()))?;
            let now = SystemClock::new()?.now().wall;
            counted(&book, &place.limits, &store.attempts(book.longest_window_ms()).await?, now)
        }
    };
    if look == Look::Json {
        return limits.iter().try_for_each(|limit| json_line(out, limit));
    }
    let mut table = Table::new(&["LIMIT", "OF", ">USED", ">LEASED", ">SLOTS", "NEXT SLOT"]);
    for limit in &limits {
        let full = limit.used + limit.leased >= limit.slots;
        table.row(&[
            limit.rule.clone(),
            limit.key.clone(),
            limit.used.to_string(),
            limit.leased.to_string(),
            limit.slots.to_string(),
            if full { local_or_dash(limit.next_slot) } else { "now".to_owned() },
        ]);
    }
    if table.len() == 0 {
        return Ok(writeln!(out, "no limit counts anything now")?);
    }
    Ok(table.print(out)?)
}

/// Counts the record by the wall clock: good for people, not for leases.
fn counted(book: &RuleBook, settings: &LimitSettings, attempts: &[AttemptRow], now: WallMs) -> Vec<LimitUse> {
    let mut uses: BTreeMap<(String, String, String), (LimitUse, Vec<WallMs>)> = BTreeMap::new();
    for attempt in attempts {
        let to = Charged {
            account: attempt.account.as_str(),
            egress: &attempt.egress,
            login: attempt.login.as_deref(),
            route: &attempt.route,
        };
        for (kind, rule) in book.rules_for(&to) {
            let key = match kind {
                KeyKind::Account => to.account,
                KeyKind::Egress => to.egress,
                KeyKind::Login => to.login.unwrap_or_default(),
            };
            let slots = match rule.unit {
                Unit::Recipients => attempt.recipients,
                Unit::Messages => attempt.messages,
            };
            // An end that is not known holds its slots longer, from the lease on at least.
            let grace_ms = if attempt.unknown { settings.unknown_grace_ms } else { 0 };
            let end = attempt.ended_wall.map(|at| WallMs(at.0 + grace_ms + rule.window_ms));
            if slots == 0 || end.is_some_and(|end| end <= now) {
                continue;
            }
            let name = rule.name.to_string();
            let (limit, ends) = uses.entry((kind.to_string(), key.to_owned(), name.clone())).or_insert_with(|| {
                let limit = LimitUse {
                    kind: kind.to_string(),
                    key: key.to_owned(),
                    rule: name,
                    used: 0,
                    leased: 0,
                    slots: rule.slots,
                    next_slot: None,
                };
                (limit, Vec::new())
            });
            match end {
                Some(end) => {
                    limit.used += slots;
                    ends.extend(std::iter::repeat_n(end, slots as usize));
                }
                None => limit.leased += slots,
            }
        }
    }
    let finish = |(mut limit, mut ends): (LimitUse, Vec<WallMs>)| {
        ends.sort_unstable();
        let over = (limit.used + limit.leased + 1).saturating_sub(limit.slots);
        limit.next_slot = (over as usize).checked_sub(1).and_then(|nth| ends.get(nth)).copied();
        limit
    };
    uses.into_values().map(finish).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::store::AttemptId;

    fn attempt(ended: Option<u64>, recipients: u32) -> AttemptRow {
        AttemptRow {
            id: AttemptId(1),
            account: Account::named("a@b.example"),
            egress: "192.0.2.1".into(),
            login: None,
            route: "mx".into(),
            boot_id: "boot".into(),
            leased_boot: 0,
            leased_wall: WallMs(ended.unwrap_or(0)),
            ended_boot: ended,
            ended_wall: ended.map(WallMs),
            recipients,
            messages: 1,
            unknown: false,
        }
    }

    #[test]
    fn the_record_is_counted_within_each_window() {
        let settings = LimitSettings::default();
        let book = RuleBook::new(&settings).unwrap();
        let now = WallMs(10 * 3_600_000);
        let old = attempt(Some(8 * 3_600_000), 50); // outside the hour
        let rows = [old, attempt(Some(now.0 - 60_000), 150), attempt(Some(now.0 - 30_000), 49), attempt(None, 1)];
        let uses = counted(&book, &settings, &rows, now);
        let account = uses.iter().find(|limit| limit.kind == "account").unwrap();
        assert_eq!((account.used, account.leased, account.slots), (199, 1, 200));
        let window_ms = 3_600_000 + 3_600;
        assert_eq!(account.next_slot, Some(WallMs(now.0 - 60_000 + window_ms)), "full: when the oldest ages out");
        let egress = uses.iter().find(|limit| limit.kind == "egress").unwrap();
        assert_eq!((egress.used, egress.next_slot), (199, None), "room now");
    }
}
