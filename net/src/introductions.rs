//! Who can be reached through whom: each member tells those that it is directly linked with which others hold a place with it, so
//! that these can connect with each other through it. So a mesh heals by itself when no relay is left.
//!
//! The protocol `/gossipstore/introductions/1`: each side opens a stream on a direct connection once it has something to say, and
//! sends a frame whenever that has changed. A frame (see [`crate::framing`]) holds the peer ids of all who hold a place, the receiver
//! too if it does, each as one byte with its length and then its bytes; it replaces the one before. What changes while a frame is
//! on its way is sent as one.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque, btree_map::Entry},
    sync::Arc,
    task::{Context, Poll, ready},
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use crate::{
    framing::{Reader, Writer},
    links::LINKS_MAX,
    status::Path,
    transport,
};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/gossipstore/introductions/1");

/// How many bytes a peer id takes at most: the hash of a key, or a key that is as short, and what kind of hash it is.
const PEER_BYTES_MAX: usize = 42;

/// The longest frame: all who can be linked.
const FRAME_BYTES_MAX: usize = LINKS_MAX * (1 + PEER_BYTES_MAX);

/// A member told who can be reached through it: these and nobody else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Introduced {
    pub(crate) by: PeerId,
    pub(crate) members: Vec<PeerId>,
}

/// The behaviour.
#[derive(Debug)]
pub(crate) struct Introductions {
    /// Peers that are no members: they are told nothing, and not listened to.
    relays: HashSet<PeerId>,
    /// Those who hold places with us, and how many: two while one connection takes over from another.
    guests: BTreeMap<PeerId, usize>,
    connections: HashMap<ConnectionId, PeerId>,
    actions: VecDeque<ToSwarm<Introduced, Frame>>,
}

/// All guests, as they are sent.
type Frame = Arc<[u8]>;

