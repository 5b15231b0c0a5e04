//! Keeping in touch with relays, for ever: each is dialled, asked for a reservation, and watched; whatever goes wrong,
//! it is tried again after a while, and the status says what went wrong.
//!
//! ```text
//! Waiting --time--> Dialling --connected--> Reserving --accepted--> Reserved
//!    ^                  |                       |                      |
//!    +---- failed, and why: wait a little longer than the last time ---+
//! ```

use std::{collections::VecDeque, time::Duration};

use gossipstore_core::time::Timestamp;
use libp2p::{PeerId, core::transport::ListenerId, swarm::ConnectionId};
use rand::rngs::SmallRng;

use crate::{
    address::RelayAddress,
    retry::Backoff,
    status::{RelayState, RelayStatus},
};

/// When a relay that failed is tried again. A relay that restarts is back within seconds, and its members should be
/// too.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(300),
    cap: Duration::from_secs(3),
};

/// After so many failures in a row, about two minutes, a relay is taken to be away for longer, and asked less often.
const AWAY_AFTER: u32 = 45;
const BACKOFF_AWAY: Backoff = Backoff {
    base: Duration::from_secs(10),
    cap: Duration::from_secs(10),
};

/// How long a dial or a reservation may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a reservation must have held for its relay to count as sound. One that accepts and drops us again and again
/// is tried ever more slowly, like one that cannot be reached.
const SOUND_AFTER: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RelayAction {
    /// Dial it; report with [`Relays::dialling`], and [`Relays::failed`] if that fails.
    Dial(RelayAddress),
    /// Listen on its circuit; report with [`Relays::reserving`], and [`Relays::failed`] if that fails.
    Reserve(RelayAddress),
    /// Stop listening there.
    Release(ListenerId),
    /// Close the connection to it.
    HangUp(PeerId),
    /// We can reach members through it from now on, and ask who they are.
    Reached(PeerId),
    /// Members can reach us, too.
    Ready(PeerId),
    /// Neither is so any longer.
    Gone(PeerId),
}

/// All relays.
#[derive(Debug)]
pub(crate) struct Relays {
    relays: Vec<Relay>,
    actions: VecDeque<RelayAction>,
}

#[derive(Debug)]
struct Relay {
    address: RelayAddress,
    state: State,
    error: Option<String>,
    /// Failures in a row.
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting {
        until: Timestamp,
    },
    Dialling {
        dial: Option<ConnectionId>,
        until: Timestamp,
    },
    Reserving {
        listener: Option<ListenerId>,
        until: Timestamp,
    },
    Reserved {
        listener: ListenerId,
        since: Timestamp,
    },
}

impl Relays {
    /// Begins with all of them at once.
    pub(crate) fn new(addresses: Vec<RelayAddress>, now: Timestamp) -> Self {
        let relay = |address| Relay {
            address,
            state: State::Waiting { until: now },
            error: None,
            failures: 0,
        };
        Self {
            relays: addresses.into_iter().map(relay).collect(),
            actions: VecDeque::new(),
        }
    }

