//! What of a replica survives a crash.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{replica::BatchId, store::Batch};

/// Storage that takes batches in order, each whole or not at all, and forgets what it had not flushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    flushed: Vec<Batch>,
    waiting: VecDeque<(BatchId, Batch)>,
}

impl Disk {
    pub(super) fn take(&mut self, id: BatchId, batch: Batch) {
        self.waiting.push_back((id, batch));
    }

    /// Whether batches wait to be flushed.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many batches wait to be flushed.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Flushes the next batch.
    pub(super) fn flush(&mut self) -> Option<BatchId> {
        let (id, batch) = self.waiting.pop_front()?;
        self.flushed.push(batch);
        Some(id)
    }

    /// The process dies: the first `kept` of the waiting batches had reached the disk, though nobody was told; the others are lost.
    pub(super) fn crash(&mut self, kept: usize) {
        let batches = self.waiting.drain(..).map(|(_, batch)| batch);
        self.flushed.extend(batches.take(kept));
    }

    /// How many batches are on the disk.
    pub(super) fn len(&self) -> usize {
        self.flushed.len()
    }

    /// What the disk held after its first `batches`.
    pub(super) fn image(&self, batches: usize) -> Self {
        Self {
            flushed: self.flushed[..batches].to_vec(),
            waiting: VecDeque::new(),
        }
    }

    /// The batches on the disk, in order.
    pub(super) fn batches(&self) -> impl Iterator<Item = Batch> + '_ {
        self.flushed.iter().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AuthorId;

    #[test]
    fn a_crash_keeps_what_was_flushed_and_a_first_part_of_the_rest() {
        let mut disk = Disk::default();
        for n in 1..=5 {
            let vector = [(AuthorId::default(), n)].into();
            disk.take(
                BatchId(n),
                Batch {
                    vector,
                    ..Batch::default()
                },
            );
        }
        assert_eq!(disk.flush(), Some(BatchId(1)));
        disk.crash(2);
        let kept: Vec<_> = disk.batches().map(|batch| batch.vector[0].1).collect();
        assert_eq!((kept, disk.waiting(), disk.flush()), ([1, 2, 3].into(), 0, None));
        assert_eq!(disk.image(1).len(), 1);
    }
}
