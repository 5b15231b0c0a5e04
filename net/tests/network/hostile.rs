//! Peers that mean harm: what they send breaks nothing, they are hung up on, and members go on with each other.
//!
//! The hostile peer is a plain libp2p swarm that dials a member through the relay, subscribes to the store's topic, opens the sync
//! protocol and writes bytes of its choice. As a stranger it does not have the store's secret, as a member it does.

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _, io::WriteHalf};
use gossipstore_core::{
    causality::{Event, Key, Kind, Op, Txn},
    id::{AuthorId, Digest, Dot, Home, PresenceId},
    membership::{CHALLENGE_BYTES, NONCE_BYTES, PROOF_BYTES, Secret, Side},
    sync::SessionError,
    time::Hlc,
    wire::{AuthorTable, Base, FRAME_BYTES_MAX, Frame, Gossip, Hello, PRESENCE_BYTES_MAX, Presence, Tag, Wishes},
};
use gossipstore_net::{NodeEvent, Refusals};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _,
    core::{transport::OrTransport, upgrade::Version},
    gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode},
    identity::Keypair,
    multiaddr::Protocol,
    noise, relay,
    swarm::{Config, NetworkBehaviour, StreamProtocol, SwarmEvent},
    tcp, websocket, yamux,
};
use tokio::sync::mpsc;

#[cfg(target_os = "linux")]
use crate::alone::Alone;
use crate::{
    presence::{present, says},
    support::{Member, PATIENCE, RunningRelay},
};

const SYNC: StreamProtocol = StreamProtocol::new("/gossipstore/sync/1");

#[derive(NetworkBehaviour)]
struct Behaviour {
    relay: relay::client::Behaviour,
    gossip: gossipsub::Behaviour,
    stream: libp2p_stream::Behaviour,
}

/// What the hostile peer's network tells it.
#[derive(PartialEq, Eq, Debug)]
enum Seen {
    Connected,
    Subscribed,
    HungUpOn,
}

struct Hostile {
    secret: Secret,
    local: PeerId,
    victim: PeerId,
    /// The first frame of the victim's stream, and the second.
    challenges: mpsc::UnboundedReceiver<[u8; CHALLENGE_BYTES]>,
    proofs: mpsc::UnboundedReceiver<[u8; PROOF_BYTES]>,
    /// The direction of the victim's stream in which it acknowledges.
    acknowledging: mpsc::UnboundedReceiver<WriteHalf<libp2p::Stream>>,
    /// What it has proven itself by.
    said: [u8; PROOF_BYTES],
    control: libp2p_stream::Control,
    seen: mpsc::UnboundedReceiver<Seen>,
    gossip: mpsc::UnboundedSender<Vec<u8>>,
}

