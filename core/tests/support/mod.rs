//! A driver for tests: replicas in one thread, a clock that is set by hand, and links that hold what is sent until the test
//! delivers it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

pub mod golden;
pub mod kept;

use std::{collections::VecDeque, time::Duration};

use gossipstore_core::{
    id::{Peer, StoreId},
    replica::{
        Absent, Body, Change, Command, CommandError, CommandId, Config, Context, Event, Input, Key, Output, Replica,
        Value, Write,
    },
    time::Timestamp,
};

/// The number under which each of two replicas knows the other.
pub const PEER: Peer = Peer(7);

/// One replica with everything it asked its driver to do.
pub struct Driver {
    pub replica: Replica,
    pub now: Timestamp,
    pub sent: VecDeque<(Peer, Vec<u8>)>,
    pub gossip: VecDeque<Vec<u8>>,
    pub events: Vec<Event>,
    pub replies: Vec<Result<(), CommandError>>,
    /// Whether batches are acknowledged at once.
    pub durable: bool,
    pub batches: Vec<gossipstore_core::store::Batch>,
    /// Values that are to be read for whom.
    pub loads: Vec<(Peer, Vec<Absent>)>,
}

pub fn config(seed: u8) -> Config {
    Config::new(StoreId::from_name("test"), [seed; 32])
}

/// A replica that works in many small slices.
pub fn slicing(seed: u8) -> Driver {
    Driver::with(Config {
        slice_events: 100,
        ..config(seed)
    })
}

impl Driver {
    pub fn new(seed: u8) -> Self {
        Self::with(config(seed))
    }

    pub fn with(config: Config) -> Self {
        let now = Timestamp(1_700_000_000_000);
        Self {
            replica: Replica::new(config, now),
            now,
            sent: VecDeque::new(),
            gossip: VecDeque::new(),
            events: Vec::new(),
            replies: Vec::new(),
            durable: true,
            batches: Vec::new(),
            loads: Vec::new(),
        }
    }

    /// Feeds an input, and goes on while the engine has work left.
    pub fn feed(&mut self, input: Input) {
        self.turn(input);
        while self
            .replica
            .poll_timeout()
            .is_some_and(|due| due == Timestamp::default())
        {
            self.turn(Input::Tick);
        }
    }

    /// Feeds an input once.
    pub fn turn(&mut self, input: Input) {
        self.replica.handle(input, self.now);
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::Send { peer, frame } => self.sent.push_back((peer, frame)),
                Output::Broadcast { message } => self.gossip.push_back(message),
                Output::Persist { id, batch } => {
                    self.batches.push(batch);
                    if self.durable {
                        self.replica.handle(Input::Persisted { id }, self.now);
                    }
                }
                Output::Load { peer, absent } => self.loads.push((peer, absent)),
                Output::Emit(event) => self.events.push(event),
                Output::Reply { result, .. } => self.replies.push(result),
            }
        }
    }

    /// Lets time pass, with the ticks that the engine asks for on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.replica.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.feed(Input::Tick);
        }
        self.now = end;
    }

    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        self.feed(Input::Command {
            id: CommandId(0),
            command,
        });
        self.replies
            .pop()
            .expect("a command is answered when its batch is durable")
    }

    pub fn transact(&mut self, writes: impl IntoIterator<Item = Write>) -> Result<(), CommandError> {
        self.command(Command::Transact(writes.into_iter().collect()))
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.transact([put(key, value)]).expect("a valid write");
    }

    /// Writes, and does not wait for it to be durable.
    pub fn set_soon(&mut self, key: &str) {
        self.feed(Input::Command {
            id: CommandId(0),
            command: Command::Transact(vec![put(key, "soon")]),
        });
    }

    pub fn delete(&mut self, key: &str) {
        self.transact([Write::Delete {
            key: Key::from(key),
            context: None,
        }])
        .expect("a valid delete");
    }

    pub fn get(&self, key: &str) -> Option<String> {
        self.replica.get(key).and_then(Body::here).map(text)
    }

    /// The values under a key, in order.
    pub fn values(&self, key: &str) -> Vec<String> {
        let mut values: Vec<_> = self
            .replica
            .siblings(key)
            .values
            .iter()
            .filter_map(|sibling| sibling.body.here())
            .map(text)
            .collect();
        values.sort();
        values
    }

    /// The changes reported since the last call, each event's apart.
    pub fn changes(&mut self) -> Vec<Vec<Change>> {
        let events = std::mem::take(&mut self.events);
        let changed = events.into_iter().filter_map(|event| match event {
            Event::Changed(changes) => Some(changes),
            _ => None,
        });
        changed.collect()
    }
}

pub fn put(key: &str, value: &str) -> Write {
    put_in(key, value, None)
}

pub fn put_in(key: &str, value: &str, context: Option<Context>) -> Write {
    Write::Put {
        key: Key::from(key),
        value: Value::from(value.as_bytes()),
        context,
    }
}

fn text(value: &Value) -> String {
    String::from_utf8(value.to_vec()).expect("tests write text")
}

/// Joins two replicas.
pub fn join(a: &mut Driver, b: &mut Driver) {
    a.feed(Input::PeerUp { peer: PEER });
    b.feed(Input::PeerUp { peer: PEER });
}

/// Cuts the link; what is on it is lost.
pub fn cut(a: &mut Driver, b: &mut Driver) {
    for driver in [a, b] {
        driver.sent.clear();
        driver.feed(Input::PeerDown { peer: PEER });
    }
}

/// Delivers frames between two replicas until there are none; gives the bytes that crossed.
pub fn settle(a: &mut Driver, b: &mut Driver) -> usize {
    let mut bytes = 0;
    while !a.sent.is_empty() || !b.sent.is_empty() {
        bytes += deliver(a, b) + deliver(b, a);
    }
    bytes
}

/// Delivers what one has sent so far; gives the bytes that crossed.
pub fn deliver(from: &mut Driver, to: &mut Driver) -> usize {
    let frames = std::mem::take(&mut from.sent);
    let bytes = frames.iter().map(|(_, frame)| frame.len()).sum();
    for (peer, frame) in frames {
        to.feed(Input::Received { peer, frame });
    }
    from.feed(Input::Drained { peer: PEER });
    bytes
}

/// Delivers gossip from one to the other.
pub fn gossip(from: &mut Driver, to: &mut Driver) {
    for message in std::mem::take(&mut from.gossip) {
        to.feed(Input::Gossiped {
            peer: Some(PEER),
            message,
        });
    }
}
