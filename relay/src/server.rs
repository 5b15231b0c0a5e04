//! The relay's swarm and its loop.

use std::{
    error::Error,
    fmt, io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _, TransportError, connection_limits,
    core::upgrade::Version,
    identify,
    identity::Keypair,
    multiaddr::Protocol,
    noise, ping, relay, request_response,
    swarm::{Config, ListenError, NetworkBehaviour, SwarmEvent},
    tcp, websocket, yamux,
};

use crate::{
    addresses::Addresses,
    identity::Identity,
    limits::{Limits, WEBSOCKET_MESSAGE_BYTES_MAX},
    places::Places,
    refusals::{Refusals, TOLD_EVERY},
    rendezvous::{self, Rendezvous},
};

/// How often and how patiently members are pinged. One that vanished without a word keeps its place until the second
/// ping in a row has gone unanswered, and until then circuits to it lead nowhere, also when it has long come back.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection may take until it is secured and multiplexed.
const SETUP_PATIENCE: Duration = Duration::from_secs(15);

/// After how long a connection without reservation, circuit or request is closed.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);

/// How long a relay that stops waits for its connections to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// What a relay is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen for WebSockets. Port 0 takes a free one.
    pub listen_ws: Vec<SocketAddr>,
    /// Who the relay is.
    pub identity: Identity,
    /// Addresses under which it can be reached from elsewhere, for instance through a proxy that adds TLS, without
    /// `/p2p`.
    pub external: Vec<Multiaddr>,
    /// How much it does for others.
    pub limits: Limits,
}

impl Options {
    /// A relay on one address, with the usual limits.
    pub fn new(listen_ws: SocketAddr, identity: Identity) -> Self {
        Self {
            listen_ws: vec![listen_ws],
            identity,
            external: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Why a relay did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An address could not be listened on: it is taken, or not this machine's.
    Listen {
        /// Which address.
        address: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// No address to listen on was given.
    NoAddress,
    /// The transport could not be made.
    Transport {
        /// What was wrong.
        error: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "cannot listen on {address}: it is taken; stop what listens there or choose another port"
                )
            }
            Self::Listen { address, error } => write!(f, "cannot listen on {address}: {error}"),
            Self::NoAddress => write!(f, "there is no address to listen on; give at least one"),
            Self::Transport { error } => write!(f, "cannot set up the transport: {error}"),
        }
    }
}

impl Error for StartError {}

#[derive(NetworkBehaviour)]
struct Behaviour {
    /// First, so that a connection over the limit leaves no trace in the others.
    limits: connection_limits::Behaviour,
    addresses: Addresses,
    relay: relay::Behaviour,
    rendezvous: rendezvous::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A relay that listens.
pub struct Relay {
    swarm: Swarm<Behaviour>,
    addresses: Vec<Multiaddr>,
    places: Places,
    rendezvous: Rendezvous,
    refused: Refusals,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Listens. Members can connect from now on and are answered once it runs.
    ///
    /// # Errors
    /// When it cannot listen on one of its addresses.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let keypair = options.identity.into_keypair();
        let places = Places::new(options.limits.reservations);
        let mut swarm = build(&keypair, &options.limits, &places).map_err(|error| StartError::Transport { error })?;
        for &address in &options.listen_ws {
            swarm
                .listen_on(websocket_address(address))
                .map_err(|error| StartError::Listen {
                    address,
                    error: match error {
                        TransportError::Other(error) => error_beneath(error),
                        other => io::Error::other(other),
                    },
                })?;
        }
        let first = *options.listen_ws.first().ok_or(StartError::NoAddress)?;
        let mut relay = Self {
            swarm,
            addresses: Vec::new(),
            places,
            rendezvous: Rendezvous::new(options.limits.registrations()),
            refused: Refusals::default(),
        };
        // Reservations carry these addresses; without any, members could not use them.
        options
            .external
            .into_iter()
            .for_each(|address| relay.swarm.add_external_address(address));

        // The first address needs waiting for; an address that stands for several is told as several, all there by
        // then.
        while relay.addresses.is_empty() {
            match relay.swarm.next().await {
                Some(SwarmEvent::ListenerClosed { reason: Err(error), .. }) => {
                    return Err(StartError::Listen { address: first, error });
                }
                Some(event) => relay.on_event(event),
                None => unreachable!("a swarm never ends"),
            }
        }
        while let Some(Some(event)) = relay.swarm.next().now_or_never() {
            relay.on_event(event);
        }
        Ok(relay)
    }

