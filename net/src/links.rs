//! The links to members: which connection to a member counts, and the frames over it.
//!
//! Two members that discover each other in the same moment dial each other, and two connections arise. Both sides keep
//! the same one without a word: a direct one before a circuit, then the one that the lower peer id dialled. The better
//! one is let in beside the worse, which is then closed; a worse one is not let in beside a better.
//!
//! A circuit through another member is no link: it is let in where nothing else stands, for the two to connect directly, and
//! closed as soon as they have.
//!
//! Architecture invariant: this behaviour comes before all others that keep state of connections, so that one that is
//! not let in leaves no trace in them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    task::{Context, Poll},
};

use gossipstore_core::membership::Prover;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler,
        THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};
use rand::{Rng as _, rngs::StdRng};

use crate::{
    handshake::{Challenge, Handshake},
    link::{FromLink, Handler, LinkError, ToLink},
    status::Path,
    transport,
};

/// How many members may be linked at once, counting those who dialled us. Each costs memory for its streams and a share
/// of all that is gossiped; a member that is refused finds others.
pub(crate) const LINKS_MAX: usize = 32;

/// How many that have dialled us may be on their way to prove that they are members, beside those: who says nothing takes no member's
/// place.
const UNPROVEN_MAX: usize = 16;

/// What happened to a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The connection is the one that counts, our stream on it stands, and the other side is a member.
    Opened {
        connection: ConnectionId,
        member: PeerId,
        path: Path,
    },
    /// A frame came.
    Received { connection: ConnectionId, frame: Vec<u8> },
    /// All frames handed to [`Links::send`] for it have left.
    Drained { connection: ConnectionId },
    /// The connection is gone, or of no more use and being closed.
    Lost {
        connection: ConnectionId,
        member: PeerId,
        error: Option<LinkError>,
    },
}

/// How good a connection is: the greater one stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    direct: bool,
    dialled_by_lower: bool,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    rank: Rank,
    /// Whether the other side has dialled, and not proven to be a member yet.
    is_unproven: bool,
    /// Frames handed to the link that have not left yet.
    waiting: usize,
}

/// The behaviour.
#[derive(Debug)]
pub(crate) struct Links {
    local: PeerId,
    prover: Prover,
    random: StdRng,
    /// Peers that are no members: nothing is synced with them.
    relays: HashSet<PeerId>,
    /// The connection that counts, of each member.
    connections: HashMap<PeerId, Connection>,
    members: HashMap<ConnectionId, PeerId>,
    /// Circuits through other members.
    meetings: HashMap<ConnectionId, PeerId>,
    actions: VecDeque<ToSwarm<LinkEvent, ToLink>>,
}

/// A connection was not let in.
#[derive(Debug)]
pub(crate) enum NotLetIn {
    /// There is a better one to the same member.
    Surplus,
    /// There are [`LINKS_MAX`] others, or too many that have not proven to be members.
    Full,
}

impl fmt::Display for NotLetIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surplus => write!(f, "there is a better connection to this member"),
            Self::Full => write!(
                f,
                "{LINKS_MAX} members are linked already, or too many others are on their way"
            ),
        }
    }
}

impl std::error::Error for NotLetIn {}

impl Links {
    /// Nobody is linked yet. Peers in `relays` never will be.
    pub(crate) fn new(local: PeerId, relays: HashSet<PeerId>, prover: Prover, random: StdRng) -> Self {
        Self {
            local,
            prover,
            random,
            relays,
            connections: HashMap::new(),
            members: HashMap::new(),
            meetings: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Sends a frame over an opened link. Does nothing when the link is gone: its loss has been told or is about to be.
    pub(crate) fn send(&mut self, connection: ConnectionId, frame: Vec<u8>) {
        if let Some(waiting) = self.get_mut(connection).map(|connection| &mut connection.waiting) {
            *waiting += 1;
            self.tell(connection, ToLink::Send(frame));
        }
    }

    /// Begins to read what the other side sends.
    pub(crate) fn read(&mut self, connection: ConnectionId) {
        self.tell(connection, ToLink::Read);
    }

    /// Leaves what the other side sends in its stream, until [`Self::read`].
    pub(crate) fn pause(&mut self, connection: ConnectionId) {
        self.tell(connection, ToLink::Pause);
    }

    fn tell(&mut self, connection: ConnectionId, event: ToLink) {
        if let Some(&peer_id) = self.members.get(&connection) {
            self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::One(connection),
                event,
            });
        }
    }

    fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut Connection> {
        let member = self.members.get(&connection)?;
        self.connections.get_mut(member)
    }

    fn rank(&self, peer: &PeerId, path: Path, dialled: bool) -> Rank {
        let lower = if dialled {
            self.local < *peer
        } else {
            *peer < self.local
        };
        Rank {
            direct: path == Path::Direct,
            dialled_by_lower: lower,
        }
    }

    fn let_in(&mut self, peer: &PeerId, path: Option<Path>, dialled: bool) -> Result<Handler, ConnectionDenied> {
        if self.relays.contains(peer) {
            return Ok(Handler::idle());
        }
        let standing = self.connections.get(peer);
        let Some(path) = path else {
            return match standing {
                Some(_) => Err(ConnectionDenied::new(NotLetIn::Surplus)),
                None if self.connections.len() + self.meetings.len() >= LINKS_MAX => {
                    Err(ConnectionDenied::new(NotLetIn::Full))
                }
                None => Ok(Handler::idle()),
            };
        };
        match standing {
            // At the same rank the newer one is let in: the same side dialled again, so it knows that the older one is
            // gone.
            Some(standing) if standing.rank > self.rank(peer, path, dialled) => {
                Err(ConnectionDenied::new(NotLetIn::Surplus))
            }
            None if self.is_full(dialled) => Err(ConnectionDenied::new(NotLetIn::Full)),
            _ => {
                let mut challenge = Challenge::default();
                self.random.fill_bytes(&mut challenge);
                let handshake = Handshake::new(self.prover.clone(), &self.local, peer, challenge);
                Ok(Handler::new(handshake))
            }
        }
    }

    /// Whether there is no place for one more that we have dialled, or that has dialled us.
    fn is_full(&self, dialled: bool) -> bool {
        let unproven = self.connections.values().filter(|connection| connection.is_unproven);
        let unproven = unproven.count();
        self.connections.len() - unproven >= LINKS_MAX || !dialled && unproven >= UNPROVEN_MAX
    }

    /// Forgets a connection if it is the one that counts, and tells.
    fn lose(&mut self, connection: ConnectionId, error: Option<LinkError>) {
        if let Some(member) = self.members.remove(&connection) {
            self.connections.remove(&member);
            self.actions.push_back(ToSwarm::GenerateEvent(LinkEvent::Lost {
                connection,
                member,
                error,
            }));
        }
    }
}

