//! The state record: what the others belong to.
//!
//! ```text
//! format (1 byte), store (16 bytes), varint number of the first commit that counts, varint number of the commit after the last
//! that this knows of, vector, frontier, calls; from format 2 on: totals; from format 4 on: hashes, forks
//! vector   = varint count, then per author 16 bytes and varint n
//! frontier = varint count, then per dot 16 bytes and varint n
//! calls    = varint count, then per caller, who called last comes last: 8 bytes, varint number of the last call that was carried out,
//!            8 bytes in which the bit 2^(k-1) says that so was the call k numbers before
//! hashes   = of each transaction of the frontier, in order (16 bytes)
//! forks    = varint count, then per fork 16 bytes and varint n of its dot, 0 and two hashes of transactions (16 bytes each) or 1 and two
//!            prints of events (8 bytes each)
//! totals   = varint count of keys that have a value, varint bytes of these keys and of what they read as
//! ```

use alloc::vec::Vec;

use super::{DiskError, FORMAT, FORMAT_FIRST, FORMAT_HASHES, record::Key, writing::FIRST_COMMIT};
use crate::{
    causality::{Fork, Frontier, Tip, VersionVector},
    id::{AuthorId, Dot, StoreId, TxnHash},
    store::{CALLERS_MAX, Caller, Calls, Carried, Totals},
    wire::{
        AUTHORS_MAX, FORKS_MAX, FRONTIER_MAX, WireError,
        bytes::{Reader, Writer as _},
        read_found, write_found,
    },
};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) store: StoreId,
    /// Commits before this one are in the pages.
    pub(super) first: u64,
    /// The commits before this one are in the vector and the frontier.
    pub(super) known: u64,
    pub(super) vector: VersionVector,
    pub(super) frontier: Frontier,
    pub(super) forks: Vec<Fork>,
    pub(super) calls: Calls,
    /// `None` when format 1 has written it.
    pub(super) totals: Option<Totals>,
    /// Whether an older version has written it.
    pub(super) is_outdated: bool,
}

impl State {
    /// That of a disk on which nothing is yet.
    pub(super) fn nothing(store: StoreId) -> Self {
        Self {
            store,
            first: FIRST_COMMIT,
            known: FIRST_COMMIT,
            vector: VersionVector::new(),
            frontier: Frontier::default(),
            forks: Vec::new(),
            calls: Calls::default(),
            totals: Some(Totals::default()),
            is_outdated: false,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::from([FORMAT]);
        out.extend(self.store.0);
        out.varint(self.first);
        out.varint(self.known);
        out.varint(self.vector.len() as u64);
        for (author, n) in self.vector.iter() {
            write_dot(Dot::new(author, n), &mut out);
        }
        write_dots(&self.frontier, &mut out);
        out.varint(self.calls.callers().len() as u64);
        for Carried { caller, last, earlier } in self.calls.callers() {
            out.extend(caller.0.to_le_bytes());
            out.varint(*last);
            out.extend(earlier.to_le_bytes());
        }
        write_totals(self.totals.unwrap_or_default(), &mut out);
        write_hashes(&self.frontier, &mut out);
        write_forks(&self.forks, &mut out);
        out
    }

    /// The version that has written a state, if it is one that is known here, and the rest of it.
    pub(super) fn format(payload: &[u8]) -> Result<(u8, &[u8]), DiskError> {
        match payload.split_first() {
            Some((&format @ FORMAT_FIRST..=FORMAT, rest)) => Ok((format, rest)),
            Some((&other, _)) => Err(DiskError::Format(other)),
            None => Err(Key::State.damaged(WireError::Truncated)),
        }
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Self, DiskError> {
        let (format, rest) = Self::format(payload)?;
        Self::read(&mut Reader::new(rest), format).map_err(|error| Key::State.damaged(error))
    }

    fn read(from: &mut Reader<'_>, format: u8) -> Result<Self, WireError> {
        let store = StoreId(from.array()?);
        let (first, known) = (from.varint()?, from.varint()?);
        let mut vector = VersionVector::new();
        for _ in 0..from.length("authors", AUTHORS_MAX)? {
            let dot = read_dot(from)?;
            vector.advance(dot.author, dot.n);
        }
        let mut frontier = read_dots(from)?;
        let mut calls = Calls::default();
        for _ in 0..from.length("callers", CALLERS_MAX)? {
            calls.push(Carried {
                caller: Caller(u64::from_le_bytes(from.array()?)),
                last: from.varint()?,
                earlier: u64::from_le_bytes(from.array()?),
            });
        }
        let totals = (format > FORMAT_FIRST).then(|| read_totals(from)).transpose()?;
        let mut forks = Vec::new();
        if format >= FORMAT_HASHES {
            read_hashes(&mut frontier, from)?;
            forks = read_forks(from)?;
        }
        from.clone().finish()?;
        Ok(Self {
            store,
            first,
            known,
            vector,
            frontier: Frontier::new(frontier),
            forks,
            calls,
            totals,
            is_outdated: format < FORMAT,
        })
    }
}

pub(super) fn write_totals(totals: Totals, out: &mut Vec<u8>) {
    out.varint(totals.keys as u64);
    out.varint(totals.bytes);
}

pub(super) fn read_totals(from: &mut Reader<'_>) -> Result<Totals, WireError> {
    Ok(Totals {
        keys: from.length("keys", usize::MAX)?,
        bytes: from.varint()?,
    })
}

pub(super) fn write_dot(dot: Dot, out: &mut Vec<u8>) {
    out.extend(dot.author.0);
    out.varint(dot.n);
}

pub(super) fn read_dot(from: &mut Reader<'_>) -> Result<Dot, WireError> {
    Ok(Dot::new(AuthorId(from.array()?), from.varint()?))
}

/// The dots of a frontier; the hashes follow elsewhere, as versions before them knew none.
pub(super) fn write_dots(frontier: &Frontier, out: &mut Vec<u8>) {
    out.varint(frontier.tips().len() as u64);
    for dot in frontier.dots() {
        write_dot(dot, out);
    }
}

/// Reads what [`write_dots`] wrote.
pub(super) fn read_dots(from: &mut Reader<'_>) -> Result<Vec<Tip>, WireError> {
    let count = from.length("frontier", FRONTIER_MAX)?;
    let tip = |dot| Tip {
        dot,
        hash: TxnHash::UNKNOWN,
    };
    // Collected one by one: each takes bytes, so the record's end bounds them.
    (0..count).map(|_| read_dot(from).map(tip)).collect()
}

pub(super) fn write_hashes(frontier: &Frontier, out: &mut Vec<u8>) {
    frontier.tips().iter().for_each(|tip| out.extend(tip.hash.0));
}

/// Reads what [`write_hashes`] wrote.
pub(super) fn read_hashes(tips: &mut [Tip], from: &mut Reader<'_>) -> Result<(), WireError> {
    for tip in tips {
        tip.hash = TxnHash(from.array()?);
    }
    Ok(())
}

pub(super) fn write_forks(forks: &[Fork], out: &mut Vec<u8>) {
    out.varint(forks.len() as u64);
    for fork in forks {
        write_dot(fork.dot, out);
        write_found(fork.found, out);
    }
}

/// Reads what [`write_forks`] wrote.
pub(super) fn read_forks(from: &mut Reader<'_>) -> Result<Vec<Fork>, WireError> {
    let count = from.length("forks", FORKS_MAX)?;
    let mut fork = || {
        let dot = read_dot(from)?;
        read_found(dot, from)
    };
    (0..count).map(|_| fork()).collect()
}
