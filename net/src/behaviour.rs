//! The behaviours of a node, in the order that matters.

use std::collections::HashSet;

use gossipstore_core::id::StoreId;
use libp2p::{PeerId, identify, identity::Keypair, relay, rendezvous, swarm::NetworkBehaviour};

use crate::{
    address, direct, gossip::Gossip, introductions::Introductions, links::Links, pings::Pings, selective::Selective,
};

/// Everything a node does on its connections.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// First, because it decides which connections are let in.
    pub(crate) links: Links,
    pub(crate) relay: relay::client::Behaviour,
    pub(crate) direct: direct::Behaviour,
    pub(crate) introductions: Introductions,
    /// What registers us at relays and asks there who else is there.
    pub(crate) registrar: Selective<rendezvous::client::Behaviour>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) pings: Pings,
    /// Last, because it forgets a member's older connection as soon as it is asked about a newer one.
    pub(crate) gossip: Gossip,
}

impl Behaviour {
    pub(crate) fn new(
        keypair: &Keypair,
        store: StoreId,
        relays: HashSet<PeerId>,
        relay: relay::client::Behaviour,
        direct: direct::Behaviour,
    ) -> Self {
        let identify = identify::Config::new("/gossipstore/1".into(), keypair.public())
            .with_agent_version(concat!("gossipstore/", env!("CARGO_PKG_VERSION")).into())
            // Where we listen is told at the rendezvous to members, and is nobody else's business.
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        let gossip = Gossip::new(store, relays.clone());
        Self {
            links: Links::new(keypair.public().to_peer_id(), relays.clone()),
            relay,
            direct,
            introductions: Introductions::new(relays.clone()),
            registrar: Selective::new(rendezvous::client::Behaviour::new(keypair.clone()), move |address| {
                address::relay_of(address).is_some_and(|relay| relays.contains(&relay))
            }),
            identify: identify::Behaviour::new(identify),
            pings: Pings::default(),
            gossip,
        }
    }
}
