//! What storage writes in one atomic step.

use alloc::vec::Vec;

use super::Call;
use crate::{
    causality::{Body, Dots, Fork, Frontier, Key, Kind},
    id::{AuthorId, Dot},
    time::Hlc,
};

/// Names a batch handed to storage. Chosen by the engine; comes back when the batch is durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BatchId(pub u64);

/// The changes of one step. Vector, entries, removals, records and frontier belong together: a disk that held some without
/// the others would describe a state that never was. Batches applied in order give the state again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// Entries that became live.
    pub entries: Vec<StoredEntry>,
    /// Entries that are live no more. Each leaves a record of what its event had removed.
    pub removed: Vec<Removed>,
    /// Live entries whose values the disk had lost, and has to write again.
    pub healed: Vec<StoredEntry>,
    /// Records of events that were never live here.
    pub records: Vec<(Dot, Dots)>,
    /// The counts of the version vector that rose.
    pub vector: Vec<(AuthorId, u64)>,
    /// The frontier afterwards.
    pub frontier: Frontier,
    /// Forks that became known.
    pub forks: Vec<Fork>,
    /// The call that is carried out with it, if it may come again.
    pub call: Option<Call>,
    /// How much the store holds afterwards.
    pub totals: Totals,
}

/// How much a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// How many keys have a value.
    pub keys: usize,
    /// The bytes of these keys, and of what a plain read of them shows.
    pub bytes: u64,
}

impl Totals {
    /// Adds a key that reads as `body`.
    pub(super) fn add(&mut self, key: &Key, body: &Body) {
        self.keys += 1;
        self.bytes += (key.len() + body.len()) as u64;
    }

    /// Takes out a key that reads as `body`.
    pub(super) fn take(&mut self, key: &Key, body: &Body) {
        self.keys -= 1;
        self.bytes -= (key.len() + body.len()) as u64;
    }
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        // Nothing else changes without an event, and every event raises the vector; but a fork may remove what was seen before.
        self.vector.is_empty() && self.healed.is_empty() && self.forks.is_empty() && self.removed.is_empty()
    }
}

/// An entry that is live no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The event that had written it.
    pub dot: Dot,
    /// Where it stood.
    pub key: Key,
    /// The length of its value.
    pub bytes: usize,
}

/// An entry as it is stored. Its content hash follows from the value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEntry {
    /// The event that wrote it.
    pub dot: Dot,
    /// Its key.
    pub key: Key,
    /// Its value.
    pub body: Body,
    /// What it is to its siblings.
    pub kind: Kind,
    /// When it was written.
    pub hlc: Hlc,
    /// What the event superseded.
    pub removes: Dots,
}
