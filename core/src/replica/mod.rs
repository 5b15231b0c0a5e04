//! The engine: one replica of one store, fed with inputs and drained of outputs.
//!
//! ```text
//! Input::Command   -> one transaction: visible, gossiped, handed to storage, and answered when storage has it
//! Input::Gossiped  -> applied if its past is visible, else kept early while a session fetches the rest
//! Input::PeerUp, Received, Drained -> sessions, which end in one commit
//! Input::Present   -> told to the peers, and to callers; never stored
//! Input::Tick      -> silence noticed, differences repaired, digests told
//! ```
//!
//! After each input, drain [`Replica::poll_output`] until it is empty, then give the next. Commands and commits share one
//! path (`settle`): whatever changes the store ends in one batch, one event and one note to the peers.

mod agreement;
mod bases;
#[cfg(feature = "sim")]
mod bounds;
mod commands;
mod config;
mod crowded;
mod early;
mod forked;
mod gossip;
mod held;
mod io;
mod link;
mod lost;
mod merge;
mod opening;
mod presence;
mod random;
mod recent;
mod restore;
mod sessions;
mod source;
mod writing;

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::cell::OnceCell;

use self::{
    bases::Bases, commands::Wish, crowded::Crowded, early::Early, held::Held, link::Link, lost::Lost, merge::Merge,
    random::Random, recent::Recent, writing::Writing,
};
use crate::{
    causality::TxnHasher,
    id::{AuthorId, Digest, Dot, Home, Peer, StoreId},
    presence::Presences,
    store::{Batch, Calls, Store},
    sync::Staged,
    time::{Clock, Timestamp},
    wire::{Tag, TxnWriter},
};

pub use self::{
    config::Config,
    io::*,
    opening::{Closing, Opened, Opening, OpeningError},
    restore::{Loader, RestoreError},
};
pub use crate::{
    causality::{Absent, Body, Context, Fork, Found, Key, Kind, Print, Tip, Value, VersionVector},
    store::{BatchId, Call, Change, Origin, Scan, Shown},
};

/// What waits is taken up to so much work a turn, counted in events of a merge: an input counts as some by itself, and as one more
/// for each so many bytes that are read, early transactions or authors that are looked through.
const INPUT_AS_EVENTS: usize = 64;
const BYTES_AS_EVENT: usize = 64;
const EARLY_AS_EVENT: usize = 8;
const AUTHORS_AS_EVENT: usize = 64;

/// How many events are described to a peer in the time in which one is taken in.
const DESCRIBED_AS_EVENT: usize = 8;

/// The most bytes of frames and messages that wait for a merge. Beyond it the merge is ended in one turn: rather one long turn than
/// memory without a bound.
const INPUT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many events of a merge a command is held up by, so that it is carried out before the call returns. They take about as long
/// as the command may; one that comes during a longer merge is carried out after it.
const MERGED_FOR_COMMAND_MAX: usize = 2_000;

/// One key of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// The key.
    pub key: &'a Key,
    /// The event that wrote the winner.
    pub dot: Dot,
    /// The winner's value.
    pub body: &'a Body,
    /// How many siblings with different values there are; more than one is a conflict.
    pub siblings: usize,
}

