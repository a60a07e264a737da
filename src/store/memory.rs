//! What the rooms that learn keep across restarts: small values by kind and key.
//!
//! Nothing here is needed to deliver or to count: lost or refused, something is learned again. The store keeps bytes and
//! does not know what they mean; the room that writes a kind bounds how many keys it has, and gives its values a version.

use std::fmt;

use bytes::Bytes;

use crate::clock::WallMs;

/// Whose memory it is. Stored as words: never renamed, only retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryKind {
    /// The habit of an account.
    Habit,
    /// Messages much like each other, how often and from whom.
    Sighting,
    /// What operators and the network taught the model.
    Taught,
    /// Features of recent messages, for a decision on them to teach.
    Sketch,
    /// What is let through by an operator's rule.
    Allow,
    /// When people were last reminded of something.
    Reminder,
    /// What the doctor found last.
    Doctor,
    /// Limits that next hops called used up.
    UsedUp,
    /// What mail is signed and its egresses are chosen by, and since when.
    Alignment,
}

impl MemoryKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Habit,
        Self::Sighting,
        Self::Taught,
        Self::Sketch,
        Self::Allow,
        Self::Reminder,
        Self::Doctor,
        Self::UsedUp,
        Self::Alignment,
    ];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Habit => "habit",
            Self::Sighting => "sighting",
            Self::Taught => "taught",
            Self::Sketch => "sketch",
            Self::Allow => "allow",
            Self::Reminder => "reminder",
            Self::Doctor => "doctor",
            Self::UsedUp => "used-up",
            Self::Alignment => "alignment",
        }
    }
}

/// One thing to be remembered, or to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    kind: MemoryKind,
    key: Bytes,
    value: Option<Bytes>,
}

impl Memory {
    /// The longest key, in bytes: an account's name and something beside it.
    pub const KEY_BYTES_MAX: usize = 1_024;
    /// The longest value, in bytes. What is larger is cut into several keys by its room.
    pub const VALUE_BYTES_MAX: usize = 64 * 1024;
    /// How many go into one transaction: more would make others wait too long for their answers.
    pub const BATCH_MAX: usize = 256;
    /// How many bytes of keys and values go into one transaction, but for a single one that is larger.
    pub const BATCH_BYTES_MAX: usize = 1 << 20;

    /// Remembers `value` under that key, in the place of what was there.
    ///
    /// # Errors
    /// Where key or value is too long.
    pub fn keep(kind: MemoryKind, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Self, MemoryTooLong> {
        let value = value.into();
        if value.len() > Self::VALUE_BYTES_MAX {
            return Err(MemoryTooLong { part: "value", bytes: value.len(), bytes_max: Self::VALUE_BYTES_MAX });
        }
        Ok(Self { value: Some(value), ..Self::forget(kind, key)? })
    }

    /// Forgets that key; no fault if it is not there.
    ///
    /// # Errors
    /// Where the key is too long.
    pub fn forget(kind: MemoryKind, key: impl Into<Bytes>) -> Result<Self, MemoryTooLong> {
        let key = key.into();
        if key.len() > Self::KEY_BYTES_MAX {
            return Err(MemoryTooLong { part: "key", bytes: key.len(), bytes_max: Self::KEY_BYTES_MAX });
        }
        Ok(Self { kind, key, value: None })
    }

    /// Whose memory it is.
    pub fn kind(&self) -> MemoryKind {
        self.kind
    }

    /// What it is found by.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// What is remembered; `None` where the key is to be forgotten.
    pub fn value(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// Cuts what is asked into transactions, in order.
    pub(in crate::store) fn batches(memories: Vec<Self>) -> Vec<Vec<Self>> {
        let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
        for memory in memories {
            if batch.len() == Self::BATCH_MAX || (bytes > 0 && bytes + memory.bytes() > Self::BATCH_BYTES_MAX) {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes += memory.bytes();
            batch.push(memory);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

/// Why something cannot be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryTooLong {
    /// Key or value.
    pub part: &'static str,
    /// Its length in bytes.
    pub bytes: usize,
    /// The longest there can be, in bytes.
    pub bytes_max: usize,
}

impl fmt::Display for MemoryTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, bytes, bytes_max } = self;
        write!(f, "a {part} of {bytes} bytes is not remembered: at most {bytes_max}")
    }
}

impl std::error::Error for MemoryTooLong {}

/// Something remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryRow {
    /// What it is found by.
    pub key: Bytes,
    /// What is remembered.
    pub value: Bytes,
    /// When it was written last.
    pub updated: WallMs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_is_refused() {
        let cases = [
            (Memory::KEY_BYTES_MAX, Memory::VALUE_BYTES_MAX, Ok(())),
            (Memory::KEY_BYTES_MAX + 1, 0, Err("key")),
            (0, Memory::VALUE_BYTES_MAX + 1, Err("value")),
        ];
        for (key, value, expected) in cases {
            let made = Memory::keep(MemoryKind::Habit, vec![0; key], vec![0; value]);
            assert_eq!(made.map(|_| ()).map_err(|e| e.part), expected, "key {key}, value {value}");
        }
    }

    #[test]
    fn batches_keep_order_and_bounds() {
        let cases: [(usize, usize, &[usize]); 5] = [
            (0, 0, &[]),            // nothing asked: nothing written
            (256, 0, &[256]),       // exactly one
            (257, 0, &[256, 1]),    // bound of count
            (20, 65_536, &[15, 5]), // bound of bytes: 15 of 64 KiB and a key of 4 bytes each stay below 1 MiB
            (3, 1_000, &[3]),
        ];
        for (count, value_bytes, expected) in cases {
            let memories: Vec<Memory> = (0..u32::try_from(count).unwrap())
                .map(|n| Memory::keep(MemoryKind::Sketch, n.to_be_bytes().to_vec(), vec![0; value_bytes]).unwrap())
                .collect();
            let batches = Memory::batches(memories.clone());
            let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
            assert_eq!(sizes, expected, "{count} of {value_bytes} bytes");
            assert_eq!(batches.concat(), memories, "{count} of {value_bytes} bytes: in order");
        }
    }
}
