//! Why mail has not left, as the routes tell it: of each delivery, and of a message in as few lines as that takes.

use serde::{Deserialize, Serialize};

use super::view::MessageView;
use crate::clock::WallMs;
use crate::dispatch::Why;
use crate::store::Index;

/// What stands in a delivery's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// One sentence without a full stop.
    pub sentence: String,
    /// The same in a few words, for a table.
    pub brief: String,
    /// Whether a person or a gate decides: it is held then, whatever its state says. Else it waits and leaves by itself.
    pub held: bool,
    /// When it is expected to leave, where that can be said; of a gate, when it opens.
    pub expected: Option<WallMs>,
}

impl Stand {
    /// That reason, and when the delivery is expected to leave.
    pub fn of(why: &Why, expected: Option<WallMs>) -> Self {
        Self { sentence: why.to_string(), brief: why.brief(), held: why.is_held(), expected }
    }
}

/// Why some deliveries of a message have not left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLine {
    /// Which: their places in the envelope.
    #[serde(with = "places")]
    pub deliveries: Vec<Index>,
    /// The reason, one sentence without a full stop.
    pub sentence: String,
    /// When they are expected to leave, where that can be said.
    pub expected: Option<WallMs>,
}

impl WhyLine {
    /// The reasons of a message's deliveries, each once.
    pub fn all(message: &MessageView) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        for delivery in &message.deliveries {
            let Some(Stand { sentence, expected, .. }) = &delivery.why else { continue };
            let place = Index(delivery.place);
            match lines.iter_mut().find(|line| line.sentence == *sentence && line.expected == *expected) {
                Some(line) => line.deliveries.push(place),
                None => lines.push(Self { deliveries: vec![place], sentence: sentence.clone(), expected: *expected }),
            }
        }
        lines
    }
}

/// Places in the envelope are plain numbers in JSON.
mod places {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::store::Index;

    pub(super) fn serialize<S: Serializer>(places: &[Index], to: S) -> Result<S::Ok, S::Error> {
        places.iter().map(|place| place.0).collect::<Vec<u32>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Index>, D::Error> {
        Ok(Vec::<u32>::deserialize(from)?.into_iter().map(Index).collect())
    }
}
