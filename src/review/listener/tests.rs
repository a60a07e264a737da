//! The pages over real sockets: who gets in, what a browser may do, and that hostile text stays text.

use std::net::Ipv4Addr;

use argon2::password_hash::PasswordHasher as _;
use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{Shown, Status};
use super::*;
use crate::align::doctor::{Examined, Finding, Grade};
use crate::clock::{SystemClock, WallMs};

/// A daemon with the worst texts there are.
struct Hostile;

const SCRIPT: &str = "<script>alert(1)</script>\"'&\u{202e}\x1b[2J";

impl Overview for Hostile {
    fn status(&self) -> Shown<'_, Status> {
        Box::pin(std::future::ready(Ok(Status {
            version: "1.2.3".into(),
            started: WallMs(1_795_255_200_000),
            waiting: 12,
            held: 3,
            under_way: 1,
            troubles: vec![SCRIPT.into()],
        })))
    }

    fn examined(&self) -> Examined {
        let of = |grade| Finding {
            subject: format!("{SCRIPT}.example"),
            check: "spf".into(),
            about: SCRIPT.into(),
            grade,
            found: SCRIPT.into(),
            why: "it matters".into(),
            mend: format!("add <b>{SCRIPT}</b>"),
        };
        let findings = vec![of(Grade::Right), of(Grade::Warning), of(Grade::Unknown), of(Grade::Fault)];
        Examined { at_ms: Some(WallMs(1_795_255_200_000)), next_ms: Some(WallMs(1_795_276_800_000)), findings }
    }
}

struct Site {
    address: SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    door: Arc<Door>,
    settings: ReviewSettings,
    _folder: tempfile::TempDir,
}

/// A line of a password file.
fn line(user: &str, password: &str) -> String {
    let cheap = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash = argon2.hash_password_with_salt(password.as_bytes(), b"0123456789abcdef").unwrap();
    format!("{user}:{hash}\n")
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("passwords");
    std::fs::write(&password_file, line("ann", "right")).unwrap();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let names = vec!["Mail.Example.com".to_owned()];
    let settings = ReviewSettings { listen, password_file, names, connections_max: 8 };
    let clock = Arc::new(SystemClock::new().unwrap());
    let listener = PageListener::bind(&settings, clock).await.unwrap();
    let door = listener.door();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(listener.serve(Arc::new(Hostile), stop.clone()));
    Site { address, stop, serving, door, settings, _folder: folder }
}

impl Site {
    /// Sends one request as it is, and gives the whole answer.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn ask(&self, method: &str, path: &str, host: &str, login: Option<&str>) -> String {
        let login = login.map_or_else(String::new, |login| {
            let token = base64::engine::general_purpose::STANDARD.encode(login);
            format!("Authorization: Basic {token}\r\n")
        });
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{login}Connection: close\r\n\r\n")).await
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn who_gets_in() {
    let site = site().await;
    let own = site.address.to_string();
    let right = Some("ann:right");
    let cases = [
        ("GET", "/", own.as_str(), right, 200),
        ("GET", "/doctor", "localhost:9", right, 200), // another port before ours: ssh -L
        ("GET", "/doctor", "[::1]:10081", right, 200),
        ("GET", "/doctor", "mail.example.com", right, 200), // a proxy of ours
        ("HEAD", "/doctor", "localhost", right, 200),
        ("GET", "/", own.as_str(), None, 401),
        ("GET", "/nothing", own.as_str(), None, 401), // who may not look learns nothing
        ("GET", "/nothing", own.as_str(), right, 404),
        ("GET", "/", own.as_str(), Some("ann:wrong"), 401),
        ("GET", "/", own.as_str(), Some("bob:right"), 401),
        ("GET", "/style.css", own.as_str(), None, 200),
        ("POST", "/doctor", own.as_str(), right, 405),
        ("DELETE", "/", own.as_str(), right, 405),
        ("POST", "/doctor", own.as_str(), None, 401),
        ("GET", "/", "evil.example", right, 421), // DNS rebinding: the page of somebody else asks
        ("GET", "/style.css", "evil.example", None, 421),
        ("GET", "/", "localhost.evil.example", right, 421),
        ("GET", "/", "", right, 421),
        ("GET", "http://evil.example/", own.as_str(), right, 421),
    ];
    for (method, path, host, login, expected) in cases {
        let answer = site.ask(method, path, host, login).await;
        assert_eq!(status(&answer), expected, "{method} {path} as {host} with {login:?}: {answer}");
        assert_eq!(answer.contains("www-authenticate: Basic realm=\"outguard\""), expected == 401, "{answer}");
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'\r\n",
            "x-content-type-options: nosniff\r\n",
            "referrer-policy: no-referrer\r\n",
            "x-frame-options: DENY\r\n",
            "cache-control: no-store\r\n",
            "cross-origin-resource-policy: same-origin\r\n",
        ] {
            assert!(answer.contains(header), "{method} {path} {expected} lacks {header}: {answer}");
        }
    }
    for twice in ["Host: localhost\r\nHost: evil.example", "X: y"] {
        let answer = site.raw(&format!("GET / HTTP/1.1\r\n{twice}\r\nConnection: close\r\n\r\n")).await;
        assert!([400, 421].contains(&status(&answer)), "{twice}: {answer}");
    }
    site.stop.cancel();
    site.serving.await.unwrap();
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let site = site().await;
    for path in ["/", "/doctor"] {
        let page = site.ask("GET", path, "localhost", Some("ann:right")).await;
        assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<b>"), "{path}: {page}");
        assert!(
            !page.contains('\u{202e}') && !page.contains('\x1b'),
            "{path}: what a reader cannot see is spelled out"
        );
        assert!(!page.contains(" style=") && !page.contains(" on"), "{path}: nothing for the policy to refuse: {page}");
        for mark in [
            "aria-current=\"page\"",
            "<html lang=\"en\">",
            "<h1>",
            "<main id=\"main\">",
            "scope=\"col\"",
            "<meta name=\"viewport\"",
        ] {
            assert!(page.contains(mark), "{path} lacks {mark}");
        }
    }
    let doctor = site.ask("GET", "/doctor", "localhost", Some("ann:right")).await;
    assert!(doctor.contains("As seen at 2026-11-21 10:00 UTC. It looks again at 2026-11-21 16:00 UTC."), "{doctor}");
    assert!(doctor.contains("Faults: 1, warnings: 1, not known: 1, right: 1."), "{doctor}");
    let place = |grade: &str| doctor.find(&format!("<section class=\"{grade}\"")).unwrap();
    assert!(place("fault") < place("warning") && place("warning") < place("unknown"), "worst first");
}

