//! Sums of money in a text, in the ways in which people write them.

/// Fraud speaks of a hundred thousand and more.
const SUM_MIN: f64 = 100_000.0;
/// Signs and words of money before a number end so, and behind it begin so; in lower case.
const CURRENCIES: [&str; 23] = [
    "$",
    "€",
    "£",
    "usd",
    "eur",
    "euro",
    "euros",
    "gbp",
    "chf",
    "aud",
    "cad",
    "zł",
    "pln",
    "руб",
    "доллар",
    "евро",
    "dollar",
    "dollars",
    "dólar",
    "pound",
    "pounds",
    "united states",
    "franken",
];
/// What a number is multiplied by, in lower case. A short one is none without a currency.
const SCALES: [(&str, f64, Named); 29] = [
    ("millionen", 1e6, Named::Whole),
    ("milhões", 1e6, Named::Whole),
    ("millones", 1e6, Named::Whole),
    ("miljoner", 1e6, Named::Whole),
    ("milionów", 1e6, Named::Whole),
    ("миллион", 1e6, Named::Whole),
    ("millions", 1e6, Named::Whole),
    ("miljoen", 1e6, Named::Whole),
    ("milioni", 1e6, Named::Whole),
    ("miliony", 1e6, Named::Whole),
    ("million", 1e6, Named::Whole),
    ("millón", 1e6, Named::Whole),
    ("milhão", 1e6, Named::Whole),
    ("milione", 1e6, Named::Whole),
    ("milion", 1e6, Named::Whole),
    ("milliarden", 1e9, Named::Whole),
    ("milliards", 1e9, Named::Whole),
    ("milliard", 1e9, Named::Whole),
    ("billion", 1e9, Named::Whole),
    ("thousand", 1e3, Named::Short),
    ("tausend", 1e3, Named::Short),
    ("mill", 1e6, Named::Short),
    ("mio", 1e6, Named::Short),
    ("mln", 1e6, Named::Short),
    ("млн", 1e6, Named::Short),
    ("mrd", 1e9, Named::Short),
    ("bn", 1e9, Named::Short),
    ("m", 1e6, Named::Short),
    ("k", 1e3, Named::Short),
];
/// Bytes beside a number in which its currency stands.
const NEAR_BYTES: usize = 20;

/// How a multiple is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// In full, as sums are.
    Whole,
    /// By a sign or word that other things have too.
    Short,
}

/// The large sums of a text, as written without their currency.
pub(super) fn large(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let from = at + text[at..].bytes().position(|b| b.is_ascii_digit())?;
            let end = from + number_len(&text[from..]);
            let scale = scale(&text[end..]);
            let until = end + scale.map_or(0, |scale| scale.len);
            at = end;
            let times = scale.map_or(1.0, |scale| scale.times);
            if value(&text[from..end], scale.is_some()).is_some_and(|value| value * times >= SUM_MIN)
                && (scale.is_some_and(|scale| scale.named == Named::Whole)
                    || is_money(&text[..from], Side::Before)
                    || is_money(&text[until..], Side::Behind))
            {
                return Some(&text[from..until]);
            }
        }
    })
}

/// How long a number is, its groups included: marks stand between any digits, blanks before groups of three alone.
fn number_len(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let head = digits(text);
    let mut end = head;
    loop {
        let Some(mark) = text[end..].chars().next() else { return end };
        let behind = end + mark.len_utf8();
        let len = digits(&text[behind..]);
        let goes_on = match mark {
            ',' | '.' | '\'' | '’' => len > 0,
            ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' => len == 3 && head <= 3,
            _ => false,
        };
        if !goes_on {
            return end;
        }
        end = behind + len;
    }
}

