//! Attempts over TLS.

use super::*;
use crate::sockets::self_signed::self_signed;

struct Authority {
    config: Arc<rustls::ServerConfig>,
    pem: tempfile::NamedTempFile,
}

fn authority(name: &str) -> Authority {
    let made = self_signed(name);
    let mut pem = tempfile::NamedTempFile::new().unwrap();
    pem.write_all(made.pem.as_bytes()).unwrap();
    Authority { config: made.server, pem }
}

const STARTTLS: &str =
    "S: 220 mx.example\nC: EHLO us.example\nS: 250-mx.example\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS\n";
const AFTER: &str = "C: EHLO us.example\nS: 250-mx.example\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHVzZXIAcHc=\nS: 235 ok";

/// Scripts, mode, credentials, who is believed, whether it works.
type Case<'a> = (&'a [String], TlsMode, &'a [u8], &'a Authority, bool);

#[tokio::test]
async fn required_and_implicit_verify_and_opportunistic_does_not() {
    let good = authority("localhost");
    let other = authority("localhost");
    let names = || Names { addresses: [("localhost", vec!["127.0.0.1".parse().unwrap()])].into(), ..Names::default() };
    let full = format!("{STARTTLS}{AFTER}");
    let implicit = format!("TLS\nS: 220 mx.example\n{AFTER}");
    let open = format!("{STARTTLS}C: EHLO us.example\nS: 250 mx.example");
    let unencrypted = "S: 220 mx.example\nC: EHLO us.example\nS: 250 mx.example";
    let cases: [Case<'_>; 6] = [
        (std::slice::from_ref(&full), TlsMode::Required, b"* user pw", &good, true),
        (std::slice::from_ref(&full), TlsMode::Opportunistic, b"* user pw", &good, true), // counts as required
        (&[implicit], TlsMode::Implicit, b"* user pw", &good, true),
        (std::slice::from_ref(&full), TlsMode::Required, b"* user pw", &other, false), // another authority
        (&[open], TlsMode::Opportunistic, b"", &other, true),
        // TLS breaks: plain text where it is a wish only.
        (
            &[STARTTLS.replace("TLS\n", "X\n").replace("STARTX", "STARTTLS"), unencrypted.to_owned()],
            TlsMode::Opportunistic,
            b"",
            &good,
            true,
        ),
    ];
    for (number, (scripts, tls, credentials, believed, works)) in cases.into_iter().enumerate() {
        let scripts: Vec<&'static str> = scripts.iter().map(|script| &*script.clone().leak()).collect();
        let (address, _task) = server(&scripts, Some(good.config.clone())).await;
        let world = world(|edges| {
            edges.resolver = Arc::new(names());
            edges.tls = Tls::new(Some(believed.pem.path())).unwrap();
        });
        let plan = smarthost("localhost", address.port(), tls, credentials);
        let result = NextHop::connect(&plan, &plan.egresses[0], &world.edges).await;
        match (&result, works) {
            (Ok(_), true) | (Err(DeliveryError::Tls { .. }), false) => {}
            _ => panic!("case {number}: {result:?}"),
        }
    }
}
