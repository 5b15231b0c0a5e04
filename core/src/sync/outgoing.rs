//! The sending end of a session.

use alloc::vec::Vec;

use crate::{
    causality::{Dots, Frontier, Value, VersionVector},
    id::{AuthorId, Dot},
    mutation::{Mutated, Mutation},
    time::Hlc,
    wire::{AuthorTable, End, EventWriter, Frame, Leaf, LeafWriter, LiveEvent, Tag},
};

/// What a session reads of a store. The store may change between two calls of [`Outgoing::fill`], not during one.
pub trait Source {
    /// What was seen.
    fn vector(&self) -> &VersionVector;
    /// The maximal transactions of it.
    fn frontier(&self) -> &Frontier;
    /// The live events of an author after `after` and up to `upto`, in order.
    fn live(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = LiveEvent<'_>>;
    /// What a dead event removed, if that is remembered.
    fn record(&self, dot: &Dot) -> Option<Dots>;
    /// All live dots, by block.
    fn leaves(&self) -> impl Iterator<Item = Leaf>;
}

/// How a HELLO is answered.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether each key is spelled, also where the receiver should know it.
    pub spell: bool,
    /// The most bytes of events in a frame; an event that is longer has one for itself.
    pub event_bytes_max: usize,
    /// A deliberate bug, for the tests of the tests.
    pub mutated: Mutated,
}

/// Answers one HELLO. Frames are made as the link takes them, so that a large store is never held as frames in memory.
#[derive(Debug)]
pub struct Outgoing {
    tag: Tag,
    /// The receiver's vector as announced.
    asked: VersionVector,
    /// The same, raised by what was sent.
    sent: VersionVector,
    writer: EventWriter,
    sequence: u64,
    /// Where the search for the next author with unsent events goes on.
    cursor: AuthorId,
    /// Whether each event sent so far was described.
    complete: bool,
    /// Whether dead events are described. To an empty receiver they say nothing, since there is nothing to remove; what it gains
    /// elsewhere meanwhile, the leaves tell apart.
    records: bool,
    /// Events still to be sent, as counted once.
    remaining: u64,
    counted: bool,
    manner: Manner,
    /// All that a bug sends.
    frozen: Option<VersionVector>,
    /// Events for the next frame.
    events: Vec<u8>,
    /// A large value under way, and how much of it was sent.
    body: Option<(Value, usize)>,
}

impl Outgoing {
    /// Begins the answer to a HELLO that announced `asked`.
    pub fn new(tag: Tag, asked: VersionVector, manner: Manner) -> Self {
        let writer = EventWriter::new(AuthorTable::new(&asked), Hlc::default());
        Self {
            tag,
            sent: asked.clone(),
            records: !asked.is_empty(),
            asked,
            writer,
            sequence: 0,
            cursor: AuthorId::default(),
            complete: true,
            remaining: 0,
            counted: false,
            manner,
            frozen: None,
            events: Vec::new(),
            body: None,
        }
    }

    /// Appends up to about `frames_max` frames. Returns whether the answer is complete: its END is among them.
    pub fn fill(&mut self, source: &impl Source, frames: &mut Vec<Vec<u8>>, frames_max: usize) -> bool {
        if !self.counted {
            self.counted = true;
            self.frozen = self
                .manner
                .mutated
                .is(Mutation::NoCatchUp)
                .then(|| source.vector().clone());
            // A receiver that has seen what is unknown here may have removed what its vector covers: then it knows no key by a dot.
            self.manner.spell |= !source.vector().dominates(&self.asked);
            self.remaining = source.vector().events_beyond(&self.sent);
        }
        while frames.len() < frames_max {
            if let Some((value, offset)) = self.body.take() {
                self.body(value, offset, frames);
            } else if let Some((author, upto)) = self.next_author(source.vector()) {
                self.author(source, author, upto, frames, frames_max);
            } else {
                // From here to END nothing can change at the source: what is named is the state at END.
                self.flush(frames);
                self.end(source, frames);
                return true;
            }
        }
        false
    }