/// One replica of one store.
#[derive(Debug)]
pub struct Replica {
    config: Config,
    store: Store,
    clock: Clock,
    random: Random,
    /// Live entries whose values the disk has lost, to be fetched from peers.
    lost: Lost,
    /// This opening's author, from its first write on.
    author: Option<AuthorId>,
    early: Early,
    /// The hashes of transactions seen lately.
    recent: Recent,
    links: BTreeMap<Peer, Link>,
    bases: Bases,
    crowded: Crowded,
    /// Of the next HELLO. They are counted, so that one comes again after 65,536 sessions only.
    next_tag: Tag,
    /// What a session that was cut has staged, and since when it is kept.
    staged: Option<(Staged, Timestamp)>,
    outputs: VecDeque<Output>,
    held: Held,
    /// What was carried out for callers that may come again.
    calls: Calls,
    /// What a session brought, on its way into the store. Until it is there, inputs wait.
    merge: Option<Merge>,
    inputs: VecDeque<Input>,
    /// The bytes of frames and messages among them.
    input_bytes: usize,
    /// Peers whose answers go on when there is time.
    filling: VecDeque<Peer>,
    presences: Presences,
    /// How often callers were told that somebody is present, or is not any more.
    presence_told: u64,
    /// Commands that wait for the merge, or for the command under way.
    wishes: VecDeque<Wish>,
    /// The command that is being carried out in slices. Never beside a merge: inputs wait for commands.
    writing: Option<Writing>,
    /// Writes what is gossiped of it.
    message: TxnWriter,
    /// And hashes it.
    hasher: TxnHasher,
    /// Why storage takes nothing at present.
    refused: Option<StorageFailure>,
    next_batch: u64,
    /// The last batch that storage has.
    durable: Option<BatchId>,
    /// The commands that a batch makes durable.
    waiting: VecDeque<(BatchId, CommandId)>,
    /// When the store last changed.
    changed_at: Timestamp,
    /// When the peers are to be told the digest.
    beacon_at: Option<Timestamp>,
    /// When a session is to be opened for what early transactions lack.
    gap_at: Option<Timestamp>,
    anti_entropy_at: Timestamp,
    digest: OnceCell<Digest>,
    /// What stands for the contents beside it.
    contents: OnceCell<u64>,
    snapshot: OnceCell<Arc<VersionVector>>,
}

impl Replica {
    /// An empty replica.
    pub fn new(config: Config, now: Timestamp) -> Self {
        let mut random = Random::new(config.seed);
        let anti_entropy_at = anti_entropy_after(&config, &mut random, now);
        Self {
            store: Store::new(
                config.ring_records,
                config.block_dots,
                config.siblings_max,
                random.number(),
                config.values,
                config.mutated,
            ),
            clock: Clock::default(),
            lost: Lost::default(),
            author: None,
            early: Early::new(config.buffered_transactions_max),
            recent: Recent::default(),
            links: BTreeMap::new(),
            bases: Bases::default(),
            crowded: Crowded::default(),
            next_tag: Tag(random.number() as u16),
            staged: None,
            outputs: VecDeque::new(),
            held: Held::default(),
            calls: Calls::default(),
            merge: None,
            inputs: VecDeque::new(),
            input_bytes: 0,
            filling: VecDeque::new(),
            presences: Presences::new(Home::of(&config.seed)),
            presence_told: 0,
            wishes: VecDeque::new(),
            writing: None,
            message: TxnWriter::default(),
            hasher: TxnHasher::default(),
            refused: None,
            next_batch: 0,
            durable: None,
            waiting: VecDeque::new(),
            changed_at: now,
            beacon_at: None,
            gap_at: None,
            anti_entropy_at,
            digest: OnceCell::new(),
            contents: OnceCell::new(),
            snapshot: OnceCell::new(),
            random,
            config,
        }
    }

    /// Goes on as this author, which the rules forbid.
    #[cfg(feature = "mutations")]
    pub fn resume_author(&mut self, author: Option<AuthorId>) {
        self.author = author;
    }

    /// Forgets that an entry is live, which the rules forbid.
    #[cfg(feature = "mutations")]
    pub fn forget(&mut self, dot: &Dot) {
        let mut edit = self.store.edit();
        edit.remove(dot);
        edit.finish(Origin::Remote);
        self.vector_changed();
    }

