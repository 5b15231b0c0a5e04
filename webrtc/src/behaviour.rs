//! Which circuits stand and are listened on, and who is to be met on them.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use either::Either;
use futures::{StreamExt as _, channel::mpsc};
use libp2p_core::{Endpoint, Multiaddr, transport::PortUse, util::unreachable};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, DialFailure, ExpiredListenAddr, FromSwarm, NetworkBehaviour, NewListenAddr,
    NotifyHandler, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    behaviour::{ConnectionClosed, ConnectionEstablished},
    dial_opts::{DialOpts, PeerCondition},
    dummy,
};

use crate::{
    address::{announced, is_circuit},
    error::Error,
    handler::{Handler, Incoming, Open},
    request::{DialRequest, NOTICES_MAX, Notice, Request},
};

/// Arranges direct connections on circuits; see [the crate](crate). It has no events of its own: what comes of it are the
/// swarm's, of connections and addresses.
pub struct Behaviour {
    local: PeerId,
    requests: mpsc::Receiver<Request>,
    /// The circuits that stand, by peer. Any will do to meet on.
    circuits: HashMap<PeerId, Vec<ConnectionId>>,
    /// The circuits that are dialled, and who waits for them.
    dialling: HashMap<ConnectionId, Dialling>,
    /// Where this peer can be dialled directly, whether somebody listens or not.
    addresses: Vec<Multiaddr>,
    listener: Option<Listener>,
    /// Whether there is a listener, for the handlers.
    listening: Arc<AtomicBool>,
    actions: VecDeque<ToSwarm<Infallible, Open>>,
}

struct Dialling {
    peer: PeerId,
    requests: Vec<DialRequest>,
}

/// The transport, once it listens.
struct Listener {
    notices: mpsc::Sender<Notice>,
    /// What it has not taken yet: addresses, of which there are as many as the swarm listens on, and a few streams.
    backlog: VecDeque<Notice>,
}

impl Behaviour {
    pub(crate) fn new(local: PeerId, requests: mpsc::Receiver<Request>) -> Self {
        Self {
            local,
            requests,
            circuits: HashMap::new(),
            dialling: HashMap::new(),
            addresses: Vec::new(),
            listener: None,
            listening: Arc::default(),
            actions: VecDeque::new(),
        }
    }

