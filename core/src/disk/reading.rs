//! Reading a disk again.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::mem;

use super::{
    Disk, DiskError, Glimpse, Sizes, commit, page,
    record::{Key as RecordKey, Transaction, unseal},
    ring,
    state::State,
    writing::{FIRST_COMMIT, Found},
};
use crate::{
    causality::{Body, Dots, Fork, Frontier, Key, Value, VersionVector},
    id::{Dot, StoreId},
    store::{Calls, StoredEntry, Totals},
    wire::Described,
};

/// Takes the records of a disk, in the order of their keys, and gives what the replica is made of. Once all commits are taken, its
/// entries can be had as they come: all of them at once would be twice as much as a store may take.
#[derive(Debug)]
pub struct Reading {
    store: StoreId,
    sizes: Sizes,
    /// Without what goes on below: vector, frontier and calls.
    state: Option<State>,
    found: Found,
    vector: VersionVector,
    frontier: Frontier,
    forks: Vec<Fork>,
    /// What the journal says died.
    removed: BTreeSet<Dot>,
    /// What the journal brought and did not remove again. What is in a page as well is taken from there.
    added: BTreeMap<Dot, Described>,
    /// How much there is, as far as that was told.
    totals: Option<Totals>,
    records: Vec<(Dot, Dots)>,
    /// Those that nobody has taken yet.
    entries: Vec<Lying>,
    /// Large values that nobody has taken yet.
    bodies: Vec<(Dot, Value)>,
    /// The page that is open: its first text, and the entries of it, until it is known where the next begins.
    page: Option<(Key, Vec<Described>)>,
    /// Where the page after the last that was taken begins, by what that says: nowhere, if it is the last. `None` before any.
    next_page: Option<Option<Key>>,
    /// Whether all commits are read, and all pages.
    past_commits: bool,
    past_pages: bool,
}

/// An entry as it lies on a disk. A large value is away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lying {
    /// The entry.
    pub entry: StoredEntry,
    /// Whether its value can be read from the disk again: it is in its page, or a record of its own, and not in the journal alone.
    pub kept: bool,
}

/// What a replica is made of, as it lay on a disk.
#[derive(Debug)]
pub struct Kept {
    /// What was seen.
    pub vector: VersionVector,
    /// The maximal transactions of it.
    pub frontier: Frontier,
    /// The forks that are known.
    pub forks: Vec<Fork>,
    /// The entries that were not taken before.
    pub entries: Vec<Lying>,
    /// What events that died lately had removed, the oldest first.
    pub records: Vec<(Dot, Dots)>,
    /// The book of the disk.
    pub disk: Disk,
}

