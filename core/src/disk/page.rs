//! Pages: the live entries of a range of keys.
//!
//! ```text
//! page = varint length and first text of the page after it, or 0 if there is none; then a stream of live events
//! ```
//!
//! A page that is missing would read as if all in it had been deleted, and others would be told so; by what the page before says, it
//! is noticed. Between the two there may be pages that were split off since.

use alloc::vec::Vec;

use super::{INLINE_BYTES_MAX, commit};
use crate::{
    causality::Key,
    id::ContentHash,
    store::Entry,
    wire::{
        Described, KEY_BYTES_MAX, LiveEvent, WireError,
        bytes::{Reader, Writer as _},
    },
};

/// About how many bytes an entry takes in its page.
pub(super) fn weight(entry: &Entry<'_>) -> usize {
    let value = match entry.body.len() {
        length if length > INLINE_BYTES_MAX => size_of::<ContentHash>(),
        length => length,
    };
    entry.key.len() + value + 16 + 24 * entry.removes.len()
}

pub(super) fn encode<'a>(next: Option<&str>, entries: impl Iterator<Item = Entry<'a>>) -> Vec<u8> {
    let (mut writer, mut out) = (commit::writer(), Vec::new());
    let next = next.unwrap_or_default();
    out.varint(next.len() as u64);
    out.put(next.as_bytes());
    for entry in entries {
        let live = LiveEvent {
            dot: entry.dot,
            key: entry.key,
            body: entry.body,
            kind: entry.kind,
            hlc: entry.hlc,
            removes: entry.removes,
        };
        writer.live(&live, false, &mut out);
    }
    out
}

/// The first text of the page after it, and the entries.
pub(super) fn decode(payload: &[u8]) -> Result<(Option<Key>, Vec<Described>), WireError> {
    let (mut from, mut entries) = (Reader::new(payload), Vec::new());
    let next = from.length("key", KEY_BYTES_MAX)?;
    let next = core::str::from_utf8(from.take(next)?).map_err(|_| WireError::NotUtf8)?;
    let take = |event| match event {
        Described::Live { .. } => {
            entries.push(event);
            Ok(())
        }
        Described::Dead { .. } | Described::Forgotten { .. } => Err(WireError::OutOfRange("dead event in a page")),
    };
    commit::reader().read(from.rest(), |_| None, take)?;
    Ok(((!next.is_empty()).then(|| Key::from(next)), entries))
}
