//! When to try again, when to tell the sender of a delay, when to give up (RFC 5321 4.5.4.1).

/// `[dispatch.retry]` as meant. Lengths are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// The wait after the first failed attempt. Greylisting servers ask for five minutes.
    pub first_wait_ms: u64,
    /// How each wait grows out of the one before, in percent; 100 keeps them equal.
    pub growth_percent: u32,
    /// The longest wait.
    pub wait_ms_max: u64,
    /// By how much a wait is made longer or shorter at random, in percent, so that a crowd does not come back as one.
    pub jitter_percent: u32,
    /// How long a delivery may be free to leave without leaving before it bounces. RFC 5321 asks for four to five days.
    /// Time held, behind a gate or waiting for a slot does not count.
    pub expiry_ms: u64,
    /// The age at which it bounces all the same.
    pub age_ms_max: u64,
    /// The spent life at which the sender is told of a delay, once, and only after a failed attempt.
    pub delay_notice_ms: u64,
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first_wait_ms: 5 * MINUTE_MS,
            growth_percent: 200,
            wait_ms_max: 4 * HOUR_MS,
            jitter_percent: 10,
            expiry_ms: 5 * DAY_MS,
            age_ms_max: 30 * DAY_MS,
            delay_notice_ms: 4 * HOUR_MS,
        }
    }
}

/// What a delivery went through so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Time since it was accepted, in milliseconds.
    pub age_ms: u64,
    /// The part of it in which it was free to leave, in milliseconds.
    pub spent_ms: u64,
    /// Failed attempts, the last one included.
    pub failed_attempts: u32,
    /// Whether the sender was told of the delay.
    pub delay: DelayNotice,
}

/// Whether the sender was told of a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelayNotice {
    /// Not yet.
    Untold,
    /// Once is enough.
    Told,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    /// Due again after so long.
    After {
        /// How long, in milliseconds.
        wait_ms: u64,
    },
    /// It was free to leave for as long as it may be: it bounces.
    Expired,
    /// It is as old as mail may become, though it was seldom free to leave: it bounces.
    TooOld,
}

impl RetrySettings {
    /// What follows the last failed attempt. `random` is any number; the same one gives the same answer.
    ///
    /// The last wait is cut to the end of the life, so that one attempt is made then. So is the wait in which a delay is
    /// to be told: it is told of mail that has just failed, and not hours late; by no more than the first wait.
    pub fn after_failure(&self, life: &Life, random: u64) -> NextTry {
        if let Some(end) = self.end_of_life(life) {
            return end;
        }
        let mut left_ms = (self.expiry_ms - life.spent_ms).min(self.age_ms_max - life.age_ms);
        if life.delay == DelayNotice::Untold && life.spent_ms < self.delay_notice_ms {
            left_ms = left_ms.min((self.delay_notice_ms - life.spent_ms).max(self.first_wait_ms));
        }
        NextTry::After { wait_ms: self.wait_ms(life.failed_attempts, random).min(left_ms) }
    }

    /// Whether the life of a delivery is over, attempt or none.
    pub fn end_of_life(&self, life: &Life) -> Option<NextTry> {
        if life.age_ms >= self.age_ms_max {
            Some(NextTry::TooOld)
        } else {
            (life.spent_ms >= self.expiry_ms).then_some(NextTry::Expired)
        }
    }

    /// Whether the sender is to be told of the delay now. The DSN parameters are another question.
    pub fn tells_delay(&self, life: &Life) -> bool {
        life.delay == DelayNotice::Untold && life.failed_attempts > 0 && life.spent_ms >= self.delay_notice_ms
    }

