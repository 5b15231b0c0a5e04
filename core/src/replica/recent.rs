//! The hashes of transactions seen lately.

use alloc::collections::{BTreeMap, VecDeque};

use crate::{
    causality::Tip,
    id::{Dot, TxnHash},
};

/// How many are remembered, in some 100 KB. Who makes two transactions under one dot is mostly found out when the second arrives; later
/// it is found when live events are compared.
const RECENT_MAX: usize = 1_024;

/// By the dots of their last events, and in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    hashes: BTreeMap<Dot, TxnHash>,
    order: VecDeque<Dot>,
}

impl Recent {
    /// Notes a transaction. The first of a dot counts.
    pub(super) fn note(&mut self, tip: Tip) {
        if tip.hash == TxnHash::UNKNOWN || self.hashes.contains_key(&tip.dot) {
            return;
        }
        self.hashes.insert(tip.dot, tip.hash);
        self.order.push_back(tip.dot);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }

    pub(super) fn get(&self, dot: &Dot) -> Option<TxnHash> {
        self.hashes.get(dot).copied()
    }
}
