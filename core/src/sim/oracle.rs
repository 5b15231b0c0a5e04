//! The judge: what each replica must hold, computed from all events ever made.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::fmt;

use crate::{
    id::{AuthorId, Dot},
    replica::{Replica, VersionVector},
    store::Batch,
};

/// What a replica did that it must not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// At which step.
    pub step: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} step {}: {}", self.seed, self.step, self.what)
    }
}

/// All events ever made.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    events: BTreeMap<Dot, Made>,
}

#[derive(Clone, Debug)]
struct Made {
    put: bool,
    removes: Vec<Dot>,
    /// The first and last number of its transaction.
    txn: (u64, u64),
    /// What its author had seen.
    past: VersionVector,
}

impl Oracle {
    /// Notes a local transaction: what its author had seen before, and the batch that it became.
    ///
    /// # Errors
    /// When a dot of it has another author or names another event already.
    pub fn made(&mut self, author: AuthorId, past: &VersionVector, batch: &Batch) -> Result<(), String> {
        let puts = batch
            .entries
            .iter()
            .map(|entry| (entry.dot, true, entry.removes.to_vec()));
        let deletes = batch
            .records
            .iter()
            .map(|(dot, removes)| (*dot, false, removes.to_vec()));
        let events: Vec<_> = puts.chain(deletes).collect();
        let first = past.get(&author) + 1;
        let txn = (first, first + events.len() as u64 - 1);
        for (dot, put, removes) in events {
            if dot.author != author {
                return Err(format!("a local transaction of {author:?} holds {dot:?}"));
            }
            if self
                .events
                .insert(
                    dot,
                    Made {
                        put,
                        removes,
                        txn,
                        past: past.clone(),
                    },
                )
                .is_some()
            {
                return Err(format!("the dot {dot:?} was given to two events"));
            }
        }
        Ok(())
    }

    /// Whether the event is known.
    pub fn knows(&self, dot: &Dot) -> bool {
        self.events.contains_key(dot)
    }

    /// Whether a replica holds what it must.
    ///
    /// # Errors
    /// When it does not: what is wrong.
    pub fn judge(&self, replica: &Replica) -> Result<(), String> {
        self.judge_state(replica.vector(), &replica.live_dots().collect())
    }

    /// Whether what is live is what it must be when this was seen.
    ///
    /// # Errors
    /// When it is not: what is wrong.
    pub fn judge_state(&self, seen: &VersionVector, live: &BTreeSet<Dot>) -> Result<(), String> {
        let mut expected = BTreeSet::new();
        let mut removed = BTreeSet::new();
        for (author, n) in seen.iter() {
            for n in 1..=n {
                let dot = Dot::new(author, n);
                let made = self
                    .events
                    .get(&dot)
                    .ok_or_else(|| format!("covers {dot:?}, which nobody made"))?;
                if made.txn.1 > seen.get(&author) {
                    return Err(format!(
                        "shows {dot:?} without the rest of its transaction up to {}",
                        made.txn.1
                    ));
                }
                if !seen.dominates(&made.past) {
                    return Err(format!("shows {dot:?} without its past"));
                }
                if made.put {
                    expected.insert(dot);
                }
                removed.extend(&made.removes);
            }
        }
        let expected: BTreeSet<Dot> = expected.difference(&removed).copied().collect();
        if *live != expected {
            let extra: Vec<_> = live.difference(&expected).collect();
            let lost: Vec<_> = expected.difference(live).collect();
            return Err(format!("resurrected {extra:?}, lost {lost:?}"));
        }
        Ok(())
    }

    /// The maximal transactions within a vector, by their last dots.
    pub fn frontier(&self, seen: &VersionVector) -> Vec<Dot> {
        let lasts: Vec<_> = seen.iter().map(|(author, n)| Dot::new(author, n)).collect();
        let followed = |dot: &Dot| {
            let made = lasts
                .iter()
                .filter(|last| *last != dot)
                .filter_map(|last| self.events.get(last));
            made.into_iter().any(|made| made.past.covers(dot))
        };
        lasts.iter().filter(|dot| !followed(dot)).copied().collect()
    }

    /// The events that supersede one.
    pub fn removers(&self, dot: &Dot) -> impl Iterator<Item = Dot> {
        let removing = self.events.iter().filter(|(_, made)| made.removes.contains(dot));
        removing.map(|(dot, _)| *dot)
    }

    /// How many events were made.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none was made.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
