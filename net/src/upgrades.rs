//! From a circuit to a direct connection: who tries, when, and why there is none yet.
//!
//! Members meet on a circuit and can exchange everything there. Meanwhile the one with the lower peer id dials the other directly,
//! with the circuit to arrange it; [`crate::links`] lets the better connection take over. What fails is tried again, more and more
//! seldom, for as long as the circuit stands: networks change.

use std::{collections::HashMap, time::Duration};

use gossipstore_core::time::Timestamp;
use libp2p::{PeerId, swarm::ConnectionId};
use rand::rngs::SmallRng;

use crate::retry::Backoff;

/// When to dial again. An attempt costs the relay a few kilobytes, and each side some work of its browser.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(2),
    cap: Duration::from_secs(60),
};

/// Says why before an attempt has failed.
const UNDER_WAY: &str = "a direct connection is being tried";
const THEIR_TURN: &str = "the other side has not made a direct connection yet";

/// The members that are reached through circuits only.
#[derive(Debug)]
pub(crate) struct Upgrades {
    local: PeerId,
    /// Why nobody can be connected directly from here, if so.
    unable: Option<String>,
    members: HashMap<PeerId, Upgrade>,
}

#[derive(Debug)]
struct Upgrade {
    state: State,
    failures: u32,
    error: Option<String>,
}

#[derive(Debug)]
enum State {
    /// The other side dials.
    Theirs,
    Waiting {
        until: Timestamp,
    },
    Dialling {
        dial: ConnectionId,
    },
}

impl Upgrades {
    /// Nobody is connected yet. With `unable`, nobody will be directly, and that is why.
    pub(crate) fn new(local: PeerId, unable: Option<String>) -> Self {
        Self {
            local,
            unable,
            members: HashMap::new(),
        }
    }

    /// A circuit to a member stands, and nothing better.
    pub(crate) fn circuit_stands(&mut self, member: PeerId, now: Timestamp) {
        let state = if self.unable.is_none() && self.local < member {
            State::Waiting { until: now }
        } else {
            State::Theirs
        };
        self.members.entry(member).or_insert(Upgrade {
            state,
            failures: 0,
            error: None,
        });
    }

    /// A direct connection to a member stands, or none at all.
    pub(crate) fn over(&mut self, member: &PeerId) {
        self.members.remove(member);
    }

    /// Whom to dial now; report each with [`Self::dialling`].
    pub(crate) fn due(&self, now: Timestamp) -> Vec<PeerId> {
        let is_due = |upgrade: &Upgrade| matches!(upgrade.state, State::Waiting { until } if until <= now);
        let due = self.members.iter().filter(|(_, upgrade)| is_due(upgrade));
        due.map(|(member, _)| *member).collect()
    }

    /// A dial has begun.
    pub(crate) fn dialling(&mut self, member: &PeerId, dial: ConnectionId) {
        if let Some(upgrade) = self.members.get_mut(member) {
            upgrade.state = State::Dialling { dial };
        }
    }

    /// A dial has failed; does nothing if it was none of ours.
    pub(crate) fn dial_failed(
        &mut self,
        connection: ConnectionId,
        error: impl FnOnce() -> String,
        now: Timestamp,
        random: &mut SmallRng,
    ) {
        let is_it = |upgrade: &&mut Upgrade| matches!(upgrade.state, State::Dialling { dial } if dial == connection);
        if let Some(upgrade) = self.members.values_mut().find(is_it) {
            upgrade.failures = upgrade.failures.saturating_add(1);
            upgrade.error = Some(error());
            let until = now + BACKOFF.delay(upgrade.failures, random);
            upgrade.state = State::Waiting { until };
        }
    }

    /// The other side's attempt has failed here.
    pub(crate) fn incoming_failed(&mut self, member: &PeerId, error: String) {
        if let Some(upgrade) = self.members.get_mut(member) {
            upgrade.error = Some(error);
        }
    }

    /// When [`Self::due`] names somebody, if nothing is reported before.
    pub(crate) fn timeout(&self) -> Option<Timestamp> {
        let waiting = self.members.values().filter_map(|upgrade| match upgrade.state {
            State::Waiting { until } => Some(until),
            State::Theirs | State::Dialling { .. } => None,
        });
        waiting.min()
    }

