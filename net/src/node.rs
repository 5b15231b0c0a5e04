//! The loop that joins the replica, the swarm and the clock.

use std::{collections::HashSet, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use futures::StreamExt as _;
use gossipstore_core::{
    id::Peer,
    replica::{Input, Replica},
    time::Timestamp,
    wire::{Frame, Gossip},
};
use libp2p::{
    PeerId, Swarm,
    gossipsub::MessageAcceptance,
    relay, rendezvous,
    swarm::{
        ListenError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use rand::{
    SeedableRng as _,
    rngs::{SmallRng, StdRng},
};

use crate::{
    address,
    behaviour::{Behaviour, BehaviourEvent},
    breath::Breath,
    cause::{explain_attempt, explain_dial, root_cause},
    clock::Clock,
    direct::{self, Guest},
    discovery::{Discovery, DiscoveryAction, MEMBERS_ASKED},
    drowsy::Drowsy,
    engine::{Engine, Kept, Linked, Outgoing},
    error::OpenError,
    framing::ReadError,
    gossip::GossipEvent,
    handle::Handle,
    introductions::Introduced,
    joining::{Heard, Joining, Ready},
    keeper::{Keeper, Written},
    link::LinkError,
    links::{LinkEvent, NotLetIn},
    liveness::{Liveness, LivenessAction},
    names::Names,
    numbers::Numbers,
    opening::{Checked, refused},
    pings::{Answer, PingEvent},
    places::Places,
    relays::{RelayAction, Relays},
    status::Path,
    storage::StorageError,
    swarm,
    timer::Timer,
    transport,
    upgrades::Upgrades,
    values::Loads,
};

/// How many messages are gossiped in one turn, so that what a program has written in one go leaves the members' queues
/// while more of it is put in.
const BROADCASTS_PER_TURN: usize = 64;

/// How long a node that is closed still carries what was written last and says good-bye to its relays.
const FAREWELL: Duration = Duration::from_millis(150);

/// How long it then waits for its connections to close.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

/// Puts a node together.
#[cfg_attr(
    target_arch = "wasm32",
    allow(
        clippy::arc_with_non_send_sync,
        reason = "a tab has one thread, and its storage is bound to it"
    )
)]
pub(crate) fn start(
    options: Checked,
    replica: Replica,
    clock: Clock,
    kept: Option<(Keeper, Kept)>,
) -> Result<(Node, Handle), OpenError> {
    let shown_relays = options.shown_relays();
    let (invitation, addresses) = (options.invitation, options.relays);
    let secret = &invitation.secret;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| refused(&error))?;
    let mut random = StdRng::from_seed(seed);
    let relay_ids = addresses.iter().map(|address| address.peer).collect::<HashSet<_>>();
    let mut swarm = swarm::build(secret, &mut random, relay_ids, options.ice).map_err(|error| refused(&error))?;
    let unable = direct::listen(&mut swarm).err();
    let (keeper, kept) = kept.unzip();
    let engine = Arc::new(Engine::new(replica, clock, kept, shown_relays));
    let now = engine.now();
    let node = Node {
        names: Names::new(secret.topics()),
        discovery: Discovery::new(*swarm.local_peer_id()),
        upgrades: Upgrades::new(*swarm.local_peer_id(), unable),
        places: Places::default(),
        liveness: Liveness::default(),
        relays: Relays::new(addresses, now),
        keeper,
        loads: Loads::default(),
        engine: engine.clone(),
        swarm: Drowsy::new(swarm),
        joining: Joining::default(),
        numbers: Numbers::default(),
        random: SmallRng::from_rng(&mut random),
        timer: Timer::default(),
        breath: Breath::default(),
        attend: true,
    };
    Ok((node, Handle::new(engine, invitation)))
}

/// The future that carries a store's data to others and brings theirs. Dropping it leaves the network without a word
/// and closes the store.
pub struct Node {
    engine: Arc<Engine>,
    swarm: Drowsy<Swarm<Behaviour>>,
    names: Names,
    relays: Relays,
    discovery: Discovery,
    upgrades: Upgrades,
    places: Places,
    liveness: Liveness,
    keeper: Option<Keeper>,
    loads: Loads,
    joining: Joining,
    numbers: Numbers,
    random: SmallRng,
    timer: Timer,
    breath: Breath,
    /// Whether something happened that relays or discovery may have to act on.
    attend: bool,
}

