//! `[dispatch]`, `[retry]`, `[waiting]` and `[pace]`: who is next, when it is tried again, how fast it goes.

use std::time::Duration;

use super::item::{Fault, Item, Setting};
use super::named::Of;
use super::reader::{Key, TableReader, at_least, key};
use super::values::{Size, quoted, text_of};
use crate::dispatch::{CapSettings, ClassSettings, DispatchSettings, RetrySettings, Weight};
use crate::limits::{Pace, PaceSettings};

impl Setting for Weight {
    const EXPECTED: &'static str = "percent of the usual share, from 1 to 10000";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        u32::read(item)
            .ok()
            .and_then(Self::of)
            .ok_or_else(|| Fault::says(format!("not a share; write {}", Self::EXPECTED)))
    }

    fn written(&self) -> String {
        self.percent().to_string()
    }
}

/// A pace, or none.
pub(super) struct PaceOrOff(pub(super) Option<Pace>);

impl Setting for PaceOrOff {
    const EXPECTED: &'static str = "a pace such as \"5/s burst 50\", or \"off\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        match text_of::<Self>(item)? {
            "off" => Ok(Self(None)),
            text => text
                .parse()
                .map(|pace| Self(Some(pace)))
                .map_err(|e: crate::limits::PaceError| Fault::says(e.to_string())),
        }
    }

    fn written(&self) -> String {
        self.0.as_ref().map_or_else(|| "\"off\"".to_owned(), |pace| quoted(&pace.to_string()))
    }
}

/// Reads `[dispatch]`, `[retry]` and `[waiting]`.
pub(super) fn read(root: &mut TableReader<'_>) -> DispatchSettings {
    let default = DispatchSettings::default();
    let mut table = root.table("dispatch", "How accounts share what may leave.");
    let at_least_one = |value: &u32| if *value == 0 { Err("at least 1".to_owned()) } else { Ok(()) };
    let turn_recipients = table.or_where(
        key("turn_recipients", "The most recipients of one turn while other accounts wait for the same server."),
        default.turn_recipients,
        at_least_one,
    );
    let turn_recipients_alone = table.or_where(
        key("turn_recipients_alone", "The most recipients of one turn while nobody else waits."),
        default.turn_recipients_alone,
        at_least_one,
    );
    let bulk_share_percent = table.or_where(
        key("bulk_share_percent", "What bulk mail keeps while other mail waits for the same server, in percent."),
        default.bulk_share_percent,
        |percent| if (1..=99).contains(percent) { Ok(()) } else { Err("from 1 to 99 percent".to_owned()) },
    );
    let own_weight = table.or(
        key("own_weight", "The share of DSNs and of outguard's own mail, in percent of an account's."),
        default.own_weight,
    );
    let class = ClassSettings {
        transactional_recipients_max: table.or(
            key("transactional_recipients", "A message to more recipients is bulk."),
            default.class.transactional_recipients_max,
        ),
        transactional_bytes_max: table
            .or(key("transactional_size", "A larger message is bulk."), Size(default.class.transactional_bytes_max))
            .0,
    };
    let weights = table
        .tables("weight", "Another share for one account.")
        .into_iter()
        .filter_map(|mut table| {
            let account = table.required::<String>(
                key("account", "The account, in the form that the log shows.").example("\"shop@example.com\""),
            );
            table.names(Of::Account, "account", account.as_deref());
            let weight = table.required::<Weight>(key("percent", "Its share; 100 is the usual one.").example("300"));
            Some((account?.into_boxed_str(), weight?))
        })
        .collect();
    DispatchSettings {
        turn_recipients,
        turn_recipients_alone,
        bulk_share_percent,
        weights,
        own_weight,
        // Each route says how many go to one destination; this is for those that none leads to.
        hop_connections_max: default.hop_connections_max,
        class,
        retry: read_retry(root),
        waiting: read_waiting(root),
    }
}

