//! One connection's part in `/gossipstore/sync/1`: the stream we opened for our frames, the stream the other side
//! opened for theirs, and the few bytes that tell one frame from the next.
//!
//! A frame on the stream is its length as a varint of at most three bytes, then that many bytes. A length above
//! [`FRAME_BYTES_MAX`] is refused before anything is allocated.
//!
//! A link lives as long as its connection: when either stream ends, however it ends, the link has failed for good.
//! Frames are then known to be missing, and only a new session over a new connection makes up for that.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};
use gossipstore_core::wire::FRAME_BYTES_MAX;
use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::ReadyUpgrade,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

/// The protocol's name.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/gossipstore/sync/1");

/// How many bytes the length of a frame takes at most: [`FRAME_BYTES_MAX`] has 17 bits, and each byte carries 7.
const LENGTH_BYTES_MAX: usize = 3;

/// What a link is told.
#[derive(Debug)]
pub(crate) enum ToLink {
    /// Send a frame.
    Send(Vec<u8>),
    /// Begin to read what the other side sends. Until then it is left in the stream, whose window makes the other side
    /// wait.
    Read,
}

/// What a link tells.
#[derive(Debug)]
pub(crate) enum FromLink {
    /// Our stream stands: frames can be sent.
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
    /// The other side announced a frame longer than any may be.
    FrameTooLong(u32),
    /// The other side opened a second stream.
    SecondStream,
    /// The other side closed its stream.
    Closed,
    /// A stream broke, or could not be opened.
    Io(io::Error),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSpoken => write!(f, "it does not speak {PROTOCOL}"),
            Self::FrameTooLong(bytes) => {
                write!(
                    f,
                    "it announced a frame of {bytes} bytes; at most {FRAME_BYTES_MAX} are allowed"
                )
            }
            Self::SecondStream => write!(f, "it opened a second {PROTOCOL} stream on one connection"),
            Self::Closed => write!(f, "it closed its {PROTOCOL} stream"),
            Self::Io(error) => write!(f, "its {PROTOCOL} stream broke: {error}"),
        }
    }
}

/// The handler of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    outgoing: Outgoing,
    incoming: Option<Reader<Stream>>,
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
    Standing {
        writer: Writer<Stream>,
        told: bool,
    },
}

impl Handler {
    /// A handler that opens a stream at once if `opens`.
    pub(crate) fn new(opens: bool) -> Self {
        Self {
            outgoing: if opens { Outgoing::Wanted } else { Outgoing::Never },
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
        if let Outgoing::Standing { writer, told } = &mut self.outgoing {
            if !std::mem::replace(told, true) {
                return Poll::Ready(Ok(FromLink::Opened));
            }
            if let Poll::Ready(written) = writer.poll(cx) {
                return Poll::Ready(written.map(FromLink::Written).map_err(LinkError::Io));
            }
        }
        if let (Some(reader), true) = (&mut self.incoming, self.reading) {
            return Poll::Ready(ready!(reader.poll(cx)).map(FromLink::Received));
        }
        Poll::Pending
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
                if let Outgoing::Standing { writer, .. } = &mut self.outgoing {
                    writer.push(&frame);
                }
            }
            ToLink::Read => self.reading = true,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                if matches!(self.outgoing, Outgoing::Requested) {
                    self.outgoing = Outgoing::Standing {
                        writer: Writer::new(protocol),
                        told: false,
                    };
                }
            }
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                if self.incoming.is_some() {
                    self.fail(LinkError::SecondStream);
                } else if !self.failed {
                    self.incoming = Some(Reader::new(protocol));
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

/// Writes frames in order. How many wait is bounded by the replica, which hands out no more than a burst before it
/// hears that all have left.
#[derive(Debug)]
struct Writer<S> {
    stream: S,
    /// Frames with their lengths before them.
    queue: VecDeque<Vec<u8>>,
    /// How much of the first is written.
    written: usize,
    /// Frames taken by the stream and not reported yet.
    left: usize,
}

impl<S: AsyncWrite + Unpin> Writer<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            written: 0,
            left: 0,
        }
    }

    fn push(&mut self, frame: &[u8]) {
        // One buffer for both, because each write becomes an encrypted packet of its own: the copy costs less than
        // that.
        let length = u32::try_from(frame.len()).expect("the replica's frames are bounded by FRAME_BYTES_MAX");
        let mut bytes = Vec::with_capacity(LENGTH_BYTES_MAX + frame.len());
        let mut rest = length;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.extend_from_slice(frame);
        self.queue.push_back(bytes);
    }

    /// Ready with a number of frames when so many have left and none is waiting.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(first) = self.queue.front() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &first[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            if self.written == first.len() {
                self.queue.pop_front();
                self.written = 0;
                self.left += 1;
            }
        }
        if self.left == 0 {
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.left)))
    }
}

