//! The replicas of a run and what their drivers do: one input at a time, every output carried out, then judged.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::iter;

use super::{
    Hostility, Profile, Tally,
    client::Client,
    disk::Disk,
    hostile::{Act, Hostile},
    network::{InFlight, Network},
    node::{Node, WallClock},
    oracle::{Flaw, Moment, Oracle},
    random::Random,
    watch::{self, Line, Watch},
};
use crate::{
    causality::{Absent, Value},
    id::{Dot, Peer},
    replica::{Call, CommandError, Event, Input, Item, Output, Replica, Scan},
    store::Batch,
    sync::SessionError,
    time::Timestamp,
};

/// When the simulated clocks of all runs begin.
const BEGIN: Timestamp = Timestamp(1_700_000_000_000);

/// All replicas of a run, what is between them, and who judges them.
pub(super) struct World<'w> {
    pub(super) profile: Profile,
    pub(super) random: Random,
    pub(super) now: Timestamp,
    pub(super) step: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) network: Network,
    pub(super) oracle: Oracle,
    /// The hand on the wire of the last replica.
    pub(super) hostile: Option<Hostile>,
    pub(super) tally: Tally,
    pub(super) healed: bool,
    /// When disks give what they hold, whoever reads.
    pub(super) disks_work_at: Timestamp,
    pub(super) trace: blake3::Hasher,
    pub(super) watch: Option<Watch<'w>>,
}

/// Tells a line to whoever watches. Without a watcher it is not even composed.
macro_rules! say {
    ($world:expr, $replica:expr, $($line:tt)*) => {
        if $world.watch.is_some() {
            let line = format!($($line)*);
            $world.say($replica, &line);
        }
    };
}

pub(super) use say;

impl<'w> World<'w> {
    pub(super) fn new(profile: Profile, mut random: Random, watch: Option<Watch<'w>>) -> Self {
        let nodes = (0..profile.replicas).map(|_| {
            let clock = WallClock::draw(&mut random);
            let replica = Replica::new(profile.config(random.bytes()), clock.read(BEGIN));
            Node::new(replica, clock, Disk::new(profile.disk), Client::new(&mut random))
        });
        let nodes = nodes.collect();
        let hostile = profile
            .hostility
            .map(|kind| Hostile::new(kind, profile.keys, &mut random));
        let mut tally = Tally::default();
        match profile.hostility {
            Some(Hostility::Liar) => tally.liars += 1,
            Some(Hostility::Forger) => tally.forgers += 1,
            Some(Hostility::Equivocator) => tally.equivocators += 1,
            Some(Hostility::One(_)) | None => {}
        }
        Self {
            profile,
            random,
            now: BEGIN,
            step: 0,
            nodes,
            network: Network::default(),
            oracle: Oracle::new(watch.is_some()),
            hostile,
            tally,
            healed: false,
            disks_work_at: Timestamp(u64::MAX),
            trace: blake3::Hasher::new(),
            watch,
        }
    }

    pub(super) fn say(&mut self, replica: Option<usize>, what: &str) {
        if let Some(watch) = &mut self.watch {
            watch(&Line {
                step: self.step,
                millis: self.now.0 - BEGIN.0,
                replica,
                what,
            });
        }
    }

    /// The replica at the other end of a link, and the link.
    pub(super) fn name(&self, at: usize, peer: Peer) -> String {
        let other = self.network.other_end(at, peer);
        let other = other.map_or("nobody".into(), |other| other.to_string());
        format!("{other} (link {})", peer.0)
    }

    /// What a replica holds.
    pub(super) fn state(&self, at: usize) -> String {
        let replica = &self.nodes[at].replica;
        format!("{:?}, {} live", replica.digest(), replica.live_dots().count())
    }

    /// Whether what replicas show can be foretold. A forger's events have no one meaning.
    pub(super) fn is_judged(&self) -> bool {
        !matches!(self.profile.hostility, Some(Hostility::Forger | Hostility::Equivocator))
    }

    /// Whether a hostile hand is on this replica's wire.
    pub(super) fn is_hostile(&self, replica: usize) -> bool {
        self.hostile.is_some() && replica == self.nodes.len() - 1
    }

