//! Times, as a page shows them.

use jiff::Timestamp;

use crate::clock::WallMs;

/// `2026-11-21 10:00 UTC`: a browser of another zone reads the same.
pub(super) fn utc(at: WallMs) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    match Timestamp::from_millisecond(ms) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "after the year 9999".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let cases = [
            (1_795_255_200_000, "2026-11-21 10:00 UTC"),
            (0, "1970-01-01 00:00 UTC"),
            (u64::MAX, "after the year 9999"),
        ];
        for (ms, expected) in cases {
            assert_eq!(utc(WallMs(ms)), expected);
        }
    }
}
