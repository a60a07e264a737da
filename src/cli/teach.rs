//! `outguard teach`: what messages were, for the model to learn.

use std::io::{Read as _, Write};

use super::arguments::{Look, TeachCommand};
use super::exit::Failed;
use super::json_line;
use super::moment::local;
use super::queue::tell;
use super::source::Place;
use super::table::Table;
use crate::api::guardian::{LessonRequest, MailLabel};

/// The longest export that is imported, in bytes; a lesson has about 1.3 KiB.
const IMPORT_BYTES_MAX: u64 = 3 << 20;
/// The model is taught in the daemon's memory.
const START_IT: &str = "only the daemon learns; start it (`systemctl start outguard`) and repeat the command";

pub(super) async fn run(place: &Place, command: &TeachCommand, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    match command {
        TeachCommand::Ham { messages } => teach(place, messages, MailLabel::Ham, look, out).await,
        TeachCommand::Spam { messages } => teach(place, messages, MailLabel::Spam, look, out).await,
        TeachCommand::List => list(place, look, out).await,
        TeachCommand::Undo { message } => {
            let asked = LessonRequest::Undo { about: message.clone() };
            let done = Place::needs_daemon(place.client.teach(&asked).await, START_IT)?;
            if !done.changed {
                return Err(Failed::NotFound { what: format!("a lesson about {message}") });
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
