//! The behaviours of a node, in the order that matters.

use std::{collections::HashSet, time::Duration};

use gossipstore_core::id::StoreId;
use libp2p::{PeerId, identify, identity::Keypair, ping, relay, rendezvous, swarm::NetworkBehaviour};

use crate::{direct, gossip::Gossip, introductions::Introductions, links::Links};

/// How often a connection is asked whether it lives, and how long it has for the answer. It is called dead at the
/// second answer in a row that does not come (libp2p's ping keeps the first to itself), so about 15 seconds after the
/// other end vanished without a word; one that closed is noticed at once.
const PING_EVERY: Duration = Duration::from_secs(3);
const PING_PATIENCE: Duration = Duration::from_secs(4);

/// Everything a node does on its connections.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// First, because it decides which connections are let in.
    pub(crate) links: Links,
    pub(crate) relay: relay::client::Behaviour,
    pub(crate) direct: direct::Behaviour,
    pub(crate) introductions: Introductions,
    pub(crate) rendezvous: rendezvous::client::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
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
        Self {
            links: Links::new(keypair.public().to_peer_id(), relays.clone()),
            relay,
            direct,
            introductions: Introductions::new(relays),
            rendezvous: rendezvous::client::Behaviour::new(keypair.clone()),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(
                ping::Config::new()
                    .with_interval(PING_EVERY)
                    .with_timeout(PING_PATIENCE),
            ),
            gossip: Gossip::new(store),
        }
    }
}
