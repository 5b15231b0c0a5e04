//! Behaviours that speak with members only: a connection is shown to them when its other side has proven to be one.
//!
//! A proof is half a round trip late on one of the two sides, so that what a member says meanwhile is kept until it is one here, too.

use std::{
    collections::HashMap,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, behaviour::ConnectionEstablished,
    },
};

/// How much of what a connection brings is kept before it is shown. A member begins with its subscription, and says nothing more until
/// it hears of ours.
const EARLY_MAX: usize = 4;

/// `B`, which sees connections to members only.
pub(crate) struct Admission<B: NetworkBehaviour> {
    pub(crate) inner: B,
    waiting: HashMap<ConnectionId, Waiting<THandlerOutEvent<B>>>,
}

/// A connection that is not shown.
struct Waiting<E> {
    peer: PeerId,
    endpoint: ConnectedPoint,
    early: Vec<E>,
}

impl<B: NetworkBehaviour> Admission<B> {
    pub(crate) fn new(inner: B) -> Self {
        let waiting = HashMap::new();
        Self { inner, waiting }
    }

    /// The other side of a connection has proven to be a member.
    pub(crate) fn admit(&mut self, connection: ConnectionId) {
        let Some(Waiting { peer, endpoint, early }) = self.waiting.remove(&connection) else {
            return;
        };
        self.inner
            .on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id: peer,
                connection_id: connection,
                endpoint: &endpoint,
                failed_addresses: &[],
                // Only one counts at a time, and `links` shows which.
                other_established: 0,
            }));
        for event in early {
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Admission<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let waiting = Waiting {
                    peer: established.peer_id,
                    endpoint: established.endpoint.clone(),
                    early: Vec::new(),
                };
                self.waiting.insert(established.connection_id, waiting);
            }
            FromSwarm::ConnectionClosed(closed) => {
                // Also of one that was never shown: there is a handler of it.
                self.waiting.remove(&closed.connection_id);
                self.inner.on_swarm_event(event);
            }
            FromSwarm::AddressChange(change) => match self.waiting.get_mut(&change.connection_id) {
                Some(waiting) => waiting.endpoint = change.new.clone(),
                None => self.inner.on_swarm_event(event),
            },
            other => self.inner.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match self.waiting.get_mut(&connection) {
            Some(Waiting { early, .. }) if early.len() < EARLY_MAX => early.push(event),
            Some(_) => tracing::debug!(%peer, "it says too much before it is known to be a member"),
            None => self.inner.on_connection_handler_event(peer, connection, event),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}
