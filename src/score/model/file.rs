//! The file of a model: what it is, and its weights, checked whole.
//!
//! A line that names the format, the length of the [`Card`] and the card as JSON, then numbers in little-endian order, the
//! table, and the hash (XXH3, 128 bits) of all before it. The hash finds damage, not malice: a model is as trusted as the
//! configuration that names it.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_128;

use super::calibration::Calibration;
use super::table::{self, Table};
use super::{Model, Weights};

/// How a file begins; the number is the version of the format and of the features.
const MAGIC: &[u8] = b"outguard model 1\n";
/// Bytes of the longest card.
const CARD_BYTES_MAX: usize = 64 * 1024;
/// Marks of form at most.
const MARKS_MAX: usize = 4_096;
/// Bytes of the hash at the end.
const HASH_BYTES: usize = 16;

/// What a model was made from, and what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// What it is called.
    pub name: String,
    /// The day it was made, as it was told to the trainer.
    pub made: String,
    /// The seed of its training.
    pub seed: u64,
    /// Where its mail came from.
    pub sources: Vec<SourceCount>,
    /// Sources that were there and left out.
    pub excluded: Vec<String>,
    /// Text features that it knows.
    pub features: usize,
    /// What was measured, in sentences.
    pub figures: Vec<String>,
}

/// One source of training mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCount {
    /// Its name.
    pub name: String,
    /// Messages that are not spam.
    pub ham: usize,
    /// Messages that are.
    pub spam: usize,
}

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// They begin otherwise.
    #[error("this is not a model that this outguard reads; make one with `outguard train`")]
    Format,
    /// They are too few or too many, or their hash is another.
    #[error("the model is damaged: {what}; get it again, or make it again with `outguard train`")]
    Damaged {
        /// What does not fit.
        what: &'static str,
    },
}

fn damaged(what: &'static str) -> ModelError {
    ModelError::Damaged { what }
}

pub(super) fn write(model: &Model) -> Vec<u8> {
    let card = serde_json::to_vec(&model.card).expect("strings and numbers are JSON");
    let weights = &model.weights;
    let mut bytes = Vec::with_capacity(table::BYTES + card.len() + 8 * weights.marks.len() + 128);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&u32::try_from(card.len()).expect("a card is short").to_le_bytes());
    bytes.extend_from_slice(&card);
    let line = model.calibration;
    for number in [weights.table.step, weights.bias, weights.short, line.base, line.slope, line.slope_covered] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&u32::try_from(weights.marks.len()).expect("marks are few").to_le_bytes());
    for (hash, weight) in &weights.marks {
        bytes.extend_from_slice(&hash.to_le_bytes());
        bytes.extend_from_slice(&weight.to_le_bytes());
    }
    weights.table.write(&mut bytes);
    let hash = xxh3_128(&bytes);
    bytes.extend_from_slice(&hash.to_le_bytes());
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(ModelError::Format)?;
    let (all, hash) =
        bytes.split_at_checked(bytes.len().saturating_sub(HASH_BYTES)).ok_or(damaged("it is too short"))?;
    if hash != xxh3_128(all).to_le_bytes() {
        return Err(damaged("its hash is another"));
    }
    let mut rest = Rest(rest.get(..rest.len().saturating_sub(HASH_BYTES)).unwrap_or_default());
    let card_bytes = rest.count(CARD_BYTES_MAX)?;
    let card: Card = serde_json::from_slice(rest.take(card_bytes)?).map_err(|_| damaged("its card cannot be read"))?;
    let step = rest.number()?;
    let (bias, short) = (rest.number()?, rest.number()?);
    let calibration = Calibration { base: rest.number()?, slope: rest.number()?, slope_covered: rest.number()? };
    if step <= 0.0 || short <= 0.0 {
        return Err(damaged("a scale is not positive"));
    }
    let marks = rest.count(MARKS_MAX)?;
    let marks = (0..marks)
        .map(|_| {
            let hash = u32::from_le_bytes(rest.four()?);
            Ok((hash, rest.number()?))
        })
        .collect::<Result<Vec<_>, ModelError>>()?;
    if !marks.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(damaged("its marks are out of order"));
    }
    let table = Table::read(rest.0, step).ok_or(damaged("its table has another size"))?;
    Ok(Model { card, weights: Weights { table, marks, bias, short }, calibration })
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ModelError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(damaged("it is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn four(&mut self) -> Result<[u8; 4], ModelError> {
        let taken = self.take(4)?;
        Ok([taken[0], taken[1], taken[2], taken[3]])
    }

    fn count(&mut self, max: usize) -> Result<usize, ModelError> {
        let count = u32::from_le_bytes(self.four()?) as usize;
        if count <= max { Ok(count) } else { Err(damaged("a length is out of range")) }
    }

    fn number(&mut self) -> Result<f32, ModelError> {
        let number = f32::from_le_bytes(self.four()?);
        if number.is_finite() { Ok(number) } else { Err(damaged("a number is not finite")) }
    }
}
