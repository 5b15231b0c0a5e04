//! Numbers by the hash of what they stand for.

use alloc::vec::Vec;

use hashbrown::{
    HashTable,
    hash_table::{Entry, OccupiedEntry},
};

/// Numbers by 32 bits of hash. What a number stands for, and hence its hash, is told by the caller.
///
/// A hash table grows and tidies itself in one go. This one is split, so that no step moves more than a part.
#[derive(Clone, Debug)]
pub(super) struct Index<const PARTS: usize> {
    parts: Vec<HashTable<u32>>,
}

impl<const PARTS: usize> Default for Index<PARTS> {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| HashTable::new()).collect(),
        }
    }
}

impl<const PARTS: usize> Index<PARTS> {
    /// The number with this hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let part = &self.parts[hash as usize % PARTS];
        part.find(spread(hash), |number| is_it(*number)).copied()
    }

    /// The place of the number with this hash for which `is_it` holds; vacant, if there is none.
    pub(super) fn entry(
        &mut self,
        hash: u32,
        is_it: impl Fn(u32) -> bool,
        hash_of: impl Fn(u32) -> u32,
    ) -> Entry<'_, u32> {
        let part = self.part(hash);
        part.entry(spread(hash), |number| is_it(*number), |number| spread(hash_of(*number)))
    }

    /// Adds a number that is not there.
    pub(super) fn insert(&mut self, hash: u32, number: u32, hash_of: impl Fn(u32) -> u32) {
        let part = self.part(hash);
        part.insert_unique(spread(hash), number, |number| spread(hash_of(*number)));
    }

    pub(super) fn remove(&mut self, hash: u32, number: u32, hash_of: impl Fn(u32) -> u32) {
        let part = self.part(hash);
        part.find_entry(spread(hash), |other| *other == number)
            .map(OccupiedEntry::remove)
            .ok();
        if part.len() < part.capacity() / 4 {
            part.shrink_to(part.len() * 2, |number| spread(hash_of(*number)));
        }
    }

    fn part(&mut self, hash: u32) -> &mut HashTable<u32> {
        &mut self.parts[hash as usize % PARTS]
    }
}

/// 32 bits of hash as the 64 that the table wants: it takes its place from the low and its tag from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_gives_back_the_room_of_what_was_removed() {
        const COUNT: u32 = 10_000;
        // Every hash is that of two numbers.
        let hash = |number: u32| (number / 2).wrapping_mul(2_654_435_761);
        let mut index = Index::<8>::default();
        let room = |index: &Index<8>| index.parts.iter().map(HashTable::capacity).sum::<usize>();
        for number in 0..COUNT {
            match index.entry(hash(number), |other| other == number, hash) {
                Entry::Occupied(_) => panic!("{number} is there already"),
                Entry::Vacant(vacant) => vacant.insert(number),
            };
        }
        for number in 0..COUNT {
            assert_eq!(index.find(hash(number), |other| other == number), Some(number));
        }
        for number in (0..COUNT).filter(|number| number % 100 != 0) {
            index.remove(hash(number), number, hash);
            assert_eq!(index.find(hash(number), |other| other == number), None);
        }
        assert!(
            (0..COUNT)
                .step_by(100)
                .all(|number| index.find(hash(number), |other| other == number).is_some())
        );
        assert!(room(&index) < COUNT as usize / 10, "{}", room(&index));
        (0..COUNT)
            .step_by(100)
            .for_each(|number| index.remove(hash(number), number, hash));
        assert_eq!(room(&index), 0);
    }
}
