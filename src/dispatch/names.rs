//! Numbers for names, so that a million lines cost four bytes a name.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Gives each name a small number, the same each time, until it is forgotten.
#[derive(Debug)]
pub struct Names<N> {
    numbers: HashMap<Arc<N>, u32, foldhash::fast::RandomState>,
    by_number: Vec<Option<Arc<N>>>,
    free: Vec<u32>,
}

impl<N: Eq + Hash> Default for Names<N> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), by_number: Vec::new(), free: Vec::new() }
    }
}

impl<N: Eq + Hash> Names<N> {
    /// The number of a name, a new one if it has none.
    ///
    /// # Panics
    /// Past 2^32 names, which do not fit in memory.
    pub fn number(&mut self, name: N) -> u32 {
        if let Some(&number) = self.numbers.get(&name) {
            return number;
        }
        let name = Arc::new(name);
        let number = if let Some(number) = self.free.pop() {
            self.by_number[number as usize] = Some(Arc::clone(&name));
            number
        } else {
            self.by_number.push(Some(Arc::clone(&name)));
            u32::try_from(self.by_number.len() - 1).expect("fewer than 2^32 names fit in memory")
        };
        self.numbers.insert(name, number);
        number
    }

    /// The number of a name that has one.
    pub fn find(&self, name: &N) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name behind a number.
    pub fn name(&self, number: u32) -> Option<&N> {
        self.by_number.get(number as usize)?.as_deref()
    }

    /// All names with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &N)> {
        (0u32..).zip(&self.by_number).filter_map(|(number, name)| Some((number, name.as_deref()?)))
    }

    /// Forgets the names whose number is not in use; their numbers are given again.
    pub fn keep(&mut self, mut in_use: impl FnMut(u32) -> bool) {
        for (number, place) in (0u32..).zip(&mut self.by_number) {
            if let Some(name) = place.take_if(|_| !in_use(number)) {
                self.numbers.remove(&name);
                self.free.push(number);
            }
        }
    }

    /// How many names have a number.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether no name has one.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_until_forgotten_and_are_given_again() {
        let mut names: Names<String> = Names::default();
        let (a, b) = (names.number("a".into()), names.number("b".into()));
        assert_eq!((names.number("a".into()), names.name(b)), (a, Some(&"b".to_string())));
        names.keep(|number| number == b);
        assert_eq!((names.name(a), names.len()), (None, 1));
        assert_eq!(names.number("c".into()), a);
        assert_eq!(names.find(&"b".into()), Some(b));
    }
}
