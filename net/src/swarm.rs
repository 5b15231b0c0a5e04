//! The swarm of a node: transport, behaviours and the executor of this platform.

use std::{collections::HashSet, io, time::Duration};

use gossipstore_core::membership::Secret;
use libp2p::{PeerId, Swarm, identity::Keypair, relay, swarm::Config};
use rand::rngs::StdRng;

use crate::{behaviour::Behaviour, direct, options::IceServer, transport};

/// After how long a connection that nothing needs is closed. What is needed keeps itself alive; this only has to be
/// longer than the moments in which nothing has claimed a new connection yet.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);

/// A node's swarm, which has neither dialled nor listened yet.
pub(crate) fn build(
    secret: &Secret,
    random: &mut StdRng,
    relays: HashSet<PeerId>,
    ice: Vec<IceServer>,
) -> io::Result<Swarm<Behaviour>> {
    // A fresh identity for each opening: nobody can follow a person from one to the next, and a cloned profile is no
    // twin.
    let keypair = Keypair::generate_ed25519();
    let peer = keypair.public().to_peer_id();
    let (circuits, relay) = relay::client::new(peer);
    let (transport, direct) = direct::beside(transport::build(&keypair, circuits)?, peer, ice);
    let behaviour = Behaviour::new(&keypair, secret, random, relays, relay, direct);
    #[cfg(target_arch = "wasm32")]
    let config = Config::with_wasm_executor();
    #[cfg(not(target_arch = "wasm32"))]
    let config = Config::with_tokio_executor();
    Ok(Swarm::new(
        transport,
        behaviour,
        peer,
        config.with_idle_connection_timeout(IDLE_PATIENCE),
    ))
}
