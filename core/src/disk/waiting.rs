//! Batches that wait for the disk, on their way into commits, in slices.
//!
//! A session may bring a hundred thousand entries in one batch, and each is written, summed and handed on: at once that would hold a tab's
//! only thread for a quarter of a second. So each turn makes some of it ready, and all is handed out when it is.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
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
    /// Those of which no commit tells yet.
    batches: VecDeque<Batch>,
    begun: Option<Begun>,
    /// Commits that are full, sealed, in the order of their numbers; and one that is not.
    full: Vec<Vec<u8>>,
    open: Vec<u8>,
    last: Option<BatchId>,
    turns: usize,
}

/// A batch on its way into commits.
#[derive(Clone, Debug)]
struct Begun {
    batch: Batch,
    /// How many of its parts are done.
    done: usize,
    /// Those that are in no commit yet.
    events: Events,
    /// What it removes, and whether an event that is done names it.
    removed: BTreeMap<Dot, bool>,
}

/// A part of a batch.
pub(super) enum Part<'a> {
    /// An entry is live no more.
    Removed(&'a Removed),
    /// An entry is live, or its value has come again.
    Written(&'a StoredEntry),
    /// A dead event had removed these.
    Record(Dot, &'a Dots),
    /// A value has come again of an entry that is live no more.
    Needless,
}

impl Waiting {
    pub(super) fn push(&mut self, id: BatchId, batch: Batch) {
        self.batches.push_back(batch);
        self.last = Some(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Makes a slice ready, of commits that are numbered from `first` on, and tells the book of each part. Returns whether all is.
    pub(super) fn prepare(&mut self, first: u64, sizes: &Sizes, mut tell: impl FnMut(&Part<'_>)) -> bool {
        let grown = sizes.prepared_bytes.saturating_mul(TURNS_TO_GROW + self.turns);
        let mut left = (grown / TURNS_TO_GROW).max(1);
        loop {
            let next = || self.batches.pop_front().map(Begun::new);
            let Some(mut begun) = self.begun.take().or_else(next) else {
                self.turns = 0;
                return true;
            };
            loop {
                if left == 0 {
                    self.begun = Some(begun);
                    self.turns += 1;
                    return false;
                }
                let Some(weight) = begun.go_on(&mut tell) else { break };
                left = left.saturating_sub(weight);
                if begun.events.len() >= sizes.commit_bytes {
                    self.close(first);
                    mem::take(&mut begun.events).end_part(&mut self.open);
                    self.close(first);
                }
            }
            begun.end(&mut self.open);
            if self.open.len() >= sizes.commit_bytes {
                self.close(first);
            }
        }
    }

    /// The commits, sealed, and the last batch in them, once all is ready.
    pub(super) fn take(&mut self, first: u64) -> (Option<BatchId>, Vec<Vec<u8>>) {
        self.close(first);
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
            removed: BTreeMap::new(),
        }
    }

    /// Does the next part. Gives what it weighs; `None` when all are done.
    fn go_on(&mut self, tell: &mut impl FnMut(&Part<'_>)) -> Option<usize> {
        let Self {
            batch,
            done,
            events,
            removed,
        } = self;
        let part = Part::at(*done, batch, removed)?;
        *done += 1;
        let mut name = |removes: &[Dot]| {
            for dot in removes {
                if let Some(is_named) = removed.get_mut(dot) {
                    *is_named = true;
                }
            }
        };
        match &part {
            Part::Removed(Removed { dot, .. }) => {
                removed.insert(*dot, false);
            }
            Part::Written(entry) => {
                name(&entry.removes);
                events.live(entry);
            }
            Part::Record(dot, removes) => {
                name(removes);
                events.dead(*dot, removes);
            }
            Part::Needless => {}
        }
        tell(&part);
        Some(part.weight())
    }

    fn end(self, out: &mut Vec<u8>) {
        let unnamed = self.removed.into_iter().filter(|(_, is_named)| !is_named);
        let unnamed: Vec<_> = unnamed.map(|(dot, _)| dot).collect();
        self.events.end(&self.batch, &unnamed, out);
    }
}

impl<'a> Part<'a> {
    /// The removed ones come first, so that it is known of an entry whether it is among them: what one commit says is removed and a later
    /// one of the same batch says is live would be live.
    fn at(mut at: usize, batch: &'a Batch, is_removed: &BTreeMap<Dot, bool>) -> Option<Self> {
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
        if let Some(entry) = entries.get(at) {
            return Some(match is_removed.contains_key(&entry.dot) {
                true => Self::Record(entry.dot, &entry.removes),
                false => Self::Written(entry),
            });
        }
        at -= entries.len();
        if let Some(entry) = healed.get(at) {
            return Some(match is_removed.contains_key(&entry.dot) {
                true => Self::Needless,
                false => Self::Written(entry),
            });
        }
        at -= healed.len();
        records.get(at).map(|(dot, removes)| Self::Record(*dot, removes))
    }

    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Removed(_) | Self::Needless => 0,
            Self::Written(entry) => entry.key.len() + entry.body.here().map_or(0, |value| value.len()),
            Self::Record(_, removes) => size_of_val(&***removes),
        };
        ENTRY_AS_BYTES + bytes
    }
}
