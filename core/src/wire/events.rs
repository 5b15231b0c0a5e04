//! The stream of events inside a session or a gossiped transaction.
//!
//! A stream describes events in runs: a run begins with its author and continues with rising numbers; numbers that are
//! skipped belong to events that are dead and of which no record is left. Each event begins with one varint
//!
//! ```text
//! header = gap << 4 | removes << 2 | kind
//!   kind     0 live, its key spelled   1 live, its key that of the first removed dot, which the receiver holds   2 dead
//!   gap      numbers skipped since the previous event of the run
//!   removes  how many dots the event superseded; 3 = a varint with the count follows
//! or a mark = what << 2 | 3
//!   what     0 a run begins: author, varint number before the run's first   1 the value of the next event is given by its hash
//!            3 what the next event, a dead one, removed is forgotten
//! removes: per dot: author, then signed its number less that of the previous removed dot, if that has the same author, else of
//!          the event, if that has the same author, else 0
//! live:    stamp, [key], varint length of the value, the value or (by hash) 32 bytes of hash
//! stamp:   varint zigzag(milliseconds less those of the previous live event) << 1 | c; c = 0: the counter is that of the previous
//!          event and one if the milliseconds are the same, else 0; c = 1: a varint with the counter follows
//! key:     varint bytes shared with the previous spelled key, varint length of the rest, the rest
//! ```
//!
//! so that a new key costs about six bytes beyond itself and its value, an overwrite seven beyond its value, a delete five. What
//! "previous" refers to lives as long as the stream, across frames.

use alloc::{string::String, sync::Arc, vec::Vec};

use super::{
    AuthorTable, DOT_NUMBER_MAX, INLINE_VALUE_BYTES_MAX, KEY_BYTES_MAX, REMOVES_MAX, VALUE_BYTES_MAX, WireError,
    bytes::{Reader, Writer, unzigzag, zigzag},
    checked_dot,
};
use crate::{
    causality::{Dots, Value},
    id::{AuthorId, ContentHash, Dot},
    time::Hlc,
};

/// A live event to be written.
#[derive(Clone, Debug)]
pub struct LiveEvent<'a> {
    /// Its name.
    pub dot: Dot,
    /// Its key.
    pub key: &'a str,
    /// Its value.
    pub value: &'a Value,
    /// When it was written.
    pub hlc: Hlc,
    /// What it superseded.
    pub removes: Dots,
}

/// An event as a stream describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Described {
    /// Its value stands.
    Live {
        /// Its name.
        dot: Dot,
        /// Its key.
        key: Arc<str>,
        /// Its value, or where to expect it.
        body: Body,
        /// When it was written.
        hlc: Hlc,
        /// What it superseded.
        removes: Dots,
    },
    /// It was a delete, or its value was superseded.
    Dead {
        /// Its name.
        dot: Dot,
        /// What it superseded.
        removes: Dots,
    },
    /// It is dead, and what it superseded is not remembered. Said only of events that the receiver takes for live.
    Forgotten {
        /// Its name.
        dot: Dot,
    },
}

/// The value of a described event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Here it is.
    Inline(Value),
    /// It follows in frames of its own.
    Large {
        /// What it must hash to.
        hash: ContentHash,
        /// Its length in bytes.
        length: usize,
    },
}

impl Described {
    /// The event's name.
    pub fn dot(&self) -> Dot {
        match self {
            Self::Live { dot, .. } | Self::Dead { dot, .. } | Self::Forgotten { dot } => *dot,
        }
    }
}

mod kind {
    pub(super) const SPELLED: u64 = 0;
    pub(super) const KNOWN: u64 = 1;
    pub(super) const DEAD: u64 = 2;
    pub(super) const MARK: u64 = 3;
}

mod mark {
    pub(super) const RUN: u64 = 0;
    pub(super) const BY_HASH: u64 = 1;
    pub(super) const FORGOTTEN: u64 = 3;
}

/// The number of removed dots that stands for "a count follows".
const REMOVES_COUNTED: u64 = 3;

