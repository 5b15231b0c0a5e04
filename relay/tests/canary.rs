//! Goal: a relay, and whoever is on the way to it, learns nothing of a store but sizes and times. Method: two members exchange 1,000
//! entries that hold a random text, through a relay that logs all it can; then the text, the store's name and its secret are looked for
//! in the log, in what crossed the wire and in the relay's memory.
//!
//! That they would be found is shown by two peers that speak through the same relay without encrypting what they say.

#![cfg(target_os = "linux")]

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::{BuildHasher as _, Hasher as _},
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::FileExt as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use gossipstore_core::{
    id::PresenceId,
    membership::Secret,
    replica::{Value, Write},
};
use gossipstore_net::{Handle, Options, open};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _,
    core::{transport::OrTransport, upgrade::Version},
    identity::Keypair,
    multiaddr::Protocol,
    noise, plaintext, relay,
    rendezvous::{self, Namespace},
    swarm::{Config, NetworkBehaviour, StreamProtocol, SwarmEvent},
    tcp, websocket, yamux,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// How long anything may take. Far longer than it does: only a failure reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

const ENTRIES: usize = 1_000;

/// A text that nobody else writes.
fn canary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("canary-{:016x}{:016x}", random(), random())
}

/// A relay that logs all it can, at the end of a way on which all is recorded.
struct Observed {
    relay: Child,
    log: JoinHandle<Vec<u8>>,
    wire: Arc<Mutex<Vec<u8>>>,
    /// Of this end of the way.
    address: Multiaddr,
}

/// What was seen of those who used the relay.
struct Seen {
    log: Vec<u8>,
    wire: Vec<u8>,
    memory: Vec<u8>,
}

