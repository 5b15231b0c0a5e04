//! Which connections are alive. Each is pinged when it has been quiet for a while, and called dead only when a ping was sent and
//! went unanswered for as long as we were awake to hear the answer.
//!
//! Machines sleep, and browsers hold up the timers of tabs that nobody looks at. Whoever wakes finds that every patience has run
//! out, though nothing is wrong: the answers may be lying in the queue. So one who comes late waits once more instead of judging.
//! One who comes so late that the others must have given it up asks them all at once, and less patiently than usual: the sooner it
//! notices the sooner it is back.

use std::{collections::HashMap, time::Duration};

use gossipstore_core::time::Timestamp;
use libp2p::{PeerId, swarm::ConnectionId};

/// How often a connection is pinged.
const PING_EVERY: Duration = Duration::from_secs(3);

/// How long an answer may take. A member's tab may be busy with its page for seconds; one that vanished without a word is
/// missed by nobody so soon, as all it has written has come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same just after waking, or when the network has changed.
const PATIENCE_AWOKEN: Duration = Duration::from_secs(2);

/// How late one has to come to blame oneself for an answer that was not heard.
const LATE: Duration = Duration::from_secs(1);

/// How late one has to come to have been given up by others.
const MISSED: Duration = PATIENCE;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LivenessAction {
    /// Ping it; report with [`Liveness::answered`] when it answers.
    Ping { peer: PeerId, connection: ConnectionId },
    /// Close it: it is dead.
    Close { connection: ConnectionId },
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    connections: HashMap<ConnectionId, (PeerId, State)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Quiet {
        ping_at: Timestamp,
        patience: Duration,
    },
    Asked {
        until: Timestamp,
        /// Whether it was given more time because we came late. Once: in a tab that is always late, the dead would live for ever.
        respited: bool,
    },
    /// It does not answer pings, and need not.
    Mute,
}

impl State {
    fn quiet(now: Timestamp) -> Self {
        Self::Quiet {
            ping_at: now + PING_EVERY,
            patience: PATIENCE,
        }
    }

    /// Gives one that was asked more time, if it was given none before.
    fn respite(&mut self, longer: Timestamp) {
        if let Self::Asked { until, respited } = self
            && !std::mem::replace(respited, true)
        {
            *until = longer;
        }
    }

    fn due(self) -> Option<Timestamp> {
        match self {
            Self::Quiet { ping_at, .. } => Some(ping_at),
            Self::Asked { until, .. } => Some(until),
            Self::Mute => None,
        }
    }
}

impl Liveness {
    /// A connection stands.
    pub(crate) fn connected(&mut self, peer: PeerId, connection: ConnectionId, now: Timestamp) {
        self.connections.insert(connection, (peer, State::quiet(now)));
    }

    /// It is gone.
    pub(crate) fn closed(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// It has answered.
    pub(crate) fn answered(&mut self, connection: ConnectionId, now: Timestamp) {
        self.set(connection, State::quiet(now));
    }

    /// The other side does not understand pings.
    pub(crate) fn unsupported(&mut self, connection: ConnectionId) {
        self.set(connection, State::Mute);
    }

    /// The machine has slept, or the network has changed: all are asked at once.
    pub(crate) fn woke(&mut self, now: Timestamp) {
        for (_, state) in self.connections.values_mut() {
            match state {
                State::Quiet { ping_at, patience } => (*ping_at, *patience) = (now, PATIENCE_AWOKEN),
                State::Asked { .. } => state.respite(now + PATIENCE_AWOKEN),
                State::Mute => {}
            }
        }
    }

    /// What is due.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<LivenessAction> {
        match self.timeout() {
            Some(due) if due + MISSED <= now => self.woke(now),
            Some(due) if due + LATE <= now => {
                let states = self.connections.values_mut();
                states.for_each(|(_, state)| state.respite(now + PATIENCE));
            }
            _ => {}
        }
        let mut actions = Vec::new();
        for (&connection, (peer, state)) in &mut self.connections {
            match *state {
                State::Quiet { ping_at, patience } if ping_at <= now => {
                    let until = now + patience;
                    *state = State::Asked { until, respited: false };
                    actions.push(LivenessAction::Ping {
                        peer: *peer,
                        connection,
                    });
                }
                State::Asked { until, .. } if until <= now => {
                    *state = State::Mute;
                    actions.push(LivenessAction::Close { connection });
                }
                _ => {}
            }
        }
        actions
    }

    /// When [`Self::tick`] has something to do, if nothing is reported before.
    pub(crate) fn timeout(&self) -> Option<Timestamp> {
        self.connections.values().filter_map(|(_, state)| state.due()).min()
    }

