//! Marks that mail programs leave, where they cannot be theirs: who forges a header copies what a program writes, and not how.

use crate::message::DateField;

use super::look::{Look, Sight, example, seen};
use super::outlook::is_hex;
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "message-id-of-other-time", look: message_id_of_other_time },
    Rule { name: "message-id-misshapen", look: message_id_misshapen },
    Rule { name: "message-id-borrowed", look: message_id_borrowed },
    Rule { name: "date-zone-impossible", look: date_zone_impossible },
    Rule { name: "html-alone-by-outlook", look: html_alone_by_outlook },
    Rule { name: "mailer-is-random", look: mailer_is_random },
    Rule { name: "template-not-filled-in", look: template_not_filled_in },
];

/// Outlook makes a Message-ID while it sends, old ones while it was written: offline that may be a weekend before Date.
const SAME_TIME_S: i64 = 2 * 86_400;
/// One step of the higher half of a Windows time (100 ns since 1601), in 100 ns.
const STEP: i128 = 1 << 32;
/// The day in a Message-ID is the sender's own, and counted loosely.
const CLOCK_APART_S: i64 = 5 * 86_400;
/// So long a word in X-Mailer is no name.
const RANDOM_BYTES_MIN: usize = 14;
const THE_BAT: &str = "the bat";
/// From 1601 to 1970.
const WINDOWS_EPOCH_S: i64 = 11_644_473_600;

/// What names a program of Microsoft's in X-Mailer or User-Agent.
const MICROSOFT: [&str; 4] = ["microsoft", "outlook", "windows", "exchange"];
/// What names one of Mozilla's.
const MOZILLA: [&str; 3] = ["mozilla", "thunderbird", "netscape"];

/// Seconds since 1970 of the higher half of a Windows time.
fn windows_s(half: i64) -> i64 {
    let seconds = i128::from(half) * STEP / 10_000_000;
    i64::try_from(seconds).unwrap_or(i64::MAX / 2) - WINDOWS_EPOCH_S
}

/// Programs that forge the form put random digits where the time belongs.
fn message_id_of_other_time(look: &Look<'_>) -> Sight {
    let DateField::At { unix_s, .. } = look.message.date else { return None };
    let id = look.field("Message-ID")?;
    let apart = match (&look.outlook_id, clock(id)) {
        (Some(outlook), _) => {
            let from_s = windows_s(outlook.time);
            let to_s = from_s + windows_s(1) + WINDOWS_EPOCH_S;
            unix_s < from_s - SAME_TIME_S || unix_s > to_s + SAME_TIME_S
        }
        (None, Some(clock)) if clock.is_eudora || mailer_names(look, &[THE_BAT]) => {
            clock.unix_s.is_none_or(|there| (there - unix_s).abs() > CLOCK_APART_S)
        }
        _ => mozilla_s(id).is_some_and(|there| (there - unix_s).abs() > CLOCK_APART_S && mailer_names(look, &MOZILLA)),
    };
    if apart { example(id) } else { None }
}

/// The time in a Message-ID of The Bat! (`<digits.yyyymmddhhmmss@`) or Eudora (`<1.2.3.4.yyyymmddhhmmss.8 hex digits@`).
struct Clock {
    is_eudora: bool,
    /// Its day's midnight, where its digits are a day.
    unix_s: Option<i64>,
}

fn clock(id: &str) -> Option<Clock> {
    let (left, _) = id.trim().strip_prefix('<')?.split_once('@')?;
    let pieces: Vec<&str> = left.split('.').take(9).collect();
    let (is_eudora, digits, before) = match pieces.as_slice() {
        [first, digits] => (false, digits, std::slice::from_ref(first)),
        [before @ .., digits, last] if (3..=6).contains(&before.len()) && is_hex(last, 8) => (true, digits, before),
        _ => return None,
    };
    let is_number = |piece: &&str| !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_digit());
    if !before.iter().all(is_number) || !is_number(digits) || digits.len() != 14 {
        return None;
    }
    let number = |from: usize, to: usize| digits[from..to].parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let is_day = (1990..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // Days of months are taken for 30.44: two days are allowed beside.
    let days = (year - 1970) * 1461 / 4 + (month - 1) * 3044 / 100 + day;
    Some(Clock { is_eudora, unix_s: is_day.then_some(days * 86_400) })
}