    /// Takes one input. Drain [`Self::poll_output`] until it is empty before the next. `now` may jump ahead but must not go back while
    /// the replica is open: what waits for a time would wait for as much longer.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Persisted { id } => self.persisted(id),
            Input::PersistFailed { failure } => self.persist_failed(failure),
            Input::Kept { dots } => self.kept(&dots),
            Input::Loaded { peer, values } => self.loaded(peer, values, now),
            Input::Present { id, value } => self.present(id, value, now),
            Input::Recalled { presences, former } => self.recall(presences, former, now),
            Input::Command { id, command } => self.command(id, None, command, now),
            Input::Call { id, call, command } => self.command(id, Some(call), command, now),
            // The time is looked at when the work is done; the driver comes again at once.
            Input::Tick if self.has_work() => self.work(now),
            input => {
                if let Input::Received { frame: bytes, .. } | Input::Gossiped { message: bytes, .. } = &input {
                    self.input_bytes += bytes.len();
                }
                self.inputs.push_back(input);
                if self.input_bytes > INPUT_BYTES_MAX {
                    let mut all = usize::MAX;
                    self.merge_some(&mut all, now);
                    self.write_some(&mut all, now);
                }
                self.work(now);
            }
        }
    }

    /// Whether a merge or a command is under way, or something waits for one.
    fn has_work(&self) -> bool {
        self.merge.is_some()
            || self.writing.is_some()
            || self.early.is_roused()
            || !self.filling.is_empty()
            || !self.inputs.is_empty()
            || !self.wishes.is_empty()
    }

    /// Does one turn of work: a slice of a merge or of a command, and what waited for one as far as that leaves time.
    fn work(&mut self, now: Timestamp) {
        let mut left = self.slice();
        while left > 0 {
            if !self.merge_some(&mut left, now) || !self.write_some(&mut left, now) || !self.apply_early(&mut left, now)
            {
                continue;
            }
            if left == 0 || self.carry_out_next(&mut left, now) {
                continue;
            }
            if let Some(peer) = self.filling.pop_front() {
                // It takes the turn.
                self.fill(peer);
                return;
            }
            let Some(input) = self.inputs.pop_front() else { return };
            left = left.saturating_sub(self.weight(&input));
            match input {
                Input::PeerUp { peer } => self.peer_up(peer, now),
                Input::PeerDown { peer } => self.peer_down(peer, now),
                Input::Received { peer, frame } => {
                    self.input_bytes -= frame.len();
                    self.received(peer, &frame, now);
                }
                Input::Drained { peer } => self.drained(peer),
                Input::Gossiped { peer, message } => {
                    self.input_bytes -= message.len();
                    self.gossiped(peer, &message, now);
                }
                Input::Tick => self.tick(now),
                // These do not wait here.
                Input::Command { .. }
                | Input::Call { .. }
                | Input::Persisted { .. }
                | Input::PersistFailed { .. }
                | Input::Kept { .. }
                | Input::Loaded { .. }
                | Input::Present { .. }
                | Input::Recalled { .. } => {}
            }
        }
    }

    /// How many events a turn takes in.
    fn slice(&self) -> usize {
        self.config.slice_events.max(1)
    }

    /// About as many events of a merge as an input takes the time of.
    fn weight(&self, input: &Input) -> usize {
        let bytes = match input {
            Input::Received { frame: bytes, .. } | Input::Gossiped { message: bytes, .. } => bytes.len(),
            _ => 0,
        };
        INPUT_AS_EVENTS + bytes / BYTES_AS_EVENT + self.early.len() / EARLY_AS_EVENT + self.vector_weight()
    }

    /// The same of what looks through all authors.
    fn vector_weight(&self) -> usize {
        self.store.vector().len() / AUTHORS_AS_EVENT
    }

    /// The next thing for the driver to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.held.next() {
                return Some(output);
            }
            let output = self.outputs.pop_front()?;
            if let Some(output) = self.held.sift(output) {
                return Some(output);
            }
        }
    }

    /// When the engine wants [`Input::Tick`], if nothing comes before. A time that has passed asks for it at once: there is work
    /// left, and the driver may see to other things in between.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.has_work() {
            return Some(Timestamp::default());
        }
        if self.links.is_empty() {
            // Alone, there is nobody to ask or tell.
            return [
                self.stage_expires_at(),
                self.crowded.next(),
                self.presences.timeout(false),
            ]
            .into_iter()
            .flatten()
            .min();
        }
        let links = self
            .links
            .values()
            .flat_map(|link| [self.silent_at(link), self.repair_at(link)]);
        links
            .chain([
                self.beacon_at,
                self.gap_at,
                self.stage_expires_at(),
                self.crowded.next(),
                self.lost.again_at,
                self.presences.timeout(true),
                Some(self.anti_entropy_at),
            ])
            .flatten()
            .min()
    }

    /// Which store it is a replica of.
    pub fn id(&self) -> StoreId {
        self.config.store
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// The winner under a key; of a counter the sum.
    pub fn get(&self, key: &str) -> Option<&Body> {
        self.store.winner(key).map(|(_, body)| body)
    }

    /// As [`Self::get`], with the event that wrote it.
    pub fn winner(&self, key: &str) -> Option<(Dot, &Body)> {
        self.store.winner(key)
    }

    /// The values of these entries are read: they stay in memory longer than others.
    pub fn touch<'a>(&mut self, dots: impl IntoIterator<Item = &'a Dot>) {
        self.store.touch(dots);
    }

    /// All concurrent values under a key and the token to supersede them. The counters among them are shown as one, their sum, in the
    /// place of the greatest.
    pub fn siblings(&self, key: &str) -> Siblings {
        let mut siblings = Siblings {
            values: Vec::new(),
            context: self.store.context(key),
        };
        let mut sum = None;
        for entry in self.store.siblings(key) {
            let body = match entry.kind {
                Kind::Value => entry.body,
                Kind::Counter if sum.is_some() => continue,
                Kind::Counter => {
                    sum = self.store.sum(key);
                    sum.as_ref().unwrap_or(entry.body)
                }
            };
            if siblings.values.iter().all(|sibling: &Sibling| sibling.body != *body) {
                siblings.values.push(Sibling {
                    body: body.clone(),
                    dot: entry.dot,
                    time: entry.hlc,
                });
            }
        }
        siblings
    }

    /// The keys in a range with their winners, in key order.
    pub fn scan(&self, scan: &Scan<'_>) -> impl Iterator<Item = Item<'_>> {
        self.store.scan(scan).map(|(key, (dot, body), siblings)| Item {
            key,
            dot,
            body,
            siblings,
        })
    }

    /// Whether the peer is known to hold exactly this state; `None` until its first digest.
    pub fn in_sync(&self, peer: Peer) -> Option<bool> {
        let (digest, _) = self.links.get(&peer)?.digest?;
        Some(digest == self.digest())
    }

    /// Who is present.
    pub fn presences(&self) -> &Presences {
        &self.presences
    }

    /// How many transactions that came before what they depend on were dropped, as too many such waited. Sessions bring them.
    pub fn early_dropped(&self) -> u64 {
        self.early.dropped()
    }

    /// Commands that wait to be carried out or to become durable.
    pub fn pending(&self) -> usize {
        self.wishes.len() + usize::from(self.writing.is_some()) + self.waiting.len()
    }

    /// Whether all that is visible is durable.
    pub fn is_durable(&self) -> bool {
        self.last_batch() <= self.durable
    }

    /// The author of this opening's writes, once it has written.
    pub fn author(&self) -> Option<AuthorId> {
        self.author
    }

    /// The last event of this opening, from which a successor may go on.
    pub fn last_event(&self) -> Option<Dot> {
        let author = self.author?;
        Some(Dot::new(author, self.store.vector().get(&author)))
    }

    /// Goes on as the author of an opening that was closed with all of it durable, and that nobody else goes on from: `last` was its last
    /// event. So authors, which every vector bears for ever, are not spent on a store that moves between processes by agreement. Returns
    /// whether it does; it does not when something is not as it was said to be.
    pub fn go_on_from(&mut self, last: Dot) -> bool {
        let goes_on = self.author.is_none() && last.n > 0 && self.store.vector().get(&last.author) == last.n;
        if goes_on {
            self.author = Some(last.author);
        }
        goes_on
    }

    /// What was seen, per author.
    pub fn vector(&self) -> &VersionVector {
        self.store.vector()
    }

    /// The maximal transactions seen.
    pub fn frontier(&self) -> &[Tip] {
        self.store.frontier().tips()
    }

    /// The live entries and what is known of them, for storage.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The live dots. What the version vector covers beyond them is removed.
    pub fn live_dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.store
            .vector()
            .iter()
            .flat_map(|(author, n)| self.store.live(author, 0, n))
            .map(|entry| entry.dot)
    }

    /// The digest of the version vector: equal digests, equal stores.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| self.store.vector().digest())
    }

    /// The digest of any version vector: mostly it is that of ours.
    fn digest_of(&self, vector: &VersionVector) -> Digest {
        if vector == self.store.vector() {
            self.digest()
        } else {
            vector.digest()
        }
    }

    /// The version vector as it is now, to be held on to.
    fn snapshot(&self) -> Arc<VersionVector> {
        let snapshot = || Arc::new(self.store.vector().clone());
        Arc::clone(self.snapshot.get_or_init(snapshot))
    }

    fn vector_changed(&mut self) {
        self.digest.take();
        self.contents.take();
        self.snapshot.take();
    }

    /// Peers that are up.
    pub fn peers(&self) -> impl Iterator<Item = Peer> + '_ {
        self.links.keys().copied()
    }

    /// The end of every step that changed the store: hands the batch to storage, tells callers, and has the peers told.
    fn settle(&mut self, batch: Batch, changes: Vec<Change>, now: Timestamp) -> BatchId {
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        if !changes.is_empty() {
            self.outputs.push_back(Output::Emit(Event::Changed(changes)));
        }
        self.outputs.push_back(Output::Persist { id, batch });
        self.note_crowded(now);
        self.vector_changed();
        self.changed_at = now;
        if !self.links.is_empty() && self.beacon_at.is_none() {
            self.beacon_at = Some(now + self.config.beacon_after);
        }
        self.doubt_sync();
        id
    }

    fn persisted(&mut self, id: BatchId) {
        self.durable = self.durable.max(Some(id));
        self.refused = None;
        self.held.release(id);
        // Storage works in order, so those that wait for these batches are mostly the first.
        while let Some(at) = self.waiting.iter().position(|(batch, _)| *batch <= id) {
            if let Some((_, id)) = self.waiting.remove(at) {
                self.outputs.push_back(Output::Reply { id, result: Ok(()) });
            }
        }
    }

    fn kept(&mut self, dots: &[Dot]) {
        for dot in dots {
            self.store.keep(dot);
        }
        self.store.make_room(&mut { usize::MAX });
    }

    /// What was not in memory was read, or could not be.
    fn loaded(&mut self, peer: Option<Peer>, values: Vec<(Dot, Option<Value>)>, now: Timestamp) {
        let mut is_news = false;
        for (dot, value) in &values {
            match value {
                Some(value) => {
                    self.store.supply(dot, Value::clone(value));
                    self.lost.dots.remove(dot);
                }
                // Else it has died meanwhile.
                None => is_news |= self.store.is_away(dot) && self.lost.dots.insert(*dot),
            }
        }
        self.store.make_room(&mut { usize::MAX });
        if let Some(peer) = peer {
            self.supply(peer, values);
        }
        if is_news {
            self.note_lost(None, now);
        }
    }

    /// Storage takes nothing at present.
    fn persist_failed(&mut self, failure: StorageFailure) {
        for (_, id) in self.waiting.drain(..) {
            let result = Err(CommandError::NotDurable(failure.clone()));
            self.outputs.push_back(Output::Reply { id, result });
        }
        self.refused = Some(failure);
        // Whoever called has an answer, and does not call again.
        if let Some(last) = self.last_batch() {
            self.held.release(last);
        }
    }

    /// The last batch that was handed out.
    fn last_batch(&self) -> Option<BatchId> {
        self.next_batch.checked_sub(1).map(BatchId)
    }

    /// Somebody else writes under our author id (a copied profile, a restored machine image): write as a new author from now on.
    fn yield_author(&mut self, seen: &VersionVector) {
        if self
            .author
            .is_some_and(|author| seen.get(&author) > self.store.vector().get(&author))
        {
            self.author = None;
        }
    }
}

fn anti_entropy_after(config: &Config, random: &mut Random, now: Timestamp) -> Timestamp {
    // Between half and one and a half periods, so that replicas that started together do not stay in step.
    let period = u64::try_from(config.anti_entropy_every.as_millis()).unwrap_or(u64::MAX);
    Timestamp(now.0.saturating_add(period / 2 + random.below(period.max(1))))
}
