//! Message-IDs of Outlook's form: what stands in them says when, as which message and on which machine they were made.
//!
//! Outlook, Outlook Express and what came with Windows write `<` 4 hex digits of a counter, 8 and 8 of the time (100 ns
//! since 1601), `$` before each but the counter, 8 of the machine's IPv4 address from its last byte to its first, `@` and the
//! machine's name. Programs that forge the form put any digits there.

use std::net::Ipv4Addr;

use super::look::{Look, Sight, example};
use super::registry::Rule;

/// The rules of this file; their family is that of `forged`.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "message-id-of-no-host", look: |look| find(look, |id| id.address.octets()[0] >= FIRST_OF_NO_HOST) },
    Rule { name: "message-id-of-public-host", look: |look| find_of_people(look, |id| is_public(id.address)) },
    Rule { name: "message-id-host-at-random", look: |look| find(look, |id| is_unspeakable(id.host)) },
    Rule { name: "message-id-counted-far", look: |look| find_of_people(look, |id| id.counter >= COUNTED_FAR) },
    Rule { name: "message-id-not-outlooks", look: not_outlooks },
];

/// Addresses from here on are for groups or reserved (RFC 5771, RFC 1112 4).
const FIRST_OF_NO_HOST: u8 = 224;
/// The counter begins anew whenever the program starts.
const COUNTED_FAR: u16 = 0x1000;
/// So many consonants in a row are in no name.
const CONSONANTS_MAX: usize = 4;

/// A Message-ID of Outlook's form, read.
pub(super) struct OutlookId<'a> {
    /// Which one it is since the program started.
    counter: u16,
    /// The higher half of the time, in steps of 2^32 times 100 ns since 1601.
    pub(super) time: i64,
    /// Of the machine.
    address: Ipv4Addr,
    /// Its name.
    host: &'a str,
}

impl<'a> OutlookId<'a> {
    /// Reads one; nothing where it has another form.
    pub(super) fn read(id: &'a str) -> Option<Self> {
        let (left, host) = id.trim().strip_prefix('<')?.split_once('@')?;
        let mut pieces = left.split('$');
        let (first, second, third) = (pieces.next()?, pieces.next()?, pieces.next()?);
        if pieces.next().is_some() || !is_hex(first, 12) || !is_hex(second, 8) || !is_hex(third, 8) {
            return None;
        }
        let address = u32::from_str_radix(third, 16).ok()?;
        Some(Self {
            counter: u16::from_str_radix(&first[..4], 16).ok()?,
            time: i64::from_str_radix(&first[4..], 16).ok()?,
            address: Ipv4Addr::from(address.swap_bytes()),
            host: host.trim_end_matches('>'),
        })
    }
}

/// Whether a piece is so many hexadecimal digits.
pub(super) fn is_hex(piece: &str, digits: usize) -> bool {
    piece.len() == digits && piece.bytes().all(|b| b.is_ascii_hexdigit())
}

fn find(look: &Look<'_>, odd: impl Fn(&OutlookId<'_>) -> bool) -> Sight {
    if odd(look.outlook_id.as_ref()?) { example(look.field("Message-ID")?) } else { None }
}

/// Programs on a server of Windows write the same form by its own library, and run for long.
fn find_of_people(look: &Look<'_>, odd: impl Fn(&OutlookId<'_>) -> bool) -> Sight {
    find(look, odd).filter(|_| !super::forged::mailer_names(look, &["microsoft cdo"]))
}

/// Machines on which people write mail stand behind a router.
fn is_public(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    let at_home = address.is_private() || address.is_loopback() || address.is_link_local() || first == 0;
    !at_home && first < FIRST_OF_NO_HOST
}

