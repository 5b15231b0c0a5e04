//! Every byte that crosses between peers: frames, and how to read them from someone who may be hostile.
//!
//! A [`Frame`] is parsed at the edge into values that cannot be out of bounds; beyond this room nobody looks at bytes. All
//! numbers are unsigned LEB128 varints unless said otherwise; fixed-width integers are little-endian. Lengths are checked
//! before anything is allocated for them. `PROTOCOL.md` draws each frame byte by byte.

mod authors;
pub(crate) mod bytes;
mod end;
mod error;
mod events;
mod frame;
mod gossip;
mod hello;
mod leaves;
mod presence;
mod trie;

pub use authors::AuthorTable;
pub use end::{End, FORKS_MAX};
pub(crate) use end::{read_found, write_found};
pub use error::WireError;
pub use events::{Described, EventReader, EventWriter, LiveEvent};
pub use frame::{Frame, Share, Tag, choices, paged, write_choice};
pub use gossip::{Gossip, TxnWriter};
pub use hello::{Base, EPOCH, Hello, Wishes};
pub use leaves::{Bits, Leaf, LeafWriter, Leaves, bit_of, read_leaves};
pub use presence::{PRESENCE_BYTES_MAX, Presence};
pub use trie::{
    INNER_BYTES_MAX, Item, LIMIT_BYTES_MAX, LiveItem, Node, NodeReader, Prefix, RADIX, read_limits, write_inner,
    write_leaf, write_limit,
};

use crate::{
    id::{AuthorId, Dot},
    time::{Hlc, Timestamp},
};

/// The protocol spoken. A peer with another version is refused by name, before anything else is read.
pub const VERSION: u8 = 1;

/// The longest frame, in bytes. Small enough that a slow peer's link is never held for long by one frame, large enough that
/// headers do not count.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// The longest key, in bytes of UTF-8. Keys are resident in memory for ever; a kilobyte is a long path.
pub const KEY_BYTES_MAX: usize = 1024;

/// The longest value, in bytes. It is held whole in memory at both ends while it crosses.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest value that travels inside an event. A longer one follows its event in frames of its own, so that a frame is
/// never longer than [`FRAME_BYTES_MAX`].
pub const INLINE_VALUE_BYTES_MAX: usize = 32 * 1024;

/// The most events of one transaction: bounds the work of one indivisible step.
pub const TXN_EVENTS_MAX: usize = 65_536;

/// The most dots one event may supersede: the largest number for which an event with the longest key and inline value still
/// fits a frame (1,024 x 27 bytes + 1 KiB + 32 KiB + header < 64 KiB).
pub const REMOVES_MAX: usize = 1_024;

/// The most authors a version vector may name. At 19 bytes each this is what a session can carry in a few seconds.
pub const AUTHORS_MAX: usize = 1_000_000;

/// The most transactions a frontier may name. Honest replicas name few: each write joins all that its author saw.
pub const FRONTIER_MAX: usize = 65_536;

/// A dot's number may not exceed this, so that arithmetic on numbers cannot overflow: at a million events a second an author
/// reaches it after 142 years.
pub const DOT_NUMBER_MAX: u64 = 1 << 52;

/// What the first stamp of a session's stream is written relative to: 2025-06-15, so that it takes a byte less than from 1970.
pub const STAMP_ORIGIN: Hlc = Hlc::at(Timestamp(1_750_000_000_000));

/// Bytes of the fixed-width forms.
const AUTHOR_BYTES: usize = size_of::<AuthorId>();

fn checked_dot(author: AuthorId, n: u64) -> Result<Dot, WireError> {
    if (1..=DOT_NUMBER_MAX).contains(&n) {
        Ok(Dot::new(author, n))
    } else {
        Err(WireError::OutOfRange("dot number"))
    }
}