fn read_retry(root: &mut TableReader<'_>) -> RetrySettings {
    let default = RetrySettings::default();
    let mut table = root.table("retry", "When a delivery is tried again, and when it is given up.");
    let settings = RetrySettings {
        first_wait_ms: time(&mut table, key("first_wait", "After the first failed attempt."), default.first_wait_ms),
        growth_percent: table.or_where(
            key("growth_percent", "How each wait grows out of the one before; 100 keeps them equal."),
            default.growth_percent,
            |percent| if (100..=1_000).contains(percent) { Ok(()) } else { Err("from 100 to 1000 percent".to_owned()) },
        ),
        wait_ms_max: time(&mut table, key("wait_max", "The longest wait."), default.wait_ms_max),
        jitter_percent: table.or_where(
            key("jitter_percent", "By how much a wait is longer or shorter at random."),
            default.jitter_percent,
            |percent| if *percent <= 50 { Ok(()) } else { Err("at most 50 percent".to_owned()) },
        ),
        expiry_ms: time(
            &mut table,
            key(
                "expiry",
                "How long a delivery may be free to leave without leaving before it bounces. Time held or waiting for a \
                 slot does not count.",
            ),
            default.expiry_ms,
        ),
        age_ms_max: time(
            &mut table,
            key(
                "age_max",
                "The age past which mail bounces, whatever it waits for, and held mail ends too, a day after the event \
                 queue.held first told of such at the soonest. Nothing ends while the wall clock is not synchronised, and \
                 mail that was taken before it was has no age: held, it stays until somebody releases or removes it.",
            ),
            default.age_ms_max,
        ),
        delay_notice_ms: time(
            &mut table,
            key(
                "delay_notice",
                "After so long the sender is told of the delay, once, if the attempt that is made then fails.",
            ),
            default.delay_notice_ms,
        ),
    };
    if settings.first_wait_ms == 0 || settings.first_wait_ms > settings.wait_ms_max {
        table.reading().error(&table.place("first_wait"), "more than nothing, and no longer than wait_max");
    }
    if settings.expiry_ms > settings.age_ms_max {
        table.reading().error(&table.place("expiry"), "longer than age_max, which would bounce it first");
    }
    settings
}

fn time(table: &mut TableReader<'_>, key: Key, default_ms: u64) -> u64 {
    let time = table.or(key, Duration::from_millis(default_ms));
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn read_waiting(root: &mut TableReader<'_>) -> CapSettings {
    let default = CapSettings::default();
    let mut table =
        root.table("waiting", "How much mail may wait; past it the answer is 452 with the time to come again.");
    let account_deliveries_max = table.optional(
        key(
            "account_deliveries",
            "Deliveries of one account. Absent: what its limits let leave in half the expiry time.",
        )
        .example("10000"),
    );
    let no_mail = "no mail would be taken";
    if account_deliveries_max == Some(0) {
        table.reading().error(&table.place("account_deliveries"), format!("{no_mail}; write 1 or more"));
    }
    let all = key("deliveries", "Deliveries of all accounts.");
    let deliveries_max = table.or_where(all, default.deliveries_max, at_least(1, no_mail));
    CapSettings { account_deliveries_max, deliveries_max }
}

/// Reads `[pace]`.
pub(super) fn read_pace(root: &mut TableReader<'_>) -> PaceSettings {
    let default = PaceSettings::default();
    let mut table =
        root.table("pace", "How fast mail leaves inside the limits: a rate, and how many may go at once after a rest.");
    let mut pace = |name, doc, default| table.or(key(name, doc).example("\"off\""), PaceOrOff(default)).0;
    PaceSettings {
        egress: pace("egress", "Of each egress.", default.egress),
        account: pace("account", "Of each account.", default.account),
        domain: pace(
            "domain",
            "Towards each domain of recipients by MX, and towards a smarthost as a whole.",
            default.domain,
        ),
    }
}
