//! Three replicas, what is on its way between them, and everything that may happen next.
//!
//! Gossip that was sent once can be heard by anybody at any time, any number of times: not hearing it is loss, hearing it again
//! duplication, and every order is possible. Frames of a link come in order until it is cut. A disk keeps any beginning of what it
//! was given: which one, is chosen when the replica crashes. The clock stands still, except in a pause, in which every timer of a
//! session runs out.

use std::sync::Arc;

use gossipstore_core::{
    id::{Dot, Peer},
    mutation::Mutation,
};
use stateright::{Model, Property};

use super::{
    engine::{Edit, Engine, Opening, Snapshot, Step},
    rules::{self, Fault, Rule},
    table::Number,
};

/// How many replicas there are, and how many pairs of them.
pub(crate) const REPLICAS: usize = 3;

/// The two ends of each link.
pub(crate) const PAIRS: [[usize; 2]; REPLICAS] = [[0, 1], [1, 2], [2, 0]];

/// How much may happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) edits: &'static [Edit],
    /// No edit begins when so many events were made.
    pub(crate) events: usize,
    /// Times that a link comes up, each of which opens a session in both directions.
    pub(crate) links: u8,
    pub(crate) crashes: u8,
    pub(crate) pauses: u8,
    pub(crate) ring_records: usize,
    pub(crate) mutation: Option<Mutation>,
    /// What must be seen somewhere.
    pub(crate) shows: &'static [&'static str],
}

impl Scope {
    /// Nothing but edits and gossip.
    pub(crate) const fn new(events: usize, edits: &'static [Edit]) -> Self {
        Self {
            edits,
            events,
            links: 0,
            crashes: 0,
            pauses: 0,
            ring_records: 1,
            mutation: None,
            shows: &[],
        }
    }

    pub(crate) const fn links(self, links: u8) -> Self {
        Self { links, ..self }
    }

    pub(crate) const fn crashes(self, crashes: u8) -> Self {
        Self { crashes, ..self }
    }

    pub(crate) const fn pauses(self, pauses: u8) -> Self {
        Self { pauses, ..self }
    }

    pub(crate) const fn records(self, ring_records: usize) -> Self {
        Self { ring_records, ..self }
    }

    pub(crate) const fn showing(self, shows: &'static [&'static str]) -> Self {
        Self { shows, ..self }
    }

    pub(crate) fn mutated(self, mutation: Mutation) -> Self {
        let mutation = Some(mutation);
        Self { mutation, ..self }
    }
}

/// All that may come to be within a scope.
pub(crate) struct Worlds {
    scope: Scope,
    pub(crate) engine: Engine,
    /// The replicas when nothing has happened to them yet.
    untouched: [Number; REPLICAS],
}

/// One state of it all.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct World {
    pub(crate) replicas: [Number; REPLICAS],
    openings: [u8; REPLICAS],
    /// The batches that a crash may find on the disk; nothing when none is to come.
    disks: [Vec<Number>; REPLICAS],
    /// By their place in [`PAIRS`].
    pub(crate) links: [Option<Link>; REPLICAS],
    /// Everything that was ever gossiped, and by whom.
    pub(crate) gossip: Vec<(usize, Number)>,
    pub(crate) history: Number,
    /// The last write that a crash has lost, and who made it.
    pub(crate) lost: Option<(usize, Dot)>,
    links_left: u8,
    crashes_left: u8,
    pauses: u8,
    /// What is wrong, if anything is; nothing happens any more then.
    pub(crate) fault: Option<Fault>,
}

/// A link that is up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Link {
    /// Frames on their way to each end.
    pub(crate) lanes: [Vec<Number>; 2],
    /// What the ends held when it came up, until the sessions that this began are over.
    pub(crate) held: Option<[Number; 2]>,
}

