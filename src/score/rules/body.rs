//! How the body is made: empty, loud, all picture, with scripts or forms. What it says is asked by lists of words.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::message::{Content, LinkKind};

use super::look::{Look, Sight, example, seen};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "gtube", look: gtube },
    Rule { name: "body-empty", look: empty },
    Rule { name: "body-white-space", look: white_space },
    Rule { name: "body-capitals", look: capitals },
    Rule { name: "body-exclamations", look: exclamations },
    Rule { name: "body-huge-font", look: |look| seen(look.html()?.font_px_max >= HUGE_FONT_PX) },
    Rule { name: "body-script", look: |look| seen(look.html()?.scripts > 0) },
    Rule { name: "body-form", look: |look| seen(look.html()?.forms > 0) },
    Rule { name: "image-only", look: image_only },
    Rule { name: "image-large-alone", look: image_large_alone },
    Rule { name: "image-in-place-of-text", look: image_in_place_of_text },
    Rule { name: "image-drawn-inside", look: image_drawn_inside },
    Rule { name: "link-and-little-else", look: link_and_little_else },
    Rule { name: "links-many", look: links_many },
    Rule { name: "links-for-little-text", look: links_for_little_text },
];

/// The text by which every filter can be tested: it was agreed to be spam.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// The headings of ordinary newsletters end far below.
const HUGE_FONT_PX: f32 = 72.0;
/// So few letters beside a picture are its signature, not a text.
const FEW_LETTERS: usize = 60;
/// The provider's guide: a lone image over 1 MB.
const LARGE_IMAGE_BYTES: u64 = 1_000_000;
/// The provider's guide asks for few links; letters with a list of news have dozens.
const MANY_LINKS: usize = 60;
/// The provider's guide asks for much text beside links: so many links are no letter's, with so few letters for each.
const LINKS_OF_BUTTONS: usize = 10;
const LETTERS_FOR_EACH_LINK: usize = 20;

fn gtube(look: &Look<'_>) -> Sight {
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(GTUBE));
    let within = |text: &str| FINDER.find(text.as_bytes()).is_some();
    seen(within(&look.message.text) || within(&look.message.plain))
}

fn empty(look: &Look<'_>) -> Sight {
    let images = look.html().is_some_and(|html| html.images > 0);
    seen(look.text.count.letters == 0 && !images && look.message.attachments.is_empty() && !look.message.shape.secured)
}

/// The provider's guide: not over 70 % white space.
fn white_space(look: &Look<'_>) -> Sight {
    let count = look.text.count;
    seen(count.chars >= 100 && count.spaces * 10 > count.chars * 7)
}

/// Of scripts with capitals alone: the letters of the others are neither.
fn capitals(look: &Look<'_>) -> Sight {
    let count = look.text.count;
    seen(count.letters >= 200 && count.capitals * 2 > count.letters)
}

fn exclamations(look: &Look<'_>) -> Sight {
    let count = look.text.count;
    seen(count.exclamations >= 6 && count.exclamations * 150 > count.chars)
}

/// A picture with hardly a letter beside it, which a click takes somewhere.
fn image_only(look: &Look<'_>) -> Sight {
    let html = look.html()?;
    let leads_somewhere = look.clicks.iter().any(|click| click.link.kind == LinkKind::Anchor);
    seen(html.images > 0 && leads_somewhere && look.text.count.letters < FEW_LETTERS && html.images > html.pixels)
}

fn image_large_alone(look: &Look<'_>) -> Sight {
    let large = |file: &crate::message::Attachment| {
        (file.content == Content::Media || file.declared.starts_with("image/")) && file.size_bytes > LARGE_IMAGE_BYTES
    };
    let [only] = look.message.attachments.as_slice() else { return None };
    seen(large(only) && look.text.count.letters < FEW_LETTERS)
}

