//! Which messages are being judged at this moment, in a file that outlives a crash of the process.
//!
//! A parser that aborts the process (a stack overflow is no panic) would do so again each time the client tries again,
//! and nobody else's mail would ever pass. A message found here at two starts, and alone at one of them, is not judged
//! a third time: it is held as it is. The file is written without a sync: it is for faults of ours, not of the machine.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

use crate::clock::WallMs;

/// The file's name in the store's folder.
const FILE_NAME: &str = "under-judgement";
/// One entry, in bytes.
const ENTRY_BYTES: usize = 64;
/// Messages that are judged at once and kept here; more are judged all the same.
const PLACES: u16 = 192;
/// Messages that stood here at a crash, remembered.
const SUSPECTS_MAX: u16 = 64;
/// How long a suspect is remembered.
const SUSPECT_MS: u64 = 14 * 86_400_000;
/// What a valid entry begins with.
const MARK: [u8; 4] = *b"ogj1";

/// A message's content, by its hash.
type Hash = u128;
type Suspects = HashMap<Hash, Suspect, foldhash::fast::RandomState>;

/// The file, and what it held when the process started.
#[derive(Debug)]
pub(super) struct UnderJudgement {
    file: File,
    free: Mutex<Vec<u16>>,
    suspects: Suspects,
}

/// A message that was under judgement when the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspect {
    /// At how many starts it was found.
    starts: u8,
    /// Whether it was the only one at one of them.
    alone: bool,
    /// When last.
    last: WallMs,
}

/// One message under judgement; dropped, its entry goes.
#[derive(Debug)]
pub(super) struct Entered<'a> {
    file: &'a UnderJudgement,
    place: Option<u16>,
}

impl UnderJudgement {
    /// Opens the file, makes suspects of what a crash left in it, and empties it.
    ///
    /// # Errors
    /// It cannot be opened, read or written.
    pub(super) fn open(folder: &Path, now: WallMs) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
        let file = options.open(folder.join(FILE_NAME))?;
        let entries = usize::from(PLACES + SUSPECTS_MAX);
        file.set_len((entries * ENTRY_BYTES) as u64)?;
        let mut content = vec![0; entries * ENTRY_BYTES];
        file.read_exact_at(&mut content, 0)?;
        let (places, known) = content.split_at(usize::from(PLACES) * ENTRY_BYTES);
        let mut suspects: Suspects = known.chunks(ENTRY_BYTES).filter_map(Suspect::read).collect();
        suspects.retain(|_, suspect| now.0.saturating_sub(suspect.last.0) < SUSPECT_MS);
        let found: Vec<Hash> = places.chunks(ENTRY_BYTES).filter_map(hash_of).collect();
        for hash in &found {
            let suspect = suspects.entry(*hash).or_insert(Suspect { starts: 0, alone: false, last: now });
            suspect.starts = suspect.starts.saturating_add(1);
            suspect.alone |= found.len() == 1;
            suspect.last = now;
        }
        let mut newest: Vec<(Hash, Suspect)> = suspects.into_iter().collect();
        newest.sort_by_key(|(hash, suspect)| (std::cmp::Reverse(suspect.last.0), *hash));
        newest.truncate(usize::from(SUSPECTS_MAX));
        content.fill(0);
        let (_, known) = content.split_at_mut(usize::from(PLACES) * ENTRY_BYTES);
        for ((hash, suspect), entry) in newest.iter().zip(known.chunks_mut(ENTRY_BYTES)) {
            suspect.write(*hash, entry);
        }
        file.write_all_at(&content, 0)?;
        // Here a sync is cheap, and what was learned from a crash should not be lost by the next.
        file.sync_data()?;
        Ok(Self { file, free: Mutex::new((0..PLACES).collect()), suspects: newest.into_iter().collect() })
    }

    /// Enters a message before it is judged; `None` if it must not be judged any more.
    pub(super) fn enter(&self, message: &[u8]) -> Option<Entered<'_>> {
        let hash = xxh3_128(message);
        if self.suspects.get(&hash).is_some_and(|suspect| suspect.starts >= 2 && suspect.alone) {
            return None;
        }
        let place = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(place) = place {
            let mut entry = [0; ENTRY_BYTES];
            entry[..4].copy_from_slice(&MARK);
            entry[4..20].copy_from_slice(&hash.to_le_bytes());
            self.write(place, &entry);
        }
        Some(Entered { file: self, place })
    }

    /// A failed write costs only the trace of a crash that may never come; mail goes on.
    fn write(&self, place: u16, entry: &[u8; ENTRY_BYTES]) {
        if let Err(error) = self.file.write_all_at(entry, u64::from(place) * ENTRY_BYTES as u64) {
            tracing::debug!(%error, "the file of messages under judgement was not written");
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.file.write(place, &[0; ENTRY_BYTES]);
            self.file.free.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        }
    }
}

