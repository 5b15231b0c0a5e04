//! The frames of a session.
//!
//! ```text
//! of the receiver                                                  of the sender
//! HELLO   1, see `hello`                                           EVENTS 2, tag, varint sequence << 1 | m, [to come], events
//! HAVE    9, tag, flags (2 = lost), leaves                         BODY   3, tag, sequence, varint which, bytes
//! WANT    8, tag, varint which, varint offset                      LEAVES 4, tag, sequence, leaves
//! VECTOR 11, tag, flags, nodes                                     ASK   10, tag, store (16), salt (8)
//! EXPAND 13, tag, flags, choices                                   CHOOSE 15, tag, flags, choices
//! ACK     7, tag                                                   JUDGE 14, tag, sequence, salt (8), share, limits
//!                                                                  NODES 12, tag, sequence, flags, nodes
//!                                                                  END    5, see `end`
//!                                                                  NOTHING 18, tag   or   EQUAL 19, tag
//!
//! of either: DIGEST 6, digest (16), digest of the frontier (8)
//!            PRESENT 21, home (8), presences (see the `presence` module) to the end
//!
//! to come = varint, with m = 1: how many events follow after this frame; tag = 2 bytes, sequence = varint, flags: 1 = more frames of this kind follow, choices: 2 bytes each, little-endian
//! ```

use alloc::vec::Vec;

use super::{
    AUTHOR_BYTES, FRAME_BYTES_MAX, Hello, Presence, WireError,
    bytes::{Reader, Writer},
    presence,
};
use crate::id::{Digest, Home, StoreId};

/// Says which HELLO a frame answers, so that a late frame of an earlier session is not taken for one of the present.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub u16);

/// Of which blocks of live dots prints are compared: 0 of none, 1 of all, and each number more of half as many as the one before, which
/// the salt of the descent chooses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Share(pub u8);

/// One frame, its parts still in the bytes it came in where only the session knows how to read them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// A request: this is what I hold, send me the rest.
    Hello(Hello<'a>),
    /// What the sender of a HELLO has staged of a session that was cut, or what it has lost of what it announces.
    Have {
        /// Of the HELLO.
        tag: Tag,
        /// Whether more frames with more of either follow.
        more: bool,
        /// Whether these are live events whose values were lost.
        lost: bool,
        /// For [`super::read_leaves`], with a table of its own.
        leaves: &'a [u8],
    },
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
    /// Asks for the bytes of a large value that an event has named.
    Want {
        /// Of the HELLO.
        tag: Tag,
        /// Which of the large values named in this session, from 0.
        which: u64,
        /// From which byte on; the value's length if none is needed.
        offset: u64,
    },
    /// The next bytes of a large value; none, if it was lost.
    Body {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// Which value.
        which: u64,
        /// Bytes.
        bytes: &'a [u8],
    },
    /// Live dots by block.
    Leaves {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// For [`super::read_leaves`].
        leaves: &'a [u8],
    },
    /// The sender of a HELLO is asked for its vector: a descent begins, and the root is asked for.
    Ask {
        /// The HELLO that left it open.
        tag: Tag,
        /// The store, which a HELLO with a base does not name.
        store: StoreId,
        /// For the fingerprints; drawn for this descent, so that nobody can have prepared two sets that look equal.
        salt: u64,
    },
    /// The sender of a HELLO is asked for the children chosen of the nodes told last.
    Choose {
        /// The HELLO that left its vector open.
        tag: Tag,
        /// Whether more frames with more of it follow.
        more: bool,
        /// For [`choices`].
        choices: &'a [u8],
    },
    /// Nodes of the trie of the vector.
    Vector {
        /// Of the HELLO.
        tag: Tag,
        /// Whether more frames with more of it follow.
        more: bool,
        /// For [`super::NodeReader`].
        nodes: &'a [u8],
    },
    /// A descent through the live dots begins. Up to which of their events authors are known to the sender, where that is less than
    /// was announced; if they do not fit, several frames name them.
    Judge {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// For the fingerprints, as in [`Frame::Ask`].
        salt: u64,
        /// Of how many blocks the prints of the live events are compared as well; see [`Share`].
        share: Share,
        /// For [`super::read_limits`].
        limits: &'a [u8],
    },
    /// Nodes of the trie of live dots: the root, or what was chosen.
    Nodes {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// Whether more frames with more of it follow.
        more: bool,
        /// For [`super::NodeReader`].
        nodes: &'a [u8],
    },
    /// Asks for the children chosen of the nodes told last; none, to end the descent.
    Expand {
        /// Of the HELLO.
        tag: Tag,
        /// Whether more frames with more of it follow.
        more: bool,
        /// For [`choices`].
        choices: &'a [u8],
    },
    /// The answer is complete.
    End {
        /// The HELLO answered.
        tag: Tag,
        /// The frame's place in the answer.
        sequence: u64,
        /// For [`super::End::decode`].
        end: &'a [u8],
    },
    /// The whole answer: nothing is held that the HELLO does not cover.
    Nothing(Tag),
    /// The whole answer: what is held is what the HELLO announced.
    Equal(Tag),
    /// What END said is held now, and nothing else.
    Ack(Tag),
    /// The digest of what is held now, and that of its frontier.
    Digest(Digest, u64),
    /// Who is present.
    Present {
        /// The home of those that are with the sender itself.
        home: Home,
        /// For [`Frame::presences`].
        presences: &'a [u8],
    },
}

