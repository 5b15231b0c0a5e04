//! Peers that mean harm: what they send breaks nothing, they are hung up on, and members go on with each other.
//!
//! The hostile peer is a plain libp2p swarm that dials a member through the relay, subscribes to the store's topic, opens the sync
//! protocol and writes bytes of its choice. As a stranger it does not have the store's secret, as a member it does.

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use gossipstore_core::{
    membership::{CHALLENGE_BYTES, NONCE_BYTES, Secret, Side},
    sync::SessionError,
    wire::FRAME_BYTES_MAX,
};
use gossipstore_net::NodeEvent;
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

use crate::support::{Member, PATIENCE, RunningRelay};

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
    /// The first frame of the victim's stream.
    challenges: mpsc::UnboundedReceiver<[u8; CHALLENGE_BYTES]>,
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
        tokio::spawn(async move {
            // Reads what the victim sends, as a member would.
            while let Some((_, mut stream)) = theirs.next().await {
                let challenged = challenged.clone();
                tokio::spawn(async move {
                    let mut first = [0; 1 + CHALLENGE_BYTES];
                    if let Ok([length, challenge @ ..]) = stream.read_exact(&mut first).await.map(|()| first) {
                        assert_eq!(usize::from(length), CHALLENGE_BYTES);
                        let _ = challenged.send(challenge);
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
                        swarm.behaviour_mut().gossip.publish(topic.clone(), message).unwrap();
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
            control,
            seen,
            gossip,
        };
        hostile.until(Seen::Connected).await;
        hostile
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

    /// A stream on which it has said what a member says first.
    async fn open_stream_as_member(&mut self) -> libp2p::Stream {
        let mut stream = self.open_stream().await;
        let ours = [7; CHALLENGE_BYTES];
        stream.write_all(&frame(32, &ours)).await.unwrap();
        stream.flush().await.unwrap();
        let theirs = tokio::time::timeout(PATIENCE, self.challenges.recv())
            .await
            .unwrap()
            .unwrap();
        let (us, them) = (self.local.to_bytes(), self.victim.to_bytes());
        let us = Side {
            peer: &us,
            challenge: &ours,
        };
        let them = Side {
            peer: &them,
            challenge: &theirs,
        };
        let proof = self.secret.prover().prove(us, them);
        stream.write_all(&frame(32, &proof)).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    /// Gossips what it seals as a member.
    fn gossip_as_member(&self, nonce: u8, message: &[u8]) {
        let sealed = self.secret.sealer().seal([nonce; NONCE_BYTES], message);
        self.gossip.send(sealed).unwrap();
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
        .message_id_fn(|message| gossipsub::MessageId::new(&message.data[..1]))
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
    nothing_is_broken(&friend, &victim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossiped_garbage_is_not_handed_on() {
    let (relay, friend, victim) = two_members("gossip").await;
    let mut heard_by_victim = victim.handle.events();
    let friend_before = friend.handle.status().peers[0].bytes_in;
    let mut hostile = Hostile::attack("gossip", &relay, &friend).await;
    let _stream = hostile.open_stream_as_member().await;
    hostile.until(Seen::Subscribed).await;
    victim
        .until_status("the hostile peer", |status| status.peers.len() == 2)
        .await;
    for at in 0..100_u8 {
        hostile.gossip_as_member(at, &vec![at; 10_000]);
        hostile.gossip.send(vec![100 + at; 10_000]).unwrap();
    }
    let mut failed = 0;
    let heard = async {
        while failed < 10 {
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
    while let Some(seen) = tokio::time::timeout(PATIENCE, stranger.seen.recv())
        .await
        .expect("it is hung up on")
    {
        assert_ne!(seen, Seen::Subscribed, "it learns the topic");
        if seen == Seen::HungUpOn {
            break;
        }
    }
    drop(stream);
    nothing_is_broken(&friend, &victim).await;
}
