//! The places that a relay has for members: who holds one, and whether there is one for another.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use libp2p::{Multiaddr, PeerId, relay::RateLimiter};

/// Who holds a place. A clone is the same places.
///
/// libp2p-relay 0.22 has a limit of its own, but counts the reservation that is being renewed against it: a full relay
/// would lose all its members within the hour. It asks its rate limiters about each reservation, too; this is one of
/// them, and tells the two apart. A place is taken with the first reservation and held until the member has gone.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    count: usize,
    held: Arc<Mutex<HashSet<PeerId>>>,
}

impl Places {
    /// So many places, all free.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count,
            held: Arc::default(),
        }
    }

    /// The member has gone: its last connection is closed.
    pub(crate) fn free(&self, member: &PeerId) {
        self.held().remove(member);
    }

    /// Whether the member holds a place now, which it does for sure if it held one before.
    fn take(&self, member: PeerId) -> bool {
        let mut held = self.held();
        let takes = held.contains(&member) || held.len() < self.count;
        if takes {
            held.insert(member);
        }
        takes
    }

    fn held(&self) -> MutexGuard<'_, HashSet<PeerId>> {
        // Every operation on the set leaves it whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RateLimiter for Places {
    fn try_next(&mut self, member: PeerId, _: &Multiaddr, _: Instant) -> bool {
        self.take(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_place_keeps_it_until_it_goes() {
        let places = Places::new(2);
        let [first, second, third] = [(); 3].map(|()| PeerId::random());
        assert!(places.take(first) && places.take(second));
        assert!(!places.take(third), "full");
        assert!(places.take(first), "a renewal");
        places.free(&third);
        assert!(!places.take(third), "it held none");
        places.free(&first);
        assert!(places.take(third));
        assert!(!places.take(first));
    }
}
