//! The first messages of a line, ids only. Most lines have one message.

use std::collections::VecDeque;

use crate::mail::QueueId;

use super::line::Item;

/// The head of a line. One message costs nothing more.
#[derive(Debug, Default)]
pub(super) enum Heads {
    #[default]
    None,
    One(Item),
    Many(VecDeque<Item>),
}

impl Heads {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(items) => items.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn front(&self) -> Option<Item> {
        self.iter().next()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Item> + '_ {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(item) => (Some(*item), None),
            Self::Many(items) => (None, Some(items.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The item of that message.
    pub(super) fn find_mut(&mut self, id: QueueId) -> Option<&mut Item> {
        match self {
            Self::None => None,
            Self::One(item) => (item.id == id).then_some(item),
            Self::Many(items) => items.iter_mut().find(|item| item.id == id),
        }
    }

    pub(super) fn push_back(&mut self, item: Item) {
        match self {
            Self::None => *self = Self::One(item),
            Self::One(first) => *self = Self::Many(VecDeque::from([*first, item])),
            Self::Many(items) => items.push_back(item),
        }
    }

    pub(super) fn push_front(&mut self, item: Item) {
        match self {
            Self::None => *self = Self::One(item),
            Self::One(second) => *self = Self::Many(VecDeque::from([item, *second])),
            Self::Many(items) => items.push_front(item),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Item> {
        let front = self.front()?;
        match self {
            Self::None | Self::One(_) => *self = Self::None,
            Self::Many(items) => {
                items.pop_front();
                if let [last] = items.make_contiguous() {
                    *self = Self::One(*last);
                }
            }
        }
        Some(front)
    }

    /// Takes out every message that the test names; returns how many.
    pub(super) fn remove(&mut self, mut named: impl FnMut(QueueId) -> bool) -> usize {
        let before = self.len();
        let kept: VecDeque<Item> = self.iter().filter(|item| !named(item.id)).collect();
        if kept.len() < before {
            *self = match (kept.len(), kept.front()) {
                (0, _) | (_, None) => Self::None,
                (1, Some(item)) => Self::One(*item),
                (_, Some(_)) => Self::Many(kept),
            };
        }
        before - self.len()
    }
}
