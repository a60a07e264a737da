//! Text made comparable: lower case, accents off, punctuation to single spaces, what cannot be seen taken out.
//!
//! Words are looked for in this form, so "Dernière chance!" and "DERNIERE-CHANCE" are one. What is counted on the way
//! (capitals, exclamation marks, white space, letters that hide) costs no second pass.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// A text in comparable form, with what was counted on the way.
#[derive(Debug, Clone, Default)]
pub(super) struct Folded {
    /// Words in lower case between single spaces; begins and ends with one. `%` counts as a letter.
    pub(super) text: String,
    /// What was counted.
    pub(super) count: Count,
}

/// What was counted, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// All of them.
    pub(super) chars: usize,
    /// Letters.
    pub(super) letters: usize,
    /// Letters in capitals, of scripts that have them.
    pub(super) capitals: usize,
    /// White space, line breaks too.
    pub(super) spaces: usize,
    /// `!` and its kin.
    pub(super) exclamations: usize,
    /// Characters without width between two letters of a script that has no use for them.
    pub(super) zero_width: usize,
    /// Marks that turn the direction of writing over.
    pub(super) overrides: usize,
    /// Letters of the blocks for mathematics, circles and full width.
    pub(super) styled: usize,
    /// Words of Latin letters in which Cyrillic or Greek ones stand that look like Latin ones.
    pub(super) mixed_words: usize,
}

/// The word under way.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    latin: usize,
    look_alike: usize,
    other: usize,
    /// Characters without width seen since its last letter.
    gap: usize,
}

impl Folded {
    /// Folds a text.
    pub(super) fn new(text: &str) -> Self {
        let mut folding = Folding::default();
        folding.text.reserve(text.len() + 2);
        folding.text.push(b' ');
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = if rest.is_ascii() { None } else { rest.bytes().position(|byte| !byte.is_ascii()) };
            let (ascii, foreign) = rest.split_at(ascii.unwrap_or(rest.len()));
            folding.ascii(ascii.as_bytes());
            let mut foreign = foreign.chars();
            if let Some(c) = foreign.next() {
                folding.other(c);
            }
            rest = foreign.as_str();
        }
        folding.end();
        let text = String::from_utf8(folding.text).expect("whole characters were added alone");
        Self { text, count: folding.count }
    }
}

/// A text that is being folded.
#[derive(Debug, Default)]
struct Folding {
    text: Vec<u8>,
    count: Count,
    word: Word,
}

impl Folding {
    fn ascii(&mut self, ascii: &[u8]) {
        self.count.chars += ascii.len();
        self.count.letters += count(ascii, u8::is_ascii_alphabetic);
        self.count.capitals += count(ascii, u8::is_ascii_uppercase);
        self.count.spaces += count(ascii, u8::is_ascii_whitespace);
        self.count.exclamations += count(ascii, |byte| *byte == b'!');
        let behind = self.text.len().saturating_sub(1);
        self.text.extend(ascii.iter().map(|byte| folded(*byte)));
        squeeze(&mut self.text, behind);
        // Only the words at both ends can have other letters in them.
        let is_sign = |byte: &u8| folded(*byte) == b' ';
        let Some(first) = ascii.iter().position(is_sign) else { return self.letters(ascii) };
        self.letters(&ascii[..first]);
        self.end_word();
        let behind = ascii.iter().rposition(is_sign).unwrap_or(first) + 1;
        self.letters(&ascii[behind..]);
    }

    /// Letters and digits of the word under way.
    fn letters(&mut self, ascii: &[u8]) {
        let letters = count(ascii, u8::is_ascii_alphabetic);
        if letters > 0 {
            self.count.zero_width += std::mem::take(&mut self.word.gap);
            self.word.latin += letters;
        }
    }

    fn letter(&mut self, lower: u8) {
        self.count.letters += 1;
        self.count.zero_width += std::mem::take(&mut self.word.gap);
        self.word.latin += 1;
        self.text.push(lower);
    }

