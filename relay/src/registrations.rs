//! How often members register, and which do it too often.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId, core::PeerRecord};

use crate::limits::{RECORD_BYTES_MAX, REGISTRATIONS_PER_MINUTE};

const MINUTE: Duration = Duration::from_secs(60);

/// Counts registrations, minute by minute.
///
/// libp2p-rendezvous 0.18 replaces a registration by the next in the same namespace but keeps the old record, and a
/// timer for it, until it would have ended; its own limits count neither. Who makes use of that is hung up on, and not
/// let in again before the minute is over.
#[derive(Debug)]
pub(crate) struct Registrations {
    since: Instant,
    /// Of this minute, so that it is never larger than what can connect in one.
    counts: HashMap<PeerId, u32>,
}

impl Registrations {
    /// None yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            counts: HashMap::new(),
        }
    }

    /// Counts one. Says whether it was one too many.
    pub(crate) fn count(&mut self, member: PeerId, record: &PeerRecord, now: Instant) -> bool {
        self.begin_minute(now);
        let bytes = record.addresses().iter().map(Multiaddr::len).sum::<usize>();
        let count = self.counts.entry(member).or_default();
        // No member has so many addresses; one such record costs as much as many that are as they should be.
        let weight = if bytes > RECORD_BYTES_MAX {
            REGISTRATIONS_PER_MINUTE + 1
        } else {
            1
        };
        *count = count.saturating_add(weight);
        *count > REGISTRATIONS_PER_MINUTE
    }

    /// Whether the member has registered too often in this minute.
    pub(crate) fn is_refused(&mut self, member: &PeerId, now: Instant) -> bool {
        self.begin_minute(now);
        self.counts
            .get(member)
            .is_some_and(|count| *count > REGISTRATIONS_PER_MINUTE)
    }

    fn begin_minute(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= MINUTE {
            self.since = now;
            // Also gives back what a flood took.
            self.counts = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    fn record(addresses: usize) -> PeerRecord {
        let address: Multiaddr = "/dns4/relay.example.org/tcp/443/wss".parse().unwrap();
        PeerRecord::new(&Keypair::generate_ed25519(), vec![address; addresses]).unwrap()
    }

    #[test]
    fn too_many_in_a_minute_are_told_until_it_is_over() {
        let now = Instant::now();
        let mut registrations = Registrations::new(now);
        let (eager, other, record) = (PeerId::random(), PeerId::random(), record(1));
        for _ in 0..REGISTRATIONS_PER_MINUTE {
            assert!(!registrations.count(eager, &record, now));
        }
        assert!(!registrations.is_refused(&eager, now));
        assert!(registrations.count(eager, &record, now));
        assert!(registrations.is_refused(&eager, now + MINUTE / 2));
        assert!(!registrations.count(other, &record, now), "each member by itself");
        assert!(!registrations.is_refused(&eager, now + MINUTE));
        assert!(!registrations.count(eager, &record, now + MINUTE));
    }

    #[test]
    fn one_record_that_is_too_large_is_enough() {
        let now = Instant::now();
        let mut registrations = Registrations::new(now);
        let member = PeerId::random();
        assert!(registrations.count(member, &record(1_000), now));
        assert!(registrations.is_refused(&member, now));
    }
}
