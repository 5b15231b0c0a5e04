//! The receiving end of a session: the stage.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use super::SessionError;
use crate::{
    causality::{Frontier, Value, VersionVector},
    id::{AuthorId, ContentHash, Dot},
    time::Hlc,
    wire::{
        AUTHORS_MAX, AuthorTable, Body, Described, End, EventReader, FRONTIER_MAX, Frame, LeafReader, Tag, WireError,
    },
};

/// The most bytes of keys and values that one session stages. A tab's whole memory is 4 GiB; what is staged is held beside
/// what is visible.
pub const STAGE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What an event costs on the stage beyond its key and value, by estimate.
const STAGED_EVENT_BYTES: usize = 128;

/// What one session brought, complete and checked: to be made visible in one step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delta {
    /// The sender's vector.
    pub vector: VersionVector,
    /// The sender's frontier.
    pub frontier: Frontier,
    /// The events that the receiver's vector did not cover, as they came frame by frame. Large values are in place.
    pub events: Vec<Vec<Described>>,
    /// Every live dot of the sender, when some dead events could not be described.
    pub leaves: Option<Leaves>,
}

/// Live dots, by author and block.
pub type Leaves = BTreeMap<(AuthorId, u64), [u64; 4]>;

/// How far a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Events received.
    pub done: u64,
    /// Events that the session brings, as far as the sender knows.
    pub expected: u64,
}

/// Receives the answer to one HELLO.
#[derive(Debug)]
pub struct Incoming {
    tag: Tag,
    asked: VersionVector,
    reader: EventReader,
    sequence: u64,
    stage: Stage,
    remaining: u64,
    leaves: Leaves,
    end: End,
}

/// What was received and is not yet visible.
#[derive(Debug, Default)]
struct Stage {
    /// The announced vector, raised by the events received: each must be new.
    seen: VersionVector,
    /// Per author the highest number of any event received or removed: the sender's vector must cover it.
    mentioned: VersionVector,
    /// By frame, so that a large stage grows without moving.
    events: Vec<Vec<Described>>,
    /// How many events were received, those included that left nothing to describe.
    done: u64,
    /// The large value that the last event waits for.
    body: Option<PartialBody>,
    bytes: usize,
}

#[derive(Debug)]
struct PartialBody {
    hash: ContentHash,
    length: usize,
    bytes: Vec<u8>,
}

impl Incoming {
    /// Begins a session whose HELLO has this tag and announces `asked`.
    pub fn new(tag: Tag, asked: VersionVector) -> Self {
        Self {
            tag,
            reader: EventReader::new(AuthorTable::new(&asked), Hlc::default()),
            sequence: 0,
            stage: Stage {
                seen: asked.clone(),
                ..Stage::default()
            },
            asked,
            remaining: 0,
            leaves: Leaves::new(),
            end: End::default(),
        }
    }

