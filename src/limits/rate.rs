//! How much in how long: `200/h`, `20/m`, `1000/d`, `300/30m`, `50 messages/h`.

use std::fmt;
use std::str::FromStr;

/// The most slots a rate may have; a ring of them takes 80 MB at most, and only for a key that uses them all.
pub const SLOTS_MAX: u32 = 10_000_000;
/// The shortest window, in milliseconds.
pub const WINDOW_MS_MIN: u64 = 1_000;
/// The longest window, in milliseconds (31 days): the record of attempts is kept as long as the longest one in use.
pub const WINDOW_MS_MAX: u64 = 31 * DAY_MS;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What a rule counts. Networks differ, so every text names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unit {
    /// Deliveries: one for each recipient that content was sent for.
    #[default]
    Recipients,
    /// Transactions in which content began. A message that takes three transactions counts three.
    Messages,
}

impl Unit {
    /// Whether each recipient takes a slot.
    pub(super) fn is_recipients(self) -> bool {
        self == Self::Recipients
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recipients => "recipients",
            Self::Messages => "messages",
        })
    }
}

impl FromStr for Unit {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        match text.trim() {
            "recipients" => Ok(Self::Recipients),
            "messages" => Ok(Self::Messages),
            _ => Err(RateError::Unit),
        }
    }
}

/// So many slots in any window of that length. Zero slots: nothing leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// N, at most [`SLOTS_MAX`].
    pub slots: u32,
    /// W as configured, in milliseconds, from [`WINDOW_MS_MIN`] to [`WINDOW_MS_MAX`].
    pub window_ms: u64,
    /// What is counted; `None` leaves it to the setting for all rules.
    pub unit: Option<Unit>,
}

/// Why a text is no rate. The sentences are for the operator, after the place and the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// No slash between number and window.
    #[error("a rate needs a window; write 200/h, 20/m, 1000/d or 300/30m")]
    NoWindow,
    /// What stands before the slash is no number.
    #[error("a rate begins with a whole number; write 200/h, or 0/h to let nothing leave")]
    Number,
    /// Over [`SLOTS_MAX`].
    #[error("a rate has at most {SLOTS_MAX} slots")]
    TooManySlots,
    /// What stands after the slash is no window.
    #[error("unknown window; write 200/h, 20/m, 1000/d or 300/30m")]
    Window,
    /// Out of [`WINDOW_MS_MIN`] to [`WINDOW_MS_MAX`].
    #[error("a window is from 1s to 31d long")]
    WindowLength,
    /// Neither `recipients` nor `messages`.
    #[error("what is counted is either recipients (the default) or messages: 200 messages/h")]
    Unit,
}

impl Rate {
    /// So many an hour.
    pub const fn per_hour(slots: u32) -> Self {
        Self { slots, window_ms: HOUR_MS, unit: None }
    }

    /// The window that is kept: a thousandth longer than configured, for the network's clock is not ours.
    pub const fn kept_window_ms(&self) -> u64 {
        self.window_ms + self.window_ms.div_ceil(1_000)
    }

    /// The window's length as text: `h`, `30m`.
    pub fn window_text(&self) -> String {
        let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s"), (1, "ms")];
        let (unit_ms, name) = units.into_iter().find(|(ms, _)| self.window_ms.is_multiple_of(*ms)).unwrap_or((1, "ms"));
        match self.window_ms / unit_ms {
            1 => name.to_string(),
            n => format!("{n}{name}"),
        }
    }
}

impl Default for Rate {
    /// 200/h, what the network of the first users is said to allow an account.
    fn default() -> Self {
        Self::per_hour(200)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.slots)?;
        if let Some(unit) = self.unit {
            write!(f, " {unit}")?;
        }
        write!(f, "/{}", self.window_text())
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (amount, window) = text.split_once('/').ok_or(RateError::NoWindow)?;
        let (number, unit) = match amount.trim().split_once(' ') {
            Some((number, unit)) => (number, Some(unit.parse()?)),
            None => (amount.trim(), None),
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RateError::Number);
        }
        let slots: u32 = number.parse().map_err(|_| RateError::TooManySlots)?;
        if slots > SLOTS_MAX {
            return Err(RateError::TooManySlots);
        }
        let window_ms = window_ms(window.trim())?;
        if !(WINDOW_MS_MIN..=WINDOW_MS_MAX).contains(&window_ms) {
            return Err(RateError::WindowLength);
        }
        Ok(Self { slots, window_ms, unit })
    }
}

/// Reads `h`, `30m`, `7d`.
fn window_ms(text: &str) -> Result<u64, RateError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let unit_ms = match unit.trim_start() {
        "s" => SECOND_MS,
        "m" | "min" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        _ => return Err(RateError::Window),
    };
    let count: u64 = if count.is_empty() { 1 } else { count.parse().map_err(|_| RateError::WindowLength)? };
    count.checked_mul(unit_ms).ok_or(RateError::WindowLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let rate = |slots, window_ms| Ok(Rate { slots, window_ms, unit: None });
        let cases = [
            ("200/h", rate(200, HOUR_MS)),
            ("20/m", rate(20, MINUTE_MS)),
            ("1000/d", rate(1_000, DAY_MS)),
            ("300/30m", rate(300, 30 * MINUTE_MS)),
            (" 300 / 30 m ", rate(300, 30 * MINUTE_MS)), // spaces say nothing
            ("0/h", rate(0, HOUR_MS)),                   // nothing leaves
            ("5 messages/h", Ok(Rate { slots: 5, window_ms: HOUR_MS, unit: Some(Unit::Messages) })),
            ("5 recipients/h", Ok(Rate { slots: 5, window_ms: HOUR_MS, unit: Some(Unit::Recipients) })),
            ("200", Err(RateError::NoWindow)),
            ("200/hour", Err(RateError::Window)),
            ("200/", Err(RateError::Window)),
            ("/h", Err(RateError::Number)),
            ("-1/h", Err(RateError::Number)),
            ("+1/h", Err(RateError::Number)), // `u32::from_str` takes it; people would read more into it
            ("2.5/h", Err(RateError::Number)),
            ("99999999999/h", Err(RateError::TooManySlots)),
            ("10000001/h", Err(RateError::TooManySlots)),
            ("1/0h", Err(RateError::WindowLength)),
            ("1/32d", Err(RateError::WindowLength)),
            ("1/99999999999999999999d", Err(RateError::WindowLength)),
            ("1/213503982334602d", Err(RateError::WindowLength)), // days that overflow in milliseconds
            ("5 mails/h", Err(RateError::Unit)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Rate>(), expected, "{text:?}");
        }
    }

    #[test]
    fn text_round_trips_in_the_shortest_form() {
        for (text, shown) in
            [("200/1h", "200/h"), ("7/60m", "7/h"), ("7/90m", "7/90m"), ("7 messages/24h", "7 messages/d")]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string(), shown);
            assert_eq!(shown.parse::<Rate>(), Ok(rate));
        }
        assert_eq!(Rate::default().to_string(), "200/h");
    }

    #[test]
    fn the_kept_window_is_a_thousandth_longer_and_never_shorter() {
        assert_eq!(Rate::default().kept_window_ms(), HOUR_MS + 3_600);
        assert_eq!(Rate { slots: 1, window_ms: 1_001, unit: None }.kept_window_ms(), 1_003);
    }
}
