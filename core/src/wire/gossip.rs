//! What is gossiped: a fresh transaction, or word of one that is too long for gossip; and who is present.
//!
//! ```text
//! transaction = kind 16, version, varint epoch, author (16), varint first, varint stamp, varint count, count x tip,
//!               events (see the `events` module; one run of live-inline and dead events, the stamps all equal)
//! tip = author reference, varint number, hash (16)
//! announcement = kind 17, version, varint epoch, author (16), varint last
//! presence = kind 20, version, presences (see the `presence` module) to the end
//! ```

use alloc::vec::Vec;

use super::{
    AuthorTable, Described, EPOCH, EventReader, EventWriter, FRONTIER_MAX, INLINE_VALUE_BYTES_MAX, LiveEvent, Presence,
    TXN_EVENTS_MAX, VERSION, WireError,
    bytes::{Reader, Writer},
    checked_dot,
    events::{read_tip, write_tip},
    presence,
};
use crate::{
    causality::{Body, Dots, Event, Key, Kind, Op, Tip, Txn},
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
    /// What tabs say of themselves.
    Present(Vec<Presence>),
}

const TXN: u8 = 16;
const ANNOUNCE: u8 = 17;
const PRESENCE: u8 = 20;

impl Gossip {
    /// The message that tells members of a new transaction; see [`TxnWriter::finish`].
    pub fn encode(txn: &Txn, bytes_max: usize) -> Vec<u8> {
        let mut writer = TxnWriter::default();
        writer.begin(Dot::new(txn.author, txn.first), txn.hlc, &txn.deps, bytes_max);
        for event in &txn.events {
            match &event.op {
                Op::Put { key, value, kind } => {
                    writer.put(key, &Body::Here(value.clone()), *kind, &event.removes);
                }
                Op::Delete => writer.delete(&event.removes),
            }
        }
        writer.finish()
    }

    /// Messages of up to about `bytes_max` bytes that say who is present.
    pub fn present(presences: impl IntoIterator<Item = Presence>, bytes_max: usize) -> Vec<Vec<u8>> {
        let payloads = presence::payloads(presences, bytes_max).into_iter();
        payloads
            .map(|payload| [&[PRESENCE, VERSION], &payload[..]].concat())
            .collect()
    }

    /// Whether a message says who is present, if it is one at all.
    pub fn is_present(message: &[u8]) -> bool {
        message.first() == Some(&PRESENCE)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(bytes);
        let kind = from.byte()?;
        if !matches!(kind, TXN | ANNOUNCE | PRESENCE) {
            return Err(WireError::UnknownFrame(kind));
        }
        match from.byte()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        if kind == PRESENCE {
            return presence::read_all(from.rest()).map(Self::Present);
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

/// Writes the message that tells members of a new transaction, event by event. Used again for the next, it has its buffers
/// already.
#[derive(Clone, Debug, Default)]
pub struct TxnWriter {
    out: Vec<u8>,
    events: EventWriter,
    hlc: Hlc,
    /// The dot of the next event.
    next: Dot,
    bytes_max: usize,
    /// Whether it does not fit a message, so that nothing more needs to be written.
    too_long: bool,
}

impl TxnWriter {
    /// Begins the message of a transaction whose first event is `first`; it may take up to `bytes_max` bytes.
    pub fn begin(&mut self, first: Dot, hlc: Hlc, deps: &[Tip], bytes_max: usize) {
        (self.next, self.hlc, self.bytes_max, self.too_long) = (first, hlc, bytes_max, false);
        self.events.restart(hlc);
        let out = &mut self.out;
        out.clear();
        out.put(&[TXN, VERSION]);
        out.varint(EPOCH);
        out.put(&first.author.0);
        out.varint(first.n);
        out.varint(hlc.0);
        out.varint(deps.len() as u64);
        for dep in deps {
            write_tip(self.events.authors(), *dep, out);
        }
    }

    /// The next event puts a value under a key.
    pub fn put(&mut self, key: &Key, body: &Body, kind: Kind, removes: &Dots) {
        self.too_long |= body.len() > INLINE_VALUE_BYTES_MAX || self.out.len() + body.len() > self.bytes_max;
        if !self.too_long {
            let event = LiveEvent {
                dot: self.next,
                key,
                body,
                kind,
                hlc: self.hlc,
                removes: removes.clone(),
            };
            self.events.live(&event, false, &mut self.out);
        }
        self.next.n += 1;
    }

    /// The next event is a delete.
    pub fn delete(&mut self, removes: &Dots) {
        self.too_long |= self.out.len() > self.bytes_max;
        if !self.too_long {
            self.events.dead(self.next, removes, &mut self.out);
        }
        self.next.n += 1;
    }

    /// The message: the transaction itself, or, when that would take more than `bytes_max` or holds a value that does not travel
    /// inside an event, word of it.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.too_long || self.out.len() > self.bytes_max {
            self.out.clear();
            self.out.put(&[ANNOUNCE, VERSION]);
            self.out.varint(EPOCH);
            self.out.put(&self.next.author.0);
            self.out.varint(self.next.n - 1);
        }
        self.out.as_slice().into()
    }
}

fn decode_txn(first: Dot, mut from: Reader<'_>) -> Result<Txn, WireError> {
    let hlc = Hlc(from.varint()?);
    let count = from.length("dependencies", FRONTIER_MAX)?;
    let mut authors = AuthorTable::default();
    let deps = (0..count)
        .map(|_| read_tip(&mut authors, &mut from))
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
                    body: Body::Away(_), ..
                }
                | Described::Forgotten { .. } => {
                    return Err(WireError::OutOfRange("mark in a transaction"));
                }
                Described::Live { hlc: stamp, .. } if stamp != hlc => {
                    return Err(WireError::OutOfRange("stamp within a transaction"));
                }
                Described::Live {
                    key,
                    body: Body::Here(value),
                    kind,
                    removes,
                    ..
                } => Event {
                    op: Op::Put { key, value, kind },
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
