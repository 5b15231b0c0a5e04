//! Gossip of fresh transactions: gossipsub over the one connection of each member that counts.
//!
//! gossipsub 0.50.1 knows peers, not connections: a second connection shares the first one's queue, its handler sleeps
//! until something else polls it, and the subscriptions that went out on a first connection that the other side did not
//! let in are never sent again. So [`Gossip`] shows gossipsub one connection at a time: when a better one comes
//! ([`crate::links`] lets no other in), the old one is reported closed first, and gossipsub begins afresh on the new
//! one. Circuits through members, which carry no data, are not shown at all, nor are relays: each would be asked for four
//! versions of a protocol that it does not speak, just when a newcomer has better questions.
//!
//! Messages are anonymous, sealed for members and named by their hash: what matters is the transaction in them, which carries its own
//! author.

use std::{
    collections::{HashMap, HashSet},
    task::{Context, Poll},
    time::Duration,
};

use either::Either;
use gossipstore_core::membership::{NONCE_BYTES, Sealer};
use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    gossipsub::{
        self, ConfigBuilder, IdentTopic, IdentityTransform, MessageAcceptance, MessageAuthenticity, MessageId,
        PeerScoreParams, PeerScoreThresholds, PublishError, TopicHash, TopicScoreParams, ValidationMode,
        WhitelistSubscriptionFilter, score_parameter_decay,
    },
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished, dummy,
    },
};

use rand::{Rng as _, rngs::StdRng};

use crate::transport;

/// The longest message, with gossipsub's envelope. The replica's own limit leaves room for the envelope.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// How often the mesh is tended. A tenth of what large networks use costs little in one of a dozen members, and repairs
/// it sooner.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// After how many refused messages nothing of a member's gossip is heard any more. Its frames are.
const REFUSED_MAX: u32 = 8;

/// How long it takes until a refused message is forgotten.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10 * 60);

/// How many messages wait for one member before further ones are dropped, which sessions repair. The node hands over a
/// few at a time (`node::BROADCASTS_PER_TURN`), so only a member that is slower than what is written gets near; and
/// all of the longest are 16 MiB.
const QUEUED_MESSAGES_MAX: usize = 256;

/// How a member's score falls: by the square of how many messages of it were refused, which are forgotten by and by. Nothing else counts:
/// members are few, differ in what their networks can do, and may all have one address.
fn score(topic: TopicHash) -> (PeerScoreParams, PeerScoreThresholds) {
    let refused_only = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: score_parameter_decay(FORGIVEN_AFTER),
        ..TopicScoreParams::default()
    };
    let score = PeerScoreParams {
        topics: [(topic, refused_only)].into(),
        topic_score_cap: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: 0.0,
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    };
    // Between that of one fewer and of so many, as some of it may be forgotten already.
    let ignored = -(f64::from(REFUSED_MAX) - 0.5).powi(2);
    let thresholds = PeerScoreThresholds {
        gossip_threshold: ignored / 4.0,
        publish_threshold: ignored / 2.0,
        graylist_threshold: ignored,
        ..PeerScoreThresholds::default()
    };
    (score, thresholds)
}

/// What happened.
#[derive(Debug)]
pub(crate) enum GossipEvent {
    /// A member handed us a message; answer with [`Gossip::judge`].
    Message {
        from: PeerId,
        id: MessageId,
        message: Vec<u8>,
    },
    /// A peer handed us what no member has sealed.
    Unsealed { from: PeerId },
    /// A member joined or left the topic; see [`Gossip::is_subscribed`].
    SubscriptionChanged { member: PeerId },
}

type Inner = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// The behaviour.
pub(crate) struct Gossip {
    inner: Inner,
    topic: TopicHash,
    sealer: Sealer,
    random: StdRng,
    relays: HashSet<PeerId>,
    /// The connection that gossipsub sees, of each peer.
    shown: HashMap<PeerId, (ConnectionId, ConnectedPoint)>,
    /// Those of which it has a handler and sees nothing yet.
    coming: HashMap<ConnectionId, PeerId>,
}

