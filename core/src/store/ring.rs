//! The record ring: what the recently dead events had removed.

use core::hash::BuildHasher;

use super::{
    authors::{AuthorNumber, Compact, Removes},
    index::Index,
    pages::Pages,
};
use foldhash::fast::FixedState;

/// Of the records that a ring holds by default, a part of the index holds a thousand.
const INDEX_PARTS: usize = 64;

/// Records of dead events, the oldest forgotten first. It holds every dead event, not only deletes: when a chain of
/// overwrites ends in a delete, a peer that knows only the beginning of the chain needs each link's record to follow it.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    capacity: usize,
    records: Pages<Record>,
    /// Where the next record goes once the ring is full: over the oldest.
    oldest: u32,
    places: Index<INDEX_PARTS>,
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
            records: Pages::default(),
            oldest: 0,
            places: Index::default(),
        }
    }

    pub(super) fn push(&mut self, dot: Compact, removes: Removes) {
        if self.capacity == 0 || self.get(dot.author, dot.n).is_some() {
            return;
        }
        let record = Record { dot, removes };
        let place = if self.records.len() < self.capacity {
            self.records.insert(record)
        } else {
            let (place, records) = (self.oldest, &self.records);
            self.places
                .remove(hash(records[place].dot), place, |place| hash(records[place].dot));
            self.records[place] = record;
            self.oldest = (place + 1) % self.capacity as u32;
            place
        };
        let records = &self.records;
        self.places.insert(hash(dot), place, |place| hash(records[place].dot));
    }

    /// What a dead event removed, if it is remembered.
    pub(super) fn get(&self, author: AuthorNumber, n: u64) -> Option<&Removes> {
        let dot = Compact { author, n };
        let place = self.places.find(hash(dot), |place| self.records[place].dot == dot)?;
        Some(&self.records[place].removes)
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
        for n in [5, 6, 2, 9, 9, 7] {
            ring.push(Compact { author: 1, n }, Removes::One { author: 1, n: 1 });
        }
        let known: Vec<u64> = (0..20).filter(|n| ring.get(1, *n).is_some()).collect();
        assert_eq!(known, [2, 7, 9]);
        assert!(ring.get(2, 9).is_none());
        let mut none = Ring::new(0);
        none.push(Compact { author: 1, n: 1 }, Removes::None);
        assert!(none.get(1, 1).is_none());
    }
}
