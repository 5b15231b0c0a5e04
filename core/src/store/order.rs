//! Numbers in the order of what they stand for.

use alloc::{boxed::Box, vec::Vec};
use core::cmp::Ordering;

use super::cell::KeyNumber;
use crate::causality::Key;

/// The most numbers in a chunk: an insertion moves at most so many, 2 KiB.
const CHUNK_MAX: usize = 256;

/// A sorted list of key numbers in chunks. What text a number stands for is told by the caller, who has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// The first number of each chunk.
    firsts: Ranks,
    /// None is empty.
    #[allow(clippy::vec_box, reason = "a new one among thousands moves pointers only")]
    chunks: Vec<Box<Ranks>>,
}

/// A place between two numbers: chunk, and place within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place(usize, usize);

impl Order {
    /// Inserts a number whose text is not among those of the others.
    pub(super) fn insert<'a>(&mut self, number: KeyNumber, new: &Key, text: impl Fn(KeyNumber) -> &'a Key) {
        // Keys often come in order.
        let ends_before = |chunk: &Ranks| **text(chunk.last()) < **new;
        let (at, within) = match self.chunks.last() {
            Some(chunk) if ends_before(chunk) && chunk.len() < CHUNK_MAX => (self.chunks.len() - 1, chunk.len()),
            Some(chunk) if !ends_before(chunk) => {
                let mut at = self.chunk(new, &text);
                if self.chunks[at].len() == CHUNK_MAX {
                    let upper = self.chunks[at].split(&text);
                    self.add(at + 1, upper, &text);
                    at += usize::from(*self.chunks[at + 1].first <= **new);
                }
                (at, self.chunks[at].place(new, false, &text))
            }
            _ => {
                self.add(self.chunks.len(), Ranks::of(number, new), &text);
                return;
            }
        };
        self.chunks[at].insert(within, number, new, &text);
        if within == 0 {
            self.firsts.remove(at, &text);
            self.firsts.insert(at, number, new, &text);
        }
    }

    pub(super) fn remove<'a>(&mut self, number: KeyNumber, text: impl Fn(KeyNumber) -> &'a Key) {
        let old = text(number);
        let at = self.chunk(old, &text);
        let within = self.chunks[at].place(old, false, &text);
        let chunk = &mut self.chunks[at];
        debug_assert_eq!(
            chunk.ranked[within].number, number,
            "a number is removed that was inserted"
        );
        chunk.remove(within, &text);
        if chunk.len() == 0 {
            self.take(at, &text);
            return;
        }
        if within == 0 {
            let first = chunk.ranked[0].number;
            self.firsts.remove(at, &text);
            self.firsts.insert(at, first, text(first), &text);
        }
        // Chunks that have become small are joined, so that a store that shrinks gives memory back.
        if self.chunks[at].len() < CHUNK_MAX / 4 && !self.join(at, &text) && at > 0 {
            self.join(at - 1, &text);
        }
    }

    /// The place after all numbers whose texts are before `bound`, or, if `included`, at or before it.
    pub(super) fn place<'a>(&self, bound: &str, included: bool, text: impl Fn(KeyNumber) -> &'a Key) -> Place {
        let at = self.chunk(bound, &text);
        let Some(chunk) = self.chunks.get(at) else {
            return Place(0, 0);
        };
        let within = chunk.place(bound, included, &text);
        if within == chunk.len() && at + 1 < self.chunks.len() {
            Place(at + 1, 0)
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
            chunk.ranked[from..to].iter().map(|ranked| ranked.number)
        });
        core::iter::from_fn(move || if reverse { numbers.next_back() } else { numbers.next() })
    }

    /// The chunk where a text belongs: the last that does not begin after it.
    fn chunk<'a>(&self, bound: &str, text: &impl Fn(KeyNumber) -> &'a Key) -> usize {
        self.firsts.place(bound, true, text).saturating_sub(1)
    }

    fn add<'a>(&mut self, at: usize, chunk: Ranks, text: &impl Fn(KeyNumber) -> &'a Key) {
        self.firsts.insert(at, chunk.ranked[0].number, &chunk.first, text);
        self.firsts.sharpen(text);
        self.chunks.insert(at, Box::new(chunk));
    }

    fn take<'a>(&mut self, at: usize, text: &impl Fn(KeyNumber) -> &'a Key) -> Box<Ranks> {
        self.firsts.remove(at, text);
        let chunk = self.chunks.remove(at);
        if self.chunks.len() < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
        chunk
    }

    /// Joins a chunk and the next, if both are small.
    fn join<'a>(&mut self, at: usize, text: &impl Fn(KeyNumber) -> &'a Key) -> bool {
        let small = |next: usize| self.chunks[at].len() + next <= CHUNK_MAX / 2;
        let joins = self.chunks.get(at + 1).is_some_and(|next| small(next.len()));
        if joins {
            let next = self.take(at + 1, text);
            self.chunks[at].append(&next, text);
        }
        joins
    }
}

