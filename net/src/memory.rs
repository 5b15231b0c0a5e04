//! Swarms that meet within one process, for the tests of behaviours.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _,
    core::{transport::MemoryTransport, upgrade::Version},
    identity::Keypair,
    noise,
    swarm::{Config, NetworkBehaviour, SwarmEvent},
    yamux,
};

/// Nothing is closed for being idle while a test is at something else.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);

/// A swarm with what `behaviour` makes for its peer id, and where it listens.
pub(crate) fn swarm<B: NetworkBehaviour>(behaviour: impl FnOnce(PeerId) -> B) -> (Swarm<B>, Multiaddr) {
    let keypair = Keypair::generate_ed25519();
    let transport = MemoryTransport::default()
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&keypair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let peer = keypair.public().to_peer_id();
    let config = Config::with_tokio_executor().with_idle_connection_timeout(IDLE_PATIENCE);
    let mut swarm = Swarm::new(transport, behaviour(peer), peer, config);
    swarm.listen_on("/memory/0".parse().unwrap()).unwrap();
    let address = loop {
        if let Some(Some(SwarmEvent::NewListenAddr { address, .. })) = swarm.next().now_or_never() {
            break address;
        }
    };
    (swarm, address)
}
