//! The frontier: the maximal transactions of a visible past.

use alloc::vec::Vec;

use crate::{
    causality::{Dots, VersionVector},
    id::Dot,
};

/// The last dots of the transactions that no other visible transaction depends on, in order. A new transaction depends on
/// them and thereby on everything visible; 1.2 dots on average, where a whole version vector would be one an author.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    dots: Dots,
}

impl Frontier {
    /// A frontier of these dots.
    pub fn new(dots: impl IntoIterator<Item = Dot>) -> Self {
        let mut dots: Vec<Dot> = dots.into_iter().collect();
        dots.sort_unstable();
        dots.dedup();
        Self {
            dots: dots.into_iter().collect(),
        }
    }

    /// The frontier of the past of one transaction, itself included: its last dot.
    pub fn at(last: Dot) -> Self {
        Self {
            dots: Dots::from([last]),
        }
    }

    /// The dots, in order.
    pub fn dots(&self) -> &[Dot] {
        &self.dots
    }

    /// Takes in a transaction whose dependencies are visible.
    ///
    /// What it dominates is exactly its own author's earlier transaction and the dots it names: a frontier dot in the past of
    /// a visible transaction would not be maximal, so it can be in the new one's past only by being named.
    pub fn advance(&mut self, last: Dot, deps: &[Dot]) {
        // Both may be long: then each of one is looked up among all of the other.
        let mut named: Vec<Dot> = Vec::new();
        if self.dots.len() > 1 && deps.len() > 1 {
            named.extend_from_slice(deps);
            named.sort_unstable();
        }
        let is_named = |dot: &Dot| {
            if named.is_empty() {
                deps.contains(dot)
            } else {
                named.binary_search(dot).is_ok()
            }
        };
        let kept = self
            .dots
            .iter()
            .filter(|dot| dot.author != last.author && !is_named(dot));
        if kept.clone().next().is_none() {
            // Nearly always: a transaction joins all that its author saw.
            *self = Self::at(last);
        } else {
            *self = Self::new(kept.copied().chain([last]));
        }
    }

    /// The frontier of the union of two closed event sets, each given by its vector and frontier.
    ///
    /// A dot maximal in one is dominated in the union exactly if the other holds it and has something after it: it is covered
    /// there and not maximal there.
    pub fn merge(&mut self, vector: &VersionVector, other: &Self, other_vector: &VersionVector) {
        let kept = |dots: &[Dot], elsewhere: &Self, seen: &VersionVector| -> Vec<Dot> {
            dots.iter()
                .filter(|dot| !seen.covers(dot) || elsewhere.holds(dot))
                .copied()
                .collect()
        };
        let mut dots = kept(&self.dots, other, other_vector);
        dots.extend(kept(&other.dots, self, vector));
        *self = Self::new(dots);
    }

    fn holds(&self, dot: &Dot) -> bool {
        self.dots.binary_search(dot).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AuthorId;

    fn dot(author: u8, n: u64) -> Dot {
        Dot::new(AuthorId([author; 16]), n)
    }

    fn vector(pairs: &[(u8, u64)]) -> VersionVector {
        pairs.iter().map(|(author, n)| (AuthorId([*author; 16]), *n)).collect()
    }

    #[test]
    fn a_transaction_replaces_what_it_depends_on_and_leaves_what_is_concurrent() {
        let mut frontier = Frontier::new([dot(1, 4), dot(2, 1)]);
        frontier.advance(dot(3, 2), &[dot(1, 4)]);
        assert_eq!(frontier.dots(), [dot(2, 1), dot(3, 2)]);
        frontier.advance(dot(3, 3), &[dot(2, 1), dot(3, 2)]);
        assert_eq!(frontier.dots(), [dot(3, 3)]);
    }

    #[test]
    fn merging_keeps_what_is_maximal_in_the_union() {
        // Here: 1.2 follows nothing else. There: 2.1 depends on 1.1, and 3.1 stands alone.
        let mut here = Frontier::new([dot(1, 2)]);
        let there = Frontier::new([dot(2, 1), dot(3, 1)]);
        here.merge(&vector(&[(1, 2)]), &there, &vector(&[(1, 1), (2, 1), (3, 1)]));
        assert_eq!(here.dots(), [dot(1, 2), dot(2, 1), dot(3, 1)]);

        // Someone who saw 1.1 only learns that 2.1 follows it.
        let mut behind = Frontier::new([dot(1, 1)]);
        behind.merge(&vector(&[(1, 1)]), &there, &vector(&[(1, 1), (2, 1), (3, 1)]));
        assert_eq!(behind.dots(), [dot(2, 1), dot(3, 1)]);
    }
}