pub(super) const HELLO: u8 = 1;
const EVENTS: u8 = 2;
const BODY: u8 = 3;
const LEAVES: u8 = 4;
pub(super) const END: u8 = 5;
const DIGEST: u8 = 6;
const ACK: u8 = 7;
const WANT: u8 = 8;
const HAVE: u8 = 9;
const ASK: u8 = 10;
const VECTOR: u8 = 11;
const NODES: u8 = 12;
const EXPAND: u8 = 13;
const JUDGE: u8 = 14;
const CHOOSE: u8 = 15;
// 16 and 17 are gossip's.
const NOTHING: u8 = 18;
const EQUAL: u8 = 19;
// 20 is gossip's.
const PRESENT: u8 = 21;

const MORE: u8 = 1;
const LOST: u8 = 2;

const SALT_BYTES: usize = size_of::<u64>();

/// The most bytes that a varint takes.
pub(super) const VARINT_BYTES_MAX: usize = 10;
/// Kind, tag and sequence.
pub(super) const HEAD_BYTES_MAX: usize = 1 + size_of::<Tag>() + VARINT_BYTES_MAX;
/// Author reference and number, at their longest.
pub(super) const ITEM_BYTES_MAX: usize = 1 + AUTHOR_BYTES + VARINT_BYTES_MAX;

