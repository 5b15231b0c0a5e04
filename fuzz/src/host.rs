//! A replica, run as a driver runs it, and held to what it tells.
//!
//! A host keeps what its replica reported as changes and handed to storage, and compares that with what the replica shows:
//!
//! * the changes told are those that happened, and what is shown is what they add up to;
//! * the live dots are those of the entries under the keys, the vector covers them and the frontier, the digest is the vector's;
//! * the batches handed to storage give the same replica again;
//! * each command is answered once, and nothing is sent that a peer would refuse to read.
//!
//! Storage is the host's: it stores at once, or when it is told to, or fails until it is told to store.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use gossipstore_core::{
    id::{Dot, Peer, StoreId},
    replica::{
        BatchId, Body, Change, Command, CommandError, CommandId, Config, Context, Event, Input, Key, Output, Replica,
        RestoreError, Scan, Sibling, StorageFailure, Value, VersionVector, Write,
    },
    store::Batch,
    time::Timestamp,
    wire::FRAME_BYTES_MAX,
};

use crate::{
    frame::{is_frame, is_gossip},
    tape::Tape,
};

/// The most times a replica may ask to be woken in one go. No script is long enough to give honest reasons for more.
const WAKES_MAX: usize = 20_000;

/// The most rounds of delivery between two hosts until they have no more to say.
const ROUNDS_MAX: usize = 2_000;

/// How often two who meet are given time, and how much: more than a failed session waits for the next one.
const MEETING_ROUNDS_MAX: usize = 10;
const MEETING_ROUND: Duration = Duration::from_secs(5);

/// Which key a number stands for: few, so that writes meet.
pub fn key(number: u8) -> Key {
    Key::from(["a", "b", "ba", "bé", "c/long/path", "d"][usize::from(number) % 6])
}

/// A config drawn from the script. What is bounded by thousands in earnest is bounded by a few, so that short scripts pass the bounds.
pub fn config(seed: u8, tape: &mut Tape<'_>) -> Config {
    Config {
        ring_records: [65_536, 4, 1, 0][tape.below(4)],
        slice_events: [1_000, 3, 1][tape.below(3)],
        event_bytes_max: [usize::MAX, 200, 1][tape.below(3)],
        buffered_transactions_max: [4_096, 3, 0][tape.below(3)],
        gossip_bytes_max: [48 * 1024, 100][tape.below(2)],
        frames_per_turn: [8, 1][tape.below(2)],
        ..Config::new(StoreId::from_name("fuzz"), [seed; 32])
    }
}

/// All that a replica shows, to be compared with another's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    vector: VersionVector,
    live: Vec<Dot>,
    keys: Vec<(Key, Vec<Sibling>)>,
}

/// One replica with its storage and what it asked to be done.
#[derive(Debug)]
pub struct Host {
    /// The replica.
    pub replica: Replica,
    /// What its clock says.
    pub now: Timestamp,
    /// Frames on their way, by peer.
    pub sent: BTreeMap<Peer, VecDeque<Vec<u8>>>,
    /// Messages on their way.
    pub gossip: VecDeque<Vec<u8>>,
    /// Whether storage waits to be told.
    pub slow: bool,
    config: Config,
    /// Winner and number of siblings by key, as the changes add up.
    shown: BTreeMap<Key, (Body, usize)>,
    disk: Vec<Batch>,
    unstored: VecDeque<(BatchId, Batch)>,
    commands: u64,
    unanswered: BTreeSet<CommandId>,
    answer: Option<Result<(), CommandError>>,
}

impl Host {
    /// An empty replica.
    pub fn new(config: Config) -> Self {
        let now = Timestamp(1_700_000_000_000);
        let replica = Replica::new(config.clone(), now);
        Self::of(replica, config, now, Vec::new())
    }

    fn of(replica: Replica, config: Config, now: Timestamp, disk: Vec<Batch>) -> Self {
        let all = Scan::default();
        let shown = replica.scan(&all);
        Self {
            shown: shown
                .map(|item| (item.key.clone(), (item.body.clone(), item.siblings)))
                .collect(),
            replica,
            now,
            sent: BTreeMap::new(),
            gossip: VecDeque::new(),
            slow: false,
            config,
            disk,
            unstored: VecDeque::new(),
            commands: 0,
            unanswered: BTreeSet::new(),
            answer: None,
        }
    }