impl Hostile {
    /// Connects to the only peer that `friend` has. `store` is the one whose secret it has.
    async fn attack(store: &str, relay: &RunningRelay, friend: &Member) -> Self {
        friend.until_in_sync_with(1).await;
        let victim = friend.handle.status().peers[0].id.parse::<PeerId>().unwrap();
        let mut swarm = swarm();
        let secret = Secret::of_name(store);
        let topic = IdentTopic::new(secret.topics().gossip());
        swarm.behaviour_mut().gossip.subscribe(&topic).unwrap();
        let local = *swarm.local_peer_id();
        let mut control = swarm.behaviour().stream.new_control();
        let mut theirs = control.accept(SYNC).unwrap();
        let (challenged, challenges) = mpsc::unbounded_channel();
        let (proved, proofs) = mpsc::unbounded_channel();
        let (accepted, acknowledging) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Reads what the victim sends, as a member would.
            while let Some((_, stream)) = theirs.next().await {
                let (mut stream, writing) = stream.split();
                let _ = accepted.send(writing);
                let (challenged, proved) = (challenged.clone(), proved.clone());
                tokio::spawn(async move {
                    let mut first = [0; 1 + CHALLENGE_BYTES];
                    if let Ok([length, challenge @ ..]) = stream.read_exact(&mut first).await.map(|()| first) {
                        assert_eq!(usize::from(length), CHALLENGE_BYTES);
                        let _ = challenged.send(challenge);
                    }
                    let mut second = [0; 1 + PROOF_BYTES];
                    if let Ok([length, proof @ ..]) = stream.read_exact(&mut second).await.map(|()| second) {
                        assert_eq!(usize::from(length), PROOF_BYTES);
                        let _ = proved.send(proof);
                    }
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
                });
            }
        });
        let circuit = relay
            .address
            .parse::<Multiaddr>()
            .unwrap()
            .with(Protocol::P2pCircuit)
            .with(Protocol::P2p(victim));
        swarm.dial(circuit).unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        let (gossip, mut messages) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = swarm.select_next_some() => event,
                    Some(message) = messages.recv() => {
                        // What does not fit its queues is lost; there is more where that came from.
                        let _ = swarm.behaviour_mut().gossip.publish(topic.clone(), message);
                        continue;
                    }
                };
                let seen = match event {
                    SwarmEvent::ConnectionEstablished { peer_id, .. } if peer_id == victim => Seen::Connected,
                    SwarmEvent::ConnectionClosed { peer_id, .. } if peer_id == victim => Seen::HungUpOn,
                    SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Subscribed { .. })) => {
                        Seen::Subscribed
                    }
                    _ => continue,
                };
                if tell.send(seen).is_err() {
                    return;
                }
            }
        });
        let mut hostile = Self {
            secret,
            local,
            victim,
            challenges,
            proofs,
            acknowledging,
            said: [0; PROOF_BYTES],
            control,
            seen,
            gossip,
        };
        hostile.until(Seen::Connected).await;
        hostile
    }

    /// Attacks as a member, until it is a peer of the victim beside its friend. Gives the stream on which it can send frames.
    async fn join(store: &str, relay: &RunningRelay, friend: &Member, victim: &Member) -> (Self, libp2p::Stream) {
        let (hostile, stream) = Self::join_one_of_two(store, relay, friend).await;
        victim
            .until_status("the hostile peer", |status| status.peers.len() == 2)
            .await;
        (hostile, stream)
    }

    /// The same, of a victim that is not at hand.
    async fn join_one_of_two(store: &str, relay: &RunningRelay, friend: &Member) -> (Self, libp2p::Stream) {
        let mut hostile = Self::attack(store, relay, friend).await;
        let stream = hostile.open_stream_as_member().await;
        hostile.until(Seen::Subscribed).await;
        (hostile, stream)
    }

    async fn until(&mut self, awaited: Seen) {
        let seen = async { while self.seen.recv().await.expect("the swarm runs") != awaited {} };
        tokio::time::timeout(PATIENCE, seen)
            .await
            .unwrap_or_else(|_| panic!("{awaited:?} does not happen"));
    }

    async fn open_stream(&mut self) -> libp2p::Stream {
        self.control.open_stream(self.victim, SYNC).await.unwrap()
    }

    async fn challenge(&mut self) -> [u8; CHALLENGE_BYTES] {
        let challenge = tokio::time::timeout(PATIENCE, self.challenges.recv()).await;
        challenge.expect("it is challenged").expect("the swarm runs")
    }

    async fn proof(&mut self) -> [u8; PROOF_BYTES] {
        let proof = tokio::time::timeout(PATIENCE, self.proofs.recv()).await;
        proof.expect("it is proven to").expect("the swarm runs")
    }

    /// It is hung up on without having learnt the topic.
    async fn until_sent_away(&mut self) {
        let seen = async {
            loop {
                match self.seen.recv().await.expect("the swarm runs") {
                    Seen::HungUpOn => break,
                    Seen::Subscribed => panic!("it learns the topic"),
                    Seen::Connected => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("it is hung up on");
    }

    /// A stream on which it has said what a member says first.
    async fn open_stream_as_member(&mut self) -> libp2p::Stream {
        let mut stream = self.open_stream().await;
        let ours = [7; CHALLENGE_BYTES];
        send(&mut stream, &ours).await;
        let theirs = self.challenge().await;
        let (us, them) = (self.local.to_bytes(), self.victim.to_bytes());
        let us = Side {
            peer: &us,
            challenge: &ours,
        };
        let them = Side {
            peer: &them,
            challenge: &theirs,
        };
        self.said = self.secret.prover().prove(us, them);
        send(&mut stream, &self.said).await;
        stream
    }

    /// Gossips what it seals as a member.
    fn gossip_as_member(&self, number: u32, message: &[u8]) {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..4].copy_from_slice(&number.to_be_bytes());
        self.gossip.send(self.secret.sealer().seal(nonce, message)).unwrap();
    }
}

fn swarm() -> Swarm<Behaviour> {
    let keypair = Keypair::generate_ed25519();
    let (circuits, relay) = relay::client::new(keypair.public().to_peer_id());
    let sockets = websocket::Config::new(tcp::tokio::Transport::new(tcp::Config::default()));
    let transport = OrTransport::new(circuits, sockets)
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&keypair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        // By default messages without an author would all have the same name, and be dropped here already.
        .message_id_fn(|message| gossipsub::MessageId::new(&message.data[..NONCE_BYTES]))
        .build()
        .unwrap();
    let behaviour = Behaviour {
        relay,
        gossip: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).unwrap(),
        stream: libp2p_stream::Behaviour::new(),
    };
    let config = Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
    Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config)
}

