//! Routes, socket and client together: every question over a real Unix socket.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::client::QueueQuery;
use super::fake::{FakeOperator, FakeStore, message};
use super::guardian::{ReleaseRequest, RemoveRequest};
use super::view::{FlushRequest, GateRequest};
use super::{Api, ApiSettings, Client, ClientError, ControlSocket, Role, SocketError};
use crate::account::LocalPart;
use crate::store::GateKind;

struct Rig {
    client: Client,
    operator: Arc<FakeOperator>,
    settings: ApiSettings,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    _folder: TempDir,
}

fn rig() -> Rig {
    let folder = TempDir::new().unwrap();
    let settings = ApiSettings { socket: folder.path().join("control.sock"), ..ApiSettings::default() };
    let store = FakeStore {
        messages: (1..=3).map(|n| message(n, "shop@example.org", &["b@c.example", "d@c.example"], 1)).collect(),
        gates: Vec::new(),
    };
    let operator = Arc::new(FakeOperator::default());
    let stop = CancellationToken::new();
    let socket = ControlSocket::bind(&settings).unwrap();
    let api = Api::new(Arc::new(store), operator.clone(), operator.clone(), LocalPart::Lower);
    let serving = tokio::spawn(socket.serve(api, stop.clone()));
    Rig { client: Client::new(&settings.socket), operator, settings, stop, serving, _folder: folder }
}