    /// Whether a peer is one of the relays.
    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.relays.iter().any(|relay| relay.address.peer == *peer)
    }

    /// The address of a relay.
    pub(crate) fn address(&self, peer: &PeerId) -> Option<&RelayAddress> {
        self.relays
            .iter()
            .map(|relay| &relay.address)
            .find(|address| address.peer == *peer)
    }

    /// The next thing to be done.
    pub(crate) fn next_action(&mut self) -> Option<RelayAction> {
        self.actions.pop_front()
    }

    /// When [`Relays::tick`] has something to do, if nothing is reported before.
    pub(crate) fn timeout(&self) -> Option<Timestamp> {
        self.relays
            .iter()
            .filter_map(|relay| match relay.state {
                State::Waiting { until } | State::Dialling { until, .. } | State::Reserving { until, .. } => {
                    Some(until)
                }
                State::Reserved { .. } => None,
            })
            .min()
    }

    /// Begins the attempts that are due and ends those that took too long.
    pub(crate) fn tick(&mut self, now: Timestamp, random: &mut SmallRng) {
        for at in 0..self.relays.len() {
            let relay = &mut self.relays[at];
            match relay.state {
                State::Waiting { until } if until <= now => {
                    relay.state = State::Dialling {
                        dial: None,
                        until: now + PATIENCE,
                    };
                    self.actions.push_back(RelayAction::Dial(relay.address.clone()));
                }
                State::Dialling { until, .. } if until <= now => {
                    self.fail(
                        at,
                        format!("it did not answer within {} s", PATIENCE.as_secs()),
                        now,
                        random,
                    );
                }
                State::Reserving { until, .. } if until <= now => {
                    self.fail(
                        at,
                        "it did not answer the request for a reservation".into(),
                        now,
                        random,
                    );
                }
                _ => {}
            }
        }
    }

    /// The network may have come back: those that wait are tried at once.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        for relay in &mut self.relays {
            if let State::Waiting { until } = &mut relay.state {
                *until = now;
            }
        }
    }

    /// A dial has begun.
    pub(crate) fn dialling(&mut self, peer: &PeerId, connection: ConnectionId) {
        if let Some(State::Dialling { dial, .. }) = self.find(peer).map(|at| &mut self.relays[at].state) {
            *dial = Some(connection);
        }
    }

    /// A reservation has been asked for.
    pub(crate) fn reserving(&mut self, peer: &PeerId, id: ListenerId) {
        if let Some(State::Reserving { listener, .. }) = self.find(peer).map(|at| &mut self.relays[at].state) {
            *listener = Some(id);
        }
    }

    /// A connection to this peer stands.
    pub(crate) fn connected(&mut self, peer: &PeerId, now: Timestamp) {
        let Some(at) = self.find(peer) else { return };
        let relay = &mut self.relays[at];
        // It may also have been dialled for a circuit while we waited; that is as good.
        if matches!(relay.state, State::Dialling { .. } | State::Waiting { .. }) {
            relay.state = State::Reserving {
                listener: None,
                until: now + PATIENCE,
            };
            self.actions
                .extend([RelayAction::Reserve(relay.address.clone()), RelayAction::Reached(*peer)]);
        }
    }

    /// The relay holds a place for us. Told again at each renewal.
    pub(crate) fn reserved(&mut self, peer: &PeerId, now: Timestamp) {
        let Some(at) = self.find(peer) else { return };
        let relay = &mut self.relays[at];
        if let State::Reserving {
            listener: Some(listener),
            ..
        } = relay.state
        {
            relay.state = State::Reserved { listener, since: now };
            relay.error = None;
            self.actions.push_back(RelayAction::Ready(*peer));
        }
    }

    /// A dial has failed.
    pub(crate) fn dial_failed(
        &mut self,
        connection: ConnectionId,
        error: String,
        now: Timestamp,
        random: &mut SmallRng,
    ) {
        let is_it = |relay: &Relay| matches!(relay.state, State::Dialling { dial, .. } if dial == Some(connection));
        if let Some(at) = self.relays.iter().position(is_it) {
            self.fail(at, error, now, random);
        }
    }

    /// A listener has ended: the reservation was refused, ran out or could not be renewed.
    pub(crate) fn listener_closed(&mut self, id: ListenerId, error: String, now: Timestamp, random: &mut SmallRng) {
        let is_it = |relay: &Relay| match relay.state {
            State::Reserving { listener, .. } => listener == Some(id),
            State::Reserved { listener, .. } => listener == id,
            _ => false,
        };
        if let Some(at) = self.relays.iter().position(is_it) {
            self.fail(at, error, now, random);
        }
    }

    /// The last connection to this peer is gone, or something about it could not even be begun.
    pub(crate) fn failed(&mut self, peer: &PeerId, error: String, now: Timestamp, random: &mut SmallRng) {
        if let Some(at) = self.find(peer)
            && !matches!(self.relays[at].state, State::Waiting { .. })
        {
            self.fail(at, error, now, random);
        }
    }

    /// Notes what a relay will not do for us though it holds a place, or that it does it after all.
    pub(crate) fn note(&mut self, peer: &PeerId, error: Option<String>) {
        if let Some(at) = self.find(peer)
            && matches!(self.relays[at].state, State::Reserved { .. })
        {
            self.relays[at].error = error;
        }
    }

    /// What the status shows.
    pub(crate) fn status(&self) -> Vec<RelayStatus> {
        self.relays
            .iter()
            .map(|relay| RelayStatus {
                address: relay.address.given.clone(),
                state: match relay.state {
                    State::Waiting { .. } => RelayState::Waiting,
                    State::Dialling { .. } | State::Reserving { .. } => RelayState::Connecting,
                    State::Reserved { .. } => RelayState::Connected,
                },
                error: relay.error.clone(),
            })
            .collect()
    }

    fn find(&self, peer: &PeerId) -> Option<usize> {
        self.relays.iter().position(|relay| relay.address.peer == *peer)
    }

    fn fail(&mut self, at: usize, error: String, now: Timestamp, random: &mut SmallRng) {
        let relay = &mut self.relays[at];
        let peer = relay.address.peer;
        tracing::debug!(relay = %relay.address.given, %error, "a relay failed");
        match relay.state {
            State::Reserving { listener, .. } => {
                self.actions.push_back(RelayAction::Gone(peer));
                self.actions.extend(listener.map(RelayAction::Release));
                self.actions.push_back(RelayAction::HangUp(peer));
            }
            State::Reserved { listener, since } => {
                if since + SOUND_AFTER <= now {
                    relay.failures = 0;
                }
                self.actions.extend([
                    RelayAction::Gone(peer),
                    RelayAction::Release(listener),
                    RelayAction::HangUp(peer),
                ]);
            }
            State::Dialling { .. } | State::Waiting { .. } => {}
        }
        relay.failures = relay.failures.saturating_add(1);
        relay.error = Some(error);
        let backoff = if relay.failures < AWAY_AFTER {
            BACKOFF
        } else {
            BACKOFF_AWAY
        };
        relay.state = State::Waiting {
            until: now + backoff.delay(relay.failures, random),
        };
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::address;

    const ADDRESS: &str = "/ip4/127.0.0.1/tcp/9091/ws/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";

    struct Bench {
        relays: Relays,
        address: RelayAddress,
        now: Timestamp,
        random: SmallRng,
    }

    impl Bench {
        fn new() -> Self {
            let addresses = address::parse(&[ADDRESS.to_owned()]).unwrap();
            let address = addresses[0].clone();
            let now = Timestamp(1_000_000);
            Self {
                relays: Relays::new(addresses, now),
                address,
                now,
                random: SmallRng::seed_from_u64(7),
            }
        }

        /// Goes to the moment that the relays asked for.
        fn wait(&mut self) -> Duration {
            let until = self.relays.timeout().expect("something is due").max(self.now);
            let waited = Duration::from_millis(until.0 - self.now.0);
            self.now = until;
            self.relays.tick(self.now, &mut self.random);
            waited
        }

        fn actions(&mut self) -> Vec<RelayAction> {
            std::iter::from_fn(|| self.relays.next_action()).collect()
        }

        fn reserve(&mut self) -> ListenerId {
            let listener = ListenerId::next();
            self.relays.connected(&self.address.peer, self.now);
            let expected = [
                RelayAction::Reserve(self.address.clone()),
                RelayAction::Reached(self.address.peer),
            ];
            assert_eq!(self.actions(), expected);
            self.relays.reserving(&self.address.peer, listener);
            self.relays.reserved(&self.address.peer, self.now);
            assert_eq!(self.actions(), [RelayAction::Ready(self.address.peer)]);
            listener
        }

        fn state(&self) -> (RelayState, Option<String>) {
            let status = self.relays.status().remove(0);
            (status.state, status.error)
        }
    }

    #[test]
    fn goes_from_dial_to_reservation() {
        let mut bench = Bench::new();
        assert_eq!(bench.wait(), Duration::ZERO);
        assert_eq!(bench.actions(), [RelayAction::Dial(bench.address.clone())]);
        assert_eq!(bench.state(), (RelayState::Connecting, None));
        bench.reserve();
        assert_eq!(bench.state(), (RelayState::Connected, None));
        assert_eq!(bench.relays.timeout(), None);
        bench.relays.reserved(&bench.address.peer.clone(), bench.now);
        assert_eq!(bench.actions(), [], "a renewal is no news");
    }

    #[test]
    fn a_relay_that_waits_is_tried_at_once_when_the_network_is_back() {
        let mut bench = Bench::new();
        bench.wait();
        bench.actions();
        bench.relays.failed(
            &bench.address.peer.clone(),
            "refused".into(),
            bench.now,
            &mut bench.random,
        );
        assert!(bench.relays.timeout() > Some(bench.now));
        bench.relays.hurry(bench.now);
        assert_eq!(bench.wait(), Duration::ZERO);
        assert_eq!(bench.actions(), [RelayAction::Dial(bench.address.clone())]);
        let listener = bench.reserve();
        bench.relays.hurry(bench.now);
        bench.relays.tick(bench.now, &mut bench.random);
        assert_eq!(bench.actions(), [], "one that holds a place is left alone");
        assert!(matches!(bench.relays.relays[0].state, State::Reserved { listener: held, .. } if held == listener));
    }

    #[test]
    fn tries_for_ever_and_ever_more_slowly_up_to_a_bound() {
        let mut bench = Bench::new();
        let mut longest = Duration::ZERO;
        for attempt in 0..200 {
            let waited = bench.wait();
            assert_eq!(
                bench.actions(),
                [RelayAction::Dial(bench.address.clone())],
                "attempt {attempt}"
            );
            let cap = if attempt < AWAY_AFTER as usize {
                BACKOFF.cap
            } else {
                BACKOFF_AWAY.cap
            };
            assert!(waited <= cap, "attempt {attempt}: {waited:?}");
            longest = longest.max(waited);
            let dial = ConnectionId::new_unchecked(attempt);
            bench.relays.dialling(&bench.address.peer.clone(), dial);
            bench.relays.dial_failed(
                ConnectionId::new_unchecked(9_999),
                "not ours".into(),
                bench.now,
                &mut bench.random,
            );
            bench
                .relays
                .dial_failed(dial, "refused".into(), bench.now, &mut bench.random);
            assert_eq!(bench.state(), (RelayState::Waiting, Some("refused".into())));
        }
        assert!(longest > BACKOFF.cap);
        bench.wait();
        bench.actions();
        assert_eq!(
            bench.state(),
            (RelayState::Connecting, Some("refused".into())),
            "the last failure stays readable"
        );
        bench.reserve();
        assert_eq!(bench.state(), (RelayState::Connected, None));
    }

    #[test]
    fn a_lost_relay_is_released_and_dialled_again_soon() {
        let mut bench = Bench::new();
        bench.wait();
        bench.actions();
        let listener = bench.reserve();
        bench.now = bench.now + SOUND_AFTER;
        let peer = bench.address.peer;
        bench
            .relays
            .failed(&peer, "it closed the connection".into(), bench.now, &mut bench.random);
        let expected = [
            RelayAction::Gone(peer),
            RelayAction::Release(listener),
            RelayAction::HangUp(peer),
        ];
        assert_eq!(bench.actions(), expected);
        assert_eq!(
            bench.state(),
            (RelayState::Waiting, Some("it closed the connection".into()))
        );
        // The same loss is reported by the listener too.
        bench
            .relays
            .listener_closed(listener, "again".into(), bench.now, &mut bench.random);
        assert_eq!(bench.actions(), []);
        assert!(bench.wait() <= BACKOFF.base);
        assert_eq!(bench.actions(), [RelayAction::Dial(bench.address.clone())]);
    }

    #[test]
    fn a_refused_or_unanswered_reservation_hangs_up() {
        let mut bench = Bench::new();
        let peer = bench.address.peer;
        for refused in [true, false] {
            bench.wait();
            bench.actions();
            bench.relays.connected(&peer, bench.now);
            bench.actions();
            let listener = ListenerId::next();
            bench.relays.reserving(&peer, listener);
            if refused {
                bench
                    .relays
                    .listener_closed(listener, "full".into(), bench.now, &mut bench.random);
            } else {
                assert_eq!(bench.wait(), PATIENCE);
            }
            let expected = [
                RelayAction::Gone(peer),
                RelayAction::Release(listener),
                RelayAction::HangUp(peer),
            ];
            assert_eq!(bench.actions(), expected);
            assert_eq!(bench.state().0, RelayState::Waiting);
        }
    }

    #[test]
    fn a_relay_that_drops_us_at_once_is_not_hammered() {
        let mut bench = Bench::new();
        let peer = bench.address.peer;
        let mut waited = Duration::ZERO;
        for _ in 0..10 {
            waited = bench.wait();
            bench.actions();
            bench.reserve();
            bench.relays.failed(&peer, "bye".into(), bench.now, &mut bench.random);
            bench.actions();
        }
        assert!(waited >= BACKOFF.cap / 2, "{waited:?}");
    }

    #[test]
    fn what_a_relay_will_not_do_is_noted_while_it_is_connected() {
        let mut bench = Bench::new();
        let peer = bench.address.peer;
        bench.relays.note(&peer, Some("early".into()));
        assert_eq!(bench.state().1, None);
        bench.wait();
        bench.actions();
        bench.reserve();
        bench.relays.note(&peer, Some("no rendezvous".into()));
        assert_eq!(bench.state(), (RelayState::Connected, Some("no rendezvous".into())));
        bench.relays.note(&peer, None);
        assert_eq!(bench.state(), (RelayState::Connected, None));
    }
}
