//! Signalling streams on one circuit: opened when the transport dials, taken when it listens.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use either::Either;
use futures::future;
use libp2p_core::upgrade::{DeniedUpgrade, ReadyUpgrade};
use libp2p_swarm::{
    ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol,
    handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
};

use crate::{error::Error, request::Answer, signaling};

/// How many signalling streams of the other side may wait to be handed on. It has no reason to open a second before the
/// first has failed.
const INCOMING_MAX: usize = 4;

/// The handler of a circuit.
pub struct Handler {
    /// Whether the transport listens; else the protocol is not offered.
    listening: Arc<AtomicBool>,
    dials: VecDeque<Answer>,
    incoming: VecDeque<Stream>,
}

impl Handler {
    pub(crate) fn new(listening: Arc<AtomicBool>, dials: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            listening,
            dials: dials.into_iter().collect(),
            incoming: VecDeque::new(),
        }
    }
}

/// A signalling stream is wanted.
#[derive(Debug)]
pub struct Open(pub(crate) Answer);

/// The other side opened a signalling stream.
pub struct Incoming(pub(crate) Stream);

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Incoming;
    type InboundProtocol = Either<ReadyUpgrade<StreamProtocol>, DeniedUpgrade>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Answer;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        let protocol = if self.listening.load(Ordering::Relaxed) {
            Either::Left(ReadyUpgrade::new(signaling::PROTOCOL))
        } else {
            Either::Right(DeniedUpgrade)
        };
        SubstreamProtocol::new(protocol, ())
    }

    fn connection_keep_alive(&self) -> bool {
        // Streams keep the circuit themselves.
        !self.dials.is_empty()
    }

    fn on_behaviour_event(&mut self, Open(answer): Open) {
        self.dials.push_back(answer);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol, (), Answer>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => match protocol {
                future::Either::Left(_) if self.incoming.len() >= INCOMING_MAX => {
                    tracing::debug!("more signalling streams on one circuit than are kept; the last is reset");
                }
                future::Either::Left(stream) => self.incoming.push_back(stream),
                future::Either::Right(never) => libp2p_core::util::unreachable(never),
            },
            // Whoever asked may have given up; the stream is then reset.
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                let _ = info.send(Ok(protocol));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let _ = info.send(Err(match error {
                    StreamUpgradeError::NegotiationFailed => Error::Refused,
                    StreamUpgradeError::Timeout => Error::Signaling(io::ErrorKind::TimedOut.into()),
                    StreamUpgradeError::Io(error) => Error::Signaling(error),
                    StreamUpgradeError::Apply(never) => libp2p_core::util::unreachable(never),
                }));
            }
            _ => {}
        }
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Answer, Self::ToBehaviour>> {
        if let Some(answer) = self.dials.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(ReadyUpgrade::new(signaling::PROTOCOL), answer),
            });
        }
        if let Some(stream) = self.incoming.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Incoming(stream)));
        }
        Poll::Pending
    }
}
