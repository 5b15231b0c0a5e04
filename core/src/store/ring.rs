//! The record ring: what the recently dead events had removed.

use core::{hash::BuildHasher, mem};

use super::{
    authors::Compact,
    index::Index,
    pages::Pages,
    removals::{Removals, Removes},
};
use foldhash::fast::FixedState;

/// Of the records that a ring holds by default, a part of the index holds a thousand.
const INDEX_PARTS: usize = 64;

/// Records of dead events, the oldest forgotten first. It holds every dead event, not only deletes: when a chain of
/// overwrites ends in a delete, a peer that knows only the beginning of the chain needs each link's record to follow it.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    capacity: usize,
    /// How many records it was ever given.
    pushed: u64,
    records: Pages<Record>,
    /// Where the next record goes once the ring is full: over the oldest.
    oldest: u32,
    places: Index<INDEX_PARTS>,
    removals: Removals,
}

#[derive(Clone, Debug)]
struct Record {
    dot: Compact,
    removes: Removes,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            pushed: 0,
            records: Pages::default(),
            oldest: 0,
            places: Index::default(),
            removals: Removals::default(),
        }
    }

    /// Adds the record of an event, unless it has one. The oldest goes, once the ring is full.
    pub(super) fn push(&mut self, dot: Compact, removed: impl IntoIterator<Item = Compact>) {
        if self.capacity == 0 || self.find(dot).is_some() {
            return;
        }
        self.pushed += 1;
        let removes = self.removals.keep(dot, removed);
        let record = Record { dot, removes };
        let place = if self.records.len() < self.capacity {
            self.records.insert(record)
        } else {
            let (place, records) = (self.oldest, &self.records);
            self.places
                .remove(hash(records[place].dot), place, |place| hash(records[place].dot));
            let oldest = mem::replace(&mut self.records[place], record);
            self.removals.forget(oldest.dot, oldest.removes);
            self.oldest = (place + 1) % self.capacity as u32;
            place
        };
        let records = &self.records;
        self.places.insert(hash(dot), place, |place| hash(records[place].dot));
    }

    /// What a dead event removed, if it is remembered.
    pub(super) fn get(&self, dot: Compact) -> Option<impl Iterator<Item = Compact>> {
        let removes = self.records[self.find(dot)?].removes;
        Some(self.removals.dots(dot, removes))
    }

    /// How many records it was ever given.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// The records that it was given after the first `pushed`, the oldest first, as far as it has them.
    pub(super) fn since(&self, pushed: u64) -> impl Iterator<Item = (Compact, impl Iterator<Item = Compact>)> {
        let held = self.records.len();
        let wanted = usize::try_from(self.pushed - pushed.min(self.pushed)).map_or(held, |new| new.min(held));
        (held - wanted..held).map(move |at| {
            let place = (self.oldest as usize + at) % held;
            let record = &self.records[place as u32];
            (record.dot, self.removals.dots(record.dot, record.removes))
        })
    }

    /// Where the record of an event is.
    fn find(&self, dot: Compact) -> Option<u32> {
        self.places.find(hash(dot), |place| self.records[place].dot == dot)
    }
}

fn hash(dot: Compact) -> u32 {
    // Numbers of this replica's own making: nobody else chooses them freely.
    FixedState::default().hash_one((dot.author, dot.n)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn forgets_the_oldest() {
        let mut ring = Ring::new(3);
        let dot = |n| Compact { author: 1, n };
        for n in [5, 6, 2, 9, 9, 7] {
            ring.push(dot(n), [dot(1), dot(n - 1)]);
        }
        let known: Vec<u64> = (0..20).filter(|n| ring.get(dot(*n)).is_some()).collect();
        assert_eq!(known, [2, 7, 9]);
        for n in known {
            let removed: Vec<_> = ring.get(dot(n)).into_iter().flatten().collect();
            assert_eq!(removed, [dot(1), dot(n - 1)]);
        }
        assert!(ring.get(Compact { author: 2, n: 9 }).is_none());
        let mut none = Ring::new(0);
        none.push(dot(1), [dot(2), dot(3)]);
        assert!(none.get(dot(1)).is_none());
    }
}
