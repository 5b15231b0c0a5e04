//! The end of an answer.
//!
//! ```text
//! END = 5, tag (2), varint sequence, flags, [hash (16)], [varint count, count x fork], [varint count, count x (author reference, varint
//!       number), then to the end: tips (see `gossip`)]
//!   flags  1 = more END frames follow   2 = judged   4 = named   8 = the frontier is the last event described, with this hash
//!         16 = forks that are known follow
//!   fork = author reference, varint number, 0, 2 hashes of transactions (16) | 1, 2 prints of events (8)
//!   The last count is left out where nothing follows it.
//! ```

use alloc::vec::Vec;

use super::{
    AuthorTable, DOT_NUMBER_MAX, FRAME_BYTES_MAX, Tag, WireError,
    bytes::{Reader, Writer},
    events::{read_dot, read_tip, write_dot, write_tip},
    frame::{END, HEAD_BYTES_MAX, ITEM_BYTES_MAX, VARINT_BYTES_MAX, flag, head},
};
use crate::{
    causality::{Fork, Found, Tip},
    id::{AuthorId, Dot, TxnHash},
};

/// The end of an answer, or a part of it: the sender's state in terms of the receiver's vector.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// Whether more END frames follow.
    pub more: bool,
    /// Whether some dead events were not described. Then what LEAVES or a descent has shown to be dead is removed, and so is what lies
    /// beyond the HELLO and was not described as live.
    pub judged: bool,
    /// Whether LEAVES named every live dot of the sender, whatever HELLO announced: what it covers beyond them is removed.
    pub named: bool,
    /// The hash of the only transaction of the frontier, where that ends with the last event described; it is left out then.
    pub last: Option<TxnHash>,
    /// The forks that the sender knows of.
    pub forks: Vec<Fork>,
    /// The counts in which the sender's vector differs from the receiver's, raised by the events described; 0 for authors that the
    /// sender does not know.
    pub vector: Vec<(AuthorId, u64)>,
    /// The sender's frontier.
    pub frontier: Vec<Tip>,
}

const MORE: u8 = 1;
const JUDGED: u8 = 2;
const NAMED: u8 = 4;
const LAST: u8 = 8;
const FORKS: u8 = 16;

const HASH_BYTES: usize = size_of::<TxnHash>();

/// How many counts or tips an END frame can name.
const ITEMS_MAX: usize =
    (FRAME_BYTES_MAX - HEAD_BYTES_MAX - 1 - HASH_BYTES - VARINT_BYTES_MAX) / (ITEM_BYTES_MAX + HASH_BYTES);

/// How many forks are told, and remembered. One is known by its author; honest authors make none, so more only serve who makes them up.
pub const FORKS_MAX: usize = 64;

/// All fit one frame.
const _: () = assert!(FORKS_MAX * (ITEM_BYTES_MAX + 1 + 2 * HASH_BYTES) < FRAME_BYTES_MAX - HEAD_BYTES_MAX - 64);

impl End {
    /// The frames that end an answer. `sequence` is that of the first.
    pub fn frames(self, tag: Tag, sequence: u64, authors: &mut AuthorTable) -> Vec<Vec<u8>> {
        let (mut vector, mut frontier, mut forks) = (&self.vector[..], &self.frontier[..], &self.forks[..]);
        let mut frames = Vec::new();
        loop {
            // Forks have a frame for themselves.
            let items_max = if forks.is_empty() { ITEMS_MAX } else { 0 };
            let (counts, more_counts) = vector.split_at(vector.len().min(items_max));
            let (tips, more_tips) = frontier.split_at(frontier.len().min(items_max - counts.len()));
            (vector, frontier) = (more_counts, more_tips);
            let more = !vector.is_empty() || !frontier.is_empty();
            let mut out = head(END, tag, sequence + frames.len() as u64, 0);
            out.byte(
                flag(more, MORE)
                    | flag(self.judged, JUDGED)
                    | flag(self.named, NAMED)
                    | flag(self.last.is_some(), LAST)
                    | flag(!forks.is_empty(), FORKS),
            );
            if let Some(hash) = self.last {
                out.put(&hash.0);
            }
            if !forks.is_empty() {
                out.varint(forks.len() as u64);
                for fork in forks {
                    write_fork(authors, fork, &mut out);
                }
                forks = &[];
            }
            // Mostly nothing is left to say.
            if !counts.is_empty() || !tips.is_empty() {
                out.varint(counts.len() as u64);
            }
            for (author, n) in counts {
                authors.write(*author, &mut out);
                out.varint(*n);
            }
            for tip in tips {
                write_tip(authors, *tip, &mut out);
            }
            frames.push(out);
            if !more {
                return frames;
            }
        }
    }

    /// Reads the payload of an END frame.
    ///
    /// # Errors
    /// When the bytes are malformed.
    pub fn decode(bytes: &[u8], authors: &mut AuthorTable) -> Result<Self, WireError> {
        let mut from = Reader::new(bytes);
        let flags = from.byte()?;
        if flags & !(MORE | JUDGED | NAMED | LAST | FORKS) != 0 {
            return Err(WireError::OutOfRange("flags of END"));
        }
        let mut end = Self {
            more: flags & MORE != 0,
            judged: flags & JUDGED != 0,
            named: flags & NAMED != 0,
            ..Self::default()
        };
        if flags & LAST != 0 {
            end.last = Some(TxnHash(from.array()?));
        }
        if flags & FORKS != 0 {
            for _ in 0..from.length("forks", FORKS_MAX)? {
                end.forks.push(read_fork(authors, &mut from)?);
            }
        }
        let count = if from.is_empty() {
            0
        } else {
            from.length("counts", ITEMS_MAX)?
        };
        for _ in 0..count {
            let author = authors.read(&mut from)?;
            let n = from.varint()?;
            if n > DOT_NUMBER_MAX {
                return Err(WireError::OutOfRange("count in a vector"));
            }
            end.vector.push((author, n));
        }
        while !from.is_empty() {
            end.frontier.push(read_tip(authors, &mut from)?);
        }
        Ok(end)
    }
}

fn write_fork(authors: &mut AuthorTable, fork: &Fork, out: &mut Vec<u8>) {
    write_dot(authors, fork.dot, out);
    write_found(fork.found, out);
}

fn read_fork(authors: &mut AuthorTable, from: &mut Reader<'_>) -> Result<Fork, WireError> {
    let dot = read_dot(authors, from)?;
    read_found(dot, from)
}

/// Appends what was found under the dot of a fork, which stands before it.
pub(crate) fn write_found(found: Found, out: &mut Vec<u8>) {
    match found {
        Found::Transactions(one, other) => {
            out.byte(0);
            out.put(&one.0);
            out.put(&other.0);
        }
        Found::Events(one, other) => {
            out.byte(1);
            out.put(&one.to_le_bytes());
            out.put(&other.to_le_bytes());
        }
    }
}

/// Reads what [`write_found`] wrote.
pub(crate) fn read_found(dot: Dot, from: &mut Reader<'_>) -> Result<Fork, WireError> {
    let fork = match from.byte()? {
        0 => Fork::of_transactions(dot, TxnHash(from.array()?), TxnHash(from.array()?)),
        1 => {
            let mut print = || from.array().map(u64::from_le_bytes);
            Fork::of_events(dot, print()?, print()?)
        }
        _ => None,
    };
    fork.ok_or(WireError::OutOfRange("fork"))
}
