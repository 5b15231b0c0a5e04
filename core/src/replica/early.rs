//! Transactions that arrived before what they depend on.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    causality::{Op, Txn, VersionVector},
    id::{AuthorId, Peer},
    time::Timestamp,
};

/// The most bytes of values in the buffer, whatever the number of transactions. What does not fit is not lost: a session
/// brings it.
const EARLY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A bounded buffer of early transactions, by author and first number.
#[derive(Clone, Debug)]
pub(super) struct Early {
    capacity: usize,
    bytes: usize,
    txns: BTreeMap<(AuthorId, u64), Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    txn: Txn,
    bytes: usize,
    since: Timestamp,
    from: Option<Peer>,
}

impl Early {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            bytes: 0,
            txns: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, txn: Txn, from: Option<Peer>, now: Timestamp) {
        let bytes = txn.events.iter().map(|event| match &event.op {
            Op::Put { key, value } => key.len() + value.len(),
            Op::Delete => 0,
        });
        let bytes: usize = bytes.sum();
        let place = (txn.author, txn.first);
        if self.txns.len() < self.capacity && self.bytes + bytes <= EARLY_BYTES_MAX && !self.txns.contains_key(&place) {
            self.bytes += bytes;
            self.txns.insert(
                place,
                Waiting {
                    txn,
                    bytes,
                    since: now,
                    from,
                },
            );
        }
    }

    /// Takes out a transaction whose turn has come, dropping those that the vector covers by now.
    pub(super) fn pop_ready(&mut self, seen: &VersionVector) -> Option<Txn> {
        let covered: Vec<_> = self
            .txns
            .iter()
            .filter(|(_, waiting)| seen.covers(&waiting.txn.last()))
            .map(|(place, _)| *place)
            .collect();
        for place in covered {
            self.remove(&place);
        }
        let place = *self.txns.iter().find(|(_, waiting)| is_ready(&waiting.txn, seen))?.0;
        self.remove(&place)
    }

    /// The one that has waited longest: since when, and who handed it to us.
    pub(super) fn oldest(&self) -> Option<(Timestamp, Option<Peer>)> {
        self.txns
            .values()
            .map(|waiting| (waiting.since, waiting.from))
            .min_by_key(|(since, _)| *since)
    }

    fn remove(&mut self, place: &(AuthorId, u64)) -> Option<Txn> {
        let waiting = self.txns.remove(place)?;
        self.bytes -= waiting.bytes;
        Some(waiting.txn)
    }
}

/// Whether a transaction continues what was seen of its author and all that it depends on was seen.
pub(super) fn is_ready(txn: &Txn, seen: &VersionVector) -> bool {
    txn.first == seen.get(&txn.author) + 1 && txn.deps.iter().all(|dep| seen.covers(dep))
}
