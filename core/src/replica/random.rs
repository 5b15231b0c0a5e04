//! Randomness drawn from the seed that the driver handed in.

use crate::id::AuthorId;

/// A stream of pseudo-random numbers: BLAKE3 keyed with the seed, over a counter.
#[derive(Clone, Debug)]
pub(super) struct Random {
    seed: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn author(&mut self) -> AuthorId {
        let block = self.block();
        let mut author = [0; 16];
        author.copy_from_slice(&block[..16]);
        AuthorId(author)
    }

    pub(super) fn number(&mut self) -> u64 {
        let block = self.block();
        let mut number = [0; 8];
        number.copy_from_slice(&block[..8]);
        u64::from_le_bytes(number)
    }

    /// A number below `end`, which must not be 0. The bias of the remainder is far below what any use here could notice.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    fn block(&mut self) -> [u8; 32] {
        self.drawn += 1;
        *blake3::keyed_hash(&self.seed, &self.drawn.to_le_bytes()).as_bytes()
    }
}
