//! The messages of `/rendezvous/1.0.0`: protobuf with its length in front, one request and at most one answer on each
//! stream (libp2p specification `rendezvous/README.md`, section "Protobuf").

use std::io;

use asynchronous_codec::FramedRead;
use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::{StreamProtocol, request_response};
use prost::Message as _;

use super::registry::{Discovered, Found};
use crate::limits::RECORD_BYTES_MAX;

/// The name of the protocol, version included.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/rendezvous/1.0.0");

/// How long a request may be. Twice the longest record, so that one that is somewhat too long is refused with a word.
const REQUEST_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// What a member asks.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Request {
    /// To be found by others.
    Register(Register),
    /// Not to be found any more. Nothing is answered.
    Unregister(Unregister),
    /// Who is to be found.
    Discover(Discover),
}

/// What it is answered.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Response {
    /// For how many seconds it is registered.
    Register(Result<u64, Refusal>),
    /// Whom it can find.
    Discover(Result<Discovered, Refusal>),
}

impl Response {
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Register(Err(_)) | Self::Discover(Err(_)))
    }
}

/// Why a request is refused, by the specification's numbers. Of those it has one more, for our own errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The namespace is missing, empty or too long.
    InvalidNamespace = 100,
    /// The record is missing, too long or not signed by the one that it is about.
    InvalidRecord = 101,
    /// The time is too short or too long.
    InvalidTtl = 102,
    /// The cookie was not given by this run of the relay for this namespace.
    InvalidCookie = 103,
    /// The record is another's.
    NotAuthorized = 200,
    /// There is no room, or the member asks too often.
    Unavailable = 400,
}

/// The number that stands for no refusal.
const OK: i32 = 0;

/// The fields of the message that a server reads; those of answers are skipped like any that it does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct Asked {
    #[prost(enumeration = "Kind", optional, tag = "1")]
    kind: Option<i32>,
    #[prost(message, optional, tag = "2")]
    register: Option<Register>,
    #[prost(message, optional, tag = "4")]
    unregister: Option<Unregister>,
    #[prost(message, optional, tag = "5")]
    discover: Option<Discover>,
}

/// The fields that it writes.
#[derive(Clone, PartialEq, prost::Message)]
struct Answered {
    #[prost(enumeration = "Kind", optional, tag = "1")]
    kind: Option<i32>,
    #[prost(message, optional, tag = "3")]
    register: Option<RegisterAnswer>,
    #[prost(message, optional, tag = "6")]
    discover: Option<DiscoverAnswer>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Register = 0,
    RegisterAnswer = 1,
    Unregister = 2,
    Discover = 3,
    DiscoverAnswer = 4,
}

/// A registration, as it is asked for and as others are told of it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Register {
    #[prost(string, optional, tag = "1")]
    pub(crate) namespace: Option<String>,
    /// A peer record in a signed envelope (libp2p RFCs 0002 and 0003).
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) record: Option<Bytes>,
    /// For how long, or how much of that is left.
    #[prost(uint64, optional, tag = "3")]
    pub(crate) seconds: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RegisterAnswer {
    #[prost(int32, optional, tag = "1")]
    status: Option<i32>,
    #[prost(uint64, optional, tag = "3")]
    seconds: Option<u64>,
}

/// What ends a registration.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Unregister {
    #[prost(string, optional, tag = "1")]
    pub(crate) namespace: Option<String>,
}

/// A question for who is registered.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Discover {
    /// All, if it is missing.
    #[prost(string, optional, tag = "1")]
    pub(crate) namespace: Option<String>,
    /// How many may be named.
    #[prost(uint64, optional, tag = "2")]
    pub(crate) limit: Option<u64>,
    /// From an earlier answer: what that named is known.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) cookie: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DiscoverAnswer {
    #[prost(message, repeated, tag = "1")]
    registrations: Vec<Register>,
    #[prost(bytes = "vec", optional, tag = "2")]
    cookie: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "3")]
    status: Option<i32>,
}

impl TryFrom<Asked> for Request {
    type Error = io::Error;

