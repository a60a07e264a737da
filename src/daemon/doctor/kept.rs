//! What the doctor found, across restarts: one row for each finding.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::align::doctor::{Examined, Finding, Grade, Standing};
use crate::clock::Now;
use crate::store::{Memory, MemoryKind, Store, StoreError};

/// The version of a row; what has another is forgotten.
const VERSION: u32 = 1;
/// More findings than this are not kept.
const FINDINGS_MAX: usize = 10_000;
/// Rows that are read at once.
const PAGE: usize = 500;

/// A row.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    version: u32,
    /// Its place among the others.
    place: usize,
    finding: Finding,
    /// The last certain grade.
    known: Grade,
}

/// What an earlier run found. Rows that cannot be read are as if they were not there.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn recall(store: &dyn Store) -> Result<(Standing, Examined), StoreError> {
    let (mut standing, mut examined, mut found) = (Standing::default(), Examined::default(), Vec::new());
    let mut after: Option<Bytes> = None;
    while found.len() < FINDINGS_MAX {
        let page = store.memories(MemoryKind::Doctor, after.clone(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for memory in &page {
            let Ok(row) = serde_json::from_slice::<Row>(&memory.value) else { continue };
            if row.version != VERSION {
                continue;
            }
            examined.at_ms = examined.at_ms.max(Some(memory.updated));
            standing.recall(row.finding.key(), row.known);
            found.push((row.place, row.finding));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    examined.findings = found.into_iter().map(|(_, finding)| finding).collect();
    Ok((standing, examined))
}

/// Writes what was found, and forgets what is not examined any more.
///
/// # Errors
/// The store refused it; it is written again at the next round.
pub(super) async fn keep(
    store: &dyn Store,
    standing: &Standing,
    findings: &[Finding],
    now: Now,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for (place, finding) in findings.iter().take(FINDINGS_MAX).enumerate() {
        let row = Row { version: VERSION, place, finding: finding.clone(), known: standing.grade_of(finding) };
        let Ok(value) = serde_json::to_vec(&row) else { continue };
        // What is too long for a memory is found again.
        rows.extend(Memory::keep(MemoryKind::Doctor, key(finding), value));
    }
    store.remember(rows, now).await?.into_inner();
    while store.forget_memories(MemoryKind::Doctor, now.wall).await? {}
    Ok(())
}

fn key(finding: &Finding) -> Vec<u8> {
    let (subject, check, about) = finding.key();
    [subject, check, about].join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock, WallMs};
    use crate::store::settings::{FreeMin, StoreSettings};
    use crate::store::sqlite::SqliteStore;

    fn finding(about: &str, grade: Grade) -> Finding {
        let (found, mend) = ("found <b>".to_owned(), "mend".to_owned());
        Finding {
            subject: "example.com".into(),
            check: "spf".into(),
            about: about.into(),
            grade,
            found,
            why: "why".into(),
            mend,
        }
    }

    #[tokio::test]
    async fn a_restart_remembers_and_what_is_gone_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        // However little room the machine of the tests has left.
        let (path, free_min) = (folder.path().to_owned(), FreeMin::Bytes(0));
        let settings = StoreSettings { path, free_min, ballast_bytes: 0, ..StoreSettings::default() };
        let clock = std::sync::Arc::new(SystemClock::new().unwrap());
        let (store, _) = SqliteStore::open(&settings, clock.clone()).unwrap();
        assert_eq!(recall(store.as_ref()).await.unwrap(), (Standing::default(), Examined::default()));

        let first = [finding("b", Grade::Right), finding("a", Grade::Fault), finding("gone", Grade::Right)];
        let mut standing = Standing::default();
        standing.take(&first);
        let at = clock.now();
        keep(store.as_ref(), &standing, &first, at).await.unwrap();
        let second = [finding("b", Grade::Unknown), finding("a", Grade::Right)];
        standing.take(&second);
        let at = Now { wall: WallMs(at.wall.0 + 5), ..at };
        keep(store.as_ref(), &standing, &second, at).await.unwrap();

        let (recalled, examined) = recall(store.as_ref()).await.unwrap();
        assert_eq!(recalled, standing, "what was right before nobody answered is right");
        assert_eq!((examined.at_ms, &examined.findings[..]), (Some(at.wall), &second[..]), "in their order");
        store.close();
    }
}
