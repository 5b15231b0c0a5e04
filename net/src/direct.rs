//! Direct connections to members, beside the circuits: between browsers by WebRTC, elsewhere none. And what members who are
//! connected directly do for each other: each is a relay for the few kilobytes that two others need to connect directly, too.

pub(crate) use platform::{Behaviour, beside, guest, listen};

use libp2p::{
    PeerId, Swarm,
    core::{muxing::StreamMuxerBox, transport::Boxed},
};

use crate::options::IceServer;

/// Another member that others can reach through us.
#[derive(Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "nobody is reached through one that is no browser")
)]
pub(crate) enum Guest {
    /// It holds a place.
    Came(PeerId),
    /// It has given one up.
    Left(PeerId),
}

type Transport = Boxed<(PeerId, StreamMuxerBox)>;

#[cfg(target_arch = "wasm32")]
mod platform {
    use std::{num::NonZeroU32, time::Duration};

    use libp2p::{Multiaddr, Transport as _, multiaddr::Protocol, relay, swarm::NetworkBehaviour};
    use libp2p_webrtc_browser as webrtc;

    use super::*;
    use crate::{cause::root_cause, links::LINKS_MAX, selective::Selective};

    /// What two others say to each other through us: their handshakes, offer, answer and candidates, about 20 KiB.
    const CIRCUIT_BYTES_MAX: u64 = 256 * 1024;

    /// How long they may take: as long as a direct connection may, and some.
    const CIRCUIT_PATIENCE: Duration = Duration::from_secs(30);

    /// How many may talk at once, and how many of them one member.
    const CIRCUITS_MAX: usize = 32;
    const CIRCUITS_PER_PEER_MAX: usize = 8;

    /// After how long a place has to be renewed, which members do by themselves.
    const RESERVATION_DURATION: Duration = Duration::from_secs(60 * 60);

    /// How fast a member may ask: so many at once, and one more in each interval. Twelve members are sought at most.
    const BURST: NonZeroU32 = NonZeroU32::new(64).unwrap();
    const REFILL: Duration = Duration::from_secs(5);

    #[derive(NetworkBehaviour)]
    pub(crate) struct Behaviour {
        /// Arranges direct connections on circuits.
        arranging: webrtc::Behaviour,
        /// Gives members places, and circuits to each other.
        relaying: Selective<relay::Behaviour>,
    }

    /// What an event says of who holds a place.
    pub(crate) fn guest(event: BehaviourEvent) -> Option<Guest> {
        use relay::Event;
        let BehaviourEvent::Relaying(event) = event;
        match event {
            Event::ReservationReqAccepted {
                src_peer_id,
                renewed: false,
            } => Some(Guest::Came(src_peer_id)),
            Event::ReservationClosed { src_peer_id } | Event::ReservationTimedOut { src_peer_id } => {
                Some(Guest::Left(src_peer_id))
            }
            _ => None,
        }
    }

    fn relaying() -> relay::Config {
        let config = relay::Config {
            max_reservations: LINKS_MAX,
            // One, and one on a connection that is being replaced.
            max_reservations_per_peer: 2,
            reservation_duration: RESERVATION_DURATION,
            reservation_rate_limiters: Vec::new(),
            max_circuits: CIRCUITS_MAX,
            max_circuits_per_peer: CIRCUITS_PER_PEER_MAX,
            max_circuit_duration: CIRCUIT_PATIENCE,
            max_circuit_bytes: CIRCUIT_BYTES_MAX,
            circuit_src_rate_limiters: Vec::new(),
        };
        config
            .reservation_rate_per_peer(BURST, REFILL)
            .circuit_src_per_peer(BURST, REFILL)
    }

    /// A transport that makes them as well.
    pub(crate) fn beside(circuits: Transport, local: PeerId, ice: Vec<IceServer>) -> (Transport, Behaviour) {
        let servers = ice.into_iter().map(|server| webrtc::IceServer {
            urls: server.urls,
            username: server.username,
            credential: server.credential,
        });
        let config = webrtc::Config::default().with_ice_servers(servers.collect());
        let (direct, arranging) = webrtc::new(local, config);
        let behaviour = Behaviour {
            arranging,
            // Those that hold a place with us reach us, and others through us, by WebRTC alone.
            relaying: Selective::new(relay::Behaviour::new(local, relaying()), |address| *address == here()),
        };
        let direct = direct.map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
        // First, as the circuits' transport would take these addresses for its own.
        let both = direct.or_transport(circuits).map(|either, _| either.into_inner());
        (both.boxed(), behaviour)
    }

    /// Takes them from others, over the circuits that are listened on now and later. Gives why there will be none, if so.
    pub(crate) fn listen(swarm: &mut Swarm<impl NetworkBehaviour>) -> Result<(), String> {
        swarm.listen_on(here()).map_err(|error| root_cause(&error))?;
        // Those that hold a place with us are told that they can be reached through this; without, they could not use it.
        swarm.add_external_address(here());
        Ok(())
    }

    fn here() -> Multiaddr {
        Protocol::WebRTC.into()
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod platform {
    use std::convert::Infallible;

    use libp2p::swarm::{NetworkBehaviour, dummy};

    use super::*;

    pub(crate) type Behaviour = dummy::Behaviour;

    pub(crate) fn beside(circuits: Transport, _: PeerId, _: Vec<IceServer>) -> (Transport, Behaviour) {
        (circuits, dummy::Behaviour)
    }

    pub(crate) fn guest(never: Infallible) -> Option<Guest> {
        match never {}
    }

    pub(crate) fn listen(_: &mut Swarm<impl NetworkBehaviour>) -> Result<(), String> {
        Err("only browsers connect directly".into())
    }
}