    /// Feeds one input and drains the outputs, as a driver does.
    pub(super) fn feed(&mut self, at: usize, input: Input) -> Result<(), Flaw> {
        let now = self.nodes[at].clock.read(self.now);
        let Node { replica, authors, .. } = &mut self.nodes[at];
        replica.handle(input, now);
        authors.extend(replica.author());
        let outputs: Vec<_> = iter::from_fn(|| replica.poll_output()).collect();
        for output in outputs {
            self.note(at, &output);
            match output {
                Output::Send { peer, frame } => self.send(at, peer, frame),
                Output::Broadcast { message } => {
                    say!(self, Some(at), "gossips {}", watch::message(&message));
                    self.network.gossip(at, &message);
                }
                Output::Persist { id, batch } => {
                    self.persist(at, &batch)?;
                    self.nodes[at].disk.take(id, batch);
                }
                Output::Emit(Event::Changed(changes)) => {
                    if let Some(key) = self.nodes[at].changed(&changes) {
                        return Err(
                            format!("replica {at} tells of a change of {key:?} from what it did not show").into(),
                        );
                    }
                }
                Output::Emit(Event::Received { peer }) => {
                    self.nodes[at].receiving.remove(&peer);
                    self.tally.sessions_ended += 1;
                    say!(self, Some(at), "has all that {} brought", self.name(at, peer));
                }
                Output::Emit(Event::SiblingsDropped { key, values }) => {
                    self.tally.siblings_dropped += 1;
                    say!(self, Some(at), "drops {values} values of {key:?}");
                }
                Output::Emit(Event::SessionFailed { peer, error }) => {
                    self.nodes[at].receiving.remove(&peer);
                    say!(
                        self,
                        Some(at),
                        "gives up a session with {}: {error}",
                        self.name(at, peer)
                    );
                    if error == SessionError::Silent {
                        self.tally.sessions_silent += 1;
                    } else if self.is_suspect(at, peer, &error) {
                        self.tally.hostile_refused += 1;
                    } else {
                        // Links are honest: frames come in order or not at all.
                        return Err(format!("replica {at} gave a session up: {error}").into());
                    }
                }
                Output::Emit(Event::GossipRefused { peer, error }) => {
                    say!(self, Some(at), "refuses gossip of {}: {error}", self.name(at, peer));
                    if !self.is_suspect(at, peer, &error) {
                        return Err(format!("replica {at} refused gossip: {error}").into());
                    }
                    self.tally.hostile_refused += 1;
                }
                Output::Load { peer, absent } => {
                    say!(
                        self,
                        Some(at),
                        "wants {} values for {}",
                        absent.len(),
                        self.name(at, peer)
                    );
                    self.tally.values_loaded += absent.len() as u64;
                    self.nodes[at].loads.push_back((peer, absent));
                }
                Output::Emit(_) => {}
                Output::Reply { id, result: Ok(()) } => {
                    let Node { client, replica, .. } = &mut self.nodes[at];
                    let call = client.answered(id);
                    // What had nothing to do has left nothing that could be lost.
                    let has_become = |call: &Call| self.oracle.is_carried_out(call, replica.vector());
                    client.done.extend(call.filter(has_become));
                }
                Output::Reply {
                    id,
                    result: Err(CommandError::NotACounter { .. } | CommandError::CounterWritten { .. }),
                } => {
                    self.nodes[at].client.answered(id);
                    self.tally.additions_refused += 1;
                }
                Output::Reply { result: Err(error), .. } => return Err(error.to_string().into()),
            }
        }
        self.judge(at)
    }

    /// Whether what a hostile member sent may be what a replica refuses. Its gossip comes from whoever hands it on, and its link may be
    /// gone by then. Its own replica is answered what it has not asked: a HELLO that the hand has made up may bear the same tag.
    fn is_suspect(&self, at: usize, peer: Peer, error: &SessionError) -> bool {
        let from = self.network.other_end(at, peer);
        let is_its_link = self.is_hostile(at) || from.is_none_or(|from| self.is_hostile(from));
        let is_gossip = matches!(error, SessionError::UnexpectedEvent(_));
        !self.is_judged() || self.hostile.is_some() && (is_its_link || is_gossip)
    }

