//! One step of a store.

use alloc::{collections::BTreeMap, vec::Vec};
use core::mem;

use super::{
    Batch, Removed, Shown, Store, StoredEntry, Totals,
    cell::{Cell, KeyNumber, NO_SLOT, Slot, State},
    stack::Stack,
};
use crate::{
    causality::{Body, Dots, Event, Fork, Frontier, Key, Kind, Op, Tip, Txn, Value, VersionVector},
    id::{AuthorId, Dot, TxnHash},
    mutation::Mutation,
    time::Hlc,
    wire::FORKS_MAX,
};

/// As how many entries one counts that is taken out of all indexes and leaves a record: it lies in more places that were not
/// touched lately than any other work on an entry goes to.
const BURIAL: usize = 2;

/// A step under way: what it adds and removes, none of it visible yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    born: Stack<Slot>,
    dying: Stack<Slot>,
    /// The keys that it changes, each once.
    touched: Stack<KeyNumber>,
    batch: Batch,
    frontier: Option<Frontier>,
    changes: Vec<Change>,
    /// The keys whose sum is another after the step, with that; `None` for those that need none any more.
    sums: BTreeMap<KeyNumber, Option<Body>>,
    /// How many of the touched keys were compared. Once any is, nothing is added any more.
    compared: usize,
    /// How much of what the store holds after the step it did not hold before, and the other way round.
    gained: Totals,
    lost: Totals,
    /// Whether readers see the state after the step.
    flipped: bool,
}

impl Step {
    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        let entries = self.born.len() + self.dying.len() + self.touched.len();
        entries == 0 && self.batch.records.is_empty() && !self.flipped
    }

    pub(super) fn is_flipped(&self) -> bool {
        self.flipped
    }

    /// The sum under a key that readers see after the step, if it is another than before.
    pub(super) fn sum(&self, key: KeyNumber) -> Option<&Option<Body>> {
        self.sums.get(&key)
    }
}

/// Changes that become visible together. The caller sees to it that a step leads from one closed event set to another.
///
/// A step may be left and gone on with: readers see the state before it until [`Self::publish`].
#[derive(Debug)]
pub struct Edit<'a> {
    store: &'a mut Store,
}

/// Who caused a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A command given to this replica.
    Local,
    /// A peer.
    Remote,
}

/// How one key reads after a step and read before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// The winner now; `None` when the key is gone.
    pub value: Option<Shown>,
    /// The winner before. What is not in memory of it can be had from the disk for a short while.
    pub previous: Option<Shown>,
    /// How many siblings with different values the key has now; more than one is a conflict.
    pub siblings: usize,
    /// Who caused it.
    pub origin: Origin,
}

impl<'a> Edit<'a> {
    pub(super) fn new(store: &'a mut Store) -> Self {
        Self { store }
    }

    /// The store as readers see it.
    pub fn store(&self) -> &Store {
        self.store
    }

    /// Makes room for so many entries, removals and records, so that a long step never moves what it has collected.
    pub fn reserve(&mut self, entries: usize, removed: usize, records: usize) {
        let Batch {
            entries: put,
            removed: taken_out,
            records: kept,
            ..
        } = &mut self.store.step.batch;
        put.reserve_exact(entries);
        taken_out.reserve_exact(removed);
        kept.reserve_exact(records);
    }

    /// Adds a live entry, unless its dot was seen before.
    pub fn put(&mut self, stored: StoredEntry) {
        if self.store.vector.covers(&stored.dot) || self.store.slot(&stored.dot).is_some() {
            return;
        }
        let key = self.store.keys.find_or_add(&stored.key);
        self.add(key, stored);
    }

    /// Takes the entry under a dot out, if it is live.
    pub fn remove(&mut self, dot: &Dot) {
        if let Some(slot) = self.store.slot(dot) {
            self.take_out(slot);
        }
    }

    /// Writes under a key, as a new event: supersedes what `seen` says its writer saw. Gives the entry.
    pub fn write(
        &mut self,
        dot: Dot,
        hlc: Hlc,
        (key, body, kind): (Key, Body, Kind),
        seen: impl FnMut(&Dot) -> bool,
    ) -> &StoredEntry {
        let number = self.store.keys.find_or_add(&key);
        let removes = self.take_out_seen(number, seen);
        let stored = StoredEntry {
            dot,
            key,
            body,
            kind,
            hlc,
            removes,
        };
        self.add(number, stored)
    }

