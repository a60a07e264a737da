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
    server_of(&[(status, body)]).await
}

/// The same with an answer to each signed request, the last to all further ones; its clock goes on by a second each time.
async fn server_of(answers: &[(&'static str, &'static str)]) -> (OvhSettings, Arc<Mutex<Vec<String>>>) {
    let answers = answers.to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/1.0/", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heads);
    tokio::spawn(async move {
        let (mut time, mut nth) = (TIME, 0);
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let mut head = String::from_utf8(head).unwrap();
            if let Some((_, length)) = head.split_once("content-length: ") {
                let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
                stream.read_exact(&mut body).await.unwrap();
                head.push_str(&String::from_utf8(body).unwrap());
            }
            let (status, body) = if head.starts_with("GET /1.0/auth/time ") {
                time += 1;
                ("200 OK", (time - 1).to_string())
            } else {
                nth += 1;
                let (status, body) = answers[(nth - 1).min(answers.len() - 1)];
                (status, body.to_owned())
            };
            told.lock().unwrap().push(head);
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let credentials = Credentials::Keys(Keys {
        application_key: secret("the-key"),
        application_secret: secret("the-secret"),
        consumer_key: secret("the-consumer"),
    });
    (OvhSettings { endpoint: Endpoint::At(base), credentials }, heads)
}

#[tokio::test]
async fn what_is_asked_and_what_is_understood() {
    let (settings, heads) = server("200 OK", VALID).await;
    let told = worth(&settings, WallMs((TIME - 6) * 1_000)).await;
    let expected = Credential { status: "validated".into(), expiration: None, rules: vec!["GET /ip/*".into()] };
    assert_eq!(told, Looked { clock_ahead_s: Ok(6), credential: Ok(Worth::Keys(expected)) });
    let heads = heads.lock().unwrap().clone();
    assert!(!heads[0].contains("x-ovh"), "the time is asked for without keys: {}", heads[0]);
    let url = format!("{}/auth/currentCredential", settings.endpoint.base());
    let Credentials::Keys(keys) = &settings.credentials else { unreachable!("as the server gave them") };
    let signature = signature::of_request(keys, "GET", &url, TIME);
    for field in ["x-ovh-application: the-key", "x-ovh-consumer: the-consumer", &format!("x-ovh-timestamp: {TIME}")] {
        assert!(heads[1].contains(field), "{field}: {}", heads[1]);
    }
    assert!(heads[1].contains(&format!("x-ovh-signature: {signature}")), "{}", heads[1]);
    assert!(!heads[1].contains("the-secret") && !format!("{settings:?}").contains("the-"), "secrets stay here");
}

#[tokio::test]
async fn refusals_and_answers_that_are_none() {
    let refused = |status, code: &str, message: &str, missing: &[&str]| {
        let missing = missing.iter().map(ToString::to_string).collect();
        Err(OvhError::Refused { status, code: code.to_owned(), message: message.to_owned(), missing })
    };
    let silent = "it refuses without a word";
    let cases = [
        (
            "403 Forbidden",
            r#"{"errorCode":"INVALID_KEY","httpCode":"403 Forbidden","message":"This application key is invalid"}"#,
            refused(403, "INVALID_KEY", "This application key is invalid", &[]),
        ),
        ("403 Forbidden", r#"{"class":"Client::Forbidden"}"#, refused(403, "Client::Forbidden", silent, &[])),
        (
            "403 Forbidden",
            r#"{"class":"Client::Forbidden","details":{"unauthorizedActionsByIAM":"ip:apiovh:get, ip:apiovh:spam/get"}}"#,
            refused(403, "Client::Forbidden", silent, &["ip:apiovh:get", "ip:apiovh:spam/get"]),
        ),
        (
            "403 Forbidden",
            r#"{"class":"Client::Forbidden","details":{"unauthorizedActionsByIAM":["ip:apiovh:get"]}}"#,
            refused(403, "Client::Forbidden", silent, &["ip:apiovh:get"]),
        ),
        // An odd shape beside it hides nothing.
        (
            "403 Forbidden",
            r#"{"errorCode":"NOT_CREDENTIAL","details":[]}"#,
            refused(403, "NOT_CREDENTIAL", silent, &[]),
        ),
        ("503 Unavailable", "<html>", Err(OvhError::Trouble { status: 503 })),
        ("429 Too Many Requests", "{}", Err(OvhError::Busy { retry_after_s: None })),
        ("429 Too Many Requests\r\nretry-after: 7", "", Err(OvhError::Busy { retry_after_s: Some(7) })),
        ("429 Too Many Requests\r\nretry-after: soon", "", Err(OvhError::Busy { retry_after_s: None })),
        ("302 Found", "", refused(302, "", silent, &[])), // keys go nowhere else
        (
            "200 OK",
            "[]",
            Err(OvhError::NotReached("the answer to /auth/currentCredential is not what it should be".into())),
        ),
    ];
    for (status, body, expected) in cases {
        let (settings, heads) = server(status, body).await;
        let looked = worth(&settings, WallMs(TIME * 1_000)).await;
        assert_eq!(looked, Looked { clock_ahead_s: Ok(0), credential: expected }, "{status} {body}");
        assert_eq!(heads.lock().unwrap().len(), 2, "asked once: {status} {body}");
    }
    let (mut settings, _) = server("200 OK", VALID).await;
    settings.endpoint = Endpoint::At("http://127.0.0.1:9/1.0".into());
    let nobody = worth(&settings, WallMs(0)).await;
    assert!(matches!(&nobody.credential, Err(OvhError::NotReached(why)) if why.contains("not reached")), "{nobody:?}");
    assert!(nobody.clock_ahead_s.is_err());
}

/// A service account: a token for its id and secret, and then the one question that changes nothing.
#[tokio::test]
async fn a_service_account_gets_a_token_and_uses_it() {
    let token = r#"{"access_token":"the-token","token_type":"Bearer","expires_in":3599,"scope":"all"}"#;
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let account = || {
        let account = ServiceAccount { client_id: secret("EU.the-id"), client_secret: secret("the secret") };
        Credentials::ServiceAccount(account)
    };
    let (settings, heads) = server_of(&[("200 OK", token), ("200 OK", "[]")]).await;
    let settings = OvhSettings { credentials: account(), ..settings };
    let looked = worth(&settings, WallMs(TIME * 1_000)).await;
    assert_eq!(looked, Looked { clock_ahead_s: Ok(0), credential: Ok(Worth::ServiceAccount { listing: Ok(()) }) });
    let heads = heads.lock().unwrap().clone();
    assert!(heads[1].starts_with("POST /auth/oauth2/token HTTP/1.1\r\n"), "{}", heads[1]);
    let form = "\r\n\r\ngrant_type=client_credentials&client_id=EU.the-id&client_secret=the+secret&scope=all";
    assert!(heads[1].ends_with(form) && !heads[1].contains("x-ovh"), "{}", heads[1]);
    assert!(heads[2].starts_with("GET /1.0/ip HTTP/1.1\r\n"), "{}", heads[2]);
    assert!(heads[2].contains("authorization: Bearer the-token\r\n") && !heads[2].contains("x-ovh"), "{}", heads[2]);
    assert_eq!(heads.len(), 3);
    assert!(!format!("{settings:?}").contains("the secret"), "secrets stay here");

    let unknown = r#"{"error":"invalid_client","error_description":"no such client"}"#;
    for (status, told) in [("200 OK", 200), ("401 Unauthorized", 401)] {
        let (settings, heads) = server(status, unknown).await;
        let looked = worth(&OvhSettings { credentials: account(), ..settings }, WallMs(0)).await;
        let (code, message) = ("invalid_client".to_owned(), "no such client".to_owned());
        assert_eq!(looked.credential, Err(OvhError::Refused { status: told, code, message, missing: vec![] }));
        assert_eq!(heads.lock().unwrap().len(), 2, "nothing is asked without a token");
    }
    let lacks = r#"{"class":"Client::Forbidden","details":{"unauthorizedActionsByIAM":["ip:apiovh:get"]}}"#;
    let (settings, _) = server_of(&[("200 OK", token), ("403 Forbidden", lacks)]).await;
    let looked = worth(&OvhSettings { credentials: account(), ..settings }, WallMs(0)).await;
    let Ok(Worth::ServiceAccount { listing: Err(OvhError::Refused { missing, .. }) }) = looked.credential else {
        panic!("{looked:?}")
    };
    assert_eq!(missing, ["ip:apiovh:get"]);
}

/// Between its word of the time and our question its clock may have gone on: asked once more, and no more.
#[tokio::test]
async fn what_is_not_of_its_time_is_signed_anew_once() {
    for refusal in [
        r#"{"errorCode":"INVALID_SIGNATURE","message":"Invalid signature"}"#,
        r#"{"errorCode":"QUERY_TIME_OUT","message":"Query out of time"}"#,
    ] {
        let bad = ("400 Bad Request", refusal);
        let (settings, heads) = server_of(&[bad, ("200 OK", VALID)]).await;
        let looked = worth(&settings, WallMs(TIME * 1_000)).await;
        assert!(looked.credential.is_ok(), "{refusal}: {looked:?}");
        let stamps: Vec<bool> = [TIME, TIME + 1]
            .iter()
            .map(|time| heads.lock().unwrap().iter().any(|head| head.contains(&format!("x-ovh-timestamp: {time}\r\n"))))
            .collect();
        assert_eq!(stamps, [true, true], "with the time of then: {heads:?}");

        let (settings, heads) = server_of(&[bad]).await;
        let looked = worth(&settings, WallMs(TIME * 1_000)).await;
        assert!(matches!(looked.credential, Err(OvhError::Refused { status: 400, .. })), "{looked:?}");
        assert_eq!(heads.lock().unwrap().len(), 4, "time, keys, time, keys");
    }
}
