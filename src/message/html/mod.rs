//! What the HTML parts of a message hold.
//!
//! Read by a tokenizer of its own that is linear whatever the input, then by one pass over its tokens. Nothing is loaded,
//! nothing is run, no tree is built. [`reader`] is where to start.

mod closing;
mod colour;
mod entities;
mod flow;
mod given;
mod level;
pub(super) mod reader;
mod style;
mod tokens;

/// HTML, read by a tokenizer that neither nests nor loads anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Html {
    /// The text that a reader shows, in order; blocks are lines.
    pub visible: String,
    /// The text that CSS or attributes hide (display none, zero size, the background's colour, off screen); bounded. A
    /// short preview line ("preheader") is in here too.
    pub hidden: String,
    /// `<img>` elements.
    pub images: u32,
    /// Of these, those loaded from a server.
    pub remote_images: u32,
    /// Pictures of one pixel or none that are loaded from a server.
    pub pixels: u32,
    /// `<script>` elements, `javascript:` targets and event attributes.
    pub scripts: u32,
    /// `<form>` elements.
    pub forms: u32,
    /// Elements in all.
    pub elements: u32,
    /// The largest font size that visible text has, in pixels; 0 if none is given.
    pub font_px_max: f32,
    /// Visible characters whose colour is nearly the background's (they are in `hidden` too).
    pub camouflaged_chars: u32,
    /// Comments, in bytes.
    pub comment_bytes: u64,
    /// The parts' size in bytes, decoded.
    pub size_bytes: u64,
}
