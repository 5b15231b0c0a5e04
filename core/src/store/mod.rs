//! The visible state of a replica: its version vector, its frontier, its live entries and the record ring.
//!
//! The status of any dot follows from two lookups: *unknown* when the vector does not cover it, *live* when an entry stands
//! under it, else *removed*. A removed dot takes no memory; there are no tombstones.
//!
//! All changes go through an [`Edit`], which makes several of them one step: it collects the [`Batch`] that storage writes
//! atomically and the keys that read differently afterwards. A step may be large; it is then taken in slices, between which
//! readers see the state before it. Entries know who sees them while a step is under way, so that the moment in which the
//! step becomes visible takes no time at all.
//!
//! The store knows nothing of peers, frames or sessions.

mod authors;
mod batch;
mod calls;
mod cell;
mod edit;
mod index;
mod keys;
mod loading;
mod log;
mod order;
mod pages;
mod removals;
mod resident;
mod ring;
mod shown;
mod stack;

pub use batch::{Batch, BatchId, Removed, StoredEntry, Totals};
pub(crate) use calls::Carried;
pub use calls::{CALLERS_MAX, CALLS_WAITING_MAX, Call, Caller, Calls};
pub use edit::{Change, Edit, Origin};
pub use keys::Scan;
pub use loading::{Loading, Shared};
pub use log::{BLOCK_DOTS_MAX, Bitmap};
pub use shown::Shown;

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use self::{
    authors::{Authors, Compact},
    cell::{Cell, KeyNumber, NO_SLOT, Slot, State},
    edit::Step,
    keys::Keys,
    log::Log,
    pages::Pages,
    removals::Removals,
    resident::Resident,
    ring::Ring,
};
use crate::{
    cache::Limits,
    causality::{
        Body, Context, Dots, Fork, Frontier, Key, Kind, Value, VersionVector,
        counter::{self, Sum},
    },
    id::{AuthorId, Dot},
    mutation::{Mutated, Mutation},
    time::Hlc,
};

/// What a replica knows of an event. Merging two replicas takes the maximum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// Not seen.
    Unknown,
    /// Seen, and its value stands.
    Live,
    /// Seen, and superseded or deleted; or a delete itself.
    Removed,
}

/// A live entry: one sibling of its key.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The event that wrote it.
    pub dot: Dot,
    /// Where it stands.
    pub key: &'a Key,
    /// Its value.
    pub body: &'a Body,
    /// What it is to its siblings.
    pub kind: Kind,
    /// When it was written, by the writer's clock.
    pub hlc: Hlc,
    /// What the event superseded.
    pub removes: Dots,
    /// Whether its value is on the disk.
    pub kept: bool,
}

/// How many bytes are hashed in the time in which an entry is added.
const HASHED_AS_EVENT: usize = 2 * 1024;

/// The live entries of a closed event set, indexed by dot and by key.
#[derive(Clone, Debug)]
pub struct Store {
    vector: VersionVector,
    frontier: Frontier,
    /// By author.
    forks: BTreeMap<AuthorId, Fork>,
    authors: Authors,
    block_dots: u64,
    /// By the authors' numbers, as far as any of them has had a live event.
    logs: Vec<Log>,
    cells: Pages<Cell>,
    keys: Keys,
    /// How many siblings of a key are too many to go unnoticed, and keys that steps have left with more.
    siblings_max: usize,
    crowded: Vec<Key>,
    /// What a plain read shows of the keys whose winner is one of several counters.
    sums: BTreeMap<KeyNumber, Body>,
    totals: Totals,
    ring: Ring,
    /// What the live entries' events removed.
    removals: Removals,
    /// Which values are in memory, and how many are not.
    resident: Resident,
    away: usize,
    step: Step,
    mutated: Mutated,
}

