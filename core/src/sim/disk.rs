//! What of a replica survives a crash: the real format on a storage that carries out transactions in order, each whole or not at
//! all, and forgets what it had not flushed.

use alloc::{collections::BTreeMap, format, string::ToString, vec::Vec};
use core::mem;

use super::{oracle::Flaw, profile::store};
use crate::{
    causality::{Absent, Value},
    disk::{self, Leisure, Reading, Transaction},
    id::Dot,
    replica::{BatchId, Config, Opened, Opening, Replica},
    store::{Batch, Call, Store},
    time::Timestamp,
};

/// How the keys of large values begin.
const BODY: u8 = 4;

/// A disk and the book that is kept of it.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    book: disk::Disk,
    flushed: Vec<Transaction>,
    /// What is on it.
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the book wants to be read.
    wanted: Vec<Absent>,
    /// Handed to the storage: the last batch in it, if there is one, and what is to be written.
    under_way: Option<(Option<BatchId>, Transaction)>,
}

impl Disk {
    pub(super) fn new(sizes: disk::Sizes) -> Self {
        Self {
            book: disk::Disk::new(store(), sizes),
            flushed: Vec::new(),
            records: BTreeMap::new(),
            wanted: Vec::new(),
            under_way: None,
        }
    }

    pub(super) fn take(&mut self, id: BatchId, batch: Batch) {
        self.book.take(id, batch);
    }

    /// Whether something waits to be flushed.
    pub(super) fn is_waiting(&self) -> bool {
        self.under_way.is_some() || self.book.is_waiting() || !self.wanted.is_empty()
    }

    /// Whether a transaction is on its way to the disk.
    pub(super) fn is_writing(&self) -> bool {
        self.under_way.is_some()
    }

    /// The storage goes on: reads what is wanted, begins the next transaction, or ends the one under way; then gives the last batch that
    /// is durable with it, and the entries whose values are.
    pub(super) fn flush(&mut self, store: &Store, idle: bool) -> (Option<BatchId>, Vec<Dot>) {
        if let Some((last, transaction)) = self.under_way.take() {
            self.push(transaction);
            return (last, self.book.done());
        }
        if !self.wanted.is_empty() {
            let wanted = mem::take(&mut self.wanted);
            let read = wanted.into_iter().map(|absent| {
                let value = self.read(&absent);
                (absent, value)
            });
            let read: Vec<_> = read.collect();
            self.book.supply(read);
        }
        let leisure = if idle { Leisure::Idle } else { Leisure::None };
        self.under_way = self.book.next(store, leisure);
        self.wanted = self.book.wants();
        (None, Vec::new())
    }

    fn push(&mut self, transaction: Transaction) {
        transaction.clone().carry_out(&mut self.records);
        self.flushed.push(transaction);
    }

    /// A value that is not in memory.
    pub(super) fn read(&self, absent: &Absent) -> Option<Value> {
        let found = self.records.range(..=absent.place()).next_back();
        let (place, record) = found?;
        absent.read((place, record)).ok()?
    }

    /// The process dies. The transaction under way may have reached the disk, though nobody was told; what came after it is lost.
    pub(super) fn crash(&mut self, kept: bool) {
        self.wanted.clear();
        if let Some((_, transaction)) = self.under_way.take().filter(|_| kept) {
            self.push(transaction);
        }
    }

    /// How many transactions are on the disk.
    pub(super) fn len(&self) -> usize {
        self.flushed.len()
    }

    /// Another process takes the disk over. What was under way may get there before it; whatever comes later from the process that had the
    /// disk must be refused. Says whether something did.
    pub(super) fn seize(&mut self, store: &Store, arrives: bool) -> Result<bool, Flaw> {
        let mut had_it = self.clone();
        self.crash(arrives);
        if arrives {
            had_it.crash(false);
        }
        let mut reading = Reading::new(super::profile::store(), disk::Sizes::default());
        let unreadable = |error| Flaw::from(format!("a disk cannot be read: {error}"));
        for (key, record) in &self.records {
            reading.take(key, record).map_err(unreadable)?;
        }
        if !reading.seizure().carry_out(&mut self.records) {
            return Err("a disk that nobody writes to cannot be taken over".to_string().into());
        }
        self.flushed.push(reading.seizure());
        // What is refused ends the process.
        let under_way = had_it.under_way.take();
        while !had_it.book.prepare() {}
        let next = under_way.or_else(|| had_it.book.next(store, Leisure::Idle));
        let is_writing = next.is_some();
        if next.is_some_and(|(_, transaction)| transaction.carry_out(&mut self.records)) {
            return Err("a disk was written to that another process has".to_string().into());
        }
        Ok(is_writing)
    }

    /// What the disk held after its first `transactions`.
    pub(super) fn image(&self, transactions: usize) -> Self {
        let mut image = Self {
            book: self.book.clone(),
            flushed: Vec::new(),
            records: BTreeMap::new(),
            wanted: Vec::new(),
            under_way: None,
        };
        for transaction in &self.flushed[..transactions] {
            image.push(transaction.clone());
        }
        image
    }

    /// Whether a call is known to have been carried out.
    pub(super) fn knows(&self, call: &Call) -> bool {
        self.book.calls().contains(call)
    }

    /// Opens the replica again that lies on it, as after a restart.
    pub(super) fn open(&mut self, config: Config, now: Timestamp, sizes: disk::Sizes) -> Result<Replica, Flaw> {
        self.wanted.clear();
        let unreadable = |error| Flaw::from(format!("a disk cannot be read: {error}"));
        let opening = Opening::new(config.clone(), now, Reading::new(store(), sizes));
        // Large values are read when they are wanted.
        let is_small = |(key, _): &(&Vec<u8>, &Vec<u8>)| key.first().is_none_or(|kind| *kind < BODY);
        let records = self.records.iter().filter(is_small);
        let Some(Opened { replica, disk }) = opening.of(records).map_err(unreadable)? else {
            *self = Self::new(sizes);
            return Ok(Replica::new(config, now));
        };
        self.book = disk;
        Ok(replica)
    }
}
