//! Tokens of broken and of whole HTML.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token as Other, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use proptest::prelude::*;

use super::super::entities::{self, Place};
use super::*;

/// A token as both tokenizers tell it.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Text(String),
    Start(String, Vec<(String, String)>),
    End(String),
    Comment(String),
}

fn add(list: &mut Vec<Told>, token: Told) {
    match (list.last_mut(), &token) {
        (Some(Told::Text(text)), Told::Text(more)) => text.push_str(more),
        (_, Told::Text(text)) if text.is_empty() => {}
        _ => list.push(token),
    }
}

fn ours(html: &str) -> Vec<Told> {
    let mut list = Vec::new();
    let mut tokens = Tokens::new(html);
    while let Some(token) = tokens.next() {
        let told = match token {
            Token::Text(text, Text::Raw) => Told::Text(text.to_owned()),
            Token::Text(text, Text::Data) => Told::Text(entities::decoded(text, Place::Text, usize::MAX)),
            Token::Comment(text) => Told::Comment(text.to_owned()),
            Token::End(name) => Told::End(name.as_str().to_owned()),
            Token::Start(name) => {
                let mut attributes: Vec<(String, String)> = Vec::new();
                for attribute in tokens.attributes() {
                    let name = attribute.name.to_ascii_lowercase();
                    if attributes.iter().all(|(known, _)| *known != name) {
                        attributes.push((name, entities::decoded(attribute.value, Place::Attribute, usize::MAX)));
                    }
                }
                Told::Start(name.as_str().to_owned(), attributes)
            }
        };
        add(&mut list, told);
    }
    list
}

struct Sink(RefCell<Vec<Told>>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Other, _line: u64) -> TokenSinkResult<()> {
        let told = match token {
            Other::TagToken(tag) => {
                let name = Name::of(&tag.name).as_str().to_owned();
                let attributes = tag.attrs.iter().map(|a| (a.name.local.to_string(), a.value.to_string())).collect();
                let start = tag.kind == TagKind::StartTag;
                add(
                    &mut self.0.borrow_mut(),
                    if start { Told::Start(name.clone(), attributes) } else { Told::End(name.clone()) },
                );
                return match name.as_str() {
                    _ if !start => TokenSinkResult::Continue,
                    "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                    "plaintext" => TokenSinkResult::Plaintext,
                    "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
                    _ => TokenSinkResult::Continue,
                };
            }
            Other::CommentToken(text) => Told::Comment(text.to_string()),
            Other::CharacterTokens(text) => Told::Text(text.to_string()),
            Other::NullCharacterToken | Other::DoctypeToken(_) | Other::EOFToken | Other::ParseError(_) => {
                return TokenSinkResult::Continue;
            }
        };
        add(&mut self.0.borrow_mut(), told);
        TokenSinkResult::Continue
    }
}

fn theirs(html: &str) -> Vec<Told> {
    let tokenizer =
        Tokenizer::new(Sink(RefCell::default()), TokenizerOpts { discard_bom: false, ..Default::default() });
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.take()
}

/// Pieces that mean something to a tokenizer. Scripts are left out: a comment in one may hide its end tag from a
/// browser, and here what follows such an end is text all the same.
const PIECES: [&str; 62] = [
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "--!>",
    "<!-->",
    "<!--->",
    "--",
    "-",
    "!",
    "<!doctype html>",
    "<!x",
    "<?php ",
    "<![CDATA[",
    "]]>",
    "a",
    "b c",
    " ",
    "\n",
    "\t",
    "=",
    "\"",
    "'",
    "`",
    "/",
    "<p",
    "<P CLASS=x>",
    "</p>",
    "<a href=",
    "<a href='x y'>",
    "<img/src=\"a\"b=c>",
    "<br/>",
    "<title>",
    "</title>",
    "</titlex>",
    "</TITLE >",
    "<style>",
    "</style>",
    "</style/",
    "<textarea>",
    "</textarea>",
    "<iframe>",
    "</iframe>",
    "<xmp>",
    "</xmp>",
    "&amp;",
    "&amp",
    "&ampx",
    "&lt",
    "&notit;",
    "&notin;",
    "&#65;",
    "&#x41",
    "&#0;",
    "&#x110000;",
    "&#128;",
    "&;",
    "&",
    "é",
    "<p\u{e9} x=1 x=2 =y>",
];

fn pieces() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..14).prop_map(|list| list.concat())
}

proptest! {
    /// The fast one against the slow truth.
    #[test]
    fn cut_as_a_browser_cuts(html in pieces()) {
        prop_assert_eq!(ours(&html), theirs(&html), "{:?}", html);
    }
}

#[test]
fn attributes_past_the_bound_are_left_out() {
    let html = format!("<p {}>x", "a=1 ".repeat(10_000));
    let mut tokens = Tokens::new(&html);
    assert!(matches!(tokens.next(), Some(Token::Start(name)) if name.as_str() == "p"));
    assert_eq!(tokens.attributes().len(), ATTRIBUTES_MAX);
    assert_eq!(tokens.next(), Some(Token::Text("x", Text::Data)));
    assert_eq!(tokens.next(), None);
}