    fn dial(&mut self, request: DialRequest) {
        let DialRequest { to, answer } = request;
        if let Some(connection) = self.circuits.get(&to.peer).and_then(|circuits| circuits.first()) {
            self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id: to.peer,
                handler: NotifyHandler::One(*connection),
                event: Open(answer),
            });
            return;
        }
        if let Some(dialling) = self.dialling.values_mut().find(|dialling| dialling.peer == to.peer) {
            dialling.requests.push(DialRequest { to, answer });
            return;
        }
        let Some(circuit) = to.circuit.clone() else {
            let reason = "none stands, and the address names no relay to reach it through".to_owned();
            let _ = answer.send(Err(Error::NoCircuit { peer: to.peer, reason }));
            return;
        };
        let dial = DialOpts::peer_id(to.peer)
            .addresses(vec![circuit])
            // This is part of a dial of the same peer.
            .condition(PeerCondition::Always)
            .build();
        let dialling = Dialling {
            peer: to.peer,
            requests: vec![DialRequest { to, answer }],
        };
        self.dialling.insert(dial.connection_id(), dialling);
        self.actions.push_back(ToSwarm::Dial { opts: dial });
    }

    fn listen(&mut self, notices: mpsc::Sender<Notice>) {
        let backlog = self.addresses.iter().cloned().map(Notice::NewAddress).collect();
        self.listener = Some(Listener { notices, backlog });
        self.listening.store(true, Ordering::Relaxed);
        let confirmed = self.addresses.iter().cloned().map(ToSwarm::ExternalAddrConfirmed);
        self.actions.extend(confirmed);
    }

    fn unlisten(&mut self) {
        self.listener = None;
        self.listening.store(false, Ordering::Relaxed);
        let expired = self.addresses.iter().cloned().map(ToSwarm::ExternalAddrExpired);
        self.actions.extend(expired);
    }

    fn add_address(&mut self, circuit: &Multiaddr) {
        let Some(address) = announced(circuit, self.local) else {
            return;
        };
        if self.addresses.contains(&address) {
            return;
        }
        self.addresses.push(address.clone());
        if let Some(listener) = &mut self.listener {
            listener.backlog.push_back(Notice::NewAddress(address.clone()));
            self.actions.push_back(ToSwarm::ExternalAddrConfirmed(address));
        }
    }

    fn remove_address(&mut self, circuit: &Multiaddr) {
        let Some(address) = announced(circuit, self.local) else {
            return;
        };
        let count = self.addresses.len();
        self.addresses.retain(|known| *known != address);
        if self.addresses.len() == count {
            return;
        }
        if let Some(listener) = &mut self.listener {
            listener.backlog.push_back(Notice::AddressExpired(address.clone()));
            self.actions.push_back(ToSwarm::ExternalAddrExpired(address));
        }
    }

    /// Those who wait for this circuit, once it stands.
    fn handler(&mut self, connection: ConnectionId) -> THandler<Self> {
        let waiting = self.dialling.remove(&connection).into_iter();
        let answers = waiting
            .flat_map(|dialling| dialling.requests)
            .map(|request| request.answer);
        Either::Left(Handler::new(self.listening.clone(), answers))
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Either<Handler, dummy::ConnectionHandler>;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        local_address: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !is_circuit(local_address) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        Ok(self.handler(connection))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !is_circuit(address) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        Ok(self.handler(connection))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) if is_circuit(endpoint_address(endpoint)) => {
                self.circuits.entry(peer_id).or_default().push(connection_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id, connection_id, ..
            }) => {
                if let Some(circuits) = self.circuits.get_mut(&peer_id) {
                    circuits.retain(|id| *id != connection_id);
                    if circuits.is_empty() {
                        self.circuits.remove(&peer_id);
                    }
                }
            }
            FromSwarm::DialFailure(DialFailure {
                connection_id, error, ..
            }) => {
                let Some(Dialling { peer, requests }) = self.dialling.remove(&connection_id) else {
                    return;
                };
                for request in requests {
                    let reason = error.to_string();
                    let _ = request.answer.send(Err(Error::NoCircuit { peer, reason }));
                }
            }
            FromSwarm::NewListenAddr(NewListenAddr { addr, .. }) => self.add_address(addr),
            FromSwarm::ExpiredListenAddr(ExpiredListenAddr { addr, .. }) => self.remove_address(addr),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, from: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        let Incoming(stream) = match event {
            Either::Left(incoming) => incoming,
            Either::Right(never) => unreachable(never),
        };
        match &mut self.listener {
            Some(listener) if listener.backlog.len() < NOTICES_MAX => {
                listener.backlog.push_back(Notice::Incoming { from, stream });
            }
            _ => tracing::debug!(%from, "nobody listens or too many want to meet; the signalling stream is reset"),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Poll::Ready(action.map_in(Either::Left));
            }
            if let Some(listener) = &mut self.listener {
                match listener.poll(cx) {
                    Ok(()) => {}
                    Err(_) => {
                        self.unlisten();
                        continue;
                    }
                }
            }
            match self.requests.poll_next_unpin(cx) {
                Poll::Ready(Some(Request::Dial(request))) => self.dial(request),
                Poll::Ready(Some(Request::Listen(notices))) => self.listen(notices),
                // The transport is gone and its swarm with it, or there is nothing to do.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Listener {
    /// Hands on what it can. An error says that nobody takes it any more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), mpsc::SendError> {
        while self.notices.poll_ready(cx)?.is_ready() {
            let Some(notice) = self.backlog.pop_front() else {
                break;
            };
            self.notices.start_send(notice)?;
        }
        Ok(())
    }
}

/// What tells a circuit: the address that was dialled, or the one that it came in at.
fn endpoint_address(endpoint: &libp2p_core::ConnectedPoint) -> &Multiaddr {
    match endpoint {
        libp2p_core::ConnectedPoint::Dialer { address, .. } => address,
        libp2p_core::ConnectedPoint::Listener { local_addr, .. } => local_addr,
    }
}
