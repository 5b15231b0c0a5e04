//! Opening a replica from what storage kept.
//!
//! A disk may have lost or mixed up what it was given: a restored backup, a program that wrote beside ours, a fault. What the engine
//! relies on is therefore looked at before it is taken in. What cannot be seen here: a batch that is missing from among the others, whose
//! events then read as removed, and a value that is another. Those are for storage to see, by numbers and sums of its own.

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use super::{Config, Origin, Replica};
use crate::{
    causality::{Dots, Fork, Frontier, Kind, Value, VersionVector, counter},
    disk::Lying,
    id::Dot,
    mutation::Mutation,
    store::{Batch, Calls, Shared, Status, StoredEntry},
    time::Timestamp,
    wire::{AUTHORS_MAX, DOT_NUMBER_MAX, FRONTIER_MAX, KEY_BYTES_MAX, REMOVES_MAX, VALUE_BYTES_MAX},
};

/// Why what was stored is not a replica. There is no replica then; what can be done is to open an empty one, and to fetch from peers.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RestoreError {
    /// A dot has a number that no dot can have.
    DotNumber(Dot),
    /// An event is stored, removed or said to be maximal that the vector does not cover: what the vector says was lost or is too old.
    NotCovered(Dot),
    /// An event is stored that an earlier batch covers: a batch came twice, or batches are out of order.
    StoredBefore(Dot),
    /// An entry is live that an event removes: the removal was lost.
    NotRemoved(Dot),
    /// An event removes itself, or what its author made later. Peers would refuse it.
    RemovesLater(Dot),
    /// Something is larger than it can be.
    TooLarge {
        /// What.
        what: &'static str,
        /// How large.
        length: usize,
        /// The bound.
        max: usize,
    },
    /// A key is empty.
    KeyEmpty(Dot),
    /// The value of a counter's event is no integer.
    CounterNotInteger(Dot),
}

impl Replica {
    /// A replica as storage kept it: the batches in the order in which they were stored. The replica writes as a new author.
    ///
    /// # Errors
    /// When the batches cannot have been handed to storage in this order.
    pub fn restore(
        config: Config,
        now: Timestamp,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<Self, RestoreError> {
        let mut replica = Self::new(config, now);
        for batch in batches {
            check(&batch, replica.store.vector())?;
            for entry in &batch.entries {
                replica.clock.observe(entry.hlc, now);
            }
            let removed: Vec<Dot> = removes(&batch).copied().collect();
            if let Some(call) = batch.call {
                replica.calls.insert(call);
            }
            let mut edit = replica.store.edit();
            edit.restore(batch);
            edit.finish(Origin::Remote);
            if let Some(dot) = removed.iter().find(|dot| replica.store.status(dot) == Status::Live) {
                return Err(RestoreError::NotRemoved(*dot));
            }
        }
        Ok(replica)
    }
}

/// A replica on its way from a disk, where it lies as one batch: as [`Replica::restore`] of that, in less time and in pieces.
#[derive(Debug)]
pub struct Loader {
    replica: Replica,
    now: Timestamp,
    vector: VersionVector,
    /// What was removed, and so must not be live.
    removed: Vec<Dot>,
    /// The keys that have got a second entry.
    shared: Shared,
}

impl Loader {
    /// Begins to load a replica that has seen `vector`, and remembers these calls.
    ///
    /// # Errors
    /// When no replica can have seen that.
    pub fn new(config: Config, now: Timestamp, vector: VersionVector, calls: Calls) -> Result<Self, RestoreError> {
        let mut replica = Replica::new(config, now);
        if !replica.config.mutated.is(Mutation::CallForgotten) {
            replica.calls = calls;
        }
        bounded("authors", vector.len(), AUTHORS_MAX)?;
        vector.iter().try_for_each(|(author, n)| number(&Dot::new(author, n)))?;
        Ok(Self {
            replica,
            now,
            vector,
            removed: Vec::new(),
            shared: Shared::default(),
        })
    }

    /// Adds a live entry. Entries in the order of their keys are added fastest.
    ///
    /// # Errors
    /// When no replica that has seen what this one has can hold it.
    pub fn entry(&mut self, Lying { entry, kept }: Lying) -> Result<(), RestoreError> {
        let Replica { store, clock, .. } = &mut self.replica;
        within(&self.vector).entry(&entry)?;
        clock.observe(entry.hlc, self.now);
        self.removed.extend(entry.removes.iter());
        let dot = entry.dot;
        if store.load(&mut self.shared).entry(entry, kept) {
            Ok(())
        } else {
            Err(RestoreError::StoredBefore(dot))
        }
    }

    /// Adds the value of an entry, if it has none and this is what it must be.
    pub fn body(&mut self, dot: &Dot, value: Value) {
        self.replica.store.supply(dot, value);
    }

    /// Adds the record of a dead event, the oldest first.
    ///
    /// # Errors
    /// As [`Self::entry`].
    pub fn record(&mut self, dot: Dot, removes: &Dots) -> Result<(), RestoreError> {
        within(&self.vector).event(&dot, removes)?;
        self.removed.extend(removes.iter());
        self.replica.store.load(&mut self.shared).record(dot, removes);
        Ok(())
    }

