//! Values as people write them: durations, sizes, networks, addresses, words.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use super::item::{Fault, Item, Setting, nearest};
use crate::mail::ListZone;

/// Says what was found in place of what is expected.
pub fn expected<T: Setting>(item: &Item<'_>) -> Fault {
    let found = match item.value() {
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
        DeValue::Boolean(_) => "true or false",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Datetime(_) => "a date",
        DeValue::String(_) => "a text",
    };
    Fault::says(format!("{found} cannot stand here; write {}", T::EXPECTED))
}

/// The text of an item, or what is expected in its place.
///
/// # Errors
/// The item is no text.
pub fn text_of<'r, T: Setting>(item: &Item<'r>) -> Result<&'r str, Fault> {
    item.text().ok_or_else(|| expected::<T>(item))
}

/// Reads a text with the type's own parser, whose sentence is told with an example of what to write.
///
/// # Errors
/// The item is no text, or not one of these.
pub fn parsed<T: Setting + FromStr>(item: &Item<'_>) -> Result<T, Fault>
where
    T::Err: std::fmt::Display,
{
    let text = text_of::<T>(item)?;
    text.parse().map_err(|e: T::Err| Fault::says(format!("{e}; write {}", T::EXPECTED)))
}

/// A text as TOML.
pub fn quoted(text: &str) -> String {
    let mut toml = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => toml.extend(['\\', c]),
            c if c.is_control() => toml.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => toml.push(c),
        }
    }
    toml.push('"');
    toml
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        item.value().as_bool().ok_or_else(|| expected::<Self>(item))
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text in quotes";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        if text.chars().any(char::is_control) {
            return Err(Fault::says("a control character cannot stand here; write one line of text"));
        }
        Ok(text.to_owned())
    }

    fn written(&self) -> String {
        quoted(self)
    }
}

impl Setting for ListZone {
    const EXPECTED: &'static str = "a zone such as \"zen.spamhaus.org\"";
    const SECRET: bool = true;

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        parsed(item)
    }

    /// Without its key: what is shown cannot be used in its place.
    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "a path such as \"/var/lib/outguard\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        match text_of::<Self>(item)? {
            "" => Err(Fault::says(format!("empty; write {}", Self::EXPECTED))),
            text if text.contains('\0') => Err(Fault::says("a path has no NUL byte")),
            // The daemon's working folder is not the operator's.
            text if !text.starts_with('/') => {
                Err(Fault::says(format!("a path begins with /; write {}", Self::EXPECTED)))
            }
            text => Ok(text.into()),
        }
    }

    fn written(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            const EXPECTED: &'static str = "a whole number such as 20";

            fn read(item: &Item<'_>) -> Result<Self, Fault> {
                let number = item.value().as_integer().ok_or_else(|| expected::<Self>(item))?;
                <$type>::from_str_radix(number.as_str(), number.radix()).map_err(|_| {
                    Fault::says(format!("out of range; write a whole number from {} to {}", <$type>::MIN, <$type>::MAX))
                })
            }

            fn written(&self) -> String {
                self.to_string()
            }
        }
    )* };
}
whole_number!(u8, u16, u32, u64, usize, i32);

impl Setting for f64 {
    const EXPECTED: &'static str = "a number such as 0.5";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = match item.value() {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) => integer.as_str().to_owned(),
            _ => return Err(expected::<Self>(item)),
        };
        let number = text.parse().map_err(|_| expected::<Self>(item))?;
        if f64::is_finite(number) { Ok(number) } else { Err(Fault::says("not finite; write a number such as 0.5")) }
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration such as \"30s\", \"5m\" or \"1h 30m\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        if item.value().is_integer() || item.value().is_float() {
            return Err(Fault::says(format!("a number without a unit; write {}", Self::EXPECTED)));
        }
        let text = text_of::<Self>(item)?;
        humantime::parse_duration(text).map_err(|_| Fault::says(format!("not a duration; write {}", Self::EXPECTED)))
    }

    fn written(&self) -> String {
        let mut left = self.as_millis();
        let mut parts = Vec::new();
        for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
            if left >= unit {
                parts.push(format!("{}{name}", left / unit));
                left %= unit;
            }
        }
        quoted(if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }.as_str())
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Setting for Size {
    const EXPECTED: &'static str = "a size such as \"50 MiB\" or \"512 KiB\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        if item.value().is_integer() || item.value().is_float() {
            return Err(Fault::says(format!("a number without a unit; write {}", Self::EXPECTED)));
        }
        let text = text_of::<Self>(item)?;
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::says(format!("a number without a unit; write {}", Self::EXPECTED)));
        }
        let size = bytesize::ByteSize::from_str(text)
            .map_err(|_| Fault::says(format!("not a size; write {}", Self::EXPECTED)))?;
        Ok(Self(size.as_u64()))
    }

    fn written(&self) -> String {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let unit = units.into_iter().find(|(bits, _)| self.0 != 0 && self.0.trailing_zeros() >= *bits);
        unit.map_or_else(|| format!("\"{} B\"", self.0), |(bits, name)| format!("\"{} {name}\"", self.0 >> bits))
    }
}