impl Introductions {
    /// Nobody holds a place yet.
    pub(crate) fn new(relays: HashSet<PeerId>) -> Self {
        Self {
            relays,
            guests: BTreeMap::new(),
            connections: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// A member holds a place with us, so that others can reach it through us.
    pub(crate) fn add(&mut self, member: PeerId) {
        let places = self.guests.entry(member).or_default();
        *places += 1;
        if *places == 1 {
            self.tell_all();
        }
    }

    /// It has given up a place.
    pub(crate) fn remove(&mut self, member: PeerId) {
        if let Entry::Occupied(mut places) = self.guests.entry(member) {
            *places.get_mut() -= 1;
            if *places.get() == 0 {
                places.remove();
                self.tell_all();
            }
        }
    }

    fn tell_all(&mut self) {
        let frame = encode(&self.guests);
        let all = self.connections.iter();
        self.actions
            .extend(all.map(|(&connection, &member)| tell(connection, member, frame.clone())));
    }

    fn is_told(&self, peer: &PeerId, path: Option<Path>) -> bool {
        path == Some(Path::Direct) && !self.relays.contains(peer)
    }
}

fn tell(connection: ConnectionId, peer_id: PeerId, frame: Frame) -> ToSwarm<Introduced, Frame> {
    ToSwarm::NotifyHandler {
        peer_id,
        handler: NotifyHandler::One(connection),
        event: frame,
    }
}

fn encode(guests: &BTreeMap<PeerId, usize>) -> Frame {
    let mut bytes = Vec::new();
    // No more places are given than there can be links.
    for member in guests.keys().take(LINKS_MAX) {
        let member = member.to_bytes();
        bytes.push(u8::try_from(member.len()).expect("a peer id has at most 42 bytes"));
        bytes.extend(member);
    }
    bytes.into()
}

/// `None` if they are no peer ids.
fn decode(mut bytes: &[u8]) -> Option<Vec<PeerId>> {
    let mut members = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (member, rest) = rest.split_at_checked(usize::from(*length))?;
        members.push(PeerId::from_bytes(member).ok()?);
        bytes = rest;
    }
    Some(members)
}

impl NetworkBehaviour for Introductions {
    type ConnectionHandler = Handler;
    type ToSwarm = Introduced;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.is_told(&peer, transport::path(local))))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.is_told(&peer, transport::path(address))))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let (connection, member) = (established.connection_id, established.peer_id);
                if self.is_told(&member, transport::path_of(established.endpoint)) {
                    self.connections.insert(connection, member);
                    if !self.guests.is_empty() {
                        self.actions.push_back(tell(connection, member, encode(&self.guests)));
                    }
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.connections.remove(&closed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, by: PeerId, _: ConnectionId, members: THandlerOutEvent<Self>) {
        let introduced = Introduced { by, members };
        self.actions.push_back(ToSwarm::GenerateEvent(introduced));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Filled by the swarm's own calls, and by those of its owner, who polls it next.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The handler of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    /// Whether the other side is told, and listened to.
    serves: bool,
    /// What is to be sent next.
    news: Option<Frame>,
    outgoing: Outgoing,
    incoming: Option<Reader<Stream>>,
}

#[derive(Debug)]
enum Outgoing {
    None,
    Requested,
    Standing(Writer<Stream>),
    /// The other side does not want to know.
    Failed,
}

impl Handler {
    fn new(serves: bool) -> Self {
        Self {
            serves,
            news: None,
            outgoing: Outgoing::None,
            incoming: None,
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Frame;
    type ToBehaviour = Vec<PeerId>;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Outgoing::None = self.outgoing
            && self.news.is_some()
        {
            self.outgoing = Outgoing::Requested;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        while let Outgoing::Standing(writer) = &mut self.outgoing {
            if writer.is_empty()
                && let Some(news) = self.news.take()
            {
                writer.push(&news);
            }
            match writer.poll(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "a member is not told any more whom it can reach through us");
                    self.outgoing = Outgoing::Failed;
                }
                Poll::Pending => break,
            }
        }
        let Some(reader) = &mut self.incoming else {
            return Poll::Pending;
        };
        match ready!(reader.poll(cx)).map(|frame| decode(&frame)) {
            Ok(Some(members)) => return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(members)),
            Ok(None) => tracing::debug!("a member introduces what are no peers"),
            Err(error) => tracing::debug!(%error, "a member introduces nobody any more"),
        }
        // What was heard before still helps; what is wrong with the connection shows elsewhere.
        self.incoming = None;
        Poll::Pending
    }

    // The connection polls the handler after each of these, so nothing has to be woken.

    fn on_behaviour_event(&mut self, news: Frame) {
        self.news = Some(news);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.outgoing = Outgoing::Standing(Writer::new(protocol));
            }
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) if self.serves => {
                // The newest stream counts: one that opens another has given up the one before.
                self.incoming = Some(Reader::new(protocol, FRAME_BYTES_MAX));
            }
            ConnectionEvent::DialUpgradeError(_) => self.outgoing = Outgoing::Failed,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::{StreamExt as _, future::select_all};
    use libp2p::{
        Swarm,
        swarm::{SwarmEvent, dial_opts::DialOpts},
    };

    use super::*;
    use crate::memory;

    struct Side {
        swarm: Swarm<Introductions>,
        peer: PeerId,
        address: Multiaddr,
        heard: Vec<Introduced>,
    }

    impl Side {
        fn new(relays: HashSet<PeerId>) -> Self {
            let (swarm, address) = memory::swarm(|_| Introductions::new(relays));
            Self {
                peer: *swarm.local_peer_id(),
                swarm,
                address,
                heard: Vec::new(),
            }
        }

        fn dial(&mut self, other: &Self) {
            let dial = DialOpts::peer_id(other.peer)
                .addresses(vec![other.address.clone()])
                .build();
            self.swarm.dial(dial).unwrap();
        }

        fn introductions(&mut self) -> &mut Introductions {
            self.swarm.behaviour_mut()
        }

        /// Whom the newest introduction of each names.
        fn knows(&self, by: PeerId) -> Option<&[PeerId]> {
            let newest = self.heard.iter().rfind(|introduced| introduced.by == by);
            newest.map(|introduced| &introduced.members[..])
        }
    }

    async fn until(sides: &mut [Side], what: &str, is_so: impl Fn(&[Side]) -> bool) {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while !is_so(sides) {
                let next = sides.iter_mut().map(|side| side.swarm.select_next_some());
                let (event, at, _) = select_all(next).await;
                if let SwarmEvent::Behaviour(introduced) = event {
                    sides[at].heard.push(introduced);
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("waited in vain for: {what}"));
    }

    fn connected(sides: &[Side]) -> bool {
        sides.iter().all(|side| side.swarm.connected_peers().next().is_some())
    }

    #[tokio::test]
    async fn neighbours_hear_who_comes_and_who_leaves() {
        let mut sides = [Side::new(HashSet::new()), Side::new(HashSet::new())];
        let (before, after) = (PeerId::random(), PeerId::random());
        let [host, guest] = &mut sides;
        host.introductions().add(before);
        host.dial(guest);
        let by = host.peer;
        until(&mut sides, "those who came before", |sides| {
            sides[1].knows(by) == Some(&[before])
        })
        .await;
        // It moves from one connection to another: for a moment it holds two places.
        sides[0].introductions().add(before);
        sides[0].introductions().remove(before);
        sides[0].introductions().add(after);
        let both = BTreeSet::from([before, after]);
        until(&mut sides, "those who came after", |sides| {
            sides[1]
                .knows(by)
                .is_some_and(|known| known.iter().copied().collect::<BTreeSet<_>>() == both)
        })
        .await;
        sides[0].introductions().remove(before);
        until(&mut sides, "those who are left", |sides| {
            sides[1].knows(by) == Some(&[after])
        })
        .await;
        sides[0].introductions().remove(after);
        until(&mut sides, "that nobody is left", |sides| {
            sides[1].knows(by) == Some(&[])
        })
        .await;
        sides[0].introductions().remove(after);
    }

    #[tokio::test]
    async fn relays_are_told_nothing_and_not_believed() {
        let relay = Side::new(HashSet::new());
        let mut sides = [Side::new(HashSet::from([relay.peer])), relay, Side::new(HashSet::new())];
        let [member, relay, other] = &mut sides;
        for side in [&mut *member, &mut *relay] {
            side.introductions().add(PeerId::random());
        }
        member.dial(relay);
        member.dial(other);
        relay.dial(other);
        let by = member.peer;
        until(&mut sides, "the member that is told", |sides| {
            sides[2].knows(by).is_some()
        })
        .await;
        let by = sides[1].peer;
        until(&mut sides, "the member that believes", |sides| {
            sides[2].knows(by).is_some()
        })
        .await;
        assert!(connected(&sides));
        assert_eq!((&sides[0].heard, &sides[1].heard), (&vec![], &vec![]));
    }

    #[test]
    fn all_who_can_hold_a_place_fit_in_a_frame_and_it_is_read_as_it_was_written() {
        let guests = (0..LINKS_MAX + 3)
            .map(|_| (PeerId::random(), 1))
            .collect::<BTreeMap<_, _>>();
        let frame = encode(&guests);
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let named = guests.into_keys().take(LINKS_MAX).collect::<Vec<_>>();
        assert_eq!(decode(&frame), Some(named));
    }

    #[test]
    fn what_names_no_peers_is_refused() {
        let good = encode(&BTreeMap::from([(PeerId::random(), 1)]));
        assert_eq!(decode(&[]), Some(vec![]));
        for cut in 1..good.len() {
            assert_eq!(decode(&good[..cut]), None, "cut at {cut}");
        }
        for bad in [&[0][..], &[3, 1, 2, 3], &[255; 300]] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
