//! What can be wrong with bytes from a peer.

use core::fmt;

use crate::id::Dot;

/// Why bytes are not a frame. Nothing was changed by reading them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WireError {
    /// They end too early.
    Truncated,
    /// Something follows where nothing may.
    Trailing {
        /// How many bytes too many.
        bytes: usize,
    },
    /// A frame of a kind that this version does not know.
    UnknownFrame(u8),
    /// The peer speaks another version of the protocol.
    Version(u8),
    /// The peer speaks of another epoch: authors were retired there that are not here.
    Epoch(u64),
    /// A length or count above its bound.
    TooLong {
        /// Of what.
        what: &'static str,
        /// As announced.
        length: u64,
        /// The bound.
        max: u64,
    },
    /// A number that has no meaning where it stands.
    OutOfRange(&'static str),
    /// A key was left out because the receiver should know it by this dot, and does not.
    UnknownKey(Dot),
    /// Text that is not UTF-8.
    NotUtf8,
    /// The value of a counter's event is no integer.
    CounterNotInteger(Dot),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the frame ends too early"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes follow the end of the frame"),
            Self::UnknownFrame(kind) => write!(f, "frame kind {kind} is unknown"),
            Self::Version(version) => {
                write!(
                    f,
                    "the peer speaks protocol version {version}, this replica {}",
                    super::VERSION
                )
            }
            Self::Epoch(epoch) => write!(
                f,
                "the peer is in epoch {epoch}, this replica in epoch {}",
                super::EPOCH
            ),
            Self::TooLong { what, length, max } => write!(f, "{what}: {length} is above the bound of {max}"),
            Self::OutOfRange(what) => write!(f, "{what} is out of range"),
            Self::UnknownKey(dot) => write!(f, "the key of {dot:?} is not known here"),
            Self::NotUtf8 => write!(f, "a key is not UTF-8"),
            Self::CounterNotInteger(dot) => write!(f, "{dot:?} is a counter's, and its value is no integer"),
        }
    }
}

impl core::error::Error for WireError {}
