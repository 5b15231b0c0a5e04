//! One page of a scan: as many keys as should cross in one call.
//!
//! An application iterates over a range of any size; the facade fetches it page by page. A page is bounded in three ways, so
//! that no single call holds the tab's thread for long or copies much more than is looked at.

use gossipstore_core::replica::{Item, Key, Replica, Scan, Value};
use gossipstore_net::Values;
use serde::Deserialize;

/// Keys in one page. Crossing costs about half a microsecond a key, so a page costs some 0.1 ms: short beside a frame of the
/// screen, long beside the fixed cost of a call.
const PAGE_KEYS_MAX: usize = 256;

/// Bytes of values in one page, of which the last value may exceed it. One value may be 16 MiB; 256 of them must not cross at
/// once for a reader who stops after the first.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// Keys looked at for one page when most are passed over, as in a search for conflicts.
const PAGE_VISITS_MAX: usize = 16 * 1024;

/// A range of keys and what of it should cross.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScanOptions {
    prefix: Option<String>,
    gte: Option<String>,
    gt: Option<String>,
    lte: Option<String>,
    lt: Option<String>,
    #[serde(default)]
    reverse: bool,
    limit: Option<u32>,
    /// Whether values cross as well as keys.
    values: bool,
    /// Only keys that hold concurrent values.
    #[serde(default)]
    conflicts: bool,
}

/// What of a range crosses in one call.
pub(crate) struct Page {
    pub(crate) keys: Vec<Key>,
    pub(crate) values: Vec<Option<Value>>,
    /// The key after which the range goes on.
    pub(crate) next: Option<Key>,
}

impl ScanOptions {
    /// The first page of the range.
    pub(crate) fn page(&self, replica: &Replica, values: &mut Values) -> Page {
        let scan = Scan {
            prefix: self.prefix.as_deref().unwrap_or_default(),
            gte: self.gte.as_deref(),
            gt: self.gt.as_deref(),
            lte: self.lte.as_deref(),
            lt: self.lt.as_deref(),
            reverse: self.reverse,
        };
        let wanted = Wanted {
            limit: self.limit.map_or(usize::MAX, |limit| limit as usize),
            values: self.values,
            conflicts: self.conflicts,
        };
        let (items, next) = cut(replica.scan(&scan), wanted);
        let next = next.map(Key::from);
        let read = items.iter().filter(|_| wanted.values);
        Page {
            keys: items.iter().map(|item| item.key.clone()).collect(),
            values: read.map(|item| values.of(item.dot, item.key, item.body)).collect(),
            next,
        }
    }
}

/// What of the range the caller wants.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// At most so many keys.
    limit: usize,
    /// Whether the values' bytes count, because they cross too.
    values: bool,
    /// Only keys with more than one sibling.
    conflicts: bool,
}

/// The first page of `items`: what it holds, and the key after which the next one begins, unless this was the last.
fn cut<'a>(items: impl Iterator<Item = Item<'a>>, wanted: Wanted) -> (Vec<Item<'a>>, Option<&'a str>) {
    let mut page = Vec::new();
    let (mut visits, mut bytes) = (0, 0);
    let keys_max = wanted.limit.min(PAGE_KEYS_MAX);
    if keys_max == 0 {
        return (page, None);
    }
    let mut items = items.peekable();
    while let Some(item) = items.next() {
        visits += 1;
        let key = item.key;
        if !wanted.conflicts || item.siblings > 1 {
            bytes += if wanted.values { item.body.len() } else { 0 };
            page.push(item);
        }
        let full = page.len() >= keys_max || bytes >= PAGE_BYTES_MAX || visits >= PAGE_VISITS_MAX;
        if full {
            let limit_reached = page.len() >= wanted.limit;
            return (page, (!limit_reached && items.peek().is_some()).then_some(key));
        }
    }
    (page, None)
}

#[cfg(test)]
mod tests {
    //! Ranges that end on, before and after each of the page's bounds, read page by page as the facade does, must give every
    //! key once and in order.

