//! What is written when.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::{mem, ops::Bound};

use super::{
    INLINE_BYTES_MAX, Sizes, page,
    record::{Key as RecordKey, SUM_BYTES, Transaction},
    ring,
    state::State,
    waiting::{Part, Waiting},
};
use crate::{
    causality::{Absent, Body, Key, Value},
    id::{Dot, StoreId},
    store::{Batch, BatchId, Calls, Entry, Scan, Store, StoredEntry},
};

/// The number of the first commit ever.
pub(super) const FIRST_COMMIT: u64 = 1;

/// How many voids are kept. Each stands in the way of one process that had the disk taken from it and may still come back; one that
/// comes back after so many others is a process that slept through as many of them.
const VOIDS_MAX: usize = 1_024;

/// Keeps the book of what is on a disk and says what to write. Only one transaction may be under way at a time: what comes in the
/// meantime becomes the next, so that many writers share a flush and a single one waits for nobody.
#[derive(Clone, Debug)]
pub struct Disk {
    store: StoreId,
    sizes: Sizes,
    /// By the first text that belongs to each, the commit that concerned it first since it was written. The first page begins with
    /// the empty text, and is the only one that may have no record yet.
    pages: BTreeMap<Key, Option<u64>>,
    /// The pages that are older than the journal, the longest outdated first.
    stale: BTreeSet<(u64, Key)>,
    /// The commits that the journal holds: number and length.
    journal: VecDeque<(u64, usize)>,
    journal_bytes: usize,
    /// How many bytes it has grown by since pages were written last.
    grown_bytes: usize,
    next_commit: u64,
    /// The numbers that processes which had the disk before could not use any more, as far as they are not in the journal.
    voids: VecDeque<u64>,
    waiting: Waiting,
    /// The records of large values that the next commit brings, the values that it makes superfluous, and those that commits before it
    /// have. These go one transaction later: whoever is told of the change may want to know what was there before.
    bodies: BTreeMap<Dot, Vec<u8>>,
    dying_bodies: Vec<Dot>,
    dead_bodies: Vec<Dot>,
    /// Entries whose values are on the disk when what was handed out is done.
    unkept: Vec<Dot>,
    /// Values that are in pages to be written anew and not in memory: what is to be read of them, whether that is under way, and what was.
    wanted: Vec<Absent>,
    is_reading: bool,
    read: BTreeMap<Dot, Body>,
    /// The segments of the ring, and how much of the replica's ring they hold.
    segments: VecDeque<u64>,
    ring_written: u64,
    /// What was carried out for callers that may come again, with what waits.
    calls: Calls,
    /// Whether there is a state record.
    begun: bool,
    /// What that has to say in this format, if an older version has written it.
    renewed: Option<State>,
}

/// What [`super::Reading`] found on a disk.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Their first texts.
    pub(super) pages: Vec<Key>,
    /// Number, length, and the keys that it concerns.
    pub(super) journal: Vec<(u64, usize, Vec<Key>)>,
    /// Keys of which the journal says, in one commit or another, that something died.
    pub(super) outdated: Vec<Key>,
    pub(super) next_commit: u64,
    pub(super) voids: VecDeque<u64>,
    pub(super) segments: Vec<u64>,
    pub(super) ring_written: u64,
    pub(super) calls: Calls,
    pub(super) dead_bodies: Vec<Dot>,
    pub(super) renewed: Option<State>,
}

/// What else there is to do when a transaction is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leisure {
    /// Somebody may want to write any moment.
    None,
    /// One that failed is tried again, and what makes room goes with it.
    Again,
    /// There is nothing better to do than to tidy up.
    Idle,
}

impl Disk {
    /// An empty disk.
    pub fn new(store: StoreId, sizes: Sizes) -> Self {
        let mut disk = Self::without_pages(store, sizes);
        // The journal does not end before there is a first page, whatever it says.
        disk.outdate(&Key::new());
        disk
    }

    fn without_pages(store: StoreId, sizes: Sizes) -> Self {
        Self {
            store,
            sizes,
            pages: BTreeMap::from([(Key::new(), None)]),
            stale: BTreeSet::new(),
            journal: VecDeque::new(),
            journal_bytes: 0,
            grown_bytes: 0,
            next_commit: FIRST_COMMIT,
            voids: VecDeque::new(),
            waiting: Waiting::default(),
            bodies: BTreeMap::new(),
            dying_bodies: Vec::new(),
            dead_bodies: Vec::new(),
            unkept: Vec::new(),
            wanted: Vec::new(),
            is_reading: false,
            read: BTreeMap::new(),
            segments: VecDeque::new(),
            ring_written: 0,
            calls: Calls::default(),
            begun: false,
            renewed: None,
        }
    }