#[tokio::test]
async fn bad_settings_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("passwords");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings =
        ReviewSettings { listen, password_file: password_file.clone(), names: Vec::new(), connections_max: 1 };
    let bind =
        async |settings: &ReviewSettings| PageListener::bind(settings, Arc::new(SystemClock::new().unwrap())).await;
    let error = bind(&settings).await.unwrap_err();
    assert!(error.to_string().contains("passwords"), "{error}");
    std::fs::write(&password_file, "").unwrap();
    let first = bind(&settings).await.unwrap();
    let taken = ReviewSettings { listen: first.local_addr().unwrap(), ..settings };
    let error = bind(&taken).await.unwrap_err();
    assert!(error.to_string().contains("take a free port"), "{error}");
}

/// Guessing has an end, for right guesses too; who sends no password is asked for one as before.
#[tokio::test]
async fn guesses_are_put_off() {
    let site = Arc::new(site().await);
    // All at once, as somebody who is in a hurry would.
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..30 {
        let site = Arc::clone(&site);
        guesses.spawn(async move { site.ask("GET", "/doctor", "localhost", Some(&format!("ann:guess{n}"))).await });
    }
    let answers = guesses.join_all().await;
    let of = |code: u16| answers.iter().filter(|answer| status(answer) == code).count();
    assert_eq!((of(401), of(429)), (10, 20), "{answers:?}");
    let refused = site.ask("GET", "/doctor", "localhost", Some("ann:right")).await;
    assert_eq!(status(&refused), 429, "{refused}");
    let seconds: u64 = refused.split("retry-after: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    assert!((1..=600).contains(&seconds) && refused.contains("control.sock"), "{refused}");
    assert_eq!(status(&site.ask("GET", "/doctor", "localhost", None).await), 401);
    assert_eq!(status(&site.ask("GET", "/style.css", "localhost", None).await), 200);
}

#[tokio::test]
async fn right_passwords_are_counted_by_nobody_and_a_reload_reads_them_anew() {
    let site = site().await;
    for _ in 0..15 {
        assert_eq!(status(&site.ask("GET", "/doctor", "localhost", Some("ann:right")).await), 200);
    }
    std::fs::write(&site.settings.password_file, line("bob", "fresh")).unwrap();
    assert_eq!(status(&site.ask("GET", "/doctor", "localhost", Some("ann:right")).await), 200, "not yet");
    site.door.take_over(Keys::read(&site.settings).unwrap());
    assert_eq!(status(&site.ask("GET", "/doctor", "localhost", Some("bob:fresh")).await), 200);
    assert_eq!(status(&site.ask("GET", "/doctor", "localhost", Some("ann:right")).await), 401, "gone");
}
