//! How a node reaches others: each transport is one line here, secured and multiplexed the same way.
//!
//! A browser speaks WebSocket; a native process TCP and WebSocket; both reach members through circuits of the relays
//! that they reach.

use std::{io, time::Duration};

use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        ConnectedPoint,
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, relay, yamux,
};

use crate::{address::leads_through_member, status::Path};

/// How long a connection may take from the first byte until it is secured and multiplexed.
const SETUP_PATIENCE: Duration = Duration::from_secs(10);

/// All transports of this platform, and circuits over them through `circuits`.
pub(crate) fn build(
    keypair: &Keypair,
    circuits: relay::client::Transport,
) -> io::Result<Boxed<(PeerId, StreamMuxerBox)>> {
    // A circuit's address begins with that of a transport that would take it for its own, so circuits come first.
    Ok(OrTransport::new(circuits, sockets()?)
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).map_err(io::Error::other)?)
        .multiplex(yamux::Config::default())
        .timeout(SETUP_PATIENCE)
        .boxed())
}

/// How many bytes of a WebSocket message are waited for at once: room for them is made when its first 14 bytes announce
/// them, before the other side has said who it is. A relay writes what noise has gathered, 128 KiB and one message of 64
/// KiB at most; more than twice that leaves room for one that gathers more. In a tab the browser sees to it.
#[cfg(not(target_arch = "wasm32"))]
const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 512 * 1024;

#[cfg(target_arch = "wasm32")]
fn sockets() -> io::Result<crate::websocket::Transport> {
    Ok(crate::websocket::Transport)
}

#[cfg(not(target_arch = "wasm32"))]
fn sockets() -> io::Result<OrTransport<libp2p::websocket::Config<Tcp>, Tcp>> {
    let mut websocket = libp2p::websocket::Config::new(tcp());
    websocket.set_max_data_size(WEBSOCKET_MESSAGE_BYTES_MAX);
    Ok(OrTransport::new(websocket, tcp()))
}

#[cfg(not(target_arch = "wasm32"))]
type Tcp = libp2p::dns::tokio::Transport<libp2p::tcp::tokio::Transport>;

#[cfg(not(target_arch = "wasm32"))]
fn tcp() -> Tcp {
    let tcp = || libp2p::tcp::tokio::Transport::new(libp2p::tcp::Config::default().nodelay(true));
    libp2p::dns::tokio::Transport::system(tcp()).unwrap_or_else(|error| {
        tracing::warn!(%error, "this system has no resolver; relays are reachable by IP address only");
        without_resolver(tcp())
    })
}

/// A machine that cannot resolve names still reaches relays by their numbers, and works offline.
#[cfg(not(target_arch = "wasm32"))]
fn without_resolver(tcp: libp2p::tcp::tokio::Transport) -> Tcp {
    libp2p::dns::tokio::Transport::custom(tcp, Default::default(), Default::default())
}

/// How a member's data travels on a connection with this address: the one that was dialled, or the one that it came in at.
/// `None` for a circuit through another member: that one only carries what two need to connect directly.
pub(crate) fn path(address: &Multiaddr) -> Option<Path> {
    if !address.iter().any(|part| part == Protocol::P2pCircuit) {
        Some(Path::Direct)
    } else if leads_through_member(address) {
        None
    } else {
        Some(Path::Relayed)
    }
}

/// The same of a connection that stands.
pub(crate) fn path_of(endpoint: &ConnectedPoint) -> Option<Path> {
    path(address_of(endpoint))
}

/// The address that a connection was dialled at, or came in at.
pub(crate) fn address_of(endpoint: &ConnectedPoint) -> &Multiaddr {
    match endpoint {
        ConnectedPoint::Dialer { address, .. } => address,
        ConnectedPoint::Listener { local_addr, .. } => local_addr,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_system_without_resolver_is_no_reason_not_to_start() {
        let mut transport = without_resolver(libp2p::tcp::tokio::Transport::default());
        let options = libp2p::core::transport::DialOpts {
            role: libp2p::core::Endpoint::Dialer,
            port_use: libp2p::core::transport::PortUse::New,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let by_number = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        transport
            .dial(by_number.parse().unwrap(), options)
            .unwrap()
            .await
            .unwrap();
        let by_name = "/dns4/relay.example.org/tcp/1".parse().unwrap();
        assert!(transport.dial(by_name, options).unwrap().await.is_err());
    }

    #[test]
    fn a_circuit_is_told_from_a_direct_path() {
        for (address, expected) in [
            ("/ip4/127.0.0.1/tcp/9091/ws", Some(Path::Direct)),
            ("/webrtc", Some(Path::Direct)),
            (
                "/webrtc/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X",
                Some(Path::Direct),
            ),
            (
                "/webrtc/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit",
                None,
            ),
            (
                "/ip4/127.0.0.1/tcp/9091/ws/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit",
                Some(Path::Relayed),
            ),
        ] {
            assert_eq!(path(&address.parse().unwrap()), expected);
        }
    }
}
