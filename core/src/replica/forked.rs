//! Authors with two transactions or events under one dot: how they are noticed, and settled.
//!
//! From then on equal vectors do not mean equal entries. So with each peer the live entries are compared once both have seen the same: what
//! is dead for one is dead for both, and so is what both hold under one dot and is not the same. That is the same on every replica, in
//! whatever order they meet: per dot the maximum of *unknown*, *live*, and *removed*, with two different live entries below *removed* only.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Event, Origin, Output, Replica, link::Link};
use crate::{
    causality::{Fork, Tip, Txn, TxnHasher},
    id::{Dot, TxnHash},
    time::Timestamp,
    wire::{Bits, Share},
};

/// Of about how many live entries prints are compared at most in one session, and of how many bytes of values: some 10 ms at both ends. In a
/// larger store another part of them each time.
const PRINTED_MAX: usize = 8 * 1024;
const PRINTED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long after a peer was told prints it is told them again.
pub(super) const PRINTED_EVERY: Duration = Duration::from_secs(1);

/// What two replicas had when they last compared their live entries: what stood for the contents of both, and how many forks were known here.
pub(super) type Compared = (u64, u64, usize);

impl Replica {
    /// What a transaction that was seen hashes to, if that is still known.
    fn hash_of(&self, dot: &Dot) -> Option<TxnHash> {
        let frontier = self.store.frontier();
        frontier.hash_of(dot).or_else(|| self.recent.get(dot))
    }

    /// Whether somebody has seen another transaction under a dot.
    pub(super) fn fork_of(&self, tip: &Tip) -> Option<Fork> {
        Fork::of_transactions(tip.dot, self.hash_of(&tip.dot)?, tip.hash)
    }

    /// A transaction has come that is seen here already, or one of the same dots.
    pub(super) fn seen_before(&mut self, txn: &Txn, now: Timestamp) {
        let dot = txn.last();
        if let Some(known) = self.hash_of(&dot) {
            let fork = Fork::of_transactions(dot, known, TxnHasher::of(txn));
            self.note_forks(fork.as_slice(), now);
        }
    }

    /// Notes forks outside a merge.
    pub(super) fn note_forks(&mut self, forks: &[Fork], now: Timestamp) {
        if forks.is_empty() {
            return;
        }
        let mut edit = self.store.edit();
        forks.iter().for_each(|fork| edit.fork(*fork));
        let (batch, changes) = edit.finish(Origin::Remote);
        if !batch.is_empty() {
            self.tell_forks(&batch.forks);
            self.settle(batch, changes, now);
        }
    }

    /// Tells callers of forks that became known. Who is said to have made one writes as a new author: it was somebody else.
    pub(super) fn tell_forks(&mut self, forks: &[Fork]) {
        for fork in forks {
            if self.author == Some(fork.dot.author) {
                self.author = None;
            }
            self.outputs.push_back(Output::Emit(Event::Forked(*fork)));
        }
    }

    /// Of how many blocks the prints are compared in the next session that compares live entries.
    pub(super) fn share(&self) -> Share {
        let totals = self.store.totals();
        let entries = totals.keys.div_ceil(PRINTED_MAX);
        let bytes = usize::try_from(totals.bytes.div_ceil(PRINTED_BYTES_MAX)).unwrap_or(usize::MAX >> 1);
        // Each step halves what is compared.
        Share(1 + entries.max(bytes).next_power_of_two().trailing_zeros() as u8)
    }

    /// What stands for the contents where vectors are equal: the digest of the frontier, and once a fork is known of the live dots as well.
    /// Told with the digest of the vector.
    pub(super) fn contents(&self) -> u64 {
        *self.contents.get_or_init(|| {
            let frontier = self.store.frontier().digest();
            if self.store.forks_count() == 0 {
                return frontier;
            }
            let mut hasher = blake3::Hasher::new_derive_key("gossipstore 1 contents");
            hasher.update(&frontier.to_le_bytes());
            let mut blocks: Vec<_> = self.store.blocks(None).collect();
            blocks.sort_unstable();
            for (author, block, live) in blocks.into_iter().filter(|(_, _, live)| *live != Bits::default()) {
                let mut bytes = Vec::with_capacity(64);
                bytes.extend_from_slice(&author.0);
                bytes.extend_from_slice(&block.to_le_bytes());
                live.iter()
                    .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
                hasher.update(&bytes);
            }
            hasher
                .finalize()
                .as_bytes()
                .first_chunk()
                .copied()
                .map_or(0, u64::from_le_bytes)
        })
    }

    /// What is compared with a peer when a session with it compares live entries now.
    pub(super) fn compared(&self, link: &Link) -> Option<Compared> {
        Some((self.contents(), link.contents?, self.store.forks_count()))
    }

    /// Whether the live entries may differ from a peer's, although both have seen the same.
    pub(super) fn is_in_doubt(&self, link: &Link) -> bool {
        let Some(compared) = self.compared(link).filter(|_| link.in_sync == Some(true)) else {
            return false;
        };
        let (ours, theirs, forks) = compared;
        let is_new = link.entries_compared.is_none_or(|(_, _, known)| known < forks);
        forks > 0 && is_new || ours != theirs && link.entries_compared != Some(compared)
    }
}