    pub(super) fn found(store: StoreId, sizes: Sizes, found: Found) -> Self {
        let mut disk = Self::without_pages(store, sizes);
        let begins = found.pages.first().is_some_and(|first| first.is_empty());
        disk.pages.extend(found.pages.into_iter().map(|first| (first, None)));
        disk.next_commit = found.journal.first().map_or(found.next_commit, |(number, ..)| *number);
        for key in &found.outdated {
            disk.outdate(key);
        }
        if !begins {
            disk.outdate(&Key::new());
        }
        for (number, length, keys) in found.journal {
            disk.next_commit = number;
            disk.journal.push_back((number, length));
            disk.journal_bytes += length;
            for key in &keys {
                disk.outdate(key);
            }
        }
        disk.next_commit = found.next_commit;
        disk.voids = found.voids;
        disk.segments = found.segments.into();
        disk.ring_written = found.ring_written;
        disk.calls = found.calls;
        disk.dead_bodies = found.dead_bodies;
        disk.begun = true;
        disk.renewed = found.renewed;
        disk
    }

    /// The records of a disk that holds all of a store, tidied up. `value` gives the values that are not in memory.
    pub(super) fn image(
        id: StoreId,
        sizes: Sizes,
        store: &Store,
        mut value: impl FnMut(&Absent) -> Option<Value>,
    ) -> Transaction {
        let (mut disk, mut image) = (Self::without_pages(id, sizes), Transaction::default());
        for entry in store.entries(&Scan::default()) {
            let absent = Absent::of(entry.dot, entry.key, entry.body);
            let read = absent.and_then(|absent| value(&absent));
            let here = entry.body.here().or(read.as_ref());
            if let Some(large) = here.filter(|value| value.len() > INLINE_BYTES_MAX) {
                image.put(RecordKey::Body(entry.dot), large.to_vec());
            } else if let Some(read) = read {
                disk.read.insert(entry.dot, read.into());
            }
        }
        let (mut all, read) = (usize::MAX, mem::take(&mut disk.read));
        disk.write_page(Key::new(), FIRST_COMMIT, (store, &read), &mut all, &mut image);
        disk.write_ring(store, &mut image);
        let state = State {
            vector: store.vector().clone(),
            frontier: store.frontier().clone(),
            forks: store.forks().copied().collect(),
            totals: Some(store.totals()),
            ..State::nothing(id)
        };
        image.put(RecordKey::State, state.encode());
        image
    }

    /// Takes a batch that the replica wants stored. [`Self::next`] hands it out, with what else has come by then.
    pub fn take(&mut self, id: BatchId, batch: Batch) {
        if let Some(call) = batch.call {
            self.calls.insert(call);
        }
        self.waiting.push(id, batch);
    }

    /// The next transaction, and the batch up to which all are durable with it. Comes once the one before is done, and all that the
    /// replica had put out is taken. To be followed by [`Self::done`], or by another that is made part of it. What is long takes several
    /// turns to be made ready, and this is one of them: nothing is given until it is.
    pub fn next(&mut self, store: &Store, leisure: Leisure) -> Option<(Option<BatchId>, Transaction)> {
        if !self.prepare() {
            return None;
        }
        // Whoever takes the disk over uses the number up, by a commit or by a void.
        let guard = Some(RecordKey::Commit(self.next_commit).bytes());
        let mut transaction = Transaction {
            guard,
            ..Transaction::default()
        };
        let (last, commits) = self.waiting.take(self.next_commit);
        if last.is_some() || leisure != Leisure::None {
            for dot in mem::take(&mut self.dead_bodies) {
                transaction.delete(RecordKey::Body(dot));
            }
        }
        let is_long = commits.len() > 1;
        if last.is_some() {
            self.commit(commits, store, &mut transaction);
        }
        let wanted = match last {
            // A long batch has taken its time already.
            Some(_) if is_long => false,
            Some(_) => self.journal_bytes > self.sizes.journal_bytes_max,
            None => leisure == Leisure::Idle || self.journal_bytes > self.sizes.journal_bytes_long,
        };
        // What a page says must be what is durable with it: a step that is under way is neither here nor there.
        if wanted && self.begun && !self.is_reading && store.is_at_rest() {
            self.tidy(store, &mut transaction);
        }
        (!transaction.is_empty()).then_some((last, transaction))
    }