/// What a number says: groups of three behind the first mark, or decimals behind the last. `None` for versions and dates.
fn value(number: &str, is_scaled: bool) -> Option<f64> {
    let mut pieces: Vec<&str> = number.split(|c: char| !c.is_ascii_digit()).collect();
    let is_group = |piece: &&str| piece.len() == 3;
    let has_decimals = match pieces.as_slice() {
        [] | [_] => false,
        // 1.250 million: with a word behind it the mark is a decimal one.
        [_, last] => last.len() != 3 || is_scaled,
        [.., last] => last.len() != 3,
    };
    let decimals = if has_decimals { pieces.pop().unwrap_or_default() } else { "" };
    let (head, groups) = pieces.split_first()?;
    if !groups.is_empty() && (head.len() > 3 || !groups.iter().all(is_group)) {
        return None;
    }
    format!("{}.{decimals}0", pieces.concat()).parse().ok()
}

/// A multiple behind a number.
#[derive(Debug, Clone, Copy)]
struct Scale {
    times: f64,
    named: Named,
    /// Bytes from the number's end.
    len: usize,
}

fn scale(behind: &str) -> Option<Scale> {
    let word = behind.trim_start_matches([' ', '\u{a0}', '-']);
    let blanks = behind.len() - word.len();
    let word = &word
        [..word.find(|c: char| !c.is_alphabetic()).unwrap_or(word.len()).min(word.floor_char_boundary(NEAR_BYTES))];
    let lower = word.to_lowercase();
    let (_, times, named) = SCALES.iter().find(|(name, ..)| lower == *name)?;
    (blanks <= 2).then_some(Scale { times: *times, named: *named, len: blanks + word.len() })
}

/// Where a currency stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Behind,
}

/// Whether what stands before a number ends with a currency, or what stands behind it begins with one.
fn is_money(beside: &str, side: Side) -> bool {
    let near = match side {
        Side::Before => &beside[beside.ceil_char_boundary(beside.len().saturating_sub(NEAR_BYTES))..],
        Side::Behind => &beside[..beside.floor_char_boundary(NEAR_BYTES)],
    };
    let near = near.to_lowercase();
    let is_apart = |c: char| c.is_whitespace() || "().*:-".contains(c);
    let near = near.trim_matches(is_apart);
    let near = near.strip_prefix("us ").unwrap_or(near);
    CURRENCIES.iter().any(|currency| match side {
        Side::Before => near.ends_with(currency),
        Side::Behind => near.starts_with(currency),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_sums_as_people_write_them() {
        let cases: [(&str, &[&str]); 34] = [
            ("$10,500,000", &["10,500,000"]),
            ("$10500000", &["10500000"]),
            ("10 500 000 €", &["10 500 000"]),
            ("EUR 10\u{a0}500\u{a0}000,00", &["10\u{a0}500\u{a0}000,00"]),
            ("10.5 million", &["10.5 million"]),
            ("USD 10.5m", &["10.5m"]),
            ("USD10.5M today", &["10.5M"]),
            ("10,5 Mio €", &["10,5 Mio"]),
            ("10,5 Mio. Euro", &["10,5 Mio"]),
            ("18 million US dollars", &["18 million"]),
            ("$4.2 Million", &["4.2 Million"]),
            ("£1.250 million", &["1.250 million"]),
            ("€ 3 Millionen", &["3 Millionen"]),
            ("2 млн евро", &["2 млн"]),
            ("$2bn", &["2bn"]),
            ("850k EUR", &["850k"]),
            ("USD 1.000.000,00 now", &["1.000.000,00"]),
            ("250,000 euros and 350,000 apples", &["250,000"]),
            ("1,000,000.00 united states dollars", &["1,000,000.00"]),
            ("1'000'000 £", &["1'000'000"]),
            ("in 2025 500 000 USD", &["500 000"]),
            ("(US$ 2,700,000)", &["2,700,000"]),
            ("$1,000", &[]),
            ("$99 999", &[]),
            ("2,500 euros", &[]),
            ("12,34 $ 1999", &[]),
            ("version 1.000.1", &[]),
            ("10,500,000 stamps", &[]),
            ("10 500 000 people", &[]),
            ("a disk of 10.5m and 5m", &[]),
            ("$5 mile walk", &[]),
            ("call 555 123 456", &[]),
            ("€ 12.03.2026", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(large(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn endless_numbers_are_read_once() {
        let text = "1".repeat(16_000) + " " + &"1,".repeat(8_000) + &"9 ".repeat(8_000);
        assert_eq!(large(&text).count(), 0);
    }
}
