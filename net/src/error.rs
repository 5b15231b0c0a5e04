//! What can go wrong when a store is opened and when it is written to.

use std::{error::Error, fmt};

use gossipstore_core::replica::CommandError;

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
    /// Another process has taken the store over before this was durable. Whoever made a call makes it again there; a command may be known
    /// to peers.
    Superseded,
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
            Self::Closed | Self::Superseded => None,
        }
    }
}
