//! `store`, `[disk]` and `[journal]`: where mail is kept, and for how long it is remembered.

use super::item::{Fault, Item, Setting};
use super::reader::{TableReader, key};
use super::values::Size;
use crate::store::settings::{FreeMin, StoreSettings};

impl Setting for FreeMin {
    const EXPECTED: &'static str = "\"auto\" or a size such as \"2 GiB\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        if item.text() == Some("auto") { Ok(Self::Auto) } else { Size::read(item).map(|size| Self::Bytes(size.0)) }
    }

    fn written(&self) -> String {
        match self {
            Self::Auto => "\"auto\"".to_owned(),
            Self::Bytes(bytes) => Size(*bytes).written(),
        }
    }
}

/// Reads `store`, `[disk]` and `[journal]`.
pub(super) fn read(root: &mut TableReader<'_>) -> StoreSettings {
    let default = StoreSettings::default();
    let path = root.or(
        key(
            "store",
            "The folder in which mail is kept: on a local disk, owned by the service user, for nobody else. A change needs \
             a restart.",
        ),
        default.path,
    );
    let mut disk = root.table("disk", "What happens as the disk of the store fills up.");
    let free_min = disk.or(
        key(
            "free_min",
            "With less free space no mail is taken (452 4.3.1), with less than half of it none is sent either. auto: 5 % \
             of the file system, at least 512 MiB.",
        )
        .example("\"2 GiB\""),
        default.free_min,
    );
    let ballast = disk.or(
        key("ballast", "A file of this size is deleted when the disk is full, so that outcomes can still be written."),
        Size(default.ballast_bytes),
    );
    let mut journal = root.table("journal", "The kept history of all mail, for trace, log and review.");
    StoreSettings {
        path,
        free_min,
        ballast_bytes: ballast.0,
        journal_keep: journal.or(key("keep", "How long it is kept."), default.journal_keep),
        journal_bytes_max: journal
            .or(key("size_max", "How large it may grow; past it the oldest part goes first."), Size(default.journal_bytes_max))
            .0,
        attempts_keep: journal.or(
            key(
                "attempts_keep",
                "How long attempts are kept, from which the limits are made again at a start: at least the longest window; a day \
                 more than it in any case.",
            ),
            default.attempts_keep,
        ),
    }
}
