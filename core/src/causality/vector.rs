//! The version vector: per author, the highest event seen, without gaps.

use alloc::collections::{BTreeMap, btree_map};
use core::ops::Bound;

use crate::id::{AuthorId, Digest, Dot};

/// Per author, how many of the author's events are in a state. Never has gaps: a state that holds an author's `n`th event
/// holds all before it. 11 to 19 bytes an author on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VersionVector {
    // Never holds a zero: an author that was not seen is not in the map, so equal vectors are equal maps.
    seen: BTreeMap<AuthorId, u64>,
}

impl VersionVector {
    /// The vector of the empty state.
    pub const fn new() -> Self {
        Self { seen: BTreeMap::new() }
    }

    /// How many events of `author` were seen.
    pub fn get(&self, author: &AuthorId) -> u64 {
        self.seen.get(author).copied().unwrap_or(0)
    }

    /// Whether the event was seen.
    pub fn covers(&self, dot: &Dot) -> bool {
        dot.n <= self.get(&dot.author)
    }

    /// Whether every event of `other` was seen.
    pub fn dominates(&self, other: &Self) -> bool {
        other.beyond(self).next().is_none()
    }

    /// Notes that the author's events up to `n` were seen; never goes back.
    pub fn advance(&mut self, author: AuthorId, n: u64) {
        if n > 0 {
            let seen = self.seen.entry(author).or_insert(0);
            *seen = n.max(*seen);
        }
    }

    /// Sets the author's count, forward or back. For taking over a vector that a peer described by its differences.
    pub fn set(&mut self, author: AuthorId, n: u64) {
        if n == 0 {
            self.seen.remove(&author);
        } else {
            self.seen.insert(author, n);
        }
    }

    /// Takes over counts, each higher than what was seen of its author.
    pub fn raise(&mut self, counts: &[(AuthorId, u64)]) {
        // Many in order are joined in one pass over both.
        if counts.len() > 1
            && counts.len() > self.len() / 16
            && counts.is_sorted_by(|(author, _), (next, _)| author < next)
        {
            self.seen.append(&mut counts.iter().copied().collect());
        } else {
            counts.iter().for_each(|(author, n)| self.advance(*author, *n));
        }
    }

    /// The pointwise maximum.
    pub fn merge(&mut self, other: &Self) {
        for (author, n) in other.iter() {
            self.advance(author, n);
        }
    }

    /// Authors and counts, in the order of the authors' ids.
    pub fn iter(&self) -> impl Iterator<Item = (AuthorId, u64)> + '_ {
        self.seen.iter().map(|(author, n)| (*author, *n))
    }

    /// As [`Self::iter`], from `author` on.
    pub fn iter_from(&self, author: AuthorId) -> impl Iterator<Item = (AuthorId, u64)> + '_ {
        self.seen
            .range((Bound::Included(author), Bound::Unbounded))
            .map(|(author, n)| (*author, *n))
    }

    /// How many authors were seen.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// The authors of whom `other` has seen less, with the counts here. One pass over both, however many authors there are.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (AuthorId, u64)> + 'a {
        let mut theirs = other.iter().peekable();
        self.iter().filter(move |(author, n)| {
            while theirs.next_if(|(other, _)| other < author).is_some() {}
            theirs.peek().is_none_or(|(other, seen)| other != author || seen < n)
        })
    }

    /// The authors whose counts differ, in order, with the counts here: 0 for those that only `other` has seen.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (AuthorId, u64)> + 'a {
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        core::iter::from_fn(move || {
            loop {
                match (ours.peek(), theirs.peek()) {
                    (Some((author, n)), Some((other, seen))) if author == other => {
                        let differ = n != seen;
                        theirs.next();
                        let here = ours.next();
                        if differ {
                            return here;
                        }
                    }
                    (Some((author, _)), Some((other, _))) if author < other => return ours.next(),
                    (_, Some(_)) => return theirs.next().map(|(author, _)| (author, 0)),
                    (_, None) => return ours.next(),
                }
            }
        })
    }

    /// How many events of this vector `other` has not seen.
    pub fn events_beyond(&self, other: &Self) -> u64 {
        let beyond = self.beyond(other);
        beyond.fold(0, |sum, (author, n)| sum.saturating_add(n - other.get(&author)))
    }

    /// Half of BLAKE3 over the authors and counts in order. Two replicas are equal if and only if their digests are.
    pub fn digest(&self) -> Digest {
        // BLAKE3 is several times as fast where it gets many bytes at once.
        const AUTHOR_BYTES: usize = 24;
        const AT_ONCE: usize = 170;
        let mut hasher = blake3::Hasher::new_derive_key("gossipstore 1 version vector");
        let (mut bytes, mut filled) = ([0; AT_ONCE * AUTHOR_BYTES], 0);
        for (author, n) in self.iter() {
            if filled == bytes.len() {
                hasher.update(&bytes);
                filled = 0;
            }
            bytes[filled..filled + 16].copy_from_slice(&author.0);
            bytes[filled + 16..filled + AUTHOR_BYTES].copy_from_slice(&n.to_le_bytes());
            filled += AUTHOR_BYTES;
        }
        hasher.update(&bytes[..filled]);
        Digest::of(&hasher.finalize())
    }
}

