//! Replicas filled and changed the same way every time, and the loop that carries frames between two of them.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use gossipstore_core::{
    id::{Peer, StoreId},
    replica::{Command, CommandId, Config, Input, Output, Replica, Value, Write},
    time::Timestamp,
};

/// Keys of 12 bytes.
pub(crate) fn key(at: usize) -> Arc<str> {
    Arc::from(format!("key-{at:08}"))
}

/// Values of 50 random bytes, which do not compress.
pub(crate) fn value(seed: u64) -> Value {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 50];
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let length = chunk.len();
        chunk.copy_from_slice(&z.to_le_bytes()[..length]);
    }
    Value::from(bytes)
}

/// A replica with its driver: storage in memory, a clock that moves with each command.
pub(crate) struct Node {
    pub(crate) replica: Replica,
    now: Timestamp,
    sent: VecDeque<Vec<u8>>,
    longest_turn: Duration,
}

const PEER: Peer = Peer(1);

/// The defaults.
pub(crate) fn config(seed: u8) -> Config {
    Config::new(StoreId::from_name("bench"), [seed; 32])
}

impl Node {
    pub(crate) fn new(seed: u8) -> Self {
        Self::with(config(seed))
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Timestamp(1_700_000_000_000);
        Self {
            replica: Replica::new(config, now),
            now,
            sent: VecDeque::new(),
            longest_turn: Duration::ZERO,
        }
    }

    fn turn(&mut self, input: Input) {
        let start = Instant::now();
        self.replica.handle(input, self.now);
        self.longest_turn = self.longest_turn.max(start.elapsed());
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::Send { frame, .. } => self.sent.push_back(frame),
                Output::Persist { id, .. } => self.replica.handle(Input::Persisted { id }, self.now),
                Output::Broadcast { .. } | Output::Emit(_) | Output::Reply { .. } => {}
            }
        }
    }

    fn work(&mut self) {
        while self
            .replica
            .poll_timeout()
            .is_some_and(|due| due == Timestamp::default())
        {
            self.turn(Input::Tick);
        }
    }

    pub(crate) fn transact(&mut self, writes: Vec<Write>) {
        self.now.0 += 1;
        self.turn(Input::Command {
            id: CommandId(0),
            command: Command::Transact(writes),
        });
        self.work();
    }

    pub(crate) fn put(&mut self, at: usize, seed: u64) {
        self.transact(vec![Write::Put {
            key: key(at),
            value: value(seed),
            context: None,
        }]);
    }

    pub(crate) fn delete(&mut self, at: usize) {
        self.transact(vec![Write::Delete {
            key: key(at),
            context: None,
        }]);
    }

    /// Fills keys `0..count`, in transactions of a hundred.
    pub(crate) fn fill(&mut self, count: usize) {
        for start in (0..count).step_by(100) {
            let keys = start..count.min(start + 100);
            self.transact(
                keys.map(|at| Write::Put {
                    key: key(at),
                    value: value(at as u64),
                    context: None,
                })
                .collect(),
            );
        }
    }
}

/// What a session took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
    pub(crate) longest_turn: Duration,
}

/// Runs a session in both directions between two replicas that are not linked, and ends the link.
pub(crate) fn session(a: &mut Node, b: &mut Node) -> Cost {
    (a.longest_turn, b.longest_turn) = (Duration::ZERO, Duration::ZERO);
    let start = Instant::now();
    let mut bytes = 0;
    a.turn(Input::PeerUp { peer: PEER });
    b.turn(Input::PeerUp { peer: PEER });
    while !a.sent.is_empty() || !b.sent.is_empty() {
        bytes += carry(a, b) + carry(b, a);
    }
    let cost = Cost {
        bytes,
        time: start.elapsed(),
        longest_turn: a.longest_turn.max(b.longest_turn),
    };
    a.turn(Input::PeerDown { peer: PEER });
    b.turn(Input::PeerDown { peer: PEER });
    assert_eq!(a.replica.digest(), b.replica.digest(), "the session has brought all");
    cost
}

fn carry(from: &mut Node, to: &mut Node) -> usize {
    let frames = std::mem::take(&mut from.sent);
    let bytes = frames.iter().map(Vec::len).sum();
    for frame in frames {
        to.turn(Input::Received { peer: PEER, frame });
        to.work();
    }
    from.turn(Input::Drained { peer: PEER });
    from.work();
    bytes
}
