//! Opening a replica from what storage kept.
//!
//! A disk may have lost or mixed up what it was given: a restored backup, a program that wrote beside ours, a fault. What the engine
//! relies on is therefore looked at before it is taken in. What cannot be seen here: a batch that is missing from among the others, whose
//! events then read as removed, and a value that is another. Those are for storage to see, by numbers and sums of its own.

use alloc::{
    collections::BTreeMap,
    vec::{self, Vec},
};
use core::{fmt, mem};

use super::{Config, Origin, Replica};
use crate::{
    causality::{Dots, Frontier, Kind, VersionVector, counter},
    id::{AuthorId, Dot},
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
            let check = Check::new(&batch, replica.store.vector())?;
            batch.entries.iter().try_for_each(|entry| check.entry(entry))?;
            let mut records = batch.records.iter();
            records.try_for_each(|(dot, removes)| check.event(dot, removes))?;
            let mut removed = batch.removed.iter();
            removed.try_for_each(|removed| check.covered(&removed.dot))?;
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

impl Replica {
    /// A replica as a disk kept it: one batch with all that lives, and the calls that were carried out. As [`Self::restore`], and as that
    /// of one batch, in less time. [`Loader`] does it in slices.
    ///
    /// # Errors
    /// When that is not a replica.
    pub fn load(config: Config, now: Timestamp, kept: Batch, calls: Calls) -> Result<Self, RestoreError> {
        let mut loader = Loader::new(config, now, kept, calls)?;
        let mut all = usize::MAX;
        loader.load(&mut all)?;
        Ok(loader.finish())
    }
}

/// A replica on its way from a disk, in slices: 100,000 entries take some hundred milliseconds in a browser.
#[derive(Debug)]
pub struct Loader {
    replica: Replica,
    now: Timestamp,
    /// Of the batch: nothing was stored before it.
    raised: BTreeMap<AuthorId, u64>,
    vector: VersionVector,
    frontier: Frontier,
    entries: vec::IntoIter<StoredEntry>,
    records: vec::IntoIter<(Dot, Dots)>,
    /// What was removed, and so must not be live.
    removed: Vec<Dot>,
    /// The keys that have got a second entry.
    shared: Shared,
}

impl Loader {
    /// Begins to load what was kept, as [`Replica::load`].
    ///
    /// # Errors
    /// When its vector or frontier cannot be a replica's.
    pub fn new(config: Config, now: Timestamp, kept: Batch, calls: Calls) -> Result<Self, RestoreError> {
        let mut replica = Replica::new(config, now);
        if !replica.config.mutated.is(Mutation::CallForgotten) {
            replica.calls = calls;
        }
        let check = Check::new(&kept, replica.store.vector())?;
        let mut removed = kept.removed.iter();
        removed.try_for_each(|removed| check.covered(&removed.dot))?;
        let raised = check.raised;
        let mut vector = VersionVector::new();
        vector.raise(&kept.vector);
        Ok(Self {
            replica,
            now,
            raised,
            vector,
            frontier: kept.frontier,
            removed: kept.removed.iter().map(|removed| removed.dot).collect(),
            entries: kept.entries.into_iter(),
            records: kept.records.into_iter(),
            shared: Shared::default(),
        })
    }

    /// Loads up to about `left` entries. Returns whether all is loaded.
    ///
    /// # Errors
    /// When what was kept is not a replica.
    pub fn load(&mut self, left: &mut usize) -> Result<bool, RestoreError> {
        let Replica { store, clock, .. } = &mut self.replica;
        let nothing = VersionVector::new();
        let check = Check {
            before: &nothing,
            raised: mem::take(&mut self.raised),
        };
        let mut loading = store.load(&mut self.shared);
        while *left > 0 {
            *left -= 1;
            if let Some(entry) = self.entries.next() {
                check.entry(&entry)?;
                clock.observe(entry.hlc, self.now);
                self.removed.extend(entry.removes.iter());
                let dot = entry.dot;
                if !loading.entry(entry) {
                    return Err(RestoreError::StoredBefore(dot));
                }
            } else if let Some((dot, removes)) = self.records.next() {
                check.event(&dot, &removes)?;
                self.removed.extend(removes.iter());
                loading.record(dot, &removes);
            } else if let Some(dot) = self.removed.pop() {
                if loading.holds(&dot) {
                    return Err(RestoreError::NotRemoved(dot));
                }
            } else {
                break;
            }
        }
        self.raised = check.raised;
        Ok(self.entries.len() + self.records.len() + self.removed.len() == 0)
    }

    /// The replica, of which all is loaded.
    pub fn finish(mut self) -> Replica {
        debug_assert_eq!(self.entries.len() + self.records.len(), 0, "all is loaded");
        self.replica
            .store
            .load(&mut self.shared)
            .finish(self.vector, self.frontier);
        self.replica
    }
}

/// What is said of a batch must hold of all in it.
struct Check<'a> {
    /// What was stored before.
    before: &'a VersionVector,
    /// The counts that the batch raises.
    raised: BTreeMap<AuthorId, u64>,
}