/// Sends a frame of the handshake.
async fn send(stream: &mut libp2p::Stream, bytes: &[u8]) {
    stream.write_all(&frame(bytes.len() as u32, bytes)).await.unwrap();
    stream.flush().await.unwrap();
}

fn frame(length: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    [&out, bytes].concat()
}

/// Asks for all that a vector does not cover.
fn hello(hostile: &Hostile, tag: u16, vector: impl IntoIterator<Item = (AuthorId, u64)>) -> Vec<Vec<u8>> {
    let (wishes, base) = (Wishes::default(), (Base::Empty, 7));
    let id = hostile.secret.store();
    Hello::frames(id, Tag(tag), wishes, base, AuthorTable::default(), vector)
}

/// A transaction of one put.
fn txn(author: [u8; 16], first: u64, key: &str, value: &[u8]) -> Txn {
    let op = Op::Put {
        key: Key::from(key),
        value: value.into(),
        kind: Kind::Value,
    };
    let removes = [].into();
    Txn {
        author: AuthorId(author),
        first,
        hlc: Hlc(1),
        deps: [].into(),
        events: vec![Event { op, removes }],
    }
}

/// Two members that are in sync, their relay, and the first's other peer: none.
async fn two_members(store: &str) -> (RunningRelay, Member, Member) {
    let relay = RunningRelay::start().await;
    let (friend, victim) = (Member::open(store, &[&relay]), Member::open(store, &[&relay]));
    friend.put("before", "value").await;
    victim.until("the value", |member| member.get("before").is_some()).await;
    victim.until_in_sync_with(1).await;
    (relay, friend, victim)
}

