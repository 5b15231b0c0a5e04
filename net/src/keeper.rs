//! Keeping a replica on its storage: reads it when a store is opened, then writes what the engine wants kept, one transaction at a
//! time, and tidies up when nobody writes.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt as _;
use gossipstore_core::{
    disk::{Opened, Opening, Sizes, Transaction},
    id::StoreId,
    replica::BatchId,
    time::Timestamp,
};

use crate::{
    error::OpenError,
    storage::{Pending, Storage, StorageError},
};

/// How long nobody must have written before the journal is worked off: not between two keys that a person types.
const TIDY_AFTER: Duration = Duration::from_secs(2);

/// The storage, and what it is doing.
pub(crate) struct Keeper {
    storage: Box<dyn Storage>,
    under_way: Option<UnderWay>,
    written_at: Timestamp,
    /// Whether a write has failed. There is none after it.
    failed: bool,
}

struct UnderWay {
    last: Option<BatchId>,
    done: Pending<Result<(), StorageError>>,
}

/// A transaction is over.
#[derive(Debug)]
pub(crate) struct Written {
    /// The last batch that it made durable, if it brought any.
    pub(crate) last: Option<BatchId>,
    pub(crate) result: Result<(), StorageError>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper")
            .field("storage", &self.storage)
            .field("is_writing", &self.is_writing())
            .finish_non_exhaustive()
    }
}

impl Keeper {
    pub(crate) fn new(storage: Box<dyn Storage>) -> Self {
        Self {
            storage,
            under_way: None,
            written_at: Timestamp::default(),
            failed: false,
        }
    }

    /// Reads what is kept.
    pub(crate) async fn read(&mut self, store: StoreId) -> Result<Option<Opened>, OpenError> {
        let unreadable = |reason: String| OpenError::Unreadable { reason };
        let mut opening = Opening::new(store, Sizes::default());
        let mut after = None;
        loop {
            let records = self.storage.read(after.as_deref()).await;
            let records = records.map_err(|error| unreadable(error.to_string()))?;
            let Some((last, _)) = records.last() else { break };
            after = Some(last.clone());
            for (key, record) in &records {
                opening
                    .take(key, record)
                    .map_err(|error| unreadable(error.to_string()))?;
            }
        }
        opening.finish().map_err(|error| unreadable(error.to_string()))
    }

    /// Whether a transaction is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether a transaction can begin.
    pub(crate) fn is_free(&self) -> bool {
        !self.failed && !self.is_writing()
    }

    /// Begins the next transaction, if none is under way and `next` gives one; it is told whether there is time to tidy up.
    pub(crate) fn begin(&mut self, now: Timestamp, next: impl FnOnce(bool) -> Option<(Option<BatchId>, Transaction)>) {
        if !self.is_free() {
            return;
        }
        let idle = self.written_at + TIDY_AFTER <= now;
        if let Some((last, transaction)) = next(idle) {
            if last.is_some() {
                self.written_at = now;
            }
            let done = self.storage.write(transaction);
            self.under_way = Some(UnderWay { last, done });
        }
    }

    /// When there is time to tidy up, if nobody writes until then.
    pub(crate) fn idle_at(&self) -> Timestamp {
        self.written_at + TIDY_AFTER
    }

    /// Ready when the transaction under way is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Written> {
        let Some(under_way) = &mut self.under_way else {
            return Poll::Pending;
        };
        let Poll::Ready(result) = under_way.done.poll_unpin(cx) else {
            return Poll::Pending;
        };
        let last = under_way.last;
        self.under_way = None;
        self.failed |= result.is_err();
        Poll::Ready(Written { last, result })
    }
}