/// Numbers in the order of their texts, eight bytes each.
///
/// Texts lie all over memory, and a search that looked at a dozen of them would mostly wait for it. So each number has four bytes of
/// its text beside it, those that follow what all the texts have in common; a search looks at the texts where these are equal.
#[derive(Clone, Debug, Default)]
struct Ranks {
    /// The text of the first number.
    first: Key,
    /// With how many bytes of it all texts begin.
    shared: usize,
    ranked: Vec<Ranked>,
}

#[derive(Clone, Copy, Debug)]
struct Ranked {
    /// The four bytes of the text after the shared ones, so that words are ordered as the texts are.
    word: u32,
    number: KeyNumber,
}

impl Ranks {
    fn of(number: KeyNumber, text: &Key) -> Self {
        Self {
            first: text.clone(),
            shared: text.len(),
            ranked: Vec::from([Ranked { word: 0, number }]),
        }
    }

    fn len(&self) -> usize {
        self.ranked.len()
    }

    fn last(&self) -> KeyNumber {
        self.ranked[self.len() - 1].number
    }

    /// The place after all numbers whose texts are before `bound`, or, if `included`, at or before it.
    fn place<'a>(&self, bound: &str, included: bool, text: &impl Fn(KeyNumber) -> &'a Key) -> usize {
        let (bytes, shared) = (bound.as_bytes(), &self.first.as_bytes()[..self.shared]);
        match bytes[..bytes.len().min(self.shared)].cmp(shared) {
            Ordering::Less => return 0,
            Ordering::Greater => return self.len(),
            Ordering::Equal => {}
        }
        let word = word(bound, self.shared);
        self.ranked.partition_point(|ranked| {
            let order = ranked
                .word
                .cmp(&word)
                .then_with(|| text(ranked.number).as_str().cmp(bound));
            order.is_lt() || included && order.is_eq()
        })
    }

    fn insert<'a>(&mut self, at: usize, number: KeyNumber, new: &Key, text: &impl Fn(KeyNumber) -> &'a Key) {
        if self.ranked.is_empty() {
            *self = Self::of(number, new);
            return;
        }
        let shared = common(&self.first, new);
        if shared < self.shared {
            self.share(shared, text);
        }
        let word = word(new, self.shared);
        self.ranked.insert(at, Ranked { word, number });
        if at == 0 {
            self.first = new.clone();
        }
    }

    fn remove<'a>(&mut self, at: usize, text: &impl Fn(KeyNumber) -> &'a Key) {
        self.ranked.remove(at);
        if self.len() < self.ranked.capacity() / 4 {
            self.ranked.shrink_to(self.len() * 2);
        }
        if let (0, Some(first)) = (at, self.ranked.first()) {
            self.first = text(first.number).clone();
        }
    }

    /// Takes the upper half out.
    fn split<'a>(&mut self, text: &impl Fn(KeyNumber) -> &'a Key) -> Self {
        let mut ranked = Vec::with_capacity(self.ranked.capacity());
        ranked.extend(self.ranked.drain(self.len() / 2..));
        let mut upper = Self {
            first: text(ranked[0].number).clone(),
            shared: self.shared,
            ranked,
        };
        self.sharpen(text);
        upper.sharpen(text);
        upper
    }

    /// Takes in what follows.
    fn append<'a>(&mut self, next: &Self, text: &impl Fn(KeyNumber) -> &'a Key) {
        self.ranked.extend_from_slice(&next.ranked);
        self.share(common(&self.first, text(self.last())), text);
    }

    /// Makes the words tell more, if they tell less than they could: when the first bytes of all are the same.
    fn sharpen<'a>(&mut self, text: &impl Fn(KeyNumber) -> &'a Key) {
        if self.ranked[0].word >> 24 == self.ranked[self.len() - 1].word >> 24 {
            self.share(common(&self.first, text(self.last())), text);
        }
    }

    /// Sets with how many bytes all texts begin.
    fn share<'a>(&mut self, shared: usize, text: &impl Fn(KeyNumber) -> &'a Key) {
        self.shared = shared;
        for ranked in &mut self.ranked {
            ranked.word = word(text(ranked.number), shared);
        }
    }
}

