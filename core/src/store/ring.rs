//! The record ring: what the recently dead events had removed.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
};

use crate::id::{AuthorId, Dot};

/// Records of dead events, the oldest forgotten first. It holds every dead event, not only deletes: when a chain of
/// overwrites ends in a delete, a peer that knows only the beginning of the chain needs each link's record to follow it.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    capacity: usize,
    records: BTreeMap<Dot, Box<[Dot]>>,
    order: VecDeque<Dot>,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            records: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, dot: Dot, removes: Box<[Dot]>) {
        if self.capacity == 0 {
            return;
        }
        if self.records.insert(dot, removes).is_none() {
            self.order.push_back(dot);
        }
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.records.remove(&oldest);
            }
        }
    }

    pub(super) fn range(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = (u64, &[Dot])> {
        let (first, last) = (Dot::new(author, after.saturating_add(1)), Dot::new(author, upto));
        let records = (first <= last).then(|| self.records.range(first..=last));
        records.into_iter().flatten().map(|(dot, removes)| (dot.n, &**removes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn forgets_the_oldest_and_reads_ranges() {
        let author = AuthorId([1; 16]);
        let mut ring = Ring::new(3);
        for n in [5, 6, 2, 9] {
            ring.push(Dot::new(author, n), Box::new([Dot::new(author, 1)]));
        }
        let numbers = |after, upto| ring.range(author, after, upto).map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(numbers(0, u64::MAX), [2, 6, 9]);
        assert_eq!(numbers(2, 6), [6]);
        assert_eq!(numbers(6, 2), [0; 0]);
    }
}
