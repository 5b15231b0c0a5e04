//! Filling an empty store with what was kept.
//!
//! Nobody reads meanwhile, so nothing is collected for readers and storage: about half of the time that a step takes.

use alloc::vec::Vec;
use core::mem;

use super::{
    Store, StoredEntry,
    cell::{Cell, KeyNumber, NO_SLOT, State},
};
use crate::{
    causality::{Dots, Fork, Frontier, VersionVector},
    id::Dot,
};

/// The keys that have got a second entry.
#[derive(Debug, Default)]
pub struct Shared(Vec<KeyNumber>);

/// A store that is being filled. It may be left and gone on with; it is one when [`Self::finish`] is called.
#[derive(Debug)]
pub struct Loading<'a> {
    store: &'a mut Store,
    shared: &'a mut Shared,
}

impl<'a> Loading<'a> {
    pub(super) fn new(store: &'a mut Store, shared: &'a mut Shared) -> Self {
        debug_assert!(store.vector.is_empty(), "a store is filled once");
        Self { store, shared }
    }

    /// Adds a live entry, of which the disk has the value, unless only the journal does. Returns whether its dot is not there already.
    /// Entries in the order of their keys are added fastest.
    pub fn entry(&mut self, entry: StoredEntry, kept: bool) -> bool {
        let store = &mut *self.store;
        if store.slot(&entry.dot).is_some() {
            return false;
        }
        let key = store.keys.find_or_add(&entry.key);
        match store.keys.get(key).head {
            NO_SLOT => store.totals.add(&entry.key, &entry.body),
            head => {
                // How it reads is seen in the end.
                let Cell { body, next, .. } = &store.cells[head];
                if *next == NO_SLOT {
                    store.totals.take(&entry.key, body);
                }
                self.shared.0.push(key);
            }
        }
        store.insert(key, &entry, State::Live, kept);
        let mut all = usize::MAX;
        store.make_room(&mut all);
        true
    }

    /// Adds the record of a dead event, the oldest first.
    pub fn record(&mut self, dot: Dot, removes: &Dots) {
        self.store.remember(&dot, removes);
    }

    /// Whether an entry stands under a dot.
    pub fn holds(&self, dot: &Dot) -> bool {
        self.store.slot(dot).is_some()
    }

    /// All is added; this is what was seen.
    pub fn finish(self, vector: VersionVector, frontier: Frontier, forks: Vec<Fork>) {
        let Self { store, shared } = self;
        let mut shared = mem::take(&mut shared.0);
        shared.sort_unstable();
        shared.dedup();
        for key in shared {
            let (reading, sum) = store.reading(key, false);
            if let Some(shown) = &reading.shown {
                store.totals.add(&store.keys.get(key).text, &shown.body);
            }
            if let Some(sum) = sum {
                store.sums.insert(key, sum);
            }
            if store.is_crowded(key) {
                store.crowded.push(store.keys.get(key).text.clone());
            }
        }
        store.vector = vector;
        store.frontier = frontier;
        store.forks = forks.into_iter().map(|fork| (fork.dot.author, fork)).collect();
    }
}