/// Permissions of a file, in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Setting for Mode {
    const EXPECTED: &'static str = "permissions in octal, such as \"0660\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| Fault::says(format!("not permissions; write {}", Self::EXPECTED)))
    }

    fn written(&self) -> String {
        format!("\"{:04o}\"", self.0)
    }
}

impl Setting for IpNet {
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let net: Self = text.parse().map_err(|_| Fault::says(format!("not a network; write {}", Self::EXPECTED)))?;
        if net.trunc() == net {
            Ok(net)
        } else {
            Err(Fault::says(format!("has bits right of its mask; write \"{}\" or \"{}\"", net.trunc(), net.addr())))
        }
    }

    fn written(&self) -> String {
        let host = self.prefix_len() == self.max_prefix_len();
        quoted(&if host { self.addr().to_string() } else { self.to_string() })
    }
}

impl Setting for IpAddr {
    const EXPECTED: &'static str = "an address such as \"192.0.2.10\" or \"2001:db8::1\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        text.parse().map_err(|_| Fault::says(format!("not an IP address; write {}", Self::EXPECTED)))
    }

    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str = "an address with a port such as \"127.0.0.1:10025\" or \"[::1]:10025\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let text = text_of::<Self>(item)?;
        let why = if text.parse::<IpAddr>().is_ok() { "has no port" } else { "not an address with a port" };
        text.parse().map_err(|_| Fault::says(format!("{why}; write {}", Self::EXPECTED)))
    }

    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

/// A list of at most 10,000 of them; each element that is wrong is told at its own place.
impl<T: Setting> Setting for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        const ELEMENTS_MAX: usize = 10_000;
        let Some(elements) = item.elements() else {
            return Err(Fault::says(format!("not a list; write [ … ] with {} inside", T::EXPECTED)));
        };
        if elements.len() > ELEMENTS_MAX {
            return Err(Fault::says(format!("longer than {ELEMENTS_MAX} elements")));
        }
        let read: Vec<Option<T>> = elements.iter().map(Item::parse).collect();
        read.into_iter().collect::<Option<_>>().ok_or(Fault::Told)
    }

    fn written(&self) -> String {
        let elements: Vec<String> = self.iter().map(T::written).collect();
        format!("[{}]", elements.join(", "))
    }
}

/// Makes an enum a setting that is written as one of some words.
///
/// ```text
/// words!(Count, "\"recipients\" or \"messages\"", { "recipients" => Count::Recipients, "messages" => Count::Messages });
/// ```
macro_rules! words {
    ($type:ty, $expected:literal, { $($word:literal => $value:path),+ $(,)? }) => {
        impl $crate::config::Setting for $type {
            const EXPECTED: &'static str = $expected;

            fn read(item: &$crate::config::Item<'_>) -> Result<Self, $crate::config::Fault> {
                let text = $crate::config::values::text_of::<Self>(item)?;
                match text {
                    $($word => Ok($value),)+
                    other => Err($crate::config::values::unknown_word(other, &[$($word),+])),
                }
            }

            fn written(&self) -> String {
                match self {
                    $($value => concat!('"', $word, '"').to_owned(),)+
                }
            }
        }
    };
}
pub(crate) use words;

/// Says that a word is none of those known, and which of them is near.
pub fn unknown_word(word: &str, known: &[&str]) -> Fault {
    match nearest(word, known) {
        Some(near) => Fault::says(format!("unknown word; did you mean \"{near}\"?")),
        None => Fault::says(format!("unknown word; write \"{}\"", known.join("\" or \""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_people_write_them() {
        let durations = [(0, "0s"), (1_500, "1s 500ms"), (5_400_000, "1h 30m"), (2_678_400_000, "31d")];
        for (ms, expected) in durations {
            let written = Duration::from_millis(ms).written();
            assert_eq!(written, format!("\"{expected}\""));
            assert_eq!(humantime::parse_duration(expected), Ok(Duration::from_millis(ms)), "{expected}");
        }
        let sizes = [(0, "0 B"), (1000, "1000 B"), (1 << 20, "1 MiB"), (1536, "1536 B"), (50 << 20, "50 MiB")];
        for (bytes, expected) in sizes {
            assert_eq!(Size(bytes).written(), format!("\"{expected}\""));
            assert_eq!(expected.parse::<bytesize::ByteSize>().map(|s| s.as_u64()), Ok(bytes), "{expected}");
        }
    }
}
