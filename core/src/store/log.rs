//! Which of one author's events are live, and where their entries are.

use alloc::{boxed::Box, vec::Vec};

/// How many consecutive dots of one author a block holds at most, and does unless a simulation has smaller ones.
pub const BLOCK_DOTS_MAX: u64 = 256;

/// One bit for each dot of a block: set when the dot is live. Bit 0 of word 0 is the block's first dot.
pub type Bitmap = [u64; (BLOCK_DOTS_MAX / 64) as usize];

/// The live dots of one author, by block. A block without live dots does not exist.
#[derive(Clone, Debug)]
pub(super) struct Log {
    block_dots: u64,
    /// In the order of their indexes. A list: most authors have one block or a run of blocks without holes, in which a block
    /// is found by its distance from the first. `None` where a block lost its last dot, until half of them have: a list
    /// that moved up each time would take seconds to empty.
    blocks: Vec<(u64, Option<Box<Block>>)>,
    /// How many blocks there are.
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Block {
    live: Bitmap,
    /// The slots of the live dots, in their order: the slot of a dot is found by counting the live bits before it.
    slots: Vec<u32>,
}

impl Log {
    /// A log in blocks of so many dots.
    pub(super) fn new(block_dots: u64) -> Self {
        Self {
            block_dots,
            blocks: Vec::new(),
            len: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, n: u64) -> Option<u32> {
        let (index, bit) = self.place(n)?;
        let at = self.find(index).ok()?;
        self.blocks[at].1.as_ref()?.get(bit)
    }

    pub(super) fn insert(&mut self, n: u64, slot: u32) {
        let (index, bit) = self.place(n).expect("dots are numbered from 1");
        let at = self.find(index).unwrap_or_else(|at| {
            if self.blocks.capacity() == 0 {
                // Many authors never have a second one.
                self.blocks.reserve_exact(1);
            }
            self.blocks.insert(at, (index, None));
            at
        });
        let block = self.blocks[at].1.get_or_insert_with(|| {
            self.len += 1;
            Box::default()
        });
        debug_assert!(block.get(bit).is_none(), "a dot is inserted once");
        block.slots.insert(block.rank(bit), slot);
        block.live[bit / 64] |= 1 << (bit % 64);
    }

    pub(super) fn remove(&mut self, n: u64) -> Option<u32> {
        let (index, bit) = self.place(n)?;
        let at = self.find(index).ok()?;
        let place = &mut self.blocks[at].1;
        let block = place.as_mut()?;
        let rank = block.live_rank(bit)?;
        let slot = block.slots.remove(rank);
        block.live[bit / 64] &= !(1 << (bit % 64));
        if block.slots.is_empty() {
            *place = None;
            self.len -= 1;
            self.tidy();
        } else if block.slots.len() < block.slots.capacity() / 4 {
            block.slots.shrink_to(block.slots.len() * 2);
        }
        Some(slot)
    }

    /// The slots of the live dots after `after` and up to `upto`, in order.
    pub(super) fn range(&self, after: u64, upto: u64) -> impl Iterator<Item = u32> {
        // Dot n stands at place n - 1, so the dots after `after` begin at place `after`.
        let (first, end) = (after, upto.max(after));
        let dots = self.block_dots;
        let from = self.blocks.partition_point(|(index, _)| *index < first / dots);
        let blocks = self.blocks[from..]
            .iter()
            .take_while(move |(index, _)| *index < end.div_ceil(dots));
        blocks.flat_map(move |(index, block)| {
            let Some(block) = block else {
                return [].iter().copied();
            };
            let base = index * dots;
            let from = block.rank(first.saturating_sub(base).min(dots) as usize);
            let to = block.rank(end.saturating_sub(base).min(dots) as usize);
            block.slots[from..to].iter().copied()
        })
    }

    /// The blocks from the one with index `from` on.
    pub(super) fn blocks(&self, from: u64) -> impl Iterator<Item = (u64, Bitmap)> {
        let at = self.blocks.partition_point(|(index, _)| *index < from);
        let blocks = self.blocks[at..].iter();
        blocks.filter_map(|(index, block)| Some((*index, block.as_ref()?.live)))
    }

    /// Closes up where blocks are missing, once that is half of the list.
    fn tidy(&mut self) {
        if self.len <= self.blocks.len() / 2 {
            self.blocks.retain(|(_, block)| block.is_some());
            if self.blocks.len() < self.blocks.capacity() / 4 {
                self.blocks.shrink_to(self.blocks.len() * 2);
            }
        }
    }

    /// Where the block with this index is, or would be.
    fn find(&self, index: u64) -> Result<usize, usize> {
        if let Some((first, _)) = self.blocks.first()
            && let Some(at) = index.checked_sub(*first).and_then(|at| usize::try_from(at).ok())
            && self.blocks.get(at).is_some_and(|(found, _)| *found == index)
        {
            return Ok(at);
        }
        // A new event mostly belongs to the last block or the one after it.
        match self.blocks.last() {
            Some((last, _)) if *last < index => Err(self.blocks.len()),
            Some((last, _)) if *last == index => Ok(self.blocks.len() - 1),
            _ => self.blocks.binary_search_by_key(&index, |(index, _)| *index),
        }
    }

    /// The block of a dot and its bit there.
    fn place(&self, n: u64) -> Option<(u64, usize)> {
        let at = n.checked_sub(1)?;
        Some((at / self.block_dots, (at % self.block_dots) as usize))
    }
}

impl Block {
    fn get(&self, bit: usize) -> Option<u32> {
        self.live_rank(bit).map(|rank| self.slots[rank])
    }

    /// How many live bits stand before `bit`, if that is live.
    fn live_rank(&self, bit: usize) -> Option<usize> {
        let live = self.live[bit / 64] & (1 << (bit % 64)) != 0;
        live.then(|| self.rank(bit))
    }

    /// How many live bits stand before `bit` (up to 256).
    fn rank(&self, bit: usize) -> usize {
        let (word, rest) = (bit / 64, bit % 64);
        // Events mostly come in order: nothing stands behind a new one.
        if word < self.live.len() && self.live[word] >> rest == 0 && self.live[word + 1..].iter().all(|word| *word == 0)
        {
            return self.slots.len();
        }
        let whole: u32 = self.live[..word].iter().map(|word| word.count_ones()).sum();
        let part = self
            .live
            .get(word)
            .map_or(0, |word| (word & ((1 << rest) - 1)).count_ones());
        (whole + part) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn behaves_like_a_map_from_number_to_slot() {
        for block_dots in [4, BLOCK_DOTS_MAX] {
            walk(Log::new(block_dots));
        }
    }

    fn walk(mut log: Log) {
        let mut model = BTreeMap::new();
        // A fixed walk over three blocks that inserts and removes around their edges.
        let mut state = 7_u64;
        for step in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let n = 1 + (state >> 33) % 700;
            if let Some(slot) = model.remove(&n) {
                assert_eq!(log.remove(n), Some(slot));
                assert_eq!(log.remove(n), None);
            } else {
                log.insert(n, step);
                model.insert(n, step);
            }
            assert_eq!(log.get(n), model.get(&n).copied());
            let (after, upto) = ((state >> 20) % 701, (state >> 40) % 701);
            let expected: Vec<u32> = model
                .iter()
                .filter(|(n, _)| **n > after && **n <= upto)
                .map(|(_, s)| *s)
                .collect();
            assert_eq!(log.range(after, upto).collect::<Vec<_>>(), expected, "{after}..{upto}");
        }
        assert_eq!(log.get(0), None);
    }
}
