//! Direct connections to members, beside the circuits: between browsers by WebRTC, elsewhere none.

pub(crate) use platform::{Behaviour, beside, listen};

use libp2p::{
    PeerId, Swarm,
    core::{muxing::StreamMuxerBox, transport::Boxed},
};

use crate::options::IceServer;

type Transport = Boxed<(PeerId, StreamMuxerBox)>;

#[cfg(target_arch = "wasm32")]
mod platform {
    use libp2p::{Multiaddr, Transport as _, multiaddr::Protocol, swarm::NetworkBehaviour};
    use libp2p_webrtc_browser as webrtc;

    use super::*;
    use crate::cause::root_cause;

    /// Arranges them on circuits.
    pub(crate) type Behaviour = webrtc::Behaviour;

    /// A transport that makes them as well.
    pub(crate) fn beside(circuits: Transport, local: PeerId, ice: Vec<IceServer>) -> (Transport, Behaviour) {
        let servers = ice.into_iter().map(|server| webrtc::IceServer {
            urls: server.urls,
            username: server.username,
            credential: server.credential,
        });
        let config = webrtc::Config::default().with_ice_servers(servers.collect());
        let (direct, behaviour) = webrtc::new(local, config);
        let direct = direct.map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
        // First, as the circuits' transport would take these addresses for its own.
        let both = direct.or_transport(circuits).map(|either, _| either.into_inner());
        (both.boxed(), behaviour)
    }

    /// Takes them from others, over the circuits that are listened on now and later. Gives why there will be none, if so.
    pub(crate) fn listen(swarm: &mut Swarm<impl NetworkBehaviour>) -> Result<(), String> {
        let listening = swarm.listen_on(Multiaddr::from(Protocol::WebRTC));
        listening.map(|_| ()).map_err(|error| root_cause(&error))
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod platform {
    use libp2p::swarm::{NetworkBehaviour, dummy};

    use super::*;

    pub(crate) type Behaviour = dummy::Behaviour;

    pub(crate) fn beside(circuits: Transport, _: PeerId, _: Vec<IceServer>) -> (Transport, Behaviour) {
        (circuits, dummy::Behaviour)
    }

    pub(crate) fn listen(_: &mut Swarm<impl NetworkBehaviour>) -> Result<(), String> {
        Err("only browsers connect directly".into())
    }
}