impl Gossip {
    /// Subscribed to the store's topic, which does not concern the relays.
    pub(crate) fn new(topic: String, relays: HashSet<PeerId>, sealer: Sealer, random: StdRng) -> Self {
        let topic = IdentTopic::new(topic);
        let hash = topic.hash();
        let config = ConfigBuilder::default()
            .validation_mode(ValidationMode::Anonymous)
            .message_id_fn(|message| MessageId::new(&blake3::hash(&message.data).as_bytes()[..16]))
            // What the replica refuses is not handed on.
            .validate_messages()
            .max_transmit_size(MESSAGE_BYTES_MAX)
            .heartbeat_interval(HEARTBEAT)
            .heartbeat_initial_delay(Duration::ZERO)
            .connection_handler_queue_len(QUEUED_MESSAGES_MAX)
            // What is written here goes to every member that is linked, at once; the mesh carries it to the others.
            .flood_publish(true)
            .mesh_n(6)
            .mesh_n_low(4)
            .mesh_n_high(12)
            .mesh_outbound_min(2)
            .build()
            .expect("the settings are constants that fit each other");
        // A peer may name no topic but ours, or it could make us keep as many as it likes.
        let only_ours = WhitelistSubscriptionFilter(HashSet::from([hash.clone()]));
        let mut inner = Inner::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, only_ours)
            .expect("anonymous messages fit anonymous validation");
        let (score, thresholds) = score(hash.clone());
        inner
            .with_peer_score(score, thresholds)
            .expect("the parameters are constants that fit each other");
        inner.subscribe(&topic).expect("the filter allows our own topic");
        Self {
            inner,
            topic: hash,
            sealer,
            random,
            relays,
            shown: HashMap::new(),
            coming: HashMap::new(),
        }
    }

    /// Hands a message to all members. Those that it does not reach learn of it by a session, so nothing that goes
    /// wrong here is an error.
    pub(crate) fn publish(&mut self, message: &[u8]) {
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill_bytes(&mut nonce);
        let sealed = self.sealer.seal(nonce, message);
        match self.inner.publish(self.topic.clone(), sealed) {
            Ok(_) | Err(PublishError::NoPeersSubscribedToTopic | PublishError::Duplicate) => {}
            Err(error) => tracing::debug!(%error, "a message was not gossiped"),
        }
    }

    /// Hands a message on to others, or not.
    pub(crate) fn judge(&mut self, id: &MessageId, from: &PeerId, judgement: MessageAcceptance) {
        self.inner.report_message_validation_result(id, from, judgement);
    }

    /// Whether what is published from now on is sent to this member.
    pub(crate) fn is_subscribed(&self, member: &PeerId) -> bool {
        self.inner
            .all_peers()
            .any(|(peer, topics)| peer == member && topics.contains(&&self.topic))
    }

    /// Ends what gossipsub knows of a connection that is no longer the one to use.
    fn hide(&mut self, peer_id: PeerId) {
        if let Some((connection_id, endpoint)) = self.shown.remove(&peer_id) {
            self.inner.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                connection_id,
                endpoint: &endpoint,
                cause: None,
                remaining_established: 0,
            }));
        }
    }

    /// Whether a connection may carry gossip at all.
    fn concerns(&self, peer: &PeerId, address: &Multiaddr) -> bool {
        !self.relays.contains(peer) && transport::path(address).is_some()
    }

    /// A connection has ended that gossipsub was never shown. It knows the peer by its handler, and for as long as nobody says that it is gone.
    fn forget(&mut self, closed: ConnectionClosed<'_>) {
        let peer = closed.peer_id;
        if self.coming.remove(&closed.connection_id).is_none()
            || self.shown.contains_key(&peer)
            || self.coming.values().any(|other| *other == peer)
        {
            return;
        }
        self.inner.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            remaining_established: 0,
            ..closed
        }));
    }

    fn is_shown(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        self.shown.get(peer).is_some_and(|(shown, _)| *shown == connection)
    }
}