/// What both ends of a stream remember.
#[derive(Clone, Debug, Default)]
struct Previous {
    event: Option<Dot>,
    key: String,
    hlc: Hlc,
    removed: Option<Dot>,
}

impl Previous {
    fn new(hlc: Hlc) -> Self {
        Self { hlc, ..Self::default() }
    }

    fn restart(&mut self, hlc: Hlc) {
        self.key.clear();
        (self.event, self.hlc, self.removed) = (None, hlc, None);
    }

    /// What the number of a removed dot is written relative to.
    fn base(&self, event: Dot, removed: AuthorId) -> u64 {
        match self.removed {
            Some(previous) if previous.author == removed => previous.n,
            _ if event.author == removed => event.n,
            _ => 0,
        }
    }

    /// The stamp that takes the fewest bytes at `millis`.
    fn expected_counter(&self, millis: u64) -> u64 {
        let same = self.hlc.timestamp().0 == millis;
        if same { (self.hlc.0 + 1) & COUNTER_MASK } else { 0 }
    }
}

/// The bits of a stamp that count within a millisecond.
const COUNTER_MASK: u64 = 0xffff;

/// Writes the events of one stream.
#[derive(Clone, Debug, Default)]
pub struct EventWriter {
    authors: AuthorTable,
    previous: Previous,
}

impl EventWriter {
    /// Begins a stream; stamps are written relative to `hlc`.
    pub fn new(authors: AuthorTable, hlc: Hlc) -> Self {
        Self {
            authors,
            previous: Previous::new(hlc),
        }
    }

    /// Begins another stream, with an empty table.
    pub fn restart(&mut self, hlc: Hlc) {
        self.authors.clear();
        self.previous.restart(hlc);
    }

    /// The table, which other frames of the session share.
    pub fn authors(&mut self) -> &mut AuthorTable {
        &mut self.authors
    }

    /// Appends a live event; its key is left out if the receiver holds the first dot that the event removes. Returns whether its value
    /// has to follow in frames of its own.
    pub fn live(&mut self, event: &LiveEvent<'_>, key_known: bool, out: &mut Vec<u8>) -> bool {
        let large = event.value.len() > INLINE_VALUE_BYTES_MAX;
        let known = key_known && !event.removes.is_empty();
        let gap = self.place(event.dot, out);
        if large {
            out.varint(mark::BY_HASH << 2 | kind::MARK);
        }
        let kind = if known { kind::KNOWN } else { kind::SPELLED };
        self.head(event.dot, gap, &event.removes, kind, out);
        self.stamp(event.hlc, out);
        if !known {
            self.key(event.key, out);
        }
        out.varint(event.value.len() as u64);
        if large {
            out.put(&ContentHash::of(event.value).0);
        } else {
            out.put(event.value);
        }
        large
    }

    /// Appends a dead event.
    pub fn dead(&mut self, dot: Dot, removes: &[Dot], out: &mut Vec<u8>) {
        let gap = self.place(dot, out);
        self.head(dot, gap, removes, kind::DEAD, out);
    }

    /// Appends a dead event of which nothing else is known.
    pub fn forgotten(&mut self, dot: Dot, out: &mut Vec<u8>) {
        let gap = self.place(dot, out);
        out.varint(mark::FORGOTTEN << 2 | kind::MARK);
        self.head(dot, gap, &[], kind::DEAD, out);
    }

    /// Begins a run if need be. Gives how many numbers are skipped.
    fn place(&mut self, dot: Dot, out: &mut Vec<u8>) -> u64 {
        let before = match self.previous.event {
            Some(previous) if previous.author == dot.author && previous.n < dot.n => previous.n,
            _ => {
                out.varint(mark::RUN << 2 | kind::MARK);
                self.authors.write(dot.author, out);
                out.varint(dot.n - 1);
                dot.n - 1
            }
        };
        self.previous.event = Some(dot);
        dot.n - before - 1
    }

