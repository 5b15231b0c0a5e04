//! Whether a replica keeps its own bounds, for the simulation of hostile members.

use super::{INPUT_BYTES_MAX, Replica, early::EARLY_BYTES_MAX, sessions::SESSIONS_MAX};
use crate::{
    presence::PRESENCES_MAX,
    sync::STAGE_BYTES_MAX,
    wire::{AUTHORS_MAX, FRAME_BYTES_MAX, FRONTIER_MAX},
};

impl Replica {
    /// What a peer has made this replica hold more of than it may, if anything.
    pub fn over_bounds(&self) -> Option<&'static str> {
        let receiving = self.links.values().filter_map(|link| link.incoming.as_ref());
        let bounds = [
            (
                "early transactions",
                self.early.len(),
                self.config.buffered_transactions_max,
            ),
            ("bytes of early transactions", self.early.bytes(), EARLY_BYTES_MAX),
            ("sessions that receive", receiving.clone().count(), SESSIONS_MAX),
            (
                "bytes on a stage",
                receiving.map(|incoming| incoming.staged_bytes()).max().unwrap_or(0),
                STAGE_BYTES_MAX,
            ),
            ("bytes of inputs", self.input_bytes, INPUT_BYTES_MAX + FRAME_BYTES_MAX),
            ("presences", self.presences.len(), PRESENCES_MAX),
            ("authors", self.store.vector().len(), AUTHORS_MAX),
            ("dots of the frontier", self.store.frontier().tips().len(), FRONTIER_MAX),
        ];
        let over = bounds.into_iter().find(|(_, held, max)| held > max);
        over.map(|(what, ..)| what)
    }
}