impl Observed {
    async fn start() -> Self {
        let mut relay = Command::new(env!("CARGO_BIN_EXE_gossipstore-relay"))
            .args(["--listen-ws", "127.0.0.1:0"])
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(relay.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let listening: Multiaddr = line.trim_end().strip_prefix("listening on ").unwrap().parse().unwrap();
        let mut said = relay.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            said.read_to_end(&mut log).unwrap();
            log
        });

        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = Protocol::Tcp(here.local_addr().unwrap().port());
        let port = listening.iter().find_map(|part| match part {
            Protocol::Tcp(port) => Some(port),
            _ => None,
        });
        let address = listening.replace(1, |_| Some(own)).unwrap();
        let wire = Arc::<Mutex<Vec<u8>>>::default();
        let recorded = Arc::clone(&wire);
        tokio::spawn(async move {
            while let Ok((near, _)) = here.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port.unwrap())).await.unwrap();
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(from_near, to_far, Arc::clone(&recorded)));
                tokio::spawn(carry(from_far, to_near, Arc::clone(&recorded)));
            }
        });
        Self {
            relay,
            log,
            wire,
            address,
        }
    }

    fn peer(&self) -> PeerId {
        match self.address.iter().last() {
            Some(Protocol::P2p(peer)) => peer,
            _ => panic!("an address ends with who is there"),
        }
    }

    /// All memory that the relay can write to.
    fn memory(&self) -> Vec<u8> {
        let process = format!("/proc/{}", self.relay.id());
        let memory = File::open(format!("{process}/mem")).unwrap();
        let maps = std::fs::read_to_string(format!("{process}/maps")).unwrap();
        let mut dump = Vec::new();
        for line in maps.lines() {
            let mut parts = line.split_whitespace();
            let (range, access) = (parts.next().unwrap(), parts.next().unwrap());
            if !access.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
            let mut region = vec![0; usize::try_from(to - from).unwrap()];
            // What the kernel keeps for itself cannot be read.
            if memory.read_exact_at(&mut region, from).is_ok() {
                dump.extend(region);
            }
        }
        dump
    }

    fn end(mut self, memory: Vec<u8>) -> Seen {
        self.relay.kill().unwrap();
        self.relay.wait().unwrap();
        Seen {
            log: self.log.join().unwrap(),
            wire: std::mem::take(&mut self.wire.lock().unwrap()),
            memory,
        }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, recorded: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        recorded.lock().unwrap().extend(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// An open store at the relay, whose node runs.
fn member(name: &str, secret: &Secret, relay: &Multiaddr) -> Handle {
    let options = Options::new(name).secret(secret.clone()).relays([relay.to_string()]);
    let (node, handle) = open(options).unwrap();
    tokio::spawn(node.run());
    handle
}

async fn until_in_sync(store: &Handle) {
    let mut events = store.events();
    let in_sync = async {
        while !matches!(&store.status().peers[..], [peer] if peer.in_sync) {
            events.next().await.expect("the node runs");
        }
    };
    tokio::time::timeout(PATIENCE, in_sync).await.expect("they meet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_and_those_on_the_way_learn_nothing_of_a_store() {
    let (text, name) = (canary(), canary());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&canary().as_bytes()[7..]);
    let secret = Secret::new(bytes);
    let observed = Observed::start().await;
    let [ann, ben] = [(); 2].map(|()| member(&name, &secret, &observed.address));
    let put = |n: usize| Write::Put {
        key: format!("{text}/{n}").as_str().into(),
        value: format!("{n} {text}").into_bytes().into(),
        context: None,
    };
    // By a session, and by gossip.
    ann.transact((0..ENTRIES / 2).map(put).collect()).await.unwrap();
    until_in_sync(&ben).await;
    for n in ENTRIES / 2..ENTRIES {
        ann.transact(vec![put(n)]).await.unwrap();
    }
    let mut events = ben.events();
    let whole = async {
        while ben.read(|replica| replica.len()) < ENTRIES {
            events.next().await.expect("the node runs");
        }
    };
    tokio::time::timeout(PATIENCE, whole).await.expect("all arrives");
    // Who is there is nobody else's business either.
    let said = Value::from(format!("I am {text}").into_bytes());
    ann.present(PresenceId(1), Some(said)).unwrap();
    let known = async {
        while ben.presences(0).present.is_empty() {
            events.next().await.expect("the node runs");
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("it is known");
    let memory = observed.memory();
    ann.close().await;
    ben.close().await;
    let seen = observed.end(memory);

    let topics = secret.topics();
    // What the relay has to know, which also shows that the right things were looked at. It may be past midnight by now.
    let names = topics.around(unix_seconds());
    let known = |bytes| names.iter().any(|name| holds(bytes, name.as_bytes()));
    assert!(known(&seen.log), "the log tells of the registrations");
    assert!(known(&seen.memory), "the memory was read");
    assert!(holds(&seen.wire, b"HTTP/1.1 101"), "the wire was recorded");
    assert!(seen.wire.len() > 2 * ENTRIES * text.len(), "the data took this way");
    for (what, bytes) in [("log", &seen.log), ("wire", &seen.wire), ("memory", &seen.memory)] {
        assert!(!holds(bytes, text.as_bytes()), "the {what} holds what was written");
        assert!(!holds(bytes, name.as_bytes()), "the {what} holds the store's name");
        assert!(!holds(bytes, secret.bytes()), "the {what} holds the secret");
        assert!(!holds(bytes, topics.gossip().as_bytes()), "the {what} holds the topic");
    }
}

fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.expect("it is after 1970").as_secs()
}

#[derive(NetworkBehaviour)]
struct Open {
    relay: relay::client::Behaviour,
    registrar: rendezvous::client::Behaviour,
    stream: libp2p_stream::Behaviour,
}

const OPEN: StreamProtocol = StreamProtocol::new("/open/1");

/// A peer that encrypts on its way to the relay, as it has to, and not what it says to others through that.
fn open_swarm() -> Swarm<Open> {
    let keypair = Keypair::generate_ed25519();
    let (circuits, relay) = relay::client::new(keypair.public().to_peer_id());
    let sockets = websocket::Config::new(tcp::tokio::Transport::new(tcp::Config::default()))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&keypair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let circuits = circuits
        .upgrade(Version::V1Lazy)
        .authenticate(plaintext::Config::new(&keypair))
        .multiplex(yamux::Config::default())
        .boxed();
    let transport = OrTransport::new(circuits, sockets)
        .map(|either, _| either.into_inner())
        .boxed();
    let behaviour = Open {
        relay,
        registrar: rendezvous::client::Behaviour::new(keypair.clone()),
        stream: libp2p_stream::Behaviour::new(),
    };
    let config = Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
    Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_encrypted_would_be_found() {
    let (text, name) = (canary(), canary());
    let observed = Observed::start().await;
    let circuit = observed.address.clone().with(Protocol::P2pCircuit);
    let mut ben = open_swarm();
    let there = *ben.local_peer_id();
    let mut streams = ben.behaviour().stream.new_control().accept(OPEN).unwrap();
    ben.listen_on(circuit.clone()).unwrap();
    let registered = async {
        loop {
            match ben.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    ben.add_external_address(address);
                    let (namespace, relay) = (Namespace::new(name.clone()).unwrap(), observed.peer());
                    ben.behaviour_mut().registrar.register(namespace, relay, None).unwrap();
                }
                SwarmEvent::Behaviour(OpenEvent::Registrar(rendezvous::client::Event::Registered { .. })) => break,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, registered).await.expect("it registers");
    tokio::spawn(async move { while ben.next().await.is_some() {} });

    let mut ann = open_swarm();
    let mut control = ann.behaviour().stream.new_control();
    ann.dial(circuit.with(Protocol::P2p(there))).unwrap();
    let connected = async {
        while !matches!(ann.select_next_some().await, SwarmEvent::ConnectionEstablished { peer_id, .. } if peer_id == there)
        {
        }
    };
    tokio::time::timeout(PATIENCE, connected).await.expect("they meet");
    tokio::spawn(async move { while ann.next().await.is_some() {} });
    let mut sent = control.open_stream(there, OPEN).await.unwrap();
    let said = (0..ENTRIES).map(|n| format!("{text}/{n} {text}")).collect::<String>();
    let (length, read) = (said.len(), async {
        let (_, mut stream) = streams.next().await.unwrap();
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).await.unwrap();
        (heard, stream)
    });
    let written = async {
        sent.write_all(said.as_bytes()).await.unwrap();
        sent.flush().await.unwrap();
    };
    let ((heard, _stream), ()) = tokio::time::timeout(PATIENCE, futures::future::join(read, written))
        .await
        .expect("it is heard");
    assert_eq!(heard.len(), length);
    let memory = observed.memory();
    let seen = observed.end(memory);
    assert!(holds(&seen.memory, text.as_bytes()), "the memory holds what was said");
    assert!(holds(&seen.memory, name.as_bytes()), "the memory holds the name");
    assert!(holds(&seen.log, name.as_bytes()), "the log holds the name");
}