    fn head(&mut self, dot: Dot, gap: u64, removes: &[Dot], kind: u64, out: &mut Vec<u8>) {
        let count = removes.len() as u64;
        out.varint(gap << 4 | count.min(REMOVES_COUNTED) << 2 | kind);
        if count >= REMOVES_COUNTED {
            out.varint(count);
        }
        for removed in removes {
            self.authors.write(removed.author, out);
            let base = self.previous.base(dot, removed.author);
            out.signed(removed.n.wrapping_sub(base) as i64);
            self.previous.removed = Some(*removed);
        }
    }

    fn stamp(&mut self, hlc: Hlc, out: &mut Vec<u8>) {
        let millis = hlc.timestamp().0;
        let counter = hlc.0 & COUNTER_MASK;
        let spelled = counter != self.previous.expected_counter(millis);
        // 48 bits less 48 bits: the difference fits with room for the flag.
        let difference = zigzag(millis.wrapping_sub(self.previous.hlc.timestamp().0) as i64);
        out.varint(difference << 1 | u64::from(spelled));
        if spelled {
            out.varint(counter);
        }
        self.previous.hlc = hlc;
    }

    fn key(&mut self, key: &str, out: &mut Vec<u8>) {
        let previous = self.previous.key.as_bytes();
        let shared = key.bytes().zip(previous).take_while(|(a, b)| a == *b).count();
        // Split at a character, so that the remembered key stays text.
        let shared = (0..=shared).rev().find(|at| key.is_char_boundary(*at)).unwrap_or(0);
        let rest = &key[shared..];
        out.varint(shared as u64);
        out.varint(rest.len() as u64);
        out.put(rest.as_bytes());
        self.previous.key.truncate(shared);
        self.previous.key.push_str(rest);
    }
}

/// Reads the events of one stream.
#[derive(Clone, Debug)]
pub struct EventReader {
    authors: AuthorTable,
    previous: Previous,
}

impl EventReader {
    /// Begins a stream with what the writer began with.
    pub fn new(authors: AuthorTable, hlc: Hlc) -> Self {
        Self {
            authors,
            previous: Previous::new(hlc),
        }
    }

    /// The table, which other frames of the session share.
    pub fn authors(&mut self) -> &mut AuthorTable {
        &mut self.authors
    }

    /// Reads the events in one frame's worth of the stream, handing each to `take`. `key_of` gives the key of a live dot.
    ///
    /// # Errors
    /// When the bytes are malformed, a key is unknown, or what `take` returns. The stream cannot be continued then.
    pub fn read<E: From<WireError>>(
        &mut self,
        bytes: &[u8],
        key_of: impl Fn(&Dot) -> Option<Arc<str>>,
        mut take: impl FnMut(Described) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = Reader::new(bytes);
        while !from.is_empty() {
            if let Some(event) = self.event(&mut from, &key_of)? {
                take(event)?;
            }
        }
        Ok(())
    }

    /// One event; `None` where a run begins.
    fn event(
        &mut self,
        from: &mut Reader<'_>,
        key_of: &impl Fn(&Dot) -> Option<Arc<str>>,
    ) -> Result<Option<Described>, WireError> {
        let mut header = from.varint()?;
        let mut by_hash = false;
        let mut forgotten = false;
        if header & 3 == kind::MARK {
            match header >> 2 {
                mark::RUN => {
                    self.begin_run(from)?;
                    return Ok(None);
                }
                mark::BY_HASH => by_hash = true,
                mark::FORGOTTEN => forgotten = true,
                _ => return Err(WireError::OutOfRange("mark")),
            }
            header = from.varint()?;
        }
        let (kind, count, gap) = (header & 3, header >> 2 & 3, header >> 4);
        let dead = kind == kind::DEAD;
        if kind == kind::MARK || by_hash && dead || forgotten && (!dead || count > 0) {
            return Err(WireError::OutOfRange("mark"));
        }
        let previous = self
            .previous
            .event
            .ok_or(WireError::OutOfRange("event before any run"))?;
        let dot = checked_dot(previous.author, previous.n.saturating_add(gap).saturating_add(1))?;
        self.previous.event = Some(dot);
        let removes = self.removes(dot, count, from)?;
        if forgotten {
            return Ok(Some(Described::Forgotten { dot }));
        }
        if dead {
            return Ok(Some(Described::Dead { dot, removes }));
        }
        let hlc = self.stamp(from)?;
        let key = if kind == kind::KNOWN {
            let known = removes.first().ok_or(WireError::OutOfRange("key of a removed dot"))?;
            key_of(known).ok_or(WireError::UnknownKey(*known))?
        } else {
            self.key(from)?
        };
        let body = if by_hash {
            let length = from.length("value", VALUE_BYTES_MAX)?;
            if length <= INLINE_VALUE_BYTES_MAX {
                return Err(WireError::OutOfRange("length of a value by hash"));
            }
            Body::Large {
                hash: ContentHash(from.array()?),
                length,
            }
        } else {
            let length = from.length("inline value", INLINE_VALUE_BYTES_MAX)?;
            Body::Inline(Value::from(from.take(length)?))
        };
        Ok(Some(Described::Live {
            dot,
            key,
            body,
            hlc,
            removes,
        }))
    }

