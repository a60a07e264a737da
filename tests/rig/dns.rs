//! A DNS server for one zone of fixed answers, over UDP and TCP (RFC 1035), on port 53 or another.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What a name has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Address(IpAddr),
    /// Preference and exchange; `.` as the exchange is the null MX of RFC 7505.
    Mx(u16, String),
    Cname(String),
    /// The name of an address.
    Name(String),
    Text(String),
    /// Every question about the name is answered SERVFAIL.
    ServerFailure,
    /// No question about the name is answered.
    Silence,
}

/// The zone: what is not in it does not exist (NXDOMAIN).
pub(crate) type Zone = HashMap<String, Vec<Record>>;

/// A running server. Dropping it ends it.
pub(crate) struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// How long answers may be kept.
    ttl_seconds: u32,
    zone: Mutex<Zone>,
    /// The name of every question for an address of version 4.
    asked: Mutex<Vec<String>>,
    stopping: AtomicBool,
}

impl Dns {
    /// Its answers live for a second.
    pub(crate) fn start(address: SocketAddr, zone: Zone) -> Self {
        Self::start_with_ttl(address, zone, 1)
    }

    pub(crate) fn start_with_ttl(address: SocketAddr, zone: Zone, ttl_seconds: u32) -> Self {
        let udp = UdpSocket::bind(address).unwrap_or_else(|e| panic!("DNS at {address}: {e}"));
        let tcp = TcpListener::bind(address).unwrap_or_else(|e| panic!("DNS at {address}: {e}"));
        udp.set_read_timeout(Some(Duration::from_millis(100))).expect("not zero");
        tcp.set_nonblocking(true).expect("a listener of ours");
        let shared = Arc::new(Shared { ttl_seconds, zone: Mutex::new(zone), ..Shared::default() });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while !shared.stopping.load(Ordering::Relaxed) {
                    serve_udp(&udp, &shared);
                    while let Ok((stream, _)) = tcp.accept() {
                        // A resolver that goes in the middle asks again.
                        let _ = serve_tcp(stream, &shared);
                    }
                }
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces what a name has.
    pub(crate) fn set(&self, name: &str, records: Vec<Record>) {
        lock(&self.shared.zone).insert(name.to_owned(), records);
    }

    /// How often this name's address of version 4 was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        lock(&self.shared.asked).iter().filter(|asked| *asked == name).count()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve_udp(udp: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 1500];
    if let Ok((count, from)) = udp.recv_from(&mut buffer)
        && let Some(answer) = shared.answer(&buffer[..count])
    {
        let _ = udp.send_to(&answer, from);
    }
}

fn serve_tcp(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    let Some(answer) = shared.answer(&question) else { return Ok(()) };
    stream.write_all(&u16::try_from(answer.len()).map_err(io::Error::other)?.to_be_bytes())?;
    stream.write_all(&answer)
}

const A: u16 = 1;
const CNAME: u16 = 5;
const PTR: u16 = 12;
const MX: u16 = 15;
const AAAA: u16 = 28;
const TXT: u16 = 16;

impl Shared {
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        if let Some((name, at)) = name_asked(question)
            && question.get(at + 1..at + 3) == Some(&A.to_be_bytes())
        {
            lock(&self.asked).push(name);
        }
        answer(question, &lock(&self.zone), self.ttl_seconds)
    }
}

/// The name that is asked about, and where it ends.
fn name_asked(question: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
        at += 1 + length;
    }
}

/// `None` where the question is no question, or must stay unanswered.
fn answer(question: &[u8], zone: &Zone, ttl_seconds: u32) -> Option<Vec<u8>> {
    let (mut name, at) = name_asked(question)?;
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let asked = question.get(12..at + 5)?;

    let mut answers: Vec<Vec<u8>> = Vec::new();
    let mut code = 0;
    // Follows aliases as a resolver would, and lists them.
    for _ in 0..8 {
        let Some(records) = zone.get(&name) else {
            code = 3;
            break;
        };
        if records.contains(&Record::Silence) {
            return None;
        }
        if records.contains(&Record::ServerFailure) {
            code = 2;
            break;
        }
        answers.extend(records.iter().filter_map(|record| resource(&name, kind, record, ttl_seconds)));
        match records.iter().find_map(|r| if let Record::Cname(to) = r { Some(to.clone()) } else { None }) {
            Some(to) if kind != CNAME => {
                answers.extend(resource(&name, CNAME, &Record::Cname(to.clone()), ttl_seconds));
                name = to;
            }
            _ => break,
        }
    }

    let mut out = question[..2].to_vec();
    // Response, recursion desired and available; the response code.
    out.extend([0x81, 0x80 | code, 0, 1]);
    out.extend(u16::try_from(answers.len()).ok()?.to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend(asked);
    out.extend(answers.concat());
    Some(out)
}

fn resource(name: &str, asked: u16, record: &Record, ttl_seconds: u32) -> Option<Vec<u8>> {
    let (kind, data) = match record {
        Record::Address(IpAddr::V4(v4)) => (A, v4.octets().to_vec()),
        Record::Address(IpAddr::V6(v6)) => (AAAA, v6.octets().to_vec()),
        Record::Mx(preference, exchange) => (MX, [preference.to_be_bytes().to_vec(), wire_name(exchange)].concat()),
        Record::Cname(to) => (CNAME, wire_name(to)),
        Record::Name(name) => (PTR, wire_name(name)),
        Record::Text(text) => (TXT, strings(text)),
        Record::ServerFailure | Record::Silence => return None,
    };
    if kind != asked {
        return None;
    }
    let mut out = wire_name(name);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]); // class IN
    out.extend(ttl_seconds.to_be_bytes());
    out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
    out.extend(data);
    Some(out)
}

/// Strings of at most 255 bytes (RFC 1035 3.3.14).
fn strings(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for part in text.as_bytes().chunks(255) {
        out.push(u8::try_from(part.len()).expect("255 at most"));
        out.extend(part);
    }
    out
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("labels are short"));
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

#[test]
fn answers_what_a_resolver_asks() {
    let zone = Zone::from([
        ("example.com".into(), vec![Record::Mx(10, "mx.example.com".into()), Record::Mx(5, ".".into())]),
        ("mx.example.com".into(), vec![Record::Address([127, 0, 0, 9].into())]),
        ("broken.example".into(), vec![Record::ServerFailure]),
        ("silent.example".into(), vec![Record::Silence]),
    ]);
    let ask = |name: &str, kind: u16| {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(wire_name(name));
        question.extend([0, u8::try_from(kind).expect("small"), 0, 1]);
        answer(&question, &zone, 1)
    };
    let cases = [
        // name, type, response code and number of answers, or no answer at all
        ("example.com", MX, Some((0, 2))),
        ("EXAMPLE.com", MX, Some((0, 2))), // names have no case
        ("mx.example.com", A, Some((0, 1))),
        ("mx.example.com", AAAA, Some((0, 0))), // the name exists, the type does not
        ("absent.example", MX, Some((3, 0))),
        ("broken.example", MX, Some((2, 0))),
        ("silent.example", MX, None),
    ];
    for (name, kind, expected) in cases {
        let got = ask(name, kind).map(|answer| (answer[3] & 0x0f, usize::from(answer[7])));
        assert_eq!(got, expected, "{name} type {kind}");
    }
}
