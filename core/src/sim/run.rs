//! One run: random steps, healing, and the quiet end.

use alloc::{
    collections::VecDeque,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use super::{Profile, Violation, network::Network, oracle::Oracle, random::Random};
use crate::{
    id::{Dot, Peer},
    mutation::Mutation,
    replica::{BatchId, Command, CommandId, Context, Input, Output, Replica, Value, VersionVector, Write},
    store::Batch,
    time::Timestamp,
};

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What kind of run it was.
    pub profile: Profile,
    /// Events made.
    pub events: usize,
    /// Sessions that became visible.
    pub sessions: usize,
    /// BLAKE3 over every output of every replica, in order: equal for equal seeds.
    pub trace: [u8; 32],
}

/// When a healed network counts as stuck: far more turns than any run that converges takes.
const HEALING_TURNS_MAX: usize = 200_000;

/// Runs the schedule of a seed.
///
/// # Errors
/// When a replica did what it must not.
pub fn run(seed: u64) -> Result<Outcome, Violation> {
    run_mutated(seed, None)
}

/// Runs the schedule of a seed with replicas that have a deliberate bug.
///
/// # Errors
/// When a replica did what it must not.
pub fn run_mutated(seed: u64, mutation: Option<Mutation>) -> Result<Outcome, Violation> {
    let mut random = Random::new(seed);
    let profile = Profile {
        mutation,
        ..Profile::draw(&mut random)
    };
    let mut run = Run::new(profile, random);
    run.whole().map_err(|what| Violation {
        seed,
        step: run.step,
        what,
    })?;
    let (events, sessions) = (run.oracle.len(), run.sessions);
    Ok(Outcome {
        profile,
        events,
        sessions,
        trace: *run.trace.finalize().as_bytes(),
    })
}

struct Run {
    profile: Profile,
    random: Random,
    now: Timestamp,
    step: usize,
    nodes: Vec<Node>,
    network: Network,
    oracle: Oracle,
    sessions: usize,
    healed: bool,
    trace: blake3::Hasher,
}

/// A replica with its disk.
struct Node {
    replica: Replica,
    /// Batches that survive a crash.
    disk: Vec<Batch>,
    /// Batches handed to storage that do not survive one yet.
    unflushed: VecDeque<(BatchId, Batch)>,
    /// A context that was read some time ago.
    stale: Option<(Arc<str>, Context)>,
    /// What its batches say it has seen.
    seen: VersionVector,
    /// How far its clock is off, in milliseconds.
    skew: u64,
    /// Peers that frames were sent to since their queue was last empty.
    awaiting_drain: Vec<Peer>,
}

impl Run {
    fn new(profile: Profile, mut random: Random) -> Self {
        let now = Timestamp(1_700_000_000_000);
        let nodes = (0..profile.replicas).map(|_| {
            let replica = Replica::new(profile.config(random.bytes()), now);
            // One in four clocks is wrong by up to ten minutes.
            let skew = if random.percent(25) {
                random.below(600_000) as u64
            } else {
                0
            };
            let (unflushed, awaiting_drain) = (VecDeque::new(), Vec::new());
            Node {
                replica,
                seen: VersionVector::new(),
                disk: Vec::new(),
                unflushed,
                stale: None,
                skew,
                awaiting_drain,
            }
        });
        let nodes = nodes.collect();
        let (network, oracle, trace) = (Network::default(), Oracle::default(), blake3::Hasher::new());
        Self {
            profile,
            random,
            now,
            step: 0,
            nodes,
            network,
            oracle,
            sessions: 0,
            healed: false,
            trace,
        }
    }

    fn whole(&mut self) -> Result<(), String> {
        for _ in 0..self.profile.steps {
            self.step += 1;
            self.random_step()?;
        }
        self.heal()?;
        self.agree()
    }

    fn random_step(&mut self) -> Result<(), String> {
        let node = self.random.below(self.nodes.len());
        let other = self.random.below(self.nodes.len());
        if self.random.below(1_000) < self.profile.mishaps_per_mille {
            return match self.random.below(5) {
                0 | 1 => self.cut(node, other),
                2 => self.crash(node),
                3 => self.restore_backup(node),
                _ => self.clone_profile(node, other),
            };
        }
        if self.profile.is(Mutation::DotEvicted) && self.random.percent(2) {
            return self.evict(node);
        }
        match self.random.below(100) {
            0..25 => self.write(node),
            25..33 => self.join(node, other),
            33..60 => self.deliver_frame(),
            60..80 => self.deliver_gossip(),
            80..90 => self.flush(node),
            _ => self.pass_time(),
        }
    }

