//! Links between replicas, what is on its way over them, and what is in the way.
//!
//! A link carries frames in order until it is cut; what was on it then is lost, or turns up on a later link, as no driver may
//! let it. The two ends of a cut link may notice at different times. A direction may be closed without any end noticing: frames
//! wait, gossip is lost, while the other direction stays open.
//!
//! Gossip goes through the mesh: each replica that can be reached gets the message, from the neighbour before it on the way.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use super::random::Random;
use crate::id::Peer;

/// Something on its way to a replica.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) bytes: Vec<u8>,
}

/// Something of which a copy may come long after its time.
#[derive(Clone, Debug)]
pub(super) enum Late {
    /// A frame of an earlier link, now on the link of this number.
    Frame(Peer, InFlight),
    /// A gossiped message.
    Gossip(InFlight),
}

/// A connection of two replicas.
#[derive(Debug)]
struct Link {
    ends: [usize; 2],
    /// Whether each end believes that the link is up. A link that one of them has given up carries nothing.
    up: [bool; 2],
    /// What is on its way to each end.
    lanes: [VecDeque<Vec<u8>>; 2],
}

impl Link {
    fn is_whole(&self) -> bool {
        self.up == [true; 2]
    }

    fn joins(&self, a: usize, b: usize) -> bool {
        self.ends == [a, b] || self.ends == [b, a]
    }

    /// Which of the two ends a replica is.
    fn end(&self, replica: usize) -> usize {
        usize::from(self.ends[1] == replica)
    }
}

/// How many late frames and messages are kept each: old ones go first.
const LATE_MAX: usize = 32;

/// All links and all that is in flight. A link has a number of its own each time it comes up.
#[derive(Debug, Default)]
pub(super) struct Network {
    links: BTreeMap<Peer, Link>,
    next_number: u64,
    /// Directions in which nothing gets through: from, to.
    closed: BTreeSet<(usize, usize)>,
    /// Replicas that neither say nor hear anything, and whose links stand all the same.
    asleep: BTreeSet<usize>,
    gossip: Vec<InFlight>,
    late_frames: VecDeque<(Peer, InFlight)>,
    late_gossip: VecDeque<InFlight>,
}

impl Network {
    /// Joins two replicas; gives the link's number, or `None` if they are joined.
    pub(super) fn join(&mut self, a: usize, b: usize) -> Option<Peer> {
        if a == b || self.link(a, b).is_some() {
            return None;
        }
        let number = Peer(self.next_number);
        self.next_number += 1;
        let link = Link {
            ends: [a, b],
            up: [true; 2],
            lanes: Default::default(),
        };
        self.links.insert(number, link);
        Some(number)
    }

