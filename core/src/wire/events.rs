//! The stream of events inside a session or a gossiped transaction.
//!
//! A stream describes events in runs: a run begins with its author and continues with rising numbers; numbers that are
//! skipped belong to events that are dead and of which no record is left. Each event begins with one varint
//!
//! ```text
//! header = gap << 5 | steady << 4 | removes << 2 | kind
//!   kind     0 live, its key spelled   1 live, its key that of the first removed dot, which the receiver holds   2 dead
//!   removes  how many dots the event superseded; 3 = a varint with the count follows
//!   steady   1 = the stamp has the form of the previous live event's and is left out
//!   gap      numbers skipped since the previous event of the run
//! or a mark = what << 2 | 3
//!   what     0 a run begins: author, varint number before the run's first   1 the value of the next event is given by its hash
//!            2 the value of the next event is a counter's
//!            3 what the next event, a dead one, removed is forgotten
//! removes: per dot: varint zigzag(its number less the base) << 1 | other. other = 0: of the author of the previous removed dot, whose
//!          number is the base (before any: the event's author and number); 1: the author follows, and the base is the event's number if
//!          that has the same author, else 0
//! live:    [stamp], [key], varint length of the value, the value or (by hash) 32 bytes of hash
//! stamp:   in the millisecond of the previous live event: varint (counter less its, modulo 65,536) << 1
//!          else: varint (zigzag(milliseconds less its) - 1) << 2 | c << 1 | 1; the counter is 0 or, with c = 1, follows as a varint
//! key:     varint bytes shared with the previous spelled key, varint length of the rest, the rest
//! ```
//!
//! so that a new key costs about five bytes beyond itself and its value, an overwrite four beyond its value, a delete three. What
//! "previous" refers to lives as long as the stream, across frames; before the first live event, the form of the stamp is 0.

use alloc::{string::String, vec::Vec};

use super::{
    AuthorTable, DOT_NUMBER_MAX, INLINE_VALUE_BYTES_MAX, KEY_BYTES_MAX, REMOVES_MAX, VALUE_BYTES_MAX, WireError,
    bytes::{Reader, Writer, unzigzag, zigzag},
    checked_dot,
};
use crate::{
    causality::{Body, Dots, Key, Kind, Tip, Value, counter},
    id::{AuthorId, ContentHash, Dot, TxnHash},
    time::Hlc,
};

/// A live event to be written.
#[derive(Clone, Debug)]
pub struct LiveEvent<'a> {
    /// Its name.
    pub dot: Dot,
    /// Its key.
    pub key: &'a str,
    /// Its value, or what it must be.
    pub body: &'a Body,
    /// What it is to its siblings.
    pub kind: Kind,
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
        key: Key,
        /// Its value, or what it must be: that which follows in frames of its own.
        body: Body,
        /// What it is to its siblings.
        kind: Kind,
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
    pub(super) const COUNTER: u64 = 2;
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
    /// How the stamp of the last live event was written.
    form: StampForm,
    removed: Option<Dot>,
}

impl Previous {
    fn new(hlc: Hlc) -> Self {
        Self { hlc, ..Self::default() }
    }

    fn restart(&mut self, hlc: Hlc) {
        let mut key = core::mem::take(&mut self.key);
        key.clear();
        *self = Self { key, ..Self::new(hlc) };
    }
}

/// A stamp relative to the one before it, without the counter that may follow. At first, that of an equal stamp.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct StampForm(u64);

impl StampForm {
    /// The form of a stamp that follows `previous`.
    fn of(hlc: Hlc, previous: Hlc) -> Self {
        // 48 bits less 48 bits: the difference fits with room for the flags.
        let difference = zigzag((hlc.0 >> 16).wrapping_sub(previous.0 >> 16) as i64);
        Self(match difference.checked_sub(1) {
            None => (hlc.0.wrapping_sub(previous.0) & COUNTER_MASK) << 1,
            Some(difference) => difference << 2 | u64::from(hlc.0 & COUNTER_MASK != 0) << 1 | 1,
        })
    }

    /// Whether the counter follows.
    fn is_counted(self) -> bool {
        self.0 & 3 == 3
    }