    /// What was handed out is done. Gives the entries whose values are on the disk with it.
    pub fn done(&mut self) -> Vec<Dot> {
        mem::take(&mut self.unkept)
    }

    /// The values to be read before pages can be written anew. To be followed by [`Self::supply`].
    pub fn wants(&mut self) -> Vec<Absent> {
        mem::take(&mut self.wanted)
    }

    /// What was read of the values that were wanted; nothing of those that could not be. A page then says what they must be, for as long
    /// as they live.
    pub fn supply(&mut self, values: impl IntoIterator<Item = (Absent, Option<Value>)>) {
        self.is_reading = false;
        self.read.extend(values.into_iter().map(|(absent, value)| {
            let body = value.map_or_else(|| Body::Away(absent.print.into()), Body::from);
            (absent.dot, body)
        }));
    }

    /// What was carried out for callers that may come again.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Whether a batch waits to be handed out.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether something is to be tidied up when there is time. Not while values are read that it takes.
    pub fn is_untidy(&self) -> bool {
        !self.is_reading && (!self.journal.is_empty() || !self.dead_bodies.is_empty())
    }

    /// Makes some of what waits ready. Returns whether all is; [`Self::next`] gives nothing before.
    pub fn prepare(&mut self) -> bool {
        let (mut waiting, sizes) = (mem::take(&mut self.waiting), self.sizes);
        let is_ready = waiting.prepare(self.next_commit, &sizes, |part| match part {
            Part::Written(StoredEntry { dot, key, body, .. }) => {
                self.outdate(key);
                if let Some(large) = body.here().filter(|value| value.len() > INLINE_BYTES_MAX) {
                    self.bodies.insert(*dot, RecordKey::Body(*dot).seal(large.to_vec()));
                }
            }
            Part::Removed(removed) => {
                self.outdate(&removed.key);
                if removed.bytes > INLINE_BYTES_MAX {
                    // One that was lost and came again may have a record already.
                    self.bodies.remove(&removed.dot);
                    self.dying_bodies.push(removed.dot);
                }
            }
            Part::Record(..) | Part::Needless => {}
        });
        self.waiting = waiting;
        is_ready
    }

    /// Appends commits to the journal.
    fn commit(&mut self, commits: Vec<Vec<u8>>, store: &Store, transaction: &mut Transaction) {
        if !self.begun {
            self.begun = true;
            // Nothing is durable yet, whatever the replica holds.
            transaction.put(RecordKey::State, State::nothing(self.store).encode());
        }
        if let Some(state) = self.renewed.take() {
            // It is followed by a commit, which says the same.
            let totals = Some(store.totals());
            transaction.put(RecordKey::State, State { totals, ..state }.encode());
        }
        for (dot, record) in mem::take(&mut self.bodies) {
            transaction.put_sealed(RecordKey::Body(dot), record);
            self.unkept.push(dot);
        }
        self.dead_bodies.append(&mut self.dying_bodies);
        for record in commits {
            let length = record.len() - SUM_BYTES;
            self.journal.push_back((self.next_commit, length));
            self.journal_bytes += length;
            self.grown_bytes += length;
            transaction.put_sealed(RecordKey::Commit(self.next_commit), record);
            self.next_commit += 1;
        }
    }

    /// How many bytes of pages are written. Mostly few, so that nobody waits long; but when the journal has come to twice its bound, as many
    /// as it takes for all that is outdated to be written before it has grown by that bound again.
    fn tidied_bytes(&self) -> usize {
        let Sizes {
            tidied_bytes,
            tidied_bytes_max,
            page_bytes,
            journal_bytes_max,
            ..
        } = self.sizes;
        if self.journal_bytes <= 2 * journal_bytes_max {
            return tidied_bytes;
        }
        let outdated = self.stale.len().saturating_mul(page_bytes);
        let due = self.grown_bytes.saturating_mul(outdated) / journal_bytes_max.max(1);
        due.max(2 * self.grown_bytes).min(tidied_bytes_max).max(tidied_bytes)
    }

