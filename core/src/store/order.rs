//! Numbers in the order of what they stand for.

use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;

use super::cell::KeyNumber;

/// The most numbers in a chunk: an insertion moves at most so many, 4 KiB.
const CHUNK_MAX: usize = 512;

/// A sorted list of key numbers in chunks, eight bytes each. What text a number stands for is told by the caller, who has it.
///
/// Texts lie all over memory, and a search that looked at a dozen of them would mostly wait for it. So each number has four bytes of
/// its text beside it, those that follow what all texts of its chunk have in common; a search looks at texts where these are equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// None is empty.
    chunks: Vec<Chunk>,
}

#[derive(Clone, Debug)]
struct Chunk {
    /// The text of the first number.
    first: Arc<str>,
    /// With how many bytes of it all texts here begin.
    shared: usize,
    ranked: Vec<Ranked>,
}

#[derive(Clone, Copy, Debug)]
struct Ranked {
    /// The four bytes of the text after the shared ones, so that words are ordered as the texts are.
    word: u32,
    number: KeyNumber,
}

/// A place between two numbers: chunk, and place within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place(usize, usize);

impl Order {
    /// Inserts a number whose text is not among those of the others.
    pub(super) fn insert<'a>(&mut self, number: KeyNumber, new: &Arc<str>, text: impl Fn(KeyNumber) -> &'a Arc<str>) {
        let Some(last) = self.chunks.last_mut() else {
            self.chunks.push(Chunk::new(number, new, new.len()));
            return;
        };
        // Keys often come in order.
        let end = text(last.last());
        if **end < **new {
            if last.ranked.len() < CHUNK_MAX {
                last.insert(last.ranked.len(), number, new, &text);
            } else {
                let shared = common(end, new);
                self.chunks.push(Chunk::new(number, new, shared));
            }
            return;
        }
        let mut at = self.chunk(new);
        if self.chunks[at].ranked.len() == CHUNK_MAX {
            let upper = self.chunks[at].split(&text);
            self.chunks.insert(at + 1, upper);
            at += usize::from(*self.chunks[at + 1].first <= **new);
        }
        let chunk = &mut self.chunks[at];
        let within = chunk.place(new, false, &text);
        chunk.insert(within, number, new, &text);
    }

    pub(super) fn remove<'a>(&mut self, number: KeyNumber, text: impl Fn(KeyNumber) -> &'a Arc<str>) {
        let old = text(number);
        let at = self.chunk(old);
        let chunk = &mut self.chunks[at];
        let within = chunk.place(old, false, &text);
        debug_assert_eq!(
            chunk.ranked[within].number, number,
            "a number is removed that was inserted"
        );
        chunk.ranked.remove(within);
        let Some(first) = chunk.ranked.first() else {
            self.chunks.remove(at);
            if self.chunks.len() < self.chunks.capacity() / 4 {
                self.chunks.shrink_to(self.chunks.len() * 2);
            }
            return;
        };
        if within == 0 {
            chunk.first = Arc::clone(text(first.number));
        }
        // Chunks that have become small are joined, so that a store that shrinks gives memory back.
        if chunk.ranked.len() < CHUNK_MAX / 4 && !self.join(at, &text) && at > 0 {
            self.join(at - 1, &text);
        }
    }

    /// The place after all numbers whose texts are before `bound`, or, if `included`, at or before it.
    pub(super) fn place<'a>(&self, bound: &str, included: bool, text: impl Fn(KeyNumber) -> &'a Arc<str>) -> Place {
        let at = self.chunk(bound);
        let Some(chunk) = self.chunks.get(at) else {
            return Place(0, 0);
        };
        let within = chunk.place(bound, included, &text);
        if within == chunk.ranked.len() && at + 1 < self.chunks.len() {
            Place(at + 1, 0)
        } else {
            Place(at, within)
        }
    }

    /// The place after the last number.
    pub(super) fn end(&self) -> Place {
        self.chunks
            .last()
            .map_or(Place(0, 0), |chunk| Place(self.chunks.len() - 1, chunk.ranked.len()))
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
            let to = if at == last { end.1 } else { chunk.ranked.len() };
            chunk.ranked[from..to].iter().map(|ranked| ranked.number)
        });
        core::iter::from_fn(move || if reverse { numbers.next_back() } else { numbers.next() })
    }

    /// Joins a chunk and the next, if both are small.
    fn join<'a>(&mut self, at: usize, text: &impl Fn(KeyNumber) -> &'a Arc<str>) -> bool {
        let small = |next: &Chunk| self.chunks[at].ranked.len() + next.ranked.len() <= CHUNK_MAX / 2;
        let joins = self.chunks.get(at + 1).is_some_and(small);
        if joins {
            let next = self.chunks.remove(at + 1);
            self.chunks[at].append(&next, text);
        }
        joins
    }

    /// The chunk where a text belongs: the last that does not begin after it.
    fn chunk(&self, text: &str) -> usize {
        self.chunks
            .partition_point(|chunk| *chunk.first <= *text)
            .saturating_sub(1)
    }
}

