//! Batches that wait for the disk, on their way into commits, in slices.
//!
//! A session may bring a hundred thousand entries in one batch, and each is written, summed and handed on: at once that would hold a tab's
//! only thread for a quarter of a second. So each turn makes some of it ready, and all is handed out when it is.

use alloc::{collections::VecDeque, vec::Vec};
use core::mem;

use super::{Sizes, commit::Events, record::Key as RecordKey};
use crate::{
    causality::Dots,
    id::Dot,
    store::{Batch, BatchId, Removed, StoredEntry},
};

/// About as many bytes as what else there is to do for an entry takes the time of.
const ENTRY_AS_BYTES: usize = 200;

/// In how many turns that follow one another the slice grows by its first length: so that it outgrows what is written meanwhile, whatever
/// that is.
const TURNS_TO_GROW: usize = 8;

/// What waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// Of which no commit tells yet, or not all of it: of the first.
    batches: VecDeque<Batch>,
    begun: Option<Begun>,
    /// Commits that are full, sealed, in the order of their numbers; and one that is not.
    full: Vec<Vec<u8>>,
    open: Vec<u8>,
    last: Option<BatchId>,
    turns: usize,
}

/// A batch on its way into commits, and how much of it is done.
#[derive(Clone, Debug)]
struct Begun {
    batch: Batch,
    done: usize,
    events: Events,
}

/// What a batch consists of.
enum Part<'a> {
    Removed(&'a Removed),
    Written(&'a StoredEntry),
    Record(Dot, &'a Dots),
}

/// What the book is to take note of.
pub(super) enum Note<'a> {
    /// A commit brings an entry.
    Written(&'a StoredEntry),
    /// It says that one is live no more.
    Removed(&'a Removed),
}

impl Waiting {
    pub(super) fn push(&mut self, id: BatchId, batch: Batch) {
        self.batches.push_back(batch);
        self.last = Some(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Makes a slice ready, of commits that are numbered from `first` on. Returns whether all is.
    pub(super) fn prepare(&mut self, first: u64, sizes: &Sizes, mut note: impl FnMut(Note<'_>)) -> bool {
        let grown = sizes.prepared_bytes.saturating_mul(TURNS_TO_GROW + self.turns);
        let mut left = (grown / TURNS_TO_GROW).max(1);
        self.turns += 1;
        loop {
            let next = || self.batches.pop_front().map(Begun::new);
            let Some(mut begun) = self.begun.take().or_else(next) else {
                return true;
            };
            let Begun { batch, done, events } = &mut begun;
            while let Some(part) = Part::at(*done, batch) {
                if left == 0 {
                    self.begun = Some(begun);
                    return false;
                }
                left = left.saturating_sub(part.weight());
                match part {
                    Part::Removed(removed) => note(Note::Removed(removed)),
                    Part::Written(entry) => {
                        note(Note::Written(entry));
                        events.live(entry);
                    }
                    Part::Record(dot, removes) => events.dead(dot, removes),
                }
                *done += 1;
                if events.len() >= sizes.commit_bytes {
                    self.close(first);
                    mem::take(events).end_part(&mut self.open);
                    self.close(first);
                }
            }
            begun.events.end(&begun.batch, &mut self.open);
            if self.open.len() >= sizes.commit_bytes {
                self.close(first);
            }
        }
    }

    /// The commits, sealed, and the last batch in them, if all is ready.
    pub(super) fn take(&mut self, first: u64) -> (Option<BatchId>, Vec<Vec<u8>>) {
        self.close(first);
        self.turns = 0;
        (self.last.take(), mem::take(&mut self.full))
    }

    fn close(&mut self, first: u64) {
        if !self.open.is_empty() {
            let key = RecordKey::Commit(first + self.full.len() as u64);
            self.full.push(key.seal(mem::take(&mut self.open)));
        }
    }
}

impl Begun {
    fn new(batch: Batch) -> Self {
        Self {
            batch,
            done: 0,
            events: Events::default(),
        }
    }
}

impl<'a> Part<'a> {
    fn at(mut at: usize, batch: &'a Batch) -> Option<Self> {
        let Batch {
            removed,
            entries,
            healed,
            records,
            ..
        } = batch;
        if let Some(removed) = removed.get(at) {
            return Some(Self::Removed(removed));
        }
        at -= removed.len();
        for written in [entries, healed] {
            if let Some(entry) = written.get(at) {
                return Some(Self::Written(entry));
            }
            at -= written.len();
        }
        records.get(at).map(|(dot, removes)| Self::Record(*dot, removes))
    }

    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Removed(_) => 0,
            Self::Written(entry) => entry.key.len() + entry.body.here().map_or(0, |value| value.len()),
            Self::Record(_, removes) => size_of_val(&***removes),
        };
        ENTRY_AS_BYTES + bytes
    }
}
