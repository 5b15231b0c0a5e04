//! The rendezvous point: members of a namespace register, ask who else has, and so find each other.
//!
//! It speaks libp2p's `/rendezvous/1.0.0` (libp2p specification `rendezvous/README.md`). Not with the server of
//! libp2p-rendezvous 0.18, where a registration outlives its member: who asks there is sent to the dead for minutes. Here
//! it ends with the member's last connection, as nobody could reach it through this relay any more; a member that comes
//! back registers anew.
//!
//! [`Rendezvous`] is the whole server as a value: requests in, answers out, the time handed in. `wire` is the messages,
//! `registry` who is registered where, `cookie` how an asker hears only what is new, `allowance` how often it may ask.

mod allowance;
mod cookie;
mod registry;
mod wire;

use std::{
    collections::HashMap,
    iter,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use libp2p::{
    PeerId,
    core::{PeerRecord, SignedEnvelope},
    request_response::{self, Config, ProtocolSupport},
};

use self::{
    allowance::Allowance,
    registry::{Discovered, Namespace, Registry},
    wire::{Codec, Discover, Refusal, Register, Request, Response},
};
use crate::limits::{RECORD_BYTES_MAX, REGISTRATION_SECONDS_MAX, REGISTRATION_SECONDS_MIN, REQUESTS_AT_ONCE};

/// How long a request may take to come, and its answer to be read.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// For how many seconds a member may register.
const SECONDS: RangeInclusive<u64> = REGISTRATION_SECONDS_MIN..=REGISTRATION_SECONDS_MAX;

/// Brings the requests and takes the answers away.
pub(crate) type Behaviour = request_response::Behaviour<Codec>;

/// The behaviour, as a relay needs it.
pub(crate) fn behaviour() -> Behaviour {
    let config = Config::default()
        .with_request_timeout(REQUEST_PATIENCE)
        .with_max_concurrent_streams(REQUESTS_AT_ONCE);
    Behaviour::new(iter::once((wire::PROTOCOL, ProtocolSupport::Inbound)), config)
}

/// The server.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    /// Who is connected; nobody else is registered.
    members: HashMap<PeerId, Allowance>,
    registry: Registry,
}

impl Rendezvous {
    /// Nobody is there. It holds this many registrations at most.
    pub(crate) fn new(registrations_max: usize) -> Self {
        Self {
            members: HashMap::new(),
            registry: Registry::new(registrations_max),
        }
    }

    /// A member has connected, maybe once more.
    pub(crate) fn connected(&mut self, member: PeerId, now: Instant) {
        self.members.entry(member).or_insert_with(|| Allowance::new(now));
    }

    /// A member's last connection is closed.
    pub(crate) fn disconnected(&mut self, member: &PeerId) {
        self.members.remove(member);
        self.registry.leave(member);
    }

    /// What is to be answered, if anything is.
    pub(crate) fn answer(&mut self, member: PeerId, request: Request, now: Instant) -> Option<Response> {
        let response = match request {
            Request::Register(request) => Response::Register(self.register(member, request, now)),
            Request::Discover(request) => Response::Discover(self.discover(&member, request, now)),
            Request::Unregister(request) => {
                // Never too often: refused, it would leave behind what is no longer so.
                if let Ok(namespace) = namespace(request.namespace) {
                    self.registry.unregister(&member, &namespace);
                }
                return None;
            }
        };
        if let Response::Register(Err(refusal)) | Response::Discover(Err(refusal)) = response {
            tracing::debug!(%member, ?refusal, "a request is refused");
        }
        Some(response)
    }

    /// Gives the seconds for which the member is registered.
    fn register(&mut self, member: PeerId, request: Register, now: Instant) -> Result<u64, Refusal> {
        self.spend(&member, now)?;
        let namespace = namespace(request.namespace)?;
        let seconds = request.seconds.unwrap_or(*SECONDS.end());
        if !SECONDS.contains(&seconds) {
            return Err(Refusal::InvalidTtl);
        }
        let record = request.record.ok_or(Refusal::InvalidRecord)?;
        if signer(&record)? != member {
            return Err(Refusal::NotAuthorized);
        }
        let ends = now + Duration::from_secs(seconds);
        self.registry
            .register(member, namespace.clone(), record, ends, now)
            .map_err(|registry::Full| Refusal::Unavailable)?;
        tracing::debug!(%member, ?namespace, seconds, "registered");
        Ok(seconds)
    }

    fn discover(&mut self, member: &PeerId, request: Discover, now: Instant) -> Result<Discovered, Refusal> {
        self.spend(member, now)?;
        // Not of all: who does not know a store's name must not learn that there is one.
        let namespace = namespace(request.namespace)?;
        let limit = request
            .limit
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let cookie = request.cookie.as_deref();
        let discovered = self
            .registry
            .discover(member, &namespace, cookie, limit, now)
            .map_err(|cookie::Invalid| Refusal::InvalidCookie)?;
        tracing::debug!(%member, ?namespace, count = discovered.registrations.len(), "discovered");
        Ok(discovered)
    }

