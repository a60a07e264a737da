//! A share between nothing and all, in two bytes.

/// A part of a whole, in 1/65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Share(pub(super) u16);

impl Share {
    /// So many of so many; nothing of nothing.
    pub(super) fn of(part: u32, whole: u32) -> Self {
        if whole == 0 {
            return Self(0);
        }
        let scaled = u64::from(part.min(whole)) * u64::from(u16::MAX) / u64::from(whole);
        Self(u16::try_from(scaled).unwrap_or(u16::MAX))
    }

    /// From 0 to 1.
    pub(super) fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(u16::MAX)
    }

    /// A step towards `target`, `weight` of the way.
    #[must_use]
    pub(super) fn toward(self, target: Self, weight: Self) -> Self {
        let (from, to, weight) = (i64::from(self.0), i64::from(target.0), i64::from(weight.0));
        let next = from + (to - from) * weight / i64::from(u16::MAX);
        Self(u16::try_from(next).unwrap_or(0))
    }
}

/// Points out of a computed weight: whole, and never beyond a million either way. What is no number is nothing.
pub(in crate::score) fn points(value: f64) -> i32 {
    if value.is_nan() {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "clamped to a million before")]
    let whole = value.round().clamp(-1e6, 1e6) as i32;
    whole
}