impl NetworkBehaviour for Links {
    type ConnectionHandler = Handler;
    type ToSwarm = LinkEvent;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.let_in(&peer, transport::path(local), false)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.let_in(&peer, transport::path(address), true)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                if self.relays.contains(&peer_id) {
                    return;
                }
                let Some(path) = transport::path_of(endpoint) else {
                    self.meetings.insert(connection_id, peer_id);
                    return;
                };
                let met = self.meetings.extract_if(|_, member| *member == peer_id);
                self.actions
                    .extend(met.map(|(connection, peer_id)| close(connection, peer_id)));
                if let Some(worse) = self.connections.get(&peer_id).map(|connection| connection.id) {
                    self.lose(worse, None);
                    self.actions.push_back(close(worse, peer_id));
                }
                let rank = self.rank(&peer_id, path, endpoint.is_dialer());
                self.connections.insert(
                    peer_id,
                    Connection {
                        id: connection_id,
                        rank,
                        is_unproven: endpoint.is_listener(),
                        waiting: 0,
                    },
                );
                self.members.insert(connection_id, peer_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.meetings.remove(&connection_id);
                self.lose(connection_id, None);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, member: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        let Some(counting) = self.get_mut(connection) else {
            return; // The connection has been replaced and is on its way out.
        };
        let event = match event {
            FromLink::Opened => {
                counting.is_unproven = false;
                let path = if counting.rank.direct {
                    Path::Direct
                } else {
                    Path::Relayed
                };
                LinkEvent::Opened {
                    connection,
                    member,
                    path,
                }
            }
            FromLink::Received(frame) => LinkEvent::Received { connection, frame },
            FromLink::Written(frames) => {
                // Frames may be on their way to the handler while it reports that its queue ran empty.
                counting.waiting -= frames;
                if counting.waiting > 0 {
                    return;
                }
                LinkEvent::Drained { connection }
            }
            FromLink::Failed(error) => {
                self.lose(connection, Some(error));
                self.actions.push_back(close(connection, member));
                return;
            }
        };
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Filled only by calls after which the swarm polls again.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

fn close(connection: ConnectionId, peer_id: PeerId) -> ToSwarm<LinkEvent, ToLink> {
    ToSwarm::CloseConnection {
        peer_id,
        connection: CloseConnection::One(connection),
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, future::select};
    use gossipstore_core::membership::Secret;
    use libp2p::{Swarm, gossipsub::MessageAcceptance, swarm::SwarmEvent};
    use rand::SeedableRng as _;

    use super::*;
    use crate::{
        admission::Admission,
        gossip::{Gossip, GossipEvent},
        memory,
    };

    /// What decides over connections and what depends on the decision, in the order of the node.
    #[derive(NetworkBehaviour)]
    #[behaviour(prelude = "libp2p::swarm::derive_prelude")]
    struct Behaviour {
        links: Links,
        gossip: Admission<Gossip>,
    }

    fn random(of: &PeerId) -> StdRng {
        StdRng::from_seed(*blake3::hash(&of.to_bytes()).as_bytes())
    }

    /// Of a member of the store that has this name.
    fn links(store: &str, local: PeerId) -> Links {
        Links::new(local, HashSet::new(), Secret::of_name(store).prover(), random(&local))
    }

    struct Side {
        swarm: Swarm<Behaviour>,
        address: Multiaddr,
        connected: HashSet<ConnectionId>,
        opened: Option<ConnectionId>,
        failed: Vec<LinkError>,
        heard: Vec<Vec<u8>>,
    }

    impl Side {
        fn new() -> Self {
            Self::of("links")
        }

        fn of(store: &str) -> Self {
            let (swarm, address) = memory::swarm(|peer| {
                let sealer = Secret::of_name(store).sealer();
                Behaviour {
                    links: links(store, peer),
                    // The same for all, so that only the proof tells those of one store from those of another.
                    gossip: Admission::new(Gossip::new("topic".into(), HashSet::new(), sealer, random(&peer))),
                }
            });
            Self {
                swarm,
                address,
                connected: HashSet::new(),
                opened: None,
                failed: Vec::new(),
                heard: Vec::new(),
            }
        }

        fn on(&mut self, event: SwarmEvent<BehaviourEvent>) {
            match event {
                SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                    self.connected.insert(connection_id);
                }
                SwarmEvent::ConnectionClosed { connection_id, .. } => {
                    self.connected.remove(&connection_id);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Links(LinkEvent::Opened { connection, .. })) => {
                    self.opened = Some(connection);
                    self.swarm.behaviour_mut().gossip.admit(connection);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Links(LinkEvent::Lost { connection, error, .. })) => {
                    self.opened = self.opened.filter(|opened| *opened != connection);
                    self.failed.extend(error);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Gossip(GossipEvent::Message { from, id, message })) => {
                    self.heard.push(message);
                    self.swarm
                        .behaviour_mut()
                        .gossip
                        .inner
                        .judge(&id, &from, MessageAcceptance::Accept);
                }
                _ => {}
            }
        }

        /// Exactly one connection, with our stream on it and a member at its other end that listens to our gossip.
        fn stands(&self, other: &Self) -> bool {
            self.connected.len() == 1
                && self.opened.is_some_and(|opened| self.connected.contains(&opened))
                && self
                    .swarm
                    .behaviour()
                    .gossip
                    .inner
                    .is_subscribed(other.swarm.local_peer_id())
        }
    }

    async fn until(sides: &mut [Side; 2], what: &str, is_so: impl Fn(&[Side; 2]) -> bool) {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while !is_so(sides) {
                let [one, other] = sides;
                let event = select(one.swarm.select_next_some(), other.swarm.select_next_some()).await;
                match event {
                    futures::future::Either::Left((event, _)) => one.on(event),
                    futures::future::Either::Right((event, _)) => other.on(event),
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("waited in vain for: {what}"));
    }

    #[tokio::test]
    async fn two_that_dial_each_other_at_once_keep_one_link_and_gossip_over_it_without_delay() {
        for _ in 0..20 {
            let mut sides = [Side::new(), Side::new()];
            let addresses = [sides[1].address.clone(), sides[0].address.clone()];
            for (side, address) in sides.iter_mut().zip(addresses) {
                side.swarm.dial(address).unwrap();
            }
            until(&mut sides, "one link", |[one, other]| {
                one.stands(other) && other.stands(one)
            })
            .await;
            for (at, side) in sides.iter_mut().enumerate() {
                side.swarm.behaviour_mut().gossip.inner.publish(&[at as u8]);
            }
            until(&mut sides, "both messages", |[one, other]| {
                one.heard == [[1]] && other.heard == [[0]]
            })
            .await;
        }
    }

    #[tokio::test]
    async fn one_that_dials_again_replaces_its_own_older_connection() {
        let mut sides = [Side::new(), Side::new()];
        let address = sides[1].address.clone();
        sides[0].swarm.dial(address.clone()).unwrap();
        until(&mut sides, "one link", |[one, other]| {
            one.stands(other) && other.stands(one)
        })
        .await;
        let first = sides[0].opened;
        sides[0].swarm.dial(address).unwrap();
        until(&mut sides, "another link", |[one, other]| {
            one.opened != first && one.stands(other) && other.stands(one)
        })
        .await;
        sides[1].swarm.behaviour_mut().gossip.inner.publish(b"still here");
        until(&mut sides, "the message", |[one, _]| one.heard == [b"still here"]).await;
    }

    #[tokio::test]
    async fn members_of_another_store_are_told_nothing() {
        let mut sides = [Side::of("ours"), Side::of("theirs")];
        let address = sides[1].address.clone();
        sides[0].swarm.dial(address).unwrap();
        let has_failed = |side: &Side| matches!(side.failed[..], [LinkError::NoMember]);
        until(&mut sides, "one that does not believe the other", |[one, other]| {
            has_failed(one) || has_failed(other)
        })
        .await;
        until(&mut sides, "the connection to be closed", |sides| {
            sides.iter().all(|side| side.connected.is_empty())
        })
        .await;
        for side in &sides {
            assert!(side.opened.is_none());
            let gossip = &side.swarm.behaviour().gossip.inner;
            assert!(
                sides
                    .iter()
                    .all(|other| !gossip.is_subscribed(other.swarm.local_peer_id()))
            );
        }
    }

    #[tokio::test]
    async fn no_more_are_let_in_than_there_is_room_for() {
        let mut full = links("links", PeerId::random());
        let filler = |at| Connection {
            id: ConnectionId::new_unchecked(at),
            rank: full.rank(&full.local, Path::Relayed, true),
            is_unproven: false,
            waiting: 0,
        };
        let connections = (0..LINKS_MAX)
            .map(|at| (PeerId::random(), filler(at)))
            .collect::<HashMap<_, _>>();
        let linked = *connections.keys().next().unwrap();
        full.connections = connections;
        for path in [Some(Path::Direct), None] {
            let refused = full.let_in(&PeerId::random(), path, true).unwrap_err();
            assert!(matches!(refused.downcast::<NotLetIn>(), Ok(NotLetIn::Full)));
        }
        assert!(
            full.let_in(&linked, Some(Path::Direct), true).is_ok(),
            "a better connection of one that is in"
        );
        let needless = full.let_in(&linked, None, true).unwrap_err();
        assert!(matches!(needless.downcast::<NotLetIn>(), Ok(NotLetIn::Surplus)));
    }

    #[test]
    fn those_who_have_proven_nothing_take_no_places_of_members() {
        let mut crowded = links("links", PeerId::random());
        let silent = |at| Connection {
            id: ConnectionId::new_unchecked(at),
            rank: crowded.rank(&crowded.local, Path::Relayed, false),
            is_unproven: true,
            waiting: 0,
        };
        let connections = (0..UNPROVEN_MAX).map(|at| (PeerId::random(), silent(at)));
        crowded.connections = connections.collect();
        let mut let_in = |dialled| crowded.let_in(&PeerId::random(), Some(Path::Relayed), dialled).is_ok();
        assert!(!let_in(false), "one more that may say nothing");
        assert!(let_in(true), "one that we have dialled");
        let one = *crowded.connections.keys().next().unwrap();
        crowded.connections.get_mut(&one).unwrap().is_unproven = false;
        assert!(crowded.let_in(&PeerId::random(), Some(Path::Relayed), false).is_ok());
    }

    #[test]
    fn both_sides_rank_a_connection_alike_and_direct_is_best() {
        let (one, other) = (PeerId::random(), PeerId::random());
        let (mine, theirs) = (links("links", one), links("links", other));
        for path in [Path::Relayed, Path::Direct] {
            for dialled in [true, false] {
                assert_eq!(mine.rank(&other, path, dialled), theirs.rank(&one, path, !dialled));
            }
            assert_ne!(mine.rank(&other, path, true), mine.rank(&other, path, false));
        }
        assert!(mine.rank(&other, Path::Direct, false) > mine.rank(&other, Path::Relayed, true));
        assert!(mine.rank(&other, Path::Direct, true) > mine.rank(&other, Path::Relayed, false));
    }
}
