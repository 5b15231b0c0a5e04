//! Where a replica's records are kept: what the node asks of a storage.
//!
//! The replica's own format (`gossipstore_core::disk`) makes of it a map from bytes to bytes with atomic transactions, so an
//! implementation need not know what it keeps.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod memory;
#[cfg(not(target_arch = "wasm32"))]
mod redb;

use std::{error::Error, fmt, future::pending, sync::Arc};

use gossipstore_core::disk::Transaction;

use crate::status::StorageKind;

#[cfg(not(target_arch = "wasm32"))]
pub use self::redb::RedbStorage;
pub use memory::MemoryStorage;

/// A future that a storage works in. It does not wait for somebody to poll anything else.
#[cfg(not(target_arch = "wasm32"))]
pub type Pending<T> = futures::future::BoxFuture<'static, T>;
/// A future that a storage works in. It does not wait for somebody to poll anything else.
#[cfg(target_arch = "wasm32")]
pub type Pending<T> = futures::future::LocalBoxFuture<'static, T>;

/// A record: key and bytes.
pub type Record = (Vec<u8>, Vec<u8>);

/// About how many bytes of records [`Storage::read`] gives at a time: few enough to be held twice, many enough that what each call
/// costs does not count.
pub const READ_BYTES: usize = 1024 * 1024;

/// What keeps the records of one replica. Nobody else may write to the same place meanwhile.
pub trait Storage: fmt::Debug + MaybeSend + 'static {
    /// What it is, for the status.
    fn kind(&self) -> StorageKind;

    /// The next records behind a key, or the first, in the order of their keys; about [`READ_BYTES`] of them. None when there are no
    /// more.
    fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>>;

    /// Carries out a transaction, whole or not at all; not at all where its guard stands already, which is [`StorageError::Superseded`].
    /// Resolves when it survives a crash of the process and of the machine. The next call comes after that. A transaction that fails may
    /// come again.
    fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>>;

    /// Reads single records, beside all else. A storage that nobody else can have meanwhile stays open as long as its readers are there.
    fn reader(&self) -> Box<dyn StorageReader>;

    /// Resolves when what was kept is taken away while nobody writes, with the reason of [`StorageError::Gone`].
    fn gone(&mut self) -> Pending<String> {
        Box::pin(pending())
    }
}

/// Reads single records of a storage.
pub trait StorageReader: fmt::Debug + MaybeSend + MaybeSync + 'static {
    /// The last record at or before a key.
    fn last(&self, upto: &[u8]) -> Pending<Result<Option<Record>, StorageError>>;
}

/// `Send` where there are threads.
#[cfg(not(target_arch = "wasm32"))]
pub use std::marker::Send as MaybeSend;
/// `Send` where there are threads.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSend {}
#[cfg(target_arch = "wasm32")]
impl<T> MaybeSend for T {}

/// `Sync` where there are threads.
#[cfg(not(target_arch = "wasm32"))]
pub use std::marker::Sync as MaybeSync;
/// `Sync` where there are threads.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSync {}
#[cfg(target_arch = "wasm32")]
impl<T> MaybeSync for T {}

/// Why a storage did not do what it was asked for. Nothing was changed by that.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no room.
    Full {
        /// Bytes in use by all that shares the room, if known.
        used: Option<u64>,
        /// Bytes allowed, if known.
        quota: Option<u64>,
    },
    /// Somebody has thrown away what was kept, or taken it out of our hands.
    Gone {
        /// The system's own words.
        reason: String,
    },
    /// Another process keeps the replica now.
    Superseded,
    /// Anything else.
    Failed {
        /// The system's own words.
        reason: String,
    },
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full {
                used: Some(used),
                quota: Some(quota),
            } => write!(
                f,
                "there is no room left (the system says that {used} of {quota} bytes are in use); free some on the device, or delete what is not needed"
            ),
            Self::Full { .. } => write!(
                f,
                "there is no room left; free some on the device, or delete what is not needed"
            ),
            Self::Superseded => write!(f, "another process has taken the store over"),
            Self::Gone { reason } => write!(f, "what was stored is gone: {reason}"),
            Self::Failed { reason } => write!(f, "{reason}"),
        }
    }
}

impl Error for StorageError {}
