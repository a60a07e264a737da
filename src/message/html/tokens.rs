//! HTML cut into tags, text and comments as a browser cuts it (WHATWG HTML 13.2.5), borrowing all of it.
//!
//! One step forward never looks at a byte twice, whatever the input; html5ever's tokenizer, which is the oracle of the
//! tests here, compares each attribute of a tag with all before it. Attributes past [`ATTRIBUTES_MAX`] are left out.

use memchr::{memchr, memmem};

/// How many attributes of one tag are read.
pub(super) const ATTRIBUTES_MAX: usize = 64;

/// One piece of HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text; character references stand in it where it is [`Text::Data`].
    Text(&'a str, Text),
    /// A start tag; its attributes are in [`Tokens::attributes`].
    Start(Name),
    /// An end tag.
    End(Name),
    /// A comment or what is read as one: its inside.
    Comment(&'a str),
}

/// How text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// With character references.
    Data,
    /// As it is: script, style and the like.
    Raw,
}

/// The name of a tag in lower case. What is longer than any that means something is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    /// The name, zeros behind it, and its length at the end: two names are compared as one number.
    bytes: [u8; 16],
}

impl Name {
    /// What no tag has.
    pub(super) const NONE: Self = Self { bytes: [0; 16] };

    fn of(text: &str) -> Self {
        let mut name = Self::NONE;
        let [letters @ .., len] = &mut name.bytes;
        for (to, from) in letters.iter_mut().zip(text.bytes()) {
            // A byte of a longer character is no letter of any known name.
            *to = if from.is_ascii() { from.to_ascii_lowercase() } else { b'?' };
            *len += 1;
        }
        name
    }

    /// The name.
    pub(super) fn as_str(&self) -> &str {
        let [letters @ .., len] = &self.bytes;
        std::str::from_utf8(&letters[..usize::from(*len)]).unwrap_or_default()
    }
}

/// One attribute, as written; names have no case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its value, character references in it.
    pub(super) value: &'a str,
}

/// The tokens of a text in order.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    attributes: Vec<Attribute<'a>>,
    /// The element whose content is text up to its end tag, and how that text is read.
    raw: Option<(Name, Text)>,
    waiting: Option<Token<'a>>,
}

