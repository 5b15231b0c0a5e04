//! Nodes to test with.

use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{
    StreamExt as _,
    channel::mpsc,
    future::{Either, select},
};
use futures_timer::Delay;
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, Transport as _,
    core::{
        ConnectedPoint,
        muxing::StreamMuxerBox,
        transport::{MemoryTransport, OrTransport},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, relay,
    swarm::{
        self, ConnectionId, DialError, NetworkBehaviour, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
    yamux,
};
use libp2p_webrtc_browser::{Config, is_circuit};
use wasm_bindgen_futures::spawn_local;

/// The protocol of the tests' own streams.
pub(crate) const ECHO: StreamProtocol = StreamProtocol::new("/echo/1");

/// The protocol on circuits, for those who speak it by hand.
pub(crate) const SIGNALING: StreamProtocol = StreamProtocol::new("/webrtc-signaling/0.0.1");

/// How long a step may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends what hangs, and says what did.
pub(crate) async fn within<T>(what: &str, step: impl Future<Output = T>) -> T {
    match select(pin!(step), Delay::new(PATIENCE)).await {
        Either::Left((value, _)) => value,
        Either::Right(_) => panic!("{what} did not happen in {PATIENCE:?}"),
    }
}

#[derive(NetworkBehaviour)]
pub(crate) struct ServerBehaviour {
    relay: relay::Behaviour,
}

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// Clients pass on what others say to each other, too.
    server: relay::Behaviour,
    relay: relay::client::Behaviour,
    pub(crate) webrtc: libp2p_webrtc_browser::Behaviour,
    pub(crate) streams: libp2p_stream::Behaviour,
}

/// A relay, which runs until it is dropped.
pub(crate) struct Relay {
    pub(crate) address: Multiaddr,
    _node: Node<ServerBehaviour>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let keypair = Keypair::generate_ed25519();
        let peer = keypair.public().to_peer_id();
        let transport = MemoryTransport::default()
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&keypair).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let behaviour = ServerBehaviour {
            relay: relay::Behaviour::new(peer, relay::Config::default()),
        };
        let mut swarm = Swarm::new(transport, behaviour, peer, config_of_swarm());
        let address = Multiaddr::from(Protocol::Memory(NEXT.fetch_add(1, Ordering::Relaxed)));
        swarm.listen_on(address.clone()).unwrap();
        swarm.add_external_address(address.clone());
        Self {
            address: address.with(Protocol::P2p(peer)),
            _node: Node::run(swarm),
        }
    }

    pub(crate) fn circuit(&self) -> Multiaddr {
        self.address.clone().with(Protocol::P2pCircuit)
    }

    /// Where `peer` is reached directly.
    pub(crate) fn direct_to(&self, peer: PeerId) -> Multiaddr {
        self.circuit().with(Protocol::WebRTC).with(Protocol::P2p(peer))
    }
}

type Command<B> = Box<dyn FnOnce(&mut Swarm<B>)>;

/// A swarm that runs until this is dropped, and then is gone without a word.
pub(crate) struct Node<B: NetworkBehaviour> {
    pub(crate) peer: PeerId,
    commands: mpsc::UnboundedSender<Command<B>>,
    events: mpsc::UnboundedReceiver<SwarmEvent<B::ToSwarm>>,
    connections: Connections,
}

/// The connections that stand.
type Connections = Rc<RefCell<Vec<(PeerId, ConnectionId, ConnectedPoint)>>>;

impl<B: NetworkBehaviour> Node<B> {
    fn run(mut swarm: Swarm<B>) -> Self {
        let (commands, mut received) = mpsc::unbounded::<Command<B>>();
        let (told, events) = mpsc::unbounded();
        let peer = *swarm.local_peer_id();
        let connections = Connections::default();
        let known = connections.clone();
        spawn_local(async move {
            loop {
                futures::select! {
                    command = received.next() => match command {
                        Some(command) => command(&mut swarm),
                        None => return,
                    },
                    event = swarm.select_next_some() => {
                        note(&mut known.borrow_mut(), &event);
                        drop(told.unbounded_send(event));
                    }
                }
            }
        });
        Self {
            peer,
            commands,
            events,
            connections,
        }
    }

    pub(crate) fn tell(&self, command: impl FnOnce(&mut Swarm<B>) + 'static) {
        self.commands.unbounded_send(Box::new(command)).expect("the node runs");
    }

