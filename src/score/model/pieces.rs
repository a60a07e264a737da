//! Words, runs and kinds of a line: what stands between its spaces, in normal form.

use super::text::{Kind, Tally, Token, starts_folded};
use crate::score::blanks::{Piece, Pieces};

/// Letters of the longest word; a longer one is a kind of its own (encoded data, keys, identifiers).
const WORD_CHARS_MAX: usize = 24;
/// A run of digits longer than this is written with so many.
const DIGITS_MAX: usize = 5;

/// Reads the words and kinds of one line.
pub(super) fn read_line(line: &str, tally: &mut Tally, each: &mut impl FnMut(Token<'_>)) {
    let mut word = Letters::default();
    for Piece { text: piece, is_ascii } in Pieces::of(line) {
        if is_ascii && is_plain(piece.as_bytes()) {
            match letters_alone(piece.as_bytes()) {
                Some(letters) => word.whole(letters, tally, each),
                None => read_ascii(piece.as_bytes(), &mut word, tally, each),
            }
            continue;
        }
        match told_by_kind(piece) {
            Some(kind) => {
                match kind {
                    Kind::Url => tally.urls += 1,
                    Kind::Address => tally.addresses += 1,
                    _ => {}
                }
                each(Token::Kind(kind));
            }
            None if is_ascii => read_ascii(piece.as_bytes(), &mut word, tally, each),
            None => read_piece(piece, tally, each),
        }
    }
}

/// Whether a piece has nothing that [`told_by_kind`] looks for: most words of most texts.
fn is_plain(piece: &[u8]) -> bool {
    // A full stop behind a word ends no name; "www." is the beginning of one.
    let is_word = |word: &&[u8]| word.first().is_some_and(|b| b.is_ascii_alphanumeric() && !matches!(b, b'w' | b'W'));
    let word = piece.strip_suffix(b".").filter(is_word);
    !word.unwrap_or(piece).iter().any(|byte| CLASS[usize::from(*byte)] == Class::Telling)
}

/// The letters of a piece that is a word and a mark of the sentence behind it, if any: nearly every one.
fn letters_alone(piece: &[u8]) -> Option<&[u8]> {
    let letters = piece.iter().take_while(|byte| CLASS[usize::from(**byte)] == Class::Letter).count();
    let is_word = matches!(piece[letters..], [] | [b',' | b'.' | b';' | b')' | b'"']);
    (is_word && (1..=WORD_CHARS_MAX).contains(&letters)).then(|| &piece[..letters])
}

/// What an ASCII character is to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    /// A sign that makes a piece a URL, an address, a host or a path.
    Telling,
    /// Any other.
    Sign,
}

const CLASS: [Class; 256] = {
    let mut class = [Class::Sign; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        class[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'.' | b'@' | b'/' | b'\\' | b'=' | b'&' | b'_' | b'~' | b'#' | b':' | b'{' | b'}' => Class::Telling,
            _ => Class::Sign,
        };
        byte += 1;
    }
    class
};

