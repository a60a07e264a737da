//! `[account]`: whose message it is, and from which source that is believed.

use super::item::{Fault, Item, Setting};
use super::reader::{TableReader, key};
use super::values::{quoted, text_of, unknown_word, words};
use crate::account::{AccountSettings, AccountSource, LocalPart, RotationSettings};

impl Setting for AccountSource {
    const EXPECTED: &'static str = "names of sources such as \"login\" or \"reverse-path\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let word = text_of::<Self>(item)?;
        let known: Vec<&str> = Self::ALL.iter().filter(|source| is_choice(**source)).map(|s| s.as_str()).collect();
        Self::named(word).filter(|source| is_choice(*source)).ok_or_else(|| unknown_word(word, &known))
    }

    fn written(&self) -> String {
        quoted(self.as_str())
    }
}

/// The others are what is left when no source knows, not something to choose.
fn is_choice(source: AccountSource) -> bool {
    !matches!(source, AccountSource::NullReversePath | AccountSource::Client | AccountSource::Own)
}

words!(LocalPart, "\"lower\" or \"as-written\"", {
    "lower" => LocalPart::Lower,
    "as-written" => LocalPart::AsWritten,
});

/// Reads `[account]`.
pub(super) fn read(root: &mut TableReader<'_>) -> AccountSettings {
    let default = AccountSettings::default();
    let mut table = root.table("account", "Whom a message is counted against.");
    let settings = AccountSettings {
        sources: table.or(
            key(
                "sources",
                "Which sources are asked, first to last. All but login and reverse-path are believed only from trusted \
                 clients.",
            )
            .example("[\"login\", \"xclient\", \"mail-auth\", \"reverse-path\"]"),
            default.sources,
        ),
        own_names: table.or(
            key("own_names", "The names that your MTAs write behind `by` in the Received field that they put on top, besides the machine's \
                 and own_name.")
                .example("[\"mail.example.com\"]"),
            default.own_names,
        ),
        received_trusted: table.or(
            key(
                "received_trusted",
                "Whether such a Received field is believed without XFORWARD. Only where no rule strips Received fields: \
                 else the sender's own would come to lie on top.",
            ),
            default.received_trusted,
        ),
        own_hops: table.or(
            key(
                "own_hops",
                "Received fields of own hops that say nothing of the sender (content filters), skipped from the top. * is \
                 any text; case does not matter.",
            )
            .example("[\"from localhost * by mail.example.com (amavis*\"]"),
            default.own_hops,
        ),
        header_fields: table.or(
            key(
                "header_fields",
                "Header fields in which a hosting panel names the account, most believed first. They count above the MTA's \
                 own Received field alone: what stands below it is the sender's.",
            )
            .example("[\"X-Authenticated-Id\"]"),
            default.header_fields,
        ),
        local_part: table.or(
            key("local_part", "Whether Alice@example.com and alice@example.com are one account (lower) or two.")
                .example("\"as-written\""),
            default.local_part,
        ),
        rotation: read_rotation(&mut table),
    };
    if settings.received_trusted && settings.own_names.is_empty() {
        let place = table.place("received_trusted");
        table.reading().error(&place, "no name is known to believe; write own_names too, as in [\"mail.example.com\"]");
    }
    settings
}

fn read_rotation(account: &mut TableReader<'_>) -> RotationSettings {
    let default = RotationSettings::default();
    let mut table = account.table(
        "rotation",
        "Senders that keep changing their reverse-path, so that no account reaches its limit, are counted as one.",
    );
    RotationSettings {
        new_per_hour: table.or(
            key(
                "new_per_hour",
                "So many new reverse-paths in an hour from one client, user or domain are ordinary; further ones share \
                 an account.",
            ),
            default.new_per_hour,
        ),
        new_after_days: table
            .or(key("new_after_days", "A reverse-path is new if not seen for so many days."), default.new_after_days),
        report_only_days: table.or(
            key("report_only_days", "For so many days after its first start the rule only reports."),
            default.report_only_days,
        ),
        senders_max: table
            .or(key("senders_max", "How many reverse-paths are remembered, at most."), default.senders_max),
    }
}