    fn begin_run(&mut self, from: &mut Reader<'_>) -> Result<(), WireError> {
        let author = self.authors.read(from)?;
        let before = from.varint()?;
        if before >= DOT_NUMBER_MAX {
            return Err(WireError::OutOfRange("start of a run"));
        }
        self.previous.event = Some(Dot::new(author, before));
        Ok(())
    }

    fn removes(&mut self, dot: Dot, count: u64, from: &mut Reader<'_>) -> Result<Dots, WireError> {
        let count = match count {
            REMOVES_COUNTED => from.length("removed dots", REMOVES_MAX)?,
            few => few as usize,
        };
        // Collected one by one: each dot takes two bytes at least, so the frame's end bounds them.
        let removed = (0..count).map(|_| {
            let author = self.authors.read(from)?;
            let difference = from.signed()? as u64;
            let removed = checked_dot(author, self.previous.base(dot, author).wrapping_add(difference))?;
            // An event supersedes what came before it.
            if removed.author == dot.author && removed.n >= dot.n {
                return Err(WireError::OutOfRange("removed dot"));
            }
            self.previous.removed = Some(removed);
            Ok(removed)
        });
        removed.collect()
    }

    fn stamp(&mut self, from: &mut Reader<'_>) -> Result<Hlc, WireError> {
        let first = from.varint()?;
        let difference = unzigzag(first >> 1) as u64;
        let millis = self.previous.hlc.timestamp().0.wrapping_add(difference);
        let counter = match first & 1 {
            0 => self.previous.expected_counter(millis),
            _ => from.varint()?,
        };
        if millis >> 48 != 0 || counter > COUNTER_MASK {
            return Err(WireError::OutOfRange("stamp"));
        }
        self.previous.hlc = Hlc(millis << 16 | counter);
        Ok(self.previous.hlc)
    }

    fn key(&mut self, from: &mut Reader<'_>) -> Result<Arc<str>, WireError> {
        let shared = from.length("shared part of a key", self.previous.key.len())?;
        if !self.previous.key.is_char_boundary(shared) {
            return Err(WireError::NotUtf8);
        }
        let rest = from.length("key", KEY_BYTES_MAX - shared.min(KEY_BYTES_MAX))?;
        let rest = core::str::from_utf8(from.take(rest)?).map_err(|_| WireError::NotUtf8)?;
        self.previous.key.truncate(shared);
        self.previous.key.push_str(rest);
        if self.previous.key.is_empty() {
            return Err(WireError::OutOfRange("length of a key"));
        }
        Ok(Arc::from(self.previous.key.as_str()))
    }
}

/// The number of an author within a table, for frames other than events.
pub(super) fn write_dot(authors: &mut AuthorTable, dot: Dot, out: &mut Vec<u8>) {
    authors.write(dot.author, out);
    out.varint(dot.n);
}

/// Reads what [`write_dot`] wrote.
pub(super) fn read_dot(authors: &mut AuthorTable, from: &mut Reader<'_>) -> Result<Dot, WireError> {
    let author: AuthorId = authors.read(from)?;
    checked_dot(author, from.varint()?)
}
