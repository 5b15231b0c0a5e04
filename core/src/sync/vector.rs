//! The sending end's way to a vector that a HELLO has left open.

use alloc::{sync::Arc, vec::Vec};

use super::{
    SessionError,
    descent::{Asker, Next, Trie, author_of},
};
use crate::{
    causality::VersionVector,
    id::StoreId,
    wire::{AUTHORS_MAX, Frame, NodeReader, Tag, paged},
};

/// Learns a peer's vector from where it differs from ours.
#[derive(Clone, Debug)]
pub struct VectorDescent {
    tag: Tag,
    ours: Arc<VersionVector>,
    asker: Asker<u64>,
}

impl VectorDescent {
    /// Begins; `tag` is that of the HELLO, `salt` random. Gives the frame that asks for the root.
    pub fn new(tag: Tag, store: StoreId, salt: u64, ours: Arc<VersionVector>) -> (Self, Vec<u8>) {
        let asker = Asker::new(Trie::of_vector(salt, &ours), true, 2 * AUTHORS_MAX);
        (Self { tag, ours, asker }, Frame::Ask { tag, store, salt }.encode())
    }

    /// Which HELLO is asked about.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Takes nodes; appends to `replies` what is to be asked next. Gives the peer's vector when it is known.
    ///
    /// # Errors
    /// When the nodes are malformed or not those that were asked for.
    pub fn receive(
        &mut self,
        nodes: &[u8],
        more: bool,
        replies: &mut Vec<Vec<u8>>,
    ) -> Result<Option<VersionVector>, SessionError> {
        let mut nodes = NodeReader::new(nodes);
        match self.asker.take(&mut nodes, more, Frame::PAYLOAD_BYTES_MAX)? {
            Next::Await => Ok(None),
            Next::Choose(payloads) => {
                let tag = self.tag;
                let frame = |(more, choices)| Frame::Choose { tag, more, choices }.encode();
                replies.extend(paged(&payloads).map(frame));
                Ok(None)
            }
            Next::Done => {
                let mut vector = (*self.ours).clone();
                for (key, count) in self.asker.found() {
                    vector.set(author_of(key), count.unwrap_or(0));
                }
                Ok(Some(vector))
            }
        }
    }
}
