//! The end of an answer.
//!
//! ```text
//! END = 5, tag (2), varint sequence, flags, [varint count, count x (author reference, varint number),
//!       then to the end: author reference, varint number]
//!   flags  1 = more END frames follow   2 = judged   4 = named   8 = the frontier is the last event described
//!   The count is left out where nothing follows it.
//! ```

use alloc::vec::Vec;

use super::{
    AuthorTable, DOT_NUMBER_MAX, FRAME_BYTES_MAX, Tag, WireError,
    bytes::{Reader, Writer},
    events::{read_dot, write_dot},
    frame::{END, HEAD_BYTES_MAX, ITEM_BYTES_MAX, VARINT_BYTES_MAX, head},
};
use crate::id::{AuthorId, Dot};

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
    /// Whether the frontier is one dot, that of the last event described; it is left out then.
    pub last: bool,
    /// The counts in which the sender's vector differs from the receiver's, raised by the events described; 0 for authors that the
    /// sender does not know.
    pub vector: Vec<(AuthorId, u64)>,
    /// The sender's frontier.
    pub frontier: Vec<Dot>,
}

const MORE: u8 = 1;
const JUDGED: u8 = 2;
const NAMED: u8 = 4;
const LAST: u8 = 8;

/// How many counts or dots an END frame can name.
const ITEMS_MAX: usize = (FRAME_BYTES_MAX - HEAD_BYTES_MAX - 1 - VARINT_BYTES_MAX) / ITEM_BYTES_MAX;

impl End {
    /// The frames that end an answer. `sequence` is that of the first.
    pub fn frames(self, tag: Tag, sequence: u64, authors: &mut AuthorTable) -> Vec<Vec<u8>> {
        let (mut vector, mut frontier) = (&self.vector[..], &self.frontier[..]);
        let mut frames = Vec::new();
        loop {
            let (counts, more_counts) = vector.split_at(vector.len().min(ITEMS_MAX));
            let (dots, more_dots) = frontier.split_at(frontier.len().min(ITEMS_MAX - counts.len()));
            (vector, frontier) = (more_counts, more_dots);
            let more = !vector.is_empty() || !frontier.is_empty();
            let mut out = head(END, tag, sequence + frames.len() as u64, 0);
            let flag = |set: bool, flag: u8| u8::from(set) * flag;
            out.byte(flag(more, MORE) | flag(self.judged, JUDGED) | flag(self.named, NAMED) | flag(self.last, LAST));
            // Mostly nothing is left to say.
            if !counts.is_empty() || !dots.is_empty() {
                out.varint(counts.len() as u64);
            }
            for (author, n) in counts {
                authors.write(*author, &mut out);
                out.varint(*n);
            }
            for dot in dots {
                write_dot(authors, *dot, &mut out);
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
        if flags & !(MORE | JUDGED | NAMED | LAST) != 0 {
            return Err(WireError::OutOfRange("flags of END"));
        }
        let mut end = Self {
            more: flags & MORE != 0,
            judged: flags & JUDGED != 0,
            named: flags & NAMED != 0,
            last: flags & LAST != 0,
            ..Self::default()
        };
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
            end.frontier.push(read_dot(authors, &mut from)?);
        }
        Ok(end)
    }
}