/// Something that may happen next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Edit {
        at: usize,
        edit: Edit,
    },
    Overhear {
        at: usize,
        from: usize,
        message: Number,
    },
    Receive {
        pair: usize,
        end: usize,
    },
    Join {
        pair: usize,
    },
    Cut {
        pair: usize,
    },
    Crash {
        at: usize,
        kept: usize,
    },
    Pause,
    /// Only in a world with that bug.
    Evict {
        at: usize,
    },
}

impl Worlds {
    pub(crate) fn new(scope: Scope) -> Self {
        let engine = Engine::new(scope.ring_records, scope.mutation);
        let untouched = [0, 1, 2].map(|replica| {
            let opening = Opening {
                replica,
                earlier: 0,
                disk: Vec::new(),
                resumes: None,
                pauses: 0,
            };
            engine.open(&opening).expect("an empty disk can be opened")
        });
        Self {
            scope,
            engine,
            untouched,
        }
    }

    pub(crate) fn snapshots(&self, world: &World) -> [Arc<Snapshot>; REPLICAS] {
        world.replicas.map(|replica| self.engine.snapshot(replica))
    }

    /// Has something happen to a replica, and puts what it sends on its way.
    fn feed(&self, world: &mut World, at: usize, step: Step) -> Result<(), Fault> {
        let before = world.replicas[at];
        let Some(turn) = self.engine.turn(before, step, world.pauses) else {
            return Ok(());
        };
        if let Some(fault) = &turn.fault {
            return Err(fault.clone());
        }
        world.replicas[at] = turn.next;
        for (peer, frame) in &turn.frames {
            let (pair, end) = lane(at, peer.0 as usize);
            if let Some(link) = &mut world.links[pair] {
                link.lanes[end].push(*frame);
            }
        }
        for message in &turn.gossip {
            world.gossip.push((at, *message));
            world.gossip.sort_unstable();
        }
        if world.crashes_left > 0 {
            world.disks[at].extend(&turn.batches);
        }
        if let (Step::Edit(_), [batch]) = (step, &turn.batches[..]) {
            world.history = self.engine.made(world.history, [before, turn.next], *batch)?;
        }
        let (history, after) = (self.engine.history(world.history), self.engine.snapshot(turn.next));
        let is_lost = |dot: &&Dot| !history.removers(dot).any(|by| after.vector.covers(&by));
        if let Some(dot) = turn.dropped.iter().find(is_lost) {
            let what = format!("{dot:?} is gone, and nothing superseded it");
            return Err(Fault::new(Rule::NoLostUpdate, what));
        }
        self.engine.judge(turn.next, world.history).map_or(Ok(()), Err)
    }

    fn act(&self, world: &mut World, act: &Act) -> Result<(), Fault> {
        match *act {
            Act::Edit { at, edit } => self.feed(world, at, Step::Edit(edit)),
            Act::Overhear { at, from, message } => self.feed(world, at, overhear(world, at, from, message)),
            Act::Receive { pair, end } => self.receive(world, pair, end),
            Act::Join { pair } => {
                self.cut(world, pair)?;
                let [a, b] = PAIRS[pair];
                world.links_left -= 1;
                world.links[pair] = Some(Link {
                    lanes: [Vec::new(), Vec::new()],
                    held: Some([world.replicas[a], world.replicas[b]]),
                });
                self.feed(world, a, Step::Up(peer(b)))?;
                self.feed(world, b, Step::Up(peer(a)))
            }
            Act::Cut { pair } => self.cut(world, pair),
            Act::Crash { at, kept } => self.crash(world, at, kept),
            Act::Evict { at } => self.feed(world, at, Step::Evict),
            Act::Pause => {
                world.pauses += 1;
                for link in world.links.iter_mut().flatten() {
                    // The session may be given up for silence.
                    link.held = None;
                }
                (0..REPLICAS).try_for_each(|at| self.feed(world, at, Step::Tick))
            }
        }
    }