    /// Whether a replica holds what it must, and no more than it may.
    pub(super) fn judge(&mut self, at: usize) -> Result<(), Flaw> {
        let node = &mut self.nodes[at];
        if self.hostile.is_some()
            && let Some(what) = node.replica.over_bounds()
        {
            return Err(format!("replica {at} holds too many {what}").into());
        }
        if self.is_judged() {
            let moment = Moment {
                step: self.step,
                replica: at,
            };
            let node = &mut self.nodes[at];
            let judged = self.oracle.judge(&mut node.sight, &node.replica, moment);
            judged.map_err(|flaw| flaw.of(at))?;
        }
        if !self.nodes[at].is_as_told() {
            return Err(format!("replica {at} shows what it did not tell of").into());
        }
        Ok(())
    }

    /// Has the trace depend on an output.
    fn note(&mut self, at: usize, output: &Output) {
        self.trace.update(&[at as u8]);
        match output {
            Output::Send { peer, frame } => {
                self.trace.update(&peer.0.to_le_bytes());
                self.trace.update(frame);
            }
            Output::Broadcast { message } => {
                self.trace.update(message);
            }
            Output::Persist { id, batch } => {
                self.trace.update(&id.0.to_le_bytes());
                for (author, n) in &batch.vector {
                    self.trace.update(&author.0);
                    self.trace.update(&n.to_le_bytes());
                }
            }
            Output::Emit(Event::Changed(changes)) => {
                for change in changes {
                    self.trace.update(change.key.as_bytes());
                    let print = change.value.as_ref().map(|shown| shown.body.print().hash.0);
                    self.trace.update(&print.unwrap_or_default());
                }
            }
            other => {
                self.trace.update(format!("{other:?}").as_bytes());
            }
        }
    }

    fn send(&mut self, at: usize, peer: Peer, frame: Vec<u8>) {
        match watch::kind(&frame) {
            "HELLO" => {
                self.tally.sessions += 1;
                self.nodes[at].receiving.insert(peer);
            }
            "LEAVES" => self.tally.leaves += 1,
            "JUDGE" => self.tally.descents += 1,
            "ASK" => self.tally.vectors_asked += 1,
            "HAVE" => self.tally.resumptions += 1,
            "BODY" => self.tally.bodies += 1,
            _ => {}
        }
        say!(
            self,
            Some(at),
            "sends {} to {}",
            watch::frame(&frame),
            self.name(at, peer)
        );
        self.network.send(at, peer, frame);
    }

    fn persist(&mut self, at: usize, batch: &Batch) -> Result<(), Flaw> {
        let node = &mut self.nodes[at];
        let past = node.seen.clone();
        node.seen.merge(&batch.vector.iter().copied().collect());
        say!(
            self,
            Some(at),
            "commits {} entries, {} removed, {} records: {}",
            batch.entries.len(),
            batch.removed.len(),
            batch.records.len(),
            self.state(at)
        );
        if self.is_judged()
            && let [(author, n)] = batch.vector[..]
            && self.nodes[at].authors.contains(&author)
            && !self.oracle.knows(&Dot::new(author, n))
        {
            let moment = Moment {
                step: self.step,
                replica: at,
            };
            self.tally.deletes += batch.records.len() as u64;
            self.tally.transactions += u64::from(batch.entries.len() + batch.records.len() > 1);
            let made = self.oracle.made(author, &past, batch, moment);
            made.map_err(|flaw| flaw.of(at))?;
        }
        Ok(())
    }

    pub(super) fn join(&mut self, a: usize, b: usize) -> Result<(), Flaw> {
        if let Some(peer) = self.network.join(a, b) {
            say!(self, None, "link {} joins {a} and {b}", peer.0);
            self.feed(a, Input::PeerUp { peer })?;
            self.feed(b, Input::PeerUp { peer })?;
        }
        Ok(())
    }

    /// One end of a link is told that it is gone.
    pub(super) fn lose(&mut self, at: usize, peer: Peer) -> Result<(), Flaw> {
        say!(self, Some(at), "loses {}", self.name(at, peer));
        self.network.give_up(at, peer);
        self.tally.sessions_cut += u64::from(self.nodes[at].receiving.remove(&peer));
        self.feed(at, Input::PeerDown { peer })
    }

    pub(super) fn receive(&mut self, to: usize, peer: Peer, frame: Vec<u8>) -> Result<(), Flaw> {
        say!(
            self,
            Some(to),
            "receives {} from {}",
            watch::frame(&frame),
            self.name(to, peer)
        );
        if self.is_hostile(to) && self.is_answered_falsely(peer, &frame) {
            return Ok(());
        }
        self.feed(to, Input::Received { peer, frame })
    }