    /// Which HELLO this session answers.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// How far the session is.
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.stage.done,
            expected: self.stage.done.saturating_add(self.remaining),
        }
    }

    /// Takes the next frame; `key_of` gives the key of a live dot. At the last frame, gives what the session brought.
    ///
    /// # Errors
    /// When the frame is malformed or out of place. The session is then over and has changed nothing.
    pub fn receive(
        &mut self,
        frame: Frame<'_>,
        key_of: impl Fn(&Dot) -> Option<Arc<str>>,
    ) -> Result<Option<Delta>, SessionError> {
        let (Frame::Events { sequence, .. }
        | Frame::Body { sequence, .. }
        | Frame::Leaves { sequence, .. }
        | Frame::End { sequence, .. }) = frame
        else {
            return Ok(None);
        };
        if sequence != self.sequence {
            return Err(SessionError::OutOfOrder {
                expected: self.sequence,
                received: sequence,
            });
        }
        self.sequence += 1;
        let body_expected = self.stage.body.is_some();
        if body_expected != matches!(frame, Frame::Body { .. }) {
            return Err(SessionError::UnexpectedBody);
        }
        match frame {
            Frame::Events { events: [], .. } => return Err(WireError::Truncated.into()),
            Frame::Events { remaining, events, .. } => {
                self.remaining = remaining;
                let stage = &mut self.stage;
                stage.events.push(Vec::new());
                self.reader.read(events, key_of, |event| stage.push(event))?;
            }
            Frame::Body { bytes, .. } => self.stage.body(bytes)?,
            Frame::Leaves { leaves, .. } => {
                let mut reader = LeafReader::new(leaves);
                while let Some(leaf) = reader.next(self.reader.authors())? {
                    self.leaves.insert((leaf.author, leaf.block), leaf.live);
                    self.stage.charge(STAGED_EVENT_BYTES)?;
                }
            }
            Frame::End { end, .. } => {
                let part = End::decode(end, self.reader.authors())?;
                self.end.leaves = part.leaves;
                self.end.vector.extend(part.vector);
                self.end.frontier.extend(part.frontier);
                for (what, count, max) in [
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
                if !part.more {
                    return self.complete().map(Some);
                }
            }
            Frame::Hello(_) | Frame::Digest(_) => {}
        }
        Ok(None)
    }

    /// How many bytes are staged.
    pub fn staged_bytes(&self) -> usize {
        self.stage.bytes
    }

    /// What has come so far, as if it were all.
    pub(crate) fn staged(&self) -> Delta {
        Delta {
            vector: self.stage.seen.clone(),
            events: self.stage.events.clone(),
            ..Delta::default()
        }
    }

    fn complete(&mut self) -> Result<Delta, SessionError> {
        let mut vector = core::mem::take(&mut self.asked);
        for (author, n) in self.end.vector.drain(..) {
            vector.set(author, n);
        }
        let events = core::mem::take(&mut self.stage.events);
        // The sender's state is closed: it holds what it sends, and what that supersedes.
        let mentioned = self.stage.mentioned.iter().map(|(author, n)| Dot::new(author, n));
        if let Some(dot) = { mentioned }.find(|dot| !vector.covers(dot)) {
            return Err(SessionError::UnexpectedEvent(dot));
        }
        if let Some(dot) = self.end.frontier.iter().find(|dot| !vector.covers(dot)) {
            return Err(SessionError::UnexpectedEvent(*dot));
        }
        let frontier = Frontier::new(self.end.frontier.drain(..));
        let leaves = self.end.leaves.then(|| core::mem::take(&mut self.leaves));
        Ok(Delta {
            vector,
            frontier,
            events,
            leaves,
        })
    }
}

impl Stage {
    fn push(&mut self, event: Described) -> Result<(), SessionError> {
        let dot = event.dot();
        if self.seen.covers(&dot) {
            return Err(SessionError::UnexpectedEvent(dot));
        }
        if self.body.is_some() {
            return Err(SessionError::UnexpectedBody);
        }
        self.done = self.done.saturating_add(dot.n - self.seen.get(&dot.author));
        self.seen.advance(dot.author, dot.n);
        let bytes = match &event {
            Described::Live {
                key,
                body: Body::Inline(value),
                ..
            } => key.len() + value.len(),
            Described::Live {
                key,
                body: Body::Large { hash, length },
                ..
            } => {
                self.body = Some(PartialBody {
                    hash: *hash,
                    length: *length,
                    bytes: Vec::new(),
                });
                key.len()
            }
            Described::Dead { .. } => 0,
        };
        self.mentioned.advance(dot.author, dot.n);
        let (Described::Live { removes, .. } | Described::Dead { removes, .. }) = &event;
        for removed in removes {
            self.mentioned.advance(removed.author, removed.n);
        }
        let removed = size_of_val(&**removes);
        if let Some(frame) = self.events.last_mut() {
            frame.push(event);
        }
        self.charge(STAGED_EVENT_BYTES + removed + bytes)
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.charge(bytes.len())?;
        let Some(partial) = &mut self.body else {
            return Err(SessionError::UnexpectedBody);
        };
        if bytes.is_empty() || partial.bytes.len() + bytes.len() > partial.length {
            return Err(SessionError::UnexpectedBody);
        }
        partial.bytes.extend_from_slice(bytes);
        if partial.bytes.len() == partial.length {
            if ContentHash::of(&partial.bytes) != partial.hash {
                return Err(SessionError::WrongHash);
            }
            let whole = Value::from(core::mem::take(&mut partial.bytes));
            if let Some(Described::Live { body, .. }) = self.events.last_mut().and_then(|frame| frame.last_mut()) {
                *body = Body::Inline(whole);
            }
            self.body = None;
        }
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), SessionError> {
        self.bytes += bytes;
        if self.bytes > STAGE_BYTES_MAX {
            Err(SessionError::StageFull { bytes: self.bytes })
        } else {
            Ok(())
        }
    }
}
