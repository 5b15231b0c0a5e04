//! The sending end of a session.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use super::{
    SessionError,
    descent::{Holder, Trie, masked},
    raised::Raised,
};
use crate::{
    causality::{Absent, Body, Dots, Fork, Frontier, Key, Value, VersionVector},
    id::{AuthorId, Dot},
    mutation::{Mutated, Mutation},
    wire::{
        AuthorTable, Bits, End, EventWriter, Frame, LIMIT_BYTES_MAX, Leaf, LeafWriter, Leaves, LiveEvent, LiveItem,
        STAMP_ORIGIN, Share, Tag, write_limit,
    },
};

/// How many large values may be named before the receiver has said which it wants. Each is pinned until then.
const NAMED_MAX: usize = 16;

/// How many values are read at a time, and about how many bytes of them: so that few pages are read twice, and little is held.
const READ_MAX: usize = 256;
const READ_BYTES_MAX: usize = 1024 * 1024;

/// So many authors are compared in the time in which an event is described.
const AUTHORS_AS_EVENT: usize = 8;

/// What a session reads of a store. The store may change between two calls of [`Outgoing::fill`], not during one.
pub trait Source {
    /// What was seen.
    fn vector(&self) -> &VersionVector;
    /// The maximal transactions of it.
    fn frontier(&self) -> &Frontier;
    /// The forks that are known, by author.
    fn forks(&self) -> impl Iterator<Item = &Fork>;
    /// The live events of an author after `after` and up to `upto`, in order.
    fn live(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = LiveEvent<'_>>;
    /// What a dead event removed, if that is remembered.
    fn record(&self, dot: &Dot) -> Option<Dots>;
    /// How many dots a block holds: up to 256.
    fn block_dots(&self) -> u64;
    /// All live dots, by block; those of an author together, in rising order.
    fn leaves(&self) -> impl Iterator<Item = Leaf>;
    /// The key of a live dot.
    fn key_of(&self, dot: &Dot) -> Option<Key>;
}

/// How a HELLO is answered.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether each key is spelled, also where the receiver should know it.
    pub spell: bool,
    /// Whether the live dots are compared although nothing is lacking.
    pub audit: bool,
    /// The most bytes of events in a frame; an event that is longer has one for itself.
    pub event_bytes_max: usize,
    /// Beyond so many bytes of leaves a descent finds the differences.
    pub leaves_bytes_max: usize,
    /// For the fingerprints of a descent; random.
    pub salt: u64,
    /// Of how many blocks prints are compared, where the live dots are although nothing is lacking.
    pub share: Share,
    /// A deliberate bug, for the tests of the tests.
    pub mutated: Mutated,
}

/// Answers one HELLO. Frames are made as the link takes them, so that a large store is never held as frames in memory.
#[derive(Clone, Debug)]
pub struct Outgoing {
    tag: Tag,
    /// The receiver's vector as announced.
    asked: Arc<VersionVector>,
    /// The same, raised by what was sent.
    sent: Raised,
    /// The announced vector raised by the events described, as the receiver sees it, and the last of these.
    told: Raised,
    last: Option<Dot>,
    /// What the receiver has staged already, the events whose values it has lost, and the last of them that was looked at.
    have: Leaves,
    lost_there: Leaves,
    restored: Option<Dot>,
    writer: EventWriter,
    sequence: u64,
    /// Authors that have unsent events, as looked up last.
    plan: VecDeque<AuthorId>,
    /// What had been seen when the answer began: events up to there have removed nothing that is sent as live.
    began: Arc<VersionVector>,
    /// Whether each event up to there was described; else the dots that the receiver covers have to be judged.
    described: bool,
    /// Whether dead events up to there are described. Not where dots will be judged anyhow, or the receiver has none.
    records: bool,
    /// Whether a later event was not described. It may have removed what was sent as live, so all live dots have to be named.
    lost: bool,
    /// Events still to be sent, as counted once.
    remaining: u64,
    counted: bool,
    manner: Manner,
    /// All that a bug sends.
    frozen: Option<VersionVector>,
    /// Events for the next frame.
    events: Vec<u8>,
    /// Values that were named and not yet asked for; `None` for those that are lost.
    named: BTreeMap<u64, Option<Value>>,
    /// How many were named.
    names: u64,
    /// Those asked for, and from where on.
    wanted: VecDeque<(u64, Value, usize)>,
    /// Values to be read before the answer goes on, the first of those that are being read, and what was read or is lost.
    lacking: Vec<Absent>,
    reading: Option<Dot>,
    read: BTreeMap<Dot, Option<Value>>,
    descent: Descent,
}

