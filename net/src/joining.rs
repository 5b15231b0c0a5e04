//! Connections to members on their way to being peers of the replica.
//!
//! ```text
//! Opening --our stream stands--> Opened --it listens to our gossip--> Up
//!    +------- takes too long -------+------> hung up on
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use gossipstore_core::{id::Peer, time::Timestamp};
use libp2p::{PeerId, swarm::ConnectionId};

use crate::{
    pace::{Pace, Rates},
    status::Path,
};

/// How long a connected member may take until frames and gossip can be exchanged with it. One that takes longer is no
/// member, or one that we are better off without.
const PATIENCE: Duration = Duration::from_secs(15);

/// After how many refused frames a peer is hung up on. One may be a misfortune, such as a session that it gave up; the
/// replica copes with any number, but has better things to do.
const FAULTS_MAX: u32 = 8;

/// All connections to members that carry data.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    connections: HashMap<ConnectionId, Connection>,
    /// The peers of the replica, by its numbers for them.
    up: BTreeMap<Peer, ConnectionId>,
}

#[derive(Debug)]
struct Connection {
    member: PeerId,
    /// The relay of its circuit.
    through: Option<PeerId>,
    state: State,
    /// The last ping's round trip.
    rtt: Option<Duration>,
    /// Frames and messages that were refused.
    faults: u32,
    pace: Pace,
    /// That of its gossip, and of what of that says who is present.
    messages: Pace,
    presences: Pace,
    /// Until when nothing is read from it.
    paused: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Connected; our stream does not stand yet.
    Opening { until: Timestamp },
    /// Our stream stands; the member has not said that it listens to our gossip.
    Opened { path: Path, until: Timestamp },
    /// The replica knows it.
    Up(Peer),
}

impl State {
    fn until(self) -> Option<Timestamp> {
        match self {
            Self::Opening { until } | Self::Opened { until, .. } => Some(until),
            Self::Up(_) => None,
        }
    }
}

/// A member whose stream stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ready {
    pub(crate) connection: ConnectionId,
    pub(crate) path: Path,
    pub(crate) rtt: Option<Duration>,
}

/// What becomes of a message that somebody has handed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    Taken,
    /// Its sender has sent too many.
    TooMany,
    /// Its sender is no member, as far as is known by now.
    Stranger,
}

impl Joining {
    /// A connection to a member stands, or to somebody who may be one; through a relay, if it is a circuit.
    pub(crate) fn connected(
        &mut self,
        connection: ConnectionId,
        member: PeerId,
        through: Option<PeerId>,
        now: Timestamp,
    ) {
        let state = State::Opening { until: now + PATIENCE };
        let begun = Connection {
            member,
            through,
            state,
            rtt: None,
            faults: 0,
            pace: Pace::new(Rates::FRAMES, now),
            messages: Pace::new(Rates::MESSAGES, now),
            presences: Pace::new(Rates::PRESENCES, now),
            paused: None,
        };
        self.connections.insert(connection, begun);
    }

    /// Our stream on a connection stands, and the other side is a member. If that is news, gives the relay that it came through, if any.
    pub(crate) fn opened(&mut self, connection: ConnectionId, path: Path) -> Option<Option<PeerId>> {
        match self.connections.get_mut(&connection) {
            Some(Connection { state, through, .. }) if matches!(state, State::Opening { .. }) => {
                let until = state.until().unwrap_or_default();
                *state = State::Opened { path, until };
                Some(*through)
            }
            _ => None,
        }
    }

    /// The member's connection, if its stream stands and the replica does not know it yet.
    pub(crate) fn ready(&self, member: &PeerId) -> Option<Ready> {
        let of_member = self.connections.iter().filter(|(_, found)| found.member == *member);
        let mut ready = of_member.filter_map(|(&connection, found)| match found.state {
            State::Opened { path, .. } => Some(Ready {
                connection,
                path,
                rtt: found.rtt,
            }),
            State::Opening { .. } | State::Up(_) => None,
        });
        ready.next()
    }

    /// The replica knows the member under a number from now on.
    pub(crate) fn joined(&mut self, connection: ConnectionId, peer: Peer) {
        if let Some(found) = self.connections.get_mut(&connection) {
            found.state = State::Up(peer);
            self.up.insert(peer, connection);
        }
    }

    /// A connection is no longer to be used. Gives the peer that it was.
    pub(crate) fn lost(&mut self, connection: ConnectionId) -> Option<Peer> {
        match self.connections.remove(&connection)?.state {
            State::Up(peer) => {
                self.up.remove(&peer);
                Some(peer)
            }
            State::Opening { .. } | State::Opened { .. } => None,
        }
    }

