//! What a session has received and not yet made visible.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use super::{SessionError, descent::masked, raised::Raised};
use crate::{
    causality::{Body, Print, Value, VersionVector},
    id::{AuthorId, ContentHash, Dot},
    wire::{AuthorTable, Bits, Described, Frame, Leaf, LeafWriter, Tag, bit_of, paged},
};

/// The most bytes of keys and values that one session stages. A tab's whole memory is 4 GiB; what is staged is held beside
/// what is visible.
pub const STAGE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What an event costs on the stage beyond its key and value, by estimate.
pub(super) const STAGED_EVENT_BYTES: usize = 128;

/// How many events there are of each kind, and how many dots they remove: the room that they need.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// Live events.
    pub live: usize,
    /// Dead events of which is told what they removed.
    pub dead: usize,
    /// Dots that are removed.
    pub removes: usize,
}

impl Sizes {
    /// Counts an event.
    pub fn add(&mut self, event: &Described) {
        let removes = match event {
            Described::Live { removes, .. } => {
                self.live += 1;
                removes.len()
            }
            Described::Dead { removes, .. } => {
                self.dead += 1;
                removes.len()
            }
            Described::Forgotten { .. } => 1,
        };
        self.removes += removes;
    }
}

/// The stage of one session.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// The announced vector, raised by the events received: each must be new.
    seen: Raised,
    /// Per author the highest number of any event received or removed: the sender's vector must cover it.
    pub(super) mentioned: VersionVector,
    /// What sessions that were cut have left.
    resumed: Staged,
    /// The events whose values were lost here. Each may be described again.
    lost: BTreeSet<Dot>,
    /// By frame, so that a large stage grows without moving.
    events: Vec<Vec<Described>>,
    /// Which of them are live and complete.
    live: Blocks,
    /// Of them.
    sizes: Sizes,
    bytes: usize,
    /// How many events were described in this session, and how many of them were resumed as live.
    described: u64,
    again: u64,
    /// How many events were received, those included that left nothing to describe.
    pub(super) done: u64,
    /// The large values that are awaited, by their number in the session.
    awaited: BTreeMap<u64, Awaited>,
    /// How many large values were named.
    names: u64,
}

/// Events of a session that was cut. Each is a fact about an event, whoever told it: the next session, with any peer, need not
/// bring the live ones again, unless it says that they are dead by now.
#[derive(Clone, Debug, Default)]
pub struct Staged {
    /// By frame, each shared with the sessions that resume from it.
    events: Vec<Arc<Vec<Described>>>,
    live: Blocks,
    /// Per author the highest number of any event that they supersede.
    mentioned: VersionVector,
    /// Large values of which a part is here.
    bodies: BTreeMap<ContentHash, Value>,
    bytes: usize,
}

/// A set of dots that grows.
type Blocks = BTreeMap<(AuthorId, u64), Bits>;

fn mark(blocks: &mut Blocks, dot: Dot) {
    if let Some((block, word, bit)) = bit_of(dot.n) {
        blocks.entry((dot.author, block)).or_default()[word] |= bit;
    }
}

#[derive(Clone, Debug)]
struct Awaited {
    /// Of the event: frame and place.
    frame: usize,
    at: usize,
    hash: ContentHash,
    length: usize,
    bytes: Vec<u8>,
}

impl Staged {
    /// Whether it is worth keeping.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.bodies.is_empty()
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The HAVE frames that name the live events, and those of which the values are lost.
    pub fn frames(&self, tag: Tag, lost: &BTreeSet<Dot>) -> Vec<Vec<u8>> {
        let mut authors = AuthorTable::default();
        let mut payloads = |blocks: &Blocks| {
            let mut writer = LeafWriter::default();
            for ((author, block), live) in blocks {
                let (author, block, live) = (*author, *block, *live);
                writer.push(&Leaf { author, block, live }, &mut authors);
            }
            writer.finish(&mut authors)
        };
        let mut blocks = Blocks::new();
        lost.iter().for_each(|dot| mark(&mut blocks, *dot));
        let mut all = payloads(&self.live);
        let staged = all.len();
        if !blocks.is_empty() {
            all.extend(payloads(&blocks));
        }
        let frame = |(at, (more, leaves))| {
            let lost = at >= staged;
            Frame::Have {
                tag,
                more,
                lost,
                leaves,
            }
            .encode()
        };
        paged(&all).enumerate().map(frame).collect()
    }