impl FromIterator<(AuthorId, u64)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (AuthorId, u64)>>(pairs: I) -> Self {
        Self {
            seen: pairs.into_iter().filter(|(_, n)| *n > 0).collect(),
        }
    }
}

impl<'a> IntoIterator for &'a VersionVector {
    type Item = (&'a AuthorId, &'a u64);
    type IntoIter = btree_map::Iter<'a, AuthorId, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.seen.iter()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn vector(pairs: &[(u8, u64)]) -> VersionVector {
        pairs.iter().map(|(author, n)| (AuthorId([*author; 16]), *n)).collect()
    }

    #[test]
    fn merge_is_the_pointwise_maximum_and_dominates_both() {
        let (a, b) = (vector(&[(1, 3), (2, 1)]), vector(&[(2, 4), (3, 1)]));
        let mut merged = a.clone();
        merged.merge(&b);
        assert_eq!(merged, vector(&[(1, 3), (2, 4), (3, 1)]));
        assert!(merged.dominates(&a) && merged.dominates(&b) && !a.dominates(&b) && !b.dominates(&a));
        assert_eq!(b.events_beyond(&a), 4);
    }

    #[test]
    fn differences_are_found_in_one_pass() {
        let a = vector(&[(1, 3), (3, 1), (5, 5), (9, 1)]);
        let b = vector(&[(1, 3), (2, 7), (3, 2), (5, 4)]);
        let plain = |counts: &[(u8, u64)]| {
            counts
                .iter()
                .map(|(author, n)| (AuthorId([*author; 16]), *n))
                .collect::<Vec<_>>()
        };
        assert_eq!(a.beyond(&b).collect::<Vec<_>>(), plain(&[(5, 5), (9, 1)]));
        assert_eq!(
            a.differing(&b).collect::<Vec<_>>(),
            plain(&[(2, 0), (3, 1), (5, 5), (9, 1)])
        );
        assert_eq!(a.differing(&a).count() + a.beyond(&a).count(), 0);
    }

    #[test]
    fn an_author_without_events_leaves_no_trace() {
        let mut a = vector(&[(1, 0)]);
        a.advance(AuthorId([2; 16]), 0);
        a.set(AuthorId([3; 16]), 5);
        a.set(AuthorId([3; 16]), 0);
        assert_eq!(a, VersionVector::new());
        assert_eq!(a.digest(), VersionVector::new().digest());
    }

    #[test]
    fn the_digest_tells_vectors_apart() {
        assert_eq!(vector(&[(1, 3), (2, 1)]).digest(), vector(&[(2, 1), (1, 3)]).digest());
        assert_ne!(vector(&[(1, 3)]).digest(), vector(&[(1, 4)]).digest());
        assert_ne!(vector(&[(1, 3)]).digest(), vector(&[(2, 3)]).digest());
    }
}
