//! A replica with its driver, and the link between two of them. Storage is in memory and takes every batch at once; the clock
//! moves with each command.

use std::{collections::VecDeque, time::Duration};

use cpu_time::ThreadTime;
use gossipstore_core::{
    id::{Peer, StoreId},
    replica::{Command, CommandId, Config, Input, Output, Replica, Write},
    time::Timestamp,
};

use super::workload::{key, put, value};

/// What a link adds to a frame: its length as a varint.
pub fn length_bytes(frame: &[u8]) -> usize {
    (frame.len().max(1).ilog2() / 7 + 1) as usize
}

/// As whom each of two replicas knows the other, at every meeting.
pub const PEER: Peer = Peer(1);

/// How many keys are written in one transaction when a store is filled.
const FILL_WRITES: usize = 100;

/// The defaults.
pub fn config(seed: u8) -> Config {
    Config::new(StoreId::from_name("bench"), [seed; 32])
}

pub struct Node {
    pub replica: Replica,
    /// What was gossiped, while that is kept.
    pub gossip: Option<Vec<Vec<u8>>>,
    /// What the engine did at each input, while that is timed.
    pub steps: Option<Vec<Step>>,
    now: Timestamp,
    sent: VecDeque<Vec<u8>>,
}

/// One input, and how long the engine held its thread for it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What kind of input.
    pub input: &'static str,
    pub time: Duration,
}

impl Node {
    pub fn new(seed: u8) -> Self {
        Self::with(config(seed))
    }

    pub fn with(config: Config) -> Self {
        let now = Timestamp(1_700_000_000_000);
        Self {
            replica: Replica::new(config, now),
            gossip: None,
            steps: None,
            now,
            sent: VecDeque::new(),
        }
    }

    /// One transaction.
    pub fn transact(&mut self, writes: Vec<Write>) {
        self.command(Command::Transact(writes));
    }

    pub fn command(&mut self, command: Command) {
        self.now.0 += 1;
        self.feed(Input::Command {
            id: CommandId(0),
            command,
        });
    }

    /// Writes the first `count` keys.
    pub fn fill(&mut self, count: usize) {
        self.fill_with(count, 0);
    }

    /// Writes the first `count` keys with the values from `seed` on.
    pub fn fill_with(&mut self, count: usize, seed: usize) {
        for start in (0..count).step_by(FILL_WRITES) {
            let keys = start..count.min(start + FILL_WRITES);
            self.transact(keys.map(|at| put(key(at), value(seed + at))).collect());
        }
    }

    /// Feeds an input, and goes on while the engine has work left.
    pub fn feed(&mut self, input: Input) {
        self.turn(input);
        while self.is_busy() {
            self.turn(Input::Tick);
        }
    }

    /// Feeds an input once.
    pub fn turn(&mut self, input: Input) {
        match &mut self.steps {
            None => self.replica.handle(input, self.now),
            Some(steps) => {
                let name = name(&input);
                let start = ThreadTime::now();
                self.replica.handle(input, self.now);
                let time = start.elapsed();
                steps.push(Step { input: name, time });
            }
        }
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::Send { frame, .. } => self.sent.push_back(frame),
                Output::Persist { id, .. } => self.replica.handle(Input::Persisted { id }, self.now),
                Output::Broadcast { message } => self.gossip.iter_mut().for_each(|kept| kept.push(message.clone())),
                Output::Load { .. } | Output::Emit(_) | Output::Reply { .. } => {}
            }
        }
    }

    /// Whether the engine has work left.
    pub fn is_busy(&self) -> bool {
        self.replica
            .poll_timeout()
            .is_some_and(|due| due == Timestamp::default())
    }

    /// All frames that the engine sends without hearing anything.
    pub fn take_sent(&mut self) -> VecDeque<Vec<u8>> {
        let mut frames = VecDeque::new();
        while !self.sent.is_empty() {
            frames.append(&mut self.sent);
            self.feed(Input::Drained { peer: PEER });
        }
        frames
    }
}

fn name(input: &Input) -> &'static str {
    match input {
        Input::Command { .. } | Input::Call { .. } => "command",
        Input::PeerUp { .. } => "peer up",
        Input::PeerDown { .. } => "peer down",
        Input::Received { frame, .. } => match frame.first() {
            Some(1) => "HELLO",
            Some(2) => "EVENTS",
            Some(3) => "BODY",
            Some(4) => "LEAVES",
            Some(5) => "END",
            Some(6) => "DIGEST",
            Some(7) => "ACK",
            Some(10 | 11 | 15) => "vector descent",
            Some(12..=14) => "descent",
            _ => "another frame",
        },
        Input::Drained { .. } => "drained",
        Input::Gossiped { .. } => "gossip",
        Input::Persisted { .. } | Input::PersistFailed { .. } | Input::Kept { .. } | Input::Loaded { .. } => "storage",
        Input::Present { .. } | Input::Recalled { .. } => "presence",
        Input::Tick => "tick",
    }
}

/// What a meeting took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Both ways, with what the link adds.
    pub bytes: usize,
    /// How often something went from one replica to the other, both speaking at once, until each held all that it had lacked.
    /// Two are a round trip.
    pub trips: usize,
}

/// Links two replicas, lets them say all they have to say, and takes the link away.
pub fn meet(a: &mut Node, b: &mut Node) -> Cost {
    let mut cost = Cost::default();
    link(a, b);
    for trip in 1.. {
        let before = (a.replica.digest(), b.replica.digest());
        let bytes = exchange(a, b);
        if bytes == 0 {
            break;
        }
        cost.bytes += bytes;
        if before != (a.replica.digest(), b.replica.digest()) {
            cost.trips = trip;
        }
    }
    a.feed(Input::PeerDown { peer: PEER });
    b.feed(Input::PeerDown { peer: PEER });
    assert_eq!(a.replica.digest(), b.replica.digest(), "the session has brought all");
    cost
}

/// Links two replicas.
pub fn link(a: &mut Node, b: &mut Node) {
    a.feed(Input::PeerUp { peer: PEER });
    b.feed(Input::PeerUp { peer: PEER });
}

/// Carries what both have sent so far to the other; gives the bytes that crossed.
pub fn exchange(a: &mut Node, b: &mut Node) -> usize {
    let (to_b, to_a) = (a.take_sent(), b.take_sent());
    let bytes = |frames: &VecDeque<Vec<u8>>| {
        frames
            .iter()
            .map(|frame| length_bytes(frame) + frame.len())
            .sum::<usize>()
    };
    let crossed = bytes(&to_b) + bytes(&to_a);
    for (node, frames) in [(b, to_b), (a, to_a)] {
        for frame in frames {
            node.feed(Input::Received { peer: PEER, frame });
        }
    }
    crossed
}
