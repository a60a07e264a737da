//! Many clients at once, faster than dispatch holds heads: refills of lines run beside acceptances and ends.

use std::collections::BTreeSet;

use crate::rig::client::Client;
use crate::rig::relay::{Site, smarthost};
use crate::rig::sink::Sink;

/// A refill reads what waits while turns end: it can name a message that has left by the time it is applied. Such a
/// message was once taken for one that cannot be read, and its line, with all other mail of the account, stood still for a
/// minute.
#[test]
fn a_throng_of_clients_holds_up_nothing() {
    const CLIENTS: usize = 60;
    const EACH: usize = 100;
    let sink = Sink::start();
    let limits = "[limits]\naccount = []\negress = []\n";
    let relay = Site::new(&format!("{limits}{}", smarthost(sink.address()))).start();
    let to = relay.site().address();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut session = Client::greeted(to);
                for number in 0..EACH {
                    let content = format!("Subject: {client}/{number};\r\n\r\nx\r\n");
                    let from = format!("sender{}@example.com", client % 3);
                    let heard = session.deliver(&from, &["reader@example.net"], content.as_bytes()).expect("an answer");
                    assert_eq!(heard.code, 250, "{heard:?}");
                }
            });
        }
    });
    let subject =
        |text: String| text.split("Subject: ").nth(1).and_then(|rest| rest.split(';').next()).map(str::to_owned);
    let arrivals = sink.wait_accepted(CLIENTS * EACH);
    let subjects: BTreeSet<String> = arrivals.iter().filter_map(|arrival| subject(arrival.text())).collect();
    assert_eq!((subjects.len(), arrivals.len()), (CLIENTS * EACH, CLIENTS * EACH), "each once");
    let log = relay.site().log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    relay.stop();
}
