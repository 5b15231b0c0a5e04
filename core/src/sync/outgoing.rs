//! The sending end of a session.

use alloc::vec::Vec;

use crate::{
    causality::{Frontier, Value, VersionVector},
    id::{AuthorId, Dot},
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
    /// Number and removed dots of the author's dead events in the same range of which a record is left, in order.
    fn records(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = (u64, &[Dot])>;
    /// All live dots, by block.
    fn leaves(&self) -> impl Iterator<Item = Leaf>;
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
    /// Events for the next frame.
    events: Vec<u8>,
    /// A large value under way, and how much of it was sent.
    body: Option<(Value, usize)>,
}

impl Outgoing {
    /// Begins the answer to a HELLO that announced `asked`.
    pub fn new(tag: Tag, asked: VersionVector) -> Self {
        let writer = EventWriter::new(AuthorTable::new(&asked), Hlc::default());
        let (sent, cursor) = (asked.clone(), AuthorId::default());
        Self {
            tag,
            asked,
            sent,
            writer,
            sequence: 0,
            cursor,
            complete: true,
            events: Vec::new(),
            body: None,
        }
    }

    /// Appends up to about `frames_max` frames. Returns whether the answer is complete: its END is among them.
    pub fn fill(&mut self, source: &impl Source, frames: &mut Vec<Vec<u8>>, frames_max: usize) -> bool {
        let mut remaining = source.vector().events_beyond(&self.sent);
        while frames.len() < frames_max {
            if let Some((value, offset)) = self.body.take() {
                self.body(value, offset, frames);
            } else if let Some((author, upto)) = self.next_author(source.vector()) {
                self.author(source, author, upto, &mut remaining, frames, frames_max);
            } else {
                // From here to END nothing can change at the source: what is named is the state at END.
                self.flush(remaining, frames);
                self.end(source, frames);
                return true;
            }
        }
        false
    }

    fn next_author(&mut self, vector: &VersionVector) -> Option<(AuthorId, u64)> {
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
        remaining: &mut u64,
        frames: &mut Vec<Vec<u8>>,
        frames_max: usize,
    ) {
        let after = self.sent.get(&author);
        // To an empty receiver records say nothing: there is nothing to remove. What it gains elsewhere meanwhile, the
        // leaves tell apart.
        let useful = !self.asked.is_empty();
        let mut live = source.live(author, after, upto).peekable();
        let mut records = source.records(author, after, upto).filter(|_| useful).peekable();
        let mut at = after;
        let mut event = Vec::new();
        while frames.len() < frames_max && self.body.is_none() {
            let next_live = live.peek().map_or(u64::MAX, |event| event.dot.n);
            let next_record = records.peek().map_or(u64::MAX, |(n, _)| *n);
            let n = next_live.min(next_record).min(upto + 1);
            self.complete &= n == at + 1 || (n > upto && at == upto);
            *remaining = remaining.saturating_sub(n.min(upto) - at);
            at = n.min(upto);
            if n > upto {
                break;
            }
            event.clear();
            let mut large = None;
            if next_live < next_record {
                if let Some(live) = live.next()
                    && self.writer.live(&live, &mut event)
                {
                    large = Some(Value::clone(live.value));
                }
            } else if let Some((n, removes)) = records.next() {
                self.writer.dead(Dot::new(author, n), removes, &mut event);
            }
            if self.events.len() + event.len() > Frame::EVENT_BYTES_MAX {
                self.flush(*remaining + 1, frames);
            }
            self.events.extend_from_slice(&event);
            if let Some(value) = large {
                self.flush(*remaining, frames);
                self.body = Some((value, 0));
            }
        }
        self.sent.advance(author, at);
    }

    fn flush(&mut self, remaining: u64, frames: &mut Vec<Vec<u8>>) {
        if !self.events.is_empty() {
            frames.push(Frame::events(self.tag, self.sequence, remaining, &self.events));
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