impl<'a> Tokens<'a> {
    /// Reads from the start of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, attributes: Vec::new(), raw: None, waiting: None }
    }

    /// The attributes of the start tag that came last; of two with one name the first counts.
    pub(super) fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes().get(self.at + ahead).copied()
    }

    /// The text from `from` up to where reading stands.
    fn since(&self, from: usize) -> &'a str {
        &self.text[from..self.at]
    }

    /// Text up to the end tag of a raw element.
    fn raw_text(&mut self, name: Name, kind: Text) -> Option<Token<'a>> {
        let from = self.at;
        let mut search = from;
        self.at = self.text.len();
        if name.as_str() != "plaintext" {
            while let Some(found) = memmem::find(&self.bytes()[search..], b"</") {
                let tag = &self.bytes()[search + found + 2..];
                let wanted = name.as_str().as_bytes();
                let ends = tag.get(wanted.len()).is_some_and(|b| is_space(*b) || matches!(b, b'/' | b'>'));
                if ends && tag[..wanted.len()].eq_ignore_ascii_case(wanted) {
                    self.at = search + found;
                    break;
                }
                search += found + 2;
            }
        }
        (self.at > from).then(|| Token::Text(self.since(from), kind))
    }

    /// A comment's inside, from behind `<!--`.
    fn comment(&mut self) -> Token<'a> {
        let from = self.at;
        for empty in [">", "->"] {
            if self.text[from..].starts_with(empty) {
                self.at += empty.len();
                return Token::Comment("");
            }
        }
        let mut search = from;
        while let Some(found) = memmem::find(&self.bytes()[search..], b"--") {
            let at = search + found;
            let end = match &self.bytes()[at + 2..] {
                [b'>', ..] => 3,
                [b'!', b'>', ..] => 4,
                _ => {
                    search = at + 1;
                    continue;
                }
            };
            self.at = at + end;
            return Token::Comment(&self.text[from..at]);
        }
        self.at = self.text.len();
        // Dashes that could have begun its end are not its own.
        let inside = self.since(from);
        let begun = ["--!", "--", "-"].iter().find_map(|end| inside.strip_suffix(end));
        Token::Comment(begun.unwrap_or(inside))
    }

    /// What is read as a comment up to the next `>`.
    fn bogus_comment(&mut self) -> Token<'a> {
        let from = self.at;
        let end = memchr(b'>', &self.bytes()[from..]).map_or(self.text.len(), |len| from + len);
        self.at = (end + 1).min(self.text.len());
        Token::Comment(&self.text[from..end])
    }

    /// A declaration, from behind `<!`.
    fn declaration(&mut self) -> Option<Token<'a>> {
        let rest = &self.bytes()[self.at..];
        if rest.starts_with(b"--") {
            self.at += 2;
            return Some(self.comment());
        }
        let doctype = rest.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"doctype"));
        let comment = self.bogus_comment();
        (!doctype).then_some(comment)
    }

    /// A tag, from its name on. `None` if the text ends within it.
    fn tag(&mut self) -> Option<Name> {
        let from = self.at;
        self.skip_until(|b| is_space(b) || matches!(b, b'/' | b'>'));
        let name = Name::of(self.since(from));
        self.attributes.clear();
        loop {
            self.skip_until(|b| !is_space(b) && b != b'/');
            match self.peek(0)? {
                b'>' => {
                    self.at += 1;
                    return Some(name);
                }
                _ => self.attribute()?,
            }
        }
    }

    fn attribute(&mut self) -> Option<()> {
        let from = self.at;
        // An equals sign that begins a name belongs to it.
        self.at += 1;
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.skip_until(|b| is_space(b) || matches!(b, b'/' | b'>' | b'='));
        let name = self.since(from);
        self.skip_until(|b| !is_space(b));
        let mut value = "";
        if self.peek(0)? == b'=' {
            self.at += 1;
            self.skip_until(|b| !is_space(b));
            value = match self.peek(0)? {
                quote @ (b'"' | b'\'') => {
                    let start = self.at + 1;
                    let Some(len) = memchr(quote, &self.bytes()[start..]) else {
                        self.at = self.text.len();
                        return None;
                    };
                    self.at = start + len + 1;
                    &self.text[start..start + len]
                }
                b'>' => "",
                _ => {
                    let start = self.at;
                    self.skip_until(|b| is_space(b) || b == b'>');
                    self.since(start)
                }
            };
        }
        if self.attributes.len() < ATTRIBUTES_MAX {
            self.attributes.push(Attribute { name, value });
        }
        Some(())
    }

    fn skip_until(&mut self, stop: impl Fn(u8) -> bool) {
        let rest = &self.bytes()[self.at..];
        self.at += rest.iter().position(|b| stop(*b)).unwrap_or(rest.len());
    }

    /// What begins with the `<` that stands next.
    fn markup(&mut self) -> Markup<'a> {
        let token = match (self.peek(1), self.peek(2)) {
            (Some(b'!'), _) => {
                self.at += 2;
                self.declaration()
            }
            (Some(b'?'), _) => {
                self.at += 1;
                Some(self.bogus_comment())
            }
            (Some(b'/'), Some(b)) if b.is_ascii_alphabetic() => {
                self.at += 2;
                self.tag().map(Token::End)
            }
            (Some(b'/'), Some(b'>')) => {
                self.at += 3;
                None
            }
            (Some(b'/'), Some(_)) => {
                self.at += 2;
                Some(self.bogus_comment())
            }
            (Some(b), _) if b.is_ascii_alphabetic() => {
                self.at += 1;
                let name = self.tag();
                self.raw = name.and_then(|name| Some((name, raw_kind(name.as_str())?)));
                name.map(Token::Start)
            }
            _ => return Markup::Text,
        };
        token.map_or(Markup::Nothing, Markup::Token)
    }
}

/// What a `<` turned out to begin.
enum Markup<'a> {
    Token(Token<'a>),
    /// Markup that says nothing: a doctype, `</>`, a tag that the end cuts off.
    Nothing,
    /// A sign like any other.
    Text,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(token) = self.waiting.take() {
            return Some(token);
        }
        if let Some((name, kind)) = self.raw.take()
            && let Some(text) = self.raw_text(name, kind)
        {
            return Some(text);
        }
        let mut from = self.at;
        while let Some(found) = memchr(b'<', &self.bytes()[self.at..]) {
            let at = self.at + found;
            self.at = at;
            let text = (at > from).then(|| Token::Text(&self.text[from..at], Text::Data));
            match self.markup() {
                Markup::Text => self.at = at + 1,
                Markup::Token(token) if text.is_none() => return Some(token),
                Markup::Token(token) => {
                    self.waiting = Some(token);
                    return text;
                }
                Markup::Nothing if text.is_some() => return text,
                Markup::Nothing => from = self.at,
            }
        }
        self.at = self.text.len();
        (self.at > from).then(|| Token::Text(self.since(from), Text::Data))
    }
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// How the content of an element is read that holds text alone. Scripts do not run in mail, so `noscript` is ordinary.
fn raw_kind(name: &str) -> Option<Text> {
    match name {
        "title" | "textarea" => Some(Text::Data),
        "style" | "script" | "xmp" | "iframe" | "noembed" | "noframes" | "plaintext" => Some(Text::Raw),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