    fn holds(&self, dot: &Dot) -> bool {
        bit_of(dot.n).is_some_and(|(block, word, bit)| {
            let bits = self.live.get(&(dot.author, block));
            bits.is_some_and(|bits| bits[word] & bit != 0)
        })
    }

    /// Whether a vector covers all of it, so that it is of no more use.
    pub fn is_covered_by(&self, vector: &VersionVector) -> bool {
        self.bodies.is_empty()
            && self.live.iter().all(|((author, block), bits)| {
                let last = bits.iter().rposition(|word| *word != 0);
                let top = last.map_or(0, |at| 64 * at as u64 + u64::from(bits[at].ilog2()) + 1);
                block * 256 + top <= vector.get(author)
            })
    }
}

impl Stage {
    pub(super) fn new(asked: Arc<VersionVector>, resumed: Staged, lost: BTreeSet<Dot>) -> Self {
        let live = resumed.live.values().flatten().map(|word| u64::from(word.count_ones()));
        Self {
            seen: Raised::new(asked),
            mentioned: VersionVector::new(),
            done: live.sum(),
            bytes: resumed.bytes,
            described: 0,
            again: 0,
            resumed,
            lost,
            events: Vec::new(),
            live: Blocks::new(),
            sizes: Sizes::default(),
            awaited: BTreeMap::new(),
            names: 0,
        }
    }

    /// Begins a frame of events.
    pub(super) fn begin_frame(&mut self) {
        self.events.push(Vec::new());
    }

    /// Stages an event. Gives the WANT frame that it calls for.
    pub(super) fn push(&mut self, event: Described, tag: Tag) -> Result<Option<Vec<u8>>, SessionError> {
        let dot = event.dot();
        let restored = self.lost.remove(&dot) && matches!(event, Described::Live { .. });
        if !restored {
            self.describe(&event)?;
        }
        let mut bytes = STAGED_EVENT_BYTES;
        if let Described::Live { removes, .. } | Described::Dead { removes, .. } = &event {
            bytes += size_of_val(&**removes);
        }
        let mut want = None;
        if let Described::Live { key, body, .. } = &event {
            bytes += key.len();
            match body {
                Body::Here(value) => {
                    bytes += value.len();
                    mark(&mut self.live, dot);
                }
                Body::Away(print) => want = Some(self.name(**print, tag)),
            }
        }
        self.sizes.add(&event);
        if let Some(frame) = self.events.last_mut() {
            frame.push(event);
        }
        self.charge(bytes)?;
        Ok(want)
    }

    /// Takes a new event into account.
    fn describe(&mut self, event: &Described) -> Result<(), SessionError> {
        let dot = event.dot();
        if self.seen.covers(&dot) {
            return Err(SessionError::UnexpectedEvent(dot));
        }
        self.done = self.done.saturating_add(dot.n - self.seen.get(&dot.author));
        self.seen.advance(dot.author, dot.n);
        self.mentioned.advance(dot.author, dot.n);
        self.described += 1;
        self.again += u64::from(self.resumed.holds(&dot));
        if let Described::Live { removes, .. } | Described::Dead { removes, .. } = event {
            for removed in removes {
                self.mentioned.advance(removed.author, removed.n);
            }
        }
        Ok(())
    }

    /// Awaits the large value of the event that is being pushed, or the rest of it.
    fn name(&mut self, Print { hash, length }: Print, tag: Tag) -> Vec<u8> {
        let length = length as usize;
        let which = self.names;
        self.names += 1;
        let mut bytes = self
            .resumed
            .bodies
            .get(&hash)
            .map_or_else(Vec::new, |part| part.to_vec());
        // At least one byte is asked for, so that what was here is checked as a whole when it comes.
        bytes.truncate(length - 1);
        let offset = bytes.len() as u64;
        let frame = self.events.len().saturating_sub(1);
        let awaited = Awaited {
            frame,
            at: self.events.last().map_or(0, Vec::len),
            hash,
            length,
            bytes,
        };
        self.awaited.insert(which, awaited);
        Frame::Want { tag, which, offset }.encode()
    }