impl<'a> Frame<'a> {
    /// The most bytes of events, leaves, nodes or choices that fit a frame.
    pub const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - HEAD_BYTES_MAX - VARINT_BYTES_MAX;

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
                let (digest, frontier) = (Digest(from.array()?), from.array().map(u64::from_le_bytes)?);
                from.finish()?;
                Ok(Self::Digest(digest, frontier))
            }
            PRESENT => Ok(Self::Present {
                home: Home(from.array().map(u64::from_le_bytes)?),
                presences: from.rest(),
            }),
            ACK..=CHOOSE | EVENTS..=END | NOTHING | EQUAL => Self::tagged(kind, from),
            other => Err(WireError::UnknownFrame(other)),
        }
    }

    fn tagged(kind: u8, mut from: Reader<'a>) -> Result<Self, WireError> {
        let tag = Tag::read(&mut from)?;
        let sequence = match kind {
            EVENTS..=END | NODES | JUDGE => from.varint()?,
            _ => 0,
        };
        let flags = match kind {
            HAVE | VECTOR | NODES | EXPAND | CHOOSE => from.byte()?,
            _ => 0,
        };
        let (more, lost) = (flags & MORE != 0, flags & LOST != 0);
        if flags > MORE | LOST || lost && kind != HAVE {
            return Err(WireError::OutOfRange("flags"));
        }
        if matches!(kind, CHOOSE | EXPAND) && !from.clone().rest().len().is_multiple_of(CHOICE_BYTES) {
            return Err(WireError::Truncated);
        }
        Ok(match kind {
            EVENTS => Self::Events {
                tag,
                sequence: sequence >> 1,
                remaining: match sequence & 1 {
                    0 => 0,
                    _ => match from.varint()? {
                        0 => return Err(WireError::OutOfRange("events still to come")),
                        remaining => remaining,
                    },
                },
                events: from.rest(),
            },
            BODY => Self::Body {
                tag,
                sequence,
                which: from.varint()?,
                bytes: from.rest(),
            },
            LEAVES => Self::Leaves {
                tag,
                sequence,
                leaves: from.rest(),
            },
            END => Self::End {
                tag,
                sequence,
                end: from.rest(),
            },
            JUDGE => Self::Judge {
                tag,
                sequence,
                salt: from.array().map(u64::from_le_bytes)?,
                share: Share(from.byte()?),
                limits: from.rest(),
            },
            NODES => Self::Nodes {
                tag,
                sequence,
                more,
                nodes: from.rest(),
            },
            HAVE => Self::Have {
                tag,
                more,
                lost,
                leaves: from.rest(),
            },
            VECTOR => Self::Vector {
                tag,
                more,
                nodes: from.rest(),
            },
            ASK => {
                let (store, salt) = (StoreId(from.array()?), from.array().map(u64::from_le_bytes)?);
                from.finish()?;
                Self::Ask { tag, store, salt }
            }
            CHOOSE => Self::Choose {
                tag,
                more,
                choices: from.rest(),
            },
            EXPAND => Self::Expand {
                tag,
                more,
                choices: from.rest(),
            },
            WANT => {
                let (which, offset) = (from.varint()?, from.varint()?);
                from.finish()?;
                Self::Want { tag, which, offset }
            }
            _ => {
                from.finish()?;
                match kind {
                    NOTHING => Self::Nothing(tag),
                    EQUAL => Self::Equal(tag),
                    _ => Self::Ack(tag),
                }
            }
        })
    }

    /// Which HELLO the frame answers or follows; none for HELLO itself, DIGEST and PRESENT.
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Self::Hello(_) | Self::Digest(..) | Self::Present { .. } => None,
            Self::Have { tag, .. }
            | Self::Events { tag, .. }
            | Self::Want { tag, .. }
            | Self::Body { tag, .. }
            | Self::Leaves { tag, .. }
            | Self::Ask { tag, .. }
            | Self::Vector { tag, .. }
            | Self::Choose { tag, .. }
            | Self::Judge { tag, .. }
            | Self::Nodes { tag, .. }
            | Self::Expand { tag, .. }
            | Self::End { tag, .. }
            | Self::Nothing(tag)
            | Self::Equal(tag)
            | Self::Ack(tag) => Some(*tag),
        }
    }

    /// The bytes of the frame.
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Hello(ref hello) => hello.encode(),
            Self::Have {
                tag,
                more,
                lost,
                leaves,
            } => flagged(HAVE, tag, flag(more, MORE) | flag(lost, LOST), leaves),
            Self::Vector { tag, more, nodes } => flagged(VECTOR, tag, flag(more, MORE), nodes),
            Self::Choose { tag, more, choices } => flagged(CHOOSE, tag, flag(more, MORE), choices),
            Self::Expand { tag, more, choices } => flagged(EXPAND, tag, flag(more, MORE), choices),
            Self::Events {
                tag,
                sequence,
                remaining,
                events,
            } => {
                let more = u64::from(remaining > 0);
                let mut out = head(EVENTS, tag, sequence << 1 | more, VARINT_BYTES_MAX + events.len());
                if remaining > 0 {
                    out.varint(remaining);
                }
                out.put(events);
                out
            }
            Self::Body {
                tag,
                sequence,
                which,
                bytes,
            } => {
                let mut out = head(BODY, tag, sequence, VARINT_BYTES_MAX + bytes.len());
                out.varint(which);
                out.put(bytes);
                out
            }
            Self::Ask { tag, store, salt } => {
                let mut out = start(ASK, tag, size_of::<StoreId>() + SALT_BYTES);
                out.put(&store.0);
                out.put(&salt.to_le_bytes());
                out
            }
            Self::Judge {
                tag,
                sequence,
                salt,
                share,
                limits,
            } => {
                let mut out = head(JUDGE, tag, sequence, SALT_BYTES + 1 + limits.len());
                out.put(&salt.to_le_bytes());
                out.byte(share.0);
                out.put(limits);
                out
            }
            Self::Leaves { tag, sequence, leaves } => {
                let mut out = head(LEAVES, tag, sequence, leaves.len());
                out.put(leaves);
                out
            }
            Self::Nodes {
                tag,
                sequence,
                more,
                nodes,
            } => {
                let mut out = head(NODES, tag, sequence, 1 + nodes.len());
                out.byte(flag(more, MORE));
                out.put(nodes);
                out
            }
            Self::End { tag, sequence, end } => {
                let mut out = head(END, tag, sequence, end.len());
                out.put(end);
                out
            }
            Self::Want { tag, which, offset } => {
                let mut out = start(WANT, tag, 2 * VARINT_BYTES_MAX);
                out.varint(which);
                out.varint(offset);
                out
            }
            Self::Nothing(tag) => start(NOTHING, tag, 0),
            Self::Equal(tag) => start(EQUAL, tag, 0),
            Self::Ack(tag) => start(ACK, tag, 0),
            Self::Digest(digest, frontier) => {
                let mut out = Vec::with_capacity(1 + size_of::<Digest>() + size_of::<u64>());
                out.byte(DIGEST);
                out.put(&digest.0);
                out.put(&frontier.to_le_bytes());
                out
            }
            Self::Present { home, presences } => {
                let mut out = Vec::with_capacity(1 + size_of::<Home>() + presences.len());
                out.byte(PRESENT);
                out.put(&home.0.to_le_bytes());
                out.put(presences);
                out
            }
        }
    }

    /// Whether a frame says who is present, if it is one at all.
    pub fn is_present(frame: &[u8]) -> bool {
        frame.first() == Some(&PRESENT)
    }

    /// Frames that say who is present; one at least, which says whose home the sender is.
    pub fn present(home: Home, presences: impl IntoIterator<Item = Presence>) -> Vec<Vec<u8>> {
        let mut payloads = presence::payloads(presences, Self::PAYLOAD_BYTES_MAX);
        if payloads.is_empty() {
            payloads.push(Vec::new());
        }
        let frames = payloads.iter().map(|presences| Frame::Present { home, presences });
        frames.map(|frame| frame.encode()).collect()
    }

    /// What the payload of PRESENT says.
    ///
    /// # Errors
    /// When the bytes say nothing of the kind.
    pub fn presences(payload: &[u8]) -> Result<Vec<Presence>, WireError> {
        presence::read_all(payload)
    }
}

