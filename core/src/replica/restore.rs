//! Opening a replica from what storage kept.
//!
//! A disk may have lost or mixed up what it was given: a restored backup, a program that wrote beside ours, a fault. What the engine
//! relies on is therefore looked at before it is taken in. What cannot be seen here: a batch that is missing from among the others, whose
//! events then read as removed, and a value that is another. Those are for storage to see, by numbers and sums of its own.

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use super::{Config, Origin, Replica};
use crate::{
    causality::{Kind, VersionVector, counter},
    id::Dot,
    mutation::Mutation,
    store::{Batch, Calls, Status, Store, StoredEntry},
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
            check(&batch, &replica.store)?;
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
    /// of one batch, in less time.
    ///
    /// # Errors
    /// When that is not a replica.
    pub fn load(config: Config, now: Timestamp, kept: Batch, calls: Calls) -> Result<Self, RestoreError> {
        let mut replica = Self::new(config, now);
        if !replica.config.mutated.is(Mutation::CallForgotten) {
            replica.calls = calls;
        }
        check(&kept, &replica.store)?;
        let removes: Vec<Dot> = removes(&kept)
            .chain(kept.removed.iter().map(|removed| &removed.dot))
            .copied()
            .collect();
        let mut loading = replica.store.load();
        for entry in kept.entries {
            replica.clock.observe(entry.hlc, now);
            let dot = entry.dot;
            if !loading.entry(entry) {
                return Err(RestoreError::StoredBefore(dot));
            }
        }
        for (dot, removes) in &kept.records {
            loading.record(*dot, removes);
        }
        if let Some(dot) = removes.iter().find(|dot| loading.holds(dot)) {
            return Err(RestoreError::NotRemoved(*dot));
        }
        let mut vector = VersionVector::new();
        vector.raise(&kept.vector);
        loading.finish(vector, kept.frontier);
        Ok(replica)
    }
}

fn check(batch: &Batch, store: &Store) -> Result<(), RestoreError> {
    let raised: BTreeMap<_, _> = batch.vector.iter().copied().collect();
    let before = |dot: &Dot| store.vector().covers(dot);
    let valid = |dot: &Dot| {
        if (1..=DOT_NUMBER_MAX).contains(&dot.n) {
            Ok(())
        } else {
            Err(RestoreError::DotNumber(*dot))
        }
    };
    let covered = |dot: &Dot| {
        valid(dot)?;
        if before(dot) || raised.get(&dot.author).is_some_and(|n| dot.n <= *n) {
            Ok(())
        } else {
            Err(RestoreError::NotCovered(*dot))
        }
    };
    let event = |dot: &Dot, removes: &[Dot]| {
        covered(dot)?;
        bounded("removed dots", removes.len(), REMOVES_MAX)?;
        removes.iter().try_for_each(covered)?;
        if removes
            .iter()
            .any(|removed| removed.author == dot.author && removed.n >= dot.n)
        {
            return Err(RestoreError::RemovesLater(*dot));
        }
        if before(dot) {
            Err(RestoreError::StoredBefore(*dot))
        } else {
            Ok(())
        }
    };
    for (author, n) in &batch.vector {
        valid(&Dot::new(*author, *n))?;
    }
    let added = raised.keys().filter(|author| store.vector().get(author) == 0);
    bounded("authors", store.vector().len() + added.count(), AUTHORS_MAX)?;
    for StoredEntry {
        dot,
        key,
        value,
        kind,
        removes,
        ..
    } in &batch.entries
    {
        event(dot, removes)?;
        bounded("key", key.len(), KEY_BYTES_MAX)?;
        bounded("value", value.len(), VALUE_BYTES_MAX)?;
        if key.is_empty() {
            return Err(RestoreError::KeyEmpty(*dot));
        }
        if *kind == Kind::Counter && counter::decode(value).is_none() {
            return Err(RestoreError::CounterNotInteger(*dot));
        }
    }
    for (dot, removes) in &batch.records {
        event(dot, removes)?;
    }
    batch.removed.iter().try_for_each(|removed| covered(&removed.dot))?;
    bounded("frontier", batch.frontier.dots().len(), FRONTIER_MAX)?;
    batch.frontier.dots().iter().try_for_each(covered)
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