    fn try_from(asked: Asked) -> io::Result<Self> {
        let request = match asked.kind.and_then(|kind| Kind::try_from(kind).ok()) {
            Some(Kind::Register) => asked.register.map(Self::Register),
            Some(Kind::Unregister) => asked.unregister.map(Self::Unregister),
            Some(Kind::Discover) => asked.discover.map(Self::Discover),
            Some(Kind::RegisterAnswer | Kind::DiscoverAnswer) | None => None,
        };
        request.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no request"))
    }
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        let mut answered = Self::default();
        match response {
            Response::Register(outcome) => {
                answered.set_kind(Kind::RegisterAnswer);
                answered.register = Some(RegisterAnswer {
                    status: Some(outcome.map_or_else(|refusal| refusal as i32, |_| OK)),
                    seconds: outcome.ok(),
                });
            }
            Response::Discover(outcome) => {
                answered.set_kind(Kind::DiscoverAnswer);
                answered.discover = Some(match outcome {
                    Ok(Discovered { registrations, cookie }) => DiscoverAnswer {
                        registrations: registrations.into_iter().map(Register::from).collect(),
                        cookie: Some(cookie.into_bytes()),
                        status: Some(OK),
                    },
                    Err(refusal) => DiscoverAnswer {
                        registrations: Vec::new(),
                        cookie: None,
                        status: Some(refusal as i32),
                    },
                });
            }
        }
        answered
    }
}

impl From<Found> for Register {
    fn from(found: Found) -> Self {
        Self {
            namespace: Some(found.namespace.to_string()),
            record: Some(found.record),
            seconds: Some(found.seconds),
        }
    }
}

/// Reads requests and writes answers.
#[derive(Clone, Default, Debug)]
pub(crate) struct Codec;

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut messages = FramedRead::new(io, prost_codec::Codec::<Asked>::new(REQUEST_BYTES_MAX));
        let asked = messages.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
        asked.try_into()
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let answered = Answered::from(response).encode_length_delimited_to_vec();
        io.write_all(&answered).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(never())
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, _: &mut T, _: Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Err(never())
    }
}

