//! `outguard teach`: what messages were, for the model to learn.

use std::io::{Read as _, Write};
use std::path::Path;

use super::arguments::{Look, TaughtMessages, TeachCommand};
use super::exit::Failed;
use super::moment::local;
use super::queue::tell;
use super::source::Place;
use super::table::Table;
use super::{flagged, json_line, mailbox};
use crate::api::guardian::{LessonRequest, MailLabel};
use crate::api::view::Done;
use crate::clock::{Clock, SystemClock};
use crate::intake::peer::user_name;
use crate::message::{Bounds, Message};
use crate::score::model::features::{Features, Words};
use crate::score::model::lesson::Lesson;
use crate::score::model::sketch::Sketch;
use crate::score::model::train::Label;

/// The longest export that is imported, in bytes; a lesson has about 1.3 KiB.
const IMPORT_BYTES_MAX: u64 = 3 << 20;
/// Lessons that are sent in one request.
const LESSONS_AT_ONCE: usize = 1_000;
/// The model is taught in the daemon's memory.
pub(super) const START_IT: &str =
    "only the daemon learns; start it (`systemctl start outguard`) and repeat the command";

pub(super) async fn run(place: &Place, command: &TeachCommand, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    match command {
        TeachCommand::Ham(asked) if asked.files => teach_files(place, asked, Label::Ham, look, out).await,
        TeachCommand::Spam(asked) if asked.files => teach_files(place, asked, Label::Spam, look, out).await,
        TeachCommand::Ham(asked) => teach(place, &asked.messages, MailLabel::Ham, look, out).await,
        TeachCommand::Spam(asked) => teach(place, &asked.messages, MailLabel::Spam, look, out).await,
        TeachCommand::Flagged { list } => flagged::run(place, list.as_deref(), look, out).await,
        TeachCommand::List => list(place, look, out).await,
        TeachCommand::Undo { message } => {
            let asked = LessonRequest::Undo { about: message.clone() };
            let done = Place::needs_daemon(place.client.teach(&asked).await, START_IT)?;
            if !done.changed {
                let what = format!("a lesson about {message}");
                return Err(Failed::NotFound { what, advice: "`outguard teach list` lists the lessons" });
            }
            tell(look, out, &done, "the lesson is taken back, as if it had never been taught")
        }
        TeachCommand::Export => {
            for lesson in Place::needs_daemon(place.client.lessons().await, START_IT)?.lessons {
                writeln!(out, "{}", lesson.line)?;
            }
            Ok(())
        }
        TeachCommand::Import => {
            let mut lines = String::new();
            std::io::stdin().lock().take(IMPORT_BYTES_MAX + 1).read_to_string(&mut lines)?;
            if lines.len() as u64 > IMPORT_BYTES_MAX {
                let what = format!("more than {} MiB of lessons; import them in parts", IMPORT_BYTES_MAX >> 20);
                return Err(Failed::Usage { what });
            }
            let done = Place::needs_daemon(place.client.teach(&LessonRequest::Import { lines }).await, START_IT)?;
            tell(look, out, &done, &format!("{} taken", lessons(done.deliveries)))
        }
    }
}

async fn teach(
    place: &Place,
    messages: &[String],
    label: MailLabel,
    look: Look,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    for about in messages {
        let asked = LessonRequest::Teach { about: about.clone(), label };
        let done = Place::needs_daemon(place.client.teach(&asked).await, START_IT)?;
        let sentence = match done.deliveries {
            0 => format!("{about}: known already"),
            n => format!("{about}: {} learned", lessons(n)),
        };
        tell(look, out, &done, &sentence)?;
    }
    Ok(())
}

/// Lessons of messages in files: made here, taken by the daemon as an import is. A lesson is named by its Message-ID, so
/// that the same message twice is one lesson.
async fn teach_files(
    place: &Place,
    asked: &TaughtMessages,
    label: Label,
    look: Look,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let mut files = Vec::new();
    for path in &asked.messages {
        if !Path::new(path).exists() {
            return Err(mailbox::absent(Path::new(path)));
        }
        mailbox::files_under(Path::new(path), &mut files)?;
    }
    let now = SystemClock::new()?.now().wall;
    let uid = rustix::process::getuid().as_raw();
    let by = user_name(uid).unwrap_or_else(|| format!("uid {uid}"));
    let mut lines = Vec::new();
    for file in &files {
        let bytes = std::fs::read(file).map_err(mailbox::at(file))?;
        for (index, message) in mailbox::messages(&bytes).into_iter().enumerate() {
            let message = Message::parse(message, &Bounds::default());
            let about = lesson_name(&message, &format!("{}#{}", file.display(), index + 1));
            let sketch = Sketch::of(&Features::of(&message, Words::Dropped));
            lines.push(Lesson { about, by: by.clone(), at: now, label, sketch, account: None }.to_line());
        }
    }
    let mut taken = Done::default();
    for lines in lines.chunks(LESSONS_AT_ONCE) {
        let request = LessonRequest::Import { lines: lines.join("\n") };
        let done = Place::needs_daemon(place.client.teach(&request).await, START_IT)?;
        taken.changed |= done.changed;
        taken.deliveries += done.deliveries;
    }
    let sentence = format!("{} learned of {} messages", lessons(taken.deliveries), lines.len());
    tell(look, out, &taken, &sentence)
}

fn lesson_name(message: &Message, otherwise: &str) -> String {
    const NAME_BYTES_MAX: usize = 250;
    let id = message.field("Message-ID").map(str::trim).filter(|id| !id.is_empty() && id.len() <= NAME_BYTES_MAX);
    let name = id.unwrap_or(otherwise);
    // Of a path the end says more.
    let from = name.len().saturating_sub(NAME_BYTES_MAX);
    name[name.ceil_char_boundary(from)..].to_owned()
}

async fn list(place: &Place, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let found = Place::needs_daemon(place.client.lessons().await, START_IT)?;
    if look == Look::Json {
        return found.lessons.iter().try_for_each(|lesson| json_line(out, lesson));
    }
    if found.lessons.is_empty() {
        writeln!(out, "nothing was taught; `outguard queue release` and `outguard teach` do")?;
        return Ok(());
    }
    let mut table = Table::new(&["TAUGHT", "WAS", "BY", "MESSAGE"]);
    for lesson in found.lessons {
        let was = match lesson.label {
            MailLabel::Ham => "ham",
            MailLabel::Spam => "spam",
        };
        table.row(&[local(lesson.at_ms), was.to_owned(), lesson.by, lesson.about]);
    }
    Ok(table.print(out)?)
}

fn lessons(n: u64) -> String {
    if n == 1 { "1 lesson".to_owned() } else { format!("{n} lessons") }
}