fn status_of(answer: Result<impl std::fmt::Debug, ClientError>) -> u16 {
    match answer {
        Err(ClientError::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn looking() {
    let rig = rig();
    let status = rig.client.status().await.unwrap();
    assert_eq!((status.daemon.unwrap().pid, status.queue.waiting), (42, 3));

    let first = rig.client.queue(&QueueQuery { limit: Some(2), ..QueueQuery::default() }).await.unwrap();
    let rest = rig.client.queue(&QueueQuery { after: first.next.clone(), ..QueueQuery::default() }).await.unwrap();
    let ids: Vec<&str> = first.messages.iter().chain(&rest.messages).map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["0000000001", "0000000002", "0000000003"], "a page goes on where the one before ended");
    let nobody = QueueQuery { account: Some("nobody".into()), ..QueueQuery::default() };
    assert_eq!(rig.client.queue(&nobody).await.unwrap().next, None);

    let detail = rig.client.message("0000000001").await.unwrap();
    assert!(detail.why[0].sentence.contains("used up"));
    assert_eq!(detail.history[0].event.name(), "delivery.deferred", "events keep their name on the way");

    let found = rig.client.trace("<2@shop.example>", None, 5).await.unwrap();
    assert_eq!(found.messages[0].message.id, "0000000002", "a term with < and @ arrives whole");
    assert_eq!(found.next, None);
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = rig.client.trace("shop@example.org", after.as_deref(), 1).await.unwrap();
        pages.extend(page.messages.into_iter().map(|detail| detail.message.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["0000000003", "0000000002", "0000000001"], "newest first, a page at a time");
    assert_eq!(rig.client.limits().await.unwrap().limits[0].key, "shop@example.org", "fullest first");
    let sent = rig.client.sent().await.unwrap();
    assert_eq!((&*sent.spoken_for[0].domain, sent.spoken_for[0].messages), ("example.com", 3));
    let examined = rig.client.doctor().await.unwrap();
    assert_eq!(examined.at_ms, Some(super::fake::THEN));
    let order: Vec<&str> = examined.findings.iter().map(|finding| &*finding.check).collect();
    assert_eq!(order, ["spf", "mx"], "what is worst first");
    let events = rig.client.events(1, 1).await.unwrap();
    assert_eq!((events.events.len(), events.next), (1, 2));
    assert!(rig.client.holds().await.unwrap().gates.is_empty());
}

/// Half a flush left mail due on record that the dispatcher was not told of: stuck until a restart.
#[tokio::test]
async fn a_deed_is_done_to_its_end_though_who_asked_is_gone() {
    let rig = rig();
    let leave = Arc::new(tokio::sync::Notify::new());
    *rig.operator.flush_waits_for.lock().unwrap() = Some(Arc::clone(&leave));
    let client = Client::new(&rig.settings.socket);
    let asking = tokio::spawn(async move { client.flush(&FlushRequest::default()).await });
    let until_told = async |what: &str| {
        let told = || rig.operator.told.lock().unwrap().iter().any(|told| told.starts_with(what));
        let patience = std::time::Duration::from_mins(1);
        let wait = async {
            while !told() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(patience, wait).await.unwrap_or_else(|_| panic!("{what} never came"));
    };
    until_told("flush account").await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await; // the daemon hears of it
    leave.notify_one();
    until_told("flushed to the end").await;
}

#[tokio::test]
async fn deeds_and_refusals() {
    let rig = rig();
    let gate = |kind, key: &str| GateRequest { kind, key: key.into(), reason: "spam".into() };
    let held = rig.client.hold(&gate(GateKind::Account, "Shop@Example.org")).await.unwrap();
    assert_eq!(held.deliveries, 1);
    assert!(!rig.client.resume(&gate(GateKind::All, "")).await.unwrap().changed);
    assert_eq!(rig.client.flush(&FlushRequest::default()).await.unwrap().deliveries, 5);
    assert_eq!(rig.client.remove("0000000001", &RemoveRequest { spam: true }).await.unwrap().deliveries, 2);
    assert_eq!(rig.client.release("0000000001", &ReleaseRequest { allow_ms: Some(5) }).await.unwrap().deliveries, 1);
    let told = rig.operator.told.lock().unwrap().clone();
    let expected = [
        "hold account shop@example.org: spam", // by the name that mail is counted under
        "resume all ",
        "flush account \"\"",
        "remove 0000000001 as spam",
        "release 0000000001 and allow for 5 ms",
    ];
    assert_eq!(told, expected);

    assert_eq!(status_of(rig.client.remove("0000000009", &RemoveRequest::default()).await), 404);
    assert_eq!(status_of(rig.client.message("0000000009").await), 404);
    assert_eq!(status_of(rig.client.message("../../etc").await), 400);
    assert_eq!(status_of(rig.client.hold(&gate(GateKind::Account, " ")).await), 400);
    assert_eq!(status_of(rig.client.hold(&gate(GateKind::All, "x")).await), 400);
    let long = GateRequest { reason: "x".repeat(100_000), ..gate(GateKind::All, "") };
    assert_eq!(status_of(rig.client.hold(&long).await), 400, "bodies are bounded");
    let Err(error) = rig.client.reload().await else { panic!("a reload with faults") };
    assert!(error.to_string().contains("outguard.toml:3:1"), "{error}");
    assert_eq!(error.advice(), "the daemon goes on with the old configuration");
}

#[tokio::test]
async fn the_socket() {
    let rig = rig();
    let mode = std::fs::metadata(&rig.settings.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(matches!(ControlSocket::bind(&rig.settings), Err(SocketError::InUse { .. })), "a second daemon");

    rig.stop.cancel();
    rig.serving.await.unwrap();
    assert!(!rig.settings.socket.exists(), "taken away at the stop");
    assert!(matches!(rig.client.status().await, Err(ClientError::NoDaemon { .. })));

    // A socket that a crash left is replaced; a file is not.
    drop(std::os::unix::net::UnixListener::bind(&rig.settings.socket).unwrap());
    drop(ControlSocket::bind(&rig.settings).unwrap());
    std::fs::write(&rig.settings.socket, "mine").unwrap();
    assert!(matches!(ControlSocket::bind(&rig.settings), Err(SocketError::NotASocket { .. })));
    assert_eq!(std::fs::read(&rig.settings.socket).unwrap(), b"mine");
}

#[tokio::test]
async fn without_a_role_nothing_is_told() {
    use super::caller::Caller;
    use axum::extract::Request;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    let api = || {
        let operator = Arc::new(FakeOperator::default());
        Api::new(Arc::new(FakeStore::default()), operator.clone(), operator, LocalPart::Lower)
    };
    let cases = [
        (None, "/v1/status", "GET", 403), // came by no socket of ours
        (Some(Role::None), "/v1/status", "GET", 403),
        (Some(Role::Read), "/v1/status", "GET", 200),
        (Some(Role::Read), "/v1/reload", "POST", 403),
        (Some(Role::Admin), "/v1/reload", "POST", 409),
        (Some(Role::Admin), "/v2/status", "GET", 404),
    ];
    for (role, path, method, expected) in cases {
        let mut request = Request::builder().method(method).uri(path).body(axum::body::Body::empty()).unwrap();
        if let Some(role) = role {
            request.extensions_mut().insert(Caller { name: "x".into(), role });
        }
        let answer = TowerToHyperService::new(api().routes()).call(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{method} {path} as {role:?}");
    }
}
