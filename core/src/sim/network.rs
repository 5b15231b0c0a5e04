//! Links between replicas and the gossip in flight.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use super::random::Random;
use crate::id::Peer;

/// A frame or message on its way to a replica.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) bytes: Vec<u8>,
}

/// One direction of a link.
#[derive(Clone, Debug, Default)]
struct Lane {
    frames: VecDeque<Vec<u8>>,
}

/// All links, by the two replicas they join. A link has a number of its own each time it comes up.
#[derive(Debug, Default)]
pub(super) struct Network {
    links: BTreeMap<(usize, usize), Peer>,
    lanes: BTreeMap<(Peer, usize), Lane>,
    next_number: u64,
    gossip: Vec<InFlight>,
}

impl Network {
    /// Joins two replicas; gives the link's number, or `None` if they are joined.
    pub(super) fn join(&mut self, a: usize, b: usize) -> Option<Peer> {
        let pair = (a.min(b), a.max(b));
        if a == b || self.links.contains_key(&pair) {
            return None;
        }
        let number = Peer(self.next_number);
        self.next_number += 1;
        self.links.insert(pair, number);
        self.lanes.insert((number, a), Lane::default());
        self.lanes.insert((number, b), Lane::default());
        Some(number)
    }

    /// Cuts a link wherever its frames are.
    pub(super) fn cut(&mut self, a: usize, b: usize) -> Option<Peer> {
        let number = self.links.remove(&(a.min(b), a.max(b)))?;
        self.lanes.remove(&(number, a));
        self.lanes.remove(&(number, b));
        Some(number)
    }

    pub(super) fn link(&self, a: usize, b: usize) -> Option<Peer> {
        self.links.get(&(a.min(b), a.max(b))).copied()
    }

    /// Puts a frame on its way to the other end.
    pub(super) fn send(&mut self, from: usize, peer: Peer, bytes: Vec<u8>) {
        let to = self
            .links
            .iter()
            .find(|(_, number)| **number == peer)
            .map(|((a, b), _)| if *a == from { *b } else { *a });
        if let Some(to) = to
            && let Some(lane) = self.lanes.get_mut(&(peer, to))
        {
            lane.frames.push_back(bytes);
        }
    }

    /// The lanes that hold frames: the replica at their end, and the link.
    pub(super) fn busy(&self) -> Vec<(usize, Peer)> {
        self.lanes
            .iter()
            .filter(|(_, lane)| !lane.frames.is_empty())
            .map(|((peer, to), _)| (*to, *peer))
            .collect()
    }

    /// Takes the next frame for `to`; says who sent it and whether the lane is now empty.
    pub(super) fn receive(&mut self, to: usize, peer: Peer) -> Option<(InFlight, bool)> {
        let lane = self.lanes.get_mut(&(peer, to))?;
        let bytes = lane.frames.pop_front()?;
        let empty = lane.frames.is_empty();
        let from = self
            .links
            .iter()
            .find(|(_, number)| **number == peer)
            .map(|((a, b), _)| if *a == to { *b } else { *a })?;
        Some((InFlight { to, from, bytes }, empty))
    }

    /// Gossips from one replica to those it is joined with.
    pub(super) fn gossip(&mut self, from: usize, bytes: &[u8]) {
        let others = self.links.keys().filter(|(a, b)| *a == from || *b == from);
        let tos: Vec<_> = others.map(|(a, b)| if *a == from { *b } else { *a }).collect();
        self.gossip.extend(tos.into_iter().map(|to| InFlight {
            to,
            from,
            bytes: bytes.to_vec(),
        }));
    }

    pub(super) fn gossiping(&self) -> bool {
        !self.gossip.is_empty()
    }

    /// Takes any message in flight, whatever order they were sent in.
    pub(super) fn overhear(&mut self, random: &mut Random, duplicate: bool) -> Option<InFlight> {
        if self.gossip.is_empty() {
            return None;
        }
        let at = random.below(self.gossip.len());
        Some(if duplicate {
            self.gossip[at].clone()
        } else {
            self.gossip.swap_remove(at)
        })
    }
}
