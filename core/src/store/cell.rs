//! A live entry as the store holds it.

use core::cmp::Ordering;

use super::{
    authors::{AuthorNumber, Compact},
    removals::Removes,
};
use crate::{
    causality::{Body, Kind},
    time::Hlc,
};

/// The number of a cell within the store.
pub(super) type Slot = u32;

/// The number of a key within the store.
pub(super) type KeyNumber = u32;

/// Ends a chain of siblings.
pub(super) const NO_SLOT: Slot = Slot::MAX;

/// Who sees an entry while a step is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Everybody.
    Live,
    /// Those who read after the step.
    Born,
    /// Those who read before the step.
    Dying,
    /// Nobody: the step adds it and removes it again.
    Stillborn,
}

/// One sibling of its key. 56 bytes, or 48 where a pointer has 32 bits.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) body: Body,
    /// What the event superseded. Kept while the entry lives, so that a record of it can be left when it dies.
    pub(super) removes: Removes,
    pub(super) hlc: Hlc,
    /// Its dot, in two parts so that nothing is lost to padding.
    pub(super) n: u64,
    pub(super) author: AuthorNumber,
    pub(super) key: KeyNumber,
    /// The sibling of the next lower rank.
    pub(super) next: Slot,
    pub(super) state: State,
    pub(super) kind: Kind,
    /// Whether the value is on the disk.
    pub(super) kept: bool,
}

const _: () = assert!(size_of::<Option<Cell>>() == 2 * size_of::<usize>() + 40);

impl Cell {
    pub(super) fn dot(&self) -> Compact {
        Compact {
            author: self.author,
            n: self.n,
        }
    }

    /// The order of siblings, (stamp, dot); the greatest wins a plain read. The dot makes the order total, the same on every replica.
    /// How the dots compare is told by the caller, who knows the authors.
    pub(super) fn rank(&self, other: &Self, dots: impl FnOnce() -> Ordering) -> Ordering {
        self.hlc.cmp(&other.hlc).then_with(dots)
    }

    pub(super) fn visible(&self, after_step: bool) -> bool {
        match self.state {
            State::Live => true,
            State::Born => after_step,
            State::Dying => !after_step,
            State::Stillborn => false,
        }
    }
}
