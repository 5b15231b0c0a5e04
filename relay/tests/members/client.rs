//! A member, as a relay meets it: a plain libp2p swarm.

use std::time::Duration;

use futures::StreamExt as _;
use gossipstore_relay::{Identity, Limits, Options, Relay};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _,
    core::{ConnectedPoint, transport::OrTransport, upgrade::Version},
    identity::Keypair,
    multiaddr::Protocol,
    noise, relay,
    rendezvous::{self, Cookie, ErrorCode, Namespace},
    swarm::{Config, ConnectionId, NetworkBehaviour, SwarmEvent},
    tcp, websocket, yamux,
};

/// How long anything may take. Far longer than it does: only a failure reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// As long as members register for, in seconds.
pub(crate) const USUAL_SECONDS: u64 = 300;

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    relay: relay::client::Behaviour,
    rendezvous: rendezvous::client::Behaviour,
}

pub(crate) async fn start(limits: Limits) -> (Multiaddr, PeerId) {
    let mut options = Options::new("127.0.0.1:0".parse().unwrap(), Identity::fresh());
    options.limits = limits;
    let relay = Relay::start(options).await.unwrap();
    let (address, peer) = (relay.addresses()[0].clone(), relay.peer_id());
    tokio::spawn(relay.run(std::future::pending()));
    (address, peer)
}

pub(crate) struct Client {
    swarm: Swarm<Behaviour>,
    relay: Multiaddr,
    relay_peer: PeerId,
}

impl Client {
    pub(crate) fn new((relay, relay_peer): &(Multiaddr, PeerId)) -> Self {
        let keypair = Keypair::generate_ed25519();
        let peer = keypair.public().to_peer_id();
        let (circuits, behaviour) = relay::client::new(peer);
        let sockets = websocket::Config::new(tcp::tokio::Transport::default());
        let transport = OrTransport::new(circuits, sockets)
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&keypair).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let behaviour = Behaviour {
            relay: behaviour,
            rendezvous: rendezvous::client::Behaviour::new(keypair),
        };
        let config = Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
        let mut swarm = Swarm::new(transport, behaviour, peer, config);
        swarm.add_external_address("/ip4/127.0.0.1/tcp/1/ws".parse().unwrap());
        Self {
            swarm,
            relay: relay.clone(),
            relay_peer: *relay_peer,
        }
    }

    /// Waits for something.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut seen: impl FnMut(SwarmEvent<BehaviourEvent>) -> Option<T>,
    ) -> T {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = seen(self.swarm.select_next_some().await) {
                    return found;
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// Connects, maybe once more.
    pub(crate) async fn connect(&mut self) -> ConnectionId {
        self.swarm.dial(self.relay.clone()).unwrap();
        self.until("a connection", |event| match event {
            SwarmEvent::ConnectionEstablished {
                endpoint: ConnectedPoint::Dialer { .. },
                connection_id,
                ..
            } => Some(connection_id),
            _ => None,
        })
        .await
    }

    /// Closes one connection.
    pub(crate) async fn close(&mut self, connection: ConnectionId) {
        assert!(self.swarm.close_connection(connection));
        self.until("the end of a connection", |event| match event {
            SwarmEvent::ConnectionClosed { connection_id, .. } if connection_id == connection => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) fn peer(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    /// Registers. Gives the seconds for which it is registered.
    pub(crate) async fn register(&mut self, namespace: &str, seconds: Option<u64>) -> Result<u64, ErrorCode> {
        use rendezvous::client::Event;
        let rendezvous = &mut self.swarm.behaviour_mut().rendezvous;
        rendezvous.register(named(namespace), self.relay_peer, seconds).unwrap();
        self.until("an answer", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(Event::Registered { ttl, .. })) => Some(Ok(ttl)),
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(Event::RegisterFailed { error, .. })) => Some(Err(error)),
            _ => None,
        })
        .await
    }

    /// Registers as members do, which is not refused.
    pub(crate) async fn register_as_usual(&mut self, namespace: &str) {
        assert_eq!(self.register(namespace, Some(USUAL_SECONDS)).await, Ok(USUAL_SECONDS));
    }

    /// Ends a registration, which is not answered.
    pub(crate) fn unregister(&mut self, namespace: &str) {
        let rendezvous = &mut self.swarm.behaviour_mut().rendezvous;
        rendezvous.unregister(named(namespace), self.relay_peer);
    }

    /// Asks who is registered in a namespace, or in any. Gives those who are, and the cookie.
    pub(crate) async fn discover(
        &mut self,
        namespace: Option<&str>,
        cookie: Option<&Cookie>,
        limit: Option<u64>,
    ) -> Result<(Vec<PeerId>, Cookie), ErrorCode> {
        use rendezvous::client::Event;
        let rendezvous = &mut self.swarm.behaviour_mut().rendezvous;
        rendezvous.discover(namespace.map(named), cookie.cloned(), limit, self.relay_peer);
        self.until("an answer", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(Event::Discovered {
                registrations, cookie, ..
            })) => {
                let peers = registrations.iter().map(|registration| registration.record.peer_id());
                Some(Ok((peers.collect(), cookie)))
            }
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(Event::DiscoverFailed { error, .. })) => Some(Err(error)),
            _ => None,
        })
        .await
    }

    /// Who is registered in a namespace.
    pub(crate) async fn find(&mut self, namespace: &str) -> Vec<PeerId> {
        self.discover(Some(namespace), None, None).await.unwrap().0
    }

    /// Asks for a reservation. Says whether it was given, and if so whether it renewed another.
    pub(crate) async fn reserve(&mut self) -> Option<bool> {
        use relay::client::Event;
        self.swarm
            .listen_on(self.relay.clone().with(Protocol::P2pCircuit))
            .unwrap();
        self.until("an answer", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(Event::ReservationReqAccepted { renewal, .. })) => {
                Some(Some(renewal))
            }
            SwarmEvent::ListenerClosed { reason: Err(_), .. } => Some(None),
            _ => None,
        })
        .await
    }
}

/// Newcomers ask until they find these in a namespace, and nobody else: a relay notices that somebody has gone when it
/// gets to it. Members register for longer than this has patience.
pub(crate) async fn until_found(relay: &(Multiaddr, PeerId), namespace: &str, expected: &[PeerId]) {
    let asked = async {
        loop {
            // One each time, as nobody may ask so often.
            let mut newcomer = Client::new(relay);
            newcomer.connect().await;
            let found = newcomer.discover(Some(namespace), None, None).await;
            if found.is_ok_and(|(found, _)| found == expected) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .expect("those who are there are found, and they alone");
}

fn named(namespace: &str) -> Namespace {
    Namespace::new(namespace.to_owned()).unwrap()
}
