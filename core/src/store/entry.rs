//! A live entry, and the slab that holds them all.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::ops::Index;

use crate::{
    causality::Value,
    id::{ContentHash, Dot},
    time::Hlc,
};

/// A live value: one sibling of its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The event that wrote it.
    pub dot: Dot,
    /// Where it stands.
    pub key: Arc<str>,
    /// Its bytes.
    pub value: Value,
    /// The hash of its bytes.
    pub hash: ContentHash,
    /// When it was written, by the writer's clock.
    pub hlc: Hlc,
    /// What the event superseded. Kept while the entry lives, so that a record of it can be left when it dies.
    pub removes: Box<[Dot]>,
}

impl Entry {
    /// The order of siblings; the greatest wins a plain read. The dot makes it total: equal values written at the same
    /// stamp by two authors still have one order on every replica.
    pub(super) fn rank(&self) -> (Hlc, ContentHash, Dot) {
        (self.hlc, self.hash, self.dot)
    }
}

/// Entries by slot number. Slots of removed entries are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Slab {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
}

impl Slab {
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(entry);
            return slot;
        }
        let slot =
            u32::try_from(self.slots.len()).expect("four billion live entries do not fit any memory this runs in");
        self.slots.push(Some(entry));
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Entry {
        self.free.push(slot);
        self.slots[slot as usize].take().expect(OCCUPIED)
    }
}

impl Index<u32> for Slab {
    type Output = Entry;

    fn index(&self, slot: u32) -> &Entry {
        self.slots[slot as usize].as_ref().expect(OCCUPIED)
    }
}

const OCCUPIED: &str = "the indexes hold slots of live entries only";
