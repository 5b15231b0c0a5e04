//! What can go wrong when a store is opened and when it is written to.

use std::{error::Error, fmt};

use gossipstore_core::{
    disk::BackupError,
    replica::{CommandError, Key, OpeningError},
    wire::PRESENCE_BYTES_MAX,
};

use crate::storage::StorageError;

/// Why a store could not be opened. Nothing was started.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is empty.
    EmptyName,
    /// More relays than a node keeps in touch with.
    TooManyRelays {
        /// How many were given.
        given: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A relay's address cannot be used.
    InvalidRelayAddress {
        /// The address as it was given.
        address: String,
        /// What is wrong with it, and what a right one looks like.
        reason: String,
    },
    /// What was stored cannot be read. It is left as it is.
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// Another store is kept under the name already. It is left as it is.
    OtherStore {
        /// The name.
        name: String,
    },
    /// The storage does not keep even what makes this device a member.
    Unkeepable(StorageError),
    /// The system would not give what the node needs: random bytes, or a socket.
    System {
        /// The system's own words.
        reason: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => write!(f, "the store's name is empty; give it one that all its members use"),
            Self::TooManyRelays { given, max } => {
                write!(
                    f,
                    "{given} relays were given; at most {max} are allowed, and two or three are plenty"
                )
            }
            Self::InvalidRelayAddress { address, reason } => {
                write!(f, "the relay address `{address}` cannot be used: {reason}")
            }
            Self::Unreadable { reason } => write!(
                f,
                "what is stored of this store cannot be read: {reason}; delete it to begin with what other members have"
            ),
            Self::OtherStore { name } => write!(
                f,
                "a store named `{name}` is on this device already, and it is not the one that is to be joined; give this one another name"
            ),
            Self::Unkeepable(error) => write!(f, "the store cannot be kept: {error}"),
            Self::System { reason } => write!(f, "the system refused what the node needs to start: {reason}"),
        }
    }
}

impl Error for OpenError {}

/// Why a write did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The replica refused it; the inner error says whether anything was changed.
    Command(CommandError),
    /// The store was closed, or its node has ended. Nothing was changed.
    Closed,
    /// Another replica could not be merged: what it sent was refused, or it fell silent. Part of it may be here.
    MergeFailed,
    /// The storage cannot be read at present.
    Unreadable {
        /// The system's own words.
        reason: String,
    },
    /// The storage has lost a value, or damaged it. It is fetched from the next peer that has it.
    ValueLost {
        /// The key that it stands under.
        key: Key,
    },
    /// What a tab is to say of itself is longer than [`PRESENCE_BYTES_MAX`]. Nothing was changed.
    PresenceTooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Another process has taken the store over before this was durable. Whoever made a call makes it again there; a command may be known
    /// to peers.
    Superseded,
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        let reason = error.to_string();
        Self::Unreadable { reason }
    }
}

impl From<CommandError> for StoreError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::Closed => write!(f, "the store is closed; open it again to write"),
            Self::MergeFailed => write!(f, "the other replica could not be merged; try it again"),
            Self::Unreadable { reason } => write!(f, "what is stored cannot be read at present: {reason}"),
            Self::ValueLost { key } => write!(
                f,
                "the value of {key:?} is damaged on this device; it is fetched from the next peer that has it, or write another"
            ),
            Self::PresenceTooLarge { bytes } => write!(
                f,
                "what is said of who is present takes {bytes} bytes; at most {PRESENCE_BYTES_MAX} are allowed: store the rest under a key"
            ),
            Self::Superseded => write!(
                f,
                "another process has taken the store over; what was asked for here is not stored"
            ),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Command(error) => Some(error),
            Self::Closed
            | Self::MergeFailed
            | Self::Unreadable { .. }
            | Self::ValueLost { .. }
            | Self::PresenceTooLarge { .. }
            | Self::Superseded => None,
        }
    }
}

/// Why a file was not taken in.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ImportError {
    /// It is not what was exported. Nothing was changed.
    File(BackupError),
    /// What it holds is no replica. Nothing was changed.
    Replica(OpeningError),
    /// The system gives no random bytes. Nothing was changed.
    System {
        /// The system's own words.
        reason: String,
    },
    /// The store did not take it.
    Store(StoreError),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Replica(error) => write!(f, "what the file holds is no replica: {error}"),
            Self::System { reason } => write!(f, "the system refused random bytes: {reason}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for ImportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Replica(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::System { .. } => None,
        }
    }
}
