//! What stands between the white space of a text: as [`str::split_whitespace`], for texts that are nearly all ASCII.

/// A text between white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::score) struct Piece<'t> {
    /// The text; not empty.
    pub(in crate::score) text: &'t str,
    /// Whether all of it is ASCII.
    pub(in crate::score) is_ascii: bool,
}

/// The pieces of a text in their order.
#[derive(Debug, Clone)]
pub(in crate::score) struct Pieces<'t> {
    rest: &'t str,
}

impl<'t> Pieces<'t> {
    /// Of this text.
    pub(in crate::score) fn of(text: &'t str) -> Self {
        Self { rest: text }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let bytes = self.rest.as_bytes();
        let mut from = 0;
        loop {
            let space = match CLASS[usize::from(*bytes.get(from)?)] {
                Class::Space => 1,
                Class::Perhaps => space_at(self.rest, from),
                Class::Ascii | Class::Foreign => 0,
            };
            if space == 0 {
                break;
            }
            from += space;
        }
        let mut to = from;
        let mut is_ascii = true;
        loop {
            to += bytes[to..].iter().take_while(|byte| CLASS[usize::from(**byte)] == Class::Ascii).count();
            match bytes.get(to).map(|byte| CLASS[usize::from(*byte)]) {
                None | Some(Class::Space) => break,
                Some(Class::Perhaps) if space_at(self.rest, to) > 0 => break,
                Some(_) => is_ascii = false,
            }
            to += 1;
        }
        let text = &self.rest[from..to];
        self.rest = &self.rest[to..];
        Some(Piece { text, is_ascii })
    }
}

/// The length of the white space that begins there, if it does.
fn space_at(text: &str, at: usize) -> usize {
    text[at..].chars().next().filter(|c| c.is_whitespace()).map_or(0, char::len_utf8)
}

/// What a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Ascii,
    Space,
    /// The first byte of a character that may be white space.
    Perhaps,
    /// Any other byte of what is not ASCII.
    Foreign,
}

const CLASS: [Class; 256] = {
    let mut class = [Class::Foreign; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = if byte == b' ' as usize || 9 <= byte && byte <= 13 { Class::Space } else { Class::Ascii };
        byte += 1;
    }
    // U+0085 and U+00A0, U+1680, those of U+2000, U+3000.
    [class[0xc2], class[0xe1], class[0xe2], class[0xe3]] = [Class::Perhaps; 4];
    class
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_white_space_is_known_by_its_first_byte() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32).filter(|c| c.is_whitespace()) {
            let text = format!("a{c}b");
            let pieces: Vec<&str> = Pieces::of(&text).map(|piece| piece.text).collect();
            assert_eq!(pieces, ["a", "b"], "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_those_of_the_library(text in "[a -é\u{a0}\u{85}\u{2003}\u{3000}\u{2028}☃日\t\r\n\u{b}\u{1c}]{0,24}") {
            let pieces: Vec<&str> = Pieces::of(&text).map(|piece| piece.text).collect();
            prop_assert_eq!(pieces, text.split_whitespace().collect::<Vec<_>>());
            prop_assert!(Pieces::of(&text).all(|piece| piece.is_ascii == piece.text.is_ascii()));
        }
    }
}
