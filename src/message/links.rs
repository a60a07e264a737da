//! The links of a message as they are found: in order, each target once for each visible text, bounded.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use super::link::{Link, LinkKind};
use super::{target, written};

/// How much of a target is kept, in bytes.
pub(super) const TARGET_BYTES_MAX: usize = 2_000;
/// How much of a link's visible text is kept, in bytes.
const VISIBLE_BYTES_MAX: usize = 300;

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// To a server.
    ToServer,
    /// To code that runs.
    ToScript,
    /// Into the message, or to another program.
    Elsewhere,
}

impl Leads {
    /// Whether it leads to a server.
    pub(super) fn is_remote(self) -> bool {
        self == Self::ToServer
    }

    /// Whether it leads to code.
    pub(super) fn is_script(self) -> bool {
        self == Self::ToScript
    }
}

/// The links found so far.
#[derive(Debug)]
pub(super) struct Links {
    list: Vec<Link>,
    /// Hashes of kind, target and text, with a seed of this process.
    known: HashSet<u64, RandomState>,
    hashes: RandomState,
    count_max: usize,
    /// Whether some were left out.
    pub(super) cut: bool,
}

impl Links {
    /// None yet, and never more than that many.
    pub(super) fn new(count_max: usize) -> Self {
        Self { list: Vec::new(), known: HashSet::default(), hashes: RandomState::default(), count_max, cut: false }
    }

    /// Adds a link, its target decoded. What is loaded counts only where a server is asked.
    pub(super) fn add(&mut self, kind: LinkKind, target: &str, visible: &str, base: &str) -> Leads {
        let target = target.trim();
        if target.is_empty() || (target.starts_with('#') && base.is_empty()) {
            return Leads::Elsewhere;
        }
        let found = target::read(target, base);
        let leads = match found.scheme.as_str() {
            "http" | "https" | "ftp" => Leads::ToServer,
            "javascript" | "vbscript" => Leads::ToScript,
            _ => Leads::Elsewhere,
        };
        if kind != LinkKind::Loaded || leads == Leads::ToServer {
            self.keep(kind, target, visible, found);
        }
        leads
    }

    /// Adds the addresses written out in a text.
    pub(super) fn written(&mut self, text: &str) {
        written::find(text, |address| {
            let mut found = target::read(address, "");
            if found.host.is_empty() {
                // Readers make a link of a bare name.
                found = target::read(&format!("http://{address}"), "");
            }
            if !found.host.is_empty() {
                self.keep(LinkKind::Written, address, address, found);
            }
        });
    }

    /// The links.
    pub(super) fn finish(self) -> Vec<Link> {
        self.list
    }

    fn keep(&mut self, kind: LinkKind, target: &str, visible: &str, found: target::Target) {
        let target = &target[..target.floor_char_boundary(TARGET_BYTES_MAX)];
        let visible = &visible[..visible.floor_char_boundary(VISIBLE_BYTES_MAX)];
        if self.list.len() >= self.count_max {
            self.cut = true;
        } else if self.known.insert(self.hashes.hash_one((kind, target, visible))) {
            let (target, visible) = (target.to_owned(), visible.to_owned());
            self.list.push(Link { kind, target, scheme: found.scheme, host: found.host, visible });
        }
    }
}
