//! The protocol `/webrtc-signaling/0.0.1`: what two browsers tell each other on a circuit until they are connected.
//!
//! The one who dials sends an offer, the other an answer; both send candidates for a path as their browsers find them.
//! Messages are protobuf with their length in front (libp2p specification `webrtc/webrtc.md`, section "Signaling
//! Protocol").

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use asynchronous_codec::Framed;
use futures::{AsyncRead, AsyncWrite, SinkExt as _, StreamExt as _};
use libp2p_swarm::StreamProtocol;

use crate::error::Error;

/// The name of the protocol, version included.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/webrtc-signaling/0.0.1");

/// How long a message may be. A description of a connection for data takes under 1 KiB, and some 100 bytes for each
/// candidate if the other side waits for all of them before it speaks.
const MESSAGE_BYTES_MAX: usize = 32 * 1024;

/// How many candidates each side may name. A machine with several interfaces, both families and a few servers finds
/// some ten; each costs the browser a hundred packets.
pub(crate) const CANDIDATES_MAX: usize = 128;

/// What is said.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(enumeration = "Kind", optional, tag = "1")]
    pub(crate) kind: Option<i32>,
    #[prost(string, optional, tag = "2")]
    pub(crate) data: Option<String>,
}

/// What [`Message::data`] holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Kind {
    /// The `sdp` of an `RTCSessionDescription`.
    SdpOffer = 0,
    /// The same.
    SdpAnswer = 1,
    /// The JSON of an `RTCIceCandidateInit`, or `null` or `""` after the last.
    IceCandidate = 2,
}

impl Message {
    pub(crate) fn new(kind: Kind, data: String) -> Self {
        Self {
            kind: Some(kind as i32),
            data: Some(data),
        }
    }

    /// The data, if the message is of this kind.
    pub(crate) fn expect(self, kind: Kind, otherwise: &'static str) -> Result<String, Error> {
        if self.kind != Some(kind as i32) {
            return Err(Error::Protocol(otherwise));
        }
        Ok(self.data.unwrap_or_default())
    }
}

/// A signalling stream.
pub(crate) struct Signals<S> {
    stream: Framed<S, prost_codec::Codec<Message>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Signals<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: Framed::new(stream, prost_codec::Codec::new(MESSAGE_BYTES_MAX)),
        }
    }

    pub(crate) async fn send(&mut self, kind: Kind, data: String) -> Result<(), Error> {
        self.stream.send(Message::new(kind, data)).await.map_err(broken)
    }

    /// The next message; none when the other side has said all it has to say.
    pub(crate) async fn receive(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let message = ready!(self.stream.poll_next_unpin(cx));
        Poll::Ready(message.transpose().map_err(broken))
    }

    /// Says that nothing more comes.
    pub(crate) async fn close(&mut self) -> Result<(), Error> {
        self.stream.close().await.map_err(broken)
    }
}

fn broken(error: prost_codec::Error) -> Error {
    Error::Signaling(io::Error::from(error))
}

#[cfg(test)]
mod tests {
    use futures::{AsyncWriteExt as _, executor::block_on, io::Cursor};
    use proptest::prelude::*;

    use super::*;

    fn received(bytes: &[u8]) -> Result<Option<Message>, Error> {
        block_on(Signals::new(Cursor::new(bytes.to_vec())).receive())
    }

    #[test]
    fn messages_are_as_the_specification_has_them() {
        for (kind, data, expected) in [
            (Kind::SdpOffer, "v=0", &b"\x07\x08\x00\x12\x03v=0"[..]),
            (Kind::SdpAnswer, "", b"\x04\x08\x01\x12\x00"),
            (Kind::IceCandidate, "null", b"\x08\x08\x02\x12\x04null"),
        ] {
            let mut stream = Cursor::new(Vec::new());
            block_on(Signals::new(&mut stream).send(kind, data.into())).unwrap();
            assert_eq!(stream.into_inner(), expected);
            let message = received(expected).unwrap().expect("a message");
            assert_eq!(message.expect(kind, "").unwrap(), data);
        }
    }

    #[test]
    fn another_kind_than_the_one_due_is_refused() {
        for bytes in [&b"\x02\x08\x01"[..], b"\x00", b"\x05\x12\x03v=0", b"\x02\x08\x63"] {
            let message = received(bytes).unwrap().expect("a message");
            assert!(matches!(
                message.expect(Kind::SdpOffer, "an offer is due"),
                Err(Error::Protocol(_))
            ));
        }
    }

    #[test]
    fn malformed_bytes_are_an_error() {
        for bytes in [
            // 32 KiB and one byte are announced.
            &[0x81, 0x80, 0x02][..],
            // The length has no end.
            &[0xff; 12],
            // The text is no UTF-8.
            &[0x03, 0x12, 0x01, 0xff],
            // The text is longer than the message.
            &[0x02, 0x12, 0x05],
            // The stream ends within a message.
            &[0x05, 0x08],
        ] {
            assert!(matches!(received(bytes), Err(Error::Signaling(_))), "{bytes:x?}");
        }
        assert_eq!(received(&[]).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut signals = Signals::new(Cursor::new(bytes));
            while let Ok(Some(_)) = block_on(signals.receive()) {}
        }
    }

    #[test]
    fn closing_tells_the_other_side() {
        let mut stream = Cursor::new(Vec::new());
        block_on(Signals::new(&mut stream).close()).unwrap();
        block_on(stream.close()).unwrap();
    }
}
