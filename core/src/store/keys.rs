//! The keys of a store: by text, by number and in order.

use alloc::string::String;
use core::{hash::BuildHasher, num::NonZeroU32, ops::Bound};

use foldhash::fast::FixedState;
use hashbrown::hash_table::Entry;

use super::{
    cell::{KeyNumber, NO_SLOT, Slot},
    index::Index,
    order::Order,
    pages::Pages,
};
use crate::causality::Key;

/// A range of keys, read in key order (by UTF-8 bytes, which is the order of code points).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scan<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys at or after this.
    pub gte: Option<&'a str>,
    /// Only keys after this.
    pub gt: Option<&'a str>,
    /// Only keys at or before this.
    pub lte: Option<&'a str>,
    /// Only keys before this.
    pub lt: Option<&'a str>,
    /// From the last key to the first.
    pub reverse: bool,
}

/// A key that has entries. 24 bytes beyond its text.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) text: Key,
    /// The sibling of the highest rank; the others follow it.
    pub(super) head: Slot,
    /// Never zero, so that no room is lost to telling a vacant place.
    hash: NonZeroU32,
}

const _: () = assert!(size_of::<Option<Record>>() == 24);

/// Of a million keys, a part of the index holds four thousand.
const INDEX_PARTS: usize = 256;

#[derive(Clone, Debug)]
pub(super) struct Keys {
    keys: Pages<Record>,
    /// Seeded, so that nobody can choose keys that collide here; the seed is the replica's, so that the same inputs give the
    /// same run.
    hasher: FixedState,
    index: Index<INDEX_PARTS>,
    order: Order,
}

impl Keys {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            keys: Pages::default(),
            hasher: FixedState::with_seed(seed),
            index: Index::default(),
            order: Order::default(),
        }
    }

    pub(super) fn find(&self, text: &str) -> Option<KeyNumber> {
        let is_it = |key: KeyNumber| self.keys[key].text == *text;
        self.index.find(self.short_hash(text).get(), is_it)
    }

    pub(super) fn find_or_add(&mut self, text: &Key) -> KeyNumber {
        let hash = self.short_hash(text);
        let keys = &self.keys;
        let is_it = |key: KeyNumber| keys[key].text == *text;
        let vacant = match self.index.entry(hash.get(), is_it, |key| keys[key].hash.get()) {
            Entry::Occupied(found) => return *found.get(),
            Entry::Vacant(vacant) => vacant,
        };
        let number = self.keys.insert(Record {
            text: text.clone(),
            head: NO_SLOT,
            hash,
        });
        vacant.insert(number);
        self.order.insert(number, text, |key| &self.keys[key].text);
        number
    }

    pub(super) fn remove(&mut self, number: KeyNumber) {
        let keys = &self.keys;
        let hash = |number: KeyNumber| keys[number].hash.get();
        self.index.remove(hash(number), number, hash);
        self.order.remove(number, |key| &keys[key].text);
        self.keys.remove(number);
    }

    pub(super) fn get(&self, number: KeyNumber) -> &Record {
        &self.keys[number]
    }

    pub(super) fn get_mut(&mut self, number: KeyNumber) -> &mut Record {
        &mut self.keys[number]
    }

    pub(super) fn scan<'a>(&'a self, scan: &Scan<'_>) -> impl Iterator<Item = KeyNumber> + use<'a> {
        let prefix_end = end_of_prefix(scan.prefix);
        let low = [
            Some(Bound::Included(scan.prefix)),
            scan.gte.map(Bound::Included),
            scan.gt.map(Bound::Excluded),
        ];
        let high = [
            prefix_end.as_deref().map(Bound::Excluded),
            scan.lte.map(Bound::Included),
            scan.lt.map(Bound::Excluded),
        ];
        // Places are counted from the first key; the narrowest bound counts.
        let text = |key: KeyNumber| &self.keys[key].text;
        let place = |bound: &Bound<&str>, is_low: bool| match *bound {
            Bound::Included(key) => self.order.place(key, !is_low, text),
            Bound::Excluded(key) => self.order.place(key, is_low, text),
            Bound::Unbounded => self.order.end(),
        };
        let first = low
            .iter()
            .flatten()
            .map(|bound| place(bound, true))
            .max()
            .unwrap_or_default();
        let end = high
            .iter()
            .flatten()
            .map(|bound| place(bound, false))
            .min()
            .unwrap_or_else(|| self.order.end());
        self.order.range(first, end, scan.reverse)
    }

    fn short_hash(&self, text: &str) -> NonZeroU32 {
        NonZeroU32::new(self.hash(text) as u32).unwrap_or(NonZeroU32::MIN)
    }

    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }
}

/// The first string after all that begin with `prefix`; `None` when there is none.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = String::from(prefix);
    while let Some(last) = end.pop() {
        // The code points between the two blocks of `char` are surrogates, which no string holds.
        let next = if last == '\u{D7FF}' {
            Some('\u{E000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn scanned(scan: &Scan<'_>) -> Vec<String> {
        let texts = [
            "b",
            "a/2",
            "a",
            "\u{10FFFF}z",
            "a/1",
            "a/\u{10FFFF}",
            "\u{D7FF}x",
            "\u{10FFFF}",
        ];
        let mut keys = Keys::new(7);
        for text in texts {
            keys.find_or_add(&Key::from(text));
        }
        keys.scan(scan).map(|key| String::from(&*keys.get(key).text)).collect()
    }

    #[test]
    fn ranges() {
        let all = Scan::default();
        assert_eq!(scanned(&all).len(), 8);
        let cases: [(Scan<'_>, &[&str]); 9] = [
            (Scan { prefix: "a/", ..all }, &["a/1", "a/2", "a/\u{10FFFF}"]),
            (
                Scan {
                    prefix: "a/",
                    reverse: true,
                    ..all
                },
                &["a/\u{10FFFF}", "a/2", "a/1"],
            ),
            (
                Scan {
                    prefix: "\u{D7FF}",
                    ..all
                },
                &["\u{D7FF}x"],
            ),
            (
                Scan {
                    prefix: "\u{10FFFF}",
                    ..all
                },
                &["\u{10FFFF}", "\u{10FFFF}z"],
            ),
            (
                Scan {
                    gte: Some("a/1"),
                    lt: Some("b"),
                    ..all
                },
                &["a/1", "a/2", "a/\u{10FFFF}"],
            ),
            (
                Scan {
                    gt: Some("a/1"),
                    lte: Some("b"),
                    ..all
                },
                &["a/2", "a/\u{10FFFF}", "b"],
            ),
            (
                Scan {
                    gte: Some("a/1"),
                    gt: Some("a/1"),
                    lt: Some("a/2"),
                    ..all
                },
                &[],
            ),
            (
                Scan {
                    gte: Some("b"),
                    lt: Some("a"),
                    ..all
                },
                &[],
            ),
            (
                Scan {
                    prefix: "a",
                    gt: Some("c"),
                    ..all
                },
                &[],
            ),
        ];
        for (scan, expected) in cases {
            assert_eq!(scanned(&scan), expected, "{scan:?}");
        }
    }
}
