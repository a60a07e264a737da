//! Next hops that play a script, and what is needed to send to them.
//!
//! A script is lines: `S: text` is said, `C: text` must be heard, `C*` takes content up to the final dot, `W: 5` waits so many
//! milliseconds, `TLS` agrees on TLS and `X` closes.
#![cfg(test)]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dns::{DnsError, DnsFuture, Resolver};
use super::mx::Mx;
use super::next_hop::Edges;
use super::route::{Plan, Router};
use super::settings::{DeliverySettings, RouteKind, RouteMatch, RouteSettings, SmarthostSettings, Timeouts, TlsMode};
use super::{Abandoned, Outgoing, ReplyTable, Tls};
use crate::align::sign::Signer;
use crate::delivery::credentials::Credentials;
use crate::delivery::settings::EightBit;
use crate::mail::{Address, BodyType, QueueId, Recipient, ReversePath};
use crate::store::query::ContentBody;
use crate::store::{Content, Destination, Index, Lease, Stored};

/// What a script heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The content, dots still stuffed.
    pub(super) content: Vec<u8>,
}

/// Plays one script a connection, in order.
pub(super) async fn server(
    scripts: &[&'static str],
    tls: Option<Arc<rustls::ServerConfig>>,
) -> (SocketAddr, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let scripts = scripts.to_vec();
    let task = tokio::spawn(async move {
        let mut heard = Heard::default();
        for script in scripts {
            let (tcp, _) = listener.accept().await.unwrap();
            play(tcp, script, tls.clone(), &mut heard).await;
        }
        heard
    });
    (address, task)
}

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

async fn play(tcp: TcpStream, script: &str, tls: Option<Arc<rustls::ServerConfig>>, heard: &mut Heard) {
    let mut stream: BufReader<Box<dyn Both>> = BufReader::new(Box::new(tcp));
    for step in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut line = Vec::new();
        if step == "TLS" {
            let acceptor = tokio_rustls::TlsAcceptor::from(tls.clone().unwrap());
            let Ok(agreed) = acceptor.accept(stream.into_inner()).await else { return };
            stream = BufReader::new(Box::new(agreed));
        } else if step == "X" {
            return;
        } else if step == "C*" {
            loop {
                line.clear();
                stream.read_until(b'\n', &mut line).await.unwrap();
                assert!(!line.is_empty(), "closed in the middle of content");
                if line == b".\r\n" {
                    break;
                }
                heard.content.extend_from_slice(&line);
            }
        } else if let Some(millis) = step.strip_prefix("W: ") {
            tokio::time::sleep(Duration::from_millis(millis.parse().unwrap())).await;
        } else if let Some(text) = step.strip_prefix("S: ") {
            stream.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        } else if let Some(text) = step.strip_prefix("C: ") {
            stream.read_until(b'\n', &mut line).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&line).trim_end(), text, "in\n{script}");
        } else {
            panic!("no step: {step}");
        }
    }
    // Whatever comes after the script is left to the other side to end.
    let _ = stream.read_until(0, &mut Vec::new()).await;
}

/// Names and their answers.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) mx: HashMap<&'static str, Result<Vec<Mx>, DnsError>>,
    pub(super) addresses: HashMap<&'static str, Vec<IpAddr>>,
}

impl Resolver for Names {
    fn mx<'a>(&'a self, domain: &'a str) -> DnsFuture<'a, Vec<Mx>> {
        let answer = self.mx.get(domain).cloned().unwrap_or(Err(DnsError::NoRecords));
        Box::pin(async move { answer })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> DnsFuture<'a, Vec<IpAddr>> {
        let answer = self.addresses.get(host).cloned().ok_or(DnsError::NoSuchName);
        Box::pin(async move { answer })
    }
}

/// The world of a test.
pub(super) struct World {
    pub(super) edges: Arc<Edges>,
    pub(super) abandoned: mpsc::UnboundedReceiver<Abandoned>,
}

pub(super) fn world(change: impl FnOnce(&mut Edges)) -> World {
    let (sender, abandoned) = mpsc::unbounded_channel();
    let mut edges = Edges {
        resolver: Arc::new(Names::default()),
        tls: Tls::new(None).unwrap(),
        timeouts: Timeouts::default(),
        eightbit: EightBit::Send,
        replies: Arc::new(ReplyTable::embedded()),
        listeners: Vec::new(),
        random: Box::new(|| 7),
        signer: Signer::default(),
        abandoned: sender,
    };
    change(&mut edges);
    World { edges: Arc::new(edges), abandoned }
}

/// A plan for a smarthost at this address.
pub(super) fn smarthost(host: &str, port: u16, tls: TlsMode, credentials: &[u8]) -> Plan {
    let credentials =
        if credentials.is_empty() { Credentials::default() } else { Credentials::parse(credentials).unwrap() };
    let kind =
        RouteKind::Smarthost(SmarthostSettings { host: host.to_owned(), port, tls, credentials: credentials.clone() });
    let (name, matches) = ("hub".to_owned(), RouteMatch::default());
    let route = RouteSettings { name, matches, kind, egresses: Vec::new(), concurrency: 1 };
    let settings = DeliverySettings { routes: vec![route], ..DeliverySettings::default() };
    let name = if credentials.is_empty() { "hub" } else { "hub login=user" };
    Router::new(&settings, "us.example").unwrap().plan(&Destination(name.into())).unwrap()
}

/// A message of these bytes to `b@x` and so on.
pub(super) fn message(prefix: &'static [u8], body: &'static [u8], to: &[&str]) -> (Stored<Lease>, Outgoing) {
    let recipients: Vec<(Index, Recipient)> =
        (0..).zip(to).map(|(n, text)| (Index(n), Recipient::plain(Address::parse(text.as_bytes()).unwrap()))).collect();
    let lease = Lease::pretended(QueueId::new(1).unwrap(), recipients.iter().map(|(index, _)| *index).collect());
    let content = Content {
        prefix: Bytes::from_static(prefix),
        body: ContentBody::Bytes(Bytes::from_static(body)),
        size_bytes: (prefix.len() + body.len()) as u64,
    };
    let message = Outgoing {
        reverse_path: ReversePath::parse(b"a@example.org").unwrap(),
        recipients,
        body_type: BodyType::SevenBit,
        smtputf8: false,
        header_needs_utf8: false,
        ret: None,
        envid: None,
        content,
    };
    (Stored::pretended(lease), message)
}
