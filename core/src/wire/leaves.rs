//! Sets of dots, by block: which dots of a replica are live, or which events a receiver has staged.
//!
//! ```text
//! leaf   = author reference, varint blocks skipped since the author's previous leaf (since block 0 for its first), bitmap
//! bitmap = one byte b, then
//!          0 to 32    b bytes of the bitmap, least significant bit first; the rest is 0
//!          33 to 64   b - 32 numbers (a byte each, rising) of the dots that are not in the set; all others are
//!          65 to 96   b - 64 numbers of the dots that are in the set
//!          97         all 256 dots are; then a varint: how many blocks that follow at once are full as well
//! ```

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Bound;

use super::{
    AuthorTable, DOT_NUMBER_MAX, Frame, WireError,
    bytes::{Reader, Writer},
};
use crate::id::{AuthorId, Dot};

/// One bit for each of the 256 dots of a block. Bit 0 of word 0 is the block's first dot.
pub type Bits = [u64; 4];

/// The dots of a set that are in one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Whose events.
    pub author: AuthorId,
    /// The block's index: it holds the dots from 256 x block + 1 on.
    pub block: u64,
    /// One bit a dot.
    pub live: Bits,
}

/// A set of dots, by author and block. Full blocks in a row take the place of one: they cost a few bytes on the wire, whatever
/// their number, and may not cost more here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leaves {
    /// By author and first block: the bitmap, and how many further blocks have it.
    runs: BTreeMap<(AuthorId, u64), (Bits, u64)>,
}

impl Leaves {
    /// Adds a block, and so many that follow it.
    pub fn insert(&mut self, author: AuthorId, block: u64, bits: Bits, more: u64) {
        self.runs.insert((author, block), (bits, more));
    }

    /// The dots of a block that are in the set.
    pub fn get(&self, author: &AuthorId, block: u64) -> Option<Bits> {
        let (place, (bits, more)) = self.runs.range(..=(*author, block)).next_back()?;
        (place.0 == *author && block - place.1 <= *more).then_some(*bits)
    }

    /// Whether a dot is in the set.
    pub fn contains(&self, dot: &Dot) -> bool {
        bit_of(dot.n).is_some_and(|(block, word, bit)| {
            let bits = self.get(&dot.author, block);
            bits.is_some_and(|bits| bits[word] & bit != 0)
        })
    }

    /// The number of the author's first dot in the set after the `after`th.
    pub fn next_after(&self, author: &AuthorId, after: u64) -> Option<u64> {
        let from = (*author, after / 256);
        let run_before = self.runs.range(..from).next_back();
        let runs = run_before
            .into_iter()
            .chain(self.runs.range(from..=(*author, u64::MAX)));
        for ((_, first), (bits, more)) in runs.filter(|((other, _), _)| other == author) {
            // Within a run, the blocks are alike: the one that holds `after`, and the one that follows.
            for block in [after / 256, after / 256 + 1, *first] {
                let Some(at) = block.checked_sub(*first).filter(|at| at <= more).map(|_| block * 256) else {
                    continue;
                };
                let dots = (1..=256).filter(|place| bits[((place - 1) / 64) as usize] >> ((place - 1) % 64) & 1 == 1);
                if let Some(n) = dots.map(|place| at + place).find(|n| *n > after) {
                    return Some(n);
                }
            }
        }
        None
    }

    /// The dot after this one in the order of authors and numbers, or the first.
    pub fn next(&self, after: Option<Dot>) -> Option<Dot> {
        let in_run = |author: AuthorId, n: u64| Some(Dot::new(author, self.next_after(&author, n)?));
        let from = match after {
            None => Bound::Unbounded,
            Some(dot) => match in_run(dot.author, dot.n) {
                None => Bound::Excluded((dot.author, u64::MAX)),
                next => return next,
            },
        };
        let mut others = self.runs.range((from, Bound::Unbounded));
        others.find_map(|((author, _), _)| in_run(*author, 0))
    }

    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

/// Where the dot with this number stands: its block, and the word and the bit of the bitmap. No dot has the number 0.
pub fn bit_of(n: u64) -> Option<(u64, usize, u64)> {
    let at = n.checked_sub(1)?;
    Some((at / 256, (at % 256 / 64) as usize, 1 << (at % 64)))
}

/// The highest index of a block.
const BLOCK_MAX: u64 = DOT_NUMBER_MAX / 256;

const FULL: Bits = [u64::MAX; 4];

const BYTES_MAX: u8 = 32;
const HOLES: u8 = 32;
const DOTS: u8 = 64;
const FULL_RUN: u8 = 97;

/// Writes a set whose leaves come grouped by author, in rising order of their blocks, as the payloads of frames.
#[derive(Clone, Debug, Default)]
pub struct LeafWriter {
    /// Those that are full, and how many bytes they have.
    payloads: Vec<Vec<u8>>,
    bytes: usize,
    out: Vec<u8>,
    /// The author and the block after the last that was written to this payload.
    previous: Option<(AuthorId, u64)>,
    /// Full blocks that are not yet written: the first and how many follow it.
    run: Option<(AuthorId, u64, u64)>,
}

impl LeafWriter {
    /// Appends a leaf.
    pub fn push(&mut self, leaf: &Leaf, authors: &mut AuthorTable) {
        // The leaf and the run that may stand before it.
        if self.out.len() + 2 * LEAF_BYTES_MAX > Frame::PAYLOAD_BYTES_MAX {
            self.close(authors);
        }
        if leaf.live == FULL {
            match &mut self.run {
                Some((author, block, more)) if *author == leaf.author && *block + *more + 1 == leaf.block => *more += 1,
                _ => {
                    self.flush(authors);
                    self.run = Some((leaf.author, leaf.block, 0));
                }
            }
            return;
        }
        self.flush(authors);
        self.place(leaf.author, leaf.block, authors);
        write_bits(&leaf.live, &mut self.out);
        self.previous = Some((leaf.author, leaf.block + 1));
    }

