//! Gossiped transactions: applied in causal order, or kept until they can be.

use super::{Event, Origin, Output, Replica, early::is_ready};
use crate::{
    causality::{Op, Txn},
    id::Peer,
    mutation::Mutation,
    sync::SessionError,
    time::Timestamp,
    wire::Gossip,
};

impl Replica {
    pub(super) fn gossiped(&mut self, peer: Option<Peer>, message: &[u8], now: Timestamp) {
        let peer = peer.filter(|peer| self.links.contains_key(peer));
        match Gossip::decode(message) {
            Ok(Gossip::Txn(txn)) => self.heard_of(txn, peer, now),
            Ok(Gossip::Announce(last)) => {
                if !self.store.vector().covers(&last) {
                    self.want_session(peer, now);
                }
            }
            Err(error) => self.refuse(peer, error.into()),
        }
    }

    fn heard_of(&mut self, txn: Txn, peer: Option<Peer>, now: Timestamp) {
        let seen = self.store.vector();
        if seen.covers(&txn.last()) {
            return;
        }
        if !is_ready(&txn, seen) && !self.config.mutated.is(Mutation::VectorOverGaps) {
            self.early.push(txn, peer, now);
            self.schedule_gap(now);
            return;
        }
        if let Err(error) = self.apply(&txn, now) {
            self.refuse(peer, error);
            return;
        }
        self.apply_early(now);
    }

    /// Applies the early transactions whose turn has come.
    pub(super) fn apply_early(&mut self, now: Timestamp) {
        while let Some(txn) = self.early.pop_ready(self.store.vector()) {
            if let Err(error) = self.apply(&txn, now) {
                self.refuse(None, error);
            }
        }
        self.schedule_gap(now);
    }

    fn apply(&mut self, txn: &Txn, now: Timestamp) -> Result<(), SessionError> {
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
        if self.author == Some(txn.author) {
            // Not made here, so somebody else writes under this id.
            self.author = None;
        }
        let mut edit = self.store.edit();
        edit.apply(txn);
        let (batch, touched) = edit.finish();
        self.settle(batch, touched, Origin::Remote, now);
        Ok(())
    }

    /// Sees to it that a session is opened if early transactions wait too long.
    fn schedule_gap(&mut self, now: Timestamp) {
        let oldest = self.early.oldest().map(|(since, _)| since + self.config.gap_patience);
        self.gap_at = oldest.map(|at| at.max(self.gap_at.unwrap_or(at)).max(now));
    }

    /// Opens a session for what early transactions lack, and waits longer before the next.
    pub(super) fn fill_gap(&mut self, now: Timestamp) {
        let Some((since, from)) = self.early.oldest() else {
            self.gap_at = None;
            return;
        };
        // Twice as long each time: what one session did not bring, another a moment later will not bring either.
        let waited = core::time::Duration::from_millis(now.0.saturating_sub(since.0));
        self.gap_at = Some(now + waited.max(self.config.gap_patience));
        self.want_session(from, now);
    }

    pub(super) fn refuse(&mut self, peer: Option<Peer>, error: SessionError) {
        if let Some(peer) = peer {
            self.outputs
                .push_back(Output::Emit(Event::SessionFailed { peer, error }));
        }
    }
}