#[derive(Clone, Debug)]
enum Descent {
    None,
    Running(Holder<LiveItem>),
    Done,
}

impl Outgoing {
    /// Begins the answer to a HELLO that announced `asked`, has staged `have` and has lost the values of `lost_there`; `began` is what is
    /// seen here now.
    pub fn new(
        tag: Tag,
        asked: Arc<VersionVector>,
        (have, lost_there): (Leaves, Leaves),
        began: Arc<VersionVector>,
        manner: Manner,
    ) -> Self {
        let writer = EventWriter::new(AuthorTable::new(&asked), STAMP_ORIGIN);
        Self {
            tag,
            sent: Raised::new(Arc::clone(&asked)),
            told: Raised::new(Arc::clone(&asked)),
            last: None,
            records: !asked.is_empty(),
            asked,
            have,
            lost_there,
            restored: None,
            writer,
            sequence: 0,
            plan: VecDeque::new(),
            began,
            described: true,
            lost: false,
            remaining: 0,
            counted: false,
            manner,
            frozen: None,
            events: Vec::new(),
            named: BTreeMap::new(),
            names: 0,
            wanted: VecDeque::new(),
            lacking: Vec::new(),
            reading: None,
            read: BTreeMap::new(),
            descent: Descent::None,
        }
    }

    /// Which HELLO this answers.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The receiver asks for a large value, or says that it needs none.
    ///
    /// # Errors
    /// When no such value was named.
    pub fn want(&mut self, which: u64, offset: u64) -> Result<(), SessionError> {
        let value = self
            .named
            .remove(&which)
            .ok_or(SessionError::OutOfPlace("value not named"))?;
        let Some(value) = value else {
            // No bytes are its answer.
            self.wanted.push_back((which, Value::from([]), 0));
            return Ok(());
        };
        let offset = usize::try_from(offset).ok().filter(|offset| *offset <= value.len());
        match offset.ok_or(SessionError::OutOfPlace("offset beyond a value"))? {
            offset if offset == value.len() => {}
            offset => self.wanted.push_back((which, value, offset)),
        }
        Ok(())
    }

    /// The values to be read before the answer can go on. To be followed by [`Self::supply`].
    pub fn lacks(&mut self) -> Vec<Absent> {
        core::mem::take(&mut self.lacking)
    }

    /// What was read; `None` of what is lost.
    pub fn supply(&mut self, values: Vec<(Dot, Option<Value>)>) {
        // It may have been read for an answer that was given up.
        self.reading = self.reading.filter(|first| values.iter().all(|(dot, _)| dot != first));
        self.read.extend(values);
    }

    /// Whether the receiver is to compare live entries.
    pub fn is_audit(&self) -> bool {
        self.manner.audit
    }

    /// Whether the receiver has lost values that it asks for.
    pub fn has_lost_values(&self) -> bool {
        !self.lost_there.is_empty()
    }

    /// The receiver chooses among the nodes told last.
    ///
    /// # Errors
    /// When no such choice is awaited.
    pub fn expand(&mut self, choices: &[u8], more: bool) -> Result<(), SessionError> {
        let Descent::Running(holder) = &mut self.descent else {
            return Err(SessionError::OutOfPlace("choice outside a descent"));
        };
        if holder.choose(choices, more)? {
            self.descent = Descent::Done;
        }
        Ok(())
    }

