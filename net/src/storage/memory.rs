//! A storage in this process's memory.

use std::{
    collections::BTreeMap,
    future::ready,
    ops::Bound,
    sync::{Arc, Mutex},
};

use gossipstore_core::disk::Transaction;

use super::{Pending, READ_BYTES, Record, Storage, StorageError, StorageReader};
use crate::status::StorageKind;

/// A storage in this process's memory. Clones share what is kept, so that a store can be closed and opened again.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    records: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl Storage for MemoryStorage {
    fn kind(&self) -> StorageKind {
        StorageKind::Memory
    }

    fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
        let records = self.records.lock().expect("nothing panics while it is locked");
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut bytes = 0;
        let next = records
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(key, record)| {
                let is_wanted = bytes < READ_BYTES;
                bytes += key.len() + record.len();
                is_wanted
            });
        let next = next.map(|(key, record)| (key.clone(), record.clone())).collect();
        Box::pin(ready(Ok(next)))
    }

    fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
        let mut records = self.records.lock().expect("nothing panics while it is locked");
        let is_carried_out = Arc::unwrap_or_clone(transaction).carry_out(&mut records);
        Box::pin(ready(is_carried_out.then_some(()).ok_or(StorageError::Superseded)))
    }

    fn reader(&self) -> Box<dyn StorageReader> {
        Box::new(self.clone())
    }
}

impl StorageReader for MemoryStorage {
    fn last(&self, upto: &[u8]) -> Pending<Result<Option<Record>, StorageError>> {
        let records = self.records.lock().expect("nothing panics while it is locked");
        let last = records
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(upto)))
            .next_back();
        Box::pin(ready(Ok(last.map(|(key, record)| (key.clone(), record.clone())))))
    }
}
