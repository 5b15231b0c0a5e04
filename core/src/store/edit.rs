//! One step of a store.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};

use super::{Batch, Entry, Reading, Store, StoredEntry};
use crate::{
    causality::{Event, Frontier, Op, Txn, VersionVector},
    id::{AuthorId, ContentHash, Dot},
};

/// Changes that become visible together. The caller sees to it that a step leads from one closed event set to another.
#[derive(Debug)]
pub struct Edit<'a> {
    store: &'a mut Store,
    batch: Batch,
    before: BTreeMap<Arc<str>, Reading>,
}

/// A key that reads differently after a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Touched {
    /// The key.
    pub key: Arc<str>,
    /// How it read before.
    pub before: Reading,
    /// How it reads now.
    pub after: Reading,
}

impl<'a> Edit<'a> {
    pub(super) fn new(store: &'a mut Store) -> Self {
        Self {
            store,
            batch: Batch::default(),
            before: BTreeMap::new(),
        }
    }

    /// The store as the step has left it so far.
    pub fn store(&self) -> &Store {
        self.store
    }

    /// Adds a live entry, unless its dot was seen before.
    pub fn put(&mut self, stored: StoredEntry) {
        if self.store.vector.covers(&stored.dot) || self.store.slot(&stored.dot).is_some() {
            return;
        }
        self.touch(&stored.key);
        self.store.insert(Entry {
            dot: stored.dot,
            key: Arc::clone(&stored.key),
            hash: ContentHash::of(&stored.value),
            value: Arc::clone(&stored.value),
            hlc: stored.hlc,
            removes: stored.removes.clone(),
        });
        self.batch.entries.push(stored);
    }

    /// Takes the entry under a dot out, if it is live.
    pub fn remove(&mut self, dot: &Dot) {
        let Some(slot) = self.store.slot(dot) else { return };
        let key = Arc::clone(&self.store.entries[slot].key);
        self.touch(&key);
        if let Some(entry) = self.store.remove(dot) {
            self.store.record(*dot, entry.removes);
            self.batch.removed.push(*dot);
        }
    }

    /// Notes what a dead event, never live here, had removed.
    pub fn record(&mut self, dot: Dot, removes: Box<[Dot]>) {
        self.store.record(dot, removes.clone());
        self.batch.records.push((dot, removes));
    }

    /// Notes that the author's events up to `n` were seen. After the entries up to there were put: [`Self::put`] refuses
    /// dots that are covered.
    pub fn advance(&mut self, author: AuthorId, n: u64) {
        if n > self.store.vector.get(&author) {
            self.store.vector.advance(author, n);
            self.batch.vector.push((author, n));
        }
    }

    /// Takes in a whole transaction that continues its author's events and whose dependencies are visible.
    pub fn apply(&mut self, txn: &Txn) {
        for (dot, event) in txn.dotted() {
            let Event { op, removes } = event;
            for removed in removes {
                self.remove(removed);
            }
            match op {
                Op::Put { key, value } => self.put(StoredEntry {
                    dot,
                    key: Arc::clone(key),
                    value: Arc::clone(value),
                    hlc: txn.hlc,
                    removes: removes.clone(),
                }),
                Op::Delete => self.record(dot, removes.clone()),
            }
        }
        let last = txn.last();
        self.advance(last.author, last.n);
        self.store.frontier.advance(last, &txn.deps);
    }

    /// Joins the frontier of another closed event set, `there` being its vector. Before the vector is advanced.
    pub fn merge_frontier(&mut self, frontier: &Frontier, there: &VersionVector) {
        self.store.frontier.merge(&self.store.vector, frontier, there);
    }

    /// Takes in a batch that was stored, when a replica is opened again.
    pub fn restore(&mut self, batch: Batch) {
        for entry in batch.entries {
            self.put(entry);
        }
        for dot in &batch.removed {
            self.remove(dot);
        }
        for (dot, removes) in batch.records {
            self.record(dot, removes);
        }
        for (author, n) in batch.vector {
            self.advance(author, n);
        }
        self.store.frontier = batch.frontier;
    }

    /// Ends the step: what storage has to write, and the keys that read differently, in key order.
    pub fn finish(mut self) -> (Batch, Vec<Touched>) {
        self.batch.frontier = self.store.frontier.clone();
        let store = &*self.store;
        let touched = self.before.into_iter().filter_map(|(key, before)| {
            let after = store.reading(&key);
            (before != after).then_some(Touched { key, before, after })
        });
        (self.batch, touched.collect())
    }

    fn touch(&mut self, key: &Arc<str>) {
        if !self.before.contains_key(key) {
            self.before.insert(Arc::clone(key), self.store.reading(key));
        }
    }
}