/// Mozilla's programs wrote `<` 8 hex digits of the seconds since 1970, `.`, some more, `@`.
fn mozilla_s(id: &str) -> Option<i64> {
    let (left, _) = id.trim().strip_prefix('<')?.split_once('@')?;
    let (time, rest) = left.split_once('.')?;
    let is_upper_hex = |piece: &str| piece.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    let formed = time.len() == 8 && (5..=8).contains(&rest.len()) && is_upper_hex(time) && is_upper_hex(rest);
    formed.then(|| i64::from_str_radix(time, 16).ok()).flatten()
}

/// Outlook's form without its counter, and The Bat! with a form that is not its own.
fn message_id_misshapen(look: &Look<'_>) -> Sight {
    let id = look.field("Message-ID")?;
    let (left, _) = id.trim().strip_prefix('<')?.split_once('@')?;
    let pieces: Vec<&str> = left.split('$').take(4).collect();
    let no_counter = pieces.len() == 3 && pieces.iter().all(|piece| is_hex(piece, 8));
    let no_bat = mailer_names(look, &[THE_BAT]) && clock(id).is_none_or(|clock| clock.is_eudora);
    if no_counter || no_bat { example(id) } else { None }
}

/// One long word of letters and digits that change within it, and nothing in it that could be spoken, names no program.
fn mailer_is_random(look: &Look<'_>) -> Sight {
    let name = look.field("X-Mailer")?.trim();
    let random = name.len() >= RANDOM_BYTES_MIN
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
        && name.bytes().any(|b| b.is_ascii_digit())
        && name.bytes().any(|b| b.is_ascii_lowercase())
        && kind_changes(name) * 5 >= name.len() * 2;
    if random { example(name) } else { None }
}

/// How often digits, capitals and small letters follow on one another, but for a capital that begins a word.
fn kind_changes(name: &str) -> usize {
    let kind = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
    let is_start = |pair: &[u8]| pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase();
    name.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1]) && !is_start(pair)).count()
}

/// A place in the header that a program for mass mail was to fill in.
fn template_not_filled_in(look: &Look<'_>) -> Sight {
    let is_open = |value: &&str| {
        let named = memchr::memmem::find_iter(value.as_bytes(), b"%").any(|at| {
            let name = value.as_bytes()[at + 1..].iter().take_while(|b| b.is_ascii_uppercase() || **b == b'_').count();
            // Behind a number it is a discount, between two signs a variable of Windows.
            let is_variable = value.as_bytes().get(at + 1 + name) == Some(&b'%');
            name >= 4 && !is_variable && !value.as_bytes()[..at].last().is_some_and(u8::is_ascii_digit)
        });
        named || braced(value).any(|name| look.lists.of("template-fields").within(&name.to_lowercase()).is_some())
    };
    if look.is_reply() {
        return None;
    }
    let fields = ["Message-ID", "X-Mailer", "From", "Subject"].into_iter().filter_map(|name| look.field(name));
    fields.into_iter().find(is_open).and_then(example)
}

/// What stands between double braces.
fn braced(value: &str) -> impl Iterator<Item = &str> {
    value.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0))
}

fn message_id_borrowed(look: &Look<'_>) -> Sight {
    let id = look.field("Message-ID")?;
    look.outlook_id.as_ref()?;
    if mailer_names(look, &MICROSOFT) { None } else { example(id) }
}

/// Whether X-Mailer or User-Agent has one of these names, in small letters.
pub(super) fn mailer_names(look: &Look<'_>, names: &[&str]) -> bool {
    look.mailers.iter().any(|value| {
        names.iter().any(|name| {
            // A whole name: the Batch Mailer is not The Bat!.
            value.match_indices(name).any(|(at, _)| !value[at + name.len()..].starts_with(char::is_alphabetic))
        })
    })
}

