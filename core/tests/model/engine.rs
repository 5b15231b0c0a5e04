//! Turns of the real engine, each run once.
//!
//! Three replicas together pass through millions of states, each of them alone through some thousands. The engine is a value, and
//! gives the same outputs for the same inputs; so what a replica does from one state on one input is found out once, and looked up
//! ever after. A state is kept as the way to it, which is gone again when the replica itself is needed: a replica takes 12 KB, and
//! has no business being copied.
//!
//! Two states of a replica are one if their `Debug` is: it is derived, hence shows whatever the engine comes to hold. It may show a
//! difference that makes none (which slot an entry stands in); that costs a tenth more states and hides nothing.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use gossipstore_core::{
    id::{AuthorId, Digest, Dot, Peer, StoreId},
    mutation::{Mutated, Mutation},
    replica::{
        Body, Command, CommandId, Config, Event, Input, Key, Output, Replica, Scan, Value, VersionVector, Write,
    },
    sim::{Moment, Oracle},
    store::Batch,
    sync::SessionError,
    time::Timestamp,
    wire::Frame,
};

use super::{
    rules::{Fault, Rule},
    table::{Number, Table, print},
};

/// How far a pause moves the clock: every timer of a session is due after it, silence (30 s) included.
const PAUSE: Duration = Duration::from_secs(31);

/// More turns than the engine ever has work for after one input.
const TURNS_MAX: usize = 1_000;

/// What a user does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Edit {
    Put(&'static str),
    /// Both keys in one transaction.
    PutBoth(&'static str, &'static str),
    Delete(&'static str),
}

/// What happens to one replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Step {
    Edit(Edit),
    Overhear {
        from: Option<Peer>,
        message: Number,
    },
    Receive {
        peer: Peer,
        frame: Number,
    },
    Drained(Peer),
    Up(Peer),
    Down(Peer),
    Tick,
    /// The dot of a live entry is forgotten with its body, which the rules forbid.
    Evict,
}

/// How a replica is opened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Opening {
    pub(crate) replica: usize,
    /// How many times this one was opened before.
    pub(crate) earlier: u8,
    /// The batches on its disk.
    pub(crate) disk: Vec<Number>,
    /// The author that this opening goes on with, which the rules forbid.
    pub(crate) resumes: Option<AuthorId>,
    pub(crate) pauses: u8,
}

/// A replica between two inputs: the way to it, and what callers can see of it.
pub(crate) struct Snapshot {
    way: Way,
    pub(crate) author: Option<AuthorId>,
    pub(crate) vector: VersionVector,
    pub(crate) live: BTreeSet<Dot>,
    pub(crate) frontier: Vec<Dot>,
    pub(crate) reading: Reading,
}

/// What brings a replica into a state.
enum Way {
    Opening(Opening),
    /// A step from another state, after so many pauses.
    Step(Number, Step, u8),
}

/// All that a caller reads.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Reading {
    digest: Digest,
    items: Vec<(Key, Body, usize)>,
}

/// What became of a step.
#[derive(PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) next: Number,
    pub(crate) frames: Vec<(Peer, Number)>,
    pub(crate) gossip: Vec<Number>,
    pub(crate) batches: Vec<Number>,
    /// What was live and is not any more.
    pub(crate) dropped: Vec<Dot>,
    pub(crate) fault: Option<Fault>,
}

/// Bytes between two replicas.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    /// Whether it names live dots, in place of records that are not there.
    pub(crate) leaves: bool,
}

/// The engine, and all that is known of what it does.
#[derive(Default)]
pub(crate) struct Engine {
    ring_records: usize,
    mutation: Option<Mutation>,
    snapshots: Table<Snapshot>,
    messages: Table<Message>,
    batches: Table<Batch>,
    histories: Table<Oracle>,
    turns: Known<(Number, Step, u8), Option<Arc<Turn>>>,
    openings: Known<Opening, Result<Number, Fault>>,
    verdicts: Known<(Number, Number), Option<Fault>>,
}

/// Answers found before. Two threads may look for the same one at once; they find the same.
type Known<Q, A> = RwLock<HashMap<Q, A>>;

impl Engine {
    pub(crate) fn new(ring_records: usize, mutation: Option<Mutation>) -> Self {
        Self {
            ring_records,
            mutation,
            ..Self::default()
        }
    }

    pub(crate) fn snapshot(&self, number: Number) -> Arc<Snapshot> {
        self.snapshots.get(number)
    }

    pub(crate) fn message(&self, number: Number) -> Arc<Message> {
        self.messages.get(number)
    }

    pub(crate) fn history(&self, number: Number) -> Arc<Oracle> {
        self.histories.get(number)
    }

    /// The history in which nothing was written.
    pub(crate) fn no_history(&self) -> Number {
        self.histories.number(Oracle::default())
    }