    /// Delivers the next frame to one end of a link.
    fn receive(&self, world: &mut World, pair: usize, end: usize) -> Result<(), Fault> {
        let Some(link) = &mut world.links[pair] else {
            return Ok(());
        };
        let (to, from) = (PAIRS[pair][end], PAIRS[pair][1 - end]);
        let frame = link.lanes[end].remove(0);
        let drained = link.lanes[end].is_empty();
        self.feed(
            world,
            to,
            Step::Receive {
                peer: peer(from),
                frame,
            },
        )?;
        if drained {
            self.feed(world, from, Step::Drained(peer(to)))?;
        }
        let Some(link) = &mut world.links[pair] else {
            return Ok(());
        };
        if link.lanes.iter().any(|lane| !lane.is_empty()) {
            return Ok(());
        }
        let Some(held) = link.held.take() else { return Ok(()) };
        for end in [0, 1] {
            let receiver = self.engine.snapshot(world.replicas[PAIRS[pair][end]]);
            let held = &self.engine.snapshot(held[1 - end]).vector;
            if !receiver.vector.dominates(held) {
                let what = format!("nothing is on its way any more, and {held:?} has not come");
                return Err(Fault::new(Rule::SessionsDeliver, what));
            }
        }
        Ok(())
    }

    /// Takes a link down, if it is up.
    fn cut(&self, world: &mut World, pair: usize) -> Result<(), Fault> {
        if world.links[pair].take().is_none() {
            return Ok(());
        }
        let [a, b] = PAIRS[pair];
        self.feed(world, a, Step::Down(peer(b)))?;
        self.feed(world, b, Step::Down(peer(a)))
    }

    /// A replica dies and is opened again from the first batches that it had handed to its disk.
    fn crash(&self, world: &mut World, at: usize, kept: usize) -> Result<(), Fault> {
        let died = self.engine.snapshot(world.replicas[at]);
        let links: Vec<_> = world.links_of(at).collect();
        links.into_iter().try_for_each(|pair| self.cut(world, pair))?;
        world.crashes_left -= 1;
        world.openings[at] += 1;
        world.disks[at].truncate(kept);
        world.replicas[at] = self.engine.open(&Opening {
            replica: at,
            earlier: world.openings[at],
            disk: world.disks[at].clone(),
            resumes: died
                .author
                .filter(|_| self.scope.mutation == Some(Mutation::AuthorResumed)),
            pauses: world.pauses,
        })?;
        let opened = self.engine.snapshot(world.replicas[at]);
        let last = died.author.map(|author| Dot::new(author, died.vector.get(&author)));
        world.lost = last
            .filter(|dot| dot.n > 0 && !opened.vector.covers(dot))
            .map(|dot| (at, dot));
        if world.crashes_left == 0 {
            world.disks = Default::default();
        }
        self.engine.judge(world.replicas[at], world.history).map_or(Ok(()), Err)
    }

    /// The messages that would change something when they are heard.
    fn hearings(&self, world: &World, at: usize) -> impl Iterator<Item = Act> {
        let changes = move |(from, message): &(usize, Number)| {
            let step = overhear(world, at, *from, *message);
            self.engine.turn(world.replicas[at], step, world.pauses).is_some()
        };
        let heard = world.gossip.iter().copied().filter(changes);
        heard.map(move |(from, message)| Act::Overhear { at, from, message })
    }

    /// Whether nothing begins any more. A replica without a link then has no part in what becomes of the others: it goes first,
    /// instead of anywhere between.
    fn is_settled(&self, world: &World) -> bool {
        let written = self.engine.history(world.history).len() >= self.scope.events;
        written && world.links_left == 0 && world.crashes_left == 0 && world.pauses == self.scope.pauses
    }

    /// Whether no lower replica is left out that nothing has happened to, where one is taken to which nothing has either. They
    /// differ by name only, and names make no difference.
    fn is_named_in_order(&self, world: &World, act: &Act) -> bool {
        let parts: &[usize] = match act {
            Act::Edit { at, .. } | Act::Overhear { at, .. } | Act::Crash { at, .. } | Act::Evict { at } => &[*at],
            Act::Receive { pair, .. } | Act::Join { pair } | Act::Cut { pair } => &PAIRS[*pair],
            Act::Pause => &[],
        };
        let untouched = |at: &usize| world.replicas[*at] == self.untouched[*at];
        { parts.iter() }
            .filter(|at| untouched(at))
            .all(|at| (0..*at).filter(untouched).all(|lower| parts.contains(&lower)))
    }

