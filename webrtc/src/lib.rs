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
//! A whole node of a tab, which reaches its relay over WebSocket:
//!
//! ```ignore
#![doc = include_str!("../examples/node.rs")]
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
//! * Which strangers learn people's addresses: there are no ICE servers unless [`Config`] names some.
//!
//! # Through other tabs
//!
//! A tab can relay for others, so that they meet when no server is left. libp2p's relay protocol serves nobody whose
//! address contains `/p2p-circuit`, so that connections to such a tab are to be dialled as `/webrtc/p2p/M`, on a circuit
//! that stands. With `/webrtc` among its external addresses, a tab M with `relay::Behaviour` can then be listened on as
//! `/webrtc/p2p/M/p2p-circuit`, and its neighbours reach each other as `/webrtc/p2p/M/p2p-circuit/webrtc/p2p/T`.
//!
//! # Limits
//!
//! Data channels cannot tell the other side to wait. A stream on which 16 MiB wait to be read, or 64 MiB on all streams of
//! a connection, is reset: who sends that much at once should wait for answers. Writing waits while 512 KiB of a stream are unsent.
//! A side may have 256 streams open at once; who wants more waits. 16 connections may be on their way in at once.
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
mod outbound;
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
