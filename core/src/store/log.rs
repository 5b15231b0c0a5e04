//! Which of one author's events are live, and where their entries are.

use alloc::{collections::BTreeMap, vec::Vec};

/// How many consecutive dots of one author a block holds at most, and does unless a simulation has smaller ones.
pub const BLOCK_DOTS_MAX: u64 = 256;

/// One bit for each dot of a block: set when the dot is live. Bit 0 of word 0 is the block's first dot.
pub type Bitmap = [u64; (BLOCK_DOTS_MAX / 64) as usize];

/// The live dots of one author, by block. A block without live dots does not exist.
#[derive(Clone, Debug)]
pub(super) struct Log {
    block_dots: u64,
    blocks: BTreeMap<u64, Block>,
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
            blocks: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn get(&self, n: u64) -> Option<u32> {
        let (index, bit) = self.place(n)?;
        self.blocks.get(&index)?.get(bit)
    }

    pub(super) fn insert(&mut self, n: u64, slot: u32) {
        let (index, bit) = self.place(n).expect("dots are numbered from 1");
        let block = self.blocks.entry(index).or_default();
        debug_assert!(block.get(bit).is_none(), "a dot is inserted once");
        block.slots.insert(block.rank(bit), slot);
        block.live[bit / 64] |= 1 << (bit % 64);
    }

    pub(super) fn remove(&mut self, n: u64) -> Option<u32> {
        let (index, bit) = self.place(n)?;
        let block = self.blocks.get_mut(&index)?;
        block.get(bit)?;
        let slot = block.slots.remove(block.rank(bit));
        block.live[bit / 64] &= !(1 << (bit % 64));
        if block.slots.is_empty() {
            self.blocks.remove(&index);
        }
        Some(slot)
    }

    /// The slots of the live dots after `after` and up to `upto`, in order.
    pub(super) fn range(&self, after: u64, upto: u64) -> impl Iterator<Item = u32> {
        // Dot n stands at place n - 1, so the dots after `after` begin at place `after`.
        let (first, end) = (after, upto.max(after));
        let dots = self.block_dots;
        let blocks = self.blocks.range(first / dots..end.div_ceil(dots).max(first / dots));
        blocks.flat_map(move |(index, block)| {
            let base = index * dots;
            let from = block.rank(first.saturating_sub(base).min(dots) as usize);
            let to = block.rank(end.saturating_sub(base).min(dots) as usize);
            block.slots[from..to].iter().copied()
        })
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = (u64, Bitmap)> {
        self.blocks.iter().map(|(index, block)| (*index, block.live))
    }

    /// The block of a dot and its bit there.
    fn place(&self, n: u64) -> Option<(u64, usize)> {
        let at = n.checked_sub(1)?;
        Some((at / self.block_dots, (at % self.block_dots) as usize))
    }
}

impl Block {
    fn get(&self, bit: usize) -> Option<u32> {
        let live = self.live[bit / 64] & (1 << (bit % 64)) != 0;
        live.then(|| self.slots[self.rank(bit)])
    }

    /// How many live bits stand before `bit` (up to 256).
    fn rank(&self, bit: usize) -> usize {
        let (word, rest) = (bit / 64, bit % 64);
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
