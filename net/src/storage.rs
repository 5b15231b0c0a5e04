//! Where batches are made durable. At the moment: nowhere but in this process's memory, where the replica keeps them
//! anyway.

use gossipstore_core::{
    replica::{BatchId, Input},
    store::Batch,
};

/// Storage that ends with the process.
#[derive(Debug, Default)]
pub(crate) struct MemoryStorage;

impl MemoryStorage {
    /// Takes a batch. What is returned is fed to the replica once its outputs are drained; a storage that needs time
    /// returns nothing and has the report fed when the batch is safe.
    pub(crate) fn persist(&mut self, id: BatchId, _batch: Batch) -> Option<Input> {
        Some(Input::Persisted { id })
    }
}