fn never() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a relay asks nobody")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use futures::{executor::block_on, io::Cursor};
    use libp2p::PeerId;
    use proptest::{collection::vec, prelude::*};
    use request_response::Codec as _;

    use super::{
        super::{
            Rendezvous,
            registry::{Namespace, Registry},
        },
        *,
    };
    use crate::limits::DISCOVERED_BYTES_MAX;

    fn read(bytes: &[u8]) -> io::Result<Request> {
        block_on(Codec.read_request(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    fn written(response: Response) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        block_on(Codec.write_response(&PROTOCOL, &mut bytes, response)).unwrap();
        bytes.into_inner()
    }

    /// Bytes by the specification, and what they ask.
    fn requests() -> [(&'static [u8], Request); 6] {
        let namespace = || Some("ab".to_owned());
        [
            (
                b"\x0e\x08\x00\x12\x0a\x0a\x02ab\x12\x01\x07\x18\xac\x02",
                Request::Register(Register {
                    namespace: namespace(),
                    record: Some(Bytes::from_static(b"\x07")),
                    seconds: Some(300),
                }),
            ),
            (b"\x04\x08\x00\x12\x00", Request::Register(Register::default())),
            (
                b"\x08\x08\x02\x22\x04\x0a\x02ab",
                Request::Unregister(Unregister { namespace: namespace() }),
            ),
            (
                b"\x0d\x08\x03\x2a\x09\x0a\x02ab\x10\x09\x1a\x01c",
                Request::Discover(Discover {
                    namespace: namespace(),
                    limit: Some(9),
                    cookie: Some(b"c".into()),
                }),
            ),
            (b"\x04\x08\x03\x2a\x00", Request::Discover(Discover::default())),
            // With a field of an answer and one of a later version, and followed by another message.
            (
                b"\x08\x08\x03\x2a\x00\x32\x00\x38\x01\x04",
                Request::Discover(Discover::default()),
            ),
        ]
    }

    #[test]
    fn requests_are_read_as_the_specification_has_them() {
        for (bytes, request) in requests() {
            assert_eq!(read(bytes).unwrap(), request, "{bytes:02x?}");
        }
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        let cases: [(&str, &[u8], io::ErrorKind); 8] = [
            ("nothing", b"", io::ErrorKind::UnexpectedEof),
            ("an empty message", b"\x00", io::ErrorKind::InvalidData),
            ("no kind", b"\x02\x2a\x00", io::ErrorKind::InvalidData),
            ("an unknown kind", b"\x04\x08\x09\x2a\x00", io::ErrorKind::InvalidData),
            (
                "a kind without its part",
                b"\x04\x08\x03\x12\x00",
                io::ErrorKind::InvalidData,
            ),
            ("an answer", b"\x04\x08\x04\x32\x00", io::ErrorKind::InvalidData),
            (
                "a namespace that is no text",
                b"\x07\x08\x02\x22\x03\x0a\x01\xff",
                io::ErrorKind::InvalidData,
            ),
            // By its length alone: nothing of it has come.
            ("too long a message", b"\x81\x40", io::ErrorKind::InvalidData),
        ];
        for (case, bytes, expected) in cases {
            assert_eq!(read(bytes).unwrap_err().kind(), expected, "{case}");
        }
    }

    #[test]
    fn answers_are_written_as_the_specification_has_them() {
        let found = Found {
            namespace: Namespace::new("ab".into()).unwrap(),
            record: Bytes::from_static(b"\x07"),
            seconds: 300,
        };
        let discovered = |registrations| Discovered {
            registrations,
            cookie: "c".into(),
        };
        let cases: [(Response, &[u8]); 5] = [
            (Response::Register(Ok(300)), b"\x09\x08\x01\x1a\x05\x08\x00\x18\xac\x02"),
            (
                Response::Register(Err(Refusal::InvalidNamespace)),
                b"\x06\x08\x01\x1a\x02\x08\x64",
            ),
            (
                Response::Discover(Ok(discovered(vec![found]))),
                b"\x15\x08\x04\x32\x11\x0a\x0a\x0a\x02ab\x12\x01\x07\x18\xac\x02\x12\x01c\x18\x00",
            ),
            (
                Response::Discover(Ok(discovered(Vec::new()))),
                b"\x09\x08\x04\x32\x05\x12\x01c\x18\x00",
            ),
            (
                Response::Discover(Err(Refusal::Unavailable)),
                b"\x07\x08\x04\x32\x03\x18\x90\x03",
            ),
        ];
        for (response, expected) in cases {
            assert_eq!(written(response), expected);
        }
    }

    #[test]
    fn the_largest_answers_are_as_large_as_they_may_be_and_hardly_smaller() {
        let now = Instant::now();
        let namespace = Namespace::new("n".repeat(255)).unwrap();
        for record_bytes in [300, RECORD_BYTES_MAX] {
            let mut registry = Registry::new(1_000);
            for _ in 0..1_000 {
                let record = Bytes::from(vec![0; record_bytes]);
                let ends = now + Duration::from_secs(600);
                registry
                    .register(PeerId::random(), namespace.clone(), record, ends, now)
                    .unwrap();
            }
            let discovered = registry
                .discover(&PeerId::random(), &namespace, None, usize::MAX, now)
                .unwrap();
            let rest = written(Response::Discover(Ok(Discovered {
                registrations: Vec::new(),
                ..discovered.clone()
            })));
            let bytes = written(Response::Discover(Ok(discovered))).len() - rest.len();
            // The lengths of the whole have grown, too, by two bytes each.
            assert!(bytes <= DISCOVERED_BYTES_MAX + 4);
            assert!(bytes >= DISCOVERED_BYTES_MAX - 2 * RECORD_BYTES_MAX);
        }
    }

    /// Whatever comes is read and answered without panic.
    fn is_harmless(bytes: &[u8]) {
        if let Ok(request) = read(bytes) {
            let mut rendezvous = Rendezvous::new(1);
            let (member, now) = (PeerId::random(), Instant::now());
            rendezvous.connected(member, now);
            rendezvous.answer(member, request, now).map(written);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        #[test]
        fn any_bytes_are_harmless(mut bytes in vec(any::<u8>(), 0..200), kind in 0_u8..5) {
            is_harmless(&bytes);
            // So that more of it is read.
            let length = bytes.len() as u8;
            bytes.splice(0..0, [length + 2, 0x08, kind]);
            is_harmless(&bytes);
        }

        #[test]
        fn altered_requests_are_harmless(nth in 0..requests().len(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = requests()[nth].0.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            is_harmless(&bytes);
            is_harmless(&bytes[..at]);
        }
    }
}