impl Chunk {
    fn new(number: KeyNumber, text: &Arc<str>, shared: usize) -> Self {
        let mut ranked = Vec::with_capacity(CHUNK_MAX);
        let word = word(text, shared);
        ranked.push(Ranked { word, number });
        Self {
            first: Arc::clone(text),
            shared,
            ranked,
        }
    }

    fn last(&self) -> KeyNumber {
        self.ranked[self.ranked.len() - 1].number
    }

    /// The place after all numbers whose texts are before `bound`, or, if `included`, at or before it.
    fn place<'a>(&self, bound: &str, included: bool, text: &impl Fn(KeyNumber) -> &'a Arc<str>) -> usize {
        let (bytes, shared) = (bound.as_bytes(), &self.first.as_bytes()[..self.shared]);
        match bytes[..bytes.len().min(self.shared)].cmp(shared) {
            Ordering::Less => return 0,
            Ordering::Greater => return self.ranked.len(),
            Ordering::Equal => {}
        }
        let word = word(bound, self.shared);
        self.ranked.partition_point(|ranked| {
            let order = ranked
                .word
                .cmp(&word)
                .then_with(|| text(ranked.number).as_ref().cmp(bound));
            order.is_lt() || included && order.is_eq()
        })
    }

    fn insert<'a>(&mut self, at: usize, number: KeyNumber, new: &Arc<str>, text: &impl Fn(KeyNumber) -> &'a Arc<str>) {
        let shared = common(&self.first, new);
        if shared < self.shared {
            self.share(shared, text);
        }
        let word = word(new, self.shared);
        self.ranked.insert(at, Ranked { word, number });
        if at == 0 {
            self.first = Arc::clone(new);
        }
    }

    /// Takes the upper half out.
    fn split<'a>(&mut self, text: &impl Fn(KeyNumber) -> &'a Arc<str>) -> Self {
        let mut ranked = Vec::with_capacity(CHUNK_MAX);
        ranked.extend(self.ranked.drain(CHUNK_MAX / 2..));
        let mut upper = Self {
            first: Arc::clone(text(ranked[0].number)),
            shared: self.shared,
            ranked,
        };
        for half in [&mut *self, &mut upper] {
            // Words whose first bytes are all the same tell less than they could.
            if half.ranked[0].word >> 24 == half.ranked[half.ranked.len() - 1].word >> 24 {
                half.share(common(&half.first, text(half.last())), text);
            }
        }
        upper
    }

    /// Takes in what follows.
    fn append<'a>(&mut self, next: &Self, text: &impl Fn(KeyNumber) -> &'a Arc<str>) {
        self.ranked.extend_from_slice(&next.ranked);
        self.share(common(&self.first, text(self.last())), text);
    }

    /// Sets with how many bytes all texts begin.
    fn share<'a>(&mut self, shared: usize, text: &impl Fn(KeyNumber) -> &'a Arc<str>) {
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
        let texts: Vec<Arc<str>> = texts.iter().map(|text| Arc::from(text.as_str())).collect();
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
            .map(|text| &**text)
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
