//! What is gossiped: a fresh transaction, or word of one that is too long for gossip.
//!
//! ```text
//! transaction = kind 16, version, varint epoch, author (16), varint first, varint stamp, varint count, count x (author, varint number) deps,
//!               events (see the `events` module; one run of live-inline and dead events, the stamps all equal)
//! announcement = kind 17, version, varint epoch, author (16), varint last
//! ```

use alloc::{sync::Arc, vec::Vec};

use super::{
    AuthorTable, Body, Described, EPOCH, EventReader, EventWriter, FRONTIER_MAX, INLINE_VALUE_BYTES_MAX, LiveEvent,
    TXN_EVENTS_MAX, VERSION, WireError,
    bytes::{Reader, Writer},
    checked_dot,
    events::{read_dot, write_dot},
};
use crate::{
    causality::{Event, Op, Txn},
    id::{AuthorId, Dot},
    time::Hlc,
};

/// A gossiped message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gossip {
    /// A transaction that was just made.
    Txn(Txn),
    /// A transaction was made that is too long to be gossiped; its last dot.
    Announce(Dot),
}

const TXN: u8 = 16;
const ANNOUNCE: u8 = 17;

impl Gossip {
    /// The message that tells members of a new transaction: the transaction itself, or, when that would take more than
    /// `bytes_max` or holds a value that does not travel inside an event, word of it.
    pub fn encode(txn: &Txn, bytes_max: usize) -> Vec<u8> {
        let values = txn.events.iter().filter_map(|event| {
            if let Op::Put { key, value } = &event.op {
                Some((key, value))
            } else {
                None
            }
        });
        let (mut bytes, mut longest) = (0, 0);
        for (key, value) in values {
            bytes += key.len() + value.len();
            longest = value.len().max(longest);
        }
        if longest <= INLINE_VALUE_BYTES_MAX && bytes <= bytes_max {
            // Room for what usually stands beside keys and values.
            let mut out = Vec::with_capacity(bytes + 64 + 32 * txn.deps.len() + 16 * txn.events.len());
            encode_txn(txn, &mut out);
            if out.len() <= bytes_max {
                return out;
            }
        }
        let mut out = Vec::new();
        let last = txn.last();
        out.put(&[ANNOUNCE, VERSION]);
        out.varint(EPOCH);
        out.put(&last.author.0);
        out.varint(last.n);
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(bytes);
        let kind = from.byte()?;
        if !matches!(kind, TXN | ANNOUNCE) {
            return Err(WireError::UnknownFrame(kind));
        }
        match from.byte()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        match from.varint()? {
            EPOCH => {}
            other => return Err(WireError::Epoch(other)),
        }
        let author = AuthorId(from.array()?);
        let n = from.varint()?;
        let dot = checked_dot(author, n)?;
        if kind == ANNOUNCE {
            from.finish()?;
            return Ok(Self::Announce(dot));
        }
        decode_txn(dot, from).map(Self::Txn)
    }
}

fn encode_txn(txn: &Txn, out: &mut Vec<u8>) {
    out.put(&[TXN, VERSION]);
    out.varint(EPOCH);
    out.put(&txn.author.0);
    out.varint(txn.first);
    out.varint(txn.hlc.0);
    out.varint(txn.deps.len() as u64);
    let mut authors = AuthorTable::default();
    for dep in &txn.deps {
        write_dot(&mut authors, *dep, out);
    }
    let mut writer = EventWriter::new(authors, txn.hlc);
    for (dot, event) in txn.dotted() {
        match &event.op {
            Op::Put { key, value } => {
                let removes = event.removes.clone();
                writer.live(
                    &LiveEvent {
                        dot,
                        key,
                        value,
                        hlc: txn.hlc,
                        removes,
                    },
                    false,
                    out,
                );
            }
            Op::Delete => writer.dead(dot, &event.removes, out),
        }
    }
}

fn decode_txn(first: Dot, mut from: Reader<'_>) -> Result<Txn, WireError> {
    let hlc = Hlc(from.varint()?);
    let count = from.length("dependencies", FRONTIER_MAX)?;
    let mut authors = AuthorTable::default();
    let deps = (0..count)
        .map(|_| read_dot(&mut authors, &mut from))
        .collect::<Result<_, _>>()?;
    let mut events = Vec::new();
    EventReader::new(authors, hlc).read(
        from.rest(),
        |_| None,
        |described| {
            let at = first.n + events.len() as u64;
            if described.dot() != Dot::new(first.author, at) || events.len() >= TXN_EVENTS_MAX {
                return Err(WireError::OutOfRange("dot within a transaction"));
            }
            events.push(match described {
                Described::Live {
                    body: Body::Large { .. },
                    ..
                }
                | Described::Forgotten { .. } => {
                    return Err(WireError::OutOfRange("mark in a transaction"));
                }
                Described::Live { hlc: stamp, .. } if stamp != hlc => {
                    return Err(WireError::OutOfRange("stamp within a transaction"));
                }
                Described::Live {
                    key,
                    body: Body::Inline(value),
                    removes,
                    ..
                } => Event {
                    op: Op::Put {
                        key: Arc::clone(&key),
                        value,
                    },
                    removes,
                },
                Described::Dead { removes, .. } => Event {
                    op: Op::Delete,
                    removes,
                },
            });
            Ok(())
        },
    )?;
    if events.is_empty() {
        return Err(WireError::OutOfRange("number of events"));
    }
    Ok(Txn {
        author: first.author,
        first: first.n,
        hlc,
        deps,
        events,
    })
}