    /// Appends up to about `frames_max` frames, looking at up to `left` events. Returns whether the answer is complete: its END is
    /// among them. If none is left, there may be more to append at once.
    pub fn fill(
        &mut self,
        source: &impl Source,
        frames: &mut Vec<Vec<u8>>,
        frames_max: usize,
        left: &mut usize,
    ) -> bool {
        if !self.counted {
            self.counted = true;
            self.frozen = self
                .manner
                .mutated
                .is(Mutation::NoCatchUp)
                .then(|| source.vector().clone());
            // A receiver that has seen what is unknown here may have removed what its vector covers: then it knows no key by a dot.
            let mut equal = true;
            for (author, n) in source.vector().differing(&self.asked) {
                equal = false;
                let asked = self.asked.get(&author);
                self.manner.spell |= n < asked;
                if n > asked {
                    self.remaining = self.remaining.saturating_add(n - asked);
                    self.plan.push_back(author);
                }
            }
            self.manner.audit &= equal;
            let is_plain = !self.manner.audit && !self.has_lost_values();
            if equal && is_plain {
                frames.push(Frame::Equal(self.tag).encode());
                return true;
            }
            if self.remaining == 0 && self.frozen.is_none() && is_plain {
                frames.push(Frame::Nothing(self.tag).encode());
                return true;
            }
            *left = left.saturating_sub(self.asked.len() / AUTHORS_AS_EVENT);
        }
        let turn = *left;
        while frames.len() < frames_max && *left > 0 {
            if let Some((which, value, offset)) = self.wanted.pop_front() {
                self.body(which, value, offset, frames);
            } else if self.reading.is_some() || self.named.len() >= NAMED_MAX {
                // The rest waits until it is read, or the receiver has said what it wants.
                self.flush(frames);
                return false;
            } else if self.restore(source, frames) {
                *left -= 1;
            } else if let Some(author) = self.next_author(source.vector()) {
                let upto = self.frozen.as_ref().unwrap_or(source.vector()).get(&author);
                self.author(source, author, upto, (frames, frames_max), left);
            } else {
                self.flush(frames);
                if self.has_to_judge() && *left < turn / 2 {
                    // All blocks are looked at: a turn for themselves.
                    *left = 0;
                    return false;
                }
                if !self.named.is_empty() || !self.judge(source, frames) {
                    return false;
                }
                // From here to END nothing can change at the source: what is named is the state at END.
                self.end(source, frames);
                return true;
            }
        }
        false
    }

    fn next_author(&mut self, vector: &VersionVector) -> Option<AuthorId> {
        if self.plan.is_empty() {
            let vector = self.frozen.as_ref().unwrap_or(vector);
            // Both in the order of authors, so that one pass tells where they differ.
            let differing = vector.beyond(&self.asked);
            let unsent = differing.filter(|(author, n)| *n > self.sent.get(author));
            self.plan = unsent.map(|(author, _)| author).collect();
        }
        self.plan.pop_front()
    }

