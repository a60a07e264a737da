//! What can go wrong with a store, by what the caller can do about it.

use std::fmt;

use crate::mail::QueueId;
use crate::smtp::Refusal;

/// Why a transaction or a read did not happen. To a client each of them is a 4xx (invariant 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// Below the free space that intake or leases need, or the disk said ENOSPC.
    Full {
        /// What is free, in bytes, where known.
        free_bytes: Option<u64>,
    },
    /// The file system is read-only or refuses us.
    ReadOnly {
        /// The system's words.
        detail: String,
    },
    /// A commit or sync failed: what was asked may be on disk or not, and is found out by the recovery that follows.
    Unknown {
        /// The system's words.
        detail: String,
    },
    /// The database or a body is damaged.
    Corrupt {
        /// Which object.
        object: String,
        /// What is wrong.
        detail: String,
    },
    /// The store is recovering or turned off after repeated failures.
    Unavailable {
        /// Since when and why, for the operator.
        detail: String,
    },
    /// There is no such message or body.
    NoSuchMessage(QueueId),
    /// The store was shut down.
    Closed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { free_bytes: Some(free) } => write!(f, "store: disk full ({free} bytes free)"),
            Self::Full { free_bytes: None } => f.write_str("store: disk full"),
            Self::ReadOnly { detail } => write!(f, "store: read-only: {detail}"),
            Self::Unknown { detail } => write!(f, "store: commit not confirmed: {detail}"),
            Self::Corrupt { object, detail } => write!(f, "store: {object} is damaged: {detail}"),
            Self::Unavailable { detail } => write!(f, "store: not available: {detail}"),
            Self::NoSuchMessage(id) => write!(f, "store: no message {id}"),
            Self::Closed => f.write_str("store: closed"),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// For the operator: what outguard does and what can be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Full { .. } => {
                "clients are told to try later and lose nothing; free space on the store's disk, mail is taken again by itself"
            }
            Self::ReadOnly { .. } => {
                "clients are told to try later; make the store's folder writable for the service user (mount, owner, quota)"
            }
            Self::Unknown { .. } => {
                "clients are told to try later; the store is reopened and checked by itself; look at the kernel log for disk errors"
            }
            Self::Corrupt { .. } => {
                "clients are told to try later; stop outguard, keep a copy of the store's folder, and see docs/known-issues.md"
            }
            Self::Unavailable { .. } => "clients are told to try later; the store is tried again by itself",
            Self::NoSuchMessage(_) => {
                "it was delivered, bounced or removed; `outguard trace` tells while the journal keeps it"
            }
            Self::Closed => "outguard is stopping; clients try again after the start",
        }
    }

    /// For the client: never a path, a key or an errno, never 5xx.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Full { .. } => Refusal::STORE_FULL,
            Self::ReadOnly { .. }
            | Self::Unknown { .. }
            | Self::Corrupt { .. }
            | Self::Unavailable { .. }
            | Self::NoSuchMessage(_)
            | Self::Closed => Refusal::STORE_UNAVAILABLE,
        }
    }
}
