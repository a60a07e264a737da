//! The header of a message: all fields as text, and those that have a meaning read for it.

use super::shape::Bounds;
use super::{DateField, HeaderField, Message, Reading, addresses, date, words};
use crate::mail::header::{self, Field};

/// How many mailboxes of one kind of field are kept.
pub const MAILBOXES_MAX: usize = 1_000;

/// Reads a header into `message`.
pub(super) fn read(header: &[u8], bounds: &Bounds, message: &mut Message) {
    let mut dates = 0;
    for field in header::fields(without_mailbox_line(header)).take(bounds.fields_max) {
        let name = String::from_utf8_lossy(&field.name[..field.name.len().min(bounds.field_bytes_max)]).into_owned();
        let value = words::decode(field.raw, bounds.field_bytes_max, &mut message.shape.broken_encodings);
        match name.len() {
            2 | 4 | 6 | 8 => mailboxes(&field, message),
            _ => {}
        }
        if field.is("Date") {
            dates += 1;
            message.date = if dates == 1 { date::read(&value) } else { DateField::Broken };
        } else if field.is("Subject") && message.subject.is_empty() {
            message.subject.clone_from(&value);
        }
        message.header.push(HeaderField { name, value });
    }
}

/// Reads a field of addresses, if it is one.
fn mailboxes(field: &Field<'_>, message: &mut Message) {
    let mut sender = Vec::new();
    let into = if field.is("From") {
        &mut message.from
    } else if field.is("To") {
        &mut message.to
    } else if field.is("Cc") {
        &mut message.cc
    } else if field.is("Reply-To") {
        &mut message.reply_to
    } else if field.is("Sender") && message.sender.is_none() {
        &mut sender
    } else {
        return;
    };
    // Encoded words of names are counted where the field's text is decoded.
    let reading = addresses::read(field.raw, MAILBOXES_MAX, into, &mut 0);
    if field.is("From") && reading == Reading::InPart {
        message.from_reading = reading;
    }
    message.sender = message.sender.take().or_else(|| sender.into_iter().next());
}

/// A message out of a mailbox file may bring the line that parts it from the one before.
pub(super) fn without_mailbox_line(header: &[u8]) -> &[u8] {
    if header.starts_with(b"From ") {
        let end = memchr::memchr(b'\n', header).map_or(header.len(), |lf| lf + 1);
        return &header[end..];
    }
    header
}