    /// A replica opened from these batches.
    ///
    /// # Errors
    /// When the replica takes them for damaged.
    pub fn open(config: Config, now: Timestamp, disk: Vec<Batch>) -> Result<Self, RestoreError> {
        let replica = Replica::restore(config.clone(), now, disk.iter().cloned())?;
        let host = Self::of(replica, config, now, disk);
        host.check();
        Ok(host)
    }

    /// What is stored.
    pub fn disk(&self) -> &[Batch] {
        &self.disk
    }

    /// Ends and opens the replica again: what was not stored is lost.
    pub fn crash(&mut self, seed: u8) {
        let config = Config {
            seed: [seed; 32],
            ..self.config.clone()
        };
        *self = Self::open(config, self.now, mem::take(&mut self.disk)).expect("the disk keeps what it was given");
    }

    /// Feeds an input, and goes on while the replica has work left.
    pub fn feed(&mut self, input: Input) {
        self.turn(input);
        self.work();
    }

    /// Lets the replica do all that it can do now.
    pub fn work(&mut self) {
        let mut wakes = 0;
        while self.replica.poll_timeout() == Some(Timestamp::default()) {
            self.turn(Input::Tick);
            wakes += 1;
            assert!(wakes < WAKES_MAX, "work without an end");
        }
    }

    /// Feeds an input once.
    pub fn turn(&mut self, input: Input) {
        self.replica.handle(input, self.now);
        while let Some(output) = self.replica.poll_output() {
            self.output(output);
        }
        if !self.slow {
            self.store();
        }
    }

    /// Lets time pass, with the ticks that the replica asks for on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(due) = self.replica.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.feed(Input::Tick);
            wakes += 1;
            assert!(wakes < WAKES_MAX, "woken without an end");
        }
        self.now = end;
    }

    /// Stores what waits to be stored.
    pub fn store(&mut self) {
        while let Some((id, batch)) = self.unstored.pop_front() {
            self.disk.push(batch);
            self.replica.handle(Input::Persisted { id }, self.now);
            while let Some(output) = self.replica.poll_output() {
                self.output(output);
            }
        }
    }

    /// Storage takes none of what waits to be stored, for now.
    pub fn refuse(&mut self) {
        if self.unstored.is_empty() {
            return;
        }
        let failure = StorageFailure {
            reason: Arc::from("full"),
            is_full: true,
        };
        self.turn(Input::PersistFailed { failure });
    }

    /// Has a command carried out.
    pub fn command(&mut self, command: Command) {
        let id = CommandId(self.commands);
        self.commands += 1;
        self.unanswered.insert(id);
        self.turn(Input::Command { id, command });
    }

    /// Writes one key.
    pub fn put(&mut self, key: Key, value: &[u8], context: Option<Context>) {
        let value = Value::from(value);
        self.command(Command::Transact(vec![Write::Put { key, value, context }]));
    }

    /// Deletes one key.
    pub fn delete(&mut self, key: Key, context: Option<Context>) {
        self.command(Command::Transact(vec![Write::Delete { key, context }]));
    }

    /// All that the replica shows.
    pub fn state(&self) -> State {
        let all = Scan::default();
        let keys = self
            .replica
            .scan(&all)
            .map(|item| (item.key.clone(), self.replica.siblings(item.key).values));
        State {
            vector: self.replica.vector().clone(),
            live: self.replica.live_dots().collect(),
            keys: keys.collect(),
        }
    }

    /// Compares what is shown with what was told and with itself.
    pub fn check(&self) {
        let replica = &self.replica;
        let mut dots = BTreeSet::new();
        let mut told = self.shown.iter();
        for item in replica.scan(&Scan::default()) {
            let shown = (item.body.clone(), item.siblings);
            assert_eq!(told.next(), Some((item.key, &shown)), "what is shown was told");
            assert_eq!(replica.get(item.key), Some(item.body));
            let siblings = replica.siblings(item.key);
            assert_eq!(siblings.values.first().map(|first| &first.body), Some(item.body));
            assert_eq!(siblings.values.len(), item.siblings);
            for dot in siblings.context.dots() {
                assert!(dots.insert(*dot), "{dot:?} is live twice");
            }
        }
        assert_eq!(told.next(), None, "what was told is shown");
        assert_eq!(replica.len(), self.shown.len());
        assert_eq!(replica.is_empty(), self.shown.is_empty());
        assert!(dots.into_iter().eq(replica.live_dots()), "live dots have entries");
        let vector = replica.vector();
        assert!(replica.frontier().iter().all(|tip| vector.covers(&tip.dot)));
        assert_eq!(replica.digest(), vector.digest());
    }

    /// With all work done: every command was answered, and what is stored gives the same replica.
    pub fn check_at_rest(&self) {
        self.check();
        assert_eq!(self.unanswered, BTreeSet::new());
        assert_eq!(self.replica.pending(), 0);
        if self.unstored.is_empty() {
            let config = self.config.clone();
            let again = Self::open(config, self.now, self.disk.clone()).expect("the disk keeps what it was given");
            assert_eq!(again.state(), self.state());
            assert_eq!(again.replica.frontier(), self.replica.frontier());
        }
    }

    /// That the replica still works: it takes a write, shows it, answers, and exchanges all with an honest peer of another author.
    pub fn check_works(&mut self) {
        let key = Key::from("still");
        self.store();
        self.work();
        self.put(key.clone(), b"works", None);
        self.work();
        self.store();
        assert_eq!(
            self.replica.get(&key).and_then(Body::here).map(|value| &**value),
            Some(&b"works"[..])
        );
        assert_eq!(self.answer.take(), Some(Ok(())));
        self.check_at_rest();

        let mut honest = Self::new(Config::new(self.config.store, [255; 32]));
        honest.put(Key::from("honest"), b"here", None);
        meet(self, &mut honest);
        honest.check_at_rest();
        self.check_at_rest();
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send { peer, frame } => {
                assert!(frame.len() <= FRAME_BYTES_MAX && is_frame(&frame));
                self.sent.entry(peer).or_default().push_back(frame);
            }
            Output::Broadcast { message } => {
                assert!(message.len() <= self.config.gossip_bytes_max && is_gossip(&message));
                self.gossip.push_back(message);
            }
            Output::Persist { id, batch } => {
                assert!(self.unstored.back().is_none_or(|(before, _)| *before < id));
                self.unstored.push_back((id, batch));
            }
            Output::Emit(Event::Changed(changes)) => changes.into_iter().for_each(|change| self.changed(change)),
            Output::Emit(Event::SessionFailed { error, .. } | Event::GossipRefused { error, .. }) => {
                assert!(!error.to_string().is_empty())
            }
            Output::Emit(_) => {}
            Output::Load { .. } => panic!("all values are in memory"),
            Output::Reply { id, result } => {
                assert!(self.unanswered.remove(&id), "{id:?} is answered once");
                self.answer = Some(result);
            }
        }
    }

    fn changed(&mut self, change: Change) {
        let Change {
            key,
            value,
            previous,
            siblings,
            ..
        } = change;
        assert_eq!(value.is_some(), siblings > 0);
        let shown = value.map(|shown| (shown.body, siblings));
        let before = match shown.clone() {
            Some(shown) => self.shown.insert(key.clone(), shown),
            None => self.shown.remove(&key),
        };
        assert_ne!(before, shown, "{key} has not changed");
        assert_eq!(before.map(|(body, _)| body), previous.map(|shown| shown.body));
    }
}

