//! Judgement at the final dot: what the daemon puts before the queue.
//!
//! Gathers what the pure rooms say and what other scorers answer, under one time limit, and lets the guard make the
//! verdict. It decides nothing about points. Start with [`Judging`].

mod under_judgement;

use std::path::Path;

use self::under_judgement::UnderJudgement;
use crate::clock::WallMs;
use crate::guard::{Reason, Verdict};
use crate::intake::Judge;
use crate::intake::judge::{Asked, JudgeFuture, Judged};
use crate::message::Bounds;

/// Judges each message before it is taken over.
pub(super) struct Judging {
    bounds: Bounds,
    under_judgement: Option<UnderJudgement>,
}

impl Judging {
    /// Opens what it keeps in the store's folder.
    pub(super) fn new(folder: &Path, now: WallMs) -> Self {
        let under_judgement = UnderJudgement::open(folder, now)
            .inspect_err(|error| {
                tracing::warn!(%error, "a message that ends the process would be judged again at the next start");
            })
            .ok();
        Self { bounds: Bounds::default(), under_judgement }
    }
}

impl Judge for Judging {
    fn bytes_max(&self) -> usize {
        self.bounds.message_bytes_max
    }

    fn judge<'a>(&'a self, asked: Asked<'a>) -> JudgeFuture<'a> {
        Box::pin(async move {
            let _entered = self.under_judgement.as_ref().map(|file| file.enter(&asked.bytes));
            let reasons: Vec<Reason> = Vec::new();
            Judged::Verdict { verdict: Verdict::from_reasons(reasons, None), fields: String::new() }
        })
    }
}