impl Suspect {
    fn read(entry: &[u8]) -> Option<(Hash, Self)> {
        let last = u64::from_le_bytes(entry[24..32].try_into().ok()?);
        Some((hash_of(entry)?, Self { starts: entry[20], alone: entry[21] == 1, last: WallMs(last) }))
    }

    fn write(self, hash: Hash, entry: &mut [u8]) {
        entry[..4].copy_from_slice(&MARK);
        entry[4..20].copy_from_slice(&hash.to_le_bytes());
        entry[20] = self.starts;
        entry[21] = u8::from(self.alone);
        entry[24..32].copy_from_slice(&self.last.0.to_le_bytes());
    }
}

fn hash_of(entry: &[u8]) -> Option<Hash> {
    let bytes = entry.strip_prefix(&MARK)?.first_chunk::<16>()?;
    Some(Hash::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMs = WallMs(1_000_000_000);

    /// What a crash leaves: entries that were never taken out.
    fn crash(folder: &Path, messages: &[&[u8]], now: WallMs) {
        let file = UnderJudgement::open(folder, now).unwrap();
        for message in messages {
            std::mem::forget(file.enter(message));
        }
    }

    fn judged(folder: &Path, message: &[u8], now: WallMs) -> bool {
        UnderJudgement::open(folder, now).unwrap().enter(message).is_some()
    }

    #[test]
    fn a_message_is_given_up_after_two_starts_and_alone_at_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        crash(folder, &[b"evil", b"innocent"], NOW);
        assert!(judged(folder, b"evil", NOW), "once is no proof");
        crash(folder, &[b"evil"], NOW);
        assert!(!judged(folder, b"evil", NOW), "twice, and alone at the second");
        assert!(judged(folder, b"innocent", NOW), "it was never alone");
        assert!(!judged(folder, b"evil", NOW), "it stays so");
        assert!(judged(folder, b"evil", WallMs(NOW.0 + SUSPECT_MS)), "not for ever");
    }

    #[test]
    fn two_that_always_come_together_are_both_judged() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            crash(folder.path(), &[b"one", b"two"], NOW);
        }
        assert!(judged(folder.path(), b"one", NOW));
    }

    #[test]
    fn what_was_judged_leaves_nothing_and_places_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = UnderJudgement::open(folder.path(), NOW).unwrap();
        for round in 0..3_u32 {
            let many: Vec<_> = (0..u32::from(PLACES) + 5).map(|n| file.enter(&n.to_le_bytes()).unwrap()).collect();
            assert_eq!(many.iter().filter(|entered| entered.place.is_none()).count(), 5, "round {round}");
        }
        drop(file);
        let file = UnderJudgement::open(folder.path(), NOW).unwrap();
        assert_eq!(file.suspects.len(), 0);
    }

    #[test]
    fn a_damaged_file_is_no_evidence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), vec![0xa5; 70_000]).unwrap();
        assert!(judged(folder.path(), b"anything", NOW));
    }
}
