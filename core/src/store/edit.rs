//! One step of a store.

use alloc::{sync::Arc, vec::Vec};
use core::mem;

use super::{
    Batch, Reading, Store, StoredEntry,
    cell::{Cell, KeyNumber, NO_SLOT, Slot, State},
};
use crate::{
    causality::{Dots, Event, Frontier, Op, Txn, VersionVector},
    id::{AuthorId, Dot},
    mutation::Mutation,
};

/// A step under way: what it adds and removes, none of it visible yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    born: Vec<Slot>,
    dying: Vec<Slot>,
    touched: Vec<KeyNumber>,
    batch: Batch,
    vector: Vec<(AuthorId, u64)>,
    frontier: Option<Frontier>,
    changes: Vec<Touched>,
    /// Whether touched keys are being compared: nothing is added any more.
    comparing: bool,
    /// Whether readers see the state after the step.
    flipped: bool,
}

impl Step {
    pub(super) fn is_flipped(&self) -> bool {
        self.flipped
    }
}

/// Changes that become visible together. The caller sees to it that a step leads from one closed event set to another.
///
/// A step may be left and gone on with: readers see the state before it until [`Self::publish`].
#[derive(Debug)]
pub struct Edit<'a> {
    store: &'a mut Store,
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
        Self { store }
    }

    /// The store as readers see it.
    pub fn store(&self) -> &Store {
        self.store
    }

    /// Makes room for so many entries, so that a long step never moves what it has collected.
    pub fn reserve(&mut self, entries: usize) {
        self.store.step.batch.entries.reserve(entries);
    }

    /// Adds a live entry, unless its dot was seen before.
    pub fn put(&mut self, stored: StoredEntry) {
        if self.store.vector.covers(&stored.dot) || self.store.slot(&stored.dot).is_some() {
            return;
        }
        let removes = self.store.compact(&stored.removes);
        let slot = self.store.link(&stored.dot, &stored.key, |dot, key| Cell {
            value: Arc::clone(&stored.value),
            removes,
            dot,
            hlc: stored.hlc,
            key,
            next: NO_SLOT,
            state: State::Born,
        });
        let step = &mut self.store.step;
        step.born.push(slot);
        step.touched.push(self.store.cells[slot].key);
        step.batch.entries.push(stored);
    }

    /// Takes the entry under a dot out, if it is live.
    pub fn remove(&mut self, dot: &Dot) {
        let Some(slot) = self.store.slot(dot) else { return };
        let state = match self.store.cells[slot].state {
            State::Live => State::Dying,
            State::Born => State::Stillborn,
            State::Dying | State::Stillborn => return,
        };
        let cell = &mut self.store.cells[slot];
        cell.state = state;
        let key = cell.key;
        let step = &mut self.store.step;
        step.dying.push(slot);
        step.touched.push(key);
        step.batch.removed.push(*dot);
    }

    /// Notes what a dead event, never live here, had removed.
    pub fn record(&mut self, dot: Dot, removes: Dots) {
        let (compact, removed) = (self.store.authors.compact(&dot), self.store.compact(&removes));
        self.store.ring.push(compact, removed);
        self.store.step.batch.records.push((dot, removes));
    }

    /// Notes that the author's events up to `n` are seen after the step.
    pub fn advance(&mut self, author: AuthorId, n: u64) {
        if n > self.store.vector.get(&author) {
            self.store.step.vector.push((author, n));
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
                Op::Put { key, value } => {
                    let (key, value) = (Arc::clone(key), Arc::clone(value));
                    self.put(StoredEntry {
                        dot,
                        key,
                        value,
                        hlc: txn.hlc,
                        removes: removes.clone(),
                    });
                }
                Op::Delete => self.record(dot, removes.clone()),
            }
        }
        let last = txn.last();
        self.advance(last.author, last.n);
        let mut frontier = self.store.frontier.clone();
        frontier.advance(last, &txn.deps);
        self.store.step.frontier = Some(frontier);
    }

    /// Joins the frontier of another closed event set, `there` being its vector.
    pub fn merge_frontier(&mut self, frontier: &Frontier, there: &VersionVector) {
        let mut merged = self.store.frontier.clone();
        merged.merge(&self.store.vector, frontier, there);
        self.store.step.frontier = Some(merged);
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
        self.store.step.frontier = Some(batch.frontier);
    }

    /// Compares how touched keys read before and after the step, up to `left` of them. Returns whether all are done; nothing
    /// may be added to the step from the first call on.
    pub fn compare(&mut self, left: &mut usize) -> bool {
        let step = &mut self.store.step;
        if !step.comparing {
            step.comparing = true;
            step.touched.sort_unstable();
            step.touched.dedup();
            step.changes.reserve_exact(step.touched.len());
        }
        while *left > 0 {
            let Some(key) = self.store.step.touched.pop() else {
                break;
            };
            *left -= 1;
            let (before, after) = (self.store.reading(key, false), self.store.reading(key, true));
            if before != after {
                let key = Arc::clone(&self.store.keys.get(key).text);
                self.store.step.changes.push(Touched { key, before, after });
            }
        }
        self.store.step.touched.is_empty()
    }

    /// Makes the step visible, all at once. Gives what storage has to write and the keys that read differently. To be followed
    /// by [`Self::clean`] before another step begins.
    pub fn publish(&mut self) -> (Batch, Vec<Touched>) {
        let store = &mut *self.store;
        let step = &mut store.step;
        step.flipped = true;
        step.comparing = false;
        for (author, n) in step.vector.drain(..) {
            store.vector.advance(author, n);
            step.batch.vector.push((author, n));
        }
        if let Some(frontier) = step.frontier.take() {
            store.frontier = frontier;
        }
        if store.mutated.is(Mutation::AuthorForgotten) {
            let live = |author| {
                store
                    .authors
                    .number(&author)
                    .is_some_and(|number| store.logs.contains_key(&number))
            };
            store.vector = store.vector.iter().filter(|(author, _)| live(*author)).collect();
        }
        step.batch.frontier = store.frontier.clone();
        for change in &step.changes {
            match (change.before.value.is_some(), change.after.value.is_some()) {
                (false, true) => store.len += 1,
                (true, false) => store.len -= 1,
                _ => {}
            }
        }
        (mem::take(&mut step.batch), mem::take(&mut step.changes))
    }

    /// Clears away what the published step has left behind, up to `left` entries. Returns whether all is done.
    pub fn clean(&mut self, left: &mut usize) -> bool {
        while *left > 0 {
            *left -= 1;
            if let Some(slot) = self.store.step.dying.pop() {
                let cell = self.store.unlink(slot);
                if !self.store.mutated.is(Mutation::RingOfDeletes) {
                    self.store.ring.push(cell.dot, cell.removes);
                }
            } else if let Some(slot) = self.store.step.born.pop() {
                // Those that the step removed again are gone by now.
                if let Some(cell) = self.store.cells.get_mut(slot) {
                    cell.state = State::Live;
                }
            } else {
                self.store.step.flipped = false;
                return true;
            }
        }
        false
    }

    /// Ends a short step at once.
    pub fn finish(mut self) -> (Batch, Vec<Touched>) {
        let mut all = usize::MAX;
        self.compare(&mut all);
        let published = self.publish();
        self.clean(&mut all);
        published
    }
}
