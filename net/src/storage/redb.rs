//! A storage in a file, by redb: for processes that are no browser.

use std::{
    io::{self, ErrorKind},
    ops::Bound,
    path::Path,
    sync::Arc,
};

use gossipstore_core::disk::Transaction;
use redb::{Database, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError};

use super::{Pending, READ_BYTES, Record, Storage, StorageError, StorageReader};
use crate::status::StorageKind;

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

/// A storage in a file. While it is open nobody else can open it.
#[derive(Clone)]
pub struct RedbStorage {
    database: Arc<Database>,
}

impl std::fmt::Debug for RedbStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbStorage").finish_non_exhaustive()
    }
}

impl RedbStorage {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// When it is open already, is something else, or cannot be read and written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = path.as_ref();
        let database = Database::create(path).map_err(|error| StorageError::Failed {
            reason: format!("{} cannot be used: {error}", path.display()),
        })?;
        Ok(Self {
            database: Arc::new(database),
        })
    }

    /// The records as they are now; none before the first is written.
    fn table(&self) -> Result<Option<Table>, redb::Error> {
        match self.database.begin_read()?.open_table(RECORDS) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(Some(table?)),
        }
    }

    fn read_behind(&self, after: Option<&[u8]>) -> Result<Vec<Record>, redb::Error> {
        let Some(table) = self.table()? else {
            return Ok(Vec::new());
        };
        let (mut records, mut bytes) = (Vec::new(), 0);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for record in table.range::<&[u8]>((from, Bound::Unbounded))? {
            let (key, record) = record?;
            let (key, record) = (key.value().to_vec(), record.value().to_vec());
            bytes += key.len() + record.len();
            records.push((key, record));
            if bytes >= READ_BYTES {
                break;
            }
        }
        Ok(records)
    }

    fn last_before(&self, upto: &[u8]) -> Result<Option<Record>, redb::Error> {
        let Some(table) = self.table()? else { return Ok(None) };
        let mut before = table.range::<&[u8]>((Bound::Unbounded, Bound::Included(upto)))?;
        let Some(last) = before.next_back() else {
            return Ok(None);
        };
        let (key, record) = last?;
        Ok(Some((key.value().to_vec(), record.value().to_vec())))
    }

    /// Returns whether the transaction's guard lets it.
    fn carry_out(&self, transaction: &Transaction) -> Result<bool, redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(RECORDS)?;
            if let Some(guard) = &transaction.guard
                && table.get(&guard[..])?.is_some()
            {
                return Ok(false);
            }
            for (key, change) in &transaction.changes {
                match change {
                    Some(record) => table.insert(&key[..], &record[..])?,
                    None => table.remove(&key[..])?,
                };
            }
        }
        write.commit()?;
        Ok(true)
    }

    /// Runs what blocks on a thread that may.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, redb::Error> + Send + 'static,
    ) -> Pending<Result<T, StorageError>> {
        let storage = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&storage)).await;
            let failed = |reason: String| StorageError::Failed { reason };
            match done {
                Ok(Err(redb::Error::Io(error))) if is_full(&error) => Err(StorageError::Full {
                    used: None,
                    quota: None,
                }),
                Ok(done) => done.map_err(|error| failed(error.to_string())),
                Err(error) => Err(failed(error.to_string())),
            }
        })
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl Storage for RedbStorage {
    fn kind(&self) -> StorageKind {
        StorageKind::File
    }

    fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
        let after = after.map(<[u8]>::to_vec);
        self.run(move |storage| storage.read_behind(after.as_deref()))
    }

    fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
        let carried_out = self.run(move |storage| storage.carry_out(&transaction));
        Box::pin(async move {
            let is_carried_out = carried_out.await?;
            is_carried_out.then_some(()).ok_or(StorageError::Superseded)
        })
    }

    fn reader(&self) -> Box<dyn StorageReader> {
        Box::new(self.clone())
    }
}

impl StorageReader for RedbStorage {
    fn last(&self, upto: &[u8]) -> Pending<Result<Option<Record>, StorageError>> {
        let upto = upto.to_vec();
        self.run(move |storage| storage.last_before(&upto))
    }
}