    /// Takes a link away from one end; what is on it is lost. The other end does not notice.
    pub(super) fn give_up(&mut self, replica: usize, peer: Peer) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let end = link.end(replica);
        link.up[end] = false;
        for (to, lane) in link.lanes.iter_mut().enumerate() {
            let (to, from) = (link.ends[to], link.ends[1 - to]);
            for bytes in lane.drain(..) {
                keep(&mut self.late_frames, (peer, InFlight { to, from, bytes }));
            }
        }
        if link.up == [false; 2] {
            self.links.remove(&peer);
        }
    }

    /// The link that joins two replicas.
    pub(super) fn link(&self, a: usize, b: usize) -> Option<Peer> {
        let mut links = self.links.iter();
        let (number, _) = links.find(|(_, link)| link.is_whole() && link.joins(a, b))?;
        Some(*number)
    }

    /// The links that a replica believes to be up, with the replica at the other end.
    pub(super) fn links_of(&self, replica: usize) -> Vec<(Peer, usize)> {
        let mine = self.links.iter().filter(|(_, link)| link.ends.contains(&replica));
        mine.filter(|(_, link)| link.up[link.end(replica)])
            .map(|(number, link)| (*number, link.ends[1 - link.end(replica)]))
            .collect()
    }

    /// The ends that still believe in a link that the other end has given up.
    pub(super) fn deceived(&self) -> Vec<(usize, Peer)> {
        let broken = self.links.iter().filter(|(_, link)| !link.is_whole());
        broken
            .map(|(number, link)| (link.ends[usize::from(link.up[1])], *number))
            .collect()
    }

    /// The replica at the other end of a link.
    pub(super) fn other_end(&self, replica: usize, peer: Peer) -> Option<usize> {
        let link = self.links.get(&peer)?;
        Some(link.ends[1 - link.end(replica)])
    }

    /// Closes one direction.
    pub(super) fn close(&mut self, from: usize, to: usize) {
        self.closed.insert((from, to));
    }

    /// Opens all directions.
    pub(super) fn open(&mut self) {
        self.closed.clear();
    }

    /// Has these replicas fall asleep, and all others wake.
    pub(super) fn sleep(&mut self, replicas: BTreeSet<usize>) {
        self.asleep = replicas;
    }

    pub(super) fn is_anyone_asleep(&self) -> bool {
        !self.asleep.is_empty()
    }

    pub(super) fn is_asleep(&self, replica: usize) -> bool {
        self.asleep.contains(&replica)
    }

    /// Whether one replica reaches another by way of those that `passes` accepts.
    pub(super) fn reaches(&self, from: usize, to: usize, passes: impl Fn(usize) -> bool) -> bool {
        self.hops(from, passes).iter().any(|(_, reached)| *reached == to)
    }

    /// Puts a frame on its way to the other end. On a link that the other end has given up it is lost.
    pub(super) fn send(&mut self, from: usize, peer: Peer, bytes: Vec<u8>) {
        if let Some(link) = self.links.get_mut(&peer).filter(|link| link.is_whole()) {
            let to = 1 - link.end(from);
            link.lanes[to].push_back(bytes);
        }
    }

    /// The lanes on which a frame can arrive: the replica at their end, and the link.
    pub(super) fn busy(&self) -> impl Iterator<Item = (usize, Peer)> {
        self.links.iter().flat_map(|(number, link)| {
            [0, 1].into_iter().filter_map(|to| {
                let passes = self.passes(link.ends[1 - to], link.ends[to]);
                (passes && !link.lanes[to].is_empty()).then_some((link.ends[to], *number))
            })
        })
    }

    /// Takes the next frame for `to`; says who sent it and whether the lane is now empty. The copy that is kept, if one is asked for,
    /// may turn up on a later link.
    pub(super) fn receive(&mut self, to: usize, peer: Peer, copied: bool) -> Option<(InFlight, bool)> {
        let link = self.links.get_mut(&peer)?;
        let end = link.end(to);
        let bytes = link.lanes[end].pop_front()?;
        let (from, empty) = (link.ends[1 - end], link.lanes[end].is_empty());
        let frame = InFlight { to, from, bytes };
        if copied {
            keep(&mut self.late_frames, (peer, frame.clone()));
        }
        Some((frame, empty))
    }

    /// Gossips from one replica to all that it reaches, from neighbour to neighbour.
    pub(super) fn gossip(&mut self, from: usize, bytes: &[u8]) {
        for (from, to) in self.hops(from, |_| true) {
            self.whisper(from, to, bytes);
        }
    }

    /// Gossips to one replica only.
    pub(super) fn whisper(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        self.gossip.push(InFlight { to, from, bytes });
    }

    pub(super) fn is_gossiping(&self) -> bool {
        !self.gossip.is_empty()
    }

    /// Takes any message in flight, whatever order they were sent in.
    pub(super) fn overhear(&mut self, random: &mut Random, duplicate: bool) -> Option<InFlight> {
        if self.gossip.is_empty() {
            return None;
        }
        let at = random.below(self.gossip.len());
        if duplicate {
            return Some(self.gossip[at].clone());
        }
        let message = self.gossip.swap_remove(at);
        if random.percent(10) {
            keep(&mut self.late_gossip, message.clone());
        }
        Some(message)
    }

    /// Something whose time is long over: a frame for a link that came up after its own, or a message.
    pub(super) fn late(&self, random: &mut Random) -> Option<Late> {
        if random.percent(50) {
            let at = random.below(self.late_gossip.len());
            return self.late_gossip.get(at).cloned().map(Late::Gossip);
        }
        let fitting = self.late_frames.iter().filter_map(|(old, frame)| {
            let peer = self.link(frame.from, frame.to).filter(|peer| peer > old)?;
            Some((peer, frame))
        });
        let fitting: Vec<_> = fitting.collect();
        let (peer, frame) = fitting.get(random.below(fitting.len()))?;
        Some(Late::Frame(*peer, (*frame).clone()))
    }

    /// How a replica reaches all that it reaches by way of those that `passes` accepts, from neighbour to neighbour, the nearest first.
    fn hops(&self, from: usize, passes: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
        let (mut hops, mut reached) = (Vec::new(), BTreeSet::from([from]));
        let mut next = VecDeque::from([from]);
        while let Some(from) = next.pop_front() {
            let neighbours = self.neighbours(from).into_iter();
            for to in neighbours.filter(|to| passes(*to) && reached.insert(*to)) {
                hops.push((from, to));
                next.push_back(to);
            }
        }
        hops
    }

    /// Whom a replica reaches at once.
    fn neighbours(&self, from: usize) -> Vec<usize> {
        let whole = self.links.values().filter(|link| link.is_whole());
        let mine = whole.filter(|link| link.ends.contains(&from));
        mine.map(|link| link.ends[1 - link.end(from)])
            .filter(|to| self.passes(from, *to))
            .collect()
    }

    fn passes(&self, from: usize, to: usize) -> bool {
        !self.closed.contains(&(from, to)) && !self.asleep.contains(&from) && !self.asleep.contains(&to)
    }
}

