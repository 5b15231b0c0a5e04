//! Two different things under one dot.

use crate::id::{Dot, TxnHash};

/// What an honest author never does: two transactions, or two events, under one dot. Kept as the proof of it. While nothing is signed it
/// proves that somebody lies, and not who: the author, or a member that hands on what the author never made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fork {
    /// The dot: of a transaction that of its last event.
    pub dot: Dot,
    /// What was found under it.
    pub found: Found,
}

/// The two things that were found under one dot, the lesser first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Found {
    /// The hashes of two transactions.
    Transactions(TxnHash, TxnHash),
    /// The prints of two live events; see [`super::print_of`].
    Events(u64, u64),
}

impl Fork {
    /// Of two hashes of a transaction; `None` if they are the same, or one is not known.
    pub fn of_transactions(dot: Dot, one: TxnHash, other: TxnHash) -> Option<Self> {
        let differ = one != other && one != TxnHash::UNKNOWN && other != TxnHash::UNKNOWN;
        let found = Found::Transactions(one.min(other), one.max(other));
        differ.then_some(Self { dot, found })
    }

    /// Of two prints of a live event; `None` if they are the same.
    pub fn of_events(dot: Dot, one: u64, other: u64) -> Option<Self> {
        let found = Found::Events(one.min(other), one.max(other));
        (one != other).then_some(Self { dot, found })
    }
}
