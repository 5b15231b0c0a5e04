//! What can be wrong with records from a disk.

use core::fmt;

use crate::{causality::Key, id::StoreId, wire::WireError};

/// Why the records on a disk are not a replica. Nothing was changed by reading them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DiskError {
    /// A newer version of GossipStore has written them.
    Format(u8),
    /// They are another store's.
    Store(StoreId),
    /// There are records, but not the one that says what they are.
    StateMissing,
    /// There are records of a version that keeps a membership, and none is there.
    MembershipMissing,
    /// A record stands under a key that has no meaning.
    Key,
    /// A record is not what was written under its key.
    Damaged {
        /// What it should be.
        what: &'static str,
        /// What is wrong, where more is known than that its sum is.
        error: Option<WireError>,
    },
    /// A page is missing: the one that begins with this text.
    PageMissing(Key),
    /// A commit is missing from among the others.
    CommitMissing(u64),
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(version) => write!(
                f,
                "it has format {version}, and this version of GossipStore knows formats up to {}; use a newer one",
                super::FORMAT
            ),
            Self::Store(store) => write!(f, "it belongs to another store, {store:?}"),
            Self::StateMissing => write!(f, "the record that says what it is is missing"),
            Self::MembershipMissing => write!(f, "the record that says whose it is is missing"),
            Self::Key => write!(f, "there is a record that GossipStore has not written"),
            Self::Damaged { what, error: None } => write!(f, "a {what} record is damaged"),
            Self::Damaged {
                what,
                error: Some(error),
            } => write!(f, "a {what} record is damaged: {error}"),
            Self::PageMissing(first) => write!(f, "the page from {first:?} on is missing"),
            Self::CommitMissing(number) => write!(f, "commit {number} is missing"),
        }
    }
}

impl core::error::Error for DiskError {}