    /// The wait after so many failed attempts.
    fn wait_ms(&self, failed_attempts: u32, random: u64) -> u64 {
        let mut wait_ms = self.first_wait_ms.min(self.wait_ms_max);
        for _ in 1..failed_attempts.max(1) {
            let grown = wait_ms.saturating_mul(self.growth_percent.max(100).into()) / 100;
            if grown <= wait_ms || wait_ms >= self.wait_ms_max {
                break;
            }
            wait_ms = grown.min(self.wait_ms_max);
        }
        let spread_ms = wait_ms / 100 * u64::from(self.jitter_percent.min(100));
        (wait_ms - spread_ms + random % (2 * spread_ms + 1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(failed_attempts: u32) -> Life {
        Life { age_ms: 0, spent_ms: 0, failed_attempts, delay: DelayNotice::Untold }
    }

    #[test]
    fn waits_grow_to_the_longest() {
        let settings = RetrySettings { jitter_percent: 0, ..RetrySettings::default() };
        let waits: Vec<u64> = (0..9).map(|n| settings.wait_ms(n, 7) / MINUTE_MS).collect();
        assert_eq!(waits, [5, 5, 10, 20, 40, 80, 160, 240, 240]);
        assert_eq!(settings.wait_ms(u32::MAX, 7), 4 * HOUR_MS, "no overflow, and no long loop");
        let equal = RetrySettings { growth_percent: 100, ..settings };
        assert_eq!(equal.wait_ms(u32::MAX, 7), 5 * MINUTE_MS);
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_reaches_them() {
        let settings = RetrySettings::default();
        let waits: Vec<u64> = (0..=60_000).map(|random| settings.wait_ms(1, random)).collect();
        assert_eq!(waits.iter().min(), Some(&270_000));
        assert_eq!(waits.iter().max(), Some(&330_000));
    }

    #[test]
    fn ends_of_life() {
        let settings = RetrySettings { jitter_percent: 0, ..RetrySettings::default() };
        let cases = [
            (
                "young",
                Life { spent_ms: HOUR_MS, age_ms: HOUR_MS, ..life(1) },
                NextTry::After { wait_ms: 5 * MINUTE_MS },
            ),
            (
                "the last wait ends with the life",
                Life { spent_ms: 5 * DAY_MS - 1_000, age_ms: 6 * DAY_MS, ..life(30) },
                NextTry::After { wait_ms: 1_000 },
            ),
            (
                "a delay is to be told in an hour",
                Life { spent_ms: 3 * HOUR_MS, age_ms: DAY_MS, ..life(30) },
                NextTry::After { wait_ms: HOUR_MS },
            ),
            (
                "in a second: once the first wait is over",
                Life { spent_ms: 4 * HOUR_MS - 1_000, age_ms: DAY_MS, ..life(30) },
                NextTry::After { wait_ms: 5 * MINUTE_MS },
            ),
            (
                "it was told, or nobody wants to hear of it",
                Life { spent_ms: 3 * HOUR_MS, age_ms: DAY_MS, delay: DelayNotice::Told, ..life(30) },
                NextTry::After { wait_ms: 4 * HOUR_MS },
            ),
            ("spent", Life { spent_ms: 5 * DAY_MS, age_ms: 6 * DAY_MS, ..life(30) }, NextTry::Expired),
            (
                "held for weeks: age alone does not end it",
                Life { spent_ms: DAY_MS, age_ms: 29 * DAY_MS, ..life(1) },
                NextTry::After { wait_ms: 5 * MINUTE_MS },
            ),
            ("the hard cap does", Life { spent_ms: DAY_MS, age_ms: 30 * DAY_MS, ..life(1) }, NextTry::TooOld),
        ];
        for (reason, life, expected) in cases {
            assert_eq!(settings.after_failure(&life, 1), expected, "{reason}");
        }
    }

    #[test]
    fn delay_notices() {
        let settings = RetrySettings::default();
        let old = Life { spent_ms: 4 * HOUR_MS, age_ms: 4 * HOUR_MS, ..life(3) };
        let cases = [
            ("four hours and failed", old, true),
            ("told before", Life { delay: DelayNotice::Told, ..old }, false),
            ("it never failed: it waited for its turn", Life { failed_attempts: 0, ..old }, false),
            ("not yet", Life { spent_ms: 4 * HOUR_MS - 1, ..old }, false),
            ("waited for slots most of the time", Life { spent_ms: HOUR_MS, age_ms: 9 * HOUR_MS, ..old }, false),
        ];
        for (reason, life, expected) in cases {
            assert_eq!(settings.tells_delay(&life), expected, "{reason}");
        }
    }
}