/// [`read_piece`] for ASCII, a run of letters at a time.
fn read_ascii(piece: &[u8], word: &mut Letters, tally: &mut Tally, each: &mut impl FnMut(Token<'_>)) {
    let mut sign = ('\0', 0_u32);
    let mut rest = piece;
    while let Some(byte) = rest.first().copied() {
        let class = CLASS[usize::from(byte)];
        if matches!(class, Class::Letter | Class::Digit) || byte == b'\'' && !word.is_empty() {
            end_sign(sign, tally, each);
            sign = ('\0', 0);
        }
        if class == Class::Letter {
            let letters = rest.iter().take_while(|byte| CLASS[usize::from(**byte)] == Class::Letter).count();
            word.push_letters(&rest[..letters], tally);
            rest = &rest[letters..];
            continue;
        }
        if class == Class::Digit || byte == b'\'' && !word.is_empty() {
            word.push(char::from(byte), tally);
        } else {
            word.end(tally, each);
            if sign.0 != char::from(byte) {
                end_sign(sign, tally, each);
                sign = ('\0', 0);
            }
            sign = (char::from(byte), sign.1 + 1);
        }
        rest = &rest[1..];
    }
    word.end(tally, each);
    end_sign(sign, tally, each);
}

/// Whether a piece between spaces is a URL, an address, a host or a path.
fn told_by_kind(piece: &str) -> Option<Kind> {
    let bytes = piece.as_bytes();
    if bytes.len() < 4 {
        return None;
    }
    let (mut dots, mut at, mut slashes, mut odd) = (0, 0, 0, 0);
    for byte in bytes {
        match byte {
            b'.' => dots += 1,
            b'@' => at += 1,
            b'/' | b'\\' => slashes += 1,
            b'=' | b'&' | b'_' | b'~' | b'#' | b':' | b'{' | b'}' => odd += 1,
            _ => {}
        }
    }
    if slashes >= 2 && (piece.contains("://") || dots > 0 && piece.contains('/')) || starts_www(piece) {
        return Some(Kind::Url);
    }
    if at > 0 && dots > 0 {
        return Some(Kind::Address);
    }
    if dots > 0 && dots < 8 && ends_with_domain(piece) {
        return Some(if slashes > 0 { Kind::Url } else { Kind::Host });
    }
    (slashes + odd >= 3).then_some(Kind::Path)
}

fn starts_www(piece: &str) -> bool {
    let start = piece.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    starts_folded(start, "www.")
}

fn ends_with_domain(piece: &str) -> bool {
    const ENDS: [&str; 44] = [
        "com", "net", "org", "info", "biz", "edu", "gov", "io", "de", "fr", "uk", "es", "it", "nl", "pl", "ru", "br",
        "pt", "ch", "at", "be", "cz", "eu", "us", "ca", "au", "jp", "cn", "in", "se", "dk", "no", "fi", "co", "me",
        "tv", "app", "shop", "xyz", "top", "online", "example", "test", "invalid",
    ];
    let name = piece.split('/').next().unwrap_or(piece);
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let Some((rest, end)) = name.rsplit_once('.') else { return false };
    !rest.is_empty()
        && end.bytes().all(|b| b.is_ascii_alphabetic())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        && ENDS.iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// Cuts a piece into words, runs and signs.
fn read_piece(piece: &str, tally: &mut Tally, each: &mut impl FnMut(Token<'_>)) {
    let mut word = Letters::default();
    let mut run: [char; 32] = ['\0'; 32];
    let mut run_len = 0;
    let mut sign = ('\0', 0_u32);
    for c in piece.chars() {
        if is_invisible(c) {
            tally.invisible += 1;
            continue;
        }
        let letter = c.is_alphanumeric() || (c == '\'' || c == '’') && !word.is_empty() || is_mark(c);
        let spaceless = letter && is_spaceless(c);
        if !letter || spaceless {
            word.end(tally, each);
        }
        if !spaceless && run_len > 0 || run_len == run.len() {
            each(Token::Run(&run[..run_len]));
            run_len = 0;
        }
        if letter && sign.1 > 0 || sign.0 != c {
            end_sign(sign, tally, each);
            sign = ('\0', 0);
        }
        if spaceless {
            tally.letters += 1;
            tally.spaceless += 1;
            run[run_len] = c;
            run_len += 1;
        } else if letter {
            word.push(c, tally);
        } else {
            sign = (c, sign.1 + 1);
        }
    }
    word.end(tally, each);
    if run_len > 0 {
        each(Token::Run(&run[..run_len]));
    }
    end_sign(sign, tally, each);
}

fn end_sign((sign, times): (char, u32), tally: &mut Tally, each: &mut impl FnMut(Token<'_>)) {
    if times == 0 {
        return;
    }
    let kind = match sign {
        '!' | '！' | '¡' => {
            tally.exclamations += times;
            if times == 1 { Kind::Exclamation } else { Kind::Exclamations }
        }
        '?' | '？' => Kind::Question,
        '$' | '€' | '£' | '¥' | '₽' | '₹' | '₿' => {
            tally.money += 1;
            Kind::Money
        }
        '%' => Kind::Percent,
        '*' | '-' | '_' | '=' | '~' | '#' | '+' if times >= 3 => Kind::Rule,
        _ => return,
    };
    each(Token::Kind(kind));
}

/// A word that is being read.
struct Letters {
    chars: [char; WORD_CHARS_MAX],
    len: usize,
    over: bool,
    upper: u32,
    digits: usize,
    digit_run: usize,
    changes: u32,
}

impl Default for Letters {
    fn default() -> Self {
        Self { chars: ['\0'; WORD_CHARS_MAX], len: 0, over: false, upper: 0, digits: 0, digit_run: 0, changes: 0 }
    }
}

impl Letters {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, c: char, tally: &mut Tally) {
        let (c, is_digit) = if c.is_ascii() {
            if c.is_ascii_uppercase() {
                self.upper += 1;
            }
            (c.to_ascii_lowercase(), c.is_ascii_digit())
        } else {
            if c.is_uppercase() {
                self.upper += 1;
            }
            (plain(c), c.is_numeric())
        };
        if is_digit {
            tally.digits += 1;
            self.digits += 1;
            if self.digit_run == 0 && self.len > 0 {
                self.changes += 1;
            }
            self.digit_run += 1;
            if self.digit_run > DIGITS_MAX {
                return;
            }
        } else {
            tally.letters += 1;
            if self.digit_run > 0 {
                self.changes += 1;
            }
            self.digit_run = 0;
            match c {
                'a'..='z' | '\u{c0}'..='\u{24f}' => tally.latin += 1,
                '\u{400}'..='\u{52f}' => tally.cyrillic += 1,
                _ => tally.other += 1,
            }
        }
        if self.len == WORD_CHARS_MAX {
            self.over = true;
            return;
        }
        self.chars[self.len] = if is_digit { '0' } else { c };
        self.len += 1;
    }

    /// ASCII letters that follow each other.
    fn push_letters(&mut self, letters: &[u8], tally: &mut Tally) {
        let count = u32::try_from(letters.len()).unwrap_or(u32::MAX);
        tally.letters += count;
        tally.latin += count;
        self.upper += letters.iter().map(|byte| u32::from(byte.is_ascii_uppercase())).sum::<u32>();
        if self.digit_run > 0 {
            self.changes += 1;
            self.digit_run = 0;
        }
        let free = &mut self.chars[self.len..];
        self.over |= letters.len() > free.len();
        let taken = letters.len().min(free.len());
        for (place, byte) in free.iter_mut().zip(letters) {
            *place = char::from(byte.to_ascii_lowercase());
        }
        self.len += taken;
    }

    /// A word of ASCII letters, as [`Letters::push_letters`] and [`Letters::end`] have it where none is being read.
    fn whole(&mut self, letters: &[u8], tally: &mut Tally, each: &mut impl FnMut(Token<'_>)) {
        let count = u32::try_from(letters.len()).unwrap_or(u32::MAX);
        let mut upper = 0;
        for (place, byte) in self.chars.iter_mut().zip(letters) {
            *place = char::from(byte.to_ascii_lowercase());
            upper += u32::from(byte.is_ascii_uppercase());
        }
        tally.letters += count;
        tally.latin += count;
        tally.words += 1;
        tally.upper += upper;
        tally.shouted += u32::from(count >= 3 && upper == count);
        each(Token::Word(&self.chars[..letters.len()]));
    }

    fn end(&mut self, tally: &mut Tally, each: &mut impl FnMut(Token<'_>)) {
        if self.len == 0 {
            return;
        }
        while self.len > 0 && matches!(self.chars[self.len - 1], '\'' | '’') {
            self.len -= 1;
        }
        tally.words += 1;
        tally.upper += self.upper;
        let letters = self.len.saturating_sub(self.digits.min(self.len));
        if letters >= 3 && self.upper as usize == letters {
            tally.shouted += 1;
        }
        if self.over || self.changes >= 2 || self.changes == 1 && self.len > 10 {
            each(Token::Kind(Kind::Identifier));
        } else if self.len > 0 {
            each(Token::Word(&self.chars[..self.len]));
        }
        (self.len, self.over, self.upper, self.digits, self.digit_run, self.changes) = (0, false, 0, 0, 0, 0);
    }
}

/// Lower case, full-width forms made narrow.
fn plain(c: char) -> char {
    let c = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '’' => '\'',
        _ => c,
    };
    c.to_lowercase().next().unwrap_or(c)
}

fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{dff}')
}

/// Characters that a reader does not see and that spam puts between letters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}
