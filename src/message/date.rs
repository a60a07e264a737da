//! The Date field, read as RFC 5322 3.3 and 4.3 have it and no further.

use super::DateField;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads the unfolded value of a Date field.
pub(super) fn read(value: &str) -> DateField {
    date(value).unwrap_or(DateField::Broken)
}

fn date(value: &str) -> Option<DateField> {
    let plain = without_comments(value)?;
    let mut words = plain.split_ascii_whitespace().peekable();
    let first = words.peek()?;
    let mut weekday = None;
    if first.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let name = first.strip_suffix(',')?;
        weekday = Some(DAYS.iter().position(|d| name.eq_ignore_ascii_case(d))?);
        words.next();
    }
    let day: i64 = number(words.next()?, 1..=2)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|m| month.eq_ignore_ascii_case(m))?;
    let year = words.next()?;
    let year: i64 = match (year.len(), number(year, 2..=4)?) {
        // RFC 5322 4.3.
        (2, y @ 0..50) => y + 2000,
        (2 | 3, y) => y + 1900,
        (_, y) => y,
    };
    let mut clock = words.next()?.split(':');
    let hour = number(clock.next()?, 2..=2)?;
    let minute = number(clock.next()?, 2..=2)?;
    let second = clock.next().map_or(Some(0), |s| number(s, 2..=2))?;
    let zone_min = zone(words.next()?)?;
    let month = i64::try_from(month).ok()? + 1;
    let whole = clock.next().is_none() && words.next().is_none();
    if !whole || hour > 23 || minute > 59 || second > 60 || year < 1900 || day < 1 || day > days_of(year, month) {
        return None;
    }
    let days = days_since_1970(year, month, day);
    // 1970 began on a Thursday. A weekday that is named must be the right one.
    if weekday.is_some_and(|w| i64::try_from(w) != Ok((days + 3).rem_euclid(7))) {
        return None;
    }
    let unix_s = days * 86_400 + hour * 3_600 + minute * 60 + second - i64::from(zone_min) * 60;
    Some(DateField::At { unix_s, zone_min })
}

/// `+hhmm`, or one of the names of RFC 5322 4.3; others there mean that the zone is not known.
fn zone(word: &str) -> Option<i32> {
    if let Some(digits) = word.strip_prefix(['+', '-']) {
        let number: i32 = number(digits, 4..=4)?.try_into().ok()?;
        let minutes = number / 100 * 60 + number % 100;
        return (number % 100 < 60).then_some(if word.starts_with('-') { -minutes } else { minutes });
    }
    let hours = match word.to_ascii_uppercase().as_str() {
        "UT" | "GMT" | "UTC" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        letter if letter.len() == 1 && letter != "J" && letter.as_bytes()[0].is_ascii_alphabetic() => 0,
        _ => return None,
    };
    Some(hours * 60)
}

fn number(word: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    (digits.contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())).then(|| word.parse().ok())?
}

/// The value with comments made spaces; `None` if one does not end.
fn without_comments(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut depth = 0_u32;
    let mut escaped = false;
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if depth > 0 => escaped = true,
            '(' => {
                depth += 1;
                plain.push(' ');
            }
            ')' => depth = depth.checked_sub(1)?,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    (depth == 0).then_some(plain)
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years begin in March, so that leap days end them.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, in_era) = (y.div_euclid(400), y.rem_euclid(400));
    let in_year = (153 * m + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_standard_and_others() {
        let at = |unix_s, zone_min| DateField::At { unix_s, zone_min };
        let cases = [
            ("Thu, 01 Jan 1970 00:00:00 +0000", at(0, 0)),
            ("Fri, 21 Nov 1997 09:55:06 -0600", at(880_127_706, -360)),
            ("21 Nov 1997 09:55 -0600", at(880_127_700, -360)), // no weekday, no seconds
            ("Fri, 21 Nov 97 09:55:06 CST", at(880_127_706, -360)), // RFC 5322 4.3
            ("Sat, 29 Feb 2020 12:00:00 GMT (UTC)", at(1_582_977_600, 0)),
            ("Tue, 31 Dec 2024 23:59:60 +0530 (a (nested) comment)", at(1_735_669_800, 330)),
            ("Thu,  1 Jan 1970 00:00:00 -0000", at(0, 0)),
            ("Fri, 01 Jan 1970 00:00:00 +0000", DateField::Broken), // it was a Thursday
            ("Thu 01 Jan 1970 00:00:00 +0000", DateField::Broken),  // no comma
            ("30 Feb 2020 12:00:00 +0000", DateField::Broken),
            ("1970-01-01T00:00:00Z", DateField::Broken),
            ("Thu, 01 Jan 1970 00:00:00", DateField::Broken), // no zone
            ("Thu, 01 Jan 1970 24:00:00 +0000", DateField::Broken),
            ("Thu, 01 Jan 1970 00:00:00 +0060", DateField::Broken),
            ("Thu, 01 Jan 1970 00:00:00 +0000 (", DateField::Broken),
            ("Do, 01 Jan 1970 00:00:00 +0000", DateField::Broken), // a date in German
            ("", DateField::Broken),
        ];
        for (value, expected) in cases {
            assert_eq!(read(value), expected, "{value:?}");
        }
    }
}
