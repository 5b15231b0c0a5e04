//! What of a replica survives a crash: the real format on a storage that carries out transactions in order, each whole or not at
//! all, and forgets what it had not flushed.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{oracle::Flaw, profile::store};
use crate::{
    disk::{self, Reading, Transaction},
    replica::{BatchId, Config, Opened, Opening, Replica},
    store::{Batch, Call, Store},
    time::Timestamp,
};

/// A disk and the book that is kept of it.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    book: disk::Disk,
    flushed: Vec<Transaction>,
    /// Handed to the storage: the last batch in it, if there is one, and what is to be written.
    under_way: Option<(Option<BatchId>, Transaction)>,
}

impl Disk {
    pub(super) fn new(sizes: disk::Sizes) -> Self {
        Self {
            book: disk::Disk::new(store(), sizes),
            flushed: Vec::new(),
            under_way: None,
        }
    }

    pub(super) fn take(&mut self, id: BatchId, batch: &Batch) {
        self.book.take(id, batch);
    }

    /// Whether something waits to be flushed.
    pub(super) fn is_waiting(&self) -> bool {
        self.under_way.is_some() || self.book.is_waiting()
    }

    /// Whether a transaction is on its way to the disk.
    pub(super) fn is_writing(&self) -> bool {
        self.under_way.is_some()
    }

    /// The storage goes on: begins the next transaction, or ends the one under way; then gives the last batch that is durable with it.
    pub(super) fn flush(&mut self, store: &Store, idle: bool) -> Option<BatchId> {
        match self.under_way.take() {
            Some((last, transaction)) => {
                self.flushed.push(transaction);
                last
            }
            None => {
                self.under_way = self.book.next(store, idle);
                None
            }
        }
    }

    /// The process dies. The transaction under way may have reached the disk, though nobody was told; what came after it is lost.
    pub(super) fn crash(&mut self, kept: bool) {
        let transaction = self.under_way.take().map(|(_, transaction)| transaction);
        self.flushed.extend(transaction.filter(|_| kept));
    }

    /// How many transactions are on the disk.
    pub(super) fn len(&self) -> usize {
        self.flushed.len()
    }

    /// What the disk held after its first `transactions`.
    pub(super) fn image(&self, transactions: usize) -> Self {
        Self {
            book: self.book.clone(),
            flushed: self.flushed[..transactions].to_vec(),
            under_way: None,
        }
    }

    /// Whether a call is known to have been carried out.
    pub(super) fn knows(&self, call: &Call) -> bool {
        self.book.calls().contains(call)
    }

    /// Opens the replica again that lies on it, as after a restart.
    pub(super) fn open(&mut self, config: Config, now: Timestamp, sizes: disk::Sizes) -> Result<Replica, Flaw> {
        let mut records = BTreeMap::new();
        for transaction in &self.flushed {
            transaction.clone().carry_out(&mut records);
        }
        let unreadable = |error| Flaw::from(format!("a disk cannot be read: {error}"));
        let opening = Opening::new(config.clone(), now, Reading::new(store(), sizes));
        let Some(Opened { replica, disk, lost }) = opening.of(records).map_err(unreadable)? else {
            *self = Self::new(sizes);
            return Ok(Replica::new(config, now));
        };
        self.book = disk;
        if lost.is_empty() {
            Ok(replica)
        } else {
            Err(format!("a disk has lost the values of {lost:?}").into())
        }
    }
}
