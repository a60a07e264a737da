//! `[review]`: pages for a browser.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::reader::{TableReader, key};
use crate::intake::settings::AuthSettings;
use crate::review::ReviewSettings;

/// Ports over 1023 that browsers refuse to ask for a page (the "bad ports" of the Fetch standard).
const REFUSED_BY_BROWSERS: [u16; 19] = [
    1_719, 1_720, 1_723, 2_049, 3_659, 4_045, 4_190, 5_060, 5_061, 6_000, 6_566, 6_665, 6_666, 6_667, 6_668, 6_669,
    6_679, 6_697, 10_080,
];

/// Reads `[review]`.
pub(super) fn read(root: &mut TableReader<'_>) -> Option<ReviewSettings> {
    let doc = "Pages for a browser: what the daemon does, and what the doctor found. Off unless listen is written; on the \
               control socket they always are. A reload reads names and password_file anew; listen and connections need a restart.";
    let mut table = root.table("review", doc);
    let listen = table.optional::<SocketAddr>(
        key(
            "listen",
            "Where. A loopback address: the pages are not encrypted. Reach it by `ssh -L` or a proxy with TLS.",
        )
        .example("\"127.0.0.1:10081\""),
    );
    let password_file = table.optional::<PathBuf>(
        key(
            "password_file",
            "Who may look: lines of `user:$argon2id$…`, as `outguard password` makes them. Needed with listen.",
        )
        .example("\"/etc/outguard/review-passwords\""),
    );
    let names = table.or(
        key("names", "Names that a browser may ask for the pages by, besides localhost: that of a proxy.")
            .example("[\"mail.example.com\"]"),
        Vec::<String>::new(),
    );
    let connections_max =
        table.or_where(key("connections", "Connections at once."), ReviewSettings::CONNECTIONS_MAX, |count| {
            if (1..=1_000).contains(count) { Ok(()) } else { Err("from 1 to 1000".to_owned()) }
        });
    let listen = listen?;
    let reading = table.reading();
    if !listen.ip().is_loopback() {
        let sentence = "passwords would go over the network in the clear; write a loopback address such as \
                        \"127.0.0.1:10081\", and put a proxy with TLS before it or use ssh -L";
        reading.error(&table.place("listen"), sentence);
    }
    if REFUSED_BY_BROWSERS.contains(&listen.port()) {
        let sentence =
            "browsers open no page on this port, which belongs to another service; write another, such as 10081";
        reading.warning(&table.place("listen"), sentence);
    }
    let Some(password_file) = password_file else {
        let sentence =
            "every user of this machine could look; write password_file = \"/etc/outguard/review-passwords\"";
        reading.error(&table.place("listen"), sentence);
        return None;
    };
    let passwords = AuthSettings::with_file(password_file.clone());
    if let Err(sentence) = reading.surroundings().check_passwords(&passwords) {
        reading.error(&table.place("password_file"), sentence);
    }
    Some(ReviewSettings { listen, password_file, names, connections_max })
}
