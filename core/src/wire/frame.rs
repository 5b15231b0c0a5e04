//! The frames of a session.
//!
//! ```text
//! HELLO   1, version, store (16), tag (4), flags (1 = more HELLO frames of this tag follow, 2 = spell every key),
//!         then to the end: author (16), varint number
//! EVENTS  2, tag (4), varint sequence, varint events still to come after this frame, events (see `events`)
//! BODY    3, tag (4), varint sequence, bytes of the large value that the last event named
//! LEAVES  4, tag (4), varint sequence, then to the end: author, varint block, bitmap
//! END     5, tag (4), varint sequence, flags (1 = more END frames follow, 2 = the LEAVES frames name every live dot),
//!         varint count, count x (author, varint number), then to the end: author, varint number
//! DIGEST  6, digest (16)
//! bitmap  = 255: all 256 dots are live; else a length up to 32 and so many bytes, least significant bit first
//! ```

use alloc::vec::Vec;

use super::{
    AUTHOR_BYTES, AuthorTable, DOT_NUMBER_MAX, FRAME_BYTES_MAX, VERSION, WireError,
    bytes::{Reader, Writer},
    events::{read_dot, write_dot},
};
use crate::{
    causality::VersionVector,
    id::{AuthorId, Digest, Dot, StoreId},
};

/// Says which HELLO a frame answers, so that a late frame of an earlier session is not taken for one of the present.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub u32);

/// One frame, its parts still in the bytes it came in where only the session knows how to read them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// A request: this is what I hold, send me the rest.
    Hello(Hello),
    /// Events, in order.
    Events {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer, from 0.
        sequence: u64,
        /// Events still to come after this frame, as far as the sender knows.
        remaining: u64,
        /// For [`super::EventReader::read`].
        events: &'a [u8],
    },
    /// The next bytes of a large value.
    Body {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// Bytes.
        bytes: &'a [u8],
    },
    /// Live dots by block.
    Leaves {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// For [`LeafReader`].
        leaves: &'a [u8],
    },
    /// The answer is complete.
    End {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// For [`End::decode`].
        end: &'a [u8],
    },
    /// The digest of what the sender holds now.
    Digest(Digest),
}

/// The beginning of a session: what the receiver of events holds. A vector that does not fit one frame comes in several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The store.
    pub store: StoreId,
    /// Names the session in the frames of the answer.
    pub tag: Tag,
    /// Whether more frames with more of the vector follow.
    pub more: bool,
    /// Whether every key is to be spelled, because one that was left out was not known.
    pub spell: bool,
    /// A part of the vector.
    pub vector: Vec<(AuthorId, u64)>,
}

/// The end of an answer, or a part of it: the sender's state in terms of the receiver's vector.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// Whether more END frames follow.
    pub more: bool,
    /// Whether the LEAVES frames before named every live dot of the sender, so that others are removed.
    pub leaves: bool,
    /// The counts in which the sender's vector differs from the receiver's; 0 for authors that the sender does not know.
    pub vector: Vec<(AuthorId, u64)>,
    /// The sender's frontier.
    pub frontier: Vec<Dot>,
}

/// The live dots of one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Whose events.
    pub author: AuthorId,
    /// The block's index: it holds the dots from 256 x block + 1 on.
    pub block: u64,
    /// One bit a dot.
    pub live: [u64; 4],
}

const HELLO: u8 = 1;
const EVENTS: u8 = 2;
const BODY: u8 = 3;
const LEAVES: u8 = 4;
const END: u8 = 5;
const DIGEST: u8 = 6;

const MORE: u8 = 1;
const NAMED_BY_LEAVES: u8 = 2;
const SPELL: u8 = 2;

/// The most bytes that a varint takes.
const VARINT_BYTES_MAX: usize = 10;
/// Kind, tag and sequence.
const HEAD_BYTES_MAX: usize = 1 + size_of::<Tag>() + VARINT_BYTES_MAX;
/// Author reference and number, at their longest.
const ITEM_BYTES_MAX: usize = 1 + AUTHOR_BYTES + VARINT_BYTES_MAX;

/// Kind, version, store, tag and flags.
const HELLO_HEAD_BYTES: usize = 2 + size_of::<StoreId>() + size_of::<Tag>() + 1;

