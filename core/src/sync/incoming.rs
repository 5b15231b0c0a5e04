//! The receiving end of a session.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use super::{
    SessionError, Source,
    descent::{Asker, Holder, Next, Trie, block_of},
    stage::{STAGED_EVENT_BYTES, Sizes, Stage, Staged},
};
use crate::{
    causality::{Fork, Frontier, Tip, VersionVector},
    id::{AuthorId, Dot},
    wire::{
        AUTHORS_MAX, AuthorTable, Bits, Described, End, EventReader, FORKS_MAX, FRONTIER_MAX, Frame, Leaves, LiveItem,
        NodeReader, STAMP_ORIGIN, Share, Tag, WireError, paged, read_leaves, read_limits,
    },
};

/// What one session brought, complete and checked: to be made visible in one step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delta {
    /// The sender's vector.
    pub vector: VersionVector,
    /// The sender's frontier.
    pub frontier: Frontier,
    /// The events that the receiver's vector did not cover or of which it had lost the value, as they came frame by frame. Large values
    /// are in place, but for those that are lost at the sender.
    pub events: Vec<Vec<Described>>,
    /// Those that sessions that were cut have left: the sender may not have seen all of them.
    pub resumed: Vec<Arc<Vec<Described>>>,
    /// How many of each kind `events` are.
    pub sizes: Sizes,
    /// Which dots are dead at the sender, when some dead events could not be described or there are forks.
    pub judged: Option<Judged>,
    /// The forks that the sender knows of, and those found by comparing.
    pub forks: Vec<Fork>,
    /// The dots under which both hold another live event. They are dead from now on: whoever has only seen one of the two learns that from
    /// who has compared both.
    pub conflicts: Vec<Dot>,
    /// Whether the live entries were compared: both had seen the same all the time.
    pub compared: bool,
}

/// How to tell which dots are dead at the sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged {
    /// These are all its live dots: what it covers beyond them is dead.
    Named(Leaves),
    /// What was announced is judged by `leaves`; beyond that, what was not described as live is dead.
    Announced {
        /// The vector of the HELLO.
        asked: Arc<VersionVector>,
        /// Where the sender had seen less of an author's events than that: those beyond are not judged. If they are dead at the
        /// sender, what has removed them was described.
        limits: BTreeMap<AuthorId, u64>,
        /// Live dots of the sender among the announced ones, by block.
        leaves: Leaves,
        /// Whether a block that is not among them has no live dot; else nothing is known of it.
        all: bool,
    },
}

/// How far a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Events received.
    pub done: u64,
    /// Events that the session brings, as far as the sender knows.
    pub expected: u64,
}

/// Receives the answer to one HELLO.
#[derive(Clone, Debug)]
pub struct Incoming {
    tag: Tag,
    asked: Arc<VersionVector>,
    contents: u64,
    /// Of which share of the blocks prints are compared at most.
    share: Share,
    /// Tells the vector, where HELLO has left it open.
    told: Option<Holder<u64>>,
    reader: EventReader,
    sequence: u64,
    stage: Stage,
    remaining: u64,
    /// The live dots that LEAVES named.
    leaves: Option<Leaves>,
    /// The salt, the share of prints and the limits of a descent.
    salt: Option<(u64, Share)>,
    limits: BTreeMap<AuthorId, u64>,
    /// Compares the live dots in a descent.
    asker: Option<Asker<LiveItem>>,
    /// What it found: blocks with other live dots, and events of another print under one dot.
    found: Option<Leaves>,
    conflicts: Vec<Fork>,
    end: End,
}

impl Incoming {
    /// Begins a session whose HELLO has this tag, announces `asked` and what stands for the contents, and says that `staged` is here already and the values of `lost` are
    /// not any more.
    pub fn new(
        tag: Tag,
        (asked, contents): (Arc<VersionVector>, u64),
        (staged, lost): (Staged, BTreeSet<Dot>),
        share: Share,
    ) -> Self {
        Self {
            tag,
            told: None,
            reader: EventReader::new(AuthorTable::new(&asked), STAMP_ORIGIN),
            sequence: 0,
            stage: Stage::new(Arc::clone(&asked), staged, lost),
            asked,
            contents,
            share,
            remaining: 0,
            leaves: None,
            salt: None,
            limits: BTreeMap::new(),
            asker: None,
            found: None,
            conflicts: Vec::new(),
            end: End::default(),
        }
    }

