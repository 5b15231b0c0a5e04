//! How a replica lies on a disk: records under ordered keys, written in atomic transactions.
//!
//! A storage need not know more than that. It is a map from bytes to bytes that carries out a [`Transaction`] whole or not at all and
//! gives its records back in the order of their keys; IndexedDB, redb and a `BTreeMap` are all three of this kind.
//!
//! ```text
//! key                    record
//! 0                      state       what is known of everything: name, vector, frontier, where the journal begins
//! 0, 0                   membership  what makes this device a member, and the relays where it meets others
//! 1, number (8 bytes)    commit      one or more batches, as they were made, or a part of one
//! 2, number (8 bytes)    ring        what events that died lately had removed
//! 3, text                page        the live entries of all keys from this text on, up to the next page's
//! 4, author, n (8 bytes) body        a value that is too large to stand in a commit or page
//! ```
//!
//! A write is one commit, or several if it is long, appended to the journal; this is what it waits for. When the journal has become long,
//! or nothing else is to be done, the pages that it concerns are written anew, a few at a time, and what it says of them is forgotten.
//! So what is written one by one costs one small record each, what lies on the disk is little more than what lives, and of entries that
//! died nothing is left, whatever their number.
//!
//! A process that had the disk may be taken for dead and be alive, like a tab that was frozen. So commits are numbered without a hole,
//! each transaction is carried out only if nothing stands under the number of the next commit ([`Transaction::guard`]), and whoever
//! takes the disk over uses that number up, by an empty commit: a *void* ([`Reading::seizure`]). What the other still writes is then
//! refused. Voids stay when the journal is cut.
//!
//! Pages are in the order of keys, not of dots: an overwrite then changes one page and leaves no hole in another, and one key or a
//! range of them can be read without the others. What a page says of a value that memory has no room for is read again before the page is
//! written anew ([`Disk::wants`]).
//!
//! [`Disk`] decides what is to be written when; [`Reading`] reads it again, and a [`Glimpse`] single keys before all is read. None of
//! them touches a disk. [`export`] puts the same records into one file.
//!
//! Events are written as in a session (`wire::events`), with other bounds for what stands in them: [`INLINE_BYTES_MAX`]. Numbers in keys
//! are big-endian, so that their order is that of the bytes.

mod backup;
mod commit;
mod error;
mod glimpse;
mod membership;
mod page;
mod place;
mod reading;
mod record;
mod ring;
mod state;
mod waiting;
mod writing;

pub use backup::{BackupError, Record, export, import};
pub use error::DiskError;
pub use glimpse::{Glimpse, Glimpsed};
pub use membership::{Membership, Standing};
pub use place::values;
pub use reading::{Kept, Lying, Reading};
pub use record::Transaction;
pub use writing::{Disk, Leisure};

use crate::cache::Limits;

/// How much is written at a time, and when what can wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// How many entries a page has at most. A change of one entry writes its page anew.
    pub page_entries: usize,
    /// How many bytes of keys and values it has at most: about as much as a disk writes anyway.
    pub page_bytes: usize,
    /// How many bytes of events a commit has at most, or a little more: of what is longer it takes several, in one transaction.
    pub commit_bytes: usize,
    /// How many bytes of what is to be written are made ready in one turn, at first: a few milliseconds.
    pub prepared_bytes: usize,
    /// How many bytes of pages are written in one transaction: a few milliseconds, so that nobody waits long behind it.
    pub tidied_bytes: usize,
    /// Beyond this length the journal is worked off when no write waits. What it says has to be taken in anew at each opening, which
    /// takes some ten milliseconds for so much.
    pub journal_bytes_long: usize,
    /// How many bytes of pages are written in one transaction at most, when the journal has outgrown its bound.
    pub tidied_bytes_max: usize,
    /// Beyond this length it is worked off beside the writes that wait, beyond twice as much faster than they come: it must not grow for
    /// ever because somebody never pauses.
    pub journal_bytes_max: usize,
}

impl Sizes {
    /// Those for a store whose values have so much room in memory. What only the journal holds stays there, so it must not grow beyond
    /// a part of that.
    pub fn within(values: &Limits) -> Self {
        let all = Self::default();
        let bytes = usize::try_from(values.max_bytes()).unwrap_or(usize::MAX);
        Self {
            journal_bytes_long: all.journal_bytes_long.min(bytes / 16),
            journal_bytes_max: all.journal_bytes_max.min(bytes / 8),
            ..all
        }
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            page_entries: 256,
            page_bytes: 32 * 1024,
            commit_bytes: 256 * 1024,
            prepared_bytes: 1024 * 1024,
            tidied_bytes: 128 * 1024,
            tidied_bytes_max: 4 * 1024 * 1024,
            journal_bytes_long: 512 * 1024,
            journal_bytes_max: 4 * 1024 * 1024,
        }
    }
}

/// The version of the format. A newer one is refused by name, before anything else is read; older ones are read, and the first
/// transaction says that this one has written since.
pub const FORMAT: u8 = 4;

/// The first version that keeps a membership.
const FORMAT_MEMBERS: u8 = 3;

/// The first in which transactions are hashed.
const FORMAT_HASHES: u8 = 4;

/// The oldest version that is read. It did not tell totals, and knew no voids.
pub const FORMAT_FIRST: u8 = 1;

/// A longer value is a record of its own: it is written once, and not again with every page that its neighbours change.
pub const INLINE_BYTES_MAX: usize = 4 * 1024;