/// The four bytes of a text after the first `shared`; where it ends, zeros, which are before any byte that might follow.
fn word(text: &str, shared: usize) -> u32 {
    let rest = &text.as_bytes()[shared..];
    let mut word = [0; 4];
    match rest.first_chunk() {
        Some(first) => word = *first,
        None => word[..rest.len()].copy_from_slice(rest),
    }
    u32::from_be_bytes(word)
}

/// With how many equal bytes two texts begin.
fn common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    /// Inserts the texts in turn, those that are there already are removed, and compares with a sorted list at the end.
    fn check(texts: &[String], turns: impl IntoIterator<Item = usize>) {
        let texts: Vec<Key> = texts.iter().map(Key::from).collect();
        let text = |number: KeyNumber| &texts[number as usize];
        let mut order = Order::default();
        let mut model: Vec<KeyNumber> = Vec::new();
        for number in turns {
            let number = number as KeyNumber;
            if let Some(at) = model.iter().position(|other| *other == number) {
                order.remove(number, text);
                model.swap_remove(at);
            } else {
                order.insert(number, text(number), text);
                model.push(number);
            }
        }
        model.sort_by_key(|number| text(*number));
        let all: Vec<_> = order.range(Place::default(), order.end(), false).collect();
        assert_eq!(all, model);
        let mut backward: Vec<_> = order.range(Place::default(), order.end(), true).collect();
        backward.reverse();
        assert_eq!(backward, model);
        let place = |bound: &str, included| order.place(bound, included, text);
        let bounds = texts
            .iter()
            .step_by(97)
            .map(Key::as_str)
            .chain(["", "k", "40000000", "\u{10ffff}"]);
        let bounds: Vec<&str> = bounds.collect();
        for (low, high) in bounds.iter().zip(bounds.iter().rev()) {
            let expected = |first: &dyn Fn(&str) -> bool| {
                let numbers = model.iter().copied();
                numbers.filter(|n| first(text(*n))).collect::<Vec<_>>()
            };
            let within: Vec<_> = order.range(place(low, false), place(high, true), false).collect();
            assert_eq!(
                within,
                expected(&|text| (*low..=*high).contains(&text)),
                "{low}..={high}"
            );
            let within: Vec<_> = order.range(place(low, true), place(high, false), false).collect();
            assert_eq!(
                within,
                expected(&|text| *low < text && text < *high),
                "{low} < .. < {high}"
            );
        }
        let room: usize = order.chunks.iter().map(|chunk| chunk.ranked.capacity()).sum();
        assert!(
            room <= 8 * model.len() + 2 * CHUNK_MAX,
            "{room} places for {}",
            model.len()
        );
    }

    #[test]
    fn behaves_like_a_sorted_list() {
        let scattered = |n: usize| (n as u32).wrapping_mul(2_654_435_761);
        let turns = || (0..4_000).chain(1_000..4_000).chain(0..500);
        let hex: Vec<_> = (0..4_000).map(|n| format!("{:08x}", scattered(n))).collect();
        check(&hex, turns());
        // A long common beginning, of which less is common as they come; then those that are the beginnings of others.
        let deep: Vec<_> = (0..4_000)
            .map(|n| format!("tenant/room/{:010}", scattered(n) >> (n % 29)))
            .collect();
        let deep: Vec<_> = deep
            .into_iter()
            .zip(0..)
            .map(|(text, n)| format!("{text}/{n}"))
            .collect();
        check(&deep, turns());
        check(&deep, (0..4_000).rev());
        let nested: Vec<_> = (0..1_500)
            .map(|n| "\0".repeat(n % 40) + &"a\0".repeat(n / 40))
            .collect();
        check(&nested[1..], 0..1_499);
        let ascending: Vec<_> = (0..4_000).map(|n| format!("key-{n:08}")).collect();
        check(&ascending, (0..4_000).chain((0..4_000).filter(|n| n % 50 != 0)));
    }
}