/// How many authors a HELLO frame can name.
const HELLO_AUTHORS_MAX: usize = (FRAME_BYTES_MAX - HELLO_HEAD_BYTES) / (AUTHOR_BYTES + VARINT_BYTES_MAX);
/// How many counts or dots an END frame can name.
const END_ITEMS_MAX: usize = (FRAME_BYTES_MAX - HEAD_BYTES_MAX - 1 - VARINT_BYTES_MAX) / ITEM_BYTES_MAX;

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() > FRAME_BYTES_MAX {
            let (length, max) = (bytes.len() as u64, FRAME_BYTES_MAX as u64);
            return Err(WireError::TooLong {
                what: "frame",
                length,
                max,
            });
        }
        let mut from = Reader::new(bytes);
        let kind = from.byte()?;
        match kind {
            HELLO => Hello::decode(from).map(Self::Hello),
            DIGEST => {
                let digest = Digest(from.array()?);
                from.finish()?;
                Ok(Self::Digest(digest))
            }
            EVENTS | BODY | LEAVES | END => {
                let tag = Tag(u32::from_le_bytes(from.array()?));
                let sequence = from.varint()?;
                Ok(match kind {
                    EVENTS => Self::Events {
                        tag,
                        sequence,
                        remaining: from.varint()?,
                        events: from.rest(),
                    },
                    BODY => Self::Body {
                        tag,
                        sequence,
                        bytes: from.rest(),
                    },
                    LEAVES => Self::Leaves {
                        tag,
                        sequence,
                        leaves: from.rest(),
                    },
                    _ => Self::End {
                        tag,
                        sequence,
                        end: from.rest(),
                    },
                })
            }
            other => Err(WireError::UnknownFrame(other)),
        }
    }

    /// The bytes of an EVENTS frame.
    pub fn events(tag: Tag, sequence: u64, remaining: u64, events: &[u8]) -> Vec<u8> {
        let mut out = head(EVENTS, tag, sequence, VARINT_BYTES_MAX + events.len());
        out.varint(remaining);
        out.put(events);
        out
    }

    /// The most bytes of events that fit a frame.
    pub const EVENT_BYTES_MAX: usize = FRAME_BYTES_MAX - HEAD_BYTES_MAX - VARINT_BYTES_MAX;

    /// The bytes of a BODY frame.
    pub fn body(tag: Tag, sequence: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = head(BODY, tag, sequence, bytes.len());
        out.put(bytes);
        out
    }

    /// The most bytes of a large value that fit a frame.
    pub const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - HEAD_BYTES_MAX;

    /// The bytes of a DIGEST frame.
    pub fn digest(digest: Digest) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + size_of::<Digest>());
        out.byte(DIGEST);
        out.put(&digest.0);
        out
    }
}

fn head(kind: u8, tag: Tag, sequence: u64, payload_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX + payload_bytes);
    out.byte(kind);
    out.put(&tag.0.to_le_bytes());
    out.varint(sequence);
    out
}