    /// Takes the next bytes of a large value.
    pub(super) fn body(&mut self, which: u64, bytes: &[u8]) -> Result<(), SessionError> {
        self.charge(bytes.len())?;
        let awaited = self.awaited.get_mut(&which).ok_or(SessionError::UnexpectedBody)?;
        if bytes.is_empty() {
            // It is lost there. The event stands all the same.
            self.awaited.remove(&which);
            return Ok(());
        }
        if awaited.bytes.len() + bytes.len() > awaited.length {
            return Err(SessionError::UnexpectedBody);
        }
        awaited.bytes.extend_from_slice(bytes);
        if awaited.bytes.len() < awaited.length {
            return Ok(());
        }
        if ContentHash::of(&awaited.bytes) != awaited.hash {
            return Err(SessionError::WrongHash);
        }
        let whole = Value::from(core::mem::take(&mut awaited.bytes));
        let (frame, at) = (awaited.frame, awaited.at);
        self.awaited.remove(&which);
        let event = self.events.get_mut(frame).and_then(|frame| frame.get_mut(at));
        if let Some(Described::Live { dot, body, .. }) = event {
            *body = Body::Here(whole);
            let dot = *dot;
            mark(&mut self.live, dot);
        }
        Ok(())
    }

    /// Whether large values are still awaited.
    pub(super) fn awaits(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// About how many bytes are staged.
    #[cfg(feature = "sim")]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many of the events between two vectors were described, in this session or in those that were cut.
    pub(super) fn told(&self, from: &VersionVector, to: &VersionVector) -> u64 {
        let ones = |bits: Bits| bits.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let resumed = self.resumed.live.iter().map(|((author, block), bits)| {
            let upto = |vector: &VersionVector| ones(masked(bits, *block, 256, vector.get(author)));
            upto(to).saturating_sub(upto(from))
        });
        self.described + resumed.sum::<u64>() - self.again
    }

    /// What a resumed event supersedes although a vector that covers the event does not cover it: somebody has made that up.
    pub(super) fn made_up(&self, vector: &VersionVector) -> Option<Dot> {
        if vector.dominates(&self.resumed.mentioned) {
            return None;
        }
        let events = self.resumed.events.iter().flat_map(|frame| frame.iter());
        events
            .filter(|event| vector.covers(&event.dot()))
            .find_map(|event| match event {
                Described::Live { removes, .. } => removes.iter().find(|dot| !vector.covers(dot)).copied(),
                _ => None,
            })
    }

    /// What was received beyond the announced vector.
    pub(super) fn seen(&self) -> VersionVector {
        self.seen.whole()
    }

    /// The last event received.
    pub(super) fn last(&self) -> Option<Dot> {
        self.events
            .iter()
            .rev()
            .find_map(|frame| frame.last())
            .map(Described::dot)
    }

    /// The events received so far, by frame.
    pub(super) fn events(&self) -> &[Vec<Described>] {
        &self.events
    }

    /// How many of each kind were received.
    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The events of the sessions that were cut, and those received since, by frame.
    pub(super) fn take(&mut self) -> (Vec<Arc<Vec<Described>>>, Vec<Vec<Described>>) {
        (
            core::mem::take(&mut self.resumed.events),
            core::mem::take(&mut self.events),
        )
    }

    /// What is worth keeping of a session that was cut.
    pub(super) fn keep(self) -> Staged {
        let mut kept = self.resumed;
        kept.events.extend(self.events.into_iter().map(Arc::new));
        for (place, bits) in self.live {
            let into = kept.live.entry(place).or_default();
            into.iter_mut().zip(bits).for_each(|(into, bits)| *into |= bits);
        }
        for awaited in self.awaited.into_values().filter(|awaited| !awaited.bytes.is_empty()) {
            kept.bodies.insert(awaited.hash, awaited.bytes.into());
        }
        kept.mentioned.merge(&self.mentioned);
        kept.bytes = self.bytes;
        kept
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), SessionError> {
        self.bytes += bytes;
        if self.bytes > STAGE_BYTES_MAX {
            Err(SessionError::StageFull { bytes: self.bytes })
        } else {
            Ok(())
        }
    }
}