    /// A ping's round trip on a connection. Gives the peer that it is with, if the replica knows it.
    pub(crate) fn measured(&mut self, connection: ConnectionId, rtt: Duration) -> Option<Peer> {
        let found = self.connections.get_mut(&connection)?;
        found.rtt = Some(rtt);
        self.peer(connection)
    }

    /// A frame came on a connection. Says whether nothing more is to be read from it for a while; [`Self::rested`] says when.
    pub(crate) fn received(&mut self, connection: ConnectionId, bytes: usize, now: Timestamp) -> bool {
        let Some(found) = self.connections.get_mut(&connection) else {
            return false;
        };
        let until = found.pace.received(bytes, now);
        let begins = until.is_some() && found.paused.is_none();
        found.paused = until.or(found.paused);
        begins
    }

    /// The connections that are to be read from again.
    pub(crate) fn rested(&mut self, now: Timestamp) -> Vec<ConnectionId> {
        let rested = self.connections.iter_mut().filter_map(|(connection, found)| {
            found.paused.take_if(|until| *until <= now)?;
            Some(*connection)
        });
        rested.collect()
    }

    /// Somebody has handed on a message. Says whether it is heard: not from one who is no member or not connected any more, and not
    /// if it is one too many.
    pub(crate) fn is_heard(&mut self, member: &PeerId, is_presence: bool, bytes: usize, now: Timestamp) -> Heard {
        let Some((_, found)) = self.of_member(member) else {
            return Heard::Stranger;
        };
        match found.messages.takes(bytes, now) && (!is_presence || found.presences.takes(bytes, now)) {
            true => Heard::Taken,
            false => Heard::TooMany,
        }
    }

    /// A frame that says who is present came on a connection. Says whether it is taken in.
    pub(crate) fn takes_presence(&mut self, connection: ConnectionId, bytes: usize, now: Timestamp) -> bool {
        let found = self.connections.get_mut(&connection);
        found.is_some_and(|found| found.presences.takes(bytes, now))
    }

    /// The connection of somebody who has proven to be a member.
    fn of_member(&mut self, member: &PeerId) -> Option<(ConnectionId, &mut Connection)> {
        let mut connections = self.connections.iter_mut();
        let proven = |found: &Connection| !matches!(found.state, State::Opening { .. });
        let (connection, found) = connections.find(|(_, found)| found.member == *member && proven(found))?;
        Some((*connection, found))
    }

    /// What a member said was refused. Gives its connection if it is to be hung up on.
    pub(crate) fn at_fault(&mut self, member: &PeerId) -> Option<ConnectionId> {
        let (connection, found) = self.of_member(member)?;
        found.faults += 1;
        (found.faults == FAULTS_MAX).then_some(connection)
    }

    /// As whom the replica knows the other end of a connection.
    pub(crate) fn peer(&self, connection: ConnectionId) -> Option<Peer> {
        match self.connections.get(&connection)?.state {
            State::Up(peer) => Some(peer),
            State::Opening { .. } | State::Opened { .. } => None,
        }
    }

    /// As whom the replica knows a member.
    pub(crate) fn peer_of(&self, member: &PeerId) -> Option<Peer> {
        self.peers().find(|(_, known)| known == member).map(|(peer, _)| peer)
    }

    /// Whom the replica knows as this.
    pub(crate) fn member(&self, peer: Peer) -> Option<PeerId> {
        let connection = self.up.get(&peer)?;
        Some(self.connections.get(connection)?.member)
    }

    /// The connection of a peer.
    pub(crate) fn connection_of(&self, peer: Peer) -> Option<ConnectionId> {
        self.up.get(&peer).copied()
    }

