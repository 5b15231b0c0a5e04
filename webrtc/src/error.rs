//! Why there is no connection, or no longer.

use std::{io, time::Duration};

use libp2p_identity::PeerId;

/// Why a peer was not connected to, or not listened for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing here can speak WebRTC.
    #[error(
        "there is no RTCPeerConnection here: windows have it, workers have not, and some browsers let people switch it \
         off; stay on the circuit"
    )]
    Unsupported,
    /// `/webrtc` is listened on already; once is enough for all circuits.
    #[error("this transport listens on /webrtc already; once is enough for all circuits")]
    AlreadyListening,
    /// The behaviour that was made with this transport is no more.
    #[error("the behaviour of this transport was dropped; give it to the same swarm")]
    BehaviourDropped,
    /// There is no circuit to the peer to meet on.
    #[error("there is no circuit to {peer} to meet on: {reason}")]
    NoCircuit {
        /// Who was to be met.
        peer: PeerId,
        /// Why the circuit does not stand.
        reason: String,
    },
    /// The other side does not speak the signalling protocol: it has no WebRTC, or does not listen.
    #[error("the other side takes no direct connections: it does not speak /webrtc-signaling/0.0.1")]
    Refused,
    /// The signalling stream broke before the direct connection stood.
    #[error("the signalling stream broke before the direct connection stood")]
    Signaling(#[source] io::Error),
    /// The other side said something else than what is due.
    #[error("the other side did not keep to the signalling protocol: {0}")]
    Protocol(&'static str),
    /// The browser refused what it was told, which the other side had a part in.
    #[error("the browser refused {call}: {reason}")]
    Browser {
        /// The method that was called.
        call: &'static str,
        /// The browser's own words.
        reason: String,
    },
    /// The two browsers found no path, or lost it while they met.
    #[error("the browsers found no path to each other")]
    Connection(#[from] ConnectionError),
    /// It took too long.
    #[error("no direct connection stood after {after:?}")]
    TimedOut {
        /// [`Config::handshake_timeout`](crate::Config::handshake_timeout).
        after: Duration,
    },
}

/// Why a direct connection is no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The browser gave up: no path works, and none has for some while.
    #[error("the path to the other side is lost (ICE or DTLS failed); an ICE server may help")]
    Failed,
    /// It was closed, by the other side or by this one.
    #[error("the connection was closed")]
    Closed,
    /// The browser makes no more channels.
    #[error("the browser refused to make a data channel")]
    NoChannel,
}