    /// Who the relay is.
    pub fn peer_id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    /// The full addresses, identity included, that it listens on at the moment.
    pub fn addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }

    /// Serves until `stop` is done, then closes all connections, so that members notice at once.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut told = tokio::time::interval(TOLD_EVERY);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                _ = told.tick() => {
                    if let Some(refused) = self.refused.take() {
                        tracing::info!("refused in the last minute: {refused}");
                    }
                }
                () = &mut stop => break,
            }
        }
        for peer in self.swarm.connected_peers().copied().collect::<Vec<_>>() {
            // It is in the list of the connected.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(CLOSE_PATIENCE, closed).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                let full = with_identity(address.clone(), self.peer_id());
                tracing::info!(address = %full, "listening");
                self.swarm.add_external_address(address);
                self.addresses.push(full);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let full = with_identity(address.clone(), self.peer_id());
                self.swarm.remove_external_address(&address);
                self.addresses.retain(|listening| *listening != full);
            }
            SwarmEvent::ListenerClosed { reason: Err(error), .. } | SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener failed");
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr, error, ..
            } => {
                self.refused.connections += u64::from(matches!(error, ListenError::Denied { .. }));
                tracing::debug!(from = %send_back_addr, %error, "a connection failed");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(error),
            })) if !matches!(error, ping::Failure::Unsupported) => {
                tracing::debug!(%peer, %error, "a connection is dead");
                self.swarm.close_connection(connection);
            }
            SwarmEvent::ConnectionEstablished { peer_id, .. } => self.rendezvous.connected(peer_id, Instant::now()),
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => {
                self.places.free(&peer_id);
                self.rendezvous.disconnected(&peer_id);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Rendezvous(request_response::Event::Message {
                peer,
                message: request_response::Message::Request { request, channel, .. },
                ..
            })) => {
                if let Some(response) = self.rendezvous.answer(peer, request, Instant::now()) {
                    self.refused.requests += u64::from(response.is_refusal());
                    // Who has gone in the meantime needs none.
                    let _ = self.swarm.behaviour_mut().rendezvous.send_response(channel, response);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => {
                match event {
                    relay::Event::ReservationReqDenied { .. } => self.refused.reservations += 1,
                    relay::Event::CircuitReqDenied { .. } => self.refused.circuits += 1,
                    _ => {}
                }
                tracing::debug!(?event, "circuits");
            }
            event => tracing::trace!(?event, "network"),
        }
    }
}

fn build(keypair: &Keypair, limits: &Limits, places: &Places) -> io::Result<Swarm<Behaviour>> {
    let peer = keypair.public().to_peer_id();
    let mut sockets = websocket::Config::new(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true)));
    sockets.set_max_data_size(WEBSOCKET_MESSAGE_BYTES_MAX);
    let transport = sockets
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).map_err(io::Error::other)?)
        .multiplex(yamux::Config::default())
        .timeout(SETUP_PATIENCE)
        .boxed();
    let identify = identify::Config::new("/gossipstore/1".into(), keypair.public())
        .with_agent_version(concat!("gossipstore-relay/", env!("CARGO_PKG_VERSION")).into());
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits.connections()),
        addresses: Addresses::new(limits.connections_per_address),
        relay: relay::Behaviour::new(peer, limits.relay(places)),
        rendezvous: rendezvous::behaviour(),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(PING_EVERY)
                .with_timeout(PING_PATIENCE),
        ),
    };
    let config = Config::with_tokio_executor().with_idle_connection_timeout(IDLE_PATIENCE);
    Ok(Swarm::new(transport, behaviour, peer, config))
}

fn websocket_address(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip())
        .with(Protocol::Tcp(address.port()))
        .with(Protocol::Ws("/".into()))
}

fn with_identity(address: Multiaddr, peer: PeerId) -> Multiaddr {
    address.with_p2p(peer).unwrap_or_else(|address| address)
}

/// Layers of transports wrap the system's error in their own; its kind is what a person can act on.
fn error_beneath(error: io::Error) -> io::Error {
    let mut cause: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = cause {
        if let Some(system) = inner.downcast_ref::<io::Error>() {
            match system.raw_os_error() {
                Some(code) => return io::Error::from_raw_os_error(code),
                None => cause = system.get_ref().map(|inner| inner as _),
            }
        } else {
            cause = inner.source();
        }
    }
    error
}