    /// Feeds one input and drains the outputs, as a driver does.
    fn feed(&mut self, at: usize, input: Input) -> Result<(), String> {
        let node = &mut self.nodes[at];
        node.replica.handle(input, Timestamp(self.now.0 + node.skew));
        while let Some(output) = node.replica.poll_output() {
            self.trace.update(format!("{at} {output:?}").as_bytes());
            match output {
                Output::Send { peer, frame } => {
                    if !node.awaiting_drain.contains(&peer) {
                        node.awaiting_drain.push(peer);
                    }
                    self.network.send(at, peer, frame);
                }
                Output::Broadcast { message } => self.network.gossip(at, &message),
                Output::Persist { id, batch } => {
                    let past = node.seen.clone();
                    node.seen.merge(&batch.vector.iter().copied().collect());
                    // A batch of this replica's own author that nobody knows of was made here.
                    if let (Some(author), [(of, n)]) = (node.replica.author(), &batch.vector[..])
                        && author == *of
                        && !self.oracle.knows(&Dot::new(author, *n))
                    {
                        self.oracle.made(author, &past, &batch)?;
                    }
                    node.unflushed.push_back((id, batch));
                }
                Output::Emit(crate::replica::Event::Received { .. }) => self.sessions += 1,
                Output::Emit(crate::replica::Event::SessionFailed { error, .. }) => {
                    // Links are honest here: frames come in order or not at all.
                    if error != crate::sync::SessionError::Silent {
                        return Err(format!("replica {at} gave a session up: {error}"));
                    }
                }
                Output::Emit(_) => {}
                Output::Reply { result, .. } => result.map_err(|error| error.to_string())?,
            }
        }
        self.oracle
            .judge(&node.replica)
            .map_err(|what| format!("replica {at} {what}"))
    }

    fn write(&mut self, at: usize) -> Result<(), String> {
        let count = self.random.pick(&[1, 1, 1, 2, 5]);
        let mut writes = Vec::new();
        for _ in 0..count {
            let key: Arc<str> = Arc::from(format!("key {}", self.random.below(self.profile.keys)));
            let stale = self.nodes[at]
                .stale
                .clone()
                .filter(|(stale, _)| *stale == key && self.random.percent(50));
            let context = stale.map(|(_, context)| context);
            if self.random.percent(20) {
                let context = self.nodes[at].replica.siblings(&key).context;
                self.nodes[at].stale = Some((Arc::clone(&key), context));
            }
            writes.push(if self.random.percent(30) {
                Write::Delete { key, context }
            } else {
                Write::Put {
                    key,
                    value: self.value(),
                    context,
                }
            });
        }
        let command = if self.random.percent(2) {
            Command::Clear
        } else {
            Command::Transact(writes)
        };
        self.feed(
            at,
            Input::Command {
                id: CommandId(self.step as u64),
                command,
            },
        )
    }

    fn value(&mut self) -> Value {
        let mut value = self.random.number().to_le_bytes().to_vec();
        if self.random.percent(self.profile.large_percent) {
            value.resize(33_000 + self.random.below(100_000), 7);
        }
        Value::from(value)
    }

    fn join(&mut self, a: usize, b: usize) -> Result<(), String> {
        if let Some(peer) = self.network.join(a, b) {
            self.feed(a, Input::PeerUp { peer })?;
            self.feed(b, Input::PeerUp { peer })?;
        }
        Ok(())
    }

    fn cut(&mut self, a: usize, b: usize) -> Result<(), String> {
        if let Some(peer) = self.network.cut(a, b) {
            self.feed(a, Input::PeerDown { peer })?;
            self.feed(b, Input::PeerDown { peer })?;
        }
        Ok(())
    }

    fn deliver_frame(&mut self) -> Result<(), String> {
        let busy = self.network.busy();
        if busy.is_empty() {
            return Ok(());
        }
        let (to, peer) = self.random.pick(&busy);
        let Some((frame, empty)) = self.network.receive(to, peer) else {
            return Ok(());
        };
        self.feed(
            to,
            Input::Received {
                peer,
                frame: frame.bytes,
            },
        )?;
        if empty {
            self.nodes[frame.from].awaiting_drain.retain(|waiting| *waiting != peer);
            self.feed(frame.from, Input::Drained { peer })?;
        }
        Ok(())
    }

    fn deliver_gossip(&mut self) -> Result<(), String> {
        let duplicate = !self.healed && self.random.percent(self.profile.duplicate_percent);
        let Some(message) = self.network.overhear(&mut self.random, duplicate) else {
            return Ok(());
        };
        if !self.healed && self.random.percent(self.profile.loss_percent) {
            return Ok(());
        }
        // The handing peer may have gone since.
        let peer = self.network.link(message.to, message.from);
        self.feed(
            message.to,
            Input::Gossiped {
                peer,
                message: message.bytes,
            },
        )
    }