    use std::sync::Arc;

    use gossipstore_core::{
        id::{AuthorId, Dot},
        replica::{Body, Key, Value},
    };

    use super::*;

    const ALL: Wanted = Wanted {
        limit: usize::MAX,
        values: true,
        conflicts: false,
    };

    struct Row {
        key: Key,
        body: Body,
        siblings: usize,
    }

    fn rows(count: usize, value_bytes: usize, siblings: impl Fn(usize) -> usize) -> Vec<Row> {
        let value: Value = Arc::from(vec![0; value_bytes]);
        (0..count)
            .map(|n| Row {
                key: format!("{n:06}").into(),
                body: value.clone().into(),
                siblings: siblings(n),
            })
            .collect()
    }

    fn after<'a>(rows: &'a [Row], key: Option<&str>) -> impl Iterator<Item = Item<'a>> {
        let start = key.map_or(0, |key| rows.partition_point(|row| &*row.key <= key));
        rows[start..].iter().map(|row| Item {
            key: &row.key,
            dot: Dot::new(AuthorId([1; 16]), 1),
            body: &row.body,
            siblings: row.siblings,
        })
    }

    /// The sizes of the pages of a whole scan; panics when a key is missing, doubled or out of order.
    fn pages(rows: &[Row], wanted: Wanted) -> Vec<usize> {
        let (mut sizes, mut seen, mut next) = (Vec::new(), Vec::new(), None);
        loop {
            let (page, following) = cut(
                after(rows, next),
                Wanted {
                    limit: wanted.limit - seen.len(),
                    ..wanted
                },
            );
            sizes.push(page.len());
            seen.extend(page.iter().map(|item| item.key.clone()));
            next = following;
            if next.is_none() {
                break;
            }
        }
        let expected: Vec<_> = rows
            .iter()
            .filter(|row| !wanted.conflicts || row.siblings > 1)
            .map(|row| row.key.clone())
            .take(wanted.limit)
            .collect();
        assert_eq!(seen, expected);
        sizes
    }

    #[test]
    fn pages_end_at_their_number_of_keys() {
        assert_eq!(pages(&[], ALL), [0]);
        assert_eq!(pages(&rows(1, 10, |_| 1), ALL), [1]);
        assert_eq!(pages(&rows(256, 10, |_| 1), ALL), [256]);
        assert_eq!(pages(&rows(257, 10, |_| 1), ALL), [256, 1]);
    }

    #[test]
    fn pages_end_at_their_bytes_and_hold_at_least_one_value() {
        assert_eq!(pages(&rows(3, PAGE_BYTES_MAX / 2, |_| 1), ALL), [2, 1]);
        assert_eq!(pages(&rows(3, 2 * PAGE_BYTES_MAX, |_| 1), ALL), [1, 1, 1]);
        assert_eq!(
            pages(&rows(3, 2 * PAGE_BYTES_MAX, |_| 1), Wanted { values: false, ..ALL }),
            [3]
        );
    }

    #[test]
    fn a_limit_ends_the_scan() {
        let rows = rows(600, 10, |_| 1);
        assert_eq!(pages(&rows, Wanted { limit: 0, ..ALL }), [0]);
        assert_eq!(pages(&rows, Wanted { limit: 1, ..ALL }), [1]);
        assert_eq!(pages(&rows, Wanted { limit: 256, ..ALL }), [256]);
        assert_eq!(pages(&rows, Wanted { limit: 300, ..ALL }), [256, 44]);
    }

    #[test]
    fn a_search_for_conflicts_looks_at_a_bounded_number_of_keys_a_page() {
        let conflicts = Wanted { conflicts: true, ..ALL };
        let rows = rows(PAGE_VISITS_MAX + 1, 10, |n| if n % 10_000 == 0 { 2 } else { 1 });
        assert_eq!(pages(&rows, conflicts), [2, 0]);
    }
}
