//! A replica as one file, to be kept elsewhere.
//!
//! ```text
//! file   = magic (16 bytes), version (1 byte), store (16 bytes), records in the order of their keys, 0, sum
//! record = varint length of its key (not 0), key, varint length, bytes
//! sum    = BLAKE3 of all before it (32 bytes)
//! ```
//!
//! The records are those of a disk that is tidied up: state, ring, pages and bodies, without a journal.

use alloc::vec::Vec;
use core::fmt;

use super::{Disk, Sizes};
use crate::{
    causality::{Absent, Value},
    id::StoreId,
    store::Store,
    wire::{
        WireError,
        bytes::{Reader, Writer as _},
    },
};

/// How each file begins.
const MAGIC: &[u8; 16] = b"GossipStore file";

/// The version of what is around the records, which have their own.
const VERSION: u8 = 1;

const SUM_BYTES: usize = 32;

/// Why a file is not a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BackupError {
    /// It is another kind of file.
    Other,
    /// A newer version of GossipStore has written it.
    Version(u8),
    /// It is damaged, or was cut short.
    Damaged,
}

/// All that a replica holds, as a file. `value` gives the values that are not in memory.
pub fn export(id: StoreId, store: &Store, value: impl FnMut(&Absent) -> Option<Value>) -> Vec<u8> {
    let mut file = Vec::from(*MAGIC);
    file.push(VERSION);
    file.extend(id.0);
    for (key, record) in Disk::image(id, Sizes::default(), store, value).changes {
        let record = record.unwrap_or_default();
        file.varint(key.len() as u64);
        file.extend(key);
        file.varint(record.len() as u64);
        file.extend(record);
    }
    file.varint(0);
    let sum = blake3::hash(&file);
    file.extend(sum.as_bytes());
    file
}

/// The records in a file, in the order of their keys, and the store that it was exported from.
///
/// # Errors
/// When the file is not what [`export`] has made.
pub fn import(file: &[u8]) -> Result<(StoreId, Vec<Record<'_>>), BackupError> {
    let rest = file.strip_prefix(MAGIC).ok_or(BackupError::Other)?;
    match rest.first() {
        Some(&VERSION) => {}
        Some(&newer) => return Err(BackupError::Version(newer)),
        None => return Err(BackupError::Damaged),
    }
    let length = file.len().checked_sub(SUM_BYTES).ok_or(BackupError::Damaged)?;
    let (all, sum) = file.split_at(length);
    if blake3::hash(all).as_bytes() != sum {
        return Err(BackupError::Damaged);
    }
    let records = all.get(MAGIC.len() + 1..).ok_or(BackupError::Damaged)?;
    read(&mut Reader::new(records)).map_err(|_| BackupError::Damaged)
}

/// A record: key and bytes.
pub type Record<'a> = (&'a [u8], &'a [u8]);

fn read<'a>(from: &mut Reader<'a>) -> Result<(StoreId, Vec<Record<'a>>), WireError> {
    let (id, mut records) = (StoreId(from.array()?), Vec::new());
    loop {
        let length = from.length("key", usize::MAX)?;
        if length == 0 {
            return Ok((id, records));
        }
        let key = from.take(length)?;
        let length = from.length("record", usize::MAX)?;
        records.push((key, from.take(length)?));
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => write!(f, "the file was not exported from a GossipStore"),
            Self::Version(version) => write!(
                f,
                "the file has version {version}, and this version of GossipStore knows files up to {VERSION}; use a newer one"
            ),
            Self::Damaged => write!(f, "the file is damaged or was cut short; use another copy"),
        }
    }
}

impl core::error::Error for BackupError {}
