//! Keys with more siblings than a person could look through.
//!
//! Siblings arise when many write a key without having seen each other, and stay until somebody writes having seen them. Nothing is pruned in
//! silence: a replica that has seen a key crowded for a while writes a *merge event*, a delete that names exactly the siblings too many. It
//! is an event as any other, so all replicas drop the same, and nobody who writes meanwhile loses anything by it. Equal values go
//! first; what else goes are the values of the lowest rank, and callers are told.

use alloc::{collections::BTreeSet, vec::Vec};
use core::time::Duration;

use super::{
    Event, Output, Replica, Write,
    commands::{Seen, What, Wish},
};
use crate::{
    causality::{Body, Context, Key, Kind},
    id::Dot,
    time::Timestamp,
};

/// How long a key is crowded before a merge event is written: this, and up to as much again by chance, so that mostly one replica
/// writes it and the others hear of it in time. Two that do it at once do no harm.
const MERGE_AFTER: Duration = Duration::from_secs(5);

/// How many keys are merged in one turn.
const MERGED_PER_TURN: usize = 16;

/// How many crowded keys are remembered. Others are noticed again when they are next written.
const CROWDED_MAX: usize = 65_536;

/// When which key is looked at.
#[derive(Debug, Default)]
pub(super) struct Crowded {
    due: BTreeSet<(Timestamp, Key)>,
    keys: BTreeSet<Key>,
}

impl Crowded {
    fn insert(&mut self, key: Key, at: Timestamp) {
        if self.keys.len() < CROWDED_MAX && self.keys.insert(key.clone()) {
            self.due.insert((at, key));
        }
    }

    /// When the next key is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<Key> {
        self.next().filter(|at| *at <= now)?;
        let (_, key) = self.due.pop_first()?;
        self.keys.remove(&key);
        Some(key)
    }
}

impl Replica {
    /// Notes the keys that a step has left crowded.
    pub(super) fn note_crowded(&mut self, now: Timestamp) {
        for key in self.store.take_crowded() {
            let wait = MERGE_AFTER.as_millis() as u64;
            let at = now + MERGE_AFTER + Duration::from_millis(self.random.below(wait));
            self.crowded.insert(key, at);
        }
    }

    /// Writes merge events for keys that are still crowded.
    pub(super) fn merge_crowded(&mut self, now: Timestamp) {
        for _ in 0..MERGED_PER_TURN {
            let Some(key) = self.crowded.pop_due(now) else { return };
            let (surplus, values) = self.surplus(&key);
            if surplus.is_empty() {
                continue;
            }
            if values > 0 {
                let key = key.clone();
                self.outputs
                    .push_back(Output::Emit(Event::SiblingsDropped { key, values }));
            }
            let context = Some(Context::new(surplus));
            let wish = Wish {
                call: None,
                id: None,
                what: What::Transact([Write::Delete { key, context }].into()),
                seen: Seen {
                    vector: None,
                    made: self.author.map_or(0, |author| self.store.vector().get(&author)),
                },
            };
            self.wishes.push_back(wish);
        }
    }

    /// The siblings beyond the bound, and how many of their values no other sibling has.
    fn surplus(&self, key: &str) -> (Vec<Dot>, usize) {
        let mut kept: Vec<&Body> = Vec::new();
        let (mut surplus, mut values) = (Vec::new(), 0);
        // Counters are parts of one value.
        for entry in self.store.siblings(key).filter(|entry| entry.kind != Kind::Counter) {
            let equal = kept.contains(&entry.body);
            if !equal && kept.len() < self.config.siblings_max.max(1) {
                kept.push(entry.body);
            } else {
                values += usize::from(!equal);
                surplus.push(entry.dot);
            }
        }
        if kept.len() + surplus.len() <= self.config.siblings_max {
            return (Vec::new(), 0);
        }
        (surplus, values)
    }
}
