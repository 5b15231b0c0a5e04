//! A behaviour that sees direct connections only.
//!
//! gossipsub 0.50.1 sleeps on a second connection of a peer, as the direct one beside the circuit is (see `Gossip` in `net/`),
//! and is not to use the circuit here anyway.

use std::task::{Context, Poll};

use either::Either;
use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};
use libp2p_webrtc_browser::is_circuit;

/// Whether this is a connection by WebRTC.
pub(crate) fn is_direct(endpoint: &ConnectedPoint) -> bool {
    is_webrtc(match endpoint {
        ConnectedPoint::Dialer { address, .. } => address,
        ConnectedPoint::Listener { local_addr, .. } => local_addr,
    })
}

fn is_webrtc(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::WebRTC) && !is_circuit(address)
}

/// Shows `B` the direct connections, of which there is one for each peer.
pub(crate) struct DirectOnly<B>(pub(crate) B);

impl<B: NetworkBehaviour> NetworkBehaviour for DirectOnly<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !is_webrtc(local) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler = self
            .0
            .handle_established_inbound_connection(connection, peer, local, remote);
        handler.map(Either::Left)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !is_webrtc(address) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler = self
            .0
            .handle_established_outbound_connection(connection, peer, address, role, port_use);
        handler.map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(mut established) => {
                if is_direct(established.endpoint) {
                    established.other_established = 0;
                    self.0.on_swarm_event(FromSwarm::ConnectionEstablished(established));
                }
            }
            FromSwarm::ConnectionClosed(mut closed) => {
                if is_direct(closed.endpoint) {
                    closed.remaining_established = 0;
                    self.0.on_swarm_event(FromSwarm::ConnectionClosed(closed));
                }
            }
            other => self.0.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => self.0.on_connection_handler_event(peer, connection, event),
            Either::Right(never) => libp2p::core::util::unreachable(never),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.0.poll(cx).map(|action| action.map_in(Either::Left))
    }
}
