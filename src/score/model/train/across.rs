//! What a model says of sources that it was not trained on.

use std::sync::PoisonError;

use super::{Example, Label, Recipe, Unseen, weights};

/// Groups that sources are put into at most: each costs one training.
pub const GROUPS_MAX: usize = 12;

/// Puts sources into groups that are left out together: the largest alone, the small ones shared out so that groups are
/// of like size. `families` are sources that belong together, by name.
pub fn groups(examples: &[&Example], names: &[String], families: &[Vec<String>]) -> Vec<usize> {
    // Each family is counted under its first member.
    let head = |name: &str| {
        let family = families.iter().find(|family| family.iter().any(|member| member == name));
        family.map_or_else(|| name.to_owned(), |family| family[0].clone())
    };
    let heads: Vec<String> = names.iter().map(|name| head(name)).collect();
    let mut sizes: Vec<(&String, usize)> = Vec::new();
    for name in &heads {
        if !sizes.iter().any(|(known, _)| *known == name) {
            sizes.push((name, examples.iter().filter(|e| &heads[e.source] == name).count()));
        }
    }
    sizes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mut filled = vec![0_usize; GROUPS_MAX.min(sizes.len().max(1))];
    let mut group_of: Vec<(&String, usize)> = Vec::new();
    for (name, size) in sizes {
        let emptiest = (0..filled.len()).min_by_key(|g| (filled[*g], *g)).unwrap_or(0);
        filled[emptiest] += size;
        group_of.push((name, emptiest));
    }
    heads.iter().map(|name| group_of.iter().find(|(known, _)| *known == name).map_or(0, |(_, group)| *group)).collect()
}

/// The sum and coverage of each message by a model trained without its group, in the order of the examples. Groups are
/// worked on side by side; each by one thread, so the numbers are the same on any machine.
pub fn unseen(examples: &[&Example], groups: &[usize], recipe: &Recipe) -> Vec<Unseen> {
    let last = groups.iter().max().copied().unwrap_or(0);
    let sums = std::sync::Mutex::new(vec![(0.0, 0.0); examples.len()]);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let group = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if group > last {
                        return;
                    }
                    let others: Vec<&Example> =
                        examples.iter().filter(|e| groups[e.source] != group).copied().collect();
                    let weights = weights(&others, recipe);
                    let found: Vec<(usize, (f64, f64))> = examples
                        .iter()
                        .enumerate()
                        .filter(|(_, e)| groups[e.source] == group)
                        .map(|(i, e)| (i, weights.sum(&e.features)))
                        .map(|(i, sum)| (i, (sum.sum, sum.coverage)))
                        .collect();
                    let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                    for (i, pair) in found {
                        sums[i] = pair;
                    }
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    examples
        .iter()
        .zip(sums)
        .map(|(e, (sum, coverage))| Unseen { sum, coverage, spam: e.label == Label::Spam, weight: 1.0 })
        .collect()
}