    /// How many bytes were written so far.
    pub fn bytes(&self) -> usize {
        self.bytes + self.out.len()
    }

    /// The payloads; at least one.
    pub fn finish(mut self, authors: &mut AuthorTable) -> Vec<Vec<u8>> {
        self.close(authors);
        self.payloads
    }

    /// Ends a payload: the next begins anew.
    fn close(&mut self, authors: &mut AuthorTable) {
        self.flush(authors);
        self.previous = None;
        self.bytes += self.out.len();
        self.payloads.push(core::mem::take(&mut self.out));
    }

    fn flush(&mut self, authors: &mut AuthorTable) {
        if let Some((author, block, more)) = self.run.take() {
            self.place(author, block, authors);
            self.out.byte(FULL_RUN);
            self.out.varint(more);
            self.previous = Some((author, block + more + 1));
        }
    }

    fn place(&mut self, author: AuthorId, block: u64, authors: &mut AuthorTable) {
        authors.write(author, &mut self.out);
        let next = self.previous.filter(|(previous, _)| *previous == author);
        self.out.varint(block - next.map_or(0, |(_, next)| next));
    }
}

/// The longest leaf: author reference, skipped blocks, bitmap.
const LEAF_BYTES_MAX: usize = 1 + 16 + 10 + 33;

/// Reads the leaves of one frame into a set. `charge` is called for each leaf before it is kept.
///
/// # Errors
/// When the bytes are malformed, or what `charge` returns.
pub fn read_leaves<E: From<WireError>>(
    bytes: &[u8],
    authors: &mut AuthorTable,
    into: &mut Leaves,
    mut charge: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut from = Reader::new(bytes);
    let mut previous: Option<(AuthorId, u64)> = None;
    while !from.is_empty() {
        let author = authors.read(&mut from)?;
        let next = previous.filter(|(previous, _)| *previous == author);
        let skipped = from.varint()?;
        let block = checked_block(next.map_or(0, |(_, next)| next), skipped)?;
        let (bits, more) = read_bits(&mut from)?;
        let last = checked_block(block, more)?;
        charge()?;
        into.insert(author, block, bits, more);
        previous = Some((author, last + 1));
    }
    Ok(())
}

fn checked_block(block: u64, more: u64) -> Result<u64, WireError> {
    let block = block.saturating_add(more);
    if block > BLOCK_MAX {
        Err(WireError::OutOfRange("block"))
    } else {
        Ok(block)
    }
}

/// Appends one bitmap in its shortest form.
pub(super) fn write_bits(bits: &Bits, out: &mut Vec<u8>) {
    let ones: u32 = bits.iter().map(|word| word.count_ones()).sum();
    if ones == 256 {
        out.byte(FULL_RUN);
        out.varint(0);
        return;
    }
    let mut bytes = [0; 32];
    for (word, place) in bits.iter().zip(bytes.as_chunks_mut().0) {
        *place = word.to_le_bytes();
    }
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let (dots, holes) = (ones as usize, 256 - ones as usize);
    if dots < length && dots <= holes {
        out.byte(DOTS + dots as u8);
        numbers(bits, true).for_each(|number| out.byte(number));
    } else if holes < length {
        out.byte(HOLES + holes as u8);
        numbers(bits, false).for_each(|number| out.byte(number));
    } else {
        out.byte(length as u8);
        out.put(&bytes[..length]);
    }
}

fn numbers(bits: &Bits, set: bool) -> impl Iterator<Item = u8> {
    let is = move |number: &u8| bits[usize::from(number / 64)] >> (number % 64) & 1 == u64::from(set);
    (0..=u8::MAX).filter(is)
}

/// Reads a bitmap, and how many blocks that follow have the same.
pub(super) fn read_bits(from: &mut Reader<'_>) -> Result<(Bits, u64), WireError> {
    let mut bits = Bits::default();
    let head = from.byte()?;
    match head {
        0..=BYTES_MAX => {
            let mut bytes = [0; 32];
            let length = usize::from(head);
            bytes[..length].copy_from_slice(from.take(length)?);
            for (word, bytes) in bits.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
        }
        FULL_RUN => return Ok((FULL, from.varint()?)),
        head if head < FULL_RUN => {
            let (count, set) = if head > DOTS {
                (head - DOTS, true)
            } else {
                (head - HOLES, false)
            };
            bits = if set { Bits::default() } else { FULL };
            let mut above = None;
            for _ in 0..count {
                let number = from.byte()?;
                if above.is_some_and(|above| number <= above) {
                    return Err(WireError::OutOfRange("number within a bitmap"));
                }
                above = Some(number);
                bits[usize::from(number / 64)] ^= 1 << (number % 64);
            }
        }
        _ => return Err(WireError::OutOfRange("form of a bitmap")),
    }
    Ok((bits, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Leaves, WireError> {
        let mut leaves = Leaves::default();
        read_leaves(bytes, &mut AuthorTable::default(), &mut leaves, || {
            Ok::<_, WireError>(())
        })?;
        Ok(leaves)
    }

    fn written(leaves: &[Leaf]) -> Vec<u8> {
        let (mut writer, mut table) = (LeafWriter::default(), AuthorTable::default());
        for leaf in leaves {
            writer.push(leaf, &mut table);
        }
        writer.finish(&mut table).concat()
    }

    #[test]
    fn every_density_is_read_back_and_takes_its_shortest_form() {
        for count in 0..=256_usize {
            // Spread by a walk that meets each number once.
            let mut bits = Bits::default();
            for at in 0..count {
                let number = (at * 97 + 5) % 256;
                bits[number / 64] |= 1 << (number % 64);
            }
            let mut out = Vec::new();
            write_bits(&bits, &mut out);
            let bound = 2 + count.min(256 - count).min(32);
            assert!(out.len() <= bound, "{count} dots take {} bytes", out.len());
            assert_eq!(read_bits(&mut Reader::new(&out)), Ok((bits, 0)));
        }
    }

    #[test]
    fn full_blocks_in_a_row_are_one_leaf() {
        let (a, b) = (AuthorId([1; 16]), AuthorId([2; 16]));
        let leaf = |author, block, live| Leaf { author, block, live };
        let mut leaves: Vec<_> = (3..1_003).map(|block| leaf(a, block, FULL)).collect();
        leaves.push(leaf(a, 1_003, [7, 0, 0, 0]));
        leaves.push(leaf(a, 1_004, FULL));
        leaves.push(leaf(b, 1_005, FULL));
        let bytes = written(&leaves);
        assert!(bytes.len() < 60, "{} bytes", bytes.len());
        let read = read(&bytes).expect("well formed");
        assert_eq!(read.len(), 4);
        for leaf in &leaves {
            assert_eq!(read.get(&leaf.author, leaf.block), Some(leaf.live));
        }
        let next = |author, after| read.next_after(&author, after);
        assert_eq!(next(a, 0), Some(3 * 256 + 1));
        assert_eq!(next(a, 700 * 256), Some(700 * 256 + 1));
        assert_eq!(next(a, 701 * 256 - 1), Some(701 * 256));
        assert_eq!(next(a, 1_003 * 256 + 2), Some(1_003 * 256 + 3));
        assert_eq!(next(a, 1_003 * 256 + 3), Some(1_004 * 256 + 1));
        assert_eq!((next(a, 1_005 * 256), next(b, 1 << 50)), (None, None));
        for (author, block) in [(a, 2), (a, 1_005), (b, 1_004), (b, 1_006)] {
            assert_eq!(read.get(&author, block), None);
        }
        let in_block = |n: u64| read.contains(&Dot::new(a, 1_003 * 256 + n));
        assert_eq!(
            [0, 1, 3, 4, 256, 257].map(in_block),
            [true, true, true, false, false, true]
        );
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let author = [0; 17];
        let with = |rest: &[u8]| [&author[..], rest].concat();
        for bytes in [
            with(&[0, 98]),
            with(&[0, 2, 0]),
            with(&[0, 34, 7, 7]),
            with(&[0, 66, 9, 8]),
            with(&[0]),
            // Past the last block.
            with(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]),
            with(&[0, 97, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ] {
            assert!(read(&bytes).is_err(), "{bytes:?}");
        }
    }
}