    /// The stamp; `counter` is what follows, or 0.
    fn stamp(self, previous: Hlc, counter: u64) -> Option<Hlc> {
        let (millis, before) = (previous.0 >> 16, previous.0 & COUNTER_MASK);
        let (millis, counter) = if self.0 & 1 == 0 {
            let more = Some(self.0 >> 1).filter(|more| *more <= COUNTER_MASK)?;
            (millis, (before + more) & COUNTER_MASK)
        } else {
            (millis.wrapping_add(unzigzag((self.0 >> 2) + 1) as u64), counter)
        };
        (millis >> 48 == 0 && counter <= COUNTER_MASK).then_some(Hlc(millis << 16 | counter))
    }
}

/// The bits of a stamp that count within a millisecond.
const COUNTER_MASK: u64 = 0xffff;

/// Writes the events of one stream.
#[derive(Clone, Debug)]
pub struct EventWriter {
    authors: AuthorTable,
    previous: Previous,
    inline_max: usize,
}

impl Default for EventWriter {
    fn default() -> Self {
        Self::new(AuthorTable::default(), Hlc::default())
    }
}

impl EventWriter {
    /// Begins a stream; stamps are written relative to `hlc`.
    pub fn new(authors: AuthorTable, hlc: Hlc) -> Self {
        Self {
            authors,
            previous: Previous::new(hlc),
            inline_max: INLINE_VALUE_BYTES_MAX,
        }
    }

    /// With another bound for values that stand in their events.
    pub fn with_inline_max(self, inline_max: usize) -> Self {
        Self { inline_max, ..self }
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
        let inline = event.body.here().filter(|value| value.len() <= self.inline_max);
        let large = inline.is_none();
        let known = key_known && !event.removes.is_empty();
        let gap = self.place(event.dot, out);
        if large {
            out.varint(mark::BY_HASH << 2 | kind::MARK);
        } else if event.kind == Kind::Counter {
            out.varint(mark::COUNTER << 2 | kind::MARK);
        }
        let kind = if known { kind::KNOWN } else { kind::SPELLED };
        let form = StampForm::of(event.hlc, self.previous.hlc);
        let steady = form == self.previous.form && !form.is_counted();
        self.head(event.dot, gap, steady, &event.removes, kind, out);
        if !steady {
            out.varint(form.0);
            if form.is_counted() {
                out.varint(event.hlc.0 & COUNTER_MASK);
            }
        }
        (self.previous.form, self.previous.hlc) = (form, event.hlc);
        if !known {
            self.key(event.key, out);
        }
        out.varint(event.body.len() as u64);
        match inline {
            Some(value) => out.put(value),
            None => out.put(&event.body.print().hash.0),
        }
        large
    }

    /// Appends a dead event.
    pub fn dead(&mut self, dot: Dot, removes: &[Dot], out: &mut Vec<u8>) {
        let gap = self.place(dot, out);
        self.head(dot, gap, false, removes, kind::DEAD, out);
    }