    fn other(&mut self, c: char) {
        self.count.chars += 1;
        match c {
            '\u{202d}' | '\u{202e}' => self.count.overrides += 1,
            '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' => {
                // Only between letters: a preview line is padded with them between spaces.
                self.word.gap += usize::from(self.word.latin + self.word.look_alike > 0);
            }
            // Soft hyphens and combining marks belong to ordinary words.
            '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200e}' | '\u{200f}' | '\u{fe00}'..='\u{fe0f}' => {}
            '\u{ff01}' | '\u{a1}' | '\u{2757}' | '\u{203c}' => {
                self.count.exclamations += 1;
                self.end();
            }
            _ if c.is_whitespace() => {
                self.count.spaces += 1;
                self.end();
            }
            _ => match plain(c) {
                Some(base) => {
                    self.count.letters += 1;
                    self.count.capitals += usize::from(c.is_uppercase());
                    self.count.zero_width += std::mem::take(&mut self.word.gap);
                    self.word.latin += 1;
                    self.text.extend_from_slice(base.as_bytes());
                }
                None if c.is_alphabetic() => self.foreign(c),
                None => self.end(),
            },
        }
    }

    fn foreign(&mut self, c: char) {
        if let Some(latin) = styled(c) {
            self.count.styled += 1;
            self.letter(latin);
            return;
        }
        self.count.letters += 1;
        self.count.capitals += usize::from(c.is_uppercase());
        if looks_latin(c) {
            self.count.zero_width += std::mem::take(&mut self.word.gap);
            self.word.look_alike += 1;
        } else {
            self.word.gap = 0;
            self.word.other += 1;
        }
        c.to_lowercase().for_each(|c| self.text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()));
    }

    fn end(&mut self) {
        self.end_word();
        if self.text.last() != Some(&b' ') {
            self.text.push(b' ');
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        // "USB-порт" is two words, "SMSки" has letters that look like no Latin ones: both are how people write.
        self.count.mixed_words += usize::from(word.latin >= 2 && word.look_alike >= 1 && word.other == 0);
    }
}

/// How many of some bytes are such.
fn count(bytes: &[u8], is_such: impl Fn(&u8) -> bool) -> usize {
    // In pieces whose count fits into a byte: then many bytes are counted at a time.
    let piece = |piece: &[u8]| piece.iter().map(|byte| u8::from(is_such(byte))).sum::<u8>();
    bytes.chunks(192).map(|bytes| usize::from(piece(bytes))).sum()
}

/// ASCII folded: letters in lower case, digits, a sign that counts as one, and a space for all else.
fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() || byte == b'%' { byte.to_ascii_lowercase() } else { b' ' }
}

/// Makes spaces in a row one, from there on.
fn squeeze(text: &mut Vec<u8>, from: usize) {
    static TWO: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("  "));
    let (mut read, mut end) = (from, from);
    while let Some(at) = TWO.find(&text[read..]) {
        let first = read + at;
        text.copy_within(read..=first, end);
        end += at + 1;
        read = first + text[first..].iter().take_while(|byte| **byte == b' ').count();
    }
    text.copy_within(read.., end);
    text.truncate(end + text.len() - read);
}

/// The plain letters of a Latin letter with marks.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='å' | 'À'..='Å' | 'ā' | 'ă' | 'ą' | 'Ā' | 'Ă' | 'Ą' => "a",
        'æ' | 'Æ' => "ae",
        'ç' | 'Ç' | 'ć' | 'č' | 'Ć' | 'Č' => "c",
        'ď' | 'đ' | 'Ď' | 'Đ' => "d",
        'è'..='ë' | 'È'..='Ë' | 'ē' | 'ę' | 'ě' | 'ė' | 'Ę' | 'Ě' | 'Ė' => "e",
        'ğ' | 'Ğ' => "g",
        'ì'..='ï' | 'Ì'..='Ï' | 'ī' | 'ı' | 'İ' | 'į' => "i",
        'ł' | 'Ł' | 'ľ' | 'ĺ' => "l",
        'ñ' | 'Ñ' | 'ń' | 'ň' | 'Ń' => "n",
        'ò'..='ö' | 'ø' | 'Ò'..='Ö' | 'Ø' | 'ő' | 'ō' | 'Ő' => "o",
        'œ' | 'Œ' => "oe",
        'ř' | 'Ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' | 'Ś' | 'Š' | 'Ş' => "s",
        'ß' => "ss",
        'ť' | 'ț' | 'ţ' => "t",
        'ù'..='ü' | 'Ù'..='Ü' | 'ů' | 'ű' | 'ū' | 'Ű' => "u",
        'ý' | 'ÿ' | 'Ý' => "y",
        'ź' | 'ż' | 'ž' | 'Ź' | 'Ż' | 'Ž' => "z",
        _ => return None,
    })
}

