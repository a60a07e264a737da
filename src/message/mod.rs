//! A message read once for judgement: header fields decoded, text as a person sees it, links, attachments, structure.
//!
//! Everything that looks at what a message says (rules, model, behaviour, alignment) looks at a [`Message`] and never
//! at the bytes. It is bounded before it is parsed (invariant 6) and never decides anything. Nothing here reads a
//! socket, a file or a clock. Start with [`Message`], then [`shape`] for what was cut off by a bound.

mod addresses;
pub mod attachment;
mod charset;
mod date;
mod ending;
mod fields;
mod gzip;
pub mod html;
pub mod link;
mod links;
mod listing;
pub mod mailbox;
mod mime;
mod packed;
mod page;
mod parse;
mod prescan;
pub mod shape;
mod sniff;
mod tally;
mod target;
mod text;
mod transfer;
mod transport;
mod uu;
mod words;
mod written;
mod zip;

pub use attachment::{Attachment, Content};
pub use ending::{ending, packed_ending};
pub use fields::MAILBOXES_MAX;
pub use html::Html;
pub use link::{Link, LinkKind};
pub use listing::ENDINGS_MAX;
pub use mailbox::{Mailbox, Reading};
pub use page::Page;
pub use shape::{Bound, Bounds, Shape, Unkept};
#[cfg(test)]
pub(crate) use zip::tests::archive as zip_of;

/// One message, read. All of it is valid UTF-8, bounded by [`Bounds`], and mail-borne: escape it where it is shown.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The fields of the top header in order, the prefix that outguard writes not among them.
    pub header: Vec<HeaderField>,
    /// The addresses of all From fields in order (RFC 5322 3.6.2 allows one field; more are kept and counted in
    /// [`Message::count`]).
    pub from: Vec<Mailbox>,
    /// Whether those are all of them.
    pub from_reading: Reading,
    /// Sender.
    pub sender: Option<Mailbox>,
    /// Reply-To.
    pub reply_to: Vec<Mailbox>,
    /// To, in order, groups opened.
    pub to: Vec<Mailbox>,
    /// Cc, in order, groups opened.
    pub cc: Vec<Mailbox>,
    /// Subject, encoded words decoded, white space made single; empty if there is none.
    pub subject: String,
    /// Date.
    pub date: DateField,
    /// What a reader shows of the body: the HTML's visible text where there is HTML, else the plain text. Parts of the
    /// body follow each other; quoted text and signatures are in it.
    pub text: String,
    /// The text/plain parts; equal to `text` where there is no HTML.
    pub plain: String,
    /// What the HTML parts hold, if there are any.
    pub html: Option<Html>,
    /// Links of HTML and text in order, each target once for each visible text.
    pub links: Vec<Link>,
    /// What is not the body's text.
    pub attachments: Vec<Attachment>,
    /// Parts, depth, sizes, and which bounds were met.
    pub shape: Shape,
}

/// One field of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// Its name as written.
    pub name: String,
    /// Its value: unfolded, encoded words decoded (RFC 2047), control characters made spaces, bounded.
    pub value: String,
}

/// The Date field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateField {
    /// There is none.
    #[default]
    Missing,
    /// It is not a date of RFC 5322 3.3, or stands there twice.
    Broken,
    /// Seconds since 1970 in UTC, and the zone it was written in, in minutes east of it.
    At {
        /// Seconds since 1970.
        unix_s: i64,
        /// Minutes east of UTC.
        zone_min: i32,
    },
}

impl Message {
    /// The value of the first field of that name; names have no case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.header.iter().find(|f| f.name.eq_ignore_ascii_case(name)).map(|f| f.value.as_str())
    }

    /// How often a field stands in the header.
    pub fn count(&self, name: &str) -> usize {
        self.header.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).count()
    }
}