/// Joins two hosts until they hold the same, which they must in the end.
pub fn meet(a: &mut Host, b: &mut Host) {
    // A number that no script has.
    let peer = Peer(u64::MAX);
    for host in [&mut *a, &mut *b] {
        host.feed(Input::PeerUp { peer });
    }
    for _ in 0..MEETING_ROUNDS_MAX {
        exchange(a, b, peer);
        if a.replica.digest() == b.replica.digest() {
            break;
        }
        for host in [&mut *a, &mut *b] {
            host.pass(MEETING_ROUND);
        }
    }
    assert_eq!(a.state(), b.state(), "those who met have the same");
    assert_eq!([&*a, &*b].map(|host| host.replica.in_sync(peer)), [Some(true); 2]);
    for host in [a, b] {
        host.feed(Input::PeerDown { peer });
    }
}

/// Delivers frames between two hosts, which know each other by the same number, until they have no more to say.
pub fn exchange(a: &mut Host, b: &mut Host, link: Peer) {
    for _ in 0..ROUNDS_MAX {
        if deliver(a, b, link) + deliver(b, a, link) == 0 {
            return;
        }
    }
    panic!("two replicas talk without an end");
}

fn deliver(from: &mut Host, to: &mut Host, link: Peer) -> usize {
    let frames = from.sent.remove(&link).unwrap_or_default();
    let count = frames.len();
    for frame in frames {
        to.feed(Input::Received { peer: link, frame });
    }
    if count > 0 {
        from.feed(Input::Drained { peer: link });
    }
    count
}
