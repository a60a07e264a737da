//! Structure and bounds of a message.

/// What a message may cost to read. Past a bound it is judged by what was read up to there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the message that are looked at.
    pub message_bytes_max: usize,
    /// How deep parts may nest.
    pub depth_max: usize,
    /// Parts in all. A hundred messages that somebody sends on as files are about four hundred.
    pub parts_max: usize,
    /// Fields of the message's own header.
    pub fields_max: usize,
    /// Bytes of one header field's value that are kept.
    pub field_bytes_max: usize,
    /// Bytes of text (visible, plain, hidden, each) that are kept.
    pub text_bytes_max: usize,
    /// Links that are kept.
    pub links_max: usize,
    /// Attachments: no fewer than parts, or a program may stand behind them.
    pub attachments_max: usize,
    /// Names of files inside one that are kept, beside [`ENDINGS_MAX`](super::ENDINGS_MAX) with an ending of their own.
    pub names_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            depth_max: 20,
            parts_max: 500,
            fields_max: 1_000,
            field_bytes_max: 4_096,
            text_bytes_max: 256 * 1024,
            links_max: 500,
            attachments_max: 500,
            names_max: 100,
        }
    }
}

/// A bound that a message met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bound {
    /// [`Bounds::message_bytes_max`].
    Bytes,
    /// [`Bounds::depth_max`].
    Depth,
    /// [`Bounds::parts_max`].
    Parts,
    /// [`Bounds::fields_max`].
    Fields,
    /// [`Bounds::text_bytes_max`].
    Text,
    /// [`Bounds::links_max`].
    Links,
    /// [`Bounds::attachments_max`], or an archive has more inside than is looked at.
    Attachments,
    /// The parser failed on it: judged by header and raw text.
    Unreadable,
}

/// What mail has to keep to cross any server, and a message did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unkept {
    /// Bytes over 127 in From, Reply-To, To or Subject (RFC 5322 2.2); allowed with SMTPUTF8 alone (RFC 6532).
    HeaderBytes,
    /// Bytes over 127 in a part that is 7bit, or says nothing (RFC 2045 2.7).
    BodyBytes,
    /// A line past 76 characters in base64 or quoted-printable (RFC 2045 6.7, 6.8).
    EncodedLine,
}

/// How a message is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// The message's size in bytes, all of it.
    pub message_bytes: u64,
    /// Parts, the message itself counted.
    pub parts: u32,
    /// The deepest nesting.
    pub depth: u32,
    /// Header fields of the message's own header.
    pub fields: u32,
    /// The longest line in bytes.
    pub line_bytes_max: u64,
    /// The bounds that were met, each once.
    pub met: Vec<Bound>,
    /// Parts or fields whose encoding is broken (bad base64, unknown charset, bad encoded word).
    pub broken_encodings: u32,
    /// What of the transport's rules was not kept, each once.
    pub unkept: Vec<Unkept>,
    /// Whether the top type is multipart/report or message/delivery-status stands in it (RFC 6522, 3464).
    pub report: bool,
    /// Whether a part is signed or encrypted (multipart/signed, multipart/encrypted, S/MIME).
    pub secured: bool,
}