/// What the loop was woken by.
enum Woken {
    Network(Box<SwarmEvent<BehaviourEvent>>),
    /// The storage has done what it was given.
    Storage(Written),
    /// A caller gave work, or the time has come: [`Node::act`] finds out.
    Other,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("peer", self.swarm.local_peer_id())
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.engine.ended();
    }
}

impl Node {
    /// Runs until the store is closed.
    pub async fn run(mut self) {
        // Opening was long work itself, and a page's first tasks are its longest.
        self.breath.draw();
        while !self.engine.is_closing() {
            match self.woken(false).await {
                Woken::Network(event) => self.on_network(*event),
                Woken::Storage(written) => self.on_written(written),
                Woken::Other => {}
            }
            self.act();
        }
        if self.engine.is_superseded() {
            return;
        }
        self.leave().await;
        self.keep_all().await;
    }

    /// Waits for something to do. When there is work left, others get their turn first and then one event of the
    /// network: long work keeps neither the page nor the network waiting.
    async fn woken(&mut self, leaving: bool) -> Woken {
        let work_left = self.breath.is_drawing();
        poll_fn(|cx| {
            if self.breath.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(keeper) = &mut self.keeper
                && let Poll::Ready(written) = keeper.poll(cx, || self.engine.now())
            {
                return Poll::Ready(Woken::Storage(written));
            }
            if let Poll::Ready((whom, loaded)) = self.loads.poll(cx) {
                self.engine.loaded(whom, loaded);
                return Poll::Ready(Woken::Other);
            }
            // Before the network, so that whoever waits for it waits for nothing else.
            let is_free = self.keeper.as_ref().is_some_and(Keeper::is_free);
            if !work_left && is_free && self.engine.has_unkept() {
                return Poll::Ready(Woken::Other);
            }
            if let Poll::Ready(event) = self.swarm.poll_next_unpin(cx) {
                return Poll::Ready(Woken::Network(Box::new(event.expect("a swarm never ends"))));
            }
            if work_left || self.engine.poll_work(cx, leaving) || self.timer.poll(cx).is_ready() {
                return Poll::Ready(Woken::Other);
            }
            Poll::Pending
        })
        .await
    }

    /// Does everything that is due.
    fn act(&mut self) {
        let now = self.engine.now();
        if self.engine.timeout().is_some_and(|at| at <= now) {
            self.engine.feed(Input::Tick);
        }
        self.find_faults();
        if self.engine.has_network_changed() {
            self.attend = true;
            self.liveness.woke(now);
            self.relays.hurry(now);
            self.discovery.hurry(now);
        }
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if std::mem::take(&mut self.attend)
            || due(self.relays.timeout())
            || due(self.discovery.timeout())
            || due(self.upgrades.timeout())
            || due(self.places.timeout())
            || due(self.joining.timeout())
        {
            self.relays.tick(now, &mut self.random);
            while let Some(action) = self.relays.next_action() {
                self.act_on_relay(action, now);
            }
            for action in self.discovery.tick(now, &mut self.random) {
                self.act_on_discovery(action, now);
            }
            for member in self.upgrades.due(now) {
                self.upgrade(member, now);
            }
            for member in self.places.due(now) {
                self.ask_for_place(member, now);
            }
            self.give_up_joining(now);
            for connection in self.joining.rested(now) {
                self.swarm.behaviour_mut().links.read(connection);
            }
            self.show();
        }
        if due(self.liveness.timeout()) {
            for action in self.liveness.tick(now) {
                self.act_on_liveness(action);
            }
        }
        self.keep(now);
        self.carry();
        let work_left = self.engine.has_work_left();
        if work_left {
            self.breath.draw();
        }
        let times = [
            self.engine.timeout().filter(|_| !work_left),
            self.relays.timeout(),
            self.discovery.timeout(),
            self.upgrades.timeout(),
            self.places.timeout(),
            self.liveness.timeout(),
            self.joining.timeout(),
            self.tidying_at(),
            self.keeper.as_ref().and_then(Keeper::again_at),
        ];
        self.timer.set(times.into_iter().flatten().min(), now);
    }