/// All zones of this world are whole hours, half ones or quarters from UTC (RFC 5322 3.3: hours and minutes), at most 14 of
/// them.
fn date_zone_impossible(look: &Look<'_>) -> Sight {
    let field = look.field("Date")?;
    let zone = field.split_ascii_whitespace().find_map(|word| word.strip_prefix(['+', '-']))?;
    if zone.len() != 4 || !zone.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = zone.split_at(2);
    let possible = matches!(minutes, "00" | "15" | "30" | "45") && hours <= "14";
    if possible { None } else { example(field) }
}

/// Outlook writes a plain part beside all HTML.
fn html_alone_by_outlook(look: &Look<'_>) -> Sight {
    let alone =
        look.message.html.is_some() && look.message.plain.trim().is_empty() && look.message.attachments.is_empty();
    seen(alone && mailer_names(look, &["microsoft outlook", "outlook express"]))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{AT_S, Mail, check, hit, mail, miss};
    use super::*;

    const OUTLOOK: &str = "Microsoft Outlook 16.0";

    /// A Message-ID of Outlook's form, made so many seconds from when samples are sent.
    fn made_at(seconds: i64, mailer: &str) -> Mail {
        let time = i128::from(AT_S + seconds + WINDOWS_EPOCH_S) * 10_000_000 / STEP;
        mail().field("Message-ID", &format!("<00a7{time:08x}$3c4d5e60$0a00a8c0@pc>")).field("X-Mailer", mailer)
    }

    fn id(id: &str) -> Mail {
        mail().field("Message-ID", id)
    }

    fn bat(written: &str) -> Mail {
        id(written).field("X-Mailer", "The Bat! (v2.10.03) Educational")
    }

    /// A Message-ID of Mozilla's form, made so many seconds from when samples are sent.
    fn mozilla_at(seconds: i64, agent: &str) -> Mail {
        id(&format!("<{:08X}.9010001@example.org>", AT_S + seconds)).field("User-Agent", agent)
    }

    fn date(written: &str) -> Mail {
        mail().field("Date", written)
    }

    fn html(mailer: &str) -> Mail {
        let mut mail = mail().html(|_| {}).field("X-Mailer", mailer);
        mail.message.plain.clear();
        mail
    }

    #[test]
    fn hits_and_near_misses() {
        check(
            RULES,
            vec![
                hit("message-id-of-other-time", "days off", made_at(-3 * 86_400, OUTLOOK)),
                hit(
                    "message-id-of-other-time",
                    "digits at random",
                    mail().field("Message-ID", "<94d201a2e3f1$7b1c2d3e$5f6a7b8c@x>").field("X-Mailer", OUTLOOK),
                ),
                miss("message-id-of-other-time", "made while it was sent", made_at(-2, OUTLOOK)),
                miss("message-id-of-other-time", "a slow machine", made_at(-1_800, OUTLOOK)),
                miss("message-id-of-other-time", "written on a plane", made_at(-12 * 3_600, OUTLOOK)),
                miss("message-id-of-other-time", "no date", made_at(-9 * 86_400, OUTLOOK).date(DateField::Broken)),
                miss(
                    "message-id-of-other-time",
                    "another form",
                    mail().field("Message-ID", "<94d201a2e3f1.7b1c2d3e@example.org>"),
                ),
                hit("message-id-of-other-time", "The Bat!, no day", bat("<9979487981.98566113460443@x.example>")),
                hit("message-id-of-other-time", "another day", bat("<9979487981.20070429121554@x.example>")),
                miss("message-id-of-other-time", "The Bat! itself", bat("<1979487981.20261121130000@x.example>")),
                miss("message-id-of-other-time", "a script's number", id("<9979487981.98566113460443@x.example>")),
                hit("message-id-of-other-time", "Eudora", id("<6.0.2.9.8.90988360602415.802a9761@x.example>")),
                miss("message-id-of-other-time", "Eudora itself", id("<6.2.1.2.0.20261121130000.01b8dd20@x.example>")),
                hit(
                    "message-id-of-other-time",
                    "Mozilla",
                    mozilla_at(-40 * 86_400, "Mozilla Thunderbird 1.5 (Windows)"),
                ),
                miss(
                    "message-id-of-other-time",
                    "Mozilla itself",
                    mozilla_at(-60, "Mozilla Thunderbird 1.5 (Windows)"),
                ),
                miss("message-id-of-other-time", "a program of another house", mozilla_at(-40 * 86_400, "mutt/2.2")),
                hit("message-id-misshapen", "Outlook without a counter", id("<01c7919c$c255d840$6c822ecf@x>")),
                hit("message-id-misshapen", "The Bat! with another form", bat("<20261121.4711@x.example>")),
                miss(
                    "message-id-misshapen",
                    "another program",
                    id("<20261121.4711@x.example>").field("X-Mailer", "The Batch Mailer 2.1"),
                ),
                miss("message-id-misshapen", "The Bat!", bat("<1979487981.20261121130000@x.example>")),
                miss("message-id-misshapen", "Outlook", made_at(0, OUTLOOK)),
                hit("mailer-is-random", "no name", mail().field("X-Mailer", "xLihQRz3QwM5E2FMVKYP7z")),
                miss("mailer-is-random", "a name and a version", mail().field("X-Mailer", "PHPMailer 6.8.0 (x64)")),
                miss("mailer-is-random", "a name in one word", mail().field("X-Mailer", "MyCompanyMailer2")),
                miss("mailer-is-random", "several", mail().field("X-Mailer", "eShopOrderSystemV2B2C")),
                miss("mailer-is-random", "a short one", mail().field("X-Mailer", "mutt2")),
                hit("template-not-filled-in", "the program's own", mail().field("X-Mailer", "%XMAILER")),
                hit("template-not-filled-in", "a name", mail().subject("Hello {{first_name}}")),
                miss("template-not-filled-in", "a folder", mail().subject("Cannot open %APPDATA% on PC12")),
                miss("template-not-filled-in", "a test", mail().subject("{{FooTest}} fails, and {% %} too")),
                miss(
                    "template-not-filled-in",
                    "an answer",
                    mail().subject("Re: Hello {{first_name}}").field("In-Reply-To", "<1@example.net>"),
                ),
                miss("template-not-filled-in", "a discount", mail().subject("Jetzt 50%RABATT")),
                miss("template-not-filled-in", "percent", mail().subject("CPU at 100% SINCE NOON")),
                hit("message-id-borrowed", "a script", made_at(0, "PHPMailer 6.8")),
                miss("message-id-borrowed", "Outlook", made_at(0, OUTLOOK)),
                miss("message-id-borrowed", "a script's own", mail().field("X-Mailer", "PHPMailer 6.8")),
                hit("date-zone-impossible", "minutes", date("Sat, 21 Nov 2026 13:00:00 +0117")),
                hit("date-zone-impossible", "hours", date("Sat, 21 Nov 2026 13:00:00 -1700")),
                miss("date-zone-impossible", "Nepal", date("Sat, 21 Nov 2026 13:00:00 +0545 (NPT)")),
                miss("date-zone-impossible", "Kiribati", date("Sat, 21 Nov 2026 13:00:00 +1400")),
                miss("date-zone-impossible", "a name", date("Sat, 21 Nov 2026 13:00:00 GMT")),
                hit("html-alone-by-outlook", "no plain part", html("Microsoft Outlook Express 6.00.2800.1158")),
                miss(
                    "html-alone-by-outlook",
                    "a program that sends HTML alone",
                    html("Microsoft CDO for Windows 2000"),
                ),
                miss("html-alone-by-outlook", "both parts", mail().html(|_| {}).field("X-Mailer", OUTLOOK)),
            ],
        );
    }
}
