//! The replica behind its lock: fed by callers and by the node, drained after each input.
//!
//! Architecture invariant: every input is followed by a full drain before the next (`State::feed` is the only place
//! that feeds).

mod guests;
mod loads;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    task::Context,
    time::Duration,
};

use futures::{channel::oneshot, task::AtomicWaker};
use gossipstore_core::{
    disk::{Disk, Leisure, Transaction},
    id::Peer,
    replica::{BatchId, Call, Command, CommandId, Event, Input, Output, Replica, StorageFailure},
    sync::SessionError,
    time::Timestamp,
};
use libp2p::PeerId;

use crate::{
    clock::Clock,
    error::StoreError,
    events::{Audience, Events, NodeEvent},
    refusals::Refusals,
    status::{self, Path, PeerStatus, RelayStatus, Role, Status, StorageKind, StorageStatus},
    storage::{StorageError, StorageReader},
    values::{For, Load},
};

/// How many bytes of messages wait for the node: tens of thousands of small writes, or a hundred of the largest that are
/// gossiped at all. A program that writes more in one go leaves the rest to the sessions, which carry much better what is
/// much.
const BROADCAST_BYTES_WAITING_MAX: usize = 4 * 1024 * 1024;

/// What the node has to carry to others.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Outgoing {
    /// A frame for one peer, in order.
    Send { peer: Peer, frame: Vec<u8> },
    /// A message for all members.
    Broadcast { message: Vec<u8> },
}

/// A peer that is up, as the status shows it.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) id: PeerId,
    pub(crate) path: Path,
    pub(crate) relayed_because: Option<String>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Whether the store is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// A caller wants it closed; the node is leaving the network.
    Closing,
    /// Another process has the store now: nothing may leave or be stored any more.
    Superseded,
    Closed,
}

/// The replica with what its driver needs to know beside it.
#[derive(Debug)]
pub(crate) struct Engine {
    state: Mutex<State>,
    /// Wakes the node when there is something for it to do.
    node: AtomicWaker,
}

/// What is kept, and where.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) disk: Disk,
    pub(crate) kind: StorageKind,
    pub(crate) reader: Arc<dyn StorageReader>,
}

#[derive(Debug)]
struct State {
    replica: Replica,
    clock: Clock,
    /// The book of what is kept, and where; none when the data ends with the process.
    kept: Option<Kept>,
    /// Values that are to be read.
    loads: VecDeque<Load>,
    /// Why the storage takes nothing at present, or why there is none any more.
    storage_problem: Option<StorageFailure>,
    last_batch: Option<BatchId>,
    phase: Phase,
    next_command: u64,
    replies: HashMap<CommandId, oneshot::Sender<Result<(), StoreError>>>,
    closers: Vec<oneshot::Sender<()>>,
    /// What waits for the node. Frames are bounded by the replica: a burst for each peer.
    outgoing: VecDeque<Outgoing>,
    broadcast_bytes_waiting: usize,
    audience: Audience,
    peers: BTreeMap<Peer, Linked>,
    /// Replicas in this process that are being merged, and what there is to say to them.
    guests: BTreeMap<Peer, VecDeque<Vec<u8>>>,
    relays: Vec<RelayStatus>,
    refused: Refusals,
    /// Peers whose frames were found wrong, and nobody has been told of yet: at most one of each frame that is fed between two looks.
    faults: Vec<Peer>,
    network_changed: bool,
}

impl Engine {
    /// An engine around a replica, new or as it was kept.
    pub(crate) fn new(replica: Replica, clock: Clock, kept: Option<Kept>, relays: Vec<RelayStatus>) -> Self {
        Self {
            state: Mutex::new(State {
                replica,
                clock,
                kept,
                loads: VecDeque::new(),
                storage_problem: None,
                last_batch: None,
                phase: Phase::Open,
                next_command: 0,
                replies: HashMap::new(),
                closers: Vec::new(),
                outgoing: VecDeque::new(),
                broadcast_bytes_waiting: 0,
                audience: Audience::default(),
                peers: BTreeMap::new(),
                guests: BTreeMap::new(),
                refused: Refusals::default(),
                faults: Vec::new(),
                relays,
                network_changed: false,
            }),
            node: AtomicWaker::new(),
        }
    }

