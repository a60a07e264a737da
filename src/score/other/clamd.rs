//! ClamAV's clamd: the message in chunks (`INSTREAM`), the name of what was found.

use tokio::io::AsyncWriteExt as _;

use super::connection::{open, read_all};
use super::settings::Scorer;
use super::{AskError, Question};
use crate::mail::Visible;
use crate::reason::Reason;

/// The bytes of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// The longest name of a find that is shown, in bytes.
const NAME_BYTES_MAX: usize = 120;

pub(super) async fn ask(scorer: &Scorer, question: Question<'_>) -> Result<Vec<Reason>, AskError> {
    let mut stream = open(&scorer.endpoint).await?;
    let sent = send(&mut stream, &question.bytes[..question.bytes.len().min(scorer.message_bytes_max)]).await;
    // Past its own limit clamd says so and closes while we still send: its words are worth more than the broken pipe.
    let answer = read_all(&mut stream).await;
    match (sent, answer) {
        (_, Ok(answer)) if !answer.is_empty() => read(&answer, scorer.points),
        (Err(error), _) => Err(error.into()),
        (Ok(()), Ok(_)) => Err(AskError::Answer("nothing".to_owned())),
        (Ok(()), Err(error)) => Err(error),
    }
}

async fn send(stream: &mut (impl tokio::io::AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(b"zINSTREAM\0").await?;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let length = u32::try_from(chunk.len()).expect("a chunk is small");
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(chunk).await?;
    }
    stream.write_all(&0_u32.to_be_bytes()).await?;
    stream.flush().await
}

fn read(answer: &[u8], points: i32) -> Result<Vec<Reason>, AskError> {
    let text = String::from_utf8_lossy(answer);
    let text = text.trim_end_matches(['\0', '\n']).trim();
    let verdict = text.strip_prefix("stream:").unwrap_or(text).trim();
    if verdict == "OK" {
        return Ok(Vec::new());
    }
    match verdict.strip_suffix("FOUND") {
        Some(name) => {
            let name: String = name.trim().chars().take(NAME_BYTES_MAX).collect();
            Ok(vec![Reason {
                name: "clamav".into(),
                points,
                sentence: format!("ClamAV found {} in it", Visible(&name)).into(),
            }])
        }
        None => Err(AskError::Fault(Visible(&text.chars().take(200).collect::<String>()).to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(read(b"stream: OK\0", 300).unwrap(), Vec::new());
        let found = read(b"stream: Win.Test.EICAR_HDB-1 FOUND\0", 300).unwrap();
        assert_eq!((found[0].points, found[0].sentence.as_ref()), (300, "ClamAV found Win.Test.EICAR_HDB-1 in it"));
        assert!(matches!(read(b"INSTREAM size limit exceeded. ERROR\0", 300), Err(AskError::Fault(_))));
        assert!(matches!(read(b"\xff\x1b[2J", 300), Err(AskError::Fault(text)) if !text.contains('\x1b')));
    }
}
