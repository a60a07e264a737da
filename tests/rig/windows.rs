//! The promise itself, by brute force over what a next hop saw: no interval of a window's length holds more than N.

/// The largest number of entries of `moments_ms` in any half-open interval `[s, s + window_ms)`.
///
/// It is enough to try each entry as the start: a fuller interval could be moved right to its first entry.
pub(crate) fn fullest(moments_ms: &[u64], window_ms: u64) -> usize {
    moments_ms
        .iter()
        .map(|&start| moments_ms.iter().filter(|&&m| m >= start && m < start.saturating_add(window_ms)).count())
        .max()
        .unwrap_or(0)
}

#[test]
fn counts_half_open_windows() {
    let cases = [
        (&[][..], 10, 0),
        (&[5][..], 10, 1),
        (&[0, 10][..], 10, 1),            // the end is open
        (&[0, 9][..], 10, 2),             // one beside it
        (&[3, 1, 2, 50][..], 3, 3),       // order does not matter
        (&[0, 0, 0, 7, 8, 9, 10], 10, 6), // the window that starts late is not the fullest
    ];
    for (moments, window, expected) in cases {
        assert_eq!(fullest(moments, window), expected, "{moments:?} in {window} ms");
    }
}
