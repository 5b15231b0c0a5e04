//! Which values are in memory.
//!
//! What is on the disk may leave memory and come back. What is not there yet may not, and counts towards the limits all the same; so
//! does what is being read beside it.

use core::mem;

use super::cell::{Cell, Slot};
use crate::{
    cache::{Limits, LruCache},
    causality::{Body, Kind, Print},
};

/// What a value takes in memory beyond its bytes: the counts of who shares it, and its place in the order of use.
const VALUE_BYTES: usize = 48;

/// As how many bytes a value counts; none, if what stands for it when it is away is not shorter: it stays, as a part of the index.
fn weight(cell: &Cell) -> u64 {
    match &cell.body {
        Body::Here(value) if cell.kind == Kind::Value && value.len() > size_of::<Print>() => {
            (value.len() + VALUE_BYTES) as u64
        }
        _ => 0,
    }
}

/// The order in which values that are on the disk were used, and how much there is that may not leave.
#[derive(Clone, Debug)]
pub(super) struct Resident {
    kept: LruCache<Slot, ()>,
    limits: Limits,
    pinned: usize,
    pinned_bytes: u64,
}

impl Resident {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            // It never forgets by itself: what leaves has to be taken out of its cell.
            kept: LruCache::new(Limits::NONE),
            limits,
            pinned: 0,
            pinned_bytes: 0,
        }
    }

    /// A cell has come, or its value has.
    pub(super) fn add(&mut self, slot: Slot, cell: &Cell) {
        match weight(cell) {
            0 => {}
            bytes if cell.kept => {
                self.kept.insert(slot, (), bytes, |_, (), _| {});
            }
            bytes => {
                self.pinned += 1;
                self.pinned_bytes += bytes;
            }
        }
    }

    /// A cell goes, or its value does.
    pub(super) fn remove(&mut self, slot: Slot, cell: &Cell) {
        match weight(cell) {
            0 => {}
            _ if cell.kept => {
                self.kept.remove(&slot);
            }
            bytes => {
                self.pinned -= 1;
                self.pinned_bytes -= bytes;
            }
        }
    }

    /// A value is read.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.kept.get(&slot);
    }

    /// A value that is to leave for the limits to hold.
    pub(super) fn surplus(&mut self) -> Option<Slot> {
        let is_full = self.kept.len() + self.pinned > self.limits.max_items() || self.bytes() > self.limits.max_bytes();
        if !is_full {
            return None;
        }
        self.kept.remove_oldest().map(|(slot, ())| slot)
    }

    /// How much all of it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.bytes() + self.pinned_bytes
    }
}

impl Cell {
    /// Leaves what the value must be in its place.
    pub(super) fn send_away(&mut self) {
        let print = self.body.print();
        drop(mem::replace(&mut self.body, Body::Away(print.into())));
    }
}
