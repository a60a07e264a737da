//! A process that is killed: what it was told is stored is there afterwards.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use outguard::mail::QueueId;
use outguard::store::{DeliveryState, Filter, Page, Reads as _, Store};

use super::sample::{FixedClock, at, conclusion, deferred, delivered, message, open, request, settings, states, wall};

const FOLDER: &str = "OUTGUARD_TEST_CRASH_FOLDER";
const ROUNDS: usize = 6;

/// Not a test: what is killed. Tells each answer on its standard output, a line each.
#[test]
#[ignore = "started by the crash test"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..8 {
            tasks.spawn(submit(Arc::clone(&store), n));
        }
        tasks.join_all().await;
    });
}

async fn submit(store: Arc<dyn Store>, n: u32) {
    for turn in n.. {
        let mut m = message(&*store, at(0), &["b@example.net", "c@example.net"]);
        let id = m.id;
        if turn % 16 == 0 {
            m.body = store.spool(id).await.unwrap().finish().await.unwrap();
        }
        store.accept(m).await.unwrap().into_inner();
        tell('A', id);
        let lease = store.lease(request(id, &[0, 1], at(1))).await.unwrap().into_inner();
        let second = if turn % 2 == 0 { delivered(1) } else { deferred(1, wall(99_000)) };
        store.conclude(conclusion(lease, at(2), vec![delivered(0), second]), None).await.unwrap().into_inner();
        tell(if turn % 2 == 0 { 'D' } else { 'F' }, id);
    }
}

/// The pipe outlives the process: what was written before the kill is read.
fn tell(what: char, id: QueueId) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{what} {id}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn what_was_told_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (mut accepted, mut both, mut one) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for line in lines_of_a_killed_child(&path, 10 + 13 * round) {
            let Some((what, id)) = line.split_once(' ') else { continue };
            let Ok(id) = id.parse::<QueueId>() else { continue };
            match what {
                "A" => accepted.push(id),
                "D" => both.push(id),
                "F" => one.push(id),
                _ => {}
            }
        }
        let (store, recovered) =
            outguard::store::sqlite::SqliteStore::open(&settings(&path), Arc::new(FixedClock)).unwrap();
        assert!(recovered.unknown_attempts <= 8, "one a submitter at most");
        for id in &accepted {
            assert!(
                store.message(*id).await.unwrap().is_some(),
                "round {round}: {id} was answered with 250 and is gone"
            );
        }
        for id in &both {
            assert_eq!(states(&*store, *id).await, [DeliveryState::Delivered; 2], "round {round}: {id}");
        }
        for id in &one {
            let expected = [DeliveryState::Delivered, DeliveryState::Waiting];
            assert_eq!(states(&*store, *id).await, expected, "round {round}: {id}");
        }
        let mut after = None;
        loop {
            let page = store.list(Filter::default(), Page { after, limit: 500 }).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.id);
            for (row, deliveries) in &page {
                assert!(store.content(row.id).await.is_ok(), "round {round}: {} waits without a body", row.id);
                assert!(deliveries.iter().all(|d| d.state != DeliveryState::UnderWay), "round {round}: {}", row.id);
            }
        }
    }
    assert!(accepted.len() > 50 && !both.is_empty() && !one.is_empty(), "the children worked: {}", accepted.len());
    let mut ids = accepted.clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), accepted.len(), "an id is given once");
}

/// It is killed once it has told of so many, however long they take.
fn lines_of_a_killed_child(path: &Path, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env(FOLDER, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut lines = out.lines().map_while(Result::ok);
        let tells = |line: &String| line.split_once(' ').is_some_and(|(what, _)| matches!(what, "A" | "D" | "F"));
        let first: Vec<String> = lines.by_ref().filter(tells).take(after).collect();
        (first, lines)
    });
    let (first, rest) = reader.join().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    first.into_iter().chain(rest).collect()
}