    pub(crate) async fn ask<T: 'static>(&self, question: impl FnOnce(&mut Swarm<B>) -> T + 'static) -> T {
        let (answer, answered) = futures::channel::oneshot::channel();
        self.tell(|swarm| drop(answer.send(question(swarm))));
        answered.await.expect("the node runs")
    }

    /// The first event that `wanted` makes something of.
    pub(crate) async fn event<T>(&mut self, what: &str, wanted: impl Fn(SwarmEvent<B::ToSwarm>) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.next().await.expect("the node runs");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        within(what, found).await
    }
}

fn note<E>(known: &mut Vec<(PeerId, ConnectionId, ConnectedPoint)>, event: &SwarmEvent<E>) {
    match event {
        SwarmEvent::ConnectionEstablished {
            peer_id,
            connection_id,
            endpoint,
            ..
        } => known.push((*peer_id, *connection_id, endpoint.clone())),
        SwarmEvent::ConnectionClosed { connection_id, .. } => known.retain(|(_, id, _)| id != connection_id),
        _ => {}
    }
}

/// A client of a relay.
pub(crate) struct Client {
    pub(crate) node: Node<Behaviour>,
    pub(crate) streams: libp2p_stream::Control,
}

impl Client {
    pub(crate) fn start() -> Self {
        Self::with_config(Config::default())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let keypair = Keypair::generate_ed25519();
        let peer = keypair.public().to_peer_id();
        let (circuits, relay) = relay::client::new(peer);
        let (direct, webrtc) = libp2p_webrtc_browser::new(peer, config);
        let relayed = OrTransport::new(circuits, MemoryTransport::default())
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&keypair).unwrap())
            .multiplex(yamux::Config::default());
        let direct = direct.map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
        let transport = OrTransport::new(direct, relayed)
            .map(|either, _| match either {
                futures::future::Either::Left((peer, muxer)) => (peer, muxer),
                futures::future::Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
            })
            .boxed();
        let streams = libp2p_stream::Behaviour::new();
        let control = streams.new_control();
        let behaviour = Behaviour {
            server: relay::Behaviour::new(peer, relay::Config::default()),
            relay,
            webrtc,
            streams,
        };
        Self {
            node: Node::run(Swarm::new(transport, behaviour, peer, config_of_swarm())),
            streams: control,
        }
    }

    /// A client that can be dialled through `relay`, and where.
    pub(crate) async fn listening(relay: &Relay) -> (Self, Multiaddr) {
        let mut client = Self::start();
        client.listen(relay.circuit());
        client.listen(Protocol::WebRTC.into());
        let address = client.announced().await;
        (client, address)
    }

    pub(crate) fn listen(&self, address: Multiaddr) {
        self.node.tell(|swarm| {
            swarm.listen_on(address).unwrap();
        });
    }

    /// The next address that is announced with `/webrtc`.
    pub(crate) async fn announced(&mut self) -> Multiaddr {
        self.node
            .event("a listen address", |event| match event {
                SwarmEvent::NewListenAddr { address, .. } => {
                    address.iter().any(|part| part == Protocol::WebRTC).then_some(address)
                }
                _ => None,
            })
            .await
    }

    /// Dials, whatever stands or is dialled already.
    pub(crate) fn dial(&self, address: Multiaddr) {
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            panic!("{address}");
        };
        let dial = DialOpts::peer_id(peer)
            .addresses(vec![address])
            .condition(PeerCondition::Always);
        // What the transports refuse at once is an event, too.
        self.node.tell(move |swarm| drop(swarm.dial(dial.build())));
    }

    /// Waits until the node has done what it was told.
    pub(crate) async fn settle(&self) {
        self.node.ask(|_| ()).await;
    }

    /// The connections to `peer` that are direct, or those that are not.
    pub(crate) fn connections(&self, peer: PeerId, direct: bool) -> Vec<ConnectionId> {
        let known = self.node.connections.borrow();
        let known = known
            .iter()
            .filter(|(of, _, endpoint)| *of == peer && is_direct(endpoint) == direct);
        known.map(|(_, id, _)| *id).collect()
    }

    /// The end of a connection to `peer`, and why.
    pub(crate) async fn closed(&mut self, peer: PeerId, direct: bool) -> Option<String> {
        self.node
            .event("the end of a connection", |event| match event {
                SwarmEvent::ConnectionClosed {
                    peer_id,
                    endpoint,
                    cause,
                    ..
                } if peer_id == peer && is_direct(&endpoint) == direct => Some(cause.map(|cause| format!("{cause:?}"))),
                _ => None,
            })
            .await
    }

    /// Waits for a circuit to `peer`.
    pub(crate) async fn connected(&mut self, peer: PeerId) {
        self.node
            .event("a circuit", |event| match event {
                SwarmEvent::ConnectionEstablished { peer_id, .. } if peer_id == peer => Some(()),
                _ => None,
            })
            .await;
    }

    /// Becomes reachable through `relay`.
    pub(crate) async fn listen_on_circuit(&mut self, relay: &Relay) {
        self.listen(relay.circuit());
        self.node
            .event("a circuit", |event| match event {
                SwarmEvent::NewListenAddr { .. } => Some(()),
                _ => None,
            })
            .await;
    }

    /// Why the next dial fails that was not the behaviour's own.
    pub(crate) async fn dial_error(&mut self) -> String {
        self.node
            .event("a dial's end", |event| match event {
                SwarmEvent::OutgoingConnectionError {
                    error: DialError::Transport(errors),
                    ..
                } if errors.iter().any(|(address, _)| !is_circuit(address)) => Some(format!("{errors:?}")),
                SwarmEvent::ConnectionEstablished { endpoint, .. } if is_direct(&endpoint) => panic!("{endpoint:?}"),
                _ => None,
            })
            .await
    }

    /// Why the next connection does not come in.
    pub(crate) async fn incoming_error(&mut self) -> String {
        self.node
            .event("the end of an incoming connection", |event| match event {
                SwarmEvent::IncomingConnectionError { error, .. } => Some(format!("{error:?}")),
                SwarmEvent::ConnectionEstablished { endpoint, .. } if is_direct(&endpoint) => panic!("{endpoint:?}"),
                _ => None,
            })
            .await
    }

    pub(crate) async fn external_addresses(&self) -> Vec<Multiaddr> {
        self.node
            .ask(|swarm| swarm.external_addresses().cloned().collect())
            .await
    }

    /// The next direct connection that stands.
    pub(crate) async fn direct(&mut self) -> (PeerId, ConnectionId, ConnectedPoint) {
        self.node
            .event("a direct connection", |event| match event {
                SwarmEvent::ConnectionEstablished {
                    peer_id,
                    connection_id,
                    endpoint,
                    ..
                } if is_direct(&endpoint) => Some((peer_id, connection_id, endpoint)),
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error:?}"),
                _ => None,
            })
            .await
    }
}

