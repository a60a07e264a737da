//! Times and amounts as people read them: the wall clock of this machine's zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::WallMs;

/// `2026-11-21 11:00:05`.
pub(super) fn local(at: WallMs) -> String {
    in_zone(at, TimeZone::system())
}

/// `2026-11-21 10:00:05 UTC`, as sentences of the daemon have it.
pub(super) fn utc(at: WallMs) -> String {
    in_zone(at, TimeZone::UTC) + " UTC"
}

fn in_zone(at: WallMs, zone: TimeZone) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    match Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "after the year 9999".to_owned(),
    }
}

/// The time, or a dash.
pub(super) fn local_or_dash(at: Option<WallMs>) -> String {
    at.map_or_else(|| "-".to_owned(), local)
}

/// `950 B`, `1.4 KiB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec_short().to_string()
}

/// `1 delivery`, `2 deliveries`.
pub(super) fn deliveries(n: u64) -> String {
    counted(n, "delivery", "deliveries")
}

/// So many of them, by the right word.
pub(super) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(in_zone(WallMs(1_795_255_205_999), TimeZone::UTC), "2026-11-21 10:00:05");
        assert_eq!(in_zone(WallMs(u64::MAX), TimeZone::UTC), "after the year 9999");
        assert_eq!((deliveries(1), deliveries(0)), ("1 delivery".into(), "0 deliveries".into()));
    }
}