    fn flush(&mut self, at: usize) -> Result<(), String> {
        if let Some((id, batch)) = self.nodes[at].unflushed.pop_front() {
            self.nodes[at].disk.push(batch);
            self.feed(at, Input::Persisted { id })?;
        }
        Ok(())
    }

    fn pass_time(&mut self) -> Result<(), String> {
        self.now.0 += self.random.pick(&[1, 50, 400, 2_000]);
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            if node
                .replica
                .poll_timeout()
                .is_some_and(|due| due.0 <= self.now.0 + node.skew)
            {
                self.feed(at, Input::Tick)?;
            }
        }
        Ok(())
    }

    /// The bug that [`Mutation::DotEvicted`] names. The oracle is asked after whatever comes next.
    fn evict(&mut self, at: usize) -> Result<(), String> {
        let replica = &mut self.nodes[at].replica;
        let dot = replica.live_dots().next();
        if let Some(dot) = dot {
            replica.forget(&dot);
        }
        Ok(())
    }

    /// The process dies; what was not flushed is gone. It is opened again from its disk.
    fn crash(&mut self, at: usize) -> Result<(), String> {
        for other in 0..self.nodes.len() {
            if let Some(peer) = self.network.cut(at, other) {
                self.feed(other, Input::PeerDown { peer })?;
            }
        }
        let config = self.profile.config(self.random.bytes());
        let node = &mut self.nodes[at];
        node.unflushed.clear();
        node.awaiting_drain.clear();
        node.stale = None;
        let author = node.replica.author();
        let now = Timestamp(self.now.0 + node.skew);
        node.replica =
            Replica::restore(config, now, node.disk.iter().cloned()).expect("the disk keeps what it was given");
        if self.profile.is(Mutation::AuthorResumed) {
            node.replica.resume_author(author);
        }
        node.seen = node.replica.vector().clone();
        self.oracle
            .judge(&node.replica)
            .map_err(|what| format!("replica {at} after a crash {what}"))
    }

    /// An old image of the disk is put back.
    fn restore_backup(&mut self, at: usize) -> Result<(), String> {
        let kept = self.random.below(self.nodes[at].disk.len() + 1);
        self.nodes[at].disk.truncate(kept);
        self.crash(at)
    }

    /// A profile is copied onto another machine.
    fn clone_profile(&mut self, from: usize, to: usize) -> Result<(), String> {
        if from == to {
            return Ok(());
        }
        self.nodes[to].disk = self.nodes[from].disk.clone();
        self.crash(to)?;
        if self.profile.is(Mutation::AuthorCloned) {
            let author = self.nodes[from].replica.author();
            self.nodes[to].replica.resume_author(author);
        }
        Ok(())
    }

    /// Joins all in a ring and delivers until nothing is left to do.
    fn heal(&mut self) -> Result<(), String> {
        self.healed = true;
        let count = self.nodes.len();
        for at in 0..count {
            self.join(at, (at + 1) % count)?;
        }
        for _ in 0..HEALING_TURNS_MAX {
            self.step += 1;
            if !self.network.busy().is_empty() {
                self.deliver_frame()?;
            } else if self.network.gossiping() {
                self.deliver_gossip()?;
            } else if self.nodes.iter().any(|node| !node.unflushed.is_empty()) {
                for at in 0..count {
                    self.flush(at)?;
                }
            } else if self.agree().is_ok() {
                return Ok(());
            } else {
                self.now.0 += 500;
                self.pass_time()?;
            }
        }
        self.agree()
            .map_err(|what| format!("the healed network does not come to rest: {what}"))
    }

    /// Whether all replicas hold and read the same.
    fn agree(&self) -> Result<(), String> {
        let reading = |node: &Node| {
            let scan = crate::replica::Scan::default();
            let items = node
                .replica
                .scan(&scan)
                .map(|item| (Arc::clone(item.key), Arc::clone(item.value), item.siblings));
            items.collect::<Vec<_>>()
        };
        let first = &self.nodes[0];
        let expected = self.oracle.frontier(first.replica.vector());
        for (at, node) in self.nodes.iter().enumerate() {
            if node.replica.vector() != first.replica.vector() || node.replica.digest() != first.replica.digest() {
                return Err(format!("replica {at} has seen other events than replica 0"));
            }
            if reading(node) != reading(first) {
                return Err(format!("replica {at} reads differently than replica 0"));
            }
            if node.replica.frontier() != expected {
                return Err(format!("the frontier of replica {at} is not {expected:?}"));
            }
            let out_of_sync = |peer| node.replica.in_sync(peer) != Some(true);
            if node.replica.peers().any(out_of_sync) {
                return Err(format!("replica {at} does not know that it is in sync"));
            }
            if node.replica.pending() > 0 {
                return Err(format!("replica {at} has writes pending"));
            }
        }
        Ok(())
    }
}
