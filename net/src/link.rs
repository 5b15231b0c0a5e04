//! One connection's part in `/gossipstore/sync/1`: the stream we opened for our frames and the stream the other side
//! opened for theirs, both of which begin with a [`handshake`](crate::handshake).
//!
//! A link lives as long as its connection: when either stream ends, however it ends, the link has failed for good.
//! Frames are then known to be missing, and only a new session over a new connection makes up for that.

use std::{
    fmt, io,
    task::{Context, Poll, ready},
};

use gossipstore_core::wire::FRAME_BYTES_MAX;
use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::ReadyUpgrade,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use crate::{
    framing::{ReadError, Reader, Writer},
    handshake::{Handshake, Step},
    window::{Overdrawn, Receiving, Sending},
};

/// The protocol's name.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/gossipstore/sync/1");

/// What a link is told.
#[derive(Debug)]
pub(crate) enum ToLink {
    /// Send a frame.
    Send(Vec<u8>),
    /// Begin to read what the other side sends. Until then it is left in the stream, whose window makes the other side
    /// wait.
    Read,
    /// Read no more until told to.
    Pause,
}

/// What a link tells.
#[derive(Debug)]
pub(crate) enum FromLink {
    /// Our stream stands, and the other side is a member: frames can be sent.
    Opened,
    /// One whole frame.
    Received(Vec<u8>),
    /// So many frames have left, and none is waiting.
    Written(usize),
    /// The link is of no more use.
    Failed(LinkError),
}

/// Why a link failed.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// The other side does not speak the protocol: it is no member of any store.
    NotSpoken,
    /// The other side has another secret, or none: it is no member of this store.
    NoMember,
    /// The other side's stream gives no further frame.
    Reading(ReadError),
    /// The other side opened a second stream.
    SecondStream,
    /// The other side acknowledged what was never sent.
    Overdrawn(Overdrawn),
    /// Our stream broke, or could not be opened.
    Io(io::Error),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSpoken => write!(f, "it does not speak {PROTOCOL}"),
            Self::NoMember => write!(f, "it did not prove to be a member of the store"),
            Self::Reading(error) => write!(f, "its {PROTOCOL} stream ended: {error}"),
            Self::SecondStream => write!(f, "it opened a second {PROTOCOL} stream on one connection"),
            Self::Overdrawn(error) => write!(f, "our {PROTOCOL} stream is of no use: {error}"),
            Self::Io(error) => write!(f, "our {PROTOCOL} stream broke: {error}"),
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        error.downcast().map_or_else(Self::Io, Self::Overdrawn)
    }
}

/// The handler of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    /// Until the other side has proven to be a member.
    handshake: Option<Handshake>,
    /// Frames of the handshake that have not left yet, which are before all others.
    own: usize,
    outgoing: Outgoing,
    incoming: Option<Reader<Receiving<Stream>>>,
    reading: bool,
    /// Told once, after which the handler is silent.
    failure: Option<LinkError>,
    failed: bool,
}

#[derive(Debug)]
enum Outgoing {
    /// We open none: the connection is to a relay, where there is nobody to sync with.
    Never,
    Wanted,
    Requested,
    /// How many frames wait is bounded by the replica, which hands out no more than a burst before it hears that all have left.
    Standing(Writer<Sending<Stream>>),
}

impl Handler {
    /// A handler that opens a stream at once, and begins it with this handshake.
    pub(crate) fn new(handshake: Handshake) -> Self {
        Self {
            handshake: Some(handshake),
            outgoing: Outgoing::Wanted,
            ..Self::idle()
        }
    }

    /// A handler that opens no stream.
    pub(crate) fn idle() -> Self {
        Self {
            handshake: None,
            own: 0,
            outgoing: Outgoing::Never,
            incoming: None,
            reading: false,
            failure: None,
            failed: false,
        }
    }

    fn fail(&mut self, error: LinkError) {
        if !self.failed {
            self.failed = true;
            self.failure = Some(error);
            self.incoming = None;
            self.outgoing = Outgoing::Never;
        }
    }

    fn poll_link(&mut self, cx: &mut Context<'_>) -> Poll<Result<FromLink, LinkError>> {
        if self.handshake.is_some() {
            return self.poll_handshake(cx);
        }
        if let Poll::Ready(written) = self.poll_written(cx) {
            return Poll::Ready(written.map(FromLink::Written));
        }
        if let (Some(reader), true) = (&mut self.incoming, self.reading) {
            return Poll::Ready(
                ready!(reader.poll(cx))
                    .map(FromLink::Received)
                    .map_err(LinkError::Reading),
            );
        }
        Poll::Pending
    }

    /// How many frames that we were told to send have left.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, LinkError>> {
        let Outgoing::Standing(writer) = &mut self.outgoing else {
            return Poll::Pending;
        };
        loop {
            let written = ready!(writer.poll(cx))?;
            let own = written.min(self.own);
            self.own -= own;
            if written > own {
                return Poll::Ready(Ok(written - own));
            }
        }
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<FromLink, LinkError>> {
        loop {
            if let Poll::Ready(written) = self.poll_written(cx) {
                written?;
            }
            // The other side's challenge waits in its stream until ours stands to answer it.
            let (Some(handshake), Outgoing::Standing(writer), Some(reader)) =
                (&mut self.handshake, &mut self.outgoing, &mut self.incoming)
            else {
                return Poll::Pending;
            };
            let frame = ready!(reader.poll(cx)).map_err(LinkError::Reading)?;
            match handshake.receive(&frame).map_err(|_| LinkError::NoMember)? {
                Step::Prove(proof) => {
                    writer.push(&proof);
                    self.own += 1;
                }
                Step::Proven => {
                    self.handshake = None;
                    return Poll::Ready(Ok(FromLink::Opened));
                }
            }
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = ToLink;
    type ToBehaviour = FromLink;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        !matches!(self.outgoing, Outgoing::Never)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(FromLink::Failed(error)));
        }
        if matches!(self.outgoing, Outgoing::Wanted) {
            self.outgoing = Outgoing::Requested;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        let event = ready!(self.poll_link(cx)).unwrap_or_else(|error| {
            self.fail(error);
            FromLink::Failed(self.failure.take().expect("`fail` has just set it"))
        });
        Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event))
    }

    // The connection polls the handler after each of these, so nothing has to be woken.

    fn on_behaviour_event(&mut self, event: ToLink) {
        match event {
            ToLink::Send(frame) => {
                // After a failure there is nobody to send to any more, and the behaviour is about to hear of it.
                if let Outgoing::Standing(writer) = &mut self.outgoing {
                    writer.push(&frame);
                }
            }
            ToLink::Read => self.reading = true,
            ToLink::Pause => self.reading = false,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                if let (Outgoing::Requested, Some(handshake)) = (&self.outgoing, &self.handshake) {
                    let mut writer = Writer::new(Sending::new(protocol));
                    writer.push(handshake.challenge());
                    self.own = 1;
                    self.outgoing = Outgoing::Standing(writer);
                }
            }
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                if self.incoming.is_some() {
                    self.fail(LinkError::SecondStream);
                } else if !self.failed {
                    self.incoming = Some(Reader::new(Receiving::new(protocol), FRAME_BYTES_MAX));
                }
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => self.fail(match error {
                StreamUpgradeError::NegotiationFailed => LinkError::NotSpoken,
                StreamUpgradeError::Timeout => LinkError::Io(io::ErrorKind::TimedOut.into()),
                StreamUpgradeError::Io(error) => LinkError::Io(error),
                StreamUpgradeError::Apply(never) => match never {},
            }),
            _ => {}
        }
    }
}
