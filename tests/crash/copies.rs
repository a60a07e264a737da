//! The sync of the database fails after its log was copied into it in two parts: the first part was copied without a sync,
//! as SQLite does while a reader holds what follows, and the wal-index that all who have the file open share calls it done.
//! Whoever has it open then, that part is copied again before the log is given up: no sync that succeeds later covers it.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::rig::client::Client;
use crate::rig::faults::{Disk, Fault};
use crate::rig::process::wait_for;
use crate::rig::relay::{Relay, Site, smarthost};
use crate::rig::sink::Sink;
use crate::skip;

const LIMITS: &str = "[limits]\naccount = []\negress = []\n";
/// More log than the helper waits for (8 MiB), in bodies that lie in the database.
const FIRST: usize = 200;
const BODY_LINES: usize = 800;
const SECOND: usize = 10;

struct Scene {
    sink: Sink,
    site: Arc<Site>,
    disk: Disk,
    taken: usize,
}

impl Scene {
    fn set() -> Option<Self> {
        let sink = Sink::start();
        let site = Site::new(&format!("{LIMITS}{}", smarthost(sink.address())));
        let disk = Disk::of(&site)?;
        Some(Self { sink, site, disk, taken: 0 })
    }

    fn submit(&self) -> u16 {
        let mut client = Client::greeted(self.site.address());
        let content = format!("Subject: x\r\n\r\n{}", format!("{}\r\n", "x".repeat(70)).repeat(BODY_LINES));
        client.deliver("a@example.com", &["b@example.net"], content.as_bytes()).expect("an answer").code
    }

    fn take(&mut self, messages: usize) {
        for _ in 0..messages {
            assert_eq!(self.submit(), 250);
        }
        self.taken += messages;
    }

    fn database_bytes(&self) -> u64 {
        std::fs::metadata(self.site.store().join("queue.db")).expect("the database").len()
    }

    /// Another process that reads the store, and what it sees it may go on seeing: nothing later is copied meanwhile.
    fn look(&self) -> Connection {
        let file = self.site.store().join("queue.db");
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
        db.execute_batch("BEGIN; SELECT count(*) FROM message").expect("a read");
        db
    }

    /// Mail is taken behind a gate, half of it is copied, and the sync after the other half fails. Gives what still has the
    /// database open.
    fn fail(&mut self) -> (Relay, Connection) {
        let relay = self.site.start_with(&self.disk.variables());
        assert!(self.site.command(&["hold", "all", "--reason", "a test"]).status.success());
        let first = self.look();
        self.take(FIRST);
        let second = self.look();
        self.take(SECOND);
        let before = self.database_bytes();
        drop(first);
        self.take(1);
        wait_for("the first part to be copied", || self.database_bytes() > before + (4 << 20));
        // It is: SQLite makes the file as long as it will be before it writes the first page.
        std::thread::sleep(Duration::from_millis(500));
        self.disk.turn_on(Fault::NoCopySync);
        second.execute_batch("COMMIT").expect("no look any more");
        self.take(1);
        let line = relay.wait_log(&["ERROR", "the store cannot write", "Input/output error"]);
        assert!(line.contains("kernel log"), "{line}");
        (relay, second)
    }

    fn works_again(&mut self) {
        wait_for("mail to be taken again", || {
            let code = self.submit();
            assert!(matches!(code, 250 | 451), "{code}");
            code == 250
        });
        self.taken += 1;
    }

    fn ends_well(&self, relay: Relay) {
        // What is asked first finds the log copied and given up.
        std::thread::sleep(Duration::from_millis(500));
        assert!(self.site.command(&["resume", "all"]).status.success());
        self.sink.wait_accepted(self.taken);
        relay.stop();
        assert_eq!(self.disk.believed(), "");
    }
}

#[test]
fn what_was_copied_before_a_failed_sync_is_copied_again() {
    let Some(mut scene) = Scene::set() else { skip!("there is no C compiler") };
    let (relay, look) = scene.fail();
    drop(look);
    scene.disk.turn_off();
    scene.works_again();
    scene.ends_well(relay);
}

/// Nothing tells the relay how much of the log another process calls copied: it waits for its end, and says so.
#[test]
fn what_was_copied_before_a_failed_sync_is_copied_again_once_nobody_looks() {
    let Some(mut scene) = Scene::set() else { skip!("there is no C compiler") };
    let (relay, look) = scene.fail();
    scene.disk.turn_off();
    std::thread::sleep(Duration::from_millis(1_500));
    drop(look);
    scene.works_again();
    scene.ends_well(relay);
}

#[test]
fn what_was_copied_before_a_failed_sync_is_copied_again_after_a_crash() {
    let Some(mut scene) = Scene::set() else { skip!("there is no C compiler") };
    let (relay, look) = scene.fail();
    relay.kill();
    scene.disk.turn_off();
    let before = scene.site.log().len();
    let status = scene.site.launch_with(&scene.disk.variables()).process().wait();
    let told = scene.site.log().split_off(before);
    assert_eq!(status.code(), Some(1), "{status}: {told}");
    assert!(told.contains("another process") && told.contains("start again"), "{told}");
    drop(look);
    let relay = scene.site.start_with(&scene.disk.variables());
    scene.take(1);
    scene.ends_well(relay);
}