    /// Why a member is not connected directly; `None` for those that are, or not at all.
    pub(crate) fn why(&self, member: &PeerId) -> Option<&str> {
        let upgrade = self.members.get(member)?;
        let reason = self.unable.as_deref().or(upgrade.error.as_deref());
        Some(reason.unwrap_or(match upgrade.state {
            State::Theirs => THEIR_TURN,
            State::Waiting { .. } | State::Dialling { .. } => UNDER_WAY,
        }))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    struct Bench {
        upgrades: Upgrades,
        lower: PeerId,
        higher: PeerId,
        now: Timestamp,
        random: SmallRng,
    }

    impl Bench {
        /// Between two members, a lower one and a higher one.
        fn new(unable: Option<&str>) -> Self {
            let mut ids = [(); 3].map(|()| PeerId::random());
            ids.sort();
            Self {
                upgrades: Upgrades::new(ids[1], unable.map(Into::into)),
                lower: ids[0],
                higher: ids[2],
                now: Timestamp(1_000_000),
                random: SmallRng::seed_from_u64(5),
            }
        }

        fn meet(&mut self) {
            for member in [self.lower, self.higher] {
                self.upgrades.circuit_stands(member, self.now);
            }
        }

        fn dial(&mut self, connection: usize) -> ConnectionId {
            assert_eq!(self.upgrades.due(self.now), [self.higher]);
            let dial = ConnectionId::new_unchecked(connection);
            self.upgrades.dialling(&self.higher, dial);
            assert_eq!(self.upgrades.due(self.now), []);
            dial
        }

        fn why(&self, member: PeerId) -> Option<&str> {
            self.upgrades.why(&member)
        }
    }

    #[test]
    fn one_of_two_dials_and_both_say_why_they_are_not_direct_yet() {
        let mut bench = Bench::new(None);
        assert_eq!(bench.why(bench.higher), None);
        bench.meet();
        assert_eq!(bench.why(bench.lower), Some(THEIR_TURN));
        bench.dial(1);
        assert_eq!(bench.why(bench.higher), Some(UNDER_WAY));
        bench.upgrades.circuit_stands(bench.higher, bench.now);
        assert_eq!(
            bench.upgrades.due(bench.now),
            [],
            "a second circuit is no reason to dial twice"
        );
        bench.upgrades.incoming_failed(&bench.lower, "no path".into());
        assert_eq!(bench.why(bench.lower), Some("no path"));
        bench.upgrades.over(&bench.higher);
        assert_eq!(bench.why(bench.higher), None);
        assert_eq!(bench.upgrades.timeout(), None);
    }

    #[test]
    fn what_fails_is_tried_again_more_seldom_for_as_long_as_the_circuit_stands() {
        let mut bench = Bench::new(None);
        bench.meet();
        let mut waits = Vec::new();
        for attempt in 0..20 {
            let dial = bench.dial(attempt);
            let other = ConnectionId::new_unchecked(999);
            let failed = |upgrades: &mut Upgrades, dial, random: &mut SmallRng| {
                upgrades.dial_failed(dial, || "no path".into(), bench.now, random);
            };
            failed(&mut bench.upgrades, other, &mut bench.random);
            assert_eq!(bench.upgrades.timeout(), None);
            failed(&mut bench.upgrades, dial, &mut bench.random);
            assert_eq!(bench.why(bench.higher), Some("no path"));
            let until = bench.upgrades.timeout().expect("it is tried again");
            waits.push(until.0 - bench.now.0);
            bench.now = until;
        }
        assert!(waits[0] <= 2_000 && waits[19] >= 30_000, "{waits:?}");
        bench.dial(20);
        assert_eq!(
            bench.why(bench.higher),
            Some("no path"),
            "the last failure stays readable"
        );
    }

    #[test]
    fn who_is_unable_dials_nobody_and_says_why() {
        let mut bench = Bench::new(Some("no WebRTC here"));
        bench.meet();
        assert_eq!(bench.upgrades.timeout(), None);
        assert_eq!(bench.upgrades.due(bench.now), []);
        for member in [bench.lower, bench.higher] {
            assert_eq!(bench.why(member), Some("no WebRTC here"));
        }
    }
}