impl<'a> Check<'a> {
    fn new(batch: &Batch, before: &'a VersionVector) -> Result<Self, RestoreError> {
        let raised: BTreeMap<_, _> = batch.vector.iter().copied().collect();
        let check = Self { before, raised };
        for (author, n) in &batch.vector {
            check.number(&Dot::new(*author, *n))?;
        }
        let added = check.raised.keys().filter(|author| before.get(author) == 0);
        bounded("authors", before.len() + added.count(), AUTHORS_MAX)?;
        bounded("frontier", batch.frontier.dots().len(), FRONTIER_MAX)?;
        batch.frontier.dots().iter().try_for_each(|dot| check.covered(dot))?;
        Ok(check)
    }

    fn number(&self, dot: &Dot) -> Result<(), RestoreError> {
        if (1..=DOT_NUMBER_MAX).contains(&dot.n) {
            Ok(())
        } else {
            Err(RestoreError::DotNumber(*dot))
        }
    }

    fn covered(&self, dot: &Dot) -> Result<(), RestoreError> {
        self.number(dot)?;
        if self.before.covers(dot) || self.raised.get(&dot.author).is_some_and(|n| dot.n <= *n) {
            Ok(())
        } else {
            Err(RestoreError::NotCovered(*dot))
        }
    }

    fn event(&self, dot: &Dot, removes: &[Dot]) -> Result<(), RestoreError> {
        self.covered(dot)?;
        bounded("removed dots", removes.len(), REMOVES_MAX)?;
        removes.iter().try_for_each(|dot| self.covered(dot))?;
        let is_later = |removed: &Dot| removed.author == dot.author && removed.n >= dot.n;
        if removes.iter().any(is_later) {
            return Err(RestoreError::RemovesLater(*dot));
        }
        if self.before.covers(dot) {
            Err(RestoreError::StoredBefore(*dot))
        } else {
            Ok(())
        }
    }

    fn entry(&self, entry: &StoredEntry) -> Result<(), RestoreError> {
        let StoredEntry {
            dot,
            key,
            value,
            kind,
            removes,
            ..
        } = entry;
        self.event(dot, removes)?;
        bounded("key", key.len(), KEY_BYTES_MAX)?;
        bounded("value", value.len(), VALUE_BYTES_MAX)?;
        if key.is_empty() {
            return Err(RestoreError::KeyEmpty(*dot));
        }
        if *kind == Kind::Counter && counter::decode(value).is_none() {
            return Err(RestoreError::CounterNotInteger(*dot));
        }
        Ok(())
    }
}

/// What the events of a batch removed.
fn removes(batch: &Batch) -> impl Iterator<Item = &Dot> {
    let entries = batch.entries.iter().map(|entry| &entry.removes);
    let records = batch.records.iter().map(|(_, removes)| removes);
    entries.chain(records).flatten()
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
