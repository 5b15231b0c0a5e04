//! The beginning of a session: what its receiver holds.
//!
//! ```text
//! HELLO = 1, version, tag (2), flags, [varint epoch], [store (16)], [base], contents (8), counts
//!   flags  1 = more HELLO frames of this tag follow    2 = spell every key            4 = HAVE frames follow
//!          8 = the base is a vector known by its digest: base = digest (16)
//!         16 = this replies to a HELLO, whose vector is the base: base = its tag (2)
//!              With a base, the store is left out: who knows the base knows it, and who does not names it in ASK.
//!         32 = nothing is held here that the HELLO replied to lacks: this is the end of its session as well
//!         64 = audit: if nothing is lacking, compare the live dots all the same
//!        128 = the epoch follows; without it, it is 0
//!   contents = stands for what is held where vectors are equal: see `Replica::contents`
//!   counts = to the end: author reference, varint number: where the vector differs from the base; 0 = unknown here.
//!            The table of references begins with the authors of the base. Without a base, the base is empty.
//! ```

use alloc::vec::Vec;

use super::{
    AuthorTable, DOT_NUMBER_MAX, FRAME_BYTES_MAX, Tag, VERSION, WireError,
    bytes::{Reader, Writer},
    frame::{HELLO, ITEM_BYTES_MAX, flag, paged},
};
use crate::id::{AuthorId, Digest, StoreId};

/// The epoch spoken of. Reserved: a later version may retire the authors of an epoch that has ended, and must then not be
/// understood by those who have not.
pub const EPOCH: u64 = 0;

/// What a vector is described by its differences from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Base {
    /// Nothing: all counts are named.
    #[default]
    Empty,
    /// A vector that both have held, known by its digest.
    Digest(Digest),
    /// What the peer's HELLO of this tag announced, to which this is the reply.
    Hello(Tag),
}

/// What is asked for with a HELLO, beyond the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    /// Every key is to be spelled, because one that was left out was not known.
    pub spell: bool,
    /// HAVE frames follow.
    pub have: bool,
    /// The HELLO replied to is answered by this: nothing is held here that it lacks.
    pub nothing: bool,
    /// If nothing is lacking, the live dots are to be compared all the same.
    pub audit: bool,
}

/// One HELLO frame. A vector that does not fit one comes in several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello<'a> {
    /// Names the session in the frames of the answer.
    pub tag: Tag,
    /// Whether more frames with more of the vector follow.
    pub more: bool,
    /// What else is asked for.
    pub wishes: Wishes,
    /// The store; left out where there is a base.
    pub store: Option<StoreId>,
    /// What the counts are relative to.
    pub base: Base,
    /// Stands for what is held where vectors are equal.
    pub contents: u64,
    /// For [`Hello::counts`].
    pub counts: &'a [u8],
}

const MORE: u8 = 1;
const SPELL: u8 = 2;
const HAVE: u8 = 4;
const BY_DIGEST: u8 = 8;
const REPLY: u8 = 16;
const NOTHING: u8 = 32;
const AUDIT: u8 = 64;
const EPOCH_FOLLOWS: u8 = 128;

/// All but the counts: kind, version, epoch, tag, flags, store, base, contents.
const HEAD_BYTES_MAX: usize = 2 + size_of::<Tag>() + 1 + size_of::<StoreId>() + size_of::<Digest>() + size_of::<u64>();

impl<'a> Hello<'a> {
    /// The frames that announce a vector by its differences from `base`, whose authors `authors` begins with.
    pub fn frames(
        store: StoreId,
        tag: Tag,
        wishes: Wishes,
        (base, contents): (Base, u64),
        mut authors: AuthorTable,
        counts: impl IntoIterator<Item = (AuthorId, u64)>,
    ) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        let mut payload = Vec::new();
        for (author, n) in counts {
            if payload.len() + ITEM_BYTES_MAX > FRAME_BYTES_MAX - HEAD_BYTES_MAX {
                payloads.push(core::mem::take(&mut payload));
            }
            authors.write(author, &mut payload);
            payload.varint(n);
        }
        payloads.push(payload);
        let frame = |(more, counts)| {
            Hello {
                tag,
                more,
                wishes,
                store: (base == Base::Empty).then_some(store),
                base,
                contents,
                counts,
            }
            .encode()
        };
        paged(&payloads).map(frame).collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES_MAX + self.counts.len());
        out.put(&[HELLO, VERSION]);
        self.tag.write(&mut out);
        out.byte(
            flag(self.more, MORE)
                | flag(self.wishes.spell, SPELL)
                | flag(self.wishes.have, HAVE)
                | flag(matches!(self.base, Base::Digest(_)), BY_DIGEST)
                | flag(matches!(self.base, Base::Hello(_)), REPLY)
                | flag(self.wishes.nothing, NOTHING)
                | flag(self.wishes.audit, AUDIT),
        );
        if let Some(store) = self.store {
            out.put(&store.0);
        }
        match self.base {
            Base::Empty => {}
            Base::Digest(digest) => out.put(&digest.0),
            Base::Hello(tag) => tag.write(&mut out),
        }
        out.put(&self.contents.to_le_bytes());
        out.put(self.counts);
        out
    }

    pub(super) fn decode(mut from: Reader<'a>) -> Result<Self, WireError> {
        match from.byte()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        let tag = Tag::read(&mut from)?;
        let flags = from.byte()?;
        let is = |flag| flags & flag != 0;
        if is(EPOCH_FOLLOWS) {
            return Err(WireError::Epoch(from.varint()?));
        }
        let (by_digest, reply) = (is(BY_DIGEST), is(REPLY));
        if by_digest && reply || is(NOTHING) && !reply {
            return Err(WireError::OutOfRange("flags of HELLO"));
        }
        let store = if by_digest || reply {
            None
        } else {
            Some(StoreId(from.array()?))
        };
        let base = if by_digest {
            Base::Digest(Digest(from.array()?))
        } else if reply {
            Base::Hello(Tag::read(&mut from)?)
        } else {
            Base::Empty
        };
        Ok(Self {
            tag,
            more: is(MORE),
            wishes: Wishes {
                spell: is(SPELL),
                have: is(HAVE),
                nothing: is(NOTHING),
                audit: is(AUDIT),
            },
            store,
            base,
            contents: from.array().map(u64::from_le_bytes)?,
            counts: from.rest(),
        })
    }

    /// Reads the counts, with the table that begins with the authors of the base.
    ///
    /// # Errors
    /// When the bytes are malformed.
    pub fn counts(&self, authors: &mut AuthorTable) -> Result<Vec<(AuthorId, u64)>, WireError> {
        let mut from = Reader::new(self.counts);
        let mut counts = Vec::new();
        while !from.is_empty() {
            let author = authors.read(&mut from)?;
            let n = from.varint()?;
            if n > DOT_NUMBER_MAX {
                return Err(WireError::OutOfRange("count in a vector"));
            }
            counts.push((author, n));
        }
        Ok(counts)
    }
}