/// The HTML shows a drawn picture that comes with it, no photograph, and hardly a letter; nothing leads anywhere.
fn image_in_place_of_text(look: &Look<'_>) -> Sight {
    let shows = look.html().is_some_and(|html| html.images > html.remote_images);
    let is_drawn = |file: &crate::message::Attachment| ["image/gif", "image/png"].contains(&file.declared.as_str());
    let drawn = !look.message.attachments.is_empty() && look.message.attachments.iter().all(is_drawn);
    seen(shows && drawn && look.text.count.letters < FEW_LETTERS && look.clicks.is_empty() && !look.is_reply())
}

/// A GIF stands in a first letter: what is to be read is drawn, and text around it is for filters.
fn image_drawn_inside(look: &Look<'_>) -> Sight {
    let is_drawn = |file: &&crate::message::Attachment| file.inline && file.declared == "image/gif";
    let drawn = look.message.attachments.iter().find(is_drawn)?;
    if look.message.html.is_some() && !look.is_reply() { example(&drawn.name) } else { None }
}

/// One line and a link to a stranger's site.
fn link_and_little_else(look: &Look<'_>) -> Sight {
    let strange = look.strange_hosts.first()?;
    let little = look.text.count.letters < 2 * FEW_LETTERS && look.message.attachments.is_empty() && !look.is_reply();
    if little { example(strange) } else { None }
}

fn links_many(look: &Look<'_>) -> Sight {
    seen(look.clicks.len() >= MANY_LINKS)
}