    /// Takes one request off what the member has left. One that has just gone has nothing left: its request may still have
    /// been under way, and what it registered would stay.
    fn spend(&mut self, member: &PeerId, now: Instant) -> Result<(), Refusal> {
        let allowance = self.members.get_mut(member);
        let takes = allowance.is_some_and(|allowance| allowance.take(now));
        takes.then_some(()).ok_or(Refusal::Unavailable)
    }
}

fn namespace(text: Option<String>) -> Result<Namespace, Refusal> {
    text.and_then(Namespace::new).ok_or(Refusal::InvalidNamespace)
}

/// Whose record it is, if it is signed by the one that it is about.
fn signer(record: &[u8]) -> Result<PeerId, Refusal> {
    if record.len() > RECORD_BYTES_MAX {
        return Err(Refusal::InvalidRecord);
    }
    // By the very code with which members read it: an answer with one record that they cannot read is lost on them.
    SignedEnvelope::from_protobuf_encoding(record)
        .ok()
        .and_then(|envelope| PeerRecord::from_signed_envelope(envelope).ok())
        .map(|record| record.peer_id())
        .ok_or(Refusal::InvalidRecord)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use libp2p::identity::Keypair;

    use super::{wire::Unregister, *};
    use crate::limits::{REGISTRATIONS_PER_PEER, REQUESTS_PER_MINUTE};

    /// A server, and one member that is connected.
    struct Bench {
        rendezvous: Rendezvous,
        keypair: Keypair,
        member: PeerId,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let keypair = Keypair::generate_ed25519();
            let (member, now) = (keypair.public().to_peer_id(), Instant::now());
            let mut rendezvous = Rendezvous::new(100);
            rendezvous.connected(member, now);
            Self {
                rendezvous,
                keypair,
                member,
                now,
            }
        }

        /// What is usual and taken.
        fn registration(&self) -> Register {
            Register {
                namespace: Some("store".into()),
                record: Some(record(&self.keypair, 1)),
                seconds: Some(300),
            }
        }

        fn register(&mut self, request: Register) -> Result<u64, Refusal> {
            match self
                .rendezvous
                .answer(self.member, Request::Register(request), self.now)
            {
                Some(Response::Register(outcome)) => outcome,
                other => panic!("no answer to a registration: {other:?}"),
            }
        }

        /// How many another finds, or why none.
        fn discover(&mut self, request: Discover) -> Result<usize, Refusal> {
            let other = PeerId::random();
            self.rendezvous.connected(other, self.now);
            match self.rendezvous.answer(other, Request::Discover(request), self.now) {
                Some(Response::Discover(outcome)) => outcome.map(|discovered| discovered.registrations.len()),
                other => panic!("no answer to a question: {other:?}"),
            }
        }
    }

    /// Who is there, under the name that is usual.
    fn question() -> Discover {
        Discover {
            namespace: Some("store".into()),
            ..Discover::default()
        }
    }

    fn record(keypair: &Keypair, addresses: usize) -> Bytes {
        let address = "/dns4/relay.example.org/tcp/443/wss".parse().unwrap();
        let record = PeerRecord::new(keypair, vec![address; addresses]).unwrap();
        record.into_signed_envelope().into_protobuf_encoding().into()
    }

    #[test]
    fn a_registration_is_taken_only_if_all_of_it_is_right() {
        type Change = fn(&Bench, &mut Register);
        let cases: [(&str, Change, Result<u64, Refusal>); 14] = [
            ("as usual", |_, _| {}, Ok(300)),
            ("no time", |_, r| r.seconds = None, Ok(REGISTRATION_SECONDS_MAX)),
            (
                "the longest namespace",
                |_, r| r.namespace = Some("n".repeat(255)),
                Ok(300),
            ),
            (
                "a longer namespace",
                |_, r| r.namespace = Some("n".repeat(256)),
                Err(Refusal::InvalidNamespace),
            ),
            (
                "an empty namespace",
                |_, r| r.namespace = Some(String::new()),
                Err(Refusal::InvalidNamespace),
            ),
            (
                "no namespace",
                |_, r| r.namespace = None,
                Err(Refusal::InvalidNamespace),
            ),
            ("too short", |_, r| r.seconds = Some(59), Err(Refusal::InvalidTtl)),
            ("too long", |_, r| r.seconds = Some(601), Err(Refusal::InvalidTtl)),
            (
                "far too long",
                |_, r| r.seconds = Some(u64::MAX),
                Err(Refusal::InvalidTtl),
            ),
            ("no record", |_, r| r.record = None, Err(Refusal::InvalidRecord)),
            (
                "no such record",
                |_, r| r.record = Some(Bytes::from_static(b"record")),
                Err(Refusal::InvalidRecord),
            ),
            (
                "too long a record",
                |bench, r| r.record = Some(record(&bench.keypair, 1_000)),
                Err(Refusal::InvalidRecord),
            ),
            (
                "a record that libp2p's client cannot read",
                |bench, r| {
                    let record = PeerRecord::new_interop(&bench.keypair, Vec::new()).unwrap();
                    r.record = Some(record.into_signed_envelope().into_protobuf_encoding().into());
                },
                Err(Refusal::InvalidRecord),
            ),
            (
                "another's record",
                |_, r| r.record = Some(record(&Keypair::generate_ed25519(), 1)),
                Err(Refusal::NotAuthorized),
            ),
        ];
        for (case, change, expected) in cases {
            let mut bench = Bench::new();
            let mut request = bench.registration();
            change(&bench, &mut request);
            let namespace = request.namespace.clone().filter(|_| expected.is_ok());
            assert_eq!(bench.register(request), expected, "{case}");
            let found = bench.discover(Discover {
                namespace: namespace.or(question().namespace),
                ..question()
            });
            assert_eq!(found, Ok(usize::from(expected.is_ok())), "{case}");
        }
    }

    #[test]
    fn a_question_that_makes_no_sense_is_refused() {
        let mut bench = Bench::new();
        bench.register(bench.registration()).unwrap();
        // Without a name it would be a question about all stores.
        for namespace in [None, Some(String::new()), Some("n".repeat(256))] {
            let nameless = Discover {
                namespace,
                ..Discover::default()
            };
            assert_eq!(bench.discover(nameless), Err(Refusal::InvalidNamespace));
        }
        let invented = Discover {
            cookie: Some(b"cookie".into()),
            ..question()
        };
        assert_eq!(bench.discover(invented), Err(Refusal::InvalidCookie));
        for (limit, count) in [(0, 0), (1, 1), (u64::MAX, 1)] {
            let limited = Discover {
                limit: Some(limit),
                ..question()
            };
            assert_eq!(bench.discover(limited), Ok(count));
        }
    }

    #[test]
    fn who_has_gone_is_not_found_nor_registered_by_a_request_that_was_under_way() {
        let mut bench = Bench::new();
        bench.register(bench.registration()).unwrap();
        bench.rendezvous.connected(bench.member, bench.now);
        assert_eq!(bench.discover(question()), Ok(1));
        bench.rendezvous.disconnected(&bench.member);
        assert_eq!(bench.discover(question()), Ok(0));
        assert_eq!(bench.register(bench.registration()), Err(Refusal::Unavailable));
        assert_eq!(bench.discover(question()), Ok(0));

        bench.rendezvous.connected(bench.member, bench.now);
        assert_eq!(bench.register(bench.registration()), Ok(300));
        assert_eq!(bench.discover(question()), Ok(1));
    }

    #[test]
    fn what_is_unregistered_is_not_found_and_is_never_too_often() {
        let mut bench = Bench::new();
        while bench.register(bench.registration()).is_ok() {}
        let unregister = |namespace: Option<&str>| {
            Request::Unregister(Unregister {
                namespace: namespace.map(Into::into),
            })
        };
        for (namespace, left) in [(None, 1), (Some(""), 1), (Some("another"), 1), (Some("store"), 0)] {
            let answer = bench.rendezvous.answer(bench.member, unregister(namespace), bench.now);
            assert_eq!(answer, None);
            assert_eq!(bench.discover(question()), Ok(left));
        }
    }

    #[test]
    fn who_asks_too_often_is_refused_until_the_minute_is_over_and_keeps_what_it_has() {
        let mut bench = Bench::new();
        for _ in 0..2 {
            for _ in 0..REQUESTS_PER_MINUTE {
                assert_eq!(bench.register(bench.registration()), Ok(300));
            }
            assert_eq!(bench.register(bench.registration()), Err(Refusal::Unavailable));
            // Connecting once more is no way around it.
            bench.rendezvous.connected(bench.member, bench.now);
            assert_eq!(bench.register(bench.registration()), Err(Refusal::Unavailable));
            let asked = Request::Discover(question());
            assert_eq!(
                bench.rendezvous.answer(bench.member, asked, bench.now),
                Some(Response::Discover(Err(Refusal::Unavailable)))
            );
            assert_eq!(bench.discover(question()), Ok(1));
            bench.now += Duration::from_secs(60);
        }
    }

    #[test]
    fn a_member_registers_in_so_many_namespaces() {
        let mut bench = Bench::new();
        for n in 0..REGISTRATIONS_PER_PEER + 1 {
            let request = Register {
                namespace: Some(n.to_string()),
                ..bench.registration()
            };
            let expected = if n < REGISTRATIONS_PER_PEER {
                Ok(300)
            } else {
                Err(Refusal::Unavailable)
            };
            assert_eq!(bench.register(request), expected);
        }
    }
}
