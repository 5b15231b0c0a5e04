//! Commits: batches as they were made, one after the other.
//!
//! ```text
//! commit = batches
//! batch  = varint count, the counts of the vector that rose: 16 bytes of author and varint n each
//!          frontier
//!          flags (1 byte): 1 a call follows that may come again, 2 totals follow, 4 hashes follow, 8 forks follow
//!          the call that was carried out: its caller (8 bytes) and varint number
//!          how much the store holds afterwards: varint keys, varint bytes of them and of what they read as
//!          the hashes of the transactions of the frontier, as in the state record
//!          the forks that became known, as in the state record
//!          varint count, removed dots that no event of the batch names
//!          varint length, the events: those that became live, and those that were never live here
//! ```
//!
//! What an event of the batch removed is dead without being listed.
//!
//! A long batch is told of by several commits, written in one transaction. All but the last have nothing but events, with an empty frontier and
//! no totals; what the last says of those holds. No event of it is live that another removes.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    INLINE_BYTES_MAX,
    state::{
        read_dot, read_dots, read_forks, read_hashes, read_totals, write_dot, write_dots, write_forks, write_hashes,
        write_totals,
    },
};
use crate::{
    causality::{Fork, Frontier},
    id::{AuthorId, Dot},
    store::{Batch, Call, Caller, StoredEntry, Totals},
    wire::{
        AUTHORS_MAX, AuthorTable, Described, EventReader, EventWriter, LiveEvent, STAMP_ORIGIN, WireError,
        bytes::{Reader, Writer as _},
    },
};

/// The flags of a commit.
const CALL: u8 = 1;
const TOTALS: u8 = 2;
const HASHES: u8 = 4;
const FORKS: u8 = 8;

/// A stream of events on a disk: each record has its own.
pub(super) fn writer() -> EventWriter {
    EventWriter::new(AuthorTable::default(), STAMP_ORIGIN).with_inline_max(INLINE_BYTES_MAX)
}

pub(super) fn reader() -> EventReader {
    EventReader::new(AuthorTable::default(), STAMP_ORIGIN).with_inline_max(INLINE_BYTES_MAX)
}

/// The events of a batch, on their way into a commit.
#[derive(Clone, Debug)]
pub(super) struct Events {
    writer: EventWriter,
    bytes: Vec<u8>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            writer: writer(),
            bytes: Vec::new(),
        }
    }
}

impl Events {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn live(&mut self, entry: &StoredEntry) {
        let live = LiveEvent {
            dot: entry.dot,
            key: &entry.key,
            body: &entry.body,
            kind: entry.kind,
            hlc: entry.hlc,
            removes: entry.removes.clone(),
        };
        self.writer.live(&live, false, &mut self.bytes);
    }

    pub(super) fn dead(&mut self, dot: Dot, removes: &[Dot]) {
        self.writer.dead(dot, removes, &mut self.bytes);
    }

    /// Appends a batch of nothing but these, as a part of one that is told of by several commits.
    pub(super) fn end_part(self, out: &mut Vec<u8>) {
        out.varint(0);
        write_dots(&Frontier::default(), out);
        out.push(0);
        out.varint(0);
        self.append_to(out);
    }

    /// Appends a batch, of whose events these are the last. None of them names what is `unnamed`, and removed.
    pub(super) fn end(self, batch: &Batch, unnamed: &[Dot], out: &mut Vec<u8>) {
        out.varint(batch.vector.len() as u64);
        for (author, n) in &batch.vector {
            write_dot(Dot::new(*author, *n), out);
        }
        write_dots(&batch.frontier, out);
        let call = if batch.call.is_some() { CALL } else { 0 };
        let forks = if batch.forks.is_empty() { 0 } else { FORKS };
        out.push(call | TOTALS | HASHES | forks);
        if let Some(Call { caller, n }) = batch.call {
            out.extend(caller.0.to_le_bytes());
            out.varint(n);
        }
        write_totals(batch.totals, out);
        write_hashes(&batch.frontier, out);
        if !batch.forks.is_empty() {
            write_forks(&batch.forks, out);
        }
        out.varint(unnamed.len() as u64);
        for dot in unnamed {
            write_dot(*dot, out);
        }
        self.append_to(out);
    }

    fn append_to(self, out: &mut Vec<u8>) {
        out.varint(self.bytes.len() as u64);
        out.extend(self.bytes);
    }
}

/// A batch as it is read.
#[derive(Debug, Default)]
pub(super) struct Committed {
    pub(super) vector: Vec<(AuthorId, u64)>,
    pub(super) frontier: Frontier,
    pub(super) forks: Vec<Fork>,
    pub(super) call: Option<Call>,
    /// Not told in format 1.
    pub(super) totals: Option<Totals>,
    /// All that died, whether an event names it or not.
    pub(super) removed: BTreeSet<Dot>,
    pub(super) events: Vec<Described>,
}

/// Hands each batch of a commit to `take`.
pub(super) fn decode(payload: &[u8], mut take: impl FnMut(Committed)) -> Result<(), WireError> {
    let mut from = Reader::new(payload);
    while !from.is_empty() {
        let mut committed = Committed::default();
        for _ in 0..from.length("authors", AUTHORS_MAX)? {
            let Dot { author, n } = read_dot(&mut from)?;
            committed.vector.push((author, n));
        }
        let mut frontier = read_dots(&mut from)?;
        let flags = from.byte()?;
        if flags & !(CALL | TOTALS | HASHES | FORKS) != 0 {
            return Err(WireError::OutOfRange("flags of a commit"));
        }
        if flags & CALL != 0 {
            let caller = Caller(u64::from_le_bytes(from.array()?));
            let n = from.varint()?;
            committed.call = Some(Call { caller, n });
        }
        if flags & TOTALS != 0 {
            committed.totals = Some(read_totals(&mut from)?);
        }
        if flags & HASHES != 0 {
            read_hashes(&mut frontier, &mut from)?;
        }
        committed.frontier = Frontier::new(frontier);
        if flags & FORKS != 0 {
            committed.forks = read_forks(&mut from)?;
        }
        // Collected one by one: each takes bytes, so the record's end bounds them.
        for _ in 0..from.length("removed dots", usize::MAX)? {
            committed.removed.insert(read_dot(&mut from)?);
        }
        let events = from.length("events", usize::MAX)?;
        reader().read(
            from.take(events)?,
            |_| None,
            |event| {
                match &event {
                    Described::Live { removes, .. } | Described::Dead { removes, .. } => {
                        committed.removed.extend(removes.iter().copied());
                    }
                    Described::Forgotten { .. } => return Err(WireError::OutOfRange("forgotten event in a commit")),
                }
                committed.events.push(event);
                Ok(())
            },
        )?;
        take(committed);
    }
    Ok(())
}