    /// Which HELLO this session answers.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// What the HELLO announced.
    pub fn asked(&self) -> &Arc<VersionVector> {
        &self.asked
    }

    /// What stands for the contents that it announced.
    pub fn contents(&self) -> u64 {
        self.contents
    }

    /// How far the session is.
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.stage.done,
            expected: self.stage.done.saturating_add(self.remaining),
        }
    }

    /// Takes the next frame of the answer; appends to `replies` what is to be sent back. At the last frame, gives what the session
    /// brought.
    ///
    /// # Errors
    /// When the frame is malformed or out of place. The session is then over and has changed nothing.
    pub fn receive(
        &mut self,
        frame: Frame<'_>,
        source: &impl Source,
        replies: &mut Vec<Vec<u8>>,
    ) -> Result<Option<Delta>, SessionError> {
        let (Frame::Events { sequence, .. }
        | Frame::Body { sequence, .. }
        | Frame::Leaves { sequence, .. }
        | Frame::Judge { sequence, .. }
        | Frame::Nodes { sequence, .. }
        | Frame::End { sequence, .. }) = frame
        else {
            match frame {
                Frame::Ask { salt, .. } => self.told = Some(Holder::new(Trie::of_vector(salt, &self.asked))),
                Frame::Choose { choices, more, .. } => {
                    let told = self.told.as_mut();
                    let holder = told.ok_or(SessionError::OutOfPlace("choice outside a descent"))?;
                    holder.choose(choices, more)?;
                }
                _ => return Ok(None),
            }
            self.tell(replies);
            return Ok(None);
        };
        if sequence != self.sequence {
            return Err(SessionError::OutOfOrder {
                expected: self.sequence,
                received: sequence,
            });
        }
        self.sequence += 1;
        match frame {
            Frame::Events { events: [], .. } => return Err(WireError::Truncated.into()),
            Frame::Events { remaining, events, .. } => {
                self.remaining = remaining;
                let (stage, tag) = (&mut self.stage, self.tag);
                stage.begin_frame();
                let key_of = |dot: &_| source.key_of(dot);
                self.reader.read(events, key_of, |event| {
                    replies.extend(stage.push(event, tag)?);
                    Ok::<_, SessionError>(())
                })?;
            }
            Frame::Body { which, bytes, .. } => self.stage.body(which, bytes)?,
            Frame::Leaves { leaves: bytes, .. } => {
                let leaves = self.leaves.get_or_insert_default();
                let stage = &mut self.stage;
                read_leaves(bytes, self.reader.authors(), leaves, || {
                    stage.charge(STAGED_EVENT_BYTES)
                })?;
            }
            Frame::Judge {
                salt, share, limits, ..
            } => {
                if self.asker.is_some() || self.found.is_some() {
                    return Err(SessionError::OutOfPlace("descent within another"));
                }
                // Not more is hashed than this end means to. What only the sender has looked at is not asked for.
                let share = if share == Share::default() {
                    share
                } else {
                    share.max(self.share)
                };
                self.salt = Some((salt, share));
                let authors = self.reader.authors();
                for (place, n) in read_limits(limits)? {
                    let author = authors.author(place).ok_or(WireError::OutOfRange("author number"))?;
                    self.limits.insert(author, n);
                }
            }
            Frame::Nodes { nodes, more, .. } => self.compare(nodes, more, source, replies)?,
            Frame::End { end, .. } => return self.end(end, source),
            _ => {}
        }
        Ok(None)
    }

    /// About how many bytes are staged.
    #[cfg(feature = "sim")]
    pub fn staged_bytes(&self) -> usize {
        self.stage.bytes()
    }

    /// What has come so far, as if it were all.
    pub(crate) fn staged(&self) -> Delta {
        Delta {
            vector: self.stage.seen(),
            events: self.stage.events().to_vec(),
            ..Delta::default()
        }
    }

    /// What is worth keeping when the session is cut.
    pub fn keep(self) -> Staged {
        self.stage.keep()
    }

    /// Tells what is asked of the vector.
    fn tell(&mut self, replies: &mut Vec<Vec<u8>>) {
        let mut payload = Vec::new();
        while let Some(holder) = &mut self.told
            && let Some(more) = holder.tell(Frame::PAYLOAD_BYTES_MAX, &mut payload)
        {
            let (tag, nodes) = (self.tag, &payload[..]);
            replies.push(Frame::Vector { tag, more, nodes }.encode());
            payload.clear();
        }
    }

    /// Compares live dots with the sender's.
    fn compare(
        &mut self,
        nodes: &[u8],
        more: bool,
        source: &impl Source,
        replies: &mut Vec<Vec<u8>>,
    ) -> Result<(), SessionError> {
        let mut nodes = NodeReader::new(nodes);
        // The table begins with the authors of what was announced.
        let authors = self.reader.authors();
        if self.found.is_some() {
            return Err(SessionError::OutOfPlace("node after a descent"));
        }
        let asker = match &mut self.asker {
            Some(asker) => asker,
            None => {
                let salt = self.salt.ok_or(SessionError::OutOfPlace("node outside a descent"))?;
                let trie = Trie::of_leaves(salt, source, authors, &self.asked, &self.limits);
                // What is unknown here is not asked for, so that the trie here bounds the descent.
                self.asker.insert(Asker::new(trie, false, usize::MAX))
            }
        };
        let tag = self.tag;
        match asker.take(&mut nodes, more, Frame::PAYLOAD_BYTES_MAX)? {
            Next::Await => {}
            Next::Choose(payloads) => {
                let frame = |(more, choices)| Frame::Expand { tag, more, choices }.encode();
                replies.extend(paged(&payloads).map(frame));
            }
            Next::Done => {
                let mut found = Leaves::default();
                if let Some(mut asker) = self.asker.take() {
                    // The dots of a block come before its prints.
                    for (key, item) in asker.found() {
                        let Some((author, block)) = block_of(key, authors) else {
                            continue;
                        };
                        match item {
                            Some(LiveItem::Dots(live)) => found.insert(author, block, live, 0),
                            None if key & 1 == 0 => found.insert(author, block, Bits::default(), 0),
                            Some(LiveItem::Prints(theirs)) => {
                                let (dots, prints) = (asker.own(key ^ 1), asker.own(key));
                                if let (Some(LiveItem::Dots(ours)), Some(LiveItem::Prints(prints))) = (dots, prints) {
                                    let told = found.get(&author, block).unwrap_or(*ours);
                                    let first = Dot::new(author, block * source.block_dots() + 1);
                                    self.conflicts
                                        .extend(conflicts(first, (ours, prints), (&told, &theirs)));
                                }
                            }
                            None => {}
                        }
                    }
                }
                self.found = Some(found);
                let (more, choices) = (false, &[][..]);
                replies.push(Frame::Expand { tag, more, choices }.encode());
            }
        }
        Ok(())
    }

    fn end(&mut self, bytes: &[u8], source: &impl Source) -> Result<Option<Delta>, SessionError> {
        let part = End::decode(bytes, self.reader.authors())?;
        (self.end.judged, self.end.named, self.end.last) = (part.judged, part.named, part.last);
        self.end.vector.extend(part.vector);
        self.end.frontier.extend(part.frontier);
        self.end.forks.extend(part.forks);
        for (what, count, max) in [
            ("forks", self.end.forks.len(), FORKS_MAX),
            ("authors of a vector", self.end.vector.len(), AUTHORS_MAX),
            ("dots of a frontier", self.end.frontier.len(), FRONTIER_MAX),
        ] {
            if count > max {
                return Err(WireError::TooLong {
                    what,
                    length: count as u64,
                    max: max as u64,
                }
                .into());
            }
        }
        if part.more {
            return Ok(None);
        }
        if self.stage.awaits() {
            return Err(SessionError::UnexpectedBody);
        }
        if self.asker.is_some() && !part.named {
            return Err(SessionError::OutOfPlace("end within a descent"));
        }
        self.complete(source).map(Some)
    }

    fn complete(&mut self, source: &impl Source) -> Result<Delta, SessionError> {
        let (here, forked) = (source.vector(), source.forks().next().is_some());
        let mut vector = self.stage.seen();
        for (author, n) in self.end.vector.drain(..) {
            vector.set(author, n);
        }
        // The sender's state is closed: it holds what it sends, and what that supersedes.
        let mentioned = self.stage.mentioned.iter().map(|(author, n)| Dot::new(author, n));
        if let Some(dot) = { mentioned }.find(|dot| !vector.covers(dot)) {
            return Err(SessionError::UnexpectedEvent(dot));
        }
        if let Some(dot) = self.stage.made_up(&vector) {
            return Err(SessionError::UnexpectedEvent(dot));
        }
        // And whoever passes over no dead event describes each.
        let (told, beyond) = (self.stage.told(&self.asked, &vector), vector.events_beyond(&self.asked));
        if !self.end.judged && !self.end.named && told != beyond {
            return Err(SessionError::NotDescribed {
                events: beyond.saturating_sub(told),
            });
        }
        if let Some(tip) = self.end.frontier.iter().find(|tip| !vector.covers(&tip.dot)) {
            return Err(SessionError::UnexpectedEvent(tip.dot));
        }
        let last = self.stage.last().zip(self.end.last);
        let last = last.map(|(dot, hash)| Tip { dot, hash });
        let frontier = Frontier::new(self.end.frontier.drain(..).chain(last));
        let (leaves, found) = (self.leaves.take(), self.found.take());
        let has_descended = found.is_some();
        // Both have seen the same all the time.
        let is_audit = !self.end.judged && !self.end.named && vector == *self.asked && vector == *here;
        let mut forks = core::mem::take(&mut self.end.forks);
        let mut conflicts = Vec::new();
        if is_audit {
            conflicts.extend(self.conflicts.iter().map(|fork| fork.dot));
            // Of each author one is remembered.
            self.conflicts.dedup_by_key(|fork| fork.dot.author);
            forks.append(&mut self.conflicts);
        }
        // What nobody has seen is not accused.
        forks.retain(|fork| vector.covers(&fork.dot) || here.covers(&fork.dot));
        let judged = if self.end.named {
            Some(Judged::Named(leaves.unwrap_or_default()))
        } else if self.end.judged {
            Some(Judged::Announced {
                asked: Arc::clone(&self.asked),
                limits: core::mem::take(&mut self.limits),
                all: leaves.is_some(),
                leaves: leaves.or(found).unwrap_or_default(),
            })
        } else if let Some(found) = found.filter(|found| is_audit && !found.is_empty()) {
            if !forked && forks.is_empty() {
                // What they hold differs all the same.
                return Err(SessionError::Diverged { blocks: found.len() });
            }
            // What a fork has removed for some is removed for all.
            Some(Judged::Announced {
                asked: Arc::clone(&self.asked),
                limits: BTreeMap::new(),
                all: false,
                leaves: found,
            })
        } else {
            None
        };
        let sizes = self.stage.sizes();
        let (resumed, events) = self.stage.take();
        Ok(Delta {
            vector,
            frontier,
            events,
            resumed,
            sizes,
            judged,
            forks,
            conflicts,
            compared: is_audit && has_descended,
        })
    }
}

/// Where a block holds another live event under a dot here than at the sender. `first` is its first dot; told of each are which are live, and
/// their prints in order.
fn conflicts(first: Dot, ours: (&Bits, &[u64]), theirs: (&Bits, &[u64])) -> Vec<Fork> {
    let by_number = |(live, prints): (&Bits, &[u64])| {
        let numbers = (0..).zip(live).flat_map(|(word, bits)| {
            let bits = *bits;
            (0..64)
                .filter(move |bit| bits >> bit & 1 == 1)
                .map(move |bit| 64 * word + bit)
        });
        let numbers: Vec<u64> = numbers.collect();
        // Each print is of a dot, or it cannot be told of which.
        let fits = numbers.len() == prints.len();
        let pairs = numbers.into_iter().zip(prints.iter().copied());
        pairs.filter(|_| fits).collect::<BTreeMap<u64, u64>>()
    };
    let theirs = by_number(theirs);
    let ours = by_number(ours).into_iter();
    ours.filter_map(|(n, print)| Fork::of_events(Dot::new(first.author, first.n + n), print, *theirs.get(&n)?))
        .collect()
}