    /// Whether nothing is on its way that would change anything.
    pub(crate) fn is_quiet(&self, world: &World) -> bool {
        let mut lanes = world.links.iter().flatten().flat_map(|link| &link.lanes);
        lanes.all(Vec::is_empty) && (0..REPLICAS).all(|at| self.hearings(world, at).next().is_none())
    }
}

impl World {
    /// The links of a replica that are up.
    fn links_of(&self, at: usize) -> impl Iterator<Item = usize> {
        let up = move |pair: &usize| PAIRS[*pair].contains(&at) && self.links[*pair].is_some();
        (0..REPLICAS).filter(up)
    }
}

impl Model for Worlds {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            replicas: self.untouched,
            openings: [0; REPLICAS],
            disks: Default::default(),
            links: Default::default(),
            gossip: Vec::new(),
            history: self.engine.no_history(),
            lost: None,
            links_left: self.scope.links,
            crashes_left: self.scope.crashes,
            pauses: 0,
            fault: None,
        }]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if world.fault.is_some() {
            return;
        }
        if self.is_settled(world) {
            let alone = (0..REPLICAS).filter(|at| world.links_of(*at).next().is_none());
            for at in alone {
                acts.extend(self.hearings(world, at));
                if !acts.is_empty() {
                    return;
                }
            }
        }
        if self.engine.history(world.history).len() < self.scope.events {
            let edits = |at| self.scope.edits.iter().map(move |edit| Act::Edit { at, edit: *edit });
            acts.extend((0..REPLICAS).flat_map(edits));
        }
        acts.extend((0..REPLICAS).flat_map(|at| self.hearings(world, at)));
        for (pair, link) in world.links.iter().enumerate() {
            let on_their_way = |end: &usize| link.as_ref().is_some_and(|link| !link.lanes[*end].is_empty());
            let receiving = [0, 1].into_iter().filter(on_their_way);
            if receiving.clone().next().is_some() {
                acts.extend(receiving.map(|end| Act::Receive { pair, end }));
                acts.push(Act::Cut { pair });
            } else if world.links_left > 0 {
                acts.push(Act::Join { pair });
            }
        }
        if world.crashes_left > 0 {
            for (at, disk) in world.disks.iter().enumerate().filter(|(_, disk)| !disk.is_empty()) {
                acts.extend((0..=disk.len()).map(|kept| Act::Crash { at, kept }));
            }
        }
        if world.pauses < self.scope.pauses {
            acts.push(Act::Pause);
        }
        if self.scope.mutation == Some(Mutation::DotEvicted) {
            acts.extend((0..REPLICAS).map(|at| Act::Evict { at }));
        }
        acts.retain(|act| self.is_named_in_order(world, act));
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        let mut next = world.clone();
        if let Err(fault) = self.act(&mut next, &act) {
            next.fault = Some(fault);
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::properties(self.scope.shows)
    }
}

/// The number under which others know a replica.
fn peer(at: usize) -> Peer {
    Peer(at as u64)
}

/// The link between two replicas, and which of its ends the second is.
fn lane(from: usize, to: usize) -> (usize, usize) {
    let joins = |ends: &[usize; 2]| ends.contains(&from) && ends.contains(&to);
    let pair = PAIRS.iter().position(joins).expect("every two are a pair");
    (pair, usize::from(PAIRS[pair][1] == to))
}

/// Whoever made a message hands it over, if that is a peer that is up.
fn overhear(world: &World, at: usize, from: usize, message: Number) -> Step {
    let up = at != from && world.links[lane(from, at).0].is_some();
    Step::Overhear {
        from: up.then(|| peer(from)),
        message,
    }
}