    /// Describes the author's events up to `upto`, or as many as fit and are left to look at.
    fn author(
        &mut self,
        source: &impl Source,
        author: AuthorId,
        upto: u64,
        (frames, frames_max): (&mut Vec<Vec<u8>>, usize),
        left: &mut usize,
    ) {
        let after = self.sent.get(&author);
        let mut live = source.live(author, after, upto).peekable();
        let mut at = after;
        let mut event = Vec::new();
        let began = self.began.get(&author);
        while at < upto && frames.len() < frames_max && self.named.len() < NAMED_MAX && *left > 0 {
            *left -= 1;
            let next_live = live.peek().map_or(upto + 1, |event| event.dot.n);
            let dot = Dot::new(author, at + 1);
            let have = self.have.contains(&dot);
            event.clear();
            if dot.n == next_live {
                let is_lacking = |live: &LiveEvent<'_>| !have && is_lacking(live, &self.read);
                if live.peek().is_some_and(is_lacking) {
                    let lacking = lacking(live.filter(|live| !self.have.contains(&live.dot)), &self.read);
                    self.lack(lacking);
                    break;
                }
                if let Some(live) = live.next()
                    && !have
                {
                    let known = !self.manner.spell && live.removes.first().is_some_and(|dot| self.asked.covers(dot));
                    self.live(live, known, &mut event);
                }
            } else if let Some(removes) = self.wants_record(dot.n > began).then(|| source.record(&dot)).flatten() {
                self.writer.dead(dot, &removes, &mut event);
            } else {
                if self.manner.mutated.is(Mutation::RingOfDeletes) {
                    // Passed over in silence.
                } else if dot.n > began {
                    self.lost = true;
                } else {
                    // Dots will be judged, and then no record is needed.
                    (self.described, self.records) = (false, false);
                }
                if !have && !self.wants_record(dot.n > began) {
                    // A vector may claim very many events: what is dead and not staged there is passed over at once.
                    let next_have = self.have.next_after(&author, at).unwrap_or(u64::MAX);
                    let turn = if dot.n > began { u64::MAX } else { began + 1 };
                    let passed = next_live.min(next_have).min(turn) - 1;
                    self.remaining = self.remaining.saturating_sub(passed - at);
                    at = passed;
                    continue;
                }
            }
            if have && event.is_empty() && dot.n != next_live {
                // What is staged there must not come to life.
                self.writer.forgotten(dot, &mut event);
            }
            self.push(&event, frames);
            at = dot.n;
            if !event.is_empty() {
                self.told.advance(author, dot.n);
                self.last = Some(dot);
            }
            self.remaining = self.remaining.saturating_sub(1);
        }
        self.sent.advance(author, at);
        if at < upto {
            self.plan.push_front(author);
        }
    }