impl Reading {
    /// Nothing is read yet.
    pub fn new(store: StoreId, sizes: Sizes) -> Self {
        Self {
            store,
            sizes,
            state: None,
            found: Found::default(),
            vector: VersionVector::new(),
            frontier: Frontier::default(),
            forks: Vec::new(),
            removed: BTreeSet::new(),
            added: BTreeMap::new(),
            totals: None,
            records: Vec::new(),
            entries: Vec::new(),
            bodies: Vec::new(),
            page: None,
            next_page: None,
            past_commits: false,
            past_pages: false,
        }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// When it is not what was written. The records are no replica then.
    pub fn take(&mut self, key: &[u8], record: &[u8]) -> Result<(), DiskError> {
        let parsed = RecordKey::parse(key)?;
        let payload = unseal(key, record, parsed.what())?;
        let damaged = |error| parsed.damaged(error);
        let is_first = matches!(parsed, RecordKey::State | RecordKey::Membership);
        if !is_first && self.state.is_none() {
            return Err(DiskError::StateMissing);
        }
        self.past_commits = !is_first && !matches!(parsed, RecordKey::Commit(_));
        match parsed {
            RecordKey::State => self.state(payload)?,
            // Whoever opens the store has read it before this began.
            RecordKey::Membership => {}
            RecordKey::Commit(number) => self.commit(number, payload)?,
            RecordKey::Ring(number) => {
                self.found.segments.push(number);
                let records = &mut self.records;
                ring::decode(payload, |dot, removes| records.push((dot, removes))).map_err(damaged)?;
            }
            RecordKey::Page(first) => {
                let first = Key::from(first);
                self.close_page(Some(&first));
                self.expect_page(Some(&first))?;
                let (next, entries) = page::decode(payload).map_err(damaged)?;
                self.next_page = Some(next);
                self.page = Some((first, entries));
            }
            RecordKey::Body(dot) => {
                self.end_pages()?;
                self.bodies.push((dot, Value::from(payload)));
            }
        }
        Ok(())
    }

    /// What was seen, once all commits are taken.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// What was carried out for callers that may come again, once all commits are taken.
    pub fn calls(&self) -> &Calls {
        &self.found.calls
    }

    /// How much there is, once all commits are taken; `None` when an older version wrote last.
    pub fn totals(&self) -> Option<Totals> {
        self.totals
    }

    /// How single keys read, once all commits are taken and before anything else is taken out.
    pub fn glimpse(&self) -> Glimpse {
        Glimpse::new(self.added.values(), self.removed.clone())
    }

    /// The entries that have come since this was asked last.
    pub fn take_entries(&mut self) -> Vec<Lying> {
        mem::take(&mut self.entries)
    }

    /// The large values that have come since this was asked last.
    pub fn take_bodies(&mut self) -> Vec<(Dot, Value)> {
        mem::take(&mut self.bodies)
    }

    /// Whether all is taken but large values, which can be read when they are wanted.
    pub fn is_past_pages(&self) -> bool {
        self.past_pages
    }

    /// Whether all commits are taken, for which others were taken that come after them.
    pub fn is_past_commits(&self) -> bool {
        self.past_commits
    }

    /// What takes the disk from whoever else may have it, once all commits are taken: a void in the place of its next commit. If the guard
    /// does not let it, somebody has written meanwhile, and all is to be read again. After it, too: what was taken may be out of date.
    pub fn seizure(&self) -> Transaction {
        let number = self.next_commit().unwrap_or(FIRST_COMMIT);
        let mut transaction = Transaction::default();
        if self.state.is_none() {
            transaction.put(RecordKey::State, State::nothing(self.store).encode());
        }
        transaction.guard = Some(RecordKey::Commit(number).bytes());
        transaction.put(RecordKey::Commit(number), Vec::new());
        transaction
    }

    fn next_commit(&self) -> Option<u64> {
        let first = self.state.as_ref()?.first;
        Some(self.found.journal.last().map_or(first, |(number, ..)| number + 1))
    }

    /// All records are taken. `None` when there were none.
    ///
    /// # Errors
    /// When records are missing.
    pub fn finish(mut self) -> Result<Option<Kept>, DiskError> {
        self.end_pages()?;
        let (Some(next_commit), Some(state)) = (self.next_commit(), self.state) else {
            return Ok(None);
        };
        if next_commit < state.known {
            return Err(DiskError::CommitMissing(next_commit));
        }
        self.found.next_commit = next_commit;
        if state.is_outdated {
            self.found.renewed = Some(State {
                known: next_commit,
                vector: self.vector.clone(),
                frontier: self.frontier.clone(),
                forks: self.forks.clone(),
                calls: self.found.calls.clone(),
                is_outdated: false,
                ..state
            });
        }
        Ok(Some(Kept {
            vector: self.vector,
            frontier: self.frontier,
            forks: self.forks,
            entries: self.entries,
            records: self.records,
            disk: Disk::found(self.store, self.sizes, self.found),
        }))
    }

    fn state(&mut self, payload: &[u8]) -> Result<(), DiskError> {
        let mut state = State::decode(payload)?;
        if state.store != self.store {
            return Err(DiskError::Store(state.store));
        }
        self.vector = mem::take(&mut state.vector);
        self.frontier = mem::take(&mut state.frontier);
        self.forks = mem::take(&mut state.forks);
        self.found.calls = mem::take(&mut state.calls);
        self.totals = state.totals;
        self.state = Some(state);
        Ok(())
    }

    fn commit(&mut self, number: u64, payload: &[u8]) -> Result<(), DiskError> {
        let key = RecordKey::Commit(number);
        let expected = self.next_commit().unwrap_or(FIRST_COMMIT);
        if payload.is_empty() && number < expected && self.found.journal.is_empty() {
            self.found.voids.push_back(number);
            return Ok(());
        }
        if number != expected {
            return Err(DiskError::CommitMissing(expected));
        }
        let mut keys = Vec::new();
        commit::decode(payload, |committed| {
            self.vector.raise(&committed.vector);
            self.frontier = committed.frontier;
            self.forks.extend(committed.forks);
            self.totals = committed.totals;
            if let Some(call) = committed.call {
                self.found.calls.insert(call);
            }
            for event in committed.events {
                match event {
                    Described::Live { dot, ref key, .. } => {
                        keys.push(key.clone());
                        self.added.insert(dot, event);
                    }
                    Described::Dead { dot, removes } => self.records.push((dot, removes)),
                    Described::Forgotten { .. } => {}
                }
            }
            for dot in &committed.removed {
                if let Some(event) = self.added.remove(dot) {
                    bury(event, &mut self.records, &mut self.found.dead_bodies);
                }
            }
            self.removed.extend(committed.removed);
        })
        .map_err(|error| key.damaged(error))?;
        self.found.journal.push((number, payload.len(), keys));
        Ok(())
    }

    /// The page that was open ends where the next begins: what it says of later keys is out of date.
    fn close_page(&mut self, next: Option<&Key>) {
        let Some((first, entries)) = self.page.take() else {
            return;
        };
        for event in entries {
            let Described::Live { dot, key, .. } = &event else {
                continue;
            };
            if next.is_some_and(|next| key >= next) {
                continue;
            }
            let in_journal = self.added.remove(dot);
            if self.removed.contains(dot) {
                // Which commit removed it cannot be told; that the page is out of date can.
                self.found.outdated.push(key.clone());
                bury(event, &mut self.records, &mut self.found.dead_bodies);
            } else if let Some(healed) = in_journal.filter(|healed| is_here(healed) && !is_here(&event)) {
                // The page says what a value was that was lost, the journal has what came again.
                self.add(healed, false);
            } else {
                self.add(event, true);
            }
        }
        self.found.pages.push(first);
    }

    /// Whether a page may come here, or the end of all.
    fn expect_page(&self, found: Option<&Key>) -> Result<(), DiskError> {
        let expected = match &self.next_page {
            Some(next) => next.clone(),
            // As long as the journal says all, pages may be missing from the first on; then what it no longer says is in them.
            None if self.state.as_ref().is_none_or(|state| state.first == FIRST_COMMIT) => None,
            None => Some(Key::new()),
        };
        match expected {
            Some(expected) if found.is_none_or(|found| *found > expected) => Err(DiskError::PageMissing(expected)),
            _ => Ok(()),
        }
    }

    fn end_pages(&mut self) -> Result<(), DiskError> {
        if !self.past_pages {
            self.expect_page(None)?;
            self.past_pages = true;
            self.close_page(None);
            for (_, event) in mem::take(&mut self.added) {
                self.add(event, false);
            }
        }
        Ok(())
    }

    fn add(&mut self, event: Described, in_page: bool) {
        self.entries.extend(entry_of(event).map(|entry| Lying {
            kept: in_page || entry.body.here().is_none(),
            entry,
        }));
    }
}

/// An event has died: leaves a record of it, and what is left of a large value has to go.
fn bury(event: Described, records: &mut Vec<(Dot, Dots)>, dead_bodies: &mut Vec<Dot>) {
    if let Described::Live { dot, removes, body, .. } = event {
        records.push((dot, removes));
        if body.here().is_none() {
            dead_bodies.push(dot);
        }
    }
}

/// Whether an event's value is in its record.
pub(super) fn is_here(event: &Described) -> bool {
    matches!(
        event,
        Described::Live {
            body: Body::Here(_),
            ..
        }
    )
}

/// The entry of a live event.
pub(super) fn entry_of(event: Described) -> Option<StoredEntry> {
    match event {
        Described::Live {
            dot,
            key,
            body,
            kind,
            hlc,
            removes,
        } => Some(StoredEntry {
            dot,
            key,
            body,
            kind,
            hlc,
            removes,
        }),
        Described::Dead { .. } | Described::Forgotten { .. } => None,
    }
}
