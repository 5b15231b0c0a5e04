//! A hostile member: a hand on the wire of an honest replica, which adds, answers and alters what that replica never would.
//!
//! Three kinds. A *liar* stays within what the engine can tell apart from the truth or need not trust: unique events of authors of its
//! own that remove whatever it likes, transactions and announcements that nobody can have, vectors and digests that nobody holds,
//! frames out of place, replays, floods, silence. Honest replicas must withstand all of it to the letter of the oracle. A *forger*
//! sends anything: altered recordings, random bytes, and the lies of [`Lie`], each of which makes honest replicas differ or lose
//! entries as long as nothing is signed. They must go on working all the same: no panic, no bound exceeded, no session that hangs, all
//! of one vector in the end. An *equivocator* has puts of its own, and tells each replica another under the same dot: all must hold the
//! same in the end.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    sync::Arc,
    vec::Vec,
};

use super::{
    oracle::{Made, Moment, Oracle, Put},
    profile::store,
    random::Random,
};
use crate::{
    causality::{Dots, Event, Key, Kind, Op, Tip, Tips, Txn, Value, counter},
    id::{AuthorId, Dot, Home, Peer, PresenceId, TxnHash},
    replica::VersionVector,
    time::{Hlc, Timestamp},
    wire::{
        AuthorTable, Base, End, EventWriter, Frame, Gossip, Hello, LiveEvent, Presence, STAMP_ORIGIN, Share, Tag,
        Wishes,
    },
};

/// What a hostile member does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hostility {
    /// Lies that the engine withstands.
    Liar,
    /// Anything.
    Forger,
    /// Several events under one dot.
    Equivocator,
    /// Events of its own, and one lie: to see what it does.
    One(Lie),
}

/// A lie that a single member can tell and that the engine does not see through while nothing is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// END covers events that were not described, and says that some were not: they count as removed.
    FalseEnd,
    /// END with a frontier that is not maximal: later writes lose a part of their past.
    FalseFrontier,
    /// LEAVES that name nothing: what the receiver holds counts as removed.
    FalseLeaves,
    /// Two events under one dot.
    Equivocation,
    /// An event under another author's next dot.
    ForeignAuthor,
    /// A put that removes an entry of another key: the key that is left out on the wire is read as the other.
    ForeignKey,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FalseEnd,
        Self::FalseFrontier,
        Self::FalseLeaves,
        Self::Equivocation,
        Self::ForeignAuthor,
        Self::ForeignKey,
    ];
}

/// What is put on the wire.
#[derive(Debug)]
pub(super) enum Act {
    /// A frame, on a link.
    Send(Peer, Vec<u8>),
    /// A message to all members.
    Gossip(Vec<u8>),
    /// A message to one of them.
    Whisper(usize, Vec<u8>),
}

/// An event of the hostile member's own author.
#[derive(Clone, Debug)]
struct Own {
    event: Event,
    deps: Tips,
    hlc: Hlc,
}

/// How much is remembered of what was heard: frames, messages, entries.
const HEARD_MAX: usize = 64;

/// How many frames a flood has.
const FLOOD_FRAMES: usize = 40;

/// The hostile hand.
#[derive(Debug)]
pub(super) struct Hostile {
    kind: Hostility,
    keys: usize,
    author: AuthorId,
    own: Vec<Own>,
    /// Frames and messages that went by.
    heard: VecDeque<Vec<u8>>,
    /// Entries that went by, with their keys.
    entries: VecDeque<(Dot, Key)>,
    /// What members were heard to hold. Its counts end transactions.
    seen: VersionVector,
    /// The last HELLO on each link.
    asked: BTreeMap<Peer, (Tag, VersionVector)>,
}

impl Hostile {
    pub(super) fn new(kind: Hostility, keys: usize, random: &mut Random) -> Self {
        Self {
            kind,
            keys,
            author: author(random),
            own: Vec::new(),
            heard: VecDeque::new(),
            entries: VecDeque::new(),
            seen: VersionVector::new(),
            asked: BTreeMap::new(),
        }
    }