    /// Writes some pages anew, the longest outdated first, and cuts off the journal before the first commit that is still needed.
    fn tidy(&mut self, store: &Store, transaction: &mut Transaction) {
        let bytes = self.tidied_bytes();
        let (mut left, read) = (bytes, mem::take(&mut self.read));
        let mut is_readable = true;
        while left > 0
            && let Some((since, first)) = self.stale.pop_first()
        {
            is_readable = self.is_readable(&first, store, &read);
            if !is_readable {
                self.stale.insert((since, first));
                break;
            }
            self.write_page(first, since, (store, &read), &mut left, transaction);
        }
        if left == bytes {
            // What leaves memory while the rest is read must not make that superfluous.
            self.read = read;
        } else {
            self.grown_bytes = 0;
        }
        if !is_readable {
            self.wanted = self.lacking(store, bytes);
            self.is_reading = true;
        }
        let needed = self.stale.first().map_or(self.next_commit, |(since, _)| *since);
        let superfluous = self.journal.iter().take_while(|(number, _)| *number < needed).count();
        // Each cut writes the vector and a segment of the ring; half of the journal is worth it.
        if superfluous == 0 || superfluous * 2 < self.journal.len() {
            return;
        }
        for (number, length) in self.journal.drain(..superfluous) {
            self.journal_bytes -= length;
            if length == 0 {
                self.voids.push_back(number);
            } else {
                transaction.delete(RecordKey::Commit(number));
            }
        }
        while self.voids.len() > VOIDS_MAX
            && let Some(number) = self.voids.pop_front()
        {
            transaction.delete(RecordKey::Commit(number));
        }
        self.write_ring(store, transaction);
        let state = State {
            store: self.store,
            first: needed,
            known: self.next_commit,
            vector: store.vector().clone(),
            frontier: store.frontier().clone(),
            forks: store.forks().copied().collect(),
            calls: self.calls.clone(),
            totals: Some(store.totals()),
            is_outdated: false,
        };
        self.renewed = None;
        transaction.put(RecordKey::State, state.encode());
    }

    /// Writes the entries of a page and takes what they weigh from `left`. A page that has become too large is split, from its end
    /// on: what its record says of the keys of later pages does not count, so the rest of it may follow in other transactions.
    fn write_page(
        &mut self,
        first: Key,
        since: u64,
        (store, read): (&Store, &BTreeMap<Dot, Body>),
        left: &mut usize,
        transaction: &mut Transaction,
    ) {
        let end = self.after(&first);
        let range = Scan {
            gte: Some(&first),
            lt: end.as_deref(),
            reverse: true,
            ..Scan::default()
        };
        let mut chunk = Chunk::default();
        for entry in store.entries(&range).map(|entry| whole(entry, read)) {
            if !chunk.has_room(&entry, &self.sizes) {
                let tail = chunk.split_off_tail();
                let text = tail.first_key();
                *left = left.saturating_sub(tail.bytes);
                self.put_page(text, &tail, transaction);
                if *left == 0 {
                    // The rest of it is still as old as it was.
                    self.stale.insert((since, first.clone()));
                    return;
                }
            }
            chunk.push(entry);
        }
        *left = left.saturating_sub(chunk.bytes.max(1));
        // Small pages behind it are joined with it.
        while let Some(next) = self.after(&first).filter(|_| *left > 0) {
            if !self.is_readable(&next, store, read) {
                break;
            }
            let end = self.after(&next);
            let range = Scan {
                gte: Some(&next),
                lt: end.as_deref(),
                ..Scan::default()
            };
            let mut joined = chunk.clone();
            let mut fits = |entry| {
                let fits = joined.entries.len() < self.sizes.page_entries / 2 && joined.has_room(&entry, &self.sizes);
                joined.push(entry);
                fits
            };
            if !store.entries(&range).map(|entry| whole(entry, read)).all(&mut fits) {
                break;
            }
            *left = left.saturating_sub(joined.bytes.max(1));
            self.drop_page(&next, transaction);
            chunk = joined;
        }
        self.put_page(first, &chunk, transaction);
    }

    /// What has to be read before the pages can be written that are next, up to so many bytes.
    fn lacking(&self, store: &Store, mut left: usize) -> Vec<Absent> {
        let mut lacking = Vec::new();
        if store.is_whole() {
            return lacking;
        }
        for (_, first) in &self.stale {
            for entry in self.page_of(first, store) {
                left = left.saturating_sub(page::weight(&entry));
                if is_lacking(&entry, &self.read) {
                    lacking.extend(Absent::of(entry.dot, entry.key, entry.body));
                }
            }
            if left == 0 {
                break;
            }
        }
        lacking
    }

    fn is_readable(&self, first: &Key, store: &Store, read: &BTreeMap<Dot, Body>) -> bool {
        store.is_whole() || self.page_of(first, store).all(|entry| !is_lacking(&entry, read))
    }

