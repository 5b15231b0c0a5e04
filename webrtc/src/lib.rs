//! The libp2p transport [`/webrtc`](https://github.com/libp2p/specs/blob/master/webrtc/webrtc.md): a direct connection
//! between two browsers, neither of which can be dialled.
//!
//! The two meet on a *circuit*, a connection through a relay. Over it they exchange what WebRTC needs to know, and the
//! browsers find a path of their own. What comes out is a connection like any other: authenticated, because the circuit
//! is and the certificates' fingerprints were exchanged on it, and multiplexed, each stream being a data channel.
//!
//! As with the relay client, a transport and a behaviour belong together: the [`Transport`] is asked to dial and to
//! listen, the [`Behaviour`] knows the circuits and opens the signalling stream on them. [`new`] makes the two.
//!
//! ```no_run
//! # #[cfg(target_arch = "wasm32")]
//! # fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! use libp2p::{
//!     Swarm, Transport,
//!     core::{muxing::StreamMuxerBox, transport::OrTransport, upgrade::Version},
//!     identity, noise, relay, swarm, yamux,
//! };
//!
//! #[derive(swarm::NetworkBehaviour)]
//! struct Behaviour {
//!     relay: relay::client::Behaviour,
//!     webrtc: libp2p_webrtc_browser::Behaviour,
//! }
//! # fn sockets() -> libp2p::core::transport::MemoryTransport { Default::default() }
//!
//! let keypair = identity::Keypair::generate_ed25519();
//! let peer = keypair.public().to_peer_id();
//! let (circuits, relay) = relay::client::new(peer);
//! let (direct, webrtc) = libp2p_webrtc_browser::new(peer, libp2p_webrtc_browser::Config::default());
//!
//! // Circuits run over whatever reaches the relay, here called `sockets`; they are secured and multiplexed.
//! let relayed = OrTransport::new(circuits, sockets())
//!     .upgrade(Version::V1Lazy)
//!     .authenticate(noise::Config::new(&keypair)?)
//!     .multiplex(yamux::Config::default());
//! // Direct connections come so. They go first: the relay client would take their addresses for its own.
//! let transport = OrTransport::new(direct.map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection))), relayed)
//!     .map(|either, _| match either {
//!         futures::future::Either::Left((peer, muxer)) => (peer, muxer),
//!         futures::future::Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
//!     })
//!     .boxed();
//!
//! let config = swarm::Config::with_wasm_executor();
//! let mut swarm = Swarm::new(transport, Behaviour { relay, webrtc }, peer, config);
//! // From now on each circuit that this peer can be reached through is announced with `/webrtc`, too.
//! swarm.listen_on("/webrtc".parse()?)?;
//! # Ok(()) }
//! ```
//!
//! # Addresses
//!
//! | address | meaning |
//! | --- | --- |
//! | `<relay>/p2p/R/p2p-circuit/webrtc/p2p/T` | dial T directly, signalling over a circuit that stands, else over one through R |
//! | `/webrtc/p2p/T` | dial T directly, signalling over a circuit that stands |
//! | `/webrtc` | listen: announce the first form for each circuit that is listened on |
//!
//! A connection that came in has the local address `/webrtc` and the remote address `/webrtc/p2p/<remote>`.
//! `is_relayed()` of libp2p is true of every address with `/p2p-circuit` in it; [`is_circuit`] is true of those only whose
//! bytes pass a relay.
//!
//! # What is left to the application
//!
//! * The circuit stays as it is once the direct connection stands. Whoever wants it gone closes it, on both sides.
//! * When two peers dial each other at once, two connections arise. If one is to remain, both have to choose the same,
//!   such as the one that was dialled by the lower peer id.
//!
//! # Other targets
//!
//! Browsers only have a [`Transport`]; elsewhere this crate is what can be tested without one.

// What only the transport uses is built everywhere, for its tests.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]

mod address;
mod behaviour;
#[cfg(target_arch = "wasm32")]
mod channel;
mod config;
#[cfg(target_arch = "wasm32")]
mod connection;
mod error;
mod framing;
mod handler;
#[cfg(target_arch = "wasm32")]
mod handshake;
#[cfg(target_arch = "wasm32")]
mod peer;
mod request;
mod signaling;
mod state;
#[cfg(target_arch = "wasm32")]
mod stream;
#[cfg(target_arch = "wasm32")]
mod transport;

pub use address::is_circuit;
pub use behaviour::Behaviour;
pub use config::{Config, IceServer};
#[cfg(target_arch = "wasm32")]
pub use connection::Connection;
pub use error::{ConnectionError, Error};
pub use handler::Handler;
#[cfg(target_arch = "wasm32")]
pub use stream::Stream;
#[cfg(target_arch = "wasm32")]
pub use transport::{Transport, new};
