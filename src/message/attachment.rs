//! Attachments: what they say they are, and what they are.

use super::page::Page;

/// A part of a message that is not the text of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file name (RFC 2231 and 2047 decoded); empty if there is none.
    pub name: String,
    /// The declared type in lower case, `type/subtype`.
    pub declared: String,
    /// What its first bytes say.
    pub content: Content,
    /// Its decoded size in bytes, as far as it was looked at.
    pub size_bytes: u64,
    /// Whether the body refers to it (an inline image).
    pub inline: bool,
    /// Names of the files inside, where it is an archive whose list can be read without unpacking: the first, and one
    /// for each further ending.
    pub contains: Vec<String>,
    /// Whether an archive or document inside is encrypted.
    pub encrypted: bool,
    /// Whether it is an Office document with macros.
    pub macros: bool,
    /// What it does where it is a page.
    pub page: Page,
}

/// What the first bytes of an attachment say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// A picture, sound or film.
    Media,
    /// PDF.
    Pdf,
    /// A document of an Office program.
    Office,
    /// zip, rar, 7z, gz, iso and the like.
    Archive,
    /// A program for a machine (PE, ELF, Mach-O, class file, installer).
    Program,
    /// A script by its first line or its tags.
    Script,
    /// A message (message/rfc822).
    Message,
    /// Text of another kind: calendar, card, source code, HTML.
    Text,
    /// Bytes that say nothing.
    Unknown,
}
