//! Numbers in the order of what they stand for.

use alloc::vec::Vec;

use super::cell::KeyNumber;

/// The most numbers in a chunk: an insertion moves at most so many, 2 KiB.
const CHUNK_MAX: usize = 512;

/// A sorted list of key numbers in chunks, four bytes each. How two keys compare is told by the caller, who has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// None is empty.
    chunks: Vec<Vec<KeyNumber>>,
}

/// A place between two numbers: chunk, and place within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place(usize, usize);

impl Order {
    pub(super) fn insert<'a>(&mut self, number: KeyNumber, text: impl Fn(KeyNumber) -> &'a str) {
        let new = text(number);
        // Keys often come in order.
        if self
            .chunks
            .last()
            .and_then(|chunk| chunk.last())
            .is_none_or(|last| text(*last) < new)
        {
            match self.chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK_MAX => chunk.push(number),
                _ => {
                    let mut chunk = Vec::with_capacity(CHUNK_MAX);
                    chunk.push(number);
                    self.chunks.push(chunk);
                }
            }
            return;
        }
        let Place(at, within) = self.place(|other| text(other) < new);
        self.chunks[at].insert(within, number);
        if self.chunks[at].len() > CHUNK_MAX {
            let mut upper = Vec::with_capacity(CHUNK_MAX);
            upper.extend(self.chunks[at].drain(CHUNK_MAX / 2..));
            self.chunks.insert(at + 1, upper);
        }
    }

    pub(super) fn remove<'a>(&mut self, number: KeyNumber, text: impl Fn(KeyNumber) -> &'a str) {
        let old = text(number);
        let Place(at, within) = self.place(|other| text(other) < old);
        let chunk = &mut self.chunks[at];
        debug_assert_eq!(chunk[within], number, "a number is removed that was inserted");
        chunk.remove(within);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
    }

    /// The place after all numbers for which `before` holds; they are the first ones.
    pub(super) fn place(&self, before: impl Fn(KeyNumber) -> bool) -> Place {
        let chunks = self.chunks.partition_point(|chunk| before(chunk[0]));
        let Some(at) = chunks.checked_sub(1) else {
            return Place(0, 0);
        };
        let within = self.chunks[at].partition_point(|number| before(*number));
        if within == self.chunks[at].len() && chunks < self.chunks.len() {
            Place(chunks, 0)
        } else {
            Place(at, within)
        }
    }

    /// The place after the last number.
    pub(super) fn end(&self) -> Place {
        self.chunks
            .last()
            .map_or(Place(0, 0), |chunk| Place(self.chunks.len() - 1, chunk.len()))
    }

    /// The numbers between two places, forward or from the end.
    pub(super) fn range(&self, first: Place, end: Place, reverse: bool) -> impl Iterator<Item = KeyNumber> {
        let chunks = if first < end {
            &self.chunks[first.0..=end.0]
        } else {
            &[]
        };
        let last = chunks.len().wrapping_sub(1);
        let mut numbers = chunks.iter().enumerate().flat_map(move |(at, chunk)| {
            let from = if at == 0 { first.1 } else { 0 };
            let to = if at == last { end.1 } else { chunk.len() };
            chunk[from..to].iter().copied()
        });
        core::iter::from_fn(move || if reverse { numbers.next_back() } else { numbers.next() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    #[test]
    fn behaves_like_a_sorted_list() {
        let texts: Vec<String> = (0..4_000_u32)
            .map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761)))
            .collect();
        let text = |number: KeyNumber| texts[number as usize].as_str();
        let mut order = Order::default();
        let mut model: Vec<KeyNumber> = Vec::new();
        for number in (0..4_000).chain(4_000 - 3_000..4_000).chain(0..500) {
            if let Some(at) = model.iter().position(|other| *other == number) {
                order.remove(number, text);
                model.remove(at);
            } else {
                order.insert(number, text);
                model.push(number);
            }
        }
        model.sort_by_key(|number| text(*number));
        let all: Vec<_> = order.range(Place::default(), order.end(), false).collect();
        assert_eq!(all, model);
        let mut backward: Vec<_> = order.range(Place::default(), order.end(), true).collect();
        backward.reverse();
        assert_eq!(backward, model);
        let (low, high) = ("40000000", "c0000000");
        let (first, end) = (order.place(|n| text(n) < low), order.place(|n| text(n) < high));
        let expected: Vec<_> = model
            .iter()
            .copied()
            .filter(|n| (low..high).contains(&text(*n)))
            .collect();
        assert_eq!(order.range(first, end, false).collect::<Vec<_>>(), expected);
        assert_eq!(order.range(end, first, false).count(), 0);
    }
}
