//! The index from key to live entries, in key order.

use alloc::{
    collections::{BTreeMap, btree_map::Entry as Place},
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::{ops::Bound, slice};

use super::entry::Slab;

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

/// The slots of one key's siblings, the winner first. Nearly every key has one.
#[derive(Clone, Debug)]
enum Slots {
    One(u32),
    Many(Vec<u32>),
}

impl Slots {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(slot) => slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    keys: BTreeMap<Arc<str>, Slots>,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn get(&self, key: &str) -> &[u32] {
        self.keys.get(key).map_or(&[], Slots::as_slice)
    }

    pub(super) fn insert(&mut self, key: Arc<str>, slot: u32, entries: &Slab) {
        match self.keys.entry(key) {
            Place::Vacant(place) => {
                place.insert(Slots::One(slot));
            }
            Place::Occupied(mut place) => {
                let mut slots = place.get().as_slice().to_vec();
                let rank = entries[slot].rank();
                slots.insert(slots.partition_point(|other| entries[*other].rank() > rank), slot);
                place.insert(Slots::Many(slots));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &str, slot: u32) {
        let Some(slots) = self.keys.get_mut(key) else { return };
        let rest: Vec<u32> = slots
            .as_slice()
            .iter()
            .filter(|other| **other != slot)
            .copied()
            .collect();
        match rest[..] {
            [] => {
                self.keys.remove(key);
            }
            [one] => *slots = Slots::One(one),
            _ => *slots = Slots::Many(rest),
        }
    }

    pub(super) fn scan(&self, scan: &Scan<'_>) -> impl Iterator<Item = (&Arc<str>, &[u32])> {
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
        // The narrowest of each; at the same key, excluding is narrower than including.
        let low = low
            .into_iter()
            .flatten()
            .max_by_key(|bound| edge(bound))
            .unwrap_or(Bound::Unbounded);
        let high = high.into_iter().flatten().min_by_key(|bound| {
            let (key, excluded) = edge(bound);
            (key, !excluded)
        });
        let high = high.unwrap_or(Bound::Unbounded);
        // BTreeMap panics on a range that ends before it begins; to a reader that is an empty range.
        let mut range = (!is_empty(low, high)).then(|| self.keys.range::<str, _>((low, high)));
        let reverse = scan.reverse;
        core::iter::from_fn(move || {
            let range = range.as_mut()?;
            if reverse { range.next_back() } else { range.next() }
        })
        .map(|(key, slots)| (key, slots.as_slice()))
    }
}

/// Where a bound stands and whether it excludes that key.
fn edge<'a>(bound: &Bound<&'a str>) -> (&'a str, bool) {
    match *bound {
        Bound::Included(key) => (key, false),
        Bound::Excluded(key) => (key, true),
        Bound::Unbounded => ("", false),
    }
}

fn is_empty(low: Bound<&str>, high: Bound<&str>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
        _ => false,
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

    fn scanned(scan: &Scan<'_>) -> Vec<String> {
        let keys = [
            "a",
            "a/1",
            "a/2",
            "a/\u{10FFFF}",
            "b",
            "\u{D7FF}x",
            "\u{10FFFF}",
            "\u{10FFFF}z",
        ];
        let keys = Keys {
            keys: keys.into_iter().map(|key| (Arc::from(key), Slots::One(0))).collect(),
        };
        keys.scan(scan).map(|(key, _)| String::from(&**key)).collect()
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