    /// The history that a local transaction adds to another: what its writer was before and after it, and the batch that it became.
    pub(crate) fn made(&self, history: Number, writer: [Number; 2], batch: Number) -> Result<Number, Fault> {
        let [before, after] = writer.map(|writer| self.snapshot(writer));
        let mut history = Oracle::clone(&self.history(history));
        // The name may be one that the writer took just now.
        let author = after.author.unwrap_or_default();
        match history.made(author, &before.vector, &self.batches.get(batch), Moment::default()) {
            Ok(()) => Ok(self.histories.number(history)),
            Err(flaw) => Err(Fault::new(Rule::Closed, flaw.what)),
        }
    }

    /// How many states of a single replica were met.
    pub(crate) fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    /// How many turns were run.
    pub(crate) fn turns(&self) -> usize {
        self.turns.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Opens a replica from its disk.
    pub(crate) fn open(&self, opening: &Opening) -> Result<Number, Fault> {
        known(&self.openings, opening, || {
            let replica = self.restore(opening)?;
            Ok(self.keep(&replica, Way::Opening(opening.clone())))
        })
    }

    /// What a replica does when this happens to it, after so many pauses; `None` if nothing comes of it.
    pub(crate) fn turn(&self, from: Number, step: Step, pauses: u8) -> Option<Arc<Turn>> {
        known(&self.turns, &(from, step, pauses), || {
            let turn = self.run(from, step, pauses);
            (turn != Turn::to(from)).then(|| Arc::new(turn))
        })
    }

    /// What a history holds against a replica.
    pub(crate) fn judge(&self, replica: Number, history: Number) -> Option<Fault> {
        known(&self.verdicts, &(replica, history), || {
            let (replica, history) = (self.snapshot(replica), self.history(history));
            let judged = history.judge_state(&replica.vector, &replica.live).and_then(|()| {
                let expected = history.frontier(&replica.vector);
                if replica.frontier == expected {
                    Ok(())
                } else {
                    Err(format!("has the frontier {:?}, not {expected:?}", replica.frontier).into())
                }
            });
            judged.err().map(|flaw| Fault::new(Rule::Closed, flaw.what))
        })
    }

    fn run(&self, from: Number, step: Step, pauses: u8) -> Turn {
        let mut turn = Turn::to(from);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut replica = self.revive(from);
            self.drive(&mut replica, step, pauses, |output| self.note(output, &mut turn));
            self.keep(&replica, Way::Step(from, step, pauses))
        }));
        match ran {
            Ok(next) => turn.next = next,
            Err(_) => turn.fault = Some(Fault::new(Rule::Sound, format!("a replica panics at {step:?}"))),
        }
        let (before, after) = (self.snapshot(from), self.snapshot(turn.next));
        turn.dropped = before.live.difference(&after.live).copied().collect();
        if let Some(dot) = after.live.iter().find(|dot| before.removed(dot)) {
            let what = format!("{dot:?} was removed and is live again");
            turn.fault = Some(Fault::new(Rule::NoResurrection, what));
        }
        if !after.vector.dominates(&before.vector) {
            turn.fault = Some(Fault::new(Rule::NoLostUpdate, "a vector runs back"));
        }
        turn
    }

    /// The replica in a state: fed again with all that led there.
    fn revive(&self, number: Number) -> Replica {
        let (mut steps, mut at) = (Vec::new(), number);
        let mut replica = loop {
            match &self.snapshot(at).way {
                Way::Opening(opening) => break self.restore(opening).expect("it could be opened before"),
                Way::Step(from, step, pauses) => {
                    steps.push((*step, *pauses));
                    at = *from;
                }
            }
        };
        for (step, pauses) in steps.into_iter().rev() {
            self.drive(&mut replica, step, pauses, drop);
        }
        replica
    }

    /// A replica opened from its disk.
    ///
    /// Its author is set here, and not drawn at the first write: the name would depend on how much was drawn before, and so would
    /// the order of the authors. That an opening goes on with no author of its own accord is looked at.
    fn restore(&self, opening: &Opening) -> Result<Replica, Fault> {
        let config = Config {
            ring_records: self.ring_records,
            mutated: Mutated::by(self.mutation),
            // One event a frame and one frame at a time, so that everything can come between.
            event_bytes_max: 1,
            frames_per_turn: 1,
            ..Config::new(StoreId::from_name("model"), [opening.replica as u8 + 1; 32])
        };
        let batches = opening.disk.iter().map(|batch| Batch::clone(&self.batches.get(*batch)));
        let mut replica = Replica::restore(config, now(opening.pauses), batches)
            .map_err(|error| Fault::new(Rule::Sound, error.to_string()))?;
        if replica.author().is_some() {
            return Err(Fault::new(Rule::Closed, "a replica is opened with an author"));
        }
        let fresh = AuthorId([16 * opening.earlier + opening.replica as u8 + 1; 16]);
        replica.resume_author(Some(opening.resumes.unwrap_or(fresh)));
        Ok(replica)
    }

    /// Takes a step, and goes on while there is work left. No batch is ever reported as durable: only replies wait for that.
    fn drive(&self, replica: &mut Replica, step: Step, pauses: u8, mut on_output: impl FnMut(Output)) {
        let mut input = if step == Step::Evict {
            let dot = replica.live_dots().next();
            dot.inspect(|dot| replica.forget(dot));
            Input::Tick
        } else {
            self.input(step, replica)
        };
        for _ in 0..TURNS_MAX {
            replica.handle(input, now(pauses));
            while let Some(output) = replica.poll_output() {
                on_output(output);
            }
            if replica.poll_timeout() != Some(Timestamp::default()) {
                return;
            }
            input = Input::Tick;
        }
        panic!("the work does not end");
    }

    fn input(&self, step: Step, replica: &Replica) -> Input {
        let bytes = |number| self.message(number).bytes.clone();
        match step {
            Step::Edit(edit) => Input::Command {
                id: CommandId(0),
                command: Command::Transact(writes(edit, replica)),
            },
            Step::Overhear { from, message } => Input::Gossiped {
                peer: from,
                message: bytes(message),
            },
            Step::Receive { peer, frame } => Input::Received {
                peer,
                frame: bytes(frame),
            },
            Step::Drained(peer) => Input::Drained { peer },
            Step::Up(peer) => Input::PeerUp { peer },
            Step::Down(peer) => Input::PeerDown { peer },
            Step::Tick | Step::Evict => Input::Tick,
        }
    }

    fn note(&self, output: Output, turn: &mut Turn) {
        match output {
            Output::Send { peer, frame } => turn.frames.push((peer, self.messages.number(Message::new(frame)))),
            Output::Broadcast { message } => turn.gossip.push(self.messages.number(Message::new(message))),
            Output::Persist { batch, .. } => turn.batches.push(self.batches.number(batch)),
            Output::Emit(Event::SessionFailed { error, .. }) if error != SessionError::Silent => {
                turn.fault = Some(Fault::new(Rule::Sound, format!("a session is given up: {error}")));
            }
            Output::Emit(Event::GossipRefused { error, .. }) => {
                turn.fault = Some(Fault::new(Rule::Sound, format!("gossip is refused: {error}")));
            }
            Output::Reply { result: Err(error), .. } => {
                turn.fault = Some(Fault::new(Rule::Sound, format!("a command is refused: {error}")));
            }
            Output::Load { .. } | Output::Emit(_) | Output::Reply { .. } => {}
        }
    }

    fn keep(&self, replica: &Replica, way: Way) -> Number {
        // The digest is made when it is asked for, and remembered: whether it was makes no difference.
        let digest = replica.digest();
        self.snapshots
            .number_of(print(replica), || Snapshot::new(replica, digest, way))
    }
}

