//! What a transport and its behaviour say to each other.

use futures::channel::{mpsc, oneshot};
use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use libp2p_swarm::Stream;

use crate::{address::Destination, error::Error};

/// How many requests of the transport may wait for the behaviour. Dials beyond wait their turn.
pub(crate) const REQUESTS_MAX: usize = 16;

/// How many notices of the behaviour may wait for the transport, which a swarm asks in the same breath.
pub(crate) const NOTICES_MAX: usize = 16;

/// From the transport to the behaviour.
#[derive(Debug)]
pub(crate) enum Request {
    Dial(DialRequest),
    /// Tell of circuits and of those who want to meet on them, until the receiver is gone.
    Listen(mpsc::Sender<Notice>),
}

/// Open a signalling stream to this peer.
#[derive(Debug)]
pub(crate) struct DialRequest {
    pub(crate) to: Destination,
    pub(crate) answer: Answer,
}

/// Where a signalling stream is waited for. It is dropped without an answer when the circuit is.
pub(crate) type Answer = oneshot::Sender<Result<Stream, Error>>;

/// From the behaviour to the transport.
#[derive(Debug)]
pub(crate) enum Notice {
    /// This peer can be dialled here.
    NewAddress(Multiaddr),
    /// No longer.
    AddressExpired(Multiaddr),
    /// A peer opened a signalling stream.
    Incoming { from: PeerId, stream: Stream },
}
