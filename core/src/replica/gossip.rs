//! Gossiped transactions: applied in causal order, or kept until they can be.

use alloc::vec::Vec;
use core::time::Duration;

use super::{EARLY_AS_EVENT, Event, Origin, Output, Replica, early::is_ready, merge::Merge};
use crate::{
    causality::{Fork, Op, Tip, Txn, TxnHasher},
    id::{Dot, Peer},
    mutation::Mutation,
    sync::SessionError,
    time::Timestamp,
    wire::{AUTHORS_MAX, Gossip},
};

/// Up to so many events of a transaction are taken in at once, in about two milliseconds; more are merged in slices as what a
/// session brings. A message has room for thousands of short deletes.
const APPLIED_AT_ONCE_MAX: usize = 1_000;

/// The longest wait between two sessions for what early transactions lack.
const GAP_WAIT_MAX: Duration = Duration::from_secs(10);

impl Replica {
    pub(super) fn gossiped(&mut self, peer: Option<Peer>, message: &[u8], now: Timestamp) {
        let peer = peer.filter(|peer| self.links.contains_key(peer));
        match Gossip::decode(message) {
            Ok(Gossip::Txn(txn)) => self.heard_of(txn, peer, now),
            Ok(Gossip::Announce(last)) => {
                self.heard_author(&last);
                if !self.store.vector().covers(&last) {
                    self.want_session(peer, now);
                }
            }
            Ok(Gossip::Present(presences)) => self.hear_presences(presences, now),
            Err(error) => self.refuse_gossip(peer, error.into()),
        }
    }

    fn heard_of(&mut self, txn: Txn, peer: Option<Peer>, now: Timestamp) {
        self.heard_author(&txn.last());
        let seen = self.store.vector();
        if seen.covers(&txn.last()) {
            self.seen_before(&txn, now);
            return;
        }
        if !is_ready(&txn, seen) && !self.config.mutated.is(Mutation::VectorOverGaps) {
            self.early.push(txn, peer, now);
            self.schedule_gap(now);
            return;
        }
        let last = txn.last();
        match self.apply(txn, now) {
            Ok(()) => self.early.rouse(Some(last)),
            Err(error) => self.refuse_gossip(peer, error),
        }
    }

    /// Somebody has made this event. If it is not visible here and said to be ours, somebody else writes under our author id: write
    /// as a new author from now on.
    fn heard_author(&mut self, dot: &Dot) {
        if self.author == Some(dot.author) && !self.store.vector().covers(dot) {
            self.author = None;
        }
    }

    /// Applies early transactions whose turn has come, up to about `left` events. Returns whether there is none any more.
    pub(super) fn apply_early(&mut self, left: &mut usize, now: Timestamp) -> bool {
        while self.early.is_roused() {
            // A long one is on its way.
            if *left == 0 || self.merge.is_some() {
                return false;
            }
            let looked_at = self.early.len() / EARLY_AS_EVENT;
            if let Some(txn) = self.early.pop_ready(self.store.vector()) {
                *left = left.saturating_sub(1 + txn.events.len() + looked_at);
                if let Err(error) = self.apply(txn, now) {
                    self.refuse_gossip(None, error);
                }
            } else {
                self.early.prune(self.store.vector(), now);
                self.schedule_gap(now);
            }
        }
        true
    }

    fn apply(&mut self, txn: Txn, now: Timestamp) -> Result<(), SessionError> {
        if self.store.vector().get(&txn.author) == 0 && self.store.vector().len() >= AUTHORS_MAX {
            return Err(SessionError::TooManyAuthors);
        }
        // What an event supersedes was visible to its author, hence is in its past, hence visible here. A transaction for which
        // that is not so was not made by an honest replica; applied, it would mean different things on different replicas.
        let removed = txn.events.iter().flat_map(|event| &event.removes);
        if let Some(dot) = removed.into_iter().find(|dot| !self.store.vector().covers(dot))
            && !self.config.mutated.is(Mutation::VectorOverGaps)
        {
            return Err(SessionError::UnexpectedEvent(*dot));
        }
        if txn.events.iter().any(|event| matches!(event.op, Op::Put { .. })) {
            self.clock.observe(txn.hlc, now);
        }
        let forks: Vec<Fork> = txn.deps.iter().filter_map(|dep| self.fork_of(dep)).collect();
        self.note_forks(&forks, now);
        let (dot, hash) = (txn.last(), TxnHasher::of(&txn));
        self.recent.note(Tip { dot, hash });
        if txn.events.len() > APPLIED_AT_ONCE_MAX.min(self.config.slice_events) {
            self.merge = Some(Merge::of_txn(txn, hash, &self.store, now));
            return Ok(());
        }
        let mut edit = self.store.edit();
        edit.apply(txn, hash);
        let (batch, changes) = edit.finish(Origin::Remote);
        self.settle(batch, changes, now);
        Ok(())
    }

    /// Sees to it that a session is opened if early transactions wait too long.
    fn schedule_gap(&mut self, now: Timestamp) {
        let oldest = self.early.oldest().map(|(since, _)| since + self.config.gap_patience);
        self.gap_at = oldest.map(|at| self.gap_at.unwrap_or(at).max(now));
    }

    /// Opens a session for what early transactions lack, and waits longer before the next.
    pub(super) fn fill_gap(&mut self, now: Timestamp) {
        self.early.prune(self.store.vector(), now);
        let Some((since, from)) = self.early.oldest() else {
            self.gap_at = None;
            return;
        };
        // Twice as long each time: what one session did not bring, another a moment later will not bring either. And from somebody
        // else: who handed the transaction on may lack the same.
        let waited = Duration::from_millis(now.0.saturating_sub(since.0));
        self.gap_at = Some(now + waited.clamp(self.config.gap_patience, GAP_WAIT_MAX));
        let from = from.filter(|_| waited < self.config.gap_patience * 3);
        self.want_session(from, now);
    }

    pub(super) fn refuse_gossip(&mut self, peer: Option<Peer>, error: SessionError) {
        if let Some(peer) = peer {
            self.outputs
                .push_back(Output::Emit(Event::GossipRefused { peer, error }));
        }
    }
}
