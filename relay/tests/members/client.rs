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
    rendezvous::{self, ErrorCode, Namespace},
    swarm::{Config, NetworkBehaviour, SwarmEvent},
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

    pub(crate) async fn connect(&mut self) {
        self.swarm.dial(self.relay.clone()).unwrap();
        self.until("a connection", |event| {
            matches!(
                event,
                SwarmEvent::ConnectionEstablished {
                    endpoint: ConnectedPoint::Dialer { .. },
                    ..
                }
            )
            .then_some(())
        })
        .await;
    }

    /// Registers; nothing when the relay hangs up.
    pub(crate) async fn register(&mut self, seconds: u64) -> Option<Result<u64, ErrorCode>> {
        use rendezvous::client::Event;
        let namespace = Namespace::from_static("store");
        let rendezvous = &mut self.swarm.behaviour_mut().rendezvous;
        rendezvous.register(namespace, self.relay_peer, Some(seconds)).unwrap();
        self.until("an answer", |event| match event {
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(Event::Registered { ttl, .. })) => Some(Some(Ok(ttl))),
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(Event::RegisterFailed { error, .. })) => {
                Some(Some(Err(error)))
            }
            SwarmEvent::ConnectionClosed { .. } => Some(None),
            _ => None,
        })
        .await
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
