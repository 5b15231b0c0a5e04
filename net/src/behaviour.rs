//! The behaviours of a node, in the order that matters.

use std::collections::HashSet;

use gossipstore_core::membership::Secret;
use libp2p::{
    PeerId, identify,
    identity::Keypair,
    relay, rendezvous,
    swarm::{ConnectionId, NetworkBehaviour},
};

use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    address, admission::Admission, direct, gossip::Gossip, introductions::Introductions, links::Links, pings::Pings,
    selective::Selective,
};

/// Everything a node does on its connections.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// First, because it decides which connections are let in.
    pub(crate) links: Links,
    pub(crate) relay: relay::client::Behaviour,
    pub(crate) direct: direct::Behaviour,
    pub(crate) introductions: Admission<Introductions>,
    /// What registers us at relays and asks there who else is there.
    pub(crate) registrar: Selective<rendezvous::client::Behaviour>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) pings: Pings,
    /// Last, because it forgets a member's older connection as soon as it is asked about a newer one.
    pub(crate) gossip: Admission<Gossip>,
}

impl Behaviour {
    /// The other side of a connection has proven to be a member.
    pub(crate) fn admit(&mut self, connection: ConnectionId) {
        self.introductions.admit(connection);
        self.gossip.admit(connection);
    }

    pub(crate) fn new(
        keypair: &Keypair,
        secret: &Secret,
        random: &mut StdRng,
        relays: HashSet<PeerId>,
        relay: relay::client::Behaviour,
        direct: direct::Behaviour,
    ) -> Self {
        let identify = identify::Config::new("/gossipstore/1".into(), keypair.public())
            .with_agent_version(concat!("gossipstore/", env!("CARGO_PKG_VERSION")).into())
            // Where we listen is told at the rendezvous to members, and is nobody else's business.
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        let mut another = || StdRng::from_rng(random);
        let gossip = Gossip::new(secret.topics().gossip(), relays.clone(), secret.sealer(), another());
        let local = keypair.public().to_peer_id();
        Self {
            links: Links::new(local, relays.clone(), secret.prover(), another()),
            relay,
            direct,
            introductions: Admission::new(Introductions::new(relays.clone())),
            registrar: Selective::new(rendezvous::client::Behaviour::new(keypair.clone()), move |address| {
                address::relay_of(address).is_some_and(|relay| relays.contains(&relay))
            }),
            identify: identify::Behaviour::new(identify),
            pings: Pings::default(),
            gossip: Admission::new(gossip),
        }
    }
}
