//! Transactions that arrived before what they depend on.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use crate::{
    causality::{Event, Op, Txn, VersionVector},
    id::{AuthorId, Dot, Peer},
    time::Timestamp,
};

/// The most bytes in the buffer, whatever the number of transactions. What does not fit is not lost: a session
/// brings it.
pub(super) const EARLY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long an early transaction is kept. What it lacks should have come by a session long before; if nobody has it, or it was
/// invented, the transaction must not keep others out.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A bounded buffer of early transactions, by author and first number.
#[derive(Clone, Debug)]
pub(super) struct Early {
    capacity: usize,
    bytes: usize,
    txns: BTreeMap<(AuthorId, u64), Waiting>,
    /// Whether something was applied since the last look that found none whose turn has come.
    roused: bool,
    /// The dot applied last, whose author most likely goes on.
    after: Option<Dot>,
    /// How many were dropped for want of room.
    dropped: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    txn: Txn,
    bytes: usize,
    since: Timestamp,
    from: Option<Peer>,
}

impl Early {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            bytes: 0,
            txns: BTreeMap::new(),
            roused: false,
            after: None,
            dropped: 0,
        }
    }

    /// Something was applied, at last `after`: the turn of some may have come.
    pub(super) fn rouse(&mut self, after: Option<Dot>) {
        self.roused = true;
        self.after = after;
    }

    /// Whether the turn of some may have come.
    pub(super) fn is_roused(&self) -> bool {
        self.roused
    }

    /// Keeps a transaction. When there is no room, those make it that whoever handed us most of them handed us first.
    pub(super) fn push(&mut self, txn: Txn, from: Option<Peer>, now: Timestamp) {
        let events = txn.events.iter().map(|event| {
            let held = match &event.op {
                Op::Put { key, value, .. } => key.len() + value.len(),
                Op::Delete => 0,
            };
            held + size_of::<Event>() + size_of_val(&*event.removes)
        });
        let bytes = size_of::<Waiting>() + size_of_val(&*txn.deps) + events.sum::<usize>();
        let place = (txn.author, txn.first);
        if self.txns.contains_key(&place) {
            return;
        }
        if self.capacity == 0 || bytes > EARLY_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        while self.txns.len() >= self.capacity || self.bytes + bytes > EARLY_BYTES_MAX {
            let Some(place) = self.least_missed() else { break };
            self.remove(&place);
            self.dropped += 1;
        }
        self.bytes += bytes;
        let waiting = Waiting {
            txn,
            bytes,
            since: now,
            from,
        };
        self.txns.insert(place, waiting);
    }

    /// Takes out a transaction whose turn has come. If there is none, none is looked for until [`Self::rouse`].
    pub(super) fn pop_ready(&mut self, seen: &VersionVector) -> Option<Txn> {
        let next = self.after.map(|dot| (dot.author, dot.n + 1));
        let ready = |place: &(AuthorId, u64)| self.txns.get(place).is_some_and(|waiting| is_ready(&waiting.txn, seen));
        let place = next.filter(ready).or_else(|| {
            let mut waiting = self.txns.iter();
            waiting
                .find(|(_, waiting)| is_ready(&waiting.txn, seen))
                .map(|(place, _)| *place)
        });
        let txn = place.and_then(|place| self.remove(&place));
        self.roused = txn.is_some();
        self.after = txn.as_ref().map(Txn::last);
        txn
    }

    /// Drops those that the vector covers, and those that have waited longer than [`WAIT_MAX`].
    pub(super) fn prune(&mut self, seen: &VersionVector, now: Timestamp) {
        let done = |waiting: &Waiting| seen.covers(&waiting.txn.last()) || waiting.since + WAIT_MAX <= now;
        let places: Vec<_> = self
            .txns
            .iter()
            .filter(|(_, waiting)| done(waiting))
            .map(|(place, _)| *place)
            .collect();
        for place in places {
            self.remove(&place);
        }
    }

    /// The one that has waited longest: since when, and who handed it to us.
    pub(super) fn oldest(&self) -> Option<(Timestamp, Option<Peer>)> {
        self.txns
            .values()
            .map(|waiting| (waiting.since, waiting.from))
            .min_by_key(|(since, _)| *since)
    }

    /// How many were dropped for want of room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The one that has waited longest of the peer that handed us most: one who hands us no end of them pushes out its own.
    fn least_missed(&self) -> Option<(AuthorId, u64)> {
        let mut kept = BTreeMap::<_, usize>::new();
        for waiting in self.txns.values() {
            *kept.entry(waiting.from).or_default() += 1;
        }
        let (most, _) = kept.into_iter().max_by_key(|(_, kept)| *kept)?;
        let theirs = self.txns.iter().filter(|(_, waiting)| waiting.from == most);
        let (place, _) = theirs.min_by_key(|(_, waiting)| waiting.since)?;
        Some(*place)
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.txns.len()
    }

    /// How many bytes they take.
    #[cfg(feature = "sim")]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, place: &(AuthorId, u64)) -> Option<Txn> {
        let waiting = self.txns.remove(place)?;
        self.bytes -= waiting.bytes;
        Some(waiting.txn)
    }
}

/// Whether a transaction continues what was seen of its author and all that it depends on was seen.
pub(super) fn is_ready(txn: &Txn, seen: &VersionVector) -> bool {
    txn.first == seen.get(&txn.author) + 1 && txn.deps.iter().all(|dep| seen.covers(&dep.dot))
}
