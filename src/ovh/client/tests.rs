//! The questions as a faithful server takes them, and what becomes of its answers.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::settings::Endpoint;
use super::*;
use crate::secret::Secret;

const TIME: u64 = 1_457_018_875;
const VALID: &str =
    r#"{"credentialId":1,"status":"validated","rules":[{"method":"GET","path":"/ip/*"}],"expiration":null}"#;

/// A server that tells the time, and then this; and the heads of all requests.
async fn server(status: &'static str, body: &'static str) -> (OvhSettings, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/1.0/", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let (status, body) = if head.starts_with("GET /1.0/auth/time ") {
                ("200 OK", TIME.to_string())
            } else {
                (status, body.to_owned())
            };
            told.lock().unwrap().push(head);
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let settings = OvhSettings {
        endpoint: Endpoint::At(base),
        application_key: secret("the-key"),
        application_secret: secret("the-secret"),
        consumer_key: secret("the-consumer"),
    };
    (settings, heads)
}

#[tokio::test]
async fn what_is_asked_and_what_is_understood() {
    let (settings, heads) = server("200 OK", VALID).await;
    let told = current_credential(&settings, WallMs((TIME - 6) * 1_000)).await.unwrap();
    let expected =
        Credential { status: "validated".into(), expiration: None, rules: vec!["GET /ip/*".into()], clock_ahead_s: 6 };
    assert_eq!(told, expected);
    let heads = heads.lock().unwrap().clone();
    assert!(!heads[0].contains("x-ovh"), "the time is asked for without keys: {}", heads[0]);
    let url = format!("{}/auth/currentCredential", settings.endpoint.base());
    let signature = signature::of_request(&settings, "GET", &url, TIME);
    for field in ["x-ovh-application: the-key", "x-ovh-consumer: the-consumer", &format!("x-ovh-timestamp: {TIME}")] {
        assert!(heads[1].contains(field), "{field}: {}", heads[1]);
    }
    assert!(heads[1].contains(&format!("x-ovh-signature: {signature}")), "{}", heads[1]);
    assert!(!heads[1].contains("the-secret") && !format!("{settings:?}").contains("the-"), "secrets stay here");
}

#[tokio::test]
async fn refusals_and_answers_that_are_none() {
    let refused = |status, code: &str, message: &str| {
        Err(OvhError::Refused { status, code: code.to_owned(), message: message.to_owned() })
    };
    let cases = [
        (
            "403 Forbidden",
            r#"{"errorCode":"INVALID_KEY","httpCode":"403 Forbidden","message":"This application key is invalid"}"#,
            refused(403, "INVALID_KEY", "This application key is invalid"),
        ),
        (
            "403 Forbidden",
            r#"{"class":"Client::Forbidden"}"#,
            refused(403, "Client::Forbidden", "it refuses without a word"),
        ),
        ("503 Unavailable", "<html>", refused(503, "", "it refuses without a word")),
        ("302 Found", "", refused(302, "", "it refuses without a word")), // keys go nowhere else
        (
            "200 OK",
            "[]",
            Err(OvhError::NotReached("the answer to /auth/currentCredential is not what it should be".into())),
        ),
    ];
    for (status, body, expected) in cases {
        let (settings, _) = server(status, body).await;
        assert_eq!(current_credential(&settings, WallMs(0)).await, expected, "{status} {body}");
    }
    let (mut settings, _) = server("200 OK", VALID).await;
    settings.endpoint = Endpoint::At("http://127.0.0.1:9/1.0".into());
    let nobody = current_credential(&settings, WallMs(0)).await;
    assert!(matches!(&nobody, Err(OvhError::NotReached(why)) if why.contains("not reached")), "{nobody:?}");
}
