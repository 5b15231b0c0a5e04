//! Vectors that peers are known to hold or to have held.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    causality::VersionVector,
    id::{Digest, Peer},
};

/// How many authors the vectors name that are remembered, all together: some 12 MB. The latest vector is kept in any case.
const AUTHORS_MAX: usize = 256 * 1024;

/// How many vectors are remembered. Peers in one mesh agree on the same ones.
const VECTORS_MAX: usize = 32;

/// How many peers are remembered after they went down.
const PEERS_MAX: usize = 256;

/// What was agreed on with whom: both held this vector at the same time, so one of both can later be told by its differences from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Bases {
    /// The one agreed on last at the end.
    vectors: VecDeque<(Digest, Arc<VersionVector>)>,
    /// How many authors they name.
    authors: usize,
    agreed: BTreeMap<Peer, Digest>,
}

impl Bases {
    /// Notes that a peer holds this vector, as this replica does.
    pub(super) fn agree(&mut self, peer: Peer, digest: Digest, vector: &Arc<VersionVector>) {
        if self.agreed.insert(peer, digest) == Some(digest) {
            return;
        }
        if let Some(place) = self.vectors.iter().position(|(other, _)| *other == digest) {
            if let Some(known) = self.vectors.remove(place) {
                self.vectors.push_back(known);
            }
        } else {
            self.authors += vector.len();
            self.vectors.push_back((digest, Arc::clone(vector)));
        }
        while self.vectors.len() > 1 && (self.vectors.len() > VECTORS_MAX || self.authors > AUTHORS_MAX) {
            if let Some((digest, vector)) = self.vectors.pop_front() {
                self.authors -= vector.len();
                self.agreed.retain(|_, agreed| *agreed != digest);
            }
        }
        while self.agreed.len() > PEERS_MAX {
            // Peers are numbered as they come.
            self.agreed.pop_first();
        }
    }

    /// The vector of a digest that was agreed on with anybody.
    pub(super) fn get(&self, digest: &Digest) -> Option<&Arc<VersionVector>> {
        self.vectors
            .iter()
            .rev()
            .find(|(other, _)| other == digest)
            .map(|(_, vector)| vector)
    }

    /// What was agreed on with a peer last.
    pub(super) fn agreed(&self, peer: Peer) -> Option<(Digest, &Arc<VersionVector>)> {
        let digest = *self.agreed.get(&peer)?;
        Some((digest, self.get(&digest)?))
    }
}
