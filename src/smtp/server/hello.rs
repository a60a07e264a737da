//! Greeting, EHLO and HELO (RFC 5321 4.2, 4.1.1.1).

use std::io::Write as _;

use super::{AuthOffer, ClientRights, ServerSettings, TlsState, Trust};
use crate::smtp::reply::{Class, Reply, Text};

/// `220`: without an enhanced code, as the client does not know yet that we have them.
pub(super) fn greeting(own_name: &str) -> Reply {
    Reply::bare(Class::Done, 20, Text::made(&format!("{own_name} ESMTP outguard")))
}

/// `250` to HELO.
pub(super) fn helo(own_name: &str) -> Reply {
    Reply::bare(Class::Done, 50, Text::made(own_name))
}

/// `250` to EHLO, with a line for each extension that this client may use now.
pub(super) fn ehlo(settings: &ServerSettings, rights: ClientRights, tls: TlsState, out: &mut Vec<u8>) {
    let mut line = |last: bool, text: std::fmt::Arguments<'_>| {
        let dash = if last { ' ' } else { '-' };
        write!(out, "250{dash}{text}\r\n").expect("a Vec takes every write");
    };
    line(false, format_args!("{}", Text::made(&settings.own_name).as_str()));
    line(false, format_args!("PIPELINING"));
    line(false, format_args!("SIZE {}", settings.message_bytes_max));
    if tls == TlsState::Offered {
        line(false, format_args!("STARTTLS"));
    }
    if auth_offered(rights, tls) {
        line(false, format_args!("AUTH PLAIN LOGIN"));
    }
    if rights.trust == Trust::Trusted {
        line(false, format_args!("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME"));
        line(false, format_args!("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"));
    }
    line(false, format_args!("ENHANCEDSTATUSCODES"));
    line(false, format_args!("8BITMIME"));
    line(false, format_args!("DSN"));
    line(true, format_args!("SMTPUTF8"));
}

/// Whether AUTH may be used now.
pub(super) fn auth_offered(rights: ClientRights, tls: TlsState) -> bool {
    match rights.auth {
        AuthOffer::Off => false,
        AuthOffer::OverTls => tls == TlsState::Active,
        AuthOffer::Always => true,
    }
}
