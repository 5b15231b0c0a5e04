//! What single keys read as while the rest of a disk is still to be read.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    DiskError, page,
    reading::{entry_of, is_here},
    record::{Key as RecordKey, unseal},
};
use crate::{
    cache::Limits,
    causality::{Absent, Frontier, Key, Value, VersionVector},
    id::Dot,
    mutation::Mutated,
    store::{BLOCK_DOTS_MAX, Shared, Store},
    wire::Described,
};

/// What the journal says, by key. With the page that a key belongs to, it tells how that key reads.
#[derive(Clone, Debug)]
pub struct Glimpse {
    added: BTreeMap<Key, Vec<Described>>,
    removed: BTreeSet<Dot>,
}

/// How a key reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Glimpsed {
    /// As this; `None` when it has no value.
    Value(Option<Value>),
    /// As a value that is a record of its own, or lost.
    Away(Absent),
}

impl Glimpse {
    pub(super) fn new<'a>(added: impl Iterator<Item = &'a Described>, removed: BTreeSet<Dot>) -> Self {
        let mut by_key: BTreeMap<Key, Vec<Described>> = BTreeMap::new();
        for event in added {
            if let Described::Live { key, .. } = event {
                by_key.entry(key.clone()).or_default().push(event.clone());
            }
        }
        Self { added: by_key, removed }
    }

    /// Where the page of a key is: the last record at or before this one, if it is a page.
    pub fn place(key: &str) -> Vec<u8> {
        RecordKey::Page(key).bytes()
    }

    /// How a key reads, given the record that was found in its place.
    ///
    /// # Errors
    /// When the record is not what was written, or its page is not there.
    pub fn read(&self, key: &str, found: Option<(&[u8], &[u8])>) -> Result<Glimpsed, DiskError> {
        let mut events = match found {
            Some((place, record)) => self.on_page(key, place, record)?,
            None => Vec::new(),
        };
        for event in self.added.get(key).into_iter().flatten() {
            match events.iter_mut().find(|other| other.dot() == event.dot()) {
                None => events.push(event.clone()),
                Some(on_page) if is_here(event) => *on_page = event.clone(),
                Some(_) => {}
            }
        }
        let mut store = Store::new(0, BLOCK_DOTS_MAX, usize::MAX, 0, Limits::NONE, Mutated::default());
        let mut shared = Shared::default();
        for event in events {
            if let Some(entry) = entry_of(event) {
                store.load(&mut shared).entry(entry, true);
            }
        }
        store
            .load(&mut shared)
            .finish(VersionVector::new(), Frontier::default(), Vec::new());
        Ok(match store.winner(key) {
            None => Glimpsed::Value(None),
            Some((dot, body)) => match Absent::of(dot, &Key::from(key), body) {
                Some(absent) => Glimpsed::Away(absent),
                None => Glimpsed::Value(body.here().cloned()),
            },
        })
    }

    /// What a page says of a key, as far as it lives.
    fn on_page(&self, key: &str, place: &[u8], record: &[u8]) -> Result<Vec<Described>, DiskError> {
        let RecordKey::Page(first) = RecordKey::parse(place)? else {
            return Ok(Vec::new());
        };
        let what = RecordKey::Page(first);
        let payload = unseal(place, record, what.what())?;
        let (next, mut events) = page::decode(payload).map_err(|error| what.damaged(error))?;
        if let Some(next) = next.filter(|next| next.as_str() <= key) {
            return Err(DiskError::PageMissing(next));
        }
        events.retain(|event| {
            matches!(event, Described::Live { key: of, .. } if *of == *key) && !self.removed.contains(&event.dot())
        });
        Ok(events)
    }
}
