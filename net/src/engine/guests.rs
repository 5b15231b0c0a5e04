//! Replicas in this process that are merged with the store, as if they were peers.

use std::collections::VecDeque;

use gossipstore_core::{
    id::Peer,
    replica::{CommandError, Input},
};

use super::{Engine, Phase};
use crate::error::StoreError;

impl Engine {
    /// A replica in this process is there to be merged; gives the number under which it is known.
    pub(crate) fn guest_up(&self) -> Result<Peer, StoreError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(StoreError::Closed);
        }
        // Members are numbered from the other end.
        let last = state.guests.keys().next().map_or(u64::MAX, |peer| peer.0);
        let peer = Peer(last - 1);
        state.guests.insert(peer, VecDeque::new());
        state.feed(Input::PeerUp { peer });
        Ok(peer)
    }

    /// What there is to say to it.
    pub(crate) fn guest_frames(&self, peer: Peer) -> Result<VecDeque<Vec<u8>>, StoreError> {
        let mut state = self.lock();
        let frames = state.guests.get_mut(&peer).map(std::mem::take);
        frames.filter(|_| state.phase == Phase::Open).ok_or(StoreError::Closed)
    }

    /// Whether something that it said was found wrong.
    pub(crate) fn guest_failed(&self, peer: Peer) -> bool {
        self.lock().faults.contains(&peer)
    }

    /// It is gone.
    pub(crate) fn guest_down(&self, peer: Peer) {
        let mut state = self.lock();
        state.feed(Input::PeerDown { peer });
        state.guests.remove(&peer);
        state.faults.retain(|other| *other != peer);
    }

    /// Whether what is visible will be durable before long.
    pub(crate) fn check_storage(&self) -> Result<(), StoreError> {
        let state = self.lock();
        match &state.storage_problem {
            _ if state.phase != Phase::Open => Err(StoreError::Closed),
            Some(failure) => Err(CommandError::NotDurable(failure.clone()).into()),
            None => Ok(()),
        }
    }
}
