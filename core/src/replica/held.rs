//! What must not leave before storage has what led to it.
//!
//! A call that nobody has answered when this process dies is made again elsewhere, on what storage has. If a peer had learned of it
//! by then, it would be carried out twice. So from such a call on, nothing leaves until it is durable: what leaves later may depend
//! on it, and a session shows all that is visible.

use alloc::collections::VecDeque;

use super::{BatchId, Output};

/// Frames and messages that wait for storage, in their order.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The last batch that may come again as a call.
    batch: Option<BatchId>,
    waiting: VecDeque<(BatchId, Output)>,
    /// Up to where batches are durable.
    durable: Option<BatchId>,
}

impl Held {
    /// From now on, nothing leaves until this batch is durable.
    pub(super) fn until(&mut self, batch: BatchId) {
        self.batch = Some(batch);
    }

    /// Keeps what has to wait; gives the rest back.
    pub(super) fn sift(&mut self, output: Output) -> Option<Output> {
        match (&output, self.batch) {
            (Output::Send { .. } | Output::Broadcast { .. }, Some(batch)) if self.batch > self.durable => {
                self.waiting.push_back((batch, output));
                None
            }
            _ => Some(output),
        }
    }

    /// Batches up to this one are durable.
    pub(super) fn release(&mut self, durable: BatchId) {
        self.durable = self.durable.max(Some(durable));
    }

    /// What has waited long enough. To be asked before anything is sifted: it is older.
    pub(super) fn next(&mut self) -> Option<Output> {
        let (batch, _) = self.waiting.front()?;
        if Some(*batch) > self.durable {
            return None;
        }
        self.waiting.pop_front().map(|(_, output)| output)
    }
}
