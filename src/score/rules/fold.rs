//! Text made comparable: lower case, accents off, punctuation to single spaces, what cannot be seen taken out.
//!
//! Words are looked for in this form, so "Dernière chance!" and "DERNIERE-CHANCE" are one. What is counted on the way
//! (capitals, exclamation marks, white space, letters that hide) costs no second pass.

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
        let mut folded = Self { text: String::with_capacity(text.len() + 2), count: Count::default() };
        folded.text.push(' ');
        let mut word = Word::default();
        let mut rest = text;
        while let Some(byte) = rest.as_bytes().first() {
            if CLASS[usize::from(*byte)] == Class::Foreign {
                let Some(c) = rest.chars().next() else { break };
                folded.other(c, &mut word);
                rest = &rest[c.len_utf8()..];
            } else {
                rest = folded.ascii(rest, &mut word);
            }
        }
        folded.end(&mut word);
        // What is not ASCII was written in lower case.
        folded.text.make_ascii_lowercase();
        folded
    }

    /// Takes the letters and digits that a text begins with, and the sign behind them; gives the rest.
    fn ascii<'t>(&mut self, text: &'t str, word: &mut Word) -> &'t str {
        let (mut letters, mut capitals, mut digits) = (0, 0, 0);
        let mut sign = None;
        for byte in text.bytes() {
            match CLASS[usize::from(byte)] {
                Class::Letter => letters += 1,
                Class::Capital => capitals += 1,
                Class::Digit => digits += 1,
                Class::Sign => {
                    sign = Some(byte);
                    break;
                }
                Class::Foreign => break,
            }
        }
        let plain = letters + capitals + digits;
        if letters + capitals > 0 {
            self.count.zero_width += std::mem::take(&mut word.gap);
            word.latin += letters + capitals;
        }
        self.count.letters += letters + capitals;
        self.count.capitals += capitals;
        self.count.chars += plain;
        self.text.push_str(&text[..plain]);
        let Some(sign) = sign else { return &text[plain..] };
        self.count.chars += 1;
        self.count.spaces += usize::from(sign.is_ascii_whitespace());
        self.count.exclamations += usize::from(sign == b'!');
        self.end(word);
        &text[plain + 1..]
    }

    fn letter(&mut self, lower: u8, word: &mut Word) {
        self.count.letters += 1;
        self.count.zero_width += std::mem::take(&mut word.gap);
        word.latin += 1;
        self.text.push(char::from(lower));
    }

    fn other(&mut self, c: char, word: &mut Word) {
        self.count.chars += 1;
        match c {
            '\u{202d}' | '\u{202e}' => self.count.overrides += 1,
            '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' => {
                // Only between letters: a preview line is padded with them between spaces.
                word.gap += usize::from(word.latin + word.look_alike > 0);
            }
            // Soft hyphens and combining marks belong to ordinary words.
            '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200e}' | '\u{200f}' | '\u{fe00}'..='\u{fe0f}' => {}
            '\u{ff01}' | '\u{a1}' | '\u{2757}' | '\u{203c}' => {
                self.count.exclamations += 1;
                self.end(word);
            }
            _ if c.is_whitespace() => {
                self.count.spaces += 1;
                self.end(word);
            }
            _ => match plain(c) {
                Some(base) => {
                    self.count.letters += 1;
                    self.count.capitals += usize::from(c.is_uppercase());
                    self.count.zero_width += std::mem::take(&mut word.gap);
                    word.latin += 1;
                    self.text.push_str(base);
                }
                None if c.is_alphabetic() => self.foreign(c, word),
                None => self.end(word),
            },
        }
    }

    fn foreign(&mut self, c: char, word: &mut Word) {
        if let Some(latin) = styled(c) {
            self.count.styled += 1;
            self.letter(latin, word);
            return;
        }
        self.count.letters += 1;
        self.count.capitals += usize::from(c.is_uppercase());
        if looks_latin(c) {
            self.count.zero_width += std::mem::take(&mut word.gap);
            word.look_alike += 1;
        } else {
            word.gap = 0;
            word.other += 1;
        }
        self.text.extend(c.to_lowercase());
    }

    fn end(&mut self, word: &mut Word) {
        // "USB-порт" is two words, "SMSки" has letters that look like no Latin ones: both are how people write.
        self.count.mixed_words += usize::from(word.latin >= 2 && word.look_alike >= 1 && word.other == 0);
        *word = Word::default();
        if self.text.as_bytes().last() != Some(&b' ') {
            self.text.push(' ');
        }
    }
}

/// What a byte of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Capital,
    /// Or a sign that counts as one.
    Digit,
    Sign,
    /// Part of what is not ASCII.
    Foreign,
}

const CLASS: [Class; 256] = {
    let mut class = [Class::Foreign; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        class[byte as usize] = match byte {
            b'a'..=b'z' => Class::Letter,
            b'A'..=b'Z' => Class::Capital,
            b'0'..=b'9' | b'%' => Class::Digit,
            _ => Class::Sign,
        };
        byte += 1;
    }
    class
};

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