    /// How many of its own events a replica with this vector shows.
    pub(super) fn accepted(&self, seen: &VersionVector) -> u64 {
        seen.get(&self.author)
    }

    /// Listens to a frame that its replica, which has seen `own`, is sent.
    pub(super) fn hear_frame(&mut self, peer: Peer, frame: &[u8], own: &VersionVector) {
        self.hear(frame);
        if let Ok(Frame::Hello(hello)) = Frame::parse(frame) {
            let base = match hello.base {
                Base::Empty => VersionVector::new(),
                Base::Digest(digest) if digest == own.digest() => own.clone(),
                // The hand does not know what it is relative to, and leaves the answer to its replica.
                Base::Digest(_) | Base::Hello(_) => {
                    self.asked.remove(&peer);
                    return;
                }
            };
            let counts = hello.counts(&mut AuthorTable::new(&base)).unwrap_or_default();
            let mut vector = base;
            for (author, n) in counts {
                vector.set(author, n);
            }
            self.seen.merge(&vector);
            self.asked.insert(peer, (hello.tag, vector));
        }
    }

    /// Listens to a gossiped message.
    pub(super) fn hear_message(&mut self, message: &[u8]) {
        self.hear(message);
        if let Ok(Gossip::Txn(txn)) = Gossip::decode(message) {
            let last = txn.last();
            self.seen.advance(last.author, last.n);
            for (dot, event) in txn.dotted() {
                if let Op::Put { key, .. } = &event.op {
                    self.entries.push_back((dot, key.clone()));
                    self.entries.drain(..self.entries.len().saturating_sub(HEARD_MAX));
                }
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.heard.push_back(bytes.to_vec());
        self.heard.drain(..self.heard.len().saturating_sub(HEARD_MAX));
    }

    /// What the hand goes on with when the others come to rest: nothing that makes events, so that there is rest to come to.
    pub(super) fn pester(&mut self, links: &[(Peer, usize)], random: &mut Random) -> Vec<Act> {
        if links.is_empty() {
            return Vec::new();
        }
        let (peer, _) = random.pick(links);
        match random.below(4) {
            0 => self.hello(random).map(|frame| Act::Send(peer, frame)).collect(),
            1 => [self.digest(peer, random)].into(),
            2 => self.out_of_place(peer, random).into_iter().collect(),
            _ => [Act::Gossip(Gossip::encode(&self.impossible(random), usize::MAX))].into(),
        }
    }

    /// Answers a HELLO in the replica's place, or `None` to let it answer itself.
    pub(super) fn answer(&mut self, peer: Peer, random: &mut Random, oracle: &Oracle) -> Option<Vec<Act>> {
        if !random.percent(40) {
            return None;
        }
        let (tag, asked) = self.asked.get(&peer)?;
        let mut frames = self.session(*tag, asked, random, oracle);
        if self.kind == Hostility::Liar && random.percent(30) {
            // Silence, from any frame on.
            frames.truncate(random.below(frames.len()));
        }
        Some(frames.into_iter().map(|frame| Act::Send(peer, frame)).collect())
    }

    /// What the hand does when nobody asked; `links` are those of its replica.
    pub(super) fn act(
        &mut self,
        links: &[(Peer, usize)],
        at: Moment,
        random: &mut Random,
        oracle: &mut Oracle,
    ) -> Vec<Act> {
        if links.is_empty() {
            return Vec::new();
        }
        let (peer, to) = random.pick(links);
        match self.kind {
            Hostility::Liar => self.mislead(peer, at, random, oracle),
            Hostility::Forger if random.percent(40) => self.mislead(peer, at, random, oracle),
            Hostility::Forger if random.percent(30) => {
                let lie = random.pick(&Lie::ALL);
                self.lie(lie, links, at, random, oracle)
            }
            Hostility::Forger => self.forge(peer, to, random),
            Hostility::Equivocator if random.percent(50) => self.lie(Lie::Equivocation, links, at, random, oracle),
            Hostility::Equivocator => {
                let txn = self.make(false, at, random, oracle);
                [Act::Gossip(Gossip::encode(&txn, usize::MAX))].into()
            }
            Hostility::One(lie) => self.lie(lie, links, at, random, oracle),
        }
    }

    /// A lie that the engine withstands.
    fn mislead(&mut self, peer: Peer, at: Moment, random: &mut Random, oracle: &mut Oracle) -> Vec<Act> {
        match random.below(11) {
            10 => [self.crowd(peer, random)].into(),
            0..3 => {
                let txn = self.make(false, at, random, oracle);
                // What is not gossiped, sessions bring.
                let told = random.percent(70).then(|| Gossip::encode(&txn, usize::MAX));
                told.into_iter().map(Act::Gossip).collect()
            }
            3 => [Act::Gossip(Gossip::encode(&self.impossible(random), usize::MAX))].into(),
            4 => [self.announce(random)].into(),
            5 => self.hello(random).map(|frame| Act::Send(peer, frame)).collect(),
            6 => [self.digest(peer, random)].into(),
            7 => {
                let replay = self.heard.get(random.below(self.heard.len())).cloned();
                replay.map(|bytes| Act::Send(peer, bytes)).into_iter().collect()
            }
            8 => self.out_of_place(peer, random).into_iter().collect(),
            _ => {
                let mut flood = Vec::new();
                for _ in 0..random.below(FLOOD_FRAMES) {
                    match random.below(5) {
                        4 => flood.push(self.crowd(peer, random)),
                        0 => flood.push(self.announce(random)),
                        1 => flood.push(self.digest(peer, random)),
                        2 => flood.push(Act::Gossip(Gossip::encode(&self.impossible(random), usize::MAX))),
                        _ => flood.extend(self.hello(random).map(|frame| Act::Send(peer, frame))),
                    }
                }
                flood
            }
        }
    }

    /// One of the lies that the engine does not see through. Those of sessions wait for a HELLO to answer.
    fn lie(
        &mut self,
        lie: Lie,
        links: &[(Peer, usize)],
        at: Moment,
        random: &mut Random,
        oracle: &mut Oracle,
    ) -> Vec<Act> {
        let mut txn = self.make(lie == Lie::ForeignKey, at, random, oracle);
        // Where one replica holds something and another has seen it dead, no fork can be told from a damaged storage.
        let shows = self.kind != Hostility::Equivocator || matches!(txn.events[0].op, Op::Put { .. });
        match lie {
            Lie::Equivocation if !shows => [Act::Gossip(Gossip::encode(&txn, usize::MAX))].into(),
            Lie::Equivocation => {
                let mut acts = Vec::new();
                for (_, to) in links {
                    txn.events[0].op = self.put(random);
                    acts.push(Act::Whisper(*to, Gossip::encode(&txn, usize::MAX)));
                }
                acts
            }
            Lie::ForeignAuthor => {
                if let Some(last) = self.known(random) {
                    (txn.author, txn.first) = (last.author, last.n + 1);
                    txn.events[0].removes = Dots::default();
                }
                [Act::Gossip(Gossip::encode(&txn, usize::MAX))].into()
            }
            _ => [Act::Gossip(Gossip::encode(&txn, usize::MAX))].into(),
        }
    }

    /// Bytes of any kind.
    fn forge(&mut self, peer: Peer, to: usize, random: &mut Random) -> Vec<Act> {
        let mut bytes = self
            .heard
            .get(random.below(self.heard.len()))
            .cloned()
            .unwrap_or_default();
        match random.below(4) {
            0 => {
                bytes = (0..random.below(60)).map(|_| random.number() as u8).collect();
                if let Some(kind) = bytes.first_mut() {
                    *kind = random.pick(&[1, 2, 3, 4, 5, 6, 16, 17]);
                }
            }
            1 => bytes.truncate(random.below(bytes.len())),
            2 => {
                // A frame of another session, as if it were of this one.
                if let (Some((tag, _)), Some(place)) = (self.asked.get(&peer), bytes.get_mut(1..3)) {
                    place.copy_from_slice(&tag.0.to_le_bytes());
                }
            }
            _ => {}
        }
        for _ in 0..random.below(3) {
            let at = random.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        [if random.percent(30) {
            Act::Whisper(to, bytes)
        } else {
            Act::Send(peer, bytes)
        }]
        .into()
    }

    /// An answer that brings its own events to one who holds `asked`.
    fn session(&self, tag: Tag, asked: &VersionVector, random: &mut Random, oracle: &Oracle) -> Vec<Vec<u8>> {
        let tells = |lie, random: &mut Random| match self.kind {
            Hostility::Forger => random.percent(20),
            kind => kind == Hostility::One(lie),
        };
        let mut writer = EventWriter::new(AuthorTable::new(asked), STAMP_ORIGIN);
        let (mut vector, mut events) = (asked.clone(), Vec::new());
        let held = asked.get(&self.author);
        for (n, own) in (held + 1..).zip(self.own.iter().skip(held as usize)) {
            let Own { event, deps, hlc } = own;
            let deps = deps.iter().map(|tip| &tip.dot);
            if !deps.chain(&event.removes).all(|dot| vector.covers(dot)) {
                break;
            }
            let (dot, removes) = (Dot::new(self.author, n), event.removes.clone());
            match &event.op {
                Op::Put { key, value, kind } => {
                    let (hlc, kind, body) = (*hlc, *kind, &value.clone().into());
                    let live = LiveEvent {
                        dot,
                        key,
                        body,
                        kind,
                        hlc,
                        removes,
                    };
                    writer.live(&live, false, &mut events);
                }
                Op::Delete => writer.dead(dot, &removes, &mut events),
            }
            vector.set(self.author, n);
        }
        let mut frames = Vec::new();
        if !events.is_empty() {
            let frame = Frame::Events {
                tag,
                sequence: 0,
                remaining: random.below(3) as u64,
                events: &events,
            };
            frames.push(frame.encode());
        }
        let mut end = End {
            frontier: oracle
                .frontier(&vector)
                .into_iter()
                .map(|dot| accused(dot, random))
                .collect(),
            ..End::default()
        };
        if vector.get(&self.author) > held {
            end.vector.push((self.author, vector.get(&self.author)));
        }
        if tells(Lie::FalseEnd, random)
            && let Some(last) = self.known(random)
        {
            end.judged = true;
            end.vector.push((last.author, last.n + random.below(3) as u64));
        }
        if tells(Lie::FalseFrontier, random) {
            let first = vector.iter().take(1).map(|(author, _)| Dot::new(author, 1));
            end.frontier = first.map(|dot| accused(dot, random)).collect();
        }
        if tells(Lie::FalseLeaves, random) {
            end.named = true;
            let (sequence, leaves) = (frames.len() as u64, &[][..]);
            frames.push(Frame::Leaves { tag, sequence, leaves }.encode());
        }
        let ends = end.frames(tag, frames.len() as u64, writer.authors());
        frames.extend(ends);
        frames
    }

    /// Makes an event of its own and has the oracle know it. What it removes, it need not have seen.
    fn make(&mut self, foreign_key: bool, at: Moment, random: &mut Random, oracle: &mut Oracle) -> Txn {
        let n = self.own.len() as u64 + 1;
        let deps: Dots = (0..random.below(2)).filter_map(|_| self.known(random)).collect();
        let tips: Tips = deps.iter().map(|dot| accused(*dot, random)).collect();
        let mut removes: Vec<Dot> = Vec::new();
        let op = if foreign_key || random.percent(60) {
            let op = self.put(random);
            if let Op::Put { key, .. } = &op {
                let fits = |entry: &&(Dot, Key)| (entry.1 == *key) != foreign_key;
                let fitting = self.entries.iter().rev().filter(fits).take(1 + random.below(2));
                removes.extend(fitting.map(|(dot, _)| *dot));
            }
            op
        } else {
            let entries = (0..=random.below(3)).map(|_| self.entries.get(random.below(self.entries.len())));
            removes.extend(entries.flatten().map(|(dot, _)| *dot));
            Op::Delete
        };
        removes.sort_unstable();
        removes.dedup();
        let removes: Dots = removes.into_iter().collect();
        let mut past = oracle.closure(&deps);
        past.merge(&oracle.closure(&[Dot::new(self.author, n - 1)]));
        let made = Made {
            put: match &op {
                Op::Put { key, value, kind } => Some(Put::new(key, value, *kind)),
                Op::Delete => None,
            },
            removes: removes.clone(),
            txn: (n, n),
            past: Arc::new(past),
            at,
        };
        oracle.made_up(Dot::new(self.author, n), made);
        let hlc = Hlc::at(Timestamp(1_700_000_000_000 + random.below(20_000_000) as u64));
        let event = Event { op, removes };
        self.own.push(Own {
            event: event.clone(),
            deps: tips.clone(),
            hlc,
        });
        let events = [event].into();
        Txn {
            author: self.author,
            first: n,
            hlc,
            deps: tips,
            events,
        }
    }

    /// A transaction that nobody may ever show: what it depends on, follows or removes does not exist.
    fn impossible(&self, random: &mut Random) -> Txn {
        let nowhere = Dot::new(author(random), 1 + random.below(1_000) as u64);
        let op = self.put(random);
        let mut txn = Txn {
            author: author(random),
            first: 1,
            hlc: Hlc(random.number()),
            deps: Tips::default(),
            events: Vec::new(),
        };
        let mut removes = Dots::default();
        match random.below(4) {
            0 => txn.deps = Tips::from([accused(nowhere, random)]),
            1 => txn.first += 1 + random.below(1_000) as u64,
            2 => removes = Dots::from([nowhere]),
            // Of an author that exists, far in the future.
            _ => {
                let last = self.known(random).unwrap_or(nowhere);
                (txn.author, txn.first) = (last.author, last.n + 100_000);
            }
        }
        txn.events.push(Event { op, removes });
        txn
    }

    fn announce(&self, random: &mut Random) -> Act {
        let nowhere = Dot::new(author(random), 1);
        let last = self.known(random).filter(|_| random.percent(70)).unwrap_or(nowhere);
        let mut txn = self.impossible(random);
        (txn.author, txn.first) = (last.author, last.n + random.below(1_000) as u64);
        Act::Gossip(Gossip::encode(&txn, 0))
    }

    /// Tabs that are not there, and words that others have not said.
    fn crowd(&self, peer: Peer, random: &mut Random) -> Act {
        let presences = (0..=random.below(60)).map(|_| Presence {
            id: PresenceId(random.number() >> random.pick(&[0, 61])),
            home: Home(random.number() >> random.pick(&[0, 63])),
            clock: random.number() >> random.pick(&[0, 20]),
            age: random.number() >> random.pick(&[0, 50, 64 - 15]),
            value: random.percent(80).then(|| Value::from([7; 64].as_slice())),
        });
        let presences: Vec<Presence> = presences.collect();
        if random.percent(50) {
            let frames = Frame::present(Home(random.number()), presences);
            return Act::Send(peer, frames.into_iter().next().unwrap_or_default());
        }
        let messages = Gossip::present(presences, usize::MAX);
        Act::Gossip(messages.into_iter().next().unwrap_or_default())
    }

    /// A HELLO that claims to hold less or more than is true.
    fn hello(&self, random: &mut Random) -> impl Iterator<Item = Vec<u8>> + use<> {
        let mut vector = VersionVector::new();
        for (author, n) in self.seen.iter() {
            if random.percent(70) {
                vector.set(author, (n + random.below(3) as u64).saturating_sub(1));
            }
        }
        if random.percent(30) {
            vector.set(author(random), 1 + random.number() % (1 << 52));
        }
        let (tag, table) = (Tag(random.number() as u16), AuthorTable::default());
        let wishes = Wishes {
            spell: random.percent(20),
            audit: random.percent(20),
            ..Wishes::default()
        };
        // Relative to what nobody has, it begins a descent.
        let base = if random.percent(20) {
            Base::Digest(vector.digest())
        } else {
            Base::Empty
        };
        let contents = random.number();
        Hello::frames(store(), tag, wishes, (base, contents), table, vector.iter()).into_iter()
    }

    fn digest(&self, peer: Peer, random: &mut Random) -> Act {
        let mut vector = self.seen.clone();
        vector.set(author(random), random.below(2) as u64);
        Act::Send(peer, Frame::Digest(vector.digest(), random.number()).encode())
    }

    /// A frame of a session that is none, or not in this place.
    fn out_of_place(&self, peer: Peer, random: &mut Random) -> Option<Act> {
        let (tag, _) = self.asked.get(&peer)?;
        let (tag, sequence, more) = (*tag, random.below(4) as u64, random.percent(30));
        let events = |sequence, remaining, events| Frame::Events {
            tag,
            sequence,
            remaining,
            events,
        };
        let (which, offset) = (random.below(3) as u64, random.number());
        let junk = random.number().to_le_bytes();
        let salt = random.number();
        let frame = match random.below(14) {
            0 => events(sequence, random.number(), &[]),
            1 => events(sequence + 1_000, 1, b"?"),
            2 => Frame::Body {
                tag,
                sequence,
                which,
                bytes: b"out of place",
            },
            3 => Frame::Want { tag, which, offset },
            4 => Frame::Have {
                tag,
                more,
                lost: random.percent(30),
                leaves: &junk,
            },
            5 => Frame::Ask {
                tag,
                store: store(),
                salt,
            },
            6 => Frame::Choose {
                tag,
                more,
                choices: &junk,
            },
            7 => Frame::Vector {
                tag,
                more,
                nodes: &junk,
            },
            8 => Frame::Judge {
                tag,
                sequence: 0,
                salt,
                share: Share(sequence as u8),
                limits: &[],
            },
            9 => Frame::Nodes {
                tag,
                sequence,
                more,
                nodes: &junk,
            },
            10 => Frame::Expand {
                tag,
                more,
                choices: &junk[..2],
            },
            11 => Frame::Nothing(tag),
            12 => Frame::Equal(tag),
            _ => Frame::Ack(tag),
        };
        Some(Act::Send(peer, frame.encode()))
    }

    fn put(&self, random: &mut Random) -> Op {
        let (value, kind) = if random.percent(30) {
            (counter::encode(random.number() as i64), Kind::Counter)
        } else {
            (Value::from(random.number().to_le_bytes().as_slice()), Kind::Value)
        };
        Op::Put {
            key: Key::from(format!("key {}", random.below(self.keys))),
            value,
            kind,
        }
    }

    /// The end of a transaction that some member holds.
    fn known(&self, random: &mut Random) -> Option<Dot> {
        let at = random.below(self.seen.len());
        let (author, n) = self.seen.iter().nth(at)?;
        Some(Dot::new(author, n))
    }
}

fn author(random: &mut Random) -> AuthorId {
    let mut author = [0; 16];
    author.copy_from_slice(&random.bytes()[..16]);
    AuthorId(author)
}

/// A transaction, said to hash to what it mostly does not: who tells that accuses its author of having made another.
fn accused(dot: Dot, random: &mut Random) -> Tip {
    let mut hash = TxnHash::UNKNOWN;
    if random.percent(50) {
        hash.0[..8].copy_from_slice(&random.number().to_le_bytes());
    }
    Tip { dot, hash }
}