    /// All whom the replica knows.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (Peer, PeerId)> + '_ {
        let member = |connection| self.connections.get(connection).map(|found| found.member);
        self.up
            .iter()
            .filter_map(move |(peer, connection)| Some((*peer, member(connection)?)))
    }

    /// When the next connected member has taken too long, or is to be read from again.
    pub(crate) fn timeout(&self) -> Option<Timestamp> {
        let times = self.connections.values();
        times
            .flat_map(|found| [found.state.until(), found.paused])
            .flatten()
            .min()
    }

    /// The connections that have taken too long: they are to be closed, and named again after the same time should that fail.
    pub(crate) fn overdue(&mut self, now: Timestamp) -> Vec<(ConnectionId, PeerId)> {
        let mut overdue = Vec::new();
        for (&connection, found) in &mut self.connections {
            if found.state.until().is_some_and(|until| until <= now) {
                found.state = State::Opening { until: now + PATIENCE };
                overdue.push((connection, found.member));
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn connection(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    #[test]
    fn a_member_is_a_peer_once_its_stream_stands_and_it_listens() {
        let (mut joining, member, peer) = (Joining::default(), PeerId::random(), Peer(3));
        joining.connected(connection(1), member, None, NOW);
        assert_eq!((joining.ready(&member), joining.peer_of(&member)), (None, None));
        assert_eq!(joining.measured(connection(1), Duration::from_millis(5)), None);
        assert_eq!(joining.opened(connection(1), Path::Direct), Some(None));
        assert_eq!(joining.opened(connection(1), Path::Direct), None, "once");
        assert_eq!(joining.opened(connection(9), Path::Direct), None);
        let ready = joining.ready(&member).expect("its stream stands");
        assert_eq!(
            (ready.connection, ready.rtt),
            (connection(1), Some(Duration::from_millis(5)))
        );
        joining.joined(connection(1), peer);
        assert_eq!(joining.ready(&member), None);
        assert_eq!(joining.peer_of(&member), Some(peer));
        assert_eq!(joining.connection_of(peer), Some(connection(1)));
        assert_eq!(joining.measured(connection(1), Duration::from_millis(4)), Some(peer));
        assert_eq!(joining.timeout(), None);
        assert_eq!(joining.lost(connection(1)), Some(peer));
        assert_eq!((joining.lost(connection(1)), joining.connection_of(peer)), (None, None));
    }

    #[test]
    fn one_that_takes_too_long_is_named_until_it_is_gone() {
        let (mut joining, member) = (Joining::default(), PeerId::random());
        joining.connected(connection(1), member, None, NOW);
        assert_eq!(joining.timeout(), Some(NOW + PATIENCE));
        assert_eq!(joining.overdue(NOW), []);
        joining.opened(connection(1), Path::Relayed);
        let late = NOW + PATIENCE;
        assert_eq!(joining.overdue(late), [(connection(1), member)]);
        assert_eq!(joining.overdue(late), []);
        assert_eq!(joining.overdue(late + PATIENCE), [(connection(1), member)]);
        assert_eq!(joining.lost(connection(1)), None);
        assert_eq!(joining.timeout(), None);
    }

    #[test]
    fn one_that_sends_too_fast_is_read_from_again_when_it_has_waited() {
        let (mut joining, member) = (Joining::default(), PeerId::random());
        joining.connected(connection(1), member, None, NOW);
        joining.opened(connection(1), Path::Direct);
        joining.joined(connection(1), Peer(3));
        let paused = (0..10_000).filter(|_| joining.received(connection(1), 1, NOW)).count();
        assert_eq!((paused, joining.rested(NOW)), (1, vec![]));
        let until = joining.timeout().expect("it is paused");
        assert!(until > NOW);
        assert_eq!(joining.rested(until), [connection(1)]);
        assert_eq!((joining.rested(until), joining.timeout()), (vec![], None));
        assert!(!joining.received(connection(9), 1, NOW));
    }

    #[test]
    fn one_that_says_too_often_who_is_present_is_heard_in_everything_else() {
        let (mut joining, member) = (Joining::default(), PeerId::random());
        joining.connected(connection(1), member, None, NOW);
        joining.opened(connection(1), Path::Direct);
        joining.joined(connection(1), Peer(3));
        let heard = |joining: &mut Joining, is_presence| {
            let all = (0..10_000).filter(|_| joining.is_heard(&member, is_presence, 100, NOW) == Heard::Taken);
            all.count()
        };
        assert_eq!((heard(&mut joining, true), heard(&mut joining, false)), (2_000, 10_000));
        assert!(!joining.takes_presence(connection(1), 100, NOW));
    }

    #[test]
    fn one_that_has_not_proven_to_be_a_member_is_not_heard_and_one_that_has_is_counted_with() {
        let (mut joining, member) = (Joining::default(), PeerId::random());
        joining.connected(connection(1), member, None, NOW);
        assert_eq!(joining.is_heard(&member, false, 100, NOW), Heard::Stranger);
        assert_eq!(joining.at_fault(&member), None);
        // Whether the replica knows it or not.
        joining.opened(connection(1), Path::Direct);
        let heard = (0..100_000).filter(|_| joining.is_heard(&member, false, 100, NOW) == Heard::Taken);
        assert_eq!(heard.count(), 40_000);
        let named = (0..2 * FAULTS_MAX).filter_map(|_| joining.at_fault(&member));
        assert_eq!(named.collect::<Vec<_>>(), [connection(1)]);
    }

    #[test]
    fn one_that_keeps_sending_what_is_refused_is_named_once() {
        let (mut joining, member) = (Joining::default(), PeerId::random());
        joining.connected(connection(1), member, None, NOW);
        joining.opened(connection(1), Path::Direct);
        joining.joined(connection(1), Peer(3));
        let named = (0..2 * FAULTS_MAX).filter_map(|_| joining.at_fault(&member));
        assert_eq!(named.collect::<Vec<_>>(), [connection(1)]);
        assert_eq!(joining.at_fault(&PeerId::random()), None);
    }
}