impl Snapshot {
    fn new(replica: &Replica, digest: Digest, way: Way) -> Self {
        let scan = Scan::default();
        let items = replica.scan(&scan);
        let items = items.map(|item| (item.key.clone(), item.body.clone(), item.siblings));
        Self {
            way,
            author: replica.author(),
            vector: replica.vector().clone(),
            live: replica.live_dots().collect(),
            frontier: replica.frontier().iter().map(|tip| tip.dot).collect(),
            reading: Reading {
                digest,
                items: items.collect(),
            },
        }
    }

    fn removed(&self, dot: &Dot) -> bool {
        self.vector.covers(dot) && !self.live.contains(dot)
    }
}

impl Reading {
    /// Whether a key has siblings.
    pub(crate) fn has_siblings(&self) -> bool {
        self.items.iter().any(|(_, _, siblings)| *siblings > 1)
    }
}

impl Turn {
    fn to(next: Number) -> Self {
        Self {
            next,
            frames: Vec::new(),
            gossip: Vec::new(),
            batches: Vec::new(),
            dropped: Vec::new(),
            fault: None,
        }
    }
}

impl Message {
    fn new(bytes: Vec<u8>) -> Self {
        let leaves = matches!(Frame::parse(&bytes), Ok(Frame::Leaves { .. }));
        Self { bytes, leaves }
    }
}

/// An edit as writes whose values are the names of their dots.
fn writes(edit: Edit, replica: &Replica) -> Vec<Write> {
    let author = replica.author().unwrap_or_default();
    let first = replica.vector().get(&author) + 1;
    let put = |key: &str, n| Write::Put {
        key: Key::from(key),
        value: Value::from(format!("{:?}", Dot::new(author, n)).as_bytes()),
        context: None,
    };
    match edit {
        Edit::Put(key) => vec![put(key, first)],
        Edit::PutBoth(one, other) => vec![put(one, first), put(other, first + 1)],
        Edit::Delete(key) => vec![Write::Delete {
            key: Key::from(key),
            context: None,
        }],
    }
}

fn now(pauses: u8) -> Timestamp {
    Timestamp(1_700_000_000_000) + PAUSE * u32::from(pauses)
}

fn known<Q: Clone + Eq + Hash, A: Clone>(answers: &Known<Q, A>, question: &Q, find: impl FnOnce() -> A) -> A {
    if let Some(answer) = answers.read().unwrap_or_else(PoisonError::into_inner).get(question) {
        return answer.clone();
    }
    // Without the lock: the engine takes its time.
    let answer = find();
    let mut answers = answers.write().unwrap_or_else(PoisonError::into_inner);
    answers.entry(question.clone()).or_insert(answer).clone()
}