    /// Appends a dead event of which nothing else is known.
    pub fn forgotten(&mut self, dot: Dot, out: &mut Vec<u8>) {
        let gap = self.place(dot, out);
        out.varint(mark::FORGOTTEN << 2 | kind::MARK);
        self.head(dot, gap, false, &[], kind::DEAD, out);
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

    fn head(&mut self, dot: Dot, gap: u64, steady: bool, removes: &[Dot], kind: u64, out: &mut Vec<u8>) {
        let count = removes.len() as u64;
        out.varint(gap << 5 | u64::from(steady) << 4 | count.min(REMOVES_COUNTED) << 2 | kind);
        if count >= REMOVES_COUNTED {
            out.varint(count);
        }
        for removed in removes {
            let previous = self.previous.removed.unwrap_or(dot);
            let other = removed.author != previous.author;
            let base = match other {
                false => previous.n,
                true if removed.author == dot.author => dot.n,
                true => 0,
            };
            let difference = zigzag(removed.n.wrapping_sub(base) as i64);
            out.varint(difference << 1 | u64::from(other));
            if other {
                self.authors.write(removed.author, out);
            }
            self.previous.removed = Some(*removed);
        }
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
    inline_max: usize,
}

impl EventReader {
    /// Begins a stream with what the writer began with.
    pub fn new(authors: AuthorTable, hlc: Hlc) -> Self {
        Self {
            authors,
            previous: Previous::new(hlc),
            inline_max: INLINE_VALUE_BYTES_MAX,
        }
    }

    /// With another bound for values that stand in their events.
    pub fn with_inline_max(self, inline_max: usize) -> Self {
        Self { inline_max, ..self }
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
        key_of: impl Fn(&Dot) -> Option<Key>,
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
        key_of: &impl Fn(&Dot) -> Option<Key>,
    ) -> Result<Option<Described>, WireError> {
        let mut header = from.varint()?;
        let (mut by_hash, mut counter, mut forgotten) = (false, false, false);
        if header & 3 == kind::MARK {
            match header >> 2 {
                mark::RUN => {
                    self.begin_run(from)?;
                    return Ok(None);
                }
                mark::BY_HASH => by_hash = true,
                mark::COUNTER => counter = true,
                mark::FORGOTTEN => forgotten = true,
                _ => return Err(WireError::OutOfRange("mark")),
            }
            header = from.varint()?;
        }
        let (kind, count, steady, gap) = (header & 3, header >> 2 & 3, header >> 4 & 1 == 1, header >> 5);
        let dead = kind == kind::DEAD;
        if kind == kind::MARK || dead && (by_hash || counter || steady) || forgotten && (!dead || count > 0) {
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
        let hlc = self.stamp(steady, from)?;
        let key = if kind == kind::KNOWN {
            let known = removes.first().ok_or(WireError::OutOfRange("key of a removed dot"))?;
            key_of(known).ok_or(WireError::UnknownKey(*known))?
        } else {
            self.key(from)?
        };
        let body = if by_hash {
            let length = from.length("value", VALUE_BYTES_MAX)?;
            if length == 0 {
                return Err(WireError::OutOfRange("length of a value by hash"));
            }
            Body::away(ContentHash(from.array()?), length as u32)
        } else {
            let length = from.length("inline value", self.inline_max)?;
            Body::Here(Value::from(from.take(length)?))
        };
        let kind = match &body {
            Body::Here(value) if counter && counter::decode(value).is_none() => {
                return Err(WireError::CounterNotInteger(dot));
            }
            _ if counter => Kind::Counter,
            _ => Kind::Value,
        };
        Ok(Some(Described::Live {
            dot,
            key,
            body,
            kind,
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
        // Collected one by one: each dot takes a byte at least, so the frame's end bounds them.
        let removed = (0..count).map(|_| {
            let first = from.varint()?;
            let previous = self.previous.removed.unwrap_or(dot);
            let (author, base) = if first & 1 == 0 {
                (previous.author, previous.n)
            } else {
                let author = self.authors.read(from)?;
                (author, if author == dot.author { dot.n } else { 0 })
            };
            let removed = checked_dot(author, base.wrapping_add(unzigzag(first >> 1) as u64))?;
            // An event supersedes what came before it.
            if removed.author == dot.author && removed.n >= dot.n {
                return Err(WireError::OutOfRange("removed dot"));
            }
            self.previous.removed = Some(removed);
            Ok(removed)
        });
        removed.collect()
    }

    fn stamp(&mut self, steady: bool, from: &mut Reader<'_>) -> Result<Hlc, WireError> {
        let form = if steady {
            self.previous.form
        } else {
            StampForm(from.varint()?)
        };
        let counter = match form.is_counted() {
            true if steady => return Err(WireError::OutOfRange("steady stamp")),
            true => from.varint()?,
            false => 0,
        };
        let hlc = form
            .stamp(self.previous.hlc, counter)
            .ok_or(WireError::OutOfRange("stamp"))?;
        (self.previous.form, self.previous.hlc) = (form, hlc);
        Ok(hlc)
    }

    fn key(&mut self, from: &mut Reader<'_>) -> Result<Key, WireError> {
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
        Ok(Key::from(self.previous.key.as_str()))
    }
}

/// The number of an author within a table, for frames other than events.
pub(super) fn write_dot(authors: &mut AuthorTable, dot: Dot, out: &mut Vec<u8>) {
    authors.write(dot.author, out);
    out.varint(dot.n);
}

/// Appends a tip.
pub(super) fn write_tip(authors: &mut AuthorTable, tip: Tip, out: &mut Vec<u8>) {
    write_dot(authors, tip.dot, out);
    out.put(&tip.hash.0);
}

/// Reads what [`write_tip`] wrote.
pub(super) fn read_tip(authors: &mut AuthorTable, from: &mut Reader<'_>) -> Result<Tip, WireError> {
    Ok(Tip {
        dot: read_dot(authors, from)?,
        hash: TxnHash(from.array()?),
    })
}

/// Reads what [`write_dot`] wrote.
pub(super) fn read_dot(authors: &mut AuthorTable, from: &mut Reader<'_>) -> Result<Dot, WireError> {
    let author: AuthorId = authors.read(from)?;
    checked_dot(author, from.varint()?)
}