    /// The live entries that belong to a page.
    fn page_of<'a>(&self, first: &Key, store: &'a Store) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let end = self.after(first);
        store.entries(&Scan {
            gte: Some(first),
            lt: end.as_deref(),
            ..Scan::default()
        })
    }

    fn put_page(&mut self, first: Key, chunk: &Chunk<'_>, transaction: &mut Transaction) {
        let next = self.after(&first);
        let inline = |entry: &&Entry<'_>| !entry.kept && entry.body.len() <= INLINE_BYTES_MAX;
        self.unkept
            .extend(chunk.entries.iter().filter(inline).map(|entry| entry.dot));
        let payload = page::encode(next.as_deref(), chunk.entries.iter().cloned());
        transaction.put(RecordKey::Page(&first), payload);
        self.pages.insert(first, None);
    }

    fn drop_page(&mut self, first: &Key, transaction: &mut Transaction) {
        transaction.delete(RecordKey::Page(first));
        if let Some(since) = self.pages.remove(first).flatten() {
            self.stale.remove(&(since, first.clone()));
        }
    }

    /// The page after one.
    fn after(&self, first: &Key) -> Option<Key> {
        let behind = (Bound::Excluded(first), Bound::Unbounded);
        let next = self.pages.range::<Key, _>(behind).next();
        next.map(|(next, _)| next.clone())
    }

    /// Notes that the next commit concerns a key.
    fn outdate(&mut self, key: &Key) {
        let page = self.pages.range_mut::<Key, _>(..=key).next_back();
        let (first, since) = page.expect("the first page begins with the empty text");
        if since.is_none() {
            *since = Some(self.next_commit);
            self.stale.insert((self.next_commit, first.clone()));
        }
    }

    /// Writes what the ring has got since it was written last, or all of it once that would make too many segments.
    fn write_ring(&mut self, store: &Store, transaction: &mut Transaction) {
        let pushed = store.records_pushed();
        if pushed == self.ring_written {
            return;
        }
        if self.segments.len() >= ring::SEGMENTS_MAX {
            for number in self.segments.drain(..) {
                transaction.delete(RecordKey::Ring(number));
            }
            self.ring_written = 0;
        }
        let records = store.records_since(self.ring_written);
        transaction.put(RecordKey::Ring(self.next_commit), ring::encode(records));
        self.segments.push_back(self.next_commit);
        self.ring_written = pushed;
    }
}

/// Whether a page cannot be written for want of a value that stands in it.
fn is_lacking(entry: &Entry<'_>, read: &BTreeMap<Dot, Body>) -> bool {
    let is_away = entry.body.here().is_none() && entry.body.len() <= INLINE_BYTES_MAX;
    is_away && !read.contains_key(&entry.dot)
}

/// An entry with its value, if it was read.
fn whole<'a>(entry: Entry<'a>, read: &'a BTreeMap<Dot, Body>) -> Entry<'a> {
    let body = match entry.body {
        Body::Here(_) => entry.body,
        Body::Away(_) => read.get(&entry.dot).unwrap_or(entry.body),
    };
    Entry { body, ..entry }
}

/// Entries on their way into a page, the last first.
#[derive(Clone, Debug, Default)]
struct Chunk<'a> {
    entries: Vec<Entry<'a>>,
    bytes: usize,
}

impl<'a> Chunk<'a> {
    /// Whether an entry fits. What stands under one key stays together.
    fn has_room(&self, entry: &Entry<'_>, sizes: &Sizes) -> bool {
        let same_key = |last: &Entry<'_>| last.key == entry.key;
        self.entries.last().is_none_or(same_key)
            || self.entries.len() < sizes.page_entries && self.bytes + page::weight(entry) <= sizes.page_bytes
    }

    fn push(&mut self, entry: Entry<'a>) {
        self.bytes += page::weight(&entry);
        self.entries.push(entry);
    }

    /// Takes the last three quarters: a page that was split once would else be split again by the next key.
    fn split_off_tail(&mut self) -> Self {
        let all = self.entries.len();
        let is_cut = |at: &usize| *at == all || self.entries[*at - 1].key != self.entries[*at].key;
        let cut = (all * 3 / 4..=all).filter(|at| *at > 0).find(is_cut).unwrap_or(all);
        let rest = self.entries.split_off(cut);
        let mut tail = mem::take(self);
        for entry in rest {
            tail.bytes -= page::weight(&entry);
            self.push(entry);
        }
        tail
    }

    fn first_key(&self) -> Key {
        self.entries.last().map(|entry| entry.key.clone()).unwrap_or_default()
    }
}