impl Tag {
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.array().map(u16::from_le_bytes).map(Self)
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.put(&self.0.to_le_bytes());
    }
}

/// Payloads of frames that follow each other, each with whether more follow.
pub fn paged(payloads: &[Vec<u8>]) -> impl Iterator<Item = (bool, &[u8])> {
    let count = payloads.len();
    (1..).zip(payloads).map(move |(at, payload)| (at < count, &payload[..]))
}

/// How many bytes one choice takes: a bit for each child of a node.
const CHOICE_BYTES: usize = 2;

/// The choices in the payload of ASK or EXPAND: one for each inner node told last.
pub fn choices(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().map(|choice| u16::from_le_bytes(*choice))
}

/// Appends a choice to a payload.
pub fn write_choice(choice: u16, out: &mut Vec<u8>) {
    out.put(&choice.to_le_bytes());
}

fn start(kind: u8, tag: Tag, payload_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX + payload_bytes);
    out.byte(kind);
    tag.write(&mut out);
    out
}

/// A flag, if it is set.
pub(super) fn flag(set: bool, flag: u8) -> u8 {
    u8::from(set) * flag
}

fn flagged(kind: u8, tag: Tag, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = start(kind, tag, payload.len());
    out.byte(flags);
    out.put(payload);
    out
}

/// Kind, tag and sequence.
pub(super) fn head(kind: u8, tag: Tag, sequence: u64, payload_bytes: usize) -> Vec<u8> {
    let mut out = start(kind, tag, payload_bytes);
    out.varint(sequence);
    out
}
