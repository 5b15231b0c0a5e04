//! Who is present, as members tell each other.
//!
//! ```text
//! presence = id (8), home (8), varint clock, varint age in ms, then 0 if it is over, else varint 1 + length, bytes
//! ```

use alloc::vec::Vec;

use super::{
    WireError,
    bytes::{Reader, Writer},
};
use crate::{
    causality::Value,
    id::{Home, PresenceId},
};

/// The longest value of a presence, in bytes: a name, a colour, a cursor, a selection.
pub const PRESENCE_BYTES_MAX: usize = 4 * 1024;

/// The most bytes that one takes: ids, two numbers, a length, the value.
const WRITTEN_BYTES_MAX: usize = 2 * size_of::<u64>() + 3 * 10 + PRESENCE_BYTES_MAX;

/// What one tab says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// Which tab.
    pub id: PresenceId,
    /// The replica that it is with.
    pub home: Home,
    /// Of two of one id, that with the greater clock is the newer.
    pub clock: u64,
    /// How long ago the home has said so, in milliseconds.
    pub age: u64,
    /// What is said; none when the tab is not present any more.
    pub value: Option<Value>,
}

impl Presence {
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            id: PresenceId(from.array().map(u64::from_le_bytes)?),
            home: Home(from.array().map(u64::from_le_bytes)?),
            clock: from.varint()?,
            age: from.varint()?,
            value: match from.length("presence", 1 + PRESENCE_BYTES_MAX)? {
                0 => None,
                length => Some(Value::from(from.take(length - 1)?)),
            },
        })
    }

    /// Appends it to a payload.
    fn write(&self, out: &mut Vec<u8>) {
        out.put(&self.id.0.to_le_bytes());
        out.put(&self.home.0.to_le_bytes());
        out.varint(self.clock);
        out.varint(self.age);
        match &self.value {
            None => out.varint(0),
            Some(value) => {
                out.varint(1 + value.len() as u64);
                out.put(value);
            }
        }
    }
}

/// Reads all that a payload holds.
pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Presence>, WireError> {
    let (mut from, mut presences) = (Reader::new(bytes), Vec::new());
    while !from.is_empty() {
        presences.push(Presence::read(&mut from)?);
    }
    Ok(presences)
}

/// As few payloads of up to `bytes_max` bytes as hold them all; one that is longer by itself has its own.
pub(super) fn payloads(presences: impl IntoIterator<Item = Presence>, bytes_max: usize) -> Vec<Vec<u8>> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for presence in presences {
        match payloads.last_mut() {
            Some(last) if last.len() + WRITTEN_BYTES_MAX <= bytes_max => presence.write(last),
            _ => {
                let mut next = Vec::new();
                presence.write(&mut next);
                payloads.push(next);
            }
        }
    }
    payloads
}