/// Whether a Cyrillic or Greek letter is read as a Latin one.
fn looks_latin(c: char) -> bool {
    matches!(
        c,
        'а' | 'е'
            | 'о'
            | 'р'
            | 'с'
            | 'у'
            | 'х'
            | 'і'
            | 'ј'
            | 'ѕ'
            | 'ԁ'
            | 'һ'
            | 'ԛ'
            | 'ԝ'
            | 'А'
            | 'В'
            | 'Е'
            | 'К'
            | 'М'
            | 'Н'
            | 'О'
            | 'Р'
            | 'С'
            | 'Т'
            | 'Х'
            | 'І'
            | 'Ј'
            | 'Ѕ'
            | 'ο'
            | 'α'
            | 'ν'
            | 'ι'
            | 'Α'
            | 'Β'
            | 'Ε'
            | 'Η'
            | 'Ι'
            | 'Κ'
            | 'Μ'
            | 'Ν'
            | 'Ο'
            | 'Ρ'
            | 'Τ'
            | 'Χ'
            | 'Υ'
            | 'Ζ'
    )
}

/// The Latin letter behind a letter of mathematics, a circle or full width.
fn styled(c: char) -> Option<u8> {
    let code = u32::from(c);
    let letter = match code {
        0x1d400..=0x1d6a3 => (code - 0x1d400) % 26,
        0xff21..=0xff3a => code - 0xff21,
        0xff41..=0xff5a => code - 0xff41,
        0x24b6..=0x24cf => code - 0x24b6,
        0x24d0..=0x24e9 => code - 0x24d0,
        0x1f130..=0x1f149 => code - 0x1f130,
        0x1f170..=0x1f189 => code - 0x1f170,
        _ => return None,
    };
    Some(b'a' + u8::try_from(letter).expect("letters are counted from 0 to 25 above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_folded() {
        let cases = [
            ("Dernière chance!", " derniere chance "), // accents and punctuation
            ("DERNIERE-CHANCE", " derniere chance "),  // the same
            ("", " "),                                 // nothing
            ("a\r\n  b", " a b "),                     // a wrapped line
            ("50% off", " 50% off "),                  // the sign says something
            ("straße Łódź", " strasse lodz "),         // two letters for one
            ("Бесплатно", " бесплатно "),              // other scripts keep their letters
            ("pay\u{200b}pal", " paypal "),            // what is not seen is not there
            ("pay\u{ad}pal", " paypal "),              // nor a soft hyphen
            ("cafe\u{301}", " cafe "),                 // a mark of its own
            ("𝗕𝘂𝘆 ＦＲＥＥ", " buy free "),            // styled letters are letters
            ("don't", " don t "),                      // both sides are folded so
        ];
        for (text, expected) in cases {
            assert_eq!(Folded::new(text).text, expected, "{text:?}");
        }
    }

    #[test]
    fn tricks_are_counted_and_ordinary_text_is_not() {
        let of = |text: &str| {
            let count = Folded::new(text).count;
            (count.zero_width, count.mixed_words, count.styled, count.overrides)
        };
        let cases = [
            ("p\u{200b}a\u{200b}y", (2, 0, 0, 0)), // splits a word against filters
            ("Hello \u{200c} \u{200c} \u{200c}x", (0, 0, 0, 0)), // padding of a preview line
            ("می\u{200c}خواهم", (0, 0, 0, 0)),     // Persian needs it
            ("pаypаl", (0, 1, 0, 0)),              // Cyrillic а
            ("SMSки", (0, 0, 0, 0)),               // a Russian ending
            ("USB-порт", (0, 0, 0, 0)),            // two words
            ("Привет", (0, 0, 0, 0)),              // one script
            ("𝗕𝘂𝘆", (0, 0, 3, 0)),
            ("x\u{202e}fdp.exe", (0, 0, 0, 1)),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text:?}");
        }
        let count = Folded::new("Now! ÉTÉ\n").count;
        assert_eq!((count.chars, count.letters, count.capitals, count.spaces, count.exclamations), (9, 6, 4, 2, 1));
    }
}