/// Two clients that are connected directly, and by nothing else; the first has dialled.
pub(crate) struct Pair {
    pub(crate) dialler: Client,
    pub(crate) listener: Client,
    pub(crate) relay: Relay,
}

impl Pair {
    pub(crate) async fn connect() -> Self {
        let relay = Relay::start();
        let (mut listener, address) = Client::listening(&relay).await;
        let mut dialler = Client::start();
        dialler.dial(address);
        dialler.direct().await;
        listener.direct().await;
        // Streams are opened on any connection; let there be one.
        for circuit in dialler.connections(listener.node.peer, false) {
            dialler.node.tell(move |swarm| assert!(swarm.close_connection(circuit)));
            dialler.closed(listener.node.peer, false).await;
            listener.closed(dialler.node.peer, false).await;
        }
        Self {
            dialler,
            listener,
            relay,
        }
    }

    /// A stream from the dialler to the listener, both its ends.
    pub(crate) async fn stream(&mut self) -> (Stream, Stream) {
        let mut incoming = self.listener.streams.accept(ECHO).expect("one acceptor at a time");
        let (peer, mut control) = (self.listener.node.peer, self.dialler.streams.clone());
        let (ours, theirs) = within(
            "a stream",
            futures::future::join(control.open_stream(peer, ECHO), incoming.next()),
        )
        .await;
        (ours.expect("a stream"), theirs.expect("a stream").1)
    }
}

pub(crate) fn is_direct(endpoint: &ConnectedPoint) -> bool {
    let address = match endpoint {
        ConnectedPoint::Dialer { address, .. } => address,
        ConnectedPoint::Listener { local_addr, .. } => local_addr,
    };
    address.iter().any(|part| part == Protocol::WebRTC) && !is_circuit(address)
}

fn config_of_swarm() -> swarm::Config {
    swarm::Config::with_wasm_executor().with_idle_connection_timeout(Duration::from_secs(60))
}
