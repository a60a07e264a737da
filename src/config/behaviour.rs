//! `[score.behaviour]`: what an account usually does, and what follows when it does not.

use super::reader::{TableReader, key};
use super::values::{Size, words};
use crate::score::behaviour::{BehaviourSettings, Suspend, Weigh};

words!(Suspend, "\"off\", \"advise\" or \"close-gate\"", {
    "off" => Suspend::Off,
    "advise" => Suspend::Advise,
    "close-gate" => Suspend::CloseGate,
});

/// Reads `[score.behaviour]` out of `[score]`.
pub(super) fn read(score: &mut TableReader<'_>) -> BehaviourSettings {
    let default = BehaviourSettings::default();
    let mut table = score.table(
        "behaviour",
        "What an account usually does: volume, recipients, clients, programs, near-copies. It is learned in any case.",
    );
    let weigh = table.or(
        key("weigh", "Whether what is unlike an account's habit adds to the score. false: shown without points."),
        default.weigh == Weigh::Yes,
    );
    BehaviourSettings {
        weigh: if weigh { Weigh::Yes } else { Weigh::WatchOnly },
        weight_percent: table.or_where(
            key("weight_percent", "How much its points count, in percent."),
            default.weight_percent,
            |percent| if *percent <= 300 { Ok(()) } else { Err("at most 300 percent".to_owned()) },
        ),
        watch_first: table.or(
            key("watch_first", "So long after the first message ever, it only watches: there is no habit yet."),
            default.watch_first,
        ),
        accounts_max: table.or_where(
            key("accounts", "Accounts that are remembered; past it the one of least use is forgotten."),
            default.accounts_max,
            at_least_one,
        ),
        habits_bytes_max: usize::try_from(
            table
                .or(
                    key("memory", "Memory of all habits; past it the one of least use is forgotten."),
                    Size(default.habits_bytes_max as u64),
                )
                .0,
        )
        .unwrap_or(usize::MAX),
        texts_max: table.or_where(
            key("texts", "Texts of the last two days that are remembered, to find near-copies; half a KiB each."),
            default.texts_max,
            |texts| if (1..=1_000_000).contains(texts) { Ok(()) } else { Err("from 1 to 1000000".to_owned()) },
        ),
        suspend: table.or(
            key(
                "suspend",
                "What is done about an account whose mail is held message after message: nothing, an event, or all its mail \
                 is held until a person lets it go.",
            ),
            default.suspend,
        ),
        suspend_held: table.or_where(
            key("suspend_held", "So many messages held in an hour, and half of all its mail of that hour, are enough."),
            default.suspend_held,
            |held| if *held > 0 { Ok(()) } else { Err("at least 1".to_owned()) },
        ),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the type that or_where asks for")]
fn at_least_one(value: &usize) -> Result<(), String> {
    if *value == 0 { Err("at least 1".to_owned()) } else { Ok(()) }
}
