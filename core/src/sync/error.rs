//! Why a session ends early.

use core::fmt;

use crate::{id::Dot, wire::WireError};

/// Why a session was given up. Nothing of it has become visible; another session starts from the same state.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer sent bytes that are no frame.
    Wire(WireError),
    /// The peer holds another store.
    WrongStore,
    /// A frame is missing or came twice.
    OutOfOrder {
        /// The place of the frame awaited.
        expected: u64,
        /// The place of the frame that came.
        received: u64,
    },
    /// An event that was not asked for, comes twice, or is beyond what the peer says it holds.
    UnexpectedEvent(Dot),
    /// A key was left out that is not known here. The next session asks for every key.
    UnknownKey(Dot),
    /// A large value came without its event, is longer than announced, or is still missing at the end.
    UnexpectedBody,
    /// A large value does not have the hash announced.
    WrongHash,
    /// The peer says that it has seen events which it did not describe.
    NotDescribed {
        /// How many.
        events: u64,
    },
    /// A frame that nothing has called for.
    OutOfPlace(&'static str),
    /// The peer has seen exactly what is seen here, and yet holds other entries: the storage of one of both has lost some.
    Diverged {
        /// In how many blocks of 256 events.
        blocks: usize,
    },
    /// The session would stage more than the stage holds (512 MiB).
    StageFull {
        /// How many bytes were staged.
        bytes: usize,
    },
    /// With what the peer holds, the vector would name more authors than [`crate::wire::AUTHORS_MAX`].
    TooManyAuthors,
    /// Nothing came for as long as [`crate::replica::Config::session_patience`].
    Silent,
}

impl From<WireError> for SessionError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::UnknownKey(dot) => Self::UnknownKey(dot),
            error => Self::Wire(error),
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(error) => write!(f, "malformed frame: {error}"),
            Self::WrongStore => write!(f, "the peer holds another store"),
            Self::OutOfOrder { expected, received } => write!(f, "frame {received} came where {expected} was expected"),
            Self::UnexpectedEvent(dot) => write!(f, "event {dot:?} is out of place"),
            Self::UnknownKey(dot) => write!(f, "the key of {dot:?} was left out and is not known here"),
            Self::UnexpectedBody => write!(f, "a large value is out of place"),
            Self::WrongHash => write!(f, "a large value does not have its hash"),
            Self::NotDescribed { events } => write!(f, "the peer has left out {events} events"),
            Self::OutOfPlace(what) => write!(f, "{what}"),
            Self::Diverged { blocks } => write!(
                f,
                "the peer has seen the same events and holds other entries in {blocks} blocks: the storage of one of both was damaged"
            ),
            Self::StageFull { bytes } => write!(f, "the session brought {bytes} bytes, more than can be staged"),
            Self::TooManyAuthors => write!(f, "the version vector would name too many authors"),
            Self::Silent => write!(f, "the peer fell silent"),
        }
    }
}

impl core::error::Error for SessionError {}