/// The two are in sync still, hold what they held, and exchange what is new.
async fn nothing_is_broken(friend: &Member, victim: &Member) {
    assert_eq!((friend.len(), victim.len()), (1, 1));
    victim.put("after", "value").await;
    friend.until("the value", |member| member.get("after").is_some()).await;
    friend.until_in_sync_with(1).await;
    victim.until_in_sync_with(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_an_impossible_length_ends_the_connection() {
    for length in [FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
        let store = &format!("length {length}");
        let (relay, friend, victim) = two_members(store).await;
        let mut hostile = Hostile::attack(store, &relay, &friend).await;
        let mut stream = hostile.open_stream_as_member().await;
        stream.write_all(&frame(length, &[])).await.unwrap();
        stream.flush().await.unwrap();
        hostile.until(Seen::HungUpOn).await;
        assert_eq!(
            victim.handle.status().refused,
            Refusals {
                frames: 1,
                ..Refusals::default()
            }
        );
        nothing_is_broken(&friend, &victim).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_stream_ends_the_connection_though_the_first_is_not_read() {
    let (relay, friend, victim) = two_members("second stream").await;
    let mut hostile = Hostile::attack("second stream", &relay, &friend).await;
    let _first = hostile.open_stream_as_member().await;
    // Whether this one still stands when we get to know of it does not matter.
    let _second = hostile.control.open_stream(hostile.victim, SYNC).await;
    hostile.until(Seen::HungUpOn).await;
    assert_eq!(
        victim.handle.status().refused,
        Refusals {
            streams: 1,
            ..Refusals::default()
        }
    );
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_within_a_frame_ends_the_connection() {
    let (relay, friend, victim) = two_members("cut").await;
    let mut hostile = Hostile::attack("cut", &relay, &friend).await;
    let mut stream = hostile.open_stream_as_member().await;
    stream.write_all(&frame(1_000, b"only the beginning")).await.unwrap();
    stream.close().await.unwrap();
    hostile.until(Seen::HungUpOn).await;
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_acknowledges_what_was_never_sent_is_hung_up_on() {
    let store = "overdrawn";
    let (relay, friend, victim) = two_members(store).await;
    let (mut hostile, mut stream) = Hostile::join(store, &relay, &friend, &victim).await;
    let mut acknowledging = hostile.acknowledging.recv().await.expect("the victim's stream");
    acknowledging.write_all(&[255]).await.unwrap();
    acknowledging.flush().await.unwrap();
    for hello in hello(&hostile, 1, [(AuthorId([7; 16]), 1)]) {
        send(&mut stream, &hello).await;
    }
    hostile.until(Seen::HungUpOn).await;
    let refused = victim.handle.status().refused;
    assert_eq!(
        refused,
        Refusals {
            frames: 1,
            ..Refusals::default()
        }
    );
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_reported_and_a_peer_that_keeps_sending_it_is_hung_up_on() {
    let (relay, friend, victim) = two_members("garbage").await;
    let mut events = victim.handle.events();
    let mut hostile = Hostile::attack("garbage", &relay, &friend).await;
    let mut stream = hostile.open_stream_as_member().await;
    for length in 0..200_u32 {
        // Kinds that do not exist, and some that do, with nonsense in them.
        let bytes = (0..length).map(|at| (at * 37 + length * 11) as u8).collect::<Vec<_>>();
        if stream.write_all(&frame(length, &bytes)).await.is_err() {
            break;
        }
    }
    // An error says that the victim has hung up by now, which is what is waited for next.
    let _ = stream.flush().await;
    hostile.until(Seen::HungUpOn).await;
    let failed = async {
        loop {
            if let NodeEvent::SessionFailed { error, .. } = events.next().await.expect("the node runs") {
                return error;
            }
        }
    };
    assert!(matches!(
        tokio::time::timeout(PATIENCE, failed).await.unwrap(),
        SessionError::Wire(_)
    ));
    assert!(victim.handle.status().refused.frames >= 8);
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossiped_garbage_is_not_handed_on() {
    let (relay, friend, victim) = two_members("gossip").await;
    let mut heard_by_victim = victim.handle.events();
    let friend_before = friend.handle.status().peers[0].bytes_in;
    let (hostile, _stream) = Hostile::join("gossip", &relay, &friend, &victim).await;
    for at in 0..100_u8 {
        hostile.gossip_as_member(u32::from(at), &vec![at; 10_000]);
        hostile.gossip.send(vec![100 + at; 10_000]).unwrap();
    }
    let mut failed = 0;
    let heard = async {
        while failed < 2 {
            failed += usize::from(matches!(
                heard_by_victim.next().await,
                Some(NodeEvent::SessionFailed { .. })
            ));
        }
    };
    tokio::time::timeout(PATIENCE, heard)
        .await
        .expect("the victim hears the garbage");
    victim.put("after", "value").await;
    friend.until("the value", |member| member.get("after").is_some()).await;
    let friend_heard = friend.handle.status().peers[0].bytes_in - friend_before;
    assert!(friend_heard < 10_000, "{friend_heard} bytes were handed on");
    victim
        .until_status("what was refused", |status| status.refused.messages >= 8)
        .await;
    let refused = victim.handle.status().refused.messages;
    assert!(
        refused < 20,
        "{refused} of 200: who gossips garbage is not heard any more"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_that_no_member_has_sealed_ends_the_connection() {
    let (relay, friend, victim) = two_members("unsealed").await;
    let (mut hostile, _stream) = Hostile::join("unsealed", &relay, &friend, &victim).await;
    for at in 0..100_u8 {
        hostile.gossip.send(vec![at; 1_000]).unwrap();
    }
    hostile.until(Seen::HungUpOn).await;
    assert!(victim.handle.status().refused.messages >= 8);
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_sends_without_end_is_not_read_from_for_a_while() {
    let (relay, friend, victim) = two_members("flood").await;
    let (_hostile, mut stream) = Hostile::join("flood", &relay, &friend, &victim).await;
    // What any member says when it has changed.
    let said = Frame::Digest(Digest([7; 16]), 7).encode();
    let flood = frame(said.len() as u32, &said).repeat(8_000);
    stream.write_all(&flood).await.unwrap();
    stream.flush().await.unwrap();
    victim.until_status("a pause", |status| status.refused.pauses > 0).await;
    friend.put("meanwhile", "value").await;
    victim
        .until("the value", |member| member.get("meanwhile").is_some())
        .await;
    assert_eq!(victim.handle.status().peers.len(), 2, "it is no reason to hang up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_connects_and_does_nothing_does_not_keep_its_place() {
    let (relay, friend, victim) = two_members("idle").await;
    let mut hostile = Hostile::attack("idle", &relay, &friend).await;
    hostile.until(Seen::HungUpOn).await;
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_without_the_secret_is_told_nothing_and_hung_up_on() {
    let (relay, friend, victim) = two_members("members only").await;
    let mut stranger = Hostile::attack("the secret of another store", &relay, &friend).await;
    let stream = stranger.open_stream_as_member().await;
    stranger.until_sent_away().await;
    drop(stream);
    assert_eq!(
        victim.handle.status().refused,
        Refusals {
            strangers: 1,
            ..Refusals::default()
        }
    );
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_passes_on_what_two_members_say_to_each_other_is_taken_for_neither() {
    let (relay, friend, victim) = two_members("in the middle").await;
    // As the relay itself could: it is told of both, and both are told of it.
    let mut to_victim = Hostile::attack("nothing", &relay, &friend).await;
    let mut to_friend = Hostile::attack("nothing", &relay, &victim).await;
    let (mut at_victim, mut at_friend) = (to_victim.open_stream().await, to_friend.open_stream().await);
    let (of_victim, of_friend) = (to_victim.challenge().await, to_friend.challenge().await);
    send(&mut at_victim, &of_friend).await;
    send(&mut at_friend, &of_victim).await;
    let (of_victim, of_friend) = (to_victim.proof().await, to_friend.proof().await);
    send(&mut at_victim, &of_friend).await;
    send(&mut at_friend, &of_victim).await;
    to_victim.until_sent_away().await;
    to_friend.until_sent_away().await;
    for member in [&victim, &friend] {
        assert_eq!(
            member.handle.status().refused,
            Refusals {
                strangers: 1,
                ..Refusals::default()
            }
        );
    }
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_once_proves_nothing_again() {
    let (relay, friend, victim) = two_members("replayed").await;
    let mut member = Hostile::attack("replayed", &relay, &friend).await;
    let stream = member.open_stream_as_member().await;
    let (theirs, own) = (member.proof().await, member.said);
    member.until(Seen::Subscribed).await;
    drop((stream, member));
    victim
        .until_status("the member's end", |status| status.peers.len() == 1)
        .await;

    // What the victim said, and what the member said to it, by somebody who has recorded both.
    for recorded in [theirs, own] {
        let mut stranger = Hostile::attack("nothing", &relay, &friend).await;
        let mut stream = stranger.open_stream().await;
        send(&mut stream, &[7; CHALLENGE_BYTES]).await;
        stranger.challenge().await;
        send(&mut stream, &recorded).await;
        stranger.until_sent_away().await;
    }
    assert_eq!(victim.handle.status().refused.strangers, 2);
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_whose_past_nobody_has_keep_no_other_from_coming() {
    let (relay, friend, victim) = two_members("early").await;
    let (hostile, _stream) = Hostile::join("early", &relay, &friend, &victim).await;
    for n in 0..10_000_u32 {
        let mut author = [7; 16];
        author[..4].copy_from_slice(&n.to_be_bytes());
        let invented = txn(author, 2, "invented", &[7; 1_000]);
        hostile.gossip_as_member(n, &Gossip::encode(&invented, 48 * 1024));
        if n % 100 == 0 {
            friend.put(&format!("meanwhile {n}"), "value").await;
        }
    }
    victim
        .until_status("dropped transactions", |status| status.refused.transactions > 0)
        .await;
    victim.until("all values", |member| member.len() == 101).await;
    victim.put("after", "value").await;
    friend.until("the value", |member| member.get("after").is_some()).await;
}

/// A tab that is not there, with as much to say as fits.
fn invented(id: u64) -> Presence {
    Presence {
        id: PresenceId(id),
        home: Home(7),
        clock: 1,
        age: 0,
        value: Some(vec![b'x'; PRESENCE_BYTES_MAX].into()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_tabs_that_are_not_there_is_bounded_and_over_when_it_ends() {
    let (relay, friend, victim) = two_members("crowded").await;
    says(&friend, 1, "friend");
    victim.until("the friend", |victim| present(victim).len() == 1).await;
    let (hostile, _stream) = Hostile::join("crowded", &relay, &friend, &victim).await;
    // However fast it is taken in here.
    let (mut n, mut written) = (0, 1);
    let refused = || victim.handle.status().refused;
    while refused().floods == 0 || refused().presences == 0 {
        for _ in 0..1_000 {
            let message = Gossip::present([invented(1_000 + u64::from(n))], 48 * 1024).remove(0);
            hostile.gossip_as_member(n, &message);
            n += 1;
        }
        friend.put(&format!("meanwhile {n}"), "value").await;
        written += 1;
        victim.until("the value", |member| member.len() == written).await;
    }
    assert_eq!((present(&victim).len(), &*present(&victim)[&1]), (256, "friend"));
    assert_eq!(victim.handle.status().peers.len(), 2, "it is no reason to hang up");
    drop(hostile);
    says(&friend, 1, "still here");
    for member in [&victim, &friend] {
        let is_over = |member: &Member| present(member).into_iter().eq([(1, "still here".to_owned())]);
        member.until("the end of it", is_over).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_transactions_under_one_dot_are_told_of_and_leave_all_with_the_same() {
    let (relay, friend, victim) = two_members("forked").await;
    let events = [&friend, &victim].map(|member| member.handle.events());
    let (hostile, _stream) = Hostile::join("forked", &relay, &friend, &victim).await;
    for n in 0..2 {
        let one_of_two = txn([7; 16], 1, &format!("key {n}"), b"value");
        hostile.gossip_as_member(n, &Gossip::encode(&one_of_two, 48 * 1024));
    }
    for mut events in events {
        let told = async {
            loop {
                if let NodeEvent::Forked(fork) = events.next().await.expect("the node runs") {
                    return fork;
                }
            }
        };
        let fork = tokio::time::timeout(PATIENCE, told).await.expect("it is told");
        assert_eq!(fork.dot, Dot::new(AuthorId([7; 16]), 1));
    }
    victim.put("after", "value").await;
    friend.until("the value", |member| member.get("after").is_some()).await;
    friend.until_in_sync_with(1).await;
    let shown = |member: &Member| [0, 1].map(|n| member.get(&format!("key {n}")));
    friend.until("the same", |member| shown(member) == shown(&victim)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_comes_byte_by_byte_holds_up_nobody() {
    let (relay, friend, victim) = two_members("slow").await;
    let (_hostile, mut stream) = Hostile::join("slow", &relay, &friend, &victim).await;
    for (n, byte) in frame(FRAME_BYTES_MAX as u32, &[1; 20]).into_iter().enumerate() {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
        let key = format!("meanwhile {n}");
        friend.put(&key, "value").await;
        victim.until("the value", |member| member.get(&key).is_some()).await;
    }
}

/// By how much what a member holds may grow, in bytes.
#[cfg(target_os = "linux")]
const GROWTH_MAX: usize = 64 * 1024 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_all_kinds_take_less_than_64_mib() {
    let relay = RunningRelay::start().await;
    let friend = Member::open("flooded", &[&relay]);
    friend.put("before", "value").await;
    let mut victim = Alone::open("flooded", &relay).await;
    victim.ask("keys 1").await;
    let (hostile, mut stream) = Hostile::join_one_of_two("flooded", &relay, &friend).await;
    victim.ask("peers 2").await;
    let before = victim.ask("memory").await;
    // Transactions that wait, of 20 MB in all; tabs, of as much; and vectors of 55 MB, each another.
    for n in 0..5_000_u32 {
        let mut author = [7; 16];
        author[..4].copy_from_slice(&n.to_be_bytes());
        hostile.gossip_as_member(
            2 * n,
            &Gossip::encode(&txn(author, 2, "invented", &[7; 4_000]), 48 * 1024),
        );
        let message = Gossip::present([invented(u64::from(n))], 48 * 1024).remove(0);
        hostile.gossip_as_member(2 * n + 1, &message);
        if n % 100 == 0 {
            friend.put(&format!("meanwhile {n}"), "value").await;
        }
    }
    let many = Frame::present(Home(7), (0..15).map(|n| invented(10_000 + n)));
    for frame_of_many in many.iter().cycle().take(200) {
        stream
            .write_all(&frame(frame_of_many.len() as u32, frame_of_many))
            .await
            .unwrap();
    }
    for n in 0..800_u32 {
        let counts = (0..3_000_u32).map(|at| {
            let mut author = [9; 16];
            author[..8].copy_from_slice(&[n.to_be_bytes(), at.to_be_bytes()].concat());
            (AuthorId(author), 1 << 40)
        });
        for hello in hello(&hostile, n as u16, counts) {
            stream.write_all(&frame(hello.len() as u32, &hello)).await.unwrap();
        }
    }
    stream.flush().await.unwrap();
    victim.ask("keys 51").await;
    victim.ask("put").await;
    friend.until("the value", |member| member.get("after").is_some()).await;
    drop((hostile, stream));
    victim.ask("peers 1").await;
    let grown = victim.ask("memory").await - before;
    println!("grown by {} KiB", grown / 1024);
    assert!(grown < GROWTH_MAX, "grown by {grown} bytes");
    victim.end().await;
}