    /// Whether the hostile hand answers a frame in its replica's place.
    fn is_answered_falsely(&mut self, peer: Peer, frame: &[u8]) -> bool {
        let at = self.nodes.len() - 1;
        let Some(hostile) = &mut self.hostile else { return false };
        hostile.hear_frame(peer, frame, self.nodes[at].replica.vector());
        if watch::kind(frame) != "HELLO" {
            return false;
        }
        if self.healed {
            // Silence now and then.
            return self.random.percent(30);
        }
        let Some(acts) = hostile.answer(peer, &mut self.random, &self.oracle) else {
            return false;
        };
        self.act(at, acts);
        true
    }

    pub(super) fn hear(&mut self, message: InFlight) -> Result<(), Flaw> {
        let InFlight { to, from, bytes } = message;
        if self.network.is_asleep(to) {
            return Ok(());
        }
        say!(self, Some(to), "hears {} from {from}", watch::message(&bytes));
        if self.is_hostile(to)
            && let Some(hostile) = &mut self.hostile
        {
            hostile.hear_message(&bytes);
        }
        // The handing peer may have gone since.
        let peer = self.network.link(to, from);
        self.feed(to, Input::Gossiped { peer, message: bytes })
    }

    pub(super) fn flush(&mut self, at: usize) -> Result<(), Flaw> {
        let idle = self.random.percent(30);
        let node = &mut self.nodes[at];
        let (last, dots) = node.disk.flush(node.replica.store(), idle);
        if !dots.is_empty() {
            self.feed(at, Input::Kept { dots })?;
        }
        match last {
            Some(id) => {
                say!(self, Some(at), "has batch {} on the disk", id.0);
                self.feed(at, Input::Persisted { id })
            }
            None => Ok(()),
        }
    }

    /// The disk is read for a session, or for somebody who looks at what a replica shows.
    pub(super) fn read(&mut self, at: usize) -> Result<(), Flaw> {
        let node = &mut self.nodes[at];
        let (peer, absent) = match node.loads.pop_front() {
            Some((peer, absent)) => (Some(peer), absent),
            None => {
                let all = Scan::default();
                let absent = |item: Item<'_>| Absent::of(item.dot, item.key, item.body);
                (None, node.replica.scan(&all).filter_map(absent).take(1).collect())
            }
        };
        let unread = self.profile.unread_percent();
        let fails = unread > 0 && self.now < self.disks_work_at && self.random.percent(unread);
        let node = &self.nodes[at];
        let values = absent
            .into_iter()
            .map(|absent| (absent.dot, node.disk.read(&absent).filter(|_| !fails)));
        let values: Vec<_> = values.collect();
        let lost =
            |(dot, value): &&(Dot, Option<Value>)| value.is_none() && node.replica.live_dots().any(|live| live == *dot);
        let lost = values.iter().filter(lost);
        self.tally.values_lost += lost.clone().count() as u64;
        if let Some((dot, _)) = { lost }.next().filter(|_| unread == 0) {
            return Err(format!("replica {at} has lost the value of {dot:?}").into());
        }
        match values.is_empty() {
            true => Ok(()),
            false => self.feed(at, Input::Loaded { peer, values }),
        }
    }

    /// Gives each replica the turn that it asked for by now. Returns whether there was one.
    pub(super) fn tick(&mut self) -> Result<bool, Flaw> {
        let mut ticked = false;
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let due = node.replica.poll_timeout().filter(|_| !self.network.is_asleep(at));
            if due.is_some_and(|due| due <= node.clock.read(self.now)) {
                self.feed(at, Input::Tick)?;
                ticked = true;
            }
        }
        Ok(ticked)
    }

    pub(super) fn act(&mut self, at: usize, acts: Vec<Act>) {
        for act in acts {
            self.tally.hostile_frames += 1;
            match act {
                Act::Send(peer, frame) => {
                    say!(
                        self,
                        Some(at),
                        "forges {} for {}",
                        watch::frame(&frame),
                        self.name(at, peer)
                    );
                    self.network.send(at, peer, frame);
                }
                Act::Gossip(message) => {
                    say!(self, Some(at), "forges {}", watch::message(&message));
                    self.network.gossip(at, &message);
                }
                Act::Whisper(to, message) => {
                    say!(self, Some(at), "forges {} for {to}", watch::message(&message));
                    self.network.whisper(at, to, &message);
                }
            }
        }
    }
}