    /// All entries and records are added: looks at up to `left` of the dots that must not be live. Returns whether all were looked at.
    ///
    /// # Errors
    /// When one of them is.
    pub fn check(&mut self, left: &mut usize) -> Result<bool, RestoreError> {
        let loading = self.replica.store.load(&mut self.shared);
        while *left > 0 {
            *left -= 1;
            match self.removed.pop() {
                Some(dot) if loading.holds(&dot) => return Err(RestoreError::NotRemoved(dot)),
                Some(_) => {}
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// The replica, of which all is added and was looked at.
    ///
    /// # Errors
    /// When the frontier was not seen.
    pub fn finish(mut self, frontier: Frontier, forks: Vec<Fork>) -> Result<Replica, RestoreError> {
        debug_assert_eq!(self.removed.len(), 0, "all was looked at");
        within(&self.vector).frontier(&frontier)?;
        self.replica
            .store
            .load(&mut self.shared)
            .finish(self.vector, frontier, forks);
        Ok(self.replica)
    }
}

/// What is said of a batch must hold of all in it: `covers` tells what is seen with it.
struct Check<F> {
    covers: F,
}

impl<F: Fn(&Dot) -> bool> Check<F> {
    fn covered(&self, dot: &Dot) -> Result<(), RestoreError> {
        number(dot)?;
        if (self.covers)(dot) {
            Ok(())
        } else {
            Err(RestoreError::NotCovered(*dot))
        }
    }

    fn frontier(&self, frontier: &Frontier) -> Result<(), RestoreError> {
        bounded("frontier", frontier.tips().len(), FRONTIER_MAX)?;
        frontier.dots().try_for_each(|dot| self.covered(&dot))
    }

    fn event(&self, dot: &Dot, removes: &[Dot]) -> Result<(), RestoreError> {
        self.covered(dot)?;
        bounded("removed dots", removes.len(), REMOVES_MAX)?;
        removes.iter().try_for_each(|dot| self.covered(dot))?;
        let is_later = |removed: &Dot| removed.author == dot.author && removed.n >= dot.n;
        if removes.iter().any(is_later) {
            return Err(RestoreError::RemovesLater(*dot));
        }
        Ok(())
    }

    fn entry(&self, entry: &StoredEntry) -> Result<(), RestoreError> {
        let StoredEntry {
            dot,
            key,
            body,
            kind,
            removes,
            ..
        } = entry;
        self.event(dot, removes)?;
        bounded("key", key.len(), KEY_BYTES_MAX)?;
        bounded("value", body.len(), VALUE_BYTES_MAX)?;
        if key.is_empty() {
            return Err(RestoreError::KeyEmpty(*dot));
        }
        let is_number = |value: &Value| counter::decode(value).is_some();
        if *kind == Kind::Counter && !body.here().is_some_and(is_number) {
            return Err(RestoreError::CounterNotInteger(*dot));
        }
        Ok(())
    }
}

/// Whether a batch can follow on what was seen `before`.
fn check(batch: &Batch, before: &VersionVector) -> Result<(), RestoreError> {
    let raised: BTreeMap<_, _> = batch.vector.iter().copied().collect();
    for (author, n) in &batch.vector {
        number(&Dot::new(*author, *n))?;
    }
    let added = raised.keys().filter(|author| before.get(author) == 0);
    bounded("authors", before.len() + added.count(), AUTHORS_MAX)?;
    let check = Check {
        covers: |dot: &Dot| before.covers(dot) || raised.get(&dot.author).is_some_and(|n| dot.n <= *n),
    };
    check.frontier(&batch.frontier)?;
    batch.entries.iter().try_for_each(|entry| check.entry(entry))?;
    let mut records = batch.records.iter();
    records.try_for_each(|(dot, removes)| check.event(dot, removes))?;
    let mut removed = batch.removed.iter();
    removed.try_for_each(|removed| check.covered(&removed.dot))?;
    let entries = batch.entries.iter().map(|entry| entry.dot);
    let mut made = entries.chain(batch.records.iter().map(|(dot, _)| *dot));
    match made.find(|dot| before.covers(dot)) {
        Some(dot) => Err(RestoreError::StoredBefore(dot)),
        None => Ok(()),
    }
}

/// What the events of a batch removed.
fn removes(batch: &Batch) -> impl Iterator<Item = &Dot> {
    let entries = batch.entries.iter().map(|entry| &entry.removes);
    let records = batch.records.iter().map(|(_, removes)| removes);
    entries.chain(records).flatten()
}

fn within(vector: &VersionVector) -> Check<impl Fn(&Dot) -> bool> {
    Check {
        covers: |dot: &Dot| vector.covers(dot),
    }
}

fn number(dot: &Dot) -> Result<(), RestoreError> {
    if (1..=DOT_NUMBER_MAX).contains(&dot.n) {
        Ok(())
    } else {
        Err(RestoreError::DotNumber(*dot))
    }
}

fn bounded(what: &'static str, length: usize, max: usize) -> Result<(), RestoreError> {
    if length > max {
        return Err(RestoreError::TooLarge { what, length, max });
    }
    Ok(())
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DotNumber(dot) => write!(f, "no event can have the number of {dot:?}"),
            Self::NotCovered(dot) => write!(f, "{dot:?} is stored and not covered by the version vector"),
            Self::StoredBefore(dot) => write!(f, "{dot:?} is stored again"),
            Self::NotRemoved(dot) => write!(f, "{dot:?} is live, and an event that is stored removes it"),
            Self::RemovesLater(dot) => write!(f, "{dot:?} removes what was made after it"),
            Self::TooLarge { what, length, max } => write!(f, "{what}: {length} is above the bound of {max}"),
            Self::KeyEmpty(dot) => write!(f, "the key of {dot:?} is empty"),
            Self::CounterNotInteger(dot) => write!(f, "{dot:?} is a counter's, and its value is no integer"),
        }
    }
}

impl core::error::Error for RestoreError {}
