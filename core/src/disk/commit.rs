//! Commits: batches as they were made, one after the other.
//!
//! ```text
//! commit = batches
//! batch  = varint count, the counts of the vector that rose: 16 bytes of author and varint n each
//!          frontier
//!          the call that was carried out: 1, its caller (8 bytes) and varint number; 0 if there was none that may come again
//!          varint count, removed dots that no event of the batch names
//!          varint length, the events: those that became live, and those that were never live here
//! ```
//!
//! What an event of the batch removed is dead without being listed.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    INLINE_BYTES_MAX,
    state::{read_dot, read_frontier, write_dot, write_frontier},
};
use crate::{
    causality::Frontier,
    id::{AuthorId, Dot},
    store::{Batch, Call, Caller},
    wire::{
        AUTHORS_MAX, AuthorTable, Described, EventReader, EventWriter, LiveEvent, STAMP_ORIGIN, WireError,
        bytes::{Reader, Writer as _},
    },
};

/// A stream of events on a disk: each record has its own.
pub(super) fn writer() -> EventWriter {
    EventWriter::new(AuthorTable::default(), STAMP_ORIGIN).with_inline_max(INLINE_BYTES_MAX)
}

pub(super) fn reader() -> EventReader {
    EventReader::new(AuthorTable::default(), STAMP_ORIGIN).with_inline_max(INLINE_BYTES_MAX)
}

/// Appends a batch.
pub(super) fn encode(batch: &Batch, out: &mut Vec<u8>) {
    out.varint(batch.vector.len() as u64);
    for (author, n) in &batch.vector {
        write_dot(Dot::new(*author, *n), out);
    }
    write_frontier(&batch.frontier, out);
    match batch.call {
        Some(Call { caller, n }) => {
            out.push(1);
            out.extend(caller.0.to_le_bytes());
            out.varint(n);
        }
        None => out.push(0),
    }

    let live = batch.entries.iter().flat_map(|entry| &entry.removes);
    let dead = batch.records.iter().flat_map(|(_, removes)| removes);
    let mut named: Vec<Dot> = if batch.removed.is_empty() {
        Vec::new()
    } else {
        live.chain(dead).copied().collect()
    };
    named.sort_unstable();
    let is_listed = |dot: &Dot| named.binary_search(dot).is_err();
    let listed: Vec<Dot> = batch
        .removed
        .iter()
        .map(|removed| removed.dot)
        .filter(is_listed)
        .collect();
    out.varint(listed.len() as u64);
    for dot in listed {
        write_dot(dot, out);
    }

    let (mut writer, mut events) = (writer(), Vec::new());
    for entry in &batch.entries {
        let live = LiveEvent {
            dot: entry.dot,
            key: &entry.key,
            value: &entry.value,
            kind: entry.kind,
            hlc: entry.hlc,
            removes: entry.removes.clone(),
        };
        writer.live(&live, false, &mut events);
    }
    for (dot, removes) in &batch.records {
        writer.dead(*dot, removes, &mut events);
    }
    out.varint(events.len() as u64);
    out.extend(events);
}

/// A batch as it is read.
#[derive(Debug, Default)]
pub(super) struct Committed {
    pub(super) vector: Vec<(AuthorId, u64)>,
    pub(super) frontier: Frontier,
    pub(super) call: Option<Call>,
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
        committed.frontier = read_frontier(&mut from)?;
        committed.call = match from.byte()? {
            0 => None,
            1 => Some(Call {
                caller: Caller(u64::from_le_bytes(from.array()?)),
                n: from.varint()?,
            }),
            _ => return Err(WireError::OutOfRange("mark of a call")),
        };
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
