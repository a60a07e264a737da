//! SpamAssassin's spamd: the command `SYMBOLS`, a score with its threshold, and the names of the rules that matched.

use tokio::io::AsyncWriteExt as _;

use super::connection::{open, read_all};
use super::settings::Scorer;
use super::{AskError, Question};
use crate::mail::Visible;
use crate::reason::Reason;

/// Names of rules that are shown.
const NAMES_MAX: usize = 8;

pub(super) async fn ask(scorer: &Scorer, question: Question<'_>) -> Result<Vec<Reason>, AskError> {
    let mut stream = open(&scorer.endpoint).await?;
    let bytes = &question.bytes[..question.bytes.len().min(scorer.message_bytes_max)];
    let head = format!("SYMBOLS SPAMC/1.5\r\nContent-length: {}\r\n\r\n", bytes.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(bytes).await?;
    // Not closed for writing: spamd takes that as the client having gone.
    stream.flush().await?;
    read(&read_all(&mut stream).await?, scorer.points)
}

fn read(answer: &[u8], points: i32) -> Result<Vec<Reason>, AskError> {
    let text = String::from_utf8_lossy(answer);
    let bad = || AskError::Answer(Visible(&text.chars().take(80).collect::<String>()).to_string());
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(bad)?;
    let mut lines = head.split("\r\n");
    let mut status = lines.next().ok_or_else(bad)?.split_whitespace();
    if !status.next().is_some_and(|protocol| protocol.starts_with("SPAMD/")) {
        return Err(bad());
    }
    if status.next() != Some("0") {
        return Err(AskError::Fault(Visible(&head.chars().take(80).collect::<String>()).to_string()));
    }
    let spam = lines.find_map(|line| line.strip_prefix("Spam:")).ok_or_else(bad)?;
    let (_, numbers) = spam.split_once(';').ok_or_else(bad)?;
    let (score, threshold) = numbers.split_once('/').ok_or_else(bad)?;
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|n| n.is_finite());
    let (score, threshold) = (number(score).ok_or_else(bad)?, number(threshold).ok_or_else(bad)?);
    let points = super::rspamd::share(score, threshold, points);
    if points == 0 {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = body.trim().split(',').filter(|name| !name.is_empty()).take(NAMES_MAX).collect();
    let sentence = format!("SpamAssassin gives {score:.1} of {threshold:.1}: {}", Visible(&names.join(", ")));
    Ok(vec![Reason { name: "spamassassin".into(), points, sentence: sentence.into() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let answer = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 14\r\nSpam: True ; 10.0 / 5.0\r\n\r\nGTUBE,MISSING_X";
        let reasons = read(answer, 100).unwrap();
        assert_eq!(reasons[0].points, 200);
        assert_eq!(reasons[0].sentence, "SpamAssassin gives 10.0 of 5.0: GTUBE, MISSING_X");
        assert_eq!(read(b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.0 / 5.0\r\n\r\n", 100).unwrap(), Vec::new());
        assert!(matches!(read(b"SPAMD/1.0 75 EX_TEMPFAIL\r\n\r\n", 100), Err(AskError::Fault(_))));
        for bad in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\n", b"SPAMD/1.1 0 EX_OK\r\nSpam: x ; nan / 5\r\n\r\n"] {
            assert!(matches!(read(bad, 100), Err(AskError::Answer(_))), "{bad:?}");
        }
    }
}