fn links_for_little_text(look: &Look<'_>) -> Sight {
    let links = look.clicks.len();
    seen(links >= LINKS_OF_BUTTONS && look.text.count.letters < links * LETTERS_FOR_EACH_LINK)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Case, Mail, ORDINARY, check, hit, mail, miss};
    use super::*;

    fn drawings() -> Vec<Case> {
        let drawn =
            |declared: &str, mail: Mail| mail.html(|html| html.images = 1).file("a.gif", declared, Content::Media);
        let inside = |declared: &str, mail: Mail| {
            mail.html(|html| html.images = 1).attachment("a", declared, Content::Media, |file| file.inline = true)
        };
        let see = || mail().text("See");
        vec![
            hit("image-in-place-of-text", "a drawn picture", drawn("image/gif", see())),
            miss("image-in-place-of-text", "a photograph", drawn("image/jpeg", see())),
            miss(
                "image-in-place-of-text",
                "a letter with a logo",
                drawn("image/png", mail().text(&ORDINARY.repeat(2))),
            ),
            miss(
                "image-in-place-of-text",
                "a screenshot with a sentence",
                drawn(
                    "image/png",
                    mail().text("Hello Tom, this is what the program shows since Monday: can you have a look? Ann"),
                ),
            ),
            hit("image-drawn-inside", "a GIF with a text for filters", inside("image/gif", mail())),
            miss("image-drawn-inside", "a logo of another form", inside("image/png", mail())),
            miss("image-drawn-inside", "a GIF beside the text", drawn("image/gif", mail())),
            miss("image-drawn-inside", "an answer", inside("image/gif", mail()).field("In-Reply-To", "<1@x>")),
            miss("image-in-place-of-text", "an answer", drawn("image/png", see()).field("In-Reply-To", "<1@x>")),
        ]
    }

    /// Links with less text around them than a letter has.
    fn walls_of_links() -> Vec<Case> {
        let text = |text: &str| mail().text(text);
        let links =
            |count: usize| (0..count).fold(mail(), |mail, n| mail.click(&format!("https://example.org/{n}"), "more"));
        let buttons = |count: usize, said: &str| {
            (0..count).fold(text(&said.repeat(count)), |mail, n| mail.click(&format!("https://a.example/{n}"), said))
        };
        vec![
            hit(
                "link-and-little-else",
                "to a stranger",
                text("Look at this").click("https://strange.example/x", "here"),
            ),
            miss(
                "link-and-little-else",
                "to the sender's own site",
                text("Look").click("https://www.example.org/x", "here"),
            ),
            miss("link-and-little-else", "with a letter around it", mail().click("https://strange.example/x", "here")),
            miss(
                "link-and-little-else",
                "in answer to a question",
                text("Look").click("https://strange.example/x", "x").field("In-Reply-To", "<1@example.net>"),
            ),
            hit("links-many", "a wall", links(MANY_LINKS)),
            miss("links-many", "a letter with news", links(40)),
            hit("links-for-little-text", "buttons alone", buttons(12, "More")),
            miss("links-for-little-text", "a few", buttons(9, "More")),
            miss("links-for-little-text", "with a sentence each", buttons(12, "Read what our gardeners say")),
        ]
    }

    #[test]
    fn hits_and_near_misses() {
        let text = |text: &str| mail().text(text);
        let picture = |bytes: u64| {
            move |mail: super::super::sample::Mail| {
                mail.attachment("a.jpg", "image/jpeg", Content::Media, |file| file.size_bytes = bytes)
            }
        };
        check(
            RULES,
            drawings()
                .into_iter()
                .chain(walls_of_links())
                .chain(vec![
                    hit("gtube", "the test text", text(&format!("Hello\n{GTUBE}\n"))),
                    hit("gtube", "in the plain part alone", {
                        let mut mail = mail();
                        mail.message.plain = GTUBE.to_owned();
                        mail
                    }),
                    miss("gtube", "one letter off", text(&GTUBE.replace("34X", "34Y"))),
                    hit("body-empty", "nothing", text("")),
                    hit("body-empty", "signs alone", text("\n--\n")),
                    miss(
                        "body-empty",
                        "a file is the content",
                        text("").file("a.pdf", "application/pdf", Content::Pdf),
                    ),
                    miss("body-empty", "one word", text("ok")),
                    hit("body-white-space", "holes", text(&"a   \n  \n".repeat(20))),
                    miss("body-white-space", "a short note with a blank line", text("ok\n\n\n\n\n\n\n")),
                    miss("body-white-space", "a table", text(&"item    9.50\n".repeat(20))),
                    hit("body-capitals", "shouted", text(&"THIS IS MOST URGENT. ".repeat(15))),
                    miss(
                        "body-capitals",
                        "a heading",
                        text(&format!("THE MINUTES OF OUR MEETING ARE READY\n{ORDINARY}")),
                    ),
                    miss("body-capitals", "a short line", text("CALL ME AT ONCE, IT IS URGENT")),
                    miss("body-capitals", "a script without capitals", text(&"会议纪要请查收谢谢".repeat(40))),
                    hit("body-exclamations", "each sentence", text(&"Come and see! ".repeat(8))),
                    miss(
                        "body-exclamations",
                        "a glad letter",
                        text(&format!("Hello! How nice! Thank you! {ORDINARY} See you!")),
                    ),
                    hit("body-huge-font", "fills the screen", mail().html(|html| html.font_px_max = 96.0)),
                    miss("body-huge-font", "a heading", mail().html(|html| html.font_px_max = 48.0)),
                    hit("body-script", "an element", mail().html(|html| html.scripts = 1)),
                    miss("body-script", "none", mail().html(|html| html.elements = 400)),
                    hit("body-form", "a form", mail().html(|html| html.forms = 1)),
                    miss("body-form", "none", mail().html(|html| html.images = 1)),
                    hit(
                        "image-only",
                        "a picture that leads elsewhere",
                        text("See").html(|html| html.images = 1).click("https://example.org/", ""),
                    ),
                    miss("image-only", "a picture between friends", text("See").html(|html| html.images = 1)),
                    miss(
                        "image-only",
                        "a letter with a logo",
                        mail().html(|html| html.images = 1).click("https://example.org/", ""),
                    ),
                    miss(
                        "image-only",
                        "a counting pixel is no picture",
                        text("See").html(|html| (html.images, html.pixels) = (1, 1)).click("https://example.org/", ""),
                    ),
                    hit("image-large-alone", "over a megabyte and no text", picture(1_200_000)(text("."))),
                    miss("image-large-alone", "a smaller one", picture(900_000)(text("."))),
                    miss("image-large-alone", "with a letter", picture(1_200_000)(mail())),
                ])
                .collect(),
        );
    }
}