    /// Takes out what is under a key and `seen` says was seen. Gives the dots, for the event that removes them.
    pub fn supersede(&mut self, key: &str, seen: impl FnMut(&Dot) -> bool) -> Dots {
        let key = self.store.keys.find(key);
        key.map_or_else(Dots::default, |key| self.take_out_seen(key, seen))
    }

    /// Notes what a dead event, never live here, had removed.
    pub fn record(&mut self, dot: Dot, removes: Dots) {
        self.store.remember(&dot, &removes);
        self.store.step.batch.records.push((dot, removes));
    }

    /// Has a value that the disk had lost. Returns whether it was missing.
    pub fn heal(&mut self, dot: &Dot, value: Value) -> bool {
        let healed = self.store.heal(dot, value);
        let is_healed = healed.is_some();
        self.store.step.batch.healed.extend(healed);
        is_healed
    }

    /// Notes that the author's events up to `n` are seen after the step.
    pub fn advance(&mut self, author: AuthorId, n: u64) {
        if n > self.store.vector.get(&author) {
            self.store.step.batch.vector.push((author, n));
        }
    }

    /// Takes in a whole transaction, of this hash, that continues its author's events and whose dependencies are visible.
    pub fn apply(&mut self, txn: Txn, hash: TxnHash) {
        let dot = txn.last();
        self.reserve(txn.events.len(), 0, 0);
        for (n, Event { op, removes }) in (txn.first..).zip(txn.events) {
            let dot = Dot::new(txn.author, n);
            for removed in &removes {
                self.remove(removed);
            }
            match op {
                Op::Put { key, value, kind } => self.put(StoredEntry {
                    dot,
                    key,
                    body: value.into(),
                    kind,
                    hlc: txn.hlc,
                    removes,
                }),
                Op::Delete => self.record(dot, removes),
            }
        }
        self.advance(dot.author, dot.n);
        let mut frontier = self.store.frontier.clone();
        frontier.advance(Tip { dot, hash }, &txn.deps);
        self.store.step.frontier = Some(frontier);
    }

    /// Notes that what was written is a transaction, which depends on all that is visible before.
    pub fn conclude(&mut self, last: Tip) {
        self.advance(last.dot.author, last.dot.n);
        self.store.step.frontier = Some(Frontier::at(last));
    }

    /// Notes a fork, if none of its author is known.
    pub fn fork(&mut self, fork: Fork) {
        let (known, noted) = (&self.store.forks, &mut self.store.step.batch.forks);
        let is_known = |noted: &[Fork]| noted.iter().any(|other| other.dot.author == fork.dot.author);
        if known.len() + noted.len() < FORKS_MAX && !known.contains_key(&fork.dot.author) && !is_known(noted) {
            noted.push(fork);
        }
    }

    /// Joins vector and frontier of another closed event set.
    pub fn join(&mut self, vector: &VersionVector, frontier: &Frontier) {
        let store = &mut *self.store;
        store.step.batch.vector.extend(vector.beyond(&store.vector));
        let mut merged = store.frontier.clone();
        merged.merge(&store.vector, frontier, vector);
        store.step.frontier = Some(merged);
    }

    /// Takes in a batch that was stored, when a replica is opened again.
    pub fn restore(&mut self, batch: Batch) {
        for entry in batch.entries {
            self.put(entry);
        }
        for removed in &batch.removed {
            self.remove(&removed.dot);
        }
        for (dot, removes) in batch.records {
            self.record(dot, removes);
        }
        for (author, n) in batch.vector {
            self.advance(author, n);
        }
        for fork in batch.forks {
            self.fork(fork);
        }
        self.store.step.frontier = Some(batch.frontier);
    }

    /// Compares how touched keys read before and after the step, up to `left` of them, and notes the changes as caused by `origin`.
    /// Returns whether all are done; nothing may be added to the step from the first call on.
    pub fn compare(&mut self, origin: Origin, left: &mut usize) -> bool {
        let store = &mut *self.store;
        let (from, all) = (store.step.compared, store.step.touched.len());
        if from == 0 {
            store.step.changes.reserve_exact(all);
        }
        let to = all.min(from.saturating_add(*left));
        for at in from..to {
            let Some(&key) = store.step.touched.get(at) else { break };
            let (before, _) = store.reading(key, false);
            let (after, sum) = store.reading(key, true);
            if store.is_crowded(key) {
                store.crowded.push(store.keys.get(key).text.clone());
            }
            if sum.is_some() || store.sums.contains_key(&key) {
                store.step.sums.insert(key, sum);
            }
            if !before.is_as(&after) {
                let key = store.keys.get(key).text.clone();
                if let Some(shown) = &after.shown {
                    store.step.gained.add(&key, &shown.body);
                }
                if let Some(shown) = &before.shown {
                    store.step.lost.add(&key, &shown.body);
                }
                store.step.changes.push(Change {
                    key,
                    value: after.shown,
                    previous: before.shown,
                    siblings: after.siblings,
                    origin,
                });
            }
        }
        store.step.compared = to;
        *left -= to - from;
        to == all
    }

