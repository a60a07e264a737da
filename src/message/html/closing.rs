//! Start tags that close an element which has no end tag of its own, so that a paragraph's style ends with it (WHATWG
//! HTML 13.1.2.4).
//!
//! Each open element knows what is open around it and may be closed, so that no start tag looks for it in vain.

use super::reader::is_block;

const PARAGRAPH: u8 = 1;
const ITEM: u8 = 1 << 1;
const CELL: u8 = 1 << 2;
const ROW: u8 = 1 << 3;
const SECTION: u8 = 1 << 4;
const OPTION: u8 = 1 << 5;
const TERM: u8 = 1 << 6;

/// The kinds of element that are open and that a start tag may close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Closable(u8);

impl Closable {
    /// Inside an element of that name.
    pub(super) fn inside(self, tag: &str) -> Self {
        Self(self.0 & !walled_by(tag) | kind_of(tag))
    }

    /// The kind of element that the start of `tag` closes, if one is open.
    pub(super) fn closed_by(self, tag: &str) -> Option<Kind> {
        let kind = match tag {
            "p" => PARAGRAPH,
            tag if kind_of(tag) != 0 => kind_of(tag),
            tag if is_block(tag) => PARAGRAPH,
            _ => return None,
        };
        (self.0 & kind != 0).then_some(Kind(kind))
    }
}

/// One kind of such elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    /// Whether elements of that name are of this kind.
    pub(super) fn has(self, tag: &str) -> bool {
        kind_of(tag) == self.0
    }
}

fn kind_of(tag: &str) -> u8 {
    match tag {
        "p" => PARAGRAPH,
        "li" => ITEM,
        "td" | "th" => CELL,
        "tr" => ROW,
        "tbody" | "thead" | "tfoot" => SECTION,
        "option" => OPTION,
        "dt" | "dd" => TERM,
        _ => 0,
    }
}

/// What is not closed through the wall of such an element.
fn walled_by(tag: &str) -> u8 {
    match tag {
        "table" => PARAGRAPH | ITEM | CELL | ROW | SECTION,
        "td" | "div" => PARAGRAPH | ITEM,
        "th" | "button" | "object" => PARAGRAPH,
        "ul" | "ol" => ITEM,
        "tr" => CELL,
        "tbody" | "thead" | "tfoot" => ROW,
        "select" => OPTION,
        "dl" => TERM,
        _ => 0,
    }
}