    // For callers.

    pub(crate) fn command(
        &self,
        command: Command,
        call: Option<Call>,
    ) -> impl Future<Output = Result<(), StoreError>> + 'static {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.lock();
            // When the store is not open, `reply` is dropped here, which answers the caller.
            if state.phase == Phase::Open {
                let id = CommandId(state.next_command);
                state.next_command += 1;
                state.replies.insert(id, reply);
                state.feed(match call {
                    Some(call) => Input::Call { id, call, command },
                    None => Input::Command { id, command },
                });
            }
        }
        self.node.wake();
        async move { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Replica) -> T) -> T {
        read(&self.lock().replica)
    }

    /// Hands in what needs no answer, if the store is open.
    pub(crate) fn tell(&self, input: Input) -> Result<(), StoreError> {
        {
            let mut state = self.lock();
            if state.phase != Phase::Open {
                return Err(StoreError::Closed);
            }
            state.feed(input);
        }
        self.node.wake();
        Ok(())
    }

    pub(crate) fn listen(&self) -> Events {
        let mut state = self.lock();
        let events = state.audience.join();
        if state.phase == Phase::Closed {
            state.audience.end();
        }
        events
    }

    pub(crate) fn status(&self) -> Status {
        self.lock().status()
    }

    pub(crate) fn network_changed(&self) {
        self.lock().network_changed = true;
        self.node.wake();
    }

    pub(crate) fn close(&self) -> impl Future<Output = ()> + 'static {
        let (closer, closed) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.phase == Phase::Open {
                state.phase = Phase::Closing;
            }
            if state.phase != Phase::Closed {
                state.closers.push(closer);
            }
        }
        self.node.wake();
        async move {
            // An error says that nobody will answer any more: it is closed.
            let _ = closed.await;
        }
    }

    /// Another process has the store now: answers all that wait and ends the node without a word.
    pub(crate) fn supersede(&self) {
        {
            let mut state = self.lock();
            if state.phase == Phase::Closed {
                return;
            }
            state.phase = Phase::Superseded;
            state.outgoing.clear();
            state.broadcast_bytes_waiting = 0;
            for (_, reply) in state.replies.drain() {
                // A caller that has dropped its future does not want the answer.
                let _ = reply.send(Err(StoreError::Superseded));
            }
        }
        self.node.wake();
    }

    // For the node.

    /// The time by the node's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.lock().clock.now()
    }

    /// Feeds the replica and drains it.
    pub(crate) fn feed(&self, input: Input) {
        self.lock().feed(input);
    }

    /// The peers whose frames the replica has found wrong since this was asked last, once for each time. An input may have been judged long
    /// after it was fed.
    pub(crate) fn take_faults(&self) -> Vec<Peer> {
        let state = &mut *self.lock();
        let (faults, guests) = (&mut state.faults, &state.guests);
        faults.extract_if(.., |peer| !guests.contains_key(peer)).collect()
    }

    /// Makes some of what is to be kept ready for the storage. Returns whether all is.
    pub(crate) fn prepare(&self) -> bool {
        self.lock().kept.as_mut().is_none_or(|kept| kept.disk.prepare())
    }

    /// The next transaction for the storage, and the last batch in it; `leisure` says what else there is time for.
    pub(crate) fn next_transaction(&self, leisure: Leisure) -> Option<(Option<BatchId>, Transaction)> {
        let state = &mut *self.lock();
        let disk = &mut state.kept.as_mut()?.disk;
        let next = disk.next(state.replica.store(), leisure);
        let absent = disk.wants();
        if !absent.is_empty() {
            state.load(For::Pages, absent);
        }
        next
    }

    /// Whether batches wait for the storage.
    pub(crate) fn has_unkept(&self) -> bool {
        self.lock().kept.as_ref().is_some_and(|kept| kept.disk.is_waiting())
    }

    /// Whether the storage is to be tidied up when there is time.
    pub(crate) fn is_untidy(&self) -> bool {
        self.lock().kept.as_ref().is_some_and(|kept| kept.disk.is_untidy())
    }

    /// The storage has carried out a transaction, with batches up to `last`, if it brought any.
    pub(crate) fn kept(&self, last: Option<BatchId>) {
        let mut state = self.lock();
        if state.storage_problem.take().is_some() {
            state.audience.tell(&NodeEvent::StatusChanged);
        }
        let Some(Kept { disk, .. }) = &mut state.kept else {
            return;
        };
        let dots = disk.done();
        if !dots.is_empty() {
            state.feed(Input::Kept { dots });
        }
        if let Some(id) = last {
            state.feed(Input::Persisted { id });
        }
    }

    /// The storage has not taken what it was given. What is gone for good leaves the store in memory.
    pub(crate) fn not_kept(&self, error: &StorageError) {
        let mut state = self.lock();
        let is_gone = matches!(error, StorageError::Gone { .. });
        let again = if is_gone { "" } else { "; storing is tried again" };
        let failure = StorageFailure {
            reason: format!("{error}{again}").into(),
            is_full: matches!(error, StorageError::Full { .. }),
        };
        let is_first = state.storage_problem.replace(failure.clone()).is_none();
        state.feed(Input::PersistFailed {
            failure: failure.clone(),
        });
        if is_gone {
            state.kept = None;
            if let Some(id) = state.last_batch {
                state.feed(Input::Persisted { id });
            }
        }
        if is_first {
            state.audience.tell(&NodeEvent::StorageFailed(failure));
        }
        state.audience.tell(&NodeEvent::StatusChanged);
    }

    /// When the replica wants its next [`Input::Tick`].
    pub(crate) fn timeout(&self) -> Option<Timestamp> {
        self.lock().replica.poll_timeout()
    }

    /// Whether the replica has work left that it goes on with at the next [`Input::Tick`], which says a time before all
    /// others. A moment that has merely passed can wait a little: what it is for may have to wait for something else.
    pub(crate) fn has_work_left(&self) -> bool {
        self.lock().has_work_left()
    }

    /// The next thing to carry to others.
    pub(crate) fn next_outgoing(&self) -> Option<Outgoing> {
        let mut state = self.lock();
        let next = state.outgoing.pop_front();
        if let Some(Outgoing::Broadcast { message }) = &next {
            state.broadcast_bytes_waiting -= message.len();
        }
        next
    }

    /// Whether a caller wants the store closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// Whether another process has the store.
    pub(crate) fn is_superseded(&self) -> bool {
        self.lock().phase == Phase::Superseded
    }

    /// Whether a caller has said so since this was asked last.
    pub(crate) fn has_network_changed(&self) -> bool {
        std::mem::take(&mut self.lock().network_changed)
    }

    /// Registers the node to be woken, then says whether there is anything for it to do already.
    pub(crate) fn poll_work(&self, cx: &mut Context<'_>, knows_of_closing: bool) -> bool {
        self.node.register(cx.waker());
        let state = self.lock();
        // A long command leaves work, also when nobody is there to send anything to.
        !state.outgoing.is_empty()
            || !state.loads.is_empty()
            || state.has_work_left()
            || state.network_changed
            || (state.phase != Phase::Open && !knows_of_closing)
    }

    /// A peer is up: the status shows it and the replica opens a session.
    pub(crate) fn peer_up(&self, peer: Peer, linked: Linked) {
        let mut state = self.lock();
        state.peers.insert(peer, linked);
        state.feed(Input::PeerUp { peer });
        state.audience.tell(&NodeEvent::StatusChanged);
    }

    /// A peer is gone.
    pub(crate) fn peer_down(&self, peer: Peer) {
        let mut state = self.lock();
        state.feed(Input::PeerDown { peer });
        state.peers.remove(&peer);
        state.audience.tell(&NodeEvent::StatusChanged);
    }

    /// Notes something about a peer that the status shows but that is not worth an event of its own.
    pub(crate) fn note_peer(&self, peer: Peer, note: impl FnOnce(&mut Linked)) {
        if let Some(linked) = self.lock().peers.get_mut(&peer) {
            note(linked);
        }
    }

    /// Counts a published message for every peer that is up.
    pub(crate) fn note_published(&self, bytes: usize) {
        for linked in self.lock().peers.values_mut() {
            linked.bytes_out += bytes as u64;
        }
    }

    /// Notes a peer's round trip.
    pub(crate) fn note_rtt(&self, peer: Peer, rtt: Duration) {
        let mut state = self.lock();
        if let Some(linked) = state.peers.get_mut(&peer) {
            linked.rtt = Some(rtt);
            state.audience.tell(&NodeEvent::StatusChanged);
        }
    }

    /// Notes that something was refused.
    pub(crate) fn refuse(&self, note: impl FnOnce(&mut Refusals)) {
        let mut state = self.lock();
        let before = state.refused;
        note(&mut state.refused);
        if state.refused != before {
            state.audience.tell(&NodeEvent::StatusChanged);
        }
    }

    /// Shows what is known of the relays.
    pub(crate) fn show_relays(&self, relays: Vec<RelayStatus>) {
        let mut state = self.lock();
        if state.relays != relays {
            state.relays = relays;
            state.audience.tell(&NodeEvent::StatusChanged);
        }
    }

    /// Shows why a peer is not connected directly, if it is not.
    pub(crate) fn show_relayed(&self, peer: Peer, why: Option<&str>) {
        let mut state = self.lock();
        if let Some(linked) = state.peers.get_mut(&peer)
            && linked.relayed_because.as_deref() != why
        {
            linked.relayed_because = why.map(Into::into);
            state.audience.tell(&NodeEvent::StatusChanged);
        }
    }

    /// The node has ended: answers everybody who waits.
    pub(crate) fn ended(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        state.peers.clear();
        state.relays.clear();
        state.outgoing.clear();
        state.broadcast_bytes_waiting = 0;
        state.replies.clear();
        state.closers.clear();
        state.audience.tell(&NodeEvent::StatusChanged);
        state.audience.end();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("a panic inside the replica has left it in an unknown state; it cannot be used any more")
    }
}

