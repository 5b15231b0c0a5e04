//! The visible state of a replica: its version vector, its frontier, its live entries and the record ring.
//!
//! The status of any dot follows from two lookups: *unknown* when the vector does not cover it, *live* when an entry stands
//! under it, else *removed*. A removed dot takes no memory; there are no tombstones.
//!
//! All changes go through an [`Edit`], which makes several of them one step: it collects the [`Batch`] that storage writes
//! atomically and the keys that read differently afterwards. The store knows nothing of peers, frames or sessions.

mod batch;
mod edit;
mod entry;
mod keys;
mod log;
mod ring;

pub use batch::{Batch, StoredEntry};
pub use edit::{Edit, Touched};
pub use entry::Entry;
pub use keys::Scan;
pub use log::{BLOCK_DOTS, Bitmap};

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc};

use self::{entry::Slab, keys::Keys, log::Log, ring::Ring};
use crate::{
    causality::{Context, Frontier, Value, VersionVector},
    id::{AuthorId, Dot},
};

/// What a replica knows of an event. Merging two replicas takes the maximum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// Not seen.
    Unknown,
    /// Seen, and its value stands.
    Live,
    /// Seen, and superseded or deleted; or a delete itself.
    Removed,
}

/// The live entries of a closed event set, indexed by dot and by key.
#[derive(Clone, Debug)]
pub struct Store {
    vector: VersionVector,
    frontier: Frontier,
    logs: BTreeMap<AuthorId, Log>,
    entries: Slab,
    keys: Keys,
    ring: Ring,
}

impl Store {
    /// An empty store that keeps up to `ring_records` records of dead events.
    pub fn new(ring_records: usize) -> Self {
        Self {
            vector: VersionVector::new(),
            frontier: Frontier::default(),
            logs: BTreeMap::new(),
            entries: Slab::default(),
            keys: Keys::default(),
            ring: Ring::new(ring_records),
        }
    }

    /// What was seen.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The maximal transactions of what was seen.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// What is known of an event.
    pub fn status(&self, dot: &Dot) -> Status {
        if !self.vector.covers(dot) {
            Status::Unknown
        } else if self.slot(dot).is_some() {
            Status::Live
        } else {
            Status::Removed
        }
    }

    /// Begins a step.
    pub fn edit(&mut self) -> Edit<'_> {
        Edit::new(self)
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry that a plain read of `key` shows: the maximum by (stamp, content hash, dot), the same on every replica.
    pub fn winner(&self, key: &str) -> Option<&Entry> {
        self.keys.get(key).first().map(|slot| &self.entries[*slot])
    }

    /// All live entries of a key, the winner first.
    pub fn siblings(&self, key: &str) -> impl Iterator<Item = &Entry> {
        self.keys.get(key).iter().map(|slot| &self.entries[*slot])
    }

    /// The dots of a key's live entries.
    pub fn context(&self, key: &str) -> Context {
        Context::new(self.siblings(key).map(|entry| entry.dot))
    }

    /// The keys in a range with their live entries, the winner first.
    pub fn scan(&self, scan: &Scan<'_>) -> impl Iterator<Item = (&Arc<str>, impl Iterator<Item = &Entry> + Clone)> {
        self.keys
            .scan(scan)
            .map(|(key, slots)| (key, slots.iter().map(|slot| &self.entries[*slot])))
    }

    /// The live entries among the author's events after `after` and up to `upto`, in order.
    pub fn live(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = &Entry> {
        let log = self.logs.get(&author);
        log.into_iter()
            .flat_map(move |log| log.range(after, upto))
            .map(|slot| &self.entries[slot])
    }

    /// The records of the author's dead events after `after` and up to `upto`, in order: number, and what the event removed. A
    /// dead event without a record has left the ring.
    pub fn records(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = (u64, &[Dot])> {
        self.ring.range(author, after, upto)
    }

    /// Which dots are live, as bitmaps of the blocks that hold any: author, index of the block, bitmap.
    pub fn blocks(&self) -> impl Iterator<Item = (AuthorId, u64, Bitmap)> + '_ {
        self.logs
            .iter()
            .flat_map(|(author, log)| log.blocks().map(|(index, live)| (*author, index, live)))
    }

    fn slot(&self, dot: &Dot) -> Option<u32> {
        self.logs.get(&dot.author)?.get(dot.n)
    }

    /// Adds a live entry; the caller has checked that its dot is not yet seen.
    fn insert(&mut self, entry: Entry) {
        let (dot, key) = (entry.dot, Arc::clone(&entry.key));
        let slot = self.entries.insert(entry);
        self.logs.entry(dot.author).or_default().insert(dot.n, slot);
        self.keys.insert(key, slot, &self.entries);
    }

    /// Takes a live entry out, leaving the record of what it had removed.
    fn remove(&mut self, dot: &Dot) -> Option<Entry> {
        let log = self.logs.get_mut(&dot.author)?;
        let slot = log.remove(dot.n)?;
        if log.is_empty() {
            self.logs.remove(&dot.author);
        }
        let entry = self.entries.remove(slot);
        self.keys.remove(&entry.key, slot);
        Some(entry)
    }

    fn record(&mut self, dot: Dot, removes: Box<[Dot]>) {
        self.ring.push(dot, removes);
    }

    /// What a plain read shows, and how many different values stand under the key.
    fn reading(&self, key: &str) -> Reading {
        let mut hashes: alloc::vec::Vec<_> = self.siblings(key).map(|entry| entry.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Reading {
            value: self.winner(key).map(|entry| Arc::clone(&entry.value)),
            siblings: hashes.len(),
        }
    }
}

/// How a key reads: the winner, and how many siblings with different values there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// The winner's value; `None` when the key has no live entry.
    pub value: Option<Value>,
    /// Siblings with different values; more than one is a conflict.
    pub siblings: usize,
}