fn keep<T>(late: &mut VecDeque<T>, one: T) {
    if late.len() == LATE_MAX {
        late.pop_front();
    }
    late.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(network: &Network) -> Vec<(usize, Peer)> {
        network.busy().collect()
    }

    #[test]
    fn a_link_that_one_end_has_given_up_carries_nothing() {
        let mut network = Network::default();
        let old = network.join(0, 1).expect("not joined yet");
        network.send(1, old, b"before".to_vec());
        assert_eq!(busy(&network), [(0, old)]);
        network.give_up(0, old);
        network.send(1, old, b"after".to_vec());
        assert_eq!((busy(&network), network.deceived()), (Vec::new(), [(1, old)].into()));
        // The one that noticed may come back before the other has.
        let new = network.join(0, 1).expect("not joined any more");
        assert_eq!(network.links_of(0), [(new, 1)]);
        assert_eq!(network.links_of(1), [(old, 0), (new, 0)]);
    }

    #[test]
    fn what_was_on_a_link_turns_up_on_later_ones_only() {
        let (mut network, mut random) = (Network::default(), Random::new(1));
        let late = |network: &Network, random: &mut Random| {
            (0..20).find_map(|_| match network.late(random) {
                Some(Late::Frame(peer, frame)) => Some((peer, frame.to, frame.bytes)),
                _ => None,
            })
        };
        let old = network.join(0, 1).expect("not joined yet");
        network.send(0, old, b"frame".to_vec());
        assert!(network.receive(1, old, true).is_some());
        assert_eq!(late(&network, &mut random), None);
        network.give_up(0, old);
        network.give_up(1, old);
        assert_eq!(late(&network, &mut random), None);
        let new = network.join(1, 0).expect("not joined any more");
        assert_eq!(late(&network, &mut random), Some((new, 1, b"frame".to_vec())));
    }

    #[test]
    fn a_closed_direction_holds_frames_and_loses_gossip() {
        let mut network = Network::default();
        let link = network.join(0, 1).expect("not joined yet");
        network.close(0, 1);
        network.send(0, link, Vec::new());
        network.send(1, link, Vec::new());
        assert_eq!(busy(&network), [(0, link)]);
        network.gossip(0, b"message");
        assert!(!network.is_gossiping());
        // By way of another it gets there, and comes from that one.
        network.join(0, 2);
        network.join(2, 1);
        network.gossip(0, b"message");
        let handed: Vec<_> = network
            .gossip
            .iter()
            .map(|message| (message.from, message.to))
            .collect();
        assert_eq!(handed, [(0, 2), (2, 1)]);
        network.open();
        assert_eq!(busy(&network), [(0, link), (1, link)]);
    }
}