impl State {
    fn has_work_left(&self) -> bool {
        self.replica.poll_timeout() == Some(Timestamp::default())
    }

    fn feed(&mut self, input: Input) {
        let pending = self.replica.pending();
        let now = self.clock.now();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.replica.handle(input, now);
            while let Some(output) = self.replica.poll_output() {
                match output {
                    Output::Send { peer, frame } => match self.guests.get_mut(&peer) {
                        Some(frames) => frames.push_back(frame),
                        None => self.outgoing.push_back(Outgoing::Send { peer, frame }),
                    },
                    Output::Broadcast { message } => self.broadcast(message),
                    Output::Persist { id, batch } => {
                        self.last_batch = Some(id);
                        match &mut self.kept {
                            Some(kept) => kept.disk.take(id, batch),
                            None => inputs.push_back(Input::Persisted { id }),
                        }
                    }
                    Output::Load { peer, absent } => self.load(For::Session(peer), absent),
                    Output::Emit(event) => self.emit(event),
                    Output::Reply { id, result } => {
                        if let Some(reply) = self.replies.remove(&id) {
                            // A caller that has dropped its future does not want the answer.
                            let _ = reply.send(result.map_err(StoreError::from));
                        }
                    }
                }
            }
        }
        if self.replica.pending() != pending {
            self.audience.tell(&NodeEvent::StatusChanged);
        }
    }

    fn broadcast(&mut self, message: Vec<u8>) {
        // Whoever is linked later gets it in a session.
        let bytes = self.broadcast_bytes_waiting + message.len();
        if !self.peers.is_empty() && bytes <= BROADCAST_BYTES_WAITING_MAX {
            self.broadcast_bytes_waiting = bytes;
            self.outgoing.push_back(Outgoing::Broadcast { message });
        }
    }

    fn emit(&mut self, event: Event) {
        let told = match event {
            Event::Changed(changes) => Some(NodeEvent::Changed(changes)),
            Event::Progress { peer, done, expected } => {
                self.name(peer).map(|peer| NodeEvent::Progress { peer, done, expected })
            }
            Event::Received { .. } | Event::SyncChanged { .. } => Some(NodeEvent::StatusChanged),
            Event::SiblingsDropped { key, values } => {
                tracing::warn!(%key, values, "a key had too many concurrent values; the oldest were dropped");
                None
            }
            Event::Forked(fork) => Some(NodeEvent::Forked(fork)),
            Event::PresenceChanged => Some(NodeEvent::PresenceChanged),
            Event::SessionFailed { peer, error } => {
                if error != SessionError::Silent {
                    self.faults.push(peer);
                }
                self.name(peer).map(|peer| NodeEvent::SessionFailed { peer, error })
            }
            Event::GossipRefused { peer, error } => {
                self.refused.messages += 1;
                self.name(peer).map(|peer| NodeEvent::SessionFailed { peer, error })
            }
        };
        if let Some(event) = told {
            self.audience.tell(&event);
        }
    }

    fn name(&self, peer: Peer) -> Option<String> {
        self.peers.get(&peer).map(|linked| linked.id.to_string())
    }

    fn status(&self) -> Status {
        Status {
            role: Role::Leader,
            network: status::network(self.peers.values().map(|linked| linked.path), &self.relays),
            peers: self
                .peers
                .iter()
                .map(|(peer, linked)| PeerStatus {
                    id: linked.id.to_string(),
                    path: linked.path,
                    relayed_because: linked.relayed_because.clone(),
                    // Tenths are as much as a browser's clock tells.
                    rtt_ms: linked.rtt.map(|rtt| (rtt.as_secs_f64() * 10_000.0).round() / 10.0),
                    in_sync: self.replica.in_sync(*peer) == Some(true),
                    bytes_in: linked.bytes_in,
                    bytes_out: linked.bytes_out,
                })
                .collect(),
            storage: StorageStatus {
                kind: self.kept.as_ref().map_or(StorageKind::Memory, |kept| kept.kind),
                persisted: false,
                used_bytes: self.replica.store().totals().bytes,
                quota_bytes: None,
                problem: self.storage_problem.as_ref().map(|failure| failure.reason.to_string()),
            },
            relays: self.relays.clone(),
            pending: self.replica.pending(),
            refused: Refusals {
                transactions: self.replica.early_dropped(),
                presences: self.replica.presences().refused(),
                ..self.refused
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use gossipstore_core::{
        id::StoreId,
        replica::{Config, Write},
        wire::INLINE_VALUE_BYTES_MAX,
    };

    use super::*;

    fn engine_with_a_peer() -> Engine {
        let mut clock = Clock::new();
        let replica = Replica::new(Config::new(StoreId::from_name("engine"), [1; 32]), clock.now());
        let engine = Engine::new(replica, clock, None, Vec::new());
        let linked = Linked {
            id: PeerId::random(),
            path: Path::Direct,
            relayed_because: None,
            rtt: None,
            bytes_in: 0,
            bytes_out: 0,
        };
        engine.peer_up(Peer(0), linked);
        engine
    }

    fn write(engine: &Engine, key: usize) {
        let write = Write::Put {
            key: format!("key {key}").as_str().into(),
            value: vec![0; INLINE_VALUE_BYTES_MAX].into(),
            context: None,
        };
        // Fed eagerly; in memory it is durable at once, so nobody has to wait.
        drop(engine.command(Command::Transact(vec![write]), None));
    }

    /// The bytes of the messages that wait, which are taken.
    fn broadcast_bytes(engine: &Engine) -> usize {
        std::iter::from_fn(|| engine.next_outgoing())
            .map(|outgoing| match outgoing {
                Outgoing::Broadcast { message } => message.len(),
                Outgoing::Send { .. } => 0,
            })
            .sum()
    }

    #[test]
    fn messages_that_nobody_carries_are_bounded_by_their_bytes() {
        let engine = engine_with_a_peer();
        let writes = 2 * BROADCAST_BYTES_WAITING_MAX / INLINE_VALUE_BYTES_MAX;
        for round in 0..3 {
            for key in 0..writes {
                write(&engine, round * writes + key);
            }
            let bytes = broadcast_bytes(&engine);
            assert!(bytes <= BROADCAST_BYTES_WAITING_MAX, "{bytes}");
            assert!(
                bytes > BROADCAST_BYTES_WAITING_MAX - 2 * INLINE_VALUE_BYTES_MAX,
                "what has left makes room: {bytes}"
            );
        }
        assert_eq!(engine.read(|replica| replica.len()), 3 * writes, "nothing else is lost");
    }
}
