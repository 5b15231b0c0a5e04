//! Keeping a replica on its storage: reads it when a store is opened, then writes what the engine wants kept, one transaction at a
//! time, and tidies up when nobody writes.

use std::{
    future::pending,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt as _;
use gossipstore_core::{
    disk::{Leisure, Reading, Sizes, Transaction},
    id::StoreId,
    replica::BatchId,
    time::Timestamp,
};

use crate::{
    error::OpenError,
    loading::Records,
    storage::{Pending, Storage, StorageError},
};

/// How long nobody must have written before the journal is worked off: not between two keys that a person types.
const TIDY_AFTER: Duration = Duration::from_secs(2);

/// When what failed is tried again, and how long it takes at most after it has failed often: a person who has made room
/// should not have to wait for long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// How long after it has failed so often already the storage is asked again.
pub(crate) fn again_after(failures: u32) -> Duration {
    AGAIN_AFTER.saturating_mul(1 << failures.min(8)).min(AGAIN_AFTER_MAX)
}

/// How often a storage is tried to be taken over. Each time that fails, the other has written: it is not as dead as was thought.
const SEIZURES_MAX: usize = 64;

/// How often what does not fit together is read again meanwhile: part of it may be from before the other wrote and part from after.
const MISREADINGS_MAX: usize = 4;

pub(crate) fn unreadable(reason: &impl ToString) -> OpenError {
    let reason = reason.to_string();
    OpenError::Unreadable { reason }
}

/// The storage, and what it is doing.
pub(crate) struct Keeper {
    storage: Box<dyn Storage>,
    gone: Pending<String>,
    under_way: Option<UnderWay>,
    written_at: Timestamp,
    /// A transaction that failed. None comes before it has succeeded.
    failed: Option<Failed>,
}

struct UnderWay {
    what: What,
    done: Pending<Result<(), StorageError>>,
    /// How often it has failed.
    failures: u32,
}

/// A transaction and the last batch in it, if it brings any.
struct What {
    last: Option<BatchId>,
    transaction: Arc<Transaction>,
}

struct Failed {
    what: What,
    failures: u32,
    /// When it is tried again; `None` when that is no use.
    again_at: Option<Timestamp>,
}

/// A transaction that failed together with what has come since: if that deletes, there may be room for both.
fn with_more(mut what: What, more: Option<(Option<BatchId>, Transaction)>) -> What {
    if let Some((last, more)) = more {
        what.last = last.or(what.last);
        Arc::make_mut(&mut what.transaction).join(more);
    }
    what
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
    pub(crate) fn new(mut storage: Box<dyn Storage>) -> Self {
        Self {
            gone: storage.gone(),
            storage,
            under_way: None,
            written_at: Timestamp::default(),
            failed: None,
        }
    }

    pub(crate) fn storage(&mut self) -> &mut dyn Storage {
        &mut *self.storage
    }

    /// Takes the storage from whoever else may have it open.
    pub(crate) async fn take_over(&mut self, store: StoreId) -> Result<(), OpenError> {
        let mut misreadings = 0;
        for _ in 0..SEIZURES_MAX {
            let commits = match self.read_commits(store).await {
                Ok(commits) => commits,
                Err(_) if misreadings < MISREADINGS_MAX => {
                    misreadings += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.storage.write(Arc::new(commits.seizure())).await {
                Ok(()) => return Ok(()),
                // It has written meanwhile.
                Err(StorageError::Superseded) => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Err(unreadable(
            &"another process keeps writing to it; close the store there",
        ))
    }

    async fn read_commits(&mut self, store: StoreId) -> Result<Reading, OpenError> {
        let mut reading = Reading::new(store, Sizes::default());
        let mut records = Records::of(&mut *self.storage);
        while !reading.is_past_commits()
            && let Some((key, record)) = records.next(&mut *self.storage).await?
        {
            reading.take(&key, &record).map_err(|error| unreadable(&error))?;
        }
        Ok(reading)
    }

    /// Whether a transaction is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether a transaction can begin.
    pub(crate) fn is_free(&self) -> bool {
        self.failed.is_none() && !self.is_writing()
    }

    /// Begins the next transaction, if none is under way and `next` gives one; it is told what else there is time for. One that has failed
    /// comes first, when its time has come.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        next: impl FnOnce(Leisure) -> Option<(Option<BatchId>, Transaction)>,
    ) {
        let is_due = |failed: &mut Failed| failed.again_at.is_some_and(|at| at <= now);
        if let Some(Failed { what, failures, .. }) = self.failed.take_if(is_due) {
            self.write(with_more(what, next(Leisure::Again)), failures);
            return;
        }
        if !self.is_free() {
            return;
        }
        let is_idle = self.idle_at().is_some_and(|at| at <= now);
        let leisure = if is_idle { Leisure::Idle } else { Leisure::None };
        if let Some((last, transaction)) = next(leisure) {
            if last.is_some() {
                self.written_at = now;
            }
            let transaction = Arc::new(transaction);
            self.write(What { last, transaction }, 0);
        }
    }

    fn write(&mut self, what: What, failures: u32) {
        let done = self.storage.write(Arc::clone(&what.transaction));
        self.under_way = Some(UnderWay { what, done, failures });
    }

    /// When a transaction that failed is tried again.
    pub(crate) fn again_at(&self) -> Option<Timestamp> {
        self.failed.as_ref()?.again_at
    }

    /// When there is time to tidy up, if nobody writes until then and nothing is under way.
    pub(crate) fn idle_at(&self) -> Option<Timestamp> {
        self.is_free().then(|| self.written_at + TIDY_AFTER)
    }

    /// Ready when the transaction under way is over, or can never be. `now` is asked for the time when it failed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: impl FnOnce() -> Timestamp) -> Poll<Written> {
        if let Poll::Ready(reason) = self.gone.poll_unpin(cx) {
            self.gone = Box::pin(pending());
            let result = Err(StorageError::Gone { reason });
            return Poll::Ready(Written { last: None, result });
        }
        let Some(under_way) = &mut self.under_way else {
            return Poll::Pending;
        };
        let Poll::Ready(result) = under_way.done.poll_unpin(cx) else {
            return Poll::Pending;
        };
        let Some(UnderWay { what, failures, .. }) = self.under_way.take() else {
            return Poll::Pending;
        };
        let last = what.last;
        if let Err(error) = &result {
            let is_lasting = matches!(error, StorageError::Gone { .. } | StorageError::Superseded);
            self.failed = Some(Failed {
                what,
                failures: failures + 1,
                again_at: (!is_lasting).then(|| now() + again_after(failures)),
            });
        }
        Poll::Ready(Written { last, result })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, vec};

    use futures::{executor::block_on, task::noop_waker};

    use super::*;
    use crate::{
        status::StorageKind,
        storage::{MemoryStorage, Record, StorageReader},
    };

    /// Writes, or does not.
    #[derive(Debug)]
    struct Scripted(Result<(), StorageError>);

    impl Storage for Scripted {
        fn kind(&self) -> StorageKind {
            StorageKind::Memory
        }

        fn read(&mut self, _: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
            std::future::ready(Ok(Vec::new())).boxed()
        }

        fn write(&mut self, _: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
            std::future::ready(self.0.clone()).boxed()
        }

        fn reader(&self) -> Box<dyn StorageReader> {
            MemoryStorage::default().reader()
        }
    }

    /// Gives at each reading what was put in for it, the last again and again, one record at a time; takes what is written.
    #[derive(Debug)]
    struct Changing {
        readings: vec::IntoIter<Vec<Record>>,
        current: Vec<Record>,
        written: Arc<Mutex<Vec<Transaction>>>,
    }

    impl Storage for Changing {
        fn kind(&self) -> StorageKind {
            StorageKind::Memory
        }

        fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
            if after.is_none()
                && let Some(next) = self.readings.next()
            {
                self.current = next;
            }
            let is_next = |(key, _): &&Record| after.is_none_or(|after| key[..] > *after);
            let next = self.current.iter().find(is_next).cloned();
            std::future::ready(Ok(next.into_iter().collect())).boxed()
        }

        fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
            self.written.lock().unwrap().push((*transaction).clone());
            std::future::ready(Ok(())).boxed()
        }

        fn reader(&self) -> Box<dyn StorageReader> {
            MemoryStorage::default().reader()
        }
    }

    /// What is done when a storage is taken over that gives one after the other of these.
    fn take_over(readings: Vec<Vec<Record>>) -> (Result<(), OpenError>, Vec<Transaction>) {
        let written = Arc::default();
        let mut keeper = Keeper::new(Box::new(Changing {
            readings: readings.into_iter(),
            current: Vec::new(),
            written: Arc::clone(&written),
        }));
        let taken = block_on(keeper.take_over(StoreId::from_name("list")));
        let written = std::mem::take(&mut *written.lock().unwrap());
        (taken, written)
    }

    /// The records that a transaction leaves on an empty storage.
    fn records(transaction: &Transaction) -> Vec<Record> {
        let put = |(key, change): (&Vec<u8>, &Option<Vec<u8>>)| Some((key.clone(), change.clone()?));
        transaction.changes.iter().filter_map(put).collect()
    }

    #[test]
    fn what_does_not_fit_together_while_another_writes_is_read_again() {
        let (taken, written) = take_over(vec![Vec::new()]);
        assert_eq!((taken, written.len()), (Ok(()), 1));
        let whole = records(&written[0]);
        // Another has taken an empty storage between the first record and the second: its commit is seen, and not what comes before that.
        let torn = whole[1..].to_vec();
        let (taken, written) = take_over(vec![torn.clone(), whole.clone()]);
        assert_eq!((taken, written.len()), (Ok(()), 1));
        assert_ne!(records(&written[0]), whole, "it stands behind the other's");
        // What stays so is damaged.
        let (taken, written) = take_over(vec![torn]);
        assert!(matches!(taken, Err(OpenError::Unreadable { .. })), "{taken:?}");
        assert_eq!(written, []);
    }

    const NOW: Timestamp = Timestamp(1_000_000);

    /// Hands one transaction over. Gives whether it was taken, and what else there was time for.
    fn begin(keeper: &mut Keeper, now: Timestamp, last: Option<BatchId>) -> Option<Leisure> {
        let mut told = None;
        keeper.begin(now, |leisure| {
            told = Some(leisure);
            Some((last, Transaction::default()))
        });
        told
    }

    fn poll(keeper: &mut Keeper) -> Poll<Result<(), StorageError>> {
        let polled = keeper.poll(&mut Context::from_waker(&noop_waker()), || NOW);
        polled.map(|written| written.result)
    }

    #[test]
    fn one_transaction_is_under_way_and_there_is_time_to_tidy_up_when_nobody_has_written_for_a_while() {
        let mut keeper = Keeper::new(Box::new(Scripted(Ok(()))));
        assert_eq!(begin(&mut keeper, NOW, Some(BatchId(1))), Some(Leisure::Idle));
        assert_eq!(begin(&mut keeper, NOW, Some(BatchId(2))), None);
        assert_eq!(keeper.idle_at(), None);
        assert_eq!(poll(&mut keeper), Poll::Ready(Ok(())));
        assert!(poll(&mut keeper).is_pending());
        assert_eq!(keeper.idle_at(), Some(NOW + TIDY_AFTER));
        assert_eq!(begin(&mut keeper, NOW, Some(BatchId(2))), Some(Leisure::None));
        assert_eq!(poll(&mut keeper), Poll::Ready(Ok(())));
        // What is tidied up does not put off the rest of it.
        for _ in 0..2 {
            assert_eq!(begin(&mut keeper, NOW + TIDY_AFTER, None), Some(Leisure::Idle));
            assert_eq!(poll(&mut keeper), Poll::Ready(Ok(())));
        }
    }

    #[test]
    fn a_transaction_that_failed_is_tried_again_before_any_other() {
        let full = StorageError::Full {
            used: None,
            quota: None,
        };
        let mut keeper = Keeper::new(Box::new(Scripted(Err(full.clone()))));
        begin(&mut keeper, NOW, Some(BatchId(1)));
        assert_eq!(poll(&mut keeper), Poll::Ready(Err(full.clone())));
        assert_eq!((keeper.again_at(), keeper.idle_at()), (Some(NOW + AGAIN_AFTER), None));
        assert_eq!(begin(&mut keeper, NOW, Some(BatchId(2))), None);
        assert!(poll(&mut keeper).is_pending());
        // What came meanwhile comes with it.
        assert_eq!(
            begin(&mut keeper, NOW + AGAIN_AFTER, Some(BatchId(2))),
            Some(Leisure::Again)
        );
        let polled = keeper.poll(&mut Context::from_waker(&noop_waker()), || NOW);
        assert!(
            matches!(&polled, Poll::Ready(Written { last: Some(BatchId(2)), result: Err(error) }) if *error == full),
            "{polled:?}"
        );
        assert_eq!(keeper.again_at(), Some(NOW + 2 * AGAIN_AFTER));
    }

    #[test]
    fn after_a_lasting_failure_nothing_is_written_and_nobody_is_woken_to_try() {
        let error = StorageError::Gone { reason: "wiped".into() };
        let mut keeper = Keeper::new(Box::new(Scripted(Err(error.clone()))));
        begin(&mut keeper, NOW, Some(BatchId(1)));
        assert_eq!(poll(&mut keeper), Poll::Ready(Err(error)));
        assert_eq!(begin(&mut keeper, NOW + TIDY_AFTER, Some(BatchId(2))), None);
        assert_eq!(
            (keeper.idle_at(), keeper.again_at(), keeper.is_free()),
            (None, None, false)
        );
    }
}