impl Store {
    /// An empty store that keeps up to `ring_records` records of dead events, and live dots in blocks of `block_dots` (1 to
    /// [`BLOCK_DOTS_MAX`]). `hash_seed` must not be known to those who choose keys; `values` limits what is in memory of those that are
    /// on a disk.
    pub fn new(
        ring_records: usize,
        block_dots: u64,
        siblings_max: usize,
        hash_seed: u64,
        values: Limits,
        mutated: Mutated,
    ) -> Self {
        Self {
            vector: VersionVector::new(),
            frontier: Frontier::default(),
            forks: BTreeMap::new(),
            authors: Authors::default(),
            block_dots: block_dots.clamp(1, BLOCK_DOTS_MAX),
            logs: Vec::new(),
            cells: Pages::default(),
            keys: Keys::new(hash_seed),
            siblings_max,
            crowded: Vec::new(),
            sums: BTreeMap::new(),
            totals: Totals::default(),
            ring: Ring::new(ring_records),
            removals: Removals::default(),
            resident: Resident::new(values),
            away: 0,
            step: Step::default(),
            mutated,
        }
    }

    /// What was seen.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The maximal transactions of what was seen.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The forks that are known: of each author one.
    pub fn forks(&self) -> impl Iterator<Item = &Fork> {
        self.forks.values()
    }

    /// How many they are.
    pub fn forks_count(&self) -> usize {
        self.forks.len()
    }

    /// What is known of an event.
    pub fn status(&self, dot: &Dot) -> Status {
        if !self.vector.covers(dot) {
            Status::Unknown
        } else if self.slot(dot).is_some_and(|slot| self.is_visible(slot)) {
            Status::Live
        } else {
            Status::Removed
        }
    }

