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
    /// The member's number, unless it is `taken` by a link of the same member that still stands: then a new one.
    pub(crate) fn of(&mut self, member: &PeerId, taken: impl Fn(Peer) -> bool) -> Peer {
        if let Some(peer) = self.members.get(member).filter(|peer| !taken(**peer)) {
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
        let free = |_| false;
        let number = numbers.of(&first, free);
        assert_eq!(numbers.of(&first, free), number);
        let mut others: Vec<_> = (0..2 * MEMBERS_MAX)
            .map(|_| numbers.of(&PeerId::random(), free))
            .collect();
        assert!(!others.contains(&number));
        others.dedup();
        assert_eq!(others.len(), 2 * MEMBERS_MAX);

        let again = numbers.of(&first, free);
        assert_ne!(again, number, "forgotten by now");
        let other = numbers.of(&first, |peer| peer == again);
        assert_ne!(other, again, "two links at once");
        assert_eq!(numbers.of(&first, free), other);
    }
}
