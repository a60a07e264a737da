//! ClamAV's clamd: the message in chunks (`INSTREAM`), the name of what was found.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::connection::{ANSWER_BYTES_MAX, open};
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
    let answer = answer(&mut stream).await;
    match (sent, answer) {
        (_, Ok(answer)) if !answer.is_empty() => read(&answer, scorer.points),
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
        (Ok(()), Ok(_)) => Err(AskError::Answer("nothing".to_owned())),
    }
}

/// Up to the NUL that ends it: where clamd closes on what it has not read, all behind that is "connection reset".
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX as u64)).read_until(b'\0', &mut answer).await?;
    Ok(answer)
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
    use bytes::Bytes;
    use tokio::net::UnixListener;

    use super::*;
    use crate::message::Message;
    use crate::score::other::settings::{Endpoint, OnFailure};

    #[tokio::test]
    async fn its_words_are_heard_though_it_hangs_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clamd.ctl");
        let listener = UnixListener::bind(&path).unwrap();
        let clamd = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut begun = [0; 100];
            stream.read_exact(&mut begun).await.unwrap();
            stream.write_all(b"INSTREAM size limit exceeded. ERROR\0").await.unwrap();
        };
        let scorer = Scorer {
            endpoint: Endpoint::Unix(path.clone()),
            timeout: Scorer::TIMEOUT,
            on_failure: OnFailure::Defer,
            points: 300,
            message_bytes_max: 8 << 20,
        };
        let (bytes, message) = (Bytes::from(vec![b'x'; 8 << 20]), Message::default());
        let question =
            Question { bytes: &bytes, message: &message, envelope: None, account: None, client: None, queue_id: None };
        let (answer, ()) = tokio::join!(ask(&scorer, question), clamd);
        assert!(matches!(&answer, Err(AskError::Fault(text)) if text.contains("size limit")), "{answer:?}");
    }

    #[test]
    fn answers() {
        assert_eq!(read(b"stream: OK\0", 300).unwrap(), Vec::new());
        let found = read(b"stream: Win.Test.EICAR_HDB-1 FOUND\0", 300).unwrap();
        assert_eq!((found[0].points, found[0].sentence.as_ref()), (300, "ClamAV found Win.Test.EICAR_HDB-1 in it"));
        assert!(matches!(read(b"INSTREAM size limit exceeded. ERROR\0", 300), Err(AskError::Fault(_))));
        assert!(matches!(read(b"\xff\x1b[2J", 300), Err(AskError::Fault(text)) if !text.contains('\x1b')));
    }
}