    /// Begins a step, or goes on with the one that is under way.
    pub fn edit(&mut self) -> Edit<'_> {
        Edit::new(self)
    }

    /// Begins to fill a new store with what was kept.
    pub fn load<'a>(&'a mut self, shared: &'a mut Shared) -> Loading<'a> {
        Loading::new(self, shared)
    }

    /// A hash of a key that those who choose keys cannot foresee.
    pub fn hash(&self, key: &str) -> u64 {
        self.keys.hash(key)
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.totals.keys
    }

    /// How much it holds.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.totals.keys == 0
    }

    /// What a plain read of `key` shows: the value of the maximum by (stamp, dot), the same on every replica; of counters the
    /// sum.
    pub fn winner(&self, key: &str) -> Option<(Dot, &Body)> {
        let key = self.keys.find(key)?;
        let winner = self.chain(key).find(|slot| self.is_visible(*slot))?;
        Some((self.authors.dot(self.cells[winner].dot()), self.shown(key, winner)))
    }

    /// What the winner of `key` is to its siblings.
    pub fn kind(&self, key: &str) -> Option<Kind> {
        let mut slots = self.chain(self.keys.find(key)?);
        let winner = slots.find(|slot| self.is_visible(*slot))?;
        Some(self.cells[winner].kind)
    }

    /// The author's live counters under a key: their dots, and the subtotal. An honest author has one at most.
    pub fn subtotal(&self, key: &str, author: &AuthorId) -> (Dots, i64) {
        let mut sum = Sum::default();
        let own = self
            .siblings(key)
            .filter(|entry| entry.kind == Kind::Counter && entry.dot.author == *author);
        let dots = own.map(|entry| {
            sum.add_body(entry.body);
            entry.dot
        });
        (dots.collect(), sum.get())
    }

    /// The sum of all live counters under a key; `None` without any.
    pub fn sum(&self, key: &str) -> Option<Body> {
        self.sum_of(self.keys.find(key)?, self.step.is_flipped())
    }

    /// All live entries of a key, the winner first.
    pub fn siblings(&self, key: &str) -> impl Iterator<Item = Entry<'_>> {
        self.keys.find(key).into_iter().flat_map(|key| self.visible(key))
    }

    /// The dots of a key's live entries.
    pub fn context(&self, key: &str) -> Context {
        Context::new(self.dots(key))
    }

    /// The dots of a key's live entries, the winner's first.
    pub fn dots(&self, key: &str) -> impl Iterator<Item = Dot> {
        let slots = self.keys.find(key).into_iter().flat_map(|key| self.chain(key));
        slots
            .filter(|slot| self.is_visible(*slot))
            .map(|slot| self.authors.dot(self.cells[slot].dot()))
    }

    /// The keys in a range with what a plain read of them shows and how many different values they have, in key order.
    pub fn scan(&self, scan: &Scan<'_>) -> impl Iterator<Item = (&Key, (Dot, &Body), usize)> {
        self.keys.scan(scan).filter_map(|key| {
            let mut slots = self.chain(key).filter(|slot| self.is_visible(*slot));
            let winner = slots.next()?;
            let siblings = if slots.next().is_none() {
                1
            } else {
                self.different(key, self.step.is_flipped())
            };
            let dot = self.authors.dot(self.cells[winner].dot());
            Some((&self.keys.get(key).text, (dot, self.shown(key, winner)), siblings))
        })
    }

    /// The live entries among the author's events after `after` and up to `upto`, in order.
    pub fn live(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = Entry<'_>> {
        let log = self
            .authors
            .number(&author)
            .and_then(|author| self.logs.get(author as usize));
        let slots = log.into_iter().flat_map(move |log| log.range(after, upto));
        slots.filter(|slot| self.is_visible(*slot)).map(|slot| self.entry(slot))
    }

    /// The key of a live entry.
    pub fn key_of(&self, dot: &Dot) -> Option<&Key> {
        let slot = self.slot(dot).filter(|slot| self.is_visible(*slot))?;
        Some(&self.keys.get(self.cells[slot].key).text)
    }

    /// What a dead event removed; `None` when its record has left the ring.
    pub fn record(&self, dot: &Dot) -> Option<Dots> {
        let (author, n) = (self.authors.number(&dot.author)?, dot.n);
        let removed = self.ring.get(Compact { author, n })?;
        Some(removed.map(|dot| self.authors.dot(dot)).collect())
    }

    /// The live entries under the keys of a range, in key order; those of one key the winner first.
    pub fn entries<'a>(&'a self, scan: &Scan<'_>) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        self.keys.scan(scan).flat_map(|key| self.visible(key))
    }

    /// Whether no step is under way.
    pub fn is_at_rest(&self) -> bool {
        self.step.is_empty()
    }

    /// How many records of dead events were ever kept.
    pub fn records_pushed(&self) -> u64 {
        self.ring.pushed()
    }

    /// The records that were kept after the first `pushed`, the oldest first, as far as they are still remembered.
    pub fn records_since(&self, pushed: u64) -> impl Iterator<Item = (Dot, Dots)> + '_ {
        self.ring.since(pushed).map(|(event, removes)| {
            let removes = removes.map(|dot| self.authors.dot(dot));
            (self.authors.dot(event), removes.collect())
        })
    }

    /// How many consecutive dots of one author a block holds.
    pub fn block_dots(&self) -> u64 {
        self.block_dots
    }

    /// Which dots are live, as bitmaps of the blocks that hold any: author, index of the block, bitmap. While a step is under
    /// way, with those that it adds or takes out. Begins behind the block `after`, if one is given.
    pub fn blocks(&self, after: Option<(AuthorId, u64)>) -> impl Iterator<Item = (AuthorId, u64, Bitmap)> + '_ {
        let after = after.and_then(|(author, index)| Some((self.authors.number(&author)?, index + 1)));
        let (first, from) = after.unwrap_or_default();
        let logs = (first..).zip(self.logs.iter().skip(first as usize));
        logs.flat_map(move |(author, log)| {
            let blocks = log.blocks(if author == first { from } else { 0 });
            blocks.map(move |(index, live)| (self.authors.id(author), index, live))
        })
    }

    fn slot(&self, dot: &Dot) -> Option<Slot> {
        self.logs.get(self.authors.number(&dot.author)? as usize)?.get(dot.n)
    }

    /// The keys that have got more siblings than `siblings_max`, since this was last asked. Some may have less by now.
    pub fn take_crowded(&mut self) -> Vec<Key> {
        core::mem::take(&mut self.crowded)
    }

    /// Whether a key has too many siblings after the step under way.
    fn is_crowded(&self, key: KeyNumber) -> bool {
        // Mostly the chain is shorter than that. Counters stand beside each other for good.
        let counts = |slot: &Slot| self.cells[*slot].visible(true) && self.cells[*slot].kind != Kind::Counter;
        let mut siblings = self.chain(key).filter(counts);
        siblings.nth(self.siblings_max).is_some()
    }

    /// The value of an entry is on the disk, and may leave memory from now on.
    pub fn keep(&mut self, dot: &Dot) {
        let Some(slot) = self.slot(dot).filter(|slot| !self.cells[*slot].kept) else {
            return;
        };
        self.resident.remove(slot, &self.cells[slot]);
        self.cells[slot].kept = true;
        self.resident.add(slot, &self.cells[slot]);
    }

    /// Whether all values are in memory.
    pub fn is_whole(&self) -> bool {
        self.away == 0
    }

    /// Whether an entry is live, and its value not in memory.
    pub fn is_away(&self, dot: &Dot) -> bool {
        self.slot(dot)
            .is_some_and(|slot| self.is_visible(slot) && self.cells[slot].body.here().is_none())
    }

    /// The value of an entry was read from the disk. Nothing happens if it is not what was wanted, or not wanted any more.
    pub fn supply(&mut self, dot: &Dot, value: Value) {
        self.put_back(dot, value, true);
    }

    /// The value of an entry that the disk has lost has come from elsewhere. Gives the entry, which has to be written again.
    pub fn heal(&mut self, dot: &Dot, value: Value) -> Option<StoredEntry> {
        let slot = self.put_back(dot, value, false)?;
        let Entry {
            dot,
            key,
            body,
            kind,
            hlc,
            removes,
            ..
        } = self.entry(slot);
        Some(StoredEntry {
            dot,
            key: key.clone(),
            body: body.clone(),
            kind,
            hlc,
            removes,
        })
    }

    fn put_back(&mut self, dot: &Dot, value: Value, kept: bool) -> Option<Slot> {
        let slot = self.slot(dot)?;
        let cell = &mut self.cells[slot];
        if cell.body.here().is_some() || cell.body != Body::Here(Value::clone(&value)) {
            return None;
        }
        cell.body = value.into();
        self.away -= 1;
        cell.kept = kept;
        self.resident.add(slot, &self.cells[slot]);
        Some(slot)
    }

    /// The values of these entries are read.
    pub fn touch<'a>(&mut self, dots: impl IntoIterator<Item = &'a Dot>) {
        for dot in dots {
            if let Some(slot) = self.slot(dot) {
                self.resident.touch(slot);
            }
        }
    }

    /// Has values leave memory until the limits hold, those first that were used longest ago; up to about `left` entries' worth of work.
    /// Returns whether they hold, as far as they can.
    pub fn make_room(&mut self, left: &mut usize) -> bool {
        while let Some(slot) = self.resident.surplus() {
            let cell = &mut self.cells[slot];
            *left = left.saturating_sub(1 + cell.body.len() / HASHED_AS_EVENT);
            cell.send_away();
            self.away += 1;
            if *left == 0 {
                return false;
            }
        }
        true
    }

    /// How many bytes the values take that are in memory.
    pub fn resident_bytes(&self) -> u64 {
        self.resident.bytes()
    }

    fn is_visible(&self, slot: Slot) -> bool {
        self.cells[slot].visible(self.step.is_flipped())
    }

    /// The slots of a key's entries, the greatest rank first, whoever sees them.
    fn chain(&self, key: KeyNumber) -> impl Iterator<Item = Slot> {
        let mut next = self.keys.get(key).head;
        core::iter::from_fn(move || {
            let slot = (next != NO_SLOT).then_some(next)?;
            next = self.cells[slot].next;
            Some(slot)
        })
    }

    fn visible(&self, key: KeyNumber) -> impl Iterator<Item = Entry<'_>> {
        self.chain(key)
            .filter(|slot| self.is_visible(*slot))
            .map(|slot| self.entry(slot))
    }

    fn entry(&self, slot: Slot) -> Entry<'_> {
        let cell = &self.cells[slot];
        let removes = self.removals.dots(cell.dot(), cell.removes);
        Entry {
            dot: self.authors.dot(cell.dot()),
            key: &self.keys.get(cell.key).text,
            body: &cell.body,
            kind: cell.kind,
            hlc: cell.hlc,
            removes: removes.map(|dot| self.authors.dot(dot)).collect(),
            kept: cell.kept,
        }
    }

    /// Takes an entry out of the indexes and leaves a record of its event, if there are to be any.
    fn bury(&mut self, slot: Slot) {
        let cell = self.unlink(slot);
        if !self.mutated.is(Mutation::RingOfDeletes) {
            let removed = self.removals.dots(cell.dot(), cell.removes);
            self.ring.push(cell.dot(), removed);
        }
        self.removals.forget(cell.dot(), cell.removes);
    }

    /// What a plain read shows of a key, given its winner.
    fn shown(&self, key: KeyNumber, winner: Slot) -> &Body {
        let cell = &self.cells[winner];
        // A counter alone is its sum already, and is not among them.
        let sum = if cell.kind == Kind::Value {
            None
        } else if let Some(sum) = self.step.sum(key).filter(|_| self.step.is_flipped()) {
            sum.as_ref()
        } else {
            self.sums.get(&key)
        };
        sum.unwrap_or(&cell.body)
    }

    /// How a key reads before or after the step under way, and the sum that is shown if it is one of several counters.
    fn reading(&self, key: KeyNumber, after_step: bool) -> (Reading, Option<Body>) {
        let (mut next, mut winner) = (self.keys.get(key).head, None);
        while next != NO_SLOT {
            let cell = &self.cells[next];
            next = cell.next;
            if cell.visible(after_step) {
                let Some(winner): Option<&Cell> = winner else {
                    winner = Some(cell);
                    continue;
                };
                let siblings = self.different(key, after_step);
                let sum = match winner.kind {
                    Kind::Value => None,
                    Kind::Counter => self.sum_of(key, after_step).filter(|sum| !is_same(sum, &winner.body)),
                };
                let shown = self.shown_as(winner, sum.as_ref());
                return (Reading { shown, siblings }, sum);
            }
        }
        let siblings = usize::from(winner.is_some());
        let shown = winner.and_then(|winner| self.shown_as(winner, None));
        (Reading { shown, siblings }, None)
    }

    fn shown_as(&self, winner: &Cell, sum: Option<&Body>) -> Option<Shown> {
        let body = sum.unwrap_or(&winner.body).clone();
        let dot = self.authors.dot(winner.dot());
        Some(Shown { dot, body })
    }

    /// The sum of a key's counters before or after the step under way; of one counter, its own bytes.
    fn sum_of(&self, key: KeyNumber, after_step: bool) -> Option<Body> {
        let cells = self.chain(key).map(|slot| &self.cells[slot]);
        let mut counters = cells.filter(|cell| cell.visible(after_step) && cell.kind == Kind::Counter);
        let first = &counters.next()?.body;
        let Some(second) = counters.next() else {
            return Some(first.clone());
        };
        let mut sum = Sum::default();
        for body in [first, &second.body].into_iter().chain(counters.map(|cell| &cell.body)) {
            sum.add_body(body);
        }
        Some(counter::encode(sum.get()).into())
    }

    /// How many different values a key has before or after the step under way, its counters being one.
    fn different(&self, key: KeyNumber, after_step: bool) -> usize {
        let values = || {
            let cells = self.chain(key).map(|slot| &self.cells[slot]);
            cells.filter(|cell| cell.visible(after_step) && cell.kind == Kind::Value)
        };
        let sum = self.sum_of(key, after_step);
        let bodies = || values().map(|cell| &cell.body).chain(&sum);
        let here: Option<Vec<&Value>> = bodies().map(Body::here).collect();
        if let Some(here) = here {
            return count_different(here);
        }
        count_different(bodies().map(|body| body.print().hash.0).collect())
    }

    /// Whether the step under way changes what is under a key.
    fn is_touched(&self, key: KeyNumber) -> bool {
        self.chain(key).any(|slot| self.cells[slot].state != State::Live)
    }

    /// Puts an entry under its key into the indexes.
    fn insert(&mut self, key: KeyNumber, entry: &StoredEntry, state: State, kept: bool) -> Slot {
        let dot = self.authors.compact(&entry.dot);
        let removed = entry.removes.iter().map(|dot| self.authors.compact(dot));
        let removes = self.removals.keep(dot, removed);
        self.link(Cell {
            body: entry.body.clone(),
            removes,
            hlc: entry.hlc,
            n: dot.n,
            author: dot.author,
            key,
            next: NO_SLOT,
            state,
            kind: entry.kind,
            kept: kept || self.mutated.is(Mutation::BodyEvictedEarly),
        })
    }

    /// Keeps the record of an event that was never live here.
    fn remember(&mut self, dot: &Dot, removes: &Dots) {
        let Self { authors, ring, .. } = self;
        let event = authors.compact(dot);
        ring.push(event, removes.iter().map(|dot| authors.compact(dot)));
    }

    /// Puts an entry into the indexes.
    fn link(&mut self, mut cell: Cell) -> Slot {
        let dot = cell.dot();
        let higher = |slot: Slot| {
            let other = &self.cells[slot];
            let dots = || self.authors.dot(other.dot()).cmp(&self.authors.dot(dot));
            other.rank(&cell, dots).is_gt()
        };
        // Behind those of higher rank.
        let before = self.chain(cell.key).take_while(|slot| higher(*slot)).last();
        let key = cell.key;
        cell.next = before.map_or(self.keys.get(key).head, |before| self.cells[before].next);
        self.away += usize::from(cell.body.here().is_none());
        let slot = self.cells.insert(cell);
        self.resident.add(slot, &self.cells[slot]);
        match before {
            Some(before) => self.cells[before].next = slot,
            None => self.keys.get_mut(key).head = slot,
        }
        let author = dot.author as usize;
        if self.logs.len() <= author {
            self.logs.resize_with(author + 1, || Log::new(self.block_dots));
        }
        self.logs[author].insert(dot.n, slot);
        slot
    }

    /// Takes an entry out of the indexes.
    fn unlink(&mut self, slot: Slot) -> Cell {
        let cell = self.cells.remove(slot);
        self.away -= usize::from(cell.body.here().is_none());
        self.resident.remove(slot, &cell);
        self.logs[cell.author as usize].remove(cell.n);
        let head = self.keys.get(cell.key).head;
        if head == slot {
            self.keys.get_mut(cell.key).head = cell.next;
            if cell.next == NO_SLOT {
                self.keys.remove(cell.key);
            }
        } else {
            let mut before = head;
            while self.cells[before].next != slot {
                before = self.cells[before].next;
            }
            self.cells[before].next = cell.next;
        }
        cell
    }
}

/// How a key reads: the winner, and how many siblings with different values there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Reading {
    /// The winner; `None` when the key has no live entry.
    shown: Option<Shown>,
    /// Siblings with different values; more than one is a conflict.
    siblings: usize,
}

impl Reading {
    /// Whether somebody who reads sees the same.
    fn is_as(&self, other: &Self) -> bool {
        let is_same = match (&self.shown, &other.shown) {
            (Some(one), Some(other)) => one.body == other.body,
            (one, other) => one.is_none() && other.is_none(),
        };
        is_same && self.siblings == other.siblings
    }
}

/// Whether the two are not only equal, but one value in memory.
fn is_same(one: &Body, other: &Body) -> bool {
    matches!((one, other), (Body::Here(one), Body::Here(other)) if Arc::ptr_eq(one, other))
}

fn count_different<T: Ord>(mut all: Vec<T>) -> usize {
    all.sort_unstable();
    all.dedup();
    all.len()
}
