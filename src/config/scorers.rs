//! `[scorers]`: Rspamd, SpamAssassin, ClamAV and lists in the DNS beside outguard's own score.

use std::time::Duration;

use super::item::{Fault, Item, Place, Setting};
use super::reader::{Reading, TableReader, key};
use super::values::{Size, parsed, quoted, words};
use crate::mail::ListZone;
use crate::score::other::{Endpoint, List, ListKind, OnFailure, OtherSettings, Scorer};

/// The longest time for an answer: a client is answered within 30 s of its final dot.
const TIMEOUT_MAX: Duration = Duration::from_secs(20);

impl Setting for Endpoint {
    const EXPECTED: &'static str = "\"127.0.0.1:11333\" or \"unix:/run/clamav/clamd.ctl\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        parsed(item)
    }

    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

words!(OnFailure, "\"pass\", \"hold\" or \"defer\"", {
    "pass" => OnFailure::Pass,
    "hold" => OnFailure::Hold,
    "defer" => OnFailure::Defer,
});

words!(ListKind, "\"domain\", \"address\" or \"client\"", {
    "domain" => ListKind::Domain,
    "address" => ListKind::Address,
    "client" => ListKind::Client,
});

/// The least time between the longest wait for a scorer and the end of that for an answer: the message is stored in it.
const STORING: Duration = Duration::from_secs(2);

/// Checks `[scorers]`, which stands at `place`, against what is configured elsewhere.
pub(super) fn check(reading: &Reading<'_>, others: &OtherSettings, place: &Place, answer: Duration, enabled: bool) {
    let scorers = [&others.rspamd, &others.spamassassin, &others.clamav];
    let lists = others.lists.iter().map(|list| list.timeout);
    let Some(longest) = scorers.into_iter().flatten().map(|scorer| scorer.timeout).chain(lists).max() else { return };
    check_time(reading, place, longest, answer);
    if !enabled {
        reading.warning(place, "nothing is asked: score.enabled = false judges no message");
    }
}

/// Checks that whatever is waited for at the final dot leaves time to store the message.
pub(super) fn check_time(reading: &Reading<'_>, place: &Place, longest: Duration, answer: Duration) {
    if longest + STORING <= answer {
        return;
    }
    let (longest, answer) = (longest.written(), answer.written());
    let longest = longest.trim_matches('"');
    reading.error(
        place,
        format!(
            "a timeout of {longest} leaves too little of intake.timeouts.answer = {answer}: where no answer comes, all mail \
             would be told to come again; write it 2s shorter than that"
        ),
    );
}

/// Reads `[scorers]`, and says where it stands.
pub(super) fn read(root: &mut TableReader<'_>) -> (OtherSettings, Place) {
    let mut table = root.table(
        "scorers",
        "Other scorers, asked at once at the final dot. None is needed; each brings points beside outguard's own.",
    );
    let place = table.here();
    let rspamd = table.table("rspamd", "Rspamd's normal worker.");
    let rspamd = read_scorer(
        rspamd,
        "\"127.0.0.1:11333\"",
        200,
        "The points of a score at which Rspamd would reject; less in proportion.",
    );
    let spamassassin = table.table("spamassassin", "SpamAssassin's spamd.");
    let spamassassin = read_scorer(
        spamassassin,
        "\"127.0.0.1:783\"",
        120,
        "The points of a score at which SpamAssassin calls it spam; in proportion.",
    );
    let clamav = table.table("clamav", "ClamAV's clamd. It is given no more of a message than message_bytes.");
    let clamav = read_scorer(
        clamav,
        "\"unix:/run/clamav/clamd.ctl\"",
        500,
        "The points of a message in which ClamAV finds something.",
    );
    let doc = "A list in the DNS (RFC 5782) that links or clients are looked up in. Ask its operator first: many forbid \
               public resolvers.";
    let lists = table.tables("list", doc).into_iter().filter_map(read_list).collect();
    (OtherSettings { rspamd, spamassassin, clamav, lists }, place)
}

fn read_scorer(
    mut table: TableReader<'_>,
    example: &'static str,
    points: i32,
    points_doc: &'static str,
) -> Option<Scorer> {
    let endpoint = table.optional(key("address", "Where it listens. Absent: it is not asked.").example(example));
    let timeout = table.or_where(
        key("timeout", "How long it may take, connecting included."),
        Scorer::TIMEOUT,
        |time: &Duration| if *time <= TIMEOUT_MAX { Ok(()) } else { Err("at most 20s".to_owned()) },
    );
    let on_failure = table.or(
        key(
            "on_failure",
            "What becomes of a message when it does not answer: pass, hold, or defer (4xx to the client).",
        ),
        OnFailure::Pass,
    );
    let points = table.or(key("points", points_doc), points);
    let message_bytes_max =
        table.or(key("message_bytes", "How much of a message it is given."), Size(Scorer::MESSAGE_BYTES_MAX as u64)).0;
    let message_bytes_max = usize::try_from(message_bytes_max).unwrap_or(usize::MAX);
    Some(Scorer { endpoint: endpoint?, timeout, on_failure, points, message_bytes_max })
}

fn read_list(mut table: TableReader<'_>) -> Option<List> {
    let zone: Option<ListZone> = table.required(
        key("zone", "Its zone. The key of one that is paid for is shown nowhere.").example("\"dbl.example.net\""),
    );
    let kind = table.or(
        key("kind", "What is looked up: domain (of links), address (that links name), client (the account's own).")
            .example("\"client\""),
        ListKind::Domain,
    );
    let points = table.or(key("points", "The points of a message with a listed one."), 120);
    let timeout = table.or_where(key("timeout", "How long it may take."), Duration::from_secs(3), |time: &Duration| {
        if *time <= TIMEOUT_MAX { Ok(()) } else { Err("at most 20s".to_owned()) }
    });
    let on_failure = table.or(
        key("on_failure", "What becomes of a message when it does not answer: pass, hold, or defer."),
        OnFailure::Pass,
    );
    Some(List { zone: zone?, kind, points, timeout, on_failure })
}