    fn next_author(&mut self, vector: &VersionVector) -> Option<(AuthorId, u64)> {
        let vector = self.frozen.as_ref().unwrap_or(vector);
        let unsent = |(author, n): &(AuthorId, u64)| *n > self.sent.get(author);
        let found = vector
            .iter_from(self.cursor)
            .find(unsent)
            .or_else(|| vector.iter().find(unsent))?;
        self.cursor = found.0;
        Some(found)
    }

    /// Describes the author's events up to `upto`, or as many as fit.
    fn author(
        &mut self,
        source: &impl Source,
        author: AuthorId,
        upto: u64,
        frames: &mut Vec<Vec<u8>>,
        frames_max: usize,
    ) {
        let after = self.sent.get(&author);
        let mut live = source.live(author, after, upto).peekable();
        let mut at = after;
        let mut event = Vec::new();
        while at < upto && frames.len() < frames_max && self.body.is_none() {
            let next_live = live.peek().map_or(upto + 1, |event| event.dot.n);
            let dot = Dot::new(author, at + 1);
            event.clear();
            let mut large = None;
            if dot.n == next_live {
                if let Some(live) = live.next() {
                    let key_known =
                        !self.manner.spell && live.removes.first().is_some_and(|dot| self.asked.covers(dot));
                    if self.writer.live(&live, key_known, &mut event) {
                        large = Some(Value::clone(live.value));
                    }
                }
            } else if let Some(removes) = self.records.then(|| source.record(&dot)).flatten() {
                self.writer.dead(dot, &removes, &mut event);
            } else if self.manner.mutated.is(Mutation::RingOfDeletes) {
                // Passed over in silence.
            } else {
                // The leaves will tell what is not described, and then no record is needed any more.
                (self.complete, self.records) = (false, false);
                self.remaining = self.remaining.saturating_sub(next_live - 1 - at);
                at = next_live - 1;
                continue;
            }
            if self.events.len() + event.len() > self.manner.event_bytes_max.min(Frame::EVENT_BYTES_MAX) {
                self.flush(frames);
            }
            at = dot.n;
            self.remaining = self.remaining.saturating_sub(1);
            self.events.extend_from_slice(&event);
            if let Some(value) = large {
                self.flush(frames);
                self.body = Some((value, 0));
            }
        }
        self.sent.advance(author, at);
    }

    fn flush(&mut self, frames: &mut Vec<Vec<u8>>) {
        if !self.events.is_empty() {
            frames.push(Frame::events(self.tag, self.sequence, self.remaining, &self.events));
            self.sequence += 1;
            self.events.clear();
        }
    }

    fn body(&mut self, value: Value, offset: usize, frames: &mut Vec<Vec<u8>>) {
        let end = value.len().min(offset + Frame::BODY_BYTES_MAX);
        frames.push(Frame::body(self.tag, self.sequence, &value[offset..end]));
        self.sequence += 1;
        if end < value.len() {
            self.body = Some((value, end));
        }
    }

    fn end(&mut self, source: &impl Source, frames: &mut Vec<Vec<u8>>) {
        if !self.complete {
            let mut leaves = LeafWriter::new(self.tag, self.sequence);
            for leaf in source.leaves() {
                leaves.push(&leaf, self.writer.authors());
            }
            let leaves = leaves.finish();
            self.sequence += leaves.len() as u64;
            frames.extend(leaves);
        }
        let here = source.vector();
        let differs = here.iter().filter(|(author, n)| self.asked.get(author) != *n);
        let unknown = self
            .asked
            .iter()
            .filter(|(author, _)| here.get(author) == 0)
            .map(|(author, _)| (author, 0));
        let end = End {
            more: false,
            leaves: !self.complete,
            vector: differs.chain(unknown).collect(),
            frontier: source.frontier().dots().to_vec(),
        };
        frames.extend(end.frames(self.tag, self.sequence, self.writer.authors()));
    }
}
