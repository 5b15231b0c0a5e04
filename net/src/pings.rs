//! libp2p's ping protocol, `/ipfs/ping/1.0.0`: 32 random bytes that the other side sends back. When to ping, and what it means that
//! no answer comes, is for [`crate::liveness`] to say.

use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use web_time::Instant;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

const PING_BYTES: usize = 32;

/// How many streams a ping may take: a stream of an earlier one may turn out to be broken.
const ATTEMPTS_MAX: usize = 2;

/// The other side has answered a ping, or will not answer any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PingEvent {
    pub(crate) connection: ConnectionId,
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Pong { rtt: Duration },
    Unsupported,
}

/// The behaviour.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    actions: VecDeque<ToSwarm<PingEvent, SendPing>>,
}

/// What a handler is told.
#[derive(Debug)]
pub(crate) struct SendPing;

impl Pings {
    /// Pings the other side; while a ping is under way, another does nothing.
    pub(crate) fn send(&mut self, peer_id: PeerId, connection: ConnectionId) {
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id,
            handler: NotifyHandler::One(connection),
            event: SendPing,
        });
    }
}

impl NetworkBehaviour for Pings {
    type ConnectionHandler = Handler;
    type ToSwarm = PingEvent;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, _: PeerId, connection: ConnectionId, answer: THandlerOutEvent<Self>) {
        let event = PingEvent { connection, answer };
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Filled by the swarm's own calls, and by those of its owner, who polls it next.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The handler of one connection.
#[derive(Default)]
pub(crate) struct Handler {
    outgoing: Outgoing,
    /// Streams that the ping under way has taken.
    attempts: usize,
    /// Answers what the other side asks.
    answering: Option<BoxFuture<'static, io::Result<Stream>>>,
}

#[derive(Default)]
enum Outgoing {
    #[default]
    None,
    Wanted,
    Requested,
    Idle(Stream),
    Pinging(BoxFuture<'static, io::Result<(Stream, Duration)>>),
    /// To be told.
    Unsupported,
    /// Pings are not understood, which has been told.
    Mute,
}

impl Handler {
    /// What becomes of a ping whose stream broke.
    fn broken(&mut self) {
        self.outgoing = if self.attempts < ATTEMPTS_MAX {
            Outgoing::Wanted
        } else {
            Outgoing::None
        };
    }

    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, (), Answer>> {
        loop {
            match &mut self.outgoing {
                Outgoing::Wanted => {
                    self.outgoing = Outgoing::Requested;
                    self.attempts += 1;
                    let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
                    return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
                }
                Outgoing::Pinging(ping) => match ready!(ping.poll_unpin(cx)) {
                    Ok((stream, rtt)) => {
                        self.outgoing = Outgoing::Idle(stream);
                        return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Answer::Pong { rtt }));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a stream for pings broke");
                        self.broken();
                    }
                },
                Outgoing::Unsupported => {
                    self.outgoing = Outgoing::Mute;
                    return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Answer::Unsupported));
                }
                Outgoing::None | Outgoing::Requested | Outgoing::Idle(_) | Outgoing::Mute => return Poll::Pending,
            }
        }
    }

    fn poll_answering(&mut self, cx: &mut Context<'_>) {
        while let Some(Poll::Ready(answered)) = self.answering.as_mut().map(|answering| answering.poll_unpin(cx)) {
            self.answering = answered.ok().map(|stream| pong(stream).boxed());
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = SendPing;
    type ToBehaviour = Answer;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        self.poll_answering(cx);
        self.poll_outgoing(cx)
    }

    // The connection polls the handler after each of these, so nothing has to be woken.

    fn on_behaviour_event(&mut self, SendPing: SendPing) {
        self.outgoing = match std::mem::take(&mut self.outgoing) {
            Outgoing::None => {
                self.attempts = 0;
                Outgoing::Wanted
            }
            Outgoing::Idle(stream) => {
                // This stream counts as one.
                self.attempts = 1;
                Outgoing::Pinging(ping(stream).boxed())
            }
            under_way => under_way,
        };
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.outgoing = Outgoing::Pinging(ping(protocol).boxed());
            }
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                // The newest stream counts: one that opens another has given up the one before.
                self.answering = Some(pong(protocol).boxed());
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => match error {
                StreamUpgradeError::NegotiationFailed => self.outgoing = Outgoing::Unsupported,
                StreamUpgradeError::Timeout | StreamUpgradeError::Io(_) => self.broken(),
                StreamUpgradeError::Apply(never) => match never {},
            },
            _ => {}
        }
    }
}

async fn ping(mut stream: Stream) -> io::Result<(Stream, Duration)> {
    let mut sent = [0; PING_BYTES];
    getrandom::fill(&mut sent).map_err(io::Error::other)?;
    stream.write_all(&sent).await?;
    stream.flush().await?;
    let start = Instant::now();
    let mut received = [0; PING_BYTES];
    stream.read_exact(&mut received).await?;
    if received == sent {
        Ok((stream, start.elapsed()))
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

async fn pong(mut stream: Stream) -> io::Result<Stream> {
    let mut bytes = [0; PING_BYTES];
    stream.read_exact(&mut bytes).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(stream)
}
