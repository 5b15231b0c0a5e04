//! The node of a tab: WebSocket to a relay, circuits over it, direct connections beside them.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs)]

use std::error::Error;

use libp2p::{
    Multiaddr, Swarm, Transport as _,
    core::{muxing::StreamMuxerBox, transport::OrTransport, upgrade::Version},
    identity::Keypair,
    noise, relay,
    swarm::{self, NetworkBehaviour},
    websocket_websys, yamux,
};
use libp2p_webrtc_browser as webrtc;

#[derive(NetworkBehaviour)]
pub struct Behaviour {
    relay: relay::client::Behaviour,
    webrtc: webrtc::Behaviour,
}

/// A node that can be reached through `relay`, `/dns4/…/wss/p2p/…`, and directly by those who were.
pub fn node(relay: Multiaddr) -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    let keypair = Keypair::generate_ed25519();
    let peer = keypair.public().to_peer_id();
    let (circuits, relay_client) = relay::client::new(peer);
    let (direct, webrtc) = webrtc::new(peer, webrtc::Config::default());

    // Circuits, and what they run over, are secured and multiplexed.
    let relayed = OrTransport::new(circuits, websocket_websys::Transport::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&keypair)?)
        .multiplex(yamux::Config::default())
        .boxed();
    // Direct connections are already. They go first: the relay client would take their addresses for its own.
    let transport = direct
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .or_transport(relayed)
        .map(|either, _| either.into_inner())
        .boxed();

    let behaviour = Behaviour {
        relay: relay_client,
        webrtc,
    };
    let mut swarm = Swarm::new(transport, behaviour, peer, swarm::Config::with_wasm_executor());
    swarm.listen_on(relay.with(libp2p::multiaddr::Protocol::P2pCircuit))?;
    // Each circuit that is listened on is announced with `/webrtc`, too.
    swarm.listen_on("/webrtc".parse()?)?;
    Ok(swarm)
}