impl NetworkBehaviour for Gossip {
    type ConnectionHandler = Either<THandler<Inner>, dummy::ConnectionHandler>;
    type ToSwarm = GossipEvent;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.concerns(&peer, local) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.hide(peer);
        self.coming.insert(connection, peer);
        self.inner
            .handle_established_inbound_connection(connection, peer, local, remote)
            .map(Either::Left)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.concerns(&peer, address) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.hide(peer);
        self.coming.insert(connection, peer);
        self.inner
            .handle_established_outbound_connection(connection, peer, address, role, port_use)
            .map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                if !self.concerns(&established.peer_id, transport::address_of(established.endpoint)) {
                    return;
                }
                self.coming.remove(&established.connection_id);
                self.shown.insert(
                    established.peer_id,
                    (established.connection_id, established.endpoint.clone()),
                );
                self.inner
                    .on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                        other_established: 0,
                        ..established
                    }));
            }
            FromSwarm::ConnectionClosed(closed) => {
                if self.is_shown(&closed.peer_id, closed.connection_id) {
                    self.hide(closed.peer_id);
                } else {
                    self.forget(closed);
                }
            }
            FromSwarm::AddressChange(change) => {
                if self.is_shown(&change.peer_id, change.connection_id) {
                    self.inner.on_swarm_event(FromSwarm::AddressChange(change));
                }
            }
            other => self.inner.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        if let Either::Left(event) = event
            && self.is_shown(&peer, connection)
        {
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            let Poll::Ready(action) = self.inner.poll(cx) else {
                return Poll::Pending;
            };
            let event = match action {
                ToSwarm::GenerateEvent(event) => event,
                other => {
                    let other = other.map_in(Either::Left);
                    return Poll::Ready(other.map_out(|_| unreachable!("events are taken out above")));
                }
            };
            return Poll::Ready(ToSwarm::GenerateEvent(match event {
                gossipsub::Event::Message {
                    propagation_source: from,
                    message_id: id,
                    message,
                } => match self.sealer.unseal(&message.data) {
                    Ok(message) => GossipEvent::Message { from, id, message },
                    Err(error) => {
                        tracing::debug!(member = %from, %error, "a message is dropped");
                        self.judge(&id, &from, MessageAcceptance::Reject);
                        GossipEvent::Unsealed { from }
                    }
                },
                gossipsub::Event::Subscribed { peer_id: member, .. }
                | gossipsub::Event::Unsubscribed { peer_id: member, .. } => GossipEvent::SubscriptionChanged { member },
                gossipsub::Event::GossipsubNotSupported { .. } => continue, // No member, or no good one.
                gossipsub::Event::SlowPeer { peer_id, .. } => {
                    tracing::debug!(%peer_id, "a member takes gossip too slowly; some was dropped");
                    continue;
                }
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use gossipstore_core::membership::Secret;
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_peer_whose_connections_were_never_shown_is_forgotten_with_the_last_of_them() {
        let (relay, peer) = (PeerId::random(), PeerId::random());
        let sealer = Secret::of_name("shopping").sealer();
        let mut gossip = Gossip::new("topic".into(), HashSet::from([relay]), sealer, StdRng::seed_from_u64(5));
        let address = format!("/ip4/127.0.0.1/tcp/9091/ws/p2p/{relay}/p2p-circuit");
        let address = address.parse::<Multiaddr>().unwrap();
        let endpoint = ConnectedPoint::Listener {
            local_addr: address.clone(),
            send_back_addr: address.clone(),
        };
        let connections = [1, 2].map(ConnectionId::new_unchecked);
        for connection in connections {
            gossip
                .handle_established_inbound_connection(connection, peer, &address, &address)
                .unwrap();
        }
        for (connection_id, left) in connections.into_iter().zip([1, 0]) {
            assert_eq!(gossip.inner.all_peers().count(), 1);
            gossip.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id: peer,
                connection_id,
                endpoint: &endpoint,
                cause: None,
                remaining_established: left,
            }));
        }
        assert_eq!(gossip.inner.all_peers().count(), 0);
        assert!(gossip.coming.is_empty());
    }

    #[test]
    fn concerns_members_on_connections_that_carry_data() {
        let [relay, member, other] = [(); 3].map(|()| PeerId::random());
        let sealer = Secret::of_name("shopping").sealer();
        let gossip = Gossip::new("topic".into(), HashSet::from([relay]), sealer, StdRng::seed_from_u64(5));
        let socket = "/ip4/127.0.0.1/tcp/9091/ws".parse::<Multiaddr>().unwrap();
        let through = |relay: PeerId| {
            format!("{socket}/p2p/{relay}/p2p-circuit")
                .parse::<Multiaddr>()
                .unwrap()
        };
        let member_of_member = format!("/webrtc/p2p/{other}/p2p-circuit").parse::<Multiaddr>().unwrap();
        assert!(!gossip.concerns(&relay, &socket));
        assert!(gossip.concerns(&member, &through(relay)));
        assert!(!gossip.concerns(&member, &member_of_member));
    }
}