fn is_unspeakable(host: &str) -> bool {
    let is_consonant = |b: u8| b.is_ascii_alphabetic() && !b"aeiouy".contains(&b);
    // Sounds that German writes with two letters and three.
    let host = host.to_ascii_lowercase().replace("sch", "s").replace("ch", "c");
    host.as_bytes().split(|b| !is_consonant(*b)).any(|row| row.len() > CONSONANTS_MAX)
}

/// It calls itself a build of Outlook of the time when Outlook wrote its Message-IDs in that form, and wrote another.
fn not_outlooks(look: &Look<'_>) -> Sight {
    let id = look.field("Message-ID")?;
    let is_build = super::forged::mailer_names(look, &["microsoft outlook, build", "microsoft office outlook, build"]);
    if is_build && look.outlook_id.is_none() { example(id) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Mail, check, hit, mail, miss};
    use super::*;

    const EXPRESS: &str = "Microsoft Outlook Express 6.00.2900.2180";
    const BUILD: &str = "Microsoft Office Outlook, Build 11.0.5510";

    fn id(id: &str, mailer: &str) -> Mail {
        mail().field("Message-ID", id).field("X-Mailer", mailer)
    }

    fn of_host(address: &str, host: &str) -> Mail {
        id(&format!("<00a701c77d05$3c4d5e60${address}@{host}>"), EXPRESS)
    }

    #[test]
    fn hits_and_near_misses() {
        check(
            RULES,
            vec![
                hit("message-id-of-no-host", "224.224.96.117", of_host("7560e0e0", "pc")),
                hit("message-id-of-no-host", "255.0.0.1", of_host("010000ff", "pc")),
                miss("message-id-of-no-host", "192.168.0.1", of_host("0100a8c0", "pc")),
                miss("message-id-of-no-host", "223.1.2.3", of_host("030201df", "pc")),
                miss("message-id-of-no-host", "another form", id("<7560e0e0@pc>", EXPRESS)),
                hit("message-id-of-public-host", "89.213.133.175", of_host("af85d559", "pc")),
                miss("message-id-of-public-host", "192.168.0.1", of_host("0100a8c0", "pc")),
                miss("message-id-of-public-host", "not connected", of_host("00000000", "pc")),
                miss("message-id-of-public-host", "no host's is another rule's", of_host("7560e0e0", "pc")),
                hit("message-id-host-at-random", "letters at random", of_host("0100a8c0", "phnkbq")),
                miss("message-id-host-at-random", "a society", of_host("0100a8c0", "pc.wohnungsgesellschaft.de")),
                miss("message-id-host-at-random", "a name", of_host("0100a8c0", "medion")),
                miss("message-id-host-at-random", "an office's", of_host("0100a8c0", "ws-14.example.org")),
                miss(
                    "message-id-of-public-host",
                    "a server of Windows",
                    id("<bee301c77d05$3c4d5e60$af85d559@web01>", "Microsoft CDO for Windows 2000"),
                ),
                miss(
                    "message-id-counted-far",
                    "the same",
                    id("<bee301c77d05$3c4d5e60$af85d559@web01>", "Microsoft CDO for Windows 2000"),
                ),
                hit("message-id-counted-far", "48,867", id("<bee301c77d05$3c4d5e60$0100a8c0@pc>", EXPRESS)),
                miss("message-id-counted-far", "a long day", id("<03e801c77d05$3c4d5e60$0100a8c0@pc>", EXPRESS)),
                hit("message-id-not-outlooks", "another form", id("<0CB8F3E784898F0.4A9258ED04@example.org>", BUILD)),
                miss("message-id-not-outlooks", "its own", id("<00a701c77d05$3c4d5e60$0100a8c0@pc>", BUILD)),
                miss(
                    "message-id-not-outlooks",
                    "a newer Outlook",
                    id("<AS8PR04@example.com>", "Microsoft Outlook 16.0"),
                ),
                miss(
                    "message-id-not-outlooks",
                    "the server writes it",
                    mail().without("Message-ID").field("X-Mailer", BUILD),
                ),
            ],
        );
    }
}