/// Reads frames.
#[derive(Debug)]
struct Reader<S> {
    stream: S,
    /// As far as it has been read, and in how many bytes.
    length: u32,
    length_bytes: usize,
    frame: Option<Vec<u8>>,
    /// How much of the frame has been read.
    filled: usize,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            length: 0,
            length_bytes: 0,
            frame: None,
            filled: 0,
        }
    }

    /// Ready with the next frame.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, LinkError>> {
        loop {
            let mut byte = [0];
            let buffer = match &mut self.frame {
                Some(frame) if self.filled < frame.len() => &mut frame[self.filled..],
                Some(frame) => {
                    let frame = std::mem::take(frame);
                    (self.frame, self.filled) = (None, 0);
                    return Poll::Ready(Ok(frame));
                }
                None => &mut byte[..],
            };
            match ready!(Pin::new(&mut self.stream).poll_read(cx, buffer)) {
                Ok(0) => return Poll::Ready(Err(LinkError::Closed)),
                Ok(count) if self.frame.is_some() => self.filled += count,
                Ok(_) => self.length_byte(byte[0])?,
                Err(error) => return Poll::Ready(Err(LinkError::Io(error))),
            }
        }
    }

    fn length_byte(&mut self, byte: u8) -> Result<(), LinkError> {
        self.length |= u32::from(byte & 0x7f) << (7 * self.length_bytes);
        self.length_bytes += 1;
        let more = byte & 0x80 != 0;
        if self.length as usize > FRAME_BYTES_MAX || more && self.length_bytes == LENGTH_BYTES_MAX {
            return Err(LinkError::FrameTooLong(self.length));
        }
        if !more {
            self.frame = Some(vec![0; self.length as usize]);
            (self.length, self.length_bytes) = (0, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, executor::block_on, future::poll_fn, io::Cursor};

    use super::*;

    fn read_all(bytes: Vec<u8>) -> (Vec<Vec<u8>>, LinkError) {
        // One byte at a time, so that every place where a read may stop is met.
        let mut reader = Reader::new(Trickle(Cursor::new(bytes)));
        let mut frames = Vec::new();
        loop {
            match block_on(poll_fn(|cx| reader.poll(cx))) {
                Ok(frame) => frames.push(frame),
                Err(error) => return (frames, error),
            }
        }
    }

    struct Trickle(Cursor<Vec<u8>>);

    impl AsyncRead for Trickle {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            let some = buffer.len().min(1);
            Pin::new(&mut self.0).poll_read(cx, &mut buffer[..some])
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let frames = [vec![], vec![1], vec![2; 300], vec![3; FRAME_BYTES_MAX]];
        let mut writer = Writer::new(Cursor::new(Vec::new()));
        frames.iter().for_each(|frame| writer.push(frame));
        assert_eq!(
            poll_fn(|cx| writer.poll(cx)).now_or_never().unwrap().unwrap(),
            frames.len()
        );
        assert!(
            poll_fn(|cx| writer.poll(cx)).now_or_never().is_none(),
            "nothing to report twice"
        );

        let (read, end) = read_all(writer.stream.into_inner());
        assert_eq!(read, frames);
        assert!(matches!(end, LinkError::Closed));
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_length_alone() {
        let one_more = FRAME_BYTES_MAX as u32 + 1;
        let varint = [
            one_more as u8 | 0x80,
            (one_more >> 7) as u8 | 0x80,
            (one_more >> 14) as u8,
        ];
        for length in [&varint[..], &[0x80, 0x80, 0x80]] {
            let (read, end) = read_all([&[1, 42], length].concat());
            assert_eq!(read, [[42]]);
            assert!(matches!(end, LinkError::FrameTooLong(_)), "{end}");
        }
    }

    #[test]
    fn a_stream_cut_within_a_frame_gives_no_part_of_it() {
        for cut in 1..6 {
            let (read, end) = read_all([0x84, 0x00, 1, 2, 3, 4][..cut].to_vec());
            assert!(read.is_empty() && matches!(end, LinkError::Closed), "cut at {cut}");
        }
    }
}