impl Hello {
    /// The frames that announce `vector`: one, unless it names more than about 2,500 authors.
    pub fn frames(store: StoreId, tag: Tag, spell: bool, vector: &VersionVector) -> impl Iterator<Item = Vec<u8>> {
        let counts: Vec<_> = vector.iter().collect();
        let parts = counts.len().div_ceil(HELLO_AUTHORS_MAX).max(1);
        (0..parts).map(move |part| {
            let counts = counts[part * HELLO_AUTHORS_MAX..]
                .iter()
                .take(HELLO_AUTHORS_MAX)
                .copied();
            Self {
                store,
                tag,
                more: part + 1 < parts,
                spell,
                vector: counts.collect(),
            }
            .encode()
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put(&[HELLO, VERSION]);
        out.put(&self.store.0);
        out.put(&self.tag.0.to_le_bytes());
        out.byte(if self.more { MORE } else { 0 } | if self.spell { SPELL } else { 0 });
        for (author, n) in &self.vector {
            out.put(&author.0);
            out.varint(*n);
        }
        out
    }

    fn decode(mut from: Reader<'_>) -> Result<Self, WireError> {
        match from.byte()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        let store = StoreId(from.array()?);
        let tag = Tag(u32::from_le_bytes(from.array()?));
        let flags = from.byte()?;
        if flags & !(MORE | SPELL) != 0 {
            return Err(WireError::OutOfRange("flags of HELLO"));
        }
        let (more, spell) = (flags & MORE != 0, flags & SPELL != 0);
        let mut vector = Vec::new();
        while !from.is_empty() {
            let author = AuthorId(from.array()?);
            let n = from.varint()?;
            if !(1..=DOT_NUMBER_MAX).contains(&n) {
                return Err(WireError::OutOfRange("count in a vector"));
            }
            vector.push((author, n));
        }
        Ok(Self {
            store,
            tag,
            more,
            spell,
            vector,
        })
    }
}

impl End {
    /// The frames that end an answer. `sequence` is that of the first.
    pub fn frames(self, tag: Tag, sequence: u64, authors: &mut AuthorTable) -> Vec<Vec<u8>> {
        let (mut vector, mut frontier) = (&self.vector[..], &self.frontier[..]);
        let mut frames = Vec::new();
        loop {
            let (counts, more_counts) = vector.split_at(vector.len().min(END_ITEMS_MAX));
            let (dots, more_dots) = frontier.split_at(frontier.len().min(END_ITEMS_MAX - counts.len()));
            (vector, frontier) = (more_counts, more_dots);
            let more = !vector.is_empty() || !frontier.is_empty();
            let mut out = head(END, tag, sequence + frames.len() as u64, 0);
            out.byte(if more { MORE } else { 0 } | if self.leaves { NAMED_BY_LEAVES } else { 0 });
            out.varint(counts.len() as u64);
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
        if flags & !(MORE | NAMED_BY_LEAVES) != 0 {
            return Err(WireError::OutOfRange("flags of END"));
        }
        let mut end = Self {
            more: flags & MORE != 0,
            leaves: flags & NAMED_BY_LEAVES != 0,
            ..Self::default()
        };
        for _ in 0..from.length("counts", END_ITEMS_MAX)? {
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

/// Fills LEAVES frames.
#[derive(Debug)]
pub struct LeafWriter {
    tag: Tag,
    sequence: u64,
    out: Vec<u8>,
    frames: Vec<Vec<u8>>,
}

/// Author, block and bitmap, at their longest.
const LEAF_BYTES_MAX: usize = ITEM_BYTES_MAX + 1 + 32;

/// The length byte that stands for a block in which every dot is live.
const ALL_LIVE: u8 = 255;

impl LeafWriter {
    /// `sequence` is that of the first frame.
    pub fn new(tag: Tag, sequence: u64) -> Self {
        Self {
            tag,
            sequence,
            out: head(LEAVES, tag, sequence, 0),
            frames: Vec::new(),
        }
    }

    /// Appends a block.
    pub fn push(&mut self, leaf: &Leaf, authors: &mut AuthorTable) {
        if self.out.len() + LEAF_BYTES_MAX > FRAME_BYTES_MAX {
            self.sequence += 1;
            let next = head(LEAVES, self.tag, self.sequence, 0);
            self.frames.push(core::mem::replace(&mut self.out, next));
        }
        authors.write(leaf.author, &mut self.out);
        self.out.varint(leaf.block);
        if leaf.live == [u64::MAX; 4] {
            self.out.byte(ALL_LIVE);
            return;
        }
        let bytes: Vec<u8> = leaf.live.iter().flat_map(|word| word.to_le_bytes()).collect();
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.out.byte(length as u8);
        self.out.put(&bytes[..length]);
    }

    /// The frames; at least one.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.frames.push(self.out);
        self.frames
    }
}

/// Reads the payload of a LEAVES frame.
#[derive(Debug)]
pub struct LeafReader<'a> {
    from: Reader<'a>,
}

impl<'a> LeafReader<'a> {
    /// Begins to read.
    pub fn new(leaves: &'a [u8]) -> Self {
        Self {
            from: Reader::new(leaves),
        }
    }

    /// The next block, if there is one.
    ///
    /// # Errors
    /// When the bytes are malformed.
    pub fn next(&mut self, authors: &mut AuthorTable) -> Result<Option<Leaf>, WireError> {
        if self.from.is_empty() {
            return Ok(None);
        }
        let author = authors.read(&mut self.from)?;
        let block = self.from.varint()?;
        if block > DOT_NUMBER_MAX / 256 {
            return Err(WireError::OutOfRange("block"));
        }
        let mut bytes = [0; 32];
        match self.from.byte()? {
            ALL_LIVE => bytes = [0xff; 32],
            length => {
                let target = bytes
                    .get_mut(..usize::from(length))
                    .ok_or(WireError::OutOfRange("length of a bitmap"))?;
                target.copy_from_slice(self.from.take(usize::from(length))?);
            }
        }
        let mut live = [0; 4];
        for (word, bytes) in live.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(Some(Leaf { author, block, live }))
    }
}
