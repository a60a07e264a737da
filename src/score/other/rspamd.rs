//! Rspamd's normal worker: the message by HTTP (`/checkv2`), the answer as JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use super::connection::{ANSWER_BYTES_MAX, open};
use super::settings::Scorer;
use super::{AskError, Question};
use crate::mail::{ReversePath, Visible};
use crate::reason::Reason;

/// Symbols that are shown.
const SYMBOLS_MAX: usize = 6;
/// Recipients that it is told.
const RECIPIENTS_MAX: usize = 50;
/// What a scorer can say in all, as a multiple of the points of its threshold, either way.
const SHARE_MAX: f32 = 3.0;

#[derive(Deserialize)]
struct Reply {
    score: f32,
    required_score: f32,
    #[serde(default)]
    action: String,
    #[serde(default)]
    symbols: BTreeMap<String, Symbol>,
}

#[derive(Deserialize)]
struct Symbol {
    #[serde(default)]
    score: f32,
}

pub(super) async fn ask(scorer: &Scorer, question: Question<'_>) -> Result<Vec<Reason>, AskError> {
    let stream = TokioIo::new(open(&scorer.endpoint).await?);
    let http = |error: hyper::Error| AskError::Answer(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(http)?;
    // Ends with the connection, which ends when `sender` is dropped, at the latest with the time limit around us.
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request(scorer, question)).await.map_err(http)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|error| AskError::Answer(error.to_string()))?.to_bytes();
        if status.is_success() { read(&body, scorer.points) } else { Err(AskError::Fault(format!("HTTP {status}"))) }
    }
    .await;
    driver.abort();
    answer
}

fn request(scorer: &Scorer, question: Question<'_>) -> Request<Full<Bytes>> {
    let bytes = question.bytes.slice(..question.bytes.len().min(scorer.message_bytes_max));
    let mut request = Request::new(Full::new(bytes));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = hyper::Uri::from_static("/checkv2");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("rspamd"));
    // What is not a valid field value (an 8-bit address) is left out rather than changed.
    let mut tell = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    };
    if let Some(envelope) = question.envelope {
        match &envelope.reverse_path {
            ReversePath::Null => tell("from", ""),
            ReversePath::Address(address) => tell("from", address.as_str()),
        }
        for recipient in envelope.recipients.iter().take(RECIPIENTS_MAX) {
            tell("rcpt", recipient.address.as_str());
        }
    }
    if let Some(ip) = question.client {
        tell("ip", &ip.to_string());
    }
    // Not the account: Rspamd skips most of what it knows for mail of users that have logged in.
    if let Some(id) = question.queue_id {
        tell("queue-id", id);
    }
    request
}

fn read(body: &[u8], points: i32) -> Result<Vec<Reason>, AskError> {
    let reply: Reply = serde_json::from_slice(body).map_err(|error| AskError::Answer(error.to_string()))?;
    let points = share(reply.score, reply.required_score, points);
    if points == 0 {
        return Ok(Vec::new());
    }
    // A symbol without points still tells why where it is the only one, as with Rspamd's own test string.
    let mut symbols: Vec<(&str, f32)> =
        reply.symbols.iter().map(|(name, symbol)| (name.as_str(), symbol.score)).collect();
    symbols.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let weighty = symbols.iter().filter(|(_, score)| *score != 0.0).count();
    symbols.truncate(if weighty == 0 { SYMBOLS_MAX } else { weighty });
    let named: Vec<String> =
        symbols.iter().take(SYMBOLS_MAX).map(|(name, score)| format!("{name} {score:+.1}")).collect();
    let sentence = format!(
        "Rspamd gives {:.1} of {:.1} ({}): {}",
        reply.score,
        reply.required_score,
        Visible(&reply.action),
        Visible(&named.join(", "))
    );
    Ok(vec![Reason { name: "rspamd".into(), points, sentence: sentence.into() }])
}

/// The points of a score whose threshold stands for `points`; bounded, so that no other scorer outweighs all else.
pub(super) fn share(score: f32, threshold: f32, points: i32) -> i32 {
    if !score.is_finite() || !threshold.is_finite() || threshold <= 0.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a bounded number of points")]
    let points = ((score / threshold).clamp(-1.0, SHARE_MAX) * points as f32).round() as i32;
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let body = br#"{"score":7.5,"required_score":15.0,"action":"add header",
            "symbols":{"A":{"score":5.0},"B":{"score":0.0},"C":{"score":2.5,"x":1}},"unknown":[]}"#;
        let reasons = read(body, 200).unwrap();
        assert_eq!(reasons[0].points, 100);
        assert_eq!(reasons[0].sentence, "Rspamd gives 7.5 of 15.0 (add header): A +5.0, C +2.5");
        assert!(read(b"{}", 200).is_err());
        assert!(read(b"not json", 200).is_err());
    }

    #[test]
    fn no_scorer_outweighs_all_else() {
        assert_eq!(share(1e30, 15.0, 200), 600);
        assert_eq!(share(-1e30, 15.0, 200), -200);
        assert_eq!((share(f32::NAN, 15.0, 200), share(1.0, 0.0, 200)), (0, 0));
    }
}