    /// Gives the storage its next transaction, if it has none and there is something to keep or to tidy up, and has it read what is
    /// wanted. What is long is made ready for it in several turns.
    fn keep(&mut self, now: Timestamp) {
        if let Some(keeper) = &mut self.keeper {
            if self.engine.prepare() {
                keeper.begin(now, |leisure| self.engine.next_transaction(leisure));
            } else {
                self.breath.draw();
            }
        }
        self.loads.begin(self.engine.take_loads());
    }

    /// When the storage is to be tidied up.
    fn tidying_at(&self) -> Option<Timestamp> {
        self.keeper.as_ref()?.idle_at().filter(|_| self.engine.is_untidy())
    }

    fn on_written(&mut self, Written { last, result }: Written) {
        match result {
            Ok(()) => self.engine.kept(last),
            Err(StorageError::Superseded) => self.engine.supersede(),
            Err(error) => {
                tracing::warn!(%error, "the storage failed");
                let is_gone = matches!(error, StorageError::Gone { .. });
                self.engine.not_kept(&error);
                if is_gone {
                    (self.keeper, self.loads) = (None, Loads::default());
                }
            }
        }
    }

    /// Waits until all that was written is kept.
    async fn keep_all(&mut self) {
        loop {
            self.keep(self.engine.now());
            if self.breath.is_drawing() {
                self.breath.take().await;
                continue;
            }
            let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.is_writing()) else {
                return;
            };
            let written = poll_fn(|cx| keeper.poll(cx, || self.engine.now())).await;
            self.on_written(written);
            if !self.engine.has_unkept() {
                return;
            }
        }
    }

    /// Carries what the replica wants sent, as much of it as belongs in one turn.
    fn carry(&mut self) {
        let mut broadcasts = 0;
        while let Some(outgoing) = self.engine.next_outgoing() {
            match outgoing {
                Outgoing::Send { peer, frame } => {
                    if let Some(connection) = self.joining.connection_of(peer) {
                        self.engine
                            .note_peer(peer, |linked| linked.bytes_out += frame.len() as u64);
                        self.swarm.behaviour_mut().links.send(connection, frame);
                    }
                }
                Outgoing::Broadcast { message } => {
                    self.engine.note_published(message.len());
                    self.swarm.behaviour_mut().gossip.inner.publish(&message);
                    broadcasts += 1;
                    if broadcasts == BROADCASTS_PER_TURN {
                        self.breath.draw();
                        return;
                    }
                }
            }
        }
    }

    fn act_on_relay(&mut self, action: RelayAction, now: Timestamp) {
        match action {
            RelayAction::Dial(address) => {
                let dial = DialOpts::peer_id(address.peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(vec![address.dial])
                    .build();
                self.relays.dialling(&address.peer, dial.connection_id());
                if let Err(error) = self.swarm.dial(dial) {
                    self.relays
                        .failed(&address.peer, explain_dial(&error), now, &mut self.random);
                }
            }
            RelayAction::Reserve(address) => match self.swarm.listen_on(address.circuit()) {
                Ok(listener) => self.relays.reserving(&address.peer, listener),
                Err(error) => self
                    .relays
                    .failed(&address.peer, root_cause(&error), now, &mut self.random),
            },
            RelayAction::Release(listener) => {
                self.swarm.remove_listener(listener);
            }
            RelayAction::HangUp(peer) => {
                // Not being connected any more is what was wanted.
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            RelayAction::Reached(peer) => self.discovery.relay_reached(peer, now),
            RelayAction::Ready(peer) => self.discovery.relay_ready(peer, now),
            RelayAction::Gone(peer) => {
                self.names.forget(&peer);
                self.discovery.relay_gone(&peer);
            }
        }
    }

    fn act_on_discovery(&mut self, action: DiscoveryAction, now: Timestamp) {
        let registrar = &mut self.swarm.behaviour_mut().registrar.inner;
        match action {
            DiscoveryAction::Register { relay, seconds } => {
                let [today, _] = self.names.around(now);
                if let Err(error) = registrar.register(today, relay, seconds) {
                    // Without a circuit address there is nothing to register: the relay told none with the reservation.
                    let unavailable = rendezvous::ErrorCode::Unavailable;
                    self.discovery
                        .register_failed(&relay, unavailable, now, &mut self.random);
                    self.relays
                        .note(&relay, Some(format!("members cannot be told how to reach us: {error}")));
                }
            }
            DiscoveryAction::Discover { relay } => {
                for (name, cookie) in self.names.questions(relay, now) {
                    registrar.discover(Some(name), cookie, Some(MEMBERS_ASKED), relay);
                }
            }
            DiscoveryAction::Part { member } => {
                // Not being connected any more is what was wanted.
                let _ = self.swarm.disconnect_peer_id(member);
            }
            DiscoveryAction::Dial { member, through } => {
                let circuits = through.iter().map(|place| match self.relays.address(place) {
                    Some(relay) => relay.circuit_to(member),
                    None => address::circuit_through(*place, member),
                });
                let dial = DialOpts::peer_id(member)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(circuits.collect())
                    .build();
                if let Err(error) = self.swarm.dial(dial) {
                    tracing::debug!(%member, %error, "a member was not dialled");
                    self.discovery.disconnected(&member, now, &mut self.random);
                }
            }
        }
    }

    fn act_on_liveness(&mut self, action: LivenessAction) {
        match action {
            LivenessAction::Ping { peer, connection } => self.swarm.behaviour_mut().pings.send(peer, connection),
            LivenessAction::Close { connection } => {
                tracing::debug!(%connection, "a connection is dead");
                self.swarm.close_connection(connection);
            }
        }
    }

    /// Asks a member for a place, so that others can meet us there.
    fn ask_for_place(&mut self, member: PeerId, now: Timestamp) {
        match self.swarm.listen_on(address::circuit_of(member)) {
            Ok(listener) => self.places.listening(&member, listener),
            Err(error) => {
                tracing::debug!(%member, %error, "a member could not be asked for a place");
                self.places.refused(&member, now, &mut self.random);
            }
        }
    }

    /// Dials a member directly; the circuit to it carries data meanwhile.
    fn upgrade(&mut self, member: PeerId, now: Timestamp) {
        let dial = DialOpts::peer_id(member)
            .condition(PeerCondition::Always)
            .addresses(vec![address::direct_to(member)])
            .build();
        let connection = dial.connection_id();
        self.upgrades.dialling(&member, connection);
        if let Err(error) = self.swarm.dial(dial) {
            self.upgrades
                .dial_failed(connection, || explain_attempt(&error), now, &mut self.random);
        }
    }

    /// Shows what is known of the relays, and why members are reached through them.
    fn show(&mut self) {
        self.engine.show_relays(self.relays.status());
        self.engine
            .refuse(|refused| refused.members = self.discovery.given_up());
        for (peer, member) in self.joining.peers() {
            self.engine.show_relayed(peer, self.upgrades.why(&member));
        }
    }

    fn on_network(&mut self, event: SwarmEvent<BehaviourEvent>) {
        let now = self.engine.now();
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event, now),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.attend = true;
                self.liveness.connected(peer_id, connection_id, now);
                if self.relays.contains(&peer_id) {
                    self.relays.connected(&peer_id, now);
                } else if transport::path_of(&endpoint).is_some() {
                    // Nobody is taken for a member until it has proven to be one.
                    let through = address::relay_of(transport::address_of(&endpoint));
                    self.joining.connected(connection_id, peer_id, through, now);
                } else {
                    self.upgrades.circuit_stands(peer_id, now);
                    self.discovery.met(peer_id, now);
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                cause,
                ..
            } => {
                self.liveness.closed(connection_id);
                if num_established > 0 {
                    return;
                }
                self.attend = true;
                if self.relays.contains(&peer_id) {
                    let error = cause.map_or_else(
                        || "the connection was closed".into(),
                        |cause| format!("the connection broke: {}", root_cause(&cause)),
                    );
                    self.relays.failed(&peer_id, error, now, &mut self.random);
                } else {
                    self.upgrades.over(&peer_id);
                    if let Some(listener) = self.places.unlinked(&peer_id) {
                        self.swarm.remove_listener(listener);
                    }
                    self.discovery.disconnected(&peer_id, now, &mut self.random);
                }
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                peer_id,
                error,
            } => {
                self.attend = true;
                self.relays
                    .dial_failed(connection_id, explain_dial(&error), now, &mut self.random);
                self.upgrades
                    .dial_failed(connection_id, || explain_attempt(&error), now, &mut self.random);
                if let Some(peer) = peer_id.filter(|peer| !self.swarm.is_connected(peer)) {
                    tracing::debug!(%peer, error = explain_dial(&error), "a dial failed");
                    self.discovery.disconnected(&peer, now, &mut self.random);
                }
            }
            SwarmEvent::IncomingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                self.attend = true;
                self.count_denied(&error);
                self.upgrades.incoming_failed(&peer, root_cause(&error));
            }
            SwarmEvent::ListenerClosed {
                listener_id, reason, ..
            } => {
                self.attend = true;
                let error = match reason {
                    Ok(()) => "the reservation ended".into(),
                    Err(error) => format!("it gave no reservation: {}", root_cause(&error)),
                };
                self.relays.listener_closed(listener_id, error, now, &mut self.random);
                self.places.listener_closed(listener_id, now, &mut self.random);
            }
            // Nobody is to be told of a place with a member by us: those who can make use of it hear of it from that member.
            SwarmEvent::ExternalAddrConfirmed { address }
                if address::relay_of(&address).is_some_and(|relay| !self.relays.contains(&relay)) =>
            {
                self.swarm.remove_external_address(&address);
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent, now: Timestamp) {
        match event {
            BehaviourEvent::Links(event) => self.on_link(event, now),
            BehaviourEvent::Gossip(GossipEvent::Message { from, id, message }) => {
                let judgement = self.on_message(&from, message, now);
                self.swarm.behaviour_mut().gossip.inner.judge(&id, &from, judgement);
            }
            BehaviourEvent::Gossip(GossipEvent::Unsealed { from }) => {
                self.engine.refuse(|refused| refused.messages += 1);
                self.find_fault(&from);
            }
            BehaviourEvent::Gossip(GossipEvent::SubscriptionChanged { member }) => self.on_subscription(&member),
            BehaviourEvent::Pings(PingEvent { connection, answer }) => match answer {
                Answer::Pong { rtt } => {
                    self.liveness.answered(connection, now);
                    if let Some(peer) = self.joining.measured(connection, rtt) {
                        self.engine.note_rtt(peer, rtt);
                    }
                }
                Answer::Unsupported => self.liveness.unsupported(connection),
            },
            BehaviourEvent::Relay(relay::client::Event::ReservationReqAccepted { relay_peer_id, .. }) => {
                self.attend = true;
                self.relays.reserved(&relay_peer_id, now);
                self.places.held(&relay_peer_id);
            }
            BehaviourEvent::Registrar(event) => {
                self.attend = true;
                self.on_rendezvous(event, now);
            }
            BehaviourEvent::Direct(event) => {
                let introductions = &mut self.swarm.behaviour_mut().introductions.inner;
                match direct::guest(event) {
                    Some(Guest::Came(member)) => introductions.add(member),
                    Some(Guest::Left(member)) => introductions.remove(member),
                    None => {}
                }
            }
            BehaviourEvent::Introductions(Introduced { by, members }) => {
                self.attend = true;
                self.discovery.introduced(&by, members, now);
            }
            BehaviourEvent::Relay(_) | BehaviourEvent::Identify(_) => {}
        }
    }

    /// Takes in what a member has gossiped, and says whether it is handed on. Judged by what every member sees alike: who hands it on may
    /// hold what makes it right.
    fn on_message(&mut self, from: &PeerId, message: Vec<u8>, now: Timestamp) -> MessageAcceptance {
        let peer = self.joining.peer_of(from);
        if let Some(peer) = peer {
            self.engine
                .note_peer(peer, |linked| linked.bytes_in += message.len() as u64);
        }
        match self
            .joining
            .is_heard(from, Gossip::is_present(&message), message.len(), now)
        {
            Heard::Taken => {}
            // It has left meanwhile. What it wrote comes by a session with whoever has it.
            Heard::Stranger => return MessageAcceptance::Ignore,
            Heard::TooMany => {
                self.engine.refuse(|refused| refused.floods += 1);
                return MessageAcceptance::Ignore;
            }
        }
        let is_good = Gossip::decode(&message).is_ok();
        self.engine.feed(Input::Gossiped { peer, message });
        if is_good {
            return MessageAcceptance::Accept;
        }
        // The replica counts it where it knows the peer.
        let uncounted = u64::from(peer.is_none());
        self.engine.refuse(|refused| refused.messages += uncounted);
        self.find_fault(from);
        MessageAcceptance::Reject
    }

    fn on_rendezvous(&mut self, event: rendezvous::client::Event, now: Timestamp) {
        use rendezvous::client::Event;
        match event {
            Event::Registered {
                rendezvous_node, ttl, ..
            } => {
                self.discovery.registered(&rendezvous_node, ttl, now, &mut self.random);
                self.relays.note(&rendezvous_node, None);
            }
            Event::RegisterFailed {
                rendezvous_node, error, ..
            } => {
                if self
                    .discovery
                    .register_failed(&rendezvous_node, error, now, &mut self.random)
                {
                    let note = format!("it carries circuits but does not let members find each other ({error:?})");
                    self.relays.note(&rendezvous_node, Some(note));
                }
            }
            Event::Discovered {
                rendezvous_node,
                registrations,
                cookie,
            } => {
                let members = registrations.iter().map(|member| (member.record.peer_id(), member.ttl));
                self.discovery
                    .discovered(&rendezvous_node, members, now, &mut self.random);
                self.names.told(rendezvous_node, cookie);
            }
            Event::DiscoverFailed {
                rendezvous_node, error, ..
            } => {
                let stale = self.names.forget(&rendezvous_node) && error == rendezvous::ErrorCode::InvalidCookie;
                self.discovery
                    .discover_failed(&rendezvous_node, stale, now, &mut self.random);
            }
            Event::Expired { .. } => {}
        }
    }

    fn on_link(&mut self, event: LinkEvent, now: Timestamp) {
        match event {
            LinkEvent::Opened {
                connection,
                member,
                path,
            } => {
                self.attend = true;
                self.swarm.behaviour_mut().admit(connection);
                match path {
                    Path::Relayed => self.upgrades.circuit_stands(member, now),
                    Path::Direct => self.upgrades.over(&member),
                }
                if let Some(through) = self.joining.opened(connection, path) {
                    self.discovery.connected(member, through, now);
                    self.on_subscription(&member);
                }
            }
            LinkEvent::Received { connection, frame } => {
                let Some(peer) = self.joining.peer(connection) else {
                    return;
                };
                self.engine
                    .note_peer(peer, |linked| linked.bytes_in += frame.len() as u64);
                if self.joining.received(connection, frame.len(), now) {
                    self.engine.refuse(|refused| refused.pauses += 1);
                    self.swarm.behaviour_mut().links.pause(connection);
                }
                if Frame::is_present(&frame) && !self.joining.takes_presence(connection, frame.len(), now) {
                    self.engine.refuse(|refused| refused.floods += 1);
                    return;
                }
                self.engine.feed(Input::Received { peer, frame });
            }
            LinkEvent::Drained { connection } => {
                if let Some(peer) = self.joining.peer(connection) {
                    self.engine.feed(Input::Drained { peer });
                }
            }
            LinkEvent::Lost {
                connection,
                member,
                error,
            } => {
                self.attend = true;
                if let Some(error) = error {
                    tracing::debug!(%member, %error, "a link failed");
                    self.count_failed(&error);
                }
                if let Some(peer) = self.joining.lost(connection) {
                    self.engine.peer_down(peer);
                }
            }
        }
    }

    /// Whose frames were found wrong.
    fn find_faults(&mut self) {
        for peer in self.engine.take_faults() {
            self.engine.refuse(|refused| refused.frames += 1);
            if let Some(member) = self.joining.member(peer) {
                self.find_fault(&member);
            }
        }
    }

    /// A member has said what no member says, and nobody hands on; one that keeps doing so is hung up on.
    fn find_fault(&mut self, member: &PeerId) {
        if let Some(connection) = self.joining.at_fault(member) {
            tracing::debug!(%member, "a peer keeps sending what it should not");
            self.swarm.close_connection(connection);
        }
    }

    fn count_failed(&self, error: &LinkError) {
        self.engine.refuse(|refused| match error {
            LinkError::NoMember | LinkError::NotSpoken => refused.strangers += 1,
            LinkError::SecondStream => refused.streams += 1,
            LinkError::Reading(ReadError::TooLong { .. }) | LinkError::Overdrawn(_) => refused.frames += 1,
            LinkError::Reading(_) | LinkError::Io(_) => {}
        });
    }

    fn count_denied(&self, error: &ListenError) {
        if let ListenError::Denied { cause } = error
            && let Some(NotLetIn::Full) = cause.downcast_ref()
        {
            self.engine.refuse(|refused| refused.connections += 1);
        }
    }

    /// A member's stream or subscription has changed. It is a peer of the replica when both stand: what is written
    /// before is in the session that `PeerUp` opens, what is written after is gossiped to it, and nothing falls
    /// between.
    fn on_subscription(&mut self, member: &PeerId) {
        let subscribed = self.swarm.behaviour().gossip.inner.is_subscribed(member);
        if let Some(peer) = self.joining.peer_of(member) {
            // It has left the store but not the network.
            if !subscribed && let Some(connection) = self.joining.connection_of(peer) {
                self.swarm.close_connection(connection);
            }
        } else if let Some(Ready { connection, path, rtt }) = self.joining.ready(member).filter(|_| subscribed) {
            let is_taken = |peer: Peer| self.joining.connection_of(peer).is_some();
            let peer = self.numbers.of(member, is_taken);
            let linked = Linked {
                id: *member,
                path,
                relayed_because: self.upgrades.why(member).map(Into::into),
                rtt,
                bytes_in: 0,
                bytes_out: 0,
            };
            if path == Path::Direct {
                self.attend = true;
                self.places.linked(*member, self.engine.now());
            }
            self.joining.joined(connection, peer);
            self.engine.peer_up(peer, linked);
            self.swarm.behaviour_mut().links.read(connection);
        }
    }

    fn give_up_joining(&mut self, now: Timestamp) {
        for (connection, member) in self.joining.overdue(now) {
            tracing::debug!(%member, "a connected member did not become a peer");
            self.swarm.close_connection(connection);
        }
    }

    /// Says good-bye: carries what was written last, takes our name off the relays, closes the connections.
    async fn leave(&mut self) {
        if self.swarm.network_info().num_peers() == 0 {
            return;
        }
        self.carry();
        let names = self.names.around(self.engine.now());
        let registrar = &mut self.swarm.behaviour_mut().registrar.inner;
        for relay in self.discovery.registered_at() {
            for name in &names {
                registrar.unregister(name.clone(), relay);
            }
        }
        self.run_on(FAREWELL, |_| false).await;
        for peer in self.swarm.connected_peers().copied().collect::<Vec<_>>() {
            // It is in the list of the connected.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        self.run_on(CLOSE_PATIENCE, |swarm| swarm.network_info().num_peers() == 0)
            .await;
    }

    /// Goes on with what is under way, and begins nothing new, for a time or until it is enough.
    async fn run_on(&mut self, time: Duration, enough: impl Fn(&Swarm<Behaviour>) -> bool) {
        let now = self.engine.now();
        let end = now + time;
        while !enough(&self.swarm) && self.engine.now() < end {
            self.timer.set(Some(end), self.engine.now());
            match self.woken(true).await {
                Woken::Network(event) => self.on_network(*event),
                Woken::Storage(written) => self.on_written(written),
                Woken::Other => {}
            }
            self.keep(self.engine.now());
            self.carry();
        }
    }
}
