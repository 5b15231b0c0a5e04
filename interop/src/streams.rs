//! Streams of two protocols on the direct connections: opened when asked, and handed on as they come, however many at once.

use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll},
};

use futures::{
    channel::{mpsc, oneshot},
    future::Either,
};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{ReadyUpgrade, SelectUpgrade},
    },
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use crate::direct::DirectOnly;

/// Whoever is asked reads to the end, sends the same back and closes.
pub(crate) const ECHO: StreamProtocol = StreamProtocol::new("/interop/echo/1");

/// The test says what happens.
pub(crate) const BY_HAND: StreamProtocol = StreamProtocol::new("/interop/by-hand/1");

/// A stream of the other side.
pub(crate) struct Incoming {
    pub(crate) by_hand: bool,
    pub(crate) stream: Stream,
}

/// A stream is wanted.
#[derive(Debug)]
pub(crate) struct Open {
    protocol: StreamProtocol,
    answer: oneshot::Sender<io::Result<Stream>>,
}

/// The behaviour.
pub(crate) struct Streams {
    direct: Vec<(PeerId, ConnectionId)>,
    incoming: mpsc::UnboundedSender<Incoming>,
    requests: VecDeque<(PeerId, ConnectionId, Open)>,
}

impl Streams {
    /// Beside it what receives the other sides' streams.
    pub(crate) fn new() -> (DirectOnly<Self>, mpsc::UnboundedReceiver<Incoming>) {
        let (incoming, received) = mpsc::unbounded();
        let behaviour = Self {
            direct: Vec::new(),
            incoming,
            requests: VecDeque::new(),
        };
        (DirectOnly(behaviour), received)
    }

    /// Opens a stream on the direct connection to `peer`. Without one, the receiver is cancelled at once.
    pub(crate) fn open(&mut self, peer: PeerId, protocol: StreamProtocol) -> oneshot::Receiver<io::Result<Stream>> {
        let (answer, answered) = oneshot::channel();
        if let Some((_, connection)) = self.direct.iter().find(|(of, _)| *of == peer) {
            self.requests.push_back((peer, *connection, Open { protocol, answer }));
        }
        answered
    }

    fn handler(&self) -> Handler {
        Handler {
            incoming: self.incoming.clone(),
            wanted: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                self.direct.push((established.peer_id, established.connection_id));
            }
            FromSwarm::ConnectionClosed(closed) => self.direct.retain(|(_, id)| *id != closed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // The node polls the swarm after each command, so nobody has to be woken.
        match self.requests.pop_front() {
            Some((peer_id, connection, event)) => Poll::Ready(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::One(connection),
                event,
            }),
            None => Poll::Pending,
        }
    }
}

/// The handler of a direct connection.
pub(crate) struct Handler {
    incoming: mpsc::UnboundedSender<Incoming>,
    wanted: VecDeque<Open>,
}

type Inbound = SelectUpgrade<ReadyUpgrade<StreamProtocol>, ReadyUpgrade<StreamProtocol>>;

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = std::convert::Infallible;
    type InboundProtocol = Inbound;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<io::Result<Stream>>;

    fn listen_protocol(&self) -> SubstreamProtocol<Inbound> {
        SubstreamProtocol::new(
            SelectUpgrade::new(ReadyUpgrade::new(ECHO), ReadyUpgrade::new(BY_HAND)),
            (),
        )
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.wanted.push_back(open);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Inbound, Self::OutboundProtocol, (), Self::OutboundOpenInfo>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                let (by_hand, stream) = match protocol {
                    Either::Left(stream) => (false, stream),
                    Either::Right(stream) => (true, stream),
                };
                // The node that receives it is gone only with its page.
                let _ = self.incoming.unbounded_send(Incoming { by_hand, stream });
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                let _ = info.send(Ok(protocol));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let _ = info.send(Err(io::Error::other(error)));
            }
            _ => {}
        }
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        match self.wanted.pop_front() {
            Some(Open { protocol, answer }) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(ReadyUpgrade::new(protocol), answer),
            }),
            None => Poll::Pending,
        }
    }
}