    fn set(&mut self, connection: ConnectionId, state: State) {
        if let Some((_, old)) = self.connections.get_mut(&connection) {
            *old = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        liveness: Liveness,
        peer: PeerId,
        now: Timestamp,
    }

    const CONNECTION: usize = 7;

    impl Bench {
        fn new() -> Self {
            let (peer, now) = (PeerId::random(), Timestamp(1_000_000));
            let mut liveness = Liveness::default();
            liveness.connected(peer, connection(), now);
            Self { liveness, peer, now }
        }

        /// Goes to the moment that it asked for, and so much further.
        fn wait(&mut self, late: Duration) -> (Duration, Vec<LivenessAction>) {
            let due = self.liveness.timeout().expect("something is due").max(self.now);
            let waited = Duration::from_millis(due.0 - self.now.0);
            self.now = due + late;
            (waited, self.liveness.tick(self.now))
        }

        fn ping(&self) -> Vec<LivenessAction> {
            vec![LivenessAction::Ping {
                peer: self.peer,
                connection: connection(),
            }]
        }
    }

    fn connection() -> ConnectionId {
        ConnectionId::new_unchecked(CONNECTION)
    }

    fn close() -> Vec<LivenessAction> {
        vec![LivenessAction::Close {
            connection: connection(),
        }]
    }

    const IN_TIME: Duration = Duration::ZERO;

    #[test]
    fn one_that_answers_is_asked_again_and_again() {
        let mut bench = Bench::new();
        assert_eq!(bench.liveness.tick(bench.now), []);
        for _ in 0..5 {
            assert_eq!(bench.wait(IN_TIME), (PING_EVERY, bench.ping()));
            bench.liveness.answered(connection(), bench.now);
        }
    }

    #[test]
    fn one_that_does_not_answer_is_closed_once() {
        let mut bench = Bench::new();
        bench.wait(IN_TIME);
        assert_eq!(bench.wait(IN_TIME), (PATIENCE, close()));
        assert_eq!(bench.liveness.timeout(), None);
        bench.liveness.closed(connection());
        bench.liveness.answered(connection(), bench.now);
        assert_eq!(bench.liveness.timeout(), None);
    }

    #[test]
    fn who_slept_asks_before_it_judges() {
        let night = Duration::from_secs(8 * 60 * 60);
        // Asleep between two pings.
        let mut bench = Bench::new();
        assert_eq!(bench.wait(night).1, bench.ping());
        assert_eq!(bench.wait(IN_TIME), (PATIENCE_AWOKEN, close()));
        // Asleep while an answer is awaited: it may lie in the queue.
        let mut bench = Bench::new();
        bench.wait(IN_TIME);
        assert_eq!(bench.wait(night).1, []);
        bench.liveness.answered(connection(), bench.now);
        assert_eq!(bench.wait(IN_TIME), (PING_EVERY, bench.ping()));
        assert_eq!(bench.wait(IN_TIME), (PATIENCE, close()));
    }

    #[test]
    fn who_was_busy_for_a_while_waits_as_long_again() {
        let busy = Duration::from_secs(5);
        let mut bench = Bench::new();
        assert_eq!(bench.wait(busy).1, bench.ping());
        assert_eq!(
            bench.wait(busy),
            (PATIENCE, vec![]),
            "the answer may have come meanwhile"
        );
        assert_eq!(bench.wait(busy), (PATIENCE, close()));
    }

    #[test]
    fn in_a_tab_whose_timers_are_always_late_the_living_stay_and_the_dead_go() {
        let minute = Duration::from_secs(60);
        let mut bench = Bench::new();
        for _ in 0..10 {
            assert_eq!(bench.wait(minute).1, bench.ping());
            bench.liveness.answered(connection(), bench.now);
        }
        assert_eq!(bench.wait(minute).1, bench.ping());
        assert_eq!(bench.wait(minute).1, [], "it gets one respite");
        assert_eq!(bench.wait(minute).1, close());
    }

    #[test]
    fn when_the_network_changes_all_are_asked_at_once() {
        let mut bench = Bench::new();
        bench.liveness.woke(bench.now);
        assert_eq!(bench.wait(IN_TIME), (Duration::ZERO, bench.ping()));
        assert_eq!(bench.wait(IN_TIME), (PATIENCE_AWOKEN, close()));
        // One that is being asked already has as long as the others from now on, but only once.
        let mut bench = Bench::new();
        bench.wait(IN_TIME);
        bench.liveness.woke(bench.now);
        bench.now = bench.now + PATIENCE_AWOKEN / 2;
        bench.liveness.woke(bench.now);
        assert_eq!(bench.wait(IN_TIME), (PATIENCE_AWOKEN / 2, close()));
    }

    #[test]
    fn one_that_does_not_understand_pings_is_left_alone() {
        let mut bench = Bench::new();
        bench.wait(IN_TIME);
        bench.liveness.unsupported(connection());
        bench.liveness.woke(bench.now);
        assert_eq!(bench.liveness.timeout(), None);
        assert_eq!(bench.liveness.tick(bench.now + PATIENCE), []);
    }
}