    /// Makes the step visible, all at once. Gives what storage has to write and the keys that read differently. To be followed
    /// by [`Self::clean`] before another step begins.
    pub fn publish(&mut self) -> (Batch, Vec<Change>) {
        let store = &mut *self.store;
        let step = &mut store.step;
        step.flipped = true;
        step.compared = 0;
        step.touched.clear();
        store.vector.raise(&step.batch.vector);
        if let Some(frontier) = step.frontier.take() {
            store.frontier = frontier;
        }
        if store.mutated.is(Mutation::AuthorForgotten) {
            let live = |author| {
                store
                    .authors
                    .number(&author)
                    .and_then(|number| store.logs.get(number as usize))
                    .is_some_and(|log| !log.is_empty())
            };
            store.vector = store.vector.iter().filter(|(author, _)| live(*author)).collect();
        }
        let forks = step.batch.forks.iter().map(|fork| (fork.dot.author, *fork));
        store.forks.extend(forks);
        step.batch.frontier = store.frontier.clone();
        let (gained, lost) = (mem::take(&mut step.gained), mem::take(&mut step.lost));
        store.totals.keys = store.totals.keys + gained.keys - lost.keys;
        store.totals.bytes = store.totals.bytes + gained.bytes - lost.bytes;
        step.batch.totals = store.totals;
        (mem::take(&mut step.batch), mem::take(&mut step.changes))
    }

    /// Clears away what the published step has left behind, up to about `left` entries. Returns whether all is done.
    pub fn clean(&mut self, left: &mut usize) -> bool {
        while *left > 0 {
            *left -= 1;
            if let Some(slot) = self.store.step.dying.pop() {
                *left = left.saturating_sub(BURIAL - 1);
                self.store.bury(slot);
            } else if let Some(slot) = self.store.step.born.pop() {
                // Those that the step removed again are gone by now.
                if let Some(cell) = self.store.cells.get_mut(slot) {
                    cell.state = State::Live;
                }
            } else if let Some((key, sum)) = self.store.step.sums.pop_first() {
                match sum {
                    Some(sum) => self.store.sums.insert(key, sum),
                    None => self.store.sums.remove(&key),
                };
            } else if self.store.make_room(left) {
                self.store.step.flipped = false;
                return true;
            }
        }
        false
    }

    /// Ends a short step at once.
    pub fn finish(mut self, origin: Origin) -> (Batch, Vec<Change>) {
        let mut all = usize::MAX;
        self.compare(origin, &mut all);
        let published = self.publish();
        self.clean(&mut all);
        published
    }

    fn add(&mut self, key: KeyNumber, stored: StoredEntry) -> &StoredEntry {
        let store = &mut *self.store;
        if !store.is_touched(key) {
            store.step.touched.push(key);
        }
        let slot = store.insert(key, &stored, State::Born, false);
        store.step.born.push(slot);
        let entries = &mut store.step.batch.entries;
        entries.push(stored);
        &entries[entries.len() - 1]
    }

    fn take_out(&mut self, slot: Slot) {
        let store = &mut *self.store;
        let Cell { state, key, .. } = store.cells[slot];
        let state = match state {
            State::Live => State::Dying,
            State::Born => State::Stillborn,
            State::Dying | State::Stillborn => return,
        };
        if !store.is_touched(key) {
            store.step.touched.push(key);
        }
        let cell = &mut store.cells[slot];
        cell.state = state;
        store.step.dying.push(slot);
        store.step.batch.removed.push(Removed {
            dot: store.authors.dot(cell.dot()),
            key: store.keys.get(key).text.clone(),
            bytes: cell.body.len(),
        });
    }

    fn take_out_seen(&mut self, key: KeyNumber, mut seen: impl FnMut(&Dot) -> bool) -> Dots {
        let mut next = self.store.keys.get(key).head;
        let superseded = core::iter::from_fn(|| {
            while next != NO_SLOT {
                let (slot, cell) = (next, &self.store.cells[next]);
                next = cell.next;
                let dot = self.store.authors.dot(cell.dot());
                if self.store.is_visible(slot) && seen(&dot) {
                    self.take_out(slot);
                    return Some(dot);
                }
            }
            None
        });
        superseded.collect()
    }
}
