//! The frontier: the maximal transactions of a visible past.

use alloc::vec::Vec;

use crate::{
    causality::{Tips, VersionVector},
    id::{Dot, TxnHash},
};

/// A maximal transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Tip {
    /// The dot of its last event.
    pub dot: Dot,
    /// What it hashes to.
    pub hash: TxnHash,
}

/// The transactions that no other visible transaction depends on, in order. A new transaction depends on them and thereby on everything
/// visible; 1.2 tips on average, where a whole version vector would name each author.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    tips: Tips,
}

impl Frontier {
    /// A frontier of these. Where two are of one dot, which is so only if its author has made two transactions under it, the greater hash
    /// stands for both, so that all who have heard of both agree.
    pub fn new(tips: impl IntoIterator<Item = Tip>) -> Self {
        let mut tips: Vec<Tip> = tips.into_iter().collect();
        tips.sort_unstable_by(|one, other| one.dot.cmp(&other.dot).then(other.hash.cmp(&one.hash)));
        tips.dedup_by_key(|tip| tip.dot);
        Self {
            tips: tips.into_iter().collect(),
        }
    }

    /// The frontier of the past of one transaction, itself included.
    pub fn at(last: Tip) -> Self {
        Self {
            tips: Tips::from([last]),
        }
    }

    /// The tips, in order.
    pub fn tips(&self) -> &[Tip] {
        &self.tips
    }

    /// Their dots, in order.
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        self.tips.iter().map(|tip| tip.dot)
    }

    /// The hash of the maximal transaction that ends with this dot.
    pub fn hash_of(&self, dot: &Dot) -> Option<TxnHash> {
        let at = self.tips.binary_search_by_key(dot, |tip| tip.dot).ok()?;
        Some(self.tips[at].hash)
    }

    /// Stands for the whole frontier, and with it for all that is visible: the first 8 bytes of BLAKE3 over the tips in order, each author
    /// (16), n (8), hash (16).
    pub fn digest(&self) -> u64 {
        let mut bytes = Vec::with_capacity(size_of_val(self.tips()));
        for Tip { dot, hash } in &self.tips {
            bytes.extend_from_slice(&dot.author.0);
            bytes.extend_from_slice(&dot.n.to_le_bytes());
            bytes.extend_from_slice(&hash.0);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::derive_key("gossipstore 1 frontier", &bytes)[..8]);
        u64::from_le_bytes(first)
    }

    /// Takes in a transaction whose dependencies are visible.
    ///
    /// What it dominates is exactly its own author's earlier transaction and the dots it names: a frontier dot in the past of
    /// a visible transaction would not be maximal, so it can be in the new one's past only by being named.
    pub fn advance(&mut self, last: Tip, deps: &[Tip]) {
        // Both may be long: then each of one is looked up among all of the other.
        let mut named: Vec<Dot> = Vec::new();
        if self.tips.len() > 1 && deps.len() > 1 {
            named.extend(deps.iter().map(|tip| tip.dot));
            named.sort_unstable();
        }
        let is_named = |dot: &Dot| {
            if named.is_empty() {
                deps.iter().any(|tip| tip.dot == *dot)
            } else {
                named.binary_search(dot).is_ok()
            }
        };
        let kept = self
            .tips
            .iter()
            .filter(|tip| tip.dot.author != last.dot.author && !is_named(&tip.dot));
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
        let kept = |tips: &[Tip], elsewhere: &Self, seen: &VersionVector| -> Vec<Tip> {
            tips.iter()
                .filter(|tip| !seen.covers(&tip.dot) || elsewhere.hash_of(&tip.dot).is_some())
                .copied()
                .collect()
        };
        let mut tips = kept(&self.tips, other, other_vector);
        tips.extend(kept(&other.tips, self, vector));
        *self = Self::new(tips);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AuthorId;

    fn dot(author: u8, n: u64) -> Dot {
        Dot::new(AuthorId([author; 16]), n)
    }

    /// The transaction of this name that hashes to a number.
    fn hashed(author: u8, n: u64, hash: u8) -> Tip {
        Tip {
            dot: dot(author, n),
            hash: TxnHash([hash; 16]),
        }
    }

    fn tip(author: u8, n: u64) -> Tip {
        hashed(author, n, author)
    }

    fn vector(pairs: &[(u8, u64)]) -> VersionVector {
        pairs.iter().map(|(author, n)| (AuthorId([*author; 16]), *n)).collect()
    }

    #[test]
    fn a_transaction_replaces_what_it_depends_on_and_leaves_what_is_concurrent() {
        let mut frontier = Frontier::new([tip(1, 4), tip(2, 1)]);
        frontier.advance(tip(3, 2), &[tip(1, 4)]);
        assert_eq!(frontier.tips(), [tip(2, 1), tip(3, 2)]);
        frontier.advance(tip(3, 3), &[tip(2, 1), tip(3, 2)]);
        assert_eq!(frontier.tips(), [tip(3, 3)]);
    }

    #[test]
    fn merging_keeps_what_is_maximal_in_the_union() {
        // Here: 1.2 follows nothing else. There: 2.1 depends on 1.1, and 3.1 stands alone.
        let mut here = Frontier::new([tip(1, 2)]);
        let there = Frontier::new([tip(2, 1), tip(3, 1)]);
        here.merge(&vector(&[(1, 2)]), &there, &vector(&[(1, 1), (2, 1), (3, 1)]));
        assert_eq!(here.tips(), [tip(1, 2), tip(2, 1), tip(3, 1)]);

        // Someone who saw 1.1 only learns that 2.1 follows it.
        let mut behind = Frontier::new([tip(1, 1)]);
        behind.merge(&vector(&[(1, 1)]), &there, &vector(&[(1, 1), (2, 1), (3, 1)]));
        assert_eq!(behind.tips(), [tip(2, 1), tip(3, 1)]);
    }

    #[test]
    fn of_two_transactions_under_one_dot_all_take_the_same_for_maximal() {
        let (one, other) = (hashed(1, 2, 3), hashed(1, 2, 4));
        let seen = vector(&[(1, 2)]);
        for (here, there) in [(one, other), (other, one)] {
            let mut merged = Frontier::at(here);
            merged.merge(&seen, &Frontier::at(there), &seen);
            assert_eq!(merged, Frontier::at(other));
            assert_eq!(merged.hash_of(&other.dot), Some(other.hash));
        }
        assert_ne!(Frontier::at(one).digest(), Frontier::at(other).digest());
        assert_ne!(Frontier::default().digest(), Frontier::at(one).digest());
    }
}
