//! The numbers by which the replica knows its peers.

use std::collections::HashMap;

use gossipstore_core::id::Peer;
use libp2p::PeerId;

/// How many members are remembered. What the replica remembers of one that was forgotten is only lost time.
const MEMBERS_MAX: usize = 1_024;

/// Gives a member that comes back its number again: the replica remembers by it what was agreed on, which makes the next session
/// short.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    next: u64,
    members: HashMap<PeerId, Peer>,
}

impl Numbers {
    /// The member's number. A member is up once at a time: its links follow each other.
    pub(crate) fn of(&mut self, member: &PeerId) -> Peer {
        if let Some(peer) = self.members.get(member) {
            return *peer;
        }
        if self.members.len() >= MEMBERS_MAX {
            self.members.clear();
        }
        let peer = Peer(self.next);
        self.next += 1;
        self.members.insert(*member, peer);
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_keeps_its_number_and_no_other_gets_it() {
        let mut numbers = Numbers::default();
        let first = PeerId::random();
        let number = numbers.of(&first);
        let mut others: Vec<_> = (0..2 * MEMBERS_MAX).map(|_| numbers.of(&PeerId::random())).collect();
        assert!(!others.contains(&number));
        assert_ne!(numbers.of(&first), number, "forgotten by now");
        assert_eq!(numbers.of(&first), numbers.of(&first));
        others.dedup();
        assert_eq!(others.len(), 2 * MEMBERS_MAX);
    }
}