    /// The live entries whose values the receiver has lost and that were not looked at yet.
    fn lost_there<'a>(&self, source: &'a impl Source) -> impl Iterator<Item = LiveEvent<'a>> {
        let mut at = self.restored;
        core::iter::from_fn(move || {
            loop {
                let wanted = self.lost_there.next(at)?;
                let upto = Some(self.asked.get(&wanted.author)).filter(|upto| wanted.n <= *upto);
                let live = upto.and_then(|upto| source.live(wanted.author, wanted.n - 1, upto).next());
                // From one set to the other: each may be long where the other has nothing.
                at = match live {
                    Some(live) if live.dot == wanted => {
                        at = Some(wanted);
                        return Some(live);
                    }
                    Some(live) => Some(Dot::new(wanted.author, live.dot.n - 1)),
                    None => Some(Dot::new(wanted.author, u64::MAX)),
                };
            }
        })
    }

    /// Describes the next entry whose value the receiver has lost, or has it read. What is lost here as well is passed over. Returns whether
    /// there was one.
    fn restore(&mut self, source: &impl Source, frames: &mut Vec<Vec<u8>>) -> bool {
        let Some(live) = self.lost_there(source).next() else {
            return false;
        };
        if is_lacking(&live, &self.read) {
            let lacking = lacking(self.lost_there(source), &self.read);
            self.lack(lacking);
            return true;
        }
        let dot = live.dot;
        self.restored = Some(dot);
        if self.read.get(&dot).is_none_or(Option::is_some) {
            let mut event = Vec::new();
            self.live(live, false, &mut event);
            self.push(&event, frames);
        }
        true
    }

    /// Appends a live event to a description, with what was read of it.
    fn live(&mut self, live: LiveEvent<'_>, known: bool, event: &mut Vec<u8>) {
        let read = self.read.remove(&live.dot).flatten().map(Body::from);
        let body = read.as_ref().unwrap_or(live.body);
        let live = LiveEvent { body, ..live };
        if self.writer.live(&live, known, event) {
            self.named.insert(self.names, live.body.here().cloned());
            self.names += 1;
        }
    }

    /// Has these values read.
    fn lack(&mut self, lacking: Vec<Absent>) {
        self.reading = lacking.first().map(|absent| absent.dot);
        self.lacking = lacking;
    }

    /// Appends an event to those of the next frame.
    fn push(&mut self, event: &[u8], frames: &mut Vec<Vec<u8>>) {
        if self.events.len() + event.len() > self.manner.event_bytes_max.min(Frame::PAYLOAD_BYTES_MAX) {
            self.flush(frames);
        }
        self.events.extend_from_slice(event);
    }

    /// Whether dead events are described: those up to where the answer began, or `later` ones.
    fn wants_record(&self, later: bool) -> bool {
        if later { !self.lost } else { self.records }
    }

    fn flush(&mut self, frames: &mut Vec<Vec<u8>>) {
        if !self.events.is_empty() {
            let frame = Frame::Events {
                tag: self.tag,
                sequence: self.next_sequence(),
                remaining: self.remaining,
                events: &self.events,
            };
            frames.push(frame.encode());
            self.events.clear();
        }
    }

    fn body(&mut self, which: u64, value: Value, offset: usize, frames: &mut Vec<Vec<u8>>) {
        let end = value.len().min(offset + Frame::PAYLOAD_BYTES_MAX);
        let frame = Frame::Body {
            tag: self.tag,
            sequence: self.next_sequence(),
            which,
            bytes: &value[offset..end],
        };
        frames.push(frame.encode());
        if end < value.len() {
            self.wanted.push_front((which, value, end));
        }
    }

    /// Whether the receiver may have to learn which of its dots are dead here, and has not begun to.
    fn has_to_judge(&self) -> bool {
        let begun = !matches!(self.descent, Descent::None);
        self.lost || !begun && (self.manner.audit || !self.described && !self.asked.is_empty())
    }

    /// Has the receiver learn which of the dots that it covers are dead here, if that is needed. Returns whether it has.
    fn judge(&mut self, source: &impl Source, frames: &mut Vec<Vec<u8>>) -> bool {
        let mut nodes = Vec::new();
        match &self.descent {
            _ if self.lost => {
                let payloads = self.leaves(source, None).unwrap_or_default();
                self.push_leaves(payloads, frames);
                return true;
            }
            Descent::None if self.manner.audit => self.descend(source, frames),
            Descent::None if self.described || self.asked.is_empty() => return true,
            Descent::None => match self.leaves(source, Some(self.manner.leaves_bytes_max)) {
                Some(payloads) => {
                    self.push_leaves(payloads, frames);
                    return true;
                }
                None => self.descend(source, frames),
            },
            Descent::Running(_) => {}
            Descent::Done => return true,
        }
        while let Descent::Running(holder) = &mut self.descent
            && let Some(more) = holder.tell(Frame::PAYLOAD_BYTES_MAX, &mut nodes)
        {
            let frame = Frame::Nodes {
                tag: self.tag,
                sequence: self.next_sequence(),
                more,
                nodes: &nodes,
            };
            frames.push(frame.encode());
            nodes.clear();
        }
        false
    }

    /// Begins a descent.
    fn descend(&mut self, source: &impl Source, frames: &mut Vec<Vec<u8>>) {
        // The table begins with the authors of what was announced.
        let (salt, share) = (self.manner.salt, self.share());
        let table = self.writer.authors();
        let trie = Trie::of_leaves((salt, share), source, table, &self.asked, &BTreeMap::new());
        self.descent = Descent::Running(Holder::new(trie));
        // What the receiver has seen and is not known here yet is not judged.
        let asked = Arc::clone(&self.asked);
        let mut limits = Vec::new();
        for (author, _) in asked.beyond(source.vector()) {
            if limits.len() + LIMIT_BYTES_MAX > Frame::PAYLOAD_BYTES_MAX {
                self.push_limits(&mut limits, frames);
            }
            let place = self.writer.authors().number(&author).unwrap_or(0);
            write_limit(place, source.vector().get(&author), &mut limits);
        }
        self.push_limits(&mut limits, frames);
    }

    fn share(&self) -> Share {
        if self.manner.audit {
            self.manner.share
        } else {
            Share::default()
        }
    }

    fn push_limits(&mut self, limits: &mut Vec<u8>, frames: &mut Vec<Vec<u8>>) {
        let frame = Frame::Judge {
            tag: self.tag,
            sequence: self.next_sequence(),
            salt: self.manner.salt,
            share: self.share(),
            limits,
        };
        frames.push(frame.encode());
        limits.clear();
    }

    /// The live dots that the receiver has announced, as the payloads of frames, or nothing if they take more than so many bytes.
    /// Without such a bound, all live dots.
    fn leaves(&mut self, source: &impl Source, bytes_max: Option<usize>) -> Option<Vec<Vec<u8>>> {
        let mut writer = LeafWriter::default();
        let mut last = None;
        for mut leaf in source.leaves() {
            let upto = match (last, bytes_max) {
                (_, None) => u64::MAX,
                (Some((author, upto)), _) if author == leaf.author => upto,
                _ => self.asked.get(&leaf.author),
            };
            last = Some((leaf.author, upto));
            leaf.live = masked(&leaf.live, leaf.block, source.block_dots(), upto);
            if leaf.live == Bits::default() {
                continue;
            }
            // Announced authors are in the table, so that nothing is added to it in vain.
            writer.push(&leaf, self.writer.authors());
            if bytes_max.is_some_and(|max| writer.bytes() > max) {
                return None;
            }
        }
        Some(writer.finish(self.writer.authors()))
    }

    fn push_leaves(&mut self, payloads: Vec<Vec<u8>>, frames: &mut Vec<Vec<u8>>) {
        for leaves in &payloads {
            let (tag, sequence) = (self.tag, self.next_sequence());
            frames.push(Frame::Leaves { tag, sequence, leaves }.encode());
        }
    }

    fn end(&mut self, source: &impl Source, frames: &mut Vec<Vec<u8>>) {
        // Only what differs from HELLO was described.
        let differing = source.vector().differing(&self.asked);
        let untold = differing.filter(|(author, n)| *n != self.told.get(author));
        let frontier = source.frontier().tips();
        let last = match frontier {
            [tip] if self.last == Some(tip.dot) => Some(tip.hash),
            _ => None,
        };
        let forks = source.forks();
        let end = End {
            more: false,
            last,
            forks: forks.copied().collect(),
            judged: !self.described,
            named: self.lost,
            vector: untold.collect(),
            frontier: if last.is_some() { Vec::new() } else { frontier.to_vec() },
        };
        frames.extend(end.frames(self.tag, self.sequence, self.writer.authors()));
    }

    fn next_sequence(&mut self) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        sequence
    }
}

/// Whether a value has to be read before its event can be described.
fn is_lacking(event: &LiveEvent<'_>, read: &BTreeMap<Dot, Option<Value>>) -> bool {
    event.body.here().is_none() && !read.contains_key(&event.dot)
}

/// What has to be read of the next events.
fn lacking<'a>(events: impl Iterator<Item = LiveEvent<'a>>, read: &BTreeMap<Dot, Option<Value>>) -> Vec<Absent> {
    let mut bytes = 0;
    let lacking = events.filter(|event| is_lacking(event, read));
    let absent = lacking.filter_map(|event| Absent::of(event.dot, &Key::from(event.key), event.body));
    let fits = |absent: &Absent| {
        let fits = bytes < READ_BYTES_MAX;
        bytes += absent.print.length as usize;
        fits
    };
    absent.take_while(fits).take(READ_MAX).collect()
}
