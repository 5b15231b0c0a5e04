//! Where values lie that are not in memory.
//!
//! A value stands in the page of its key or, if it is large, in a record of its own. Pages are split and joined as time goes by, each
//! time in one transaction; so the last record at or before a key's place is its page at any time, and has all that is live under the
//! key and was in one before.

use alloc::vec::Vec;

use super::{
    DiskError, INLINE_BYTES_MAX, page,
    record::{Key as RecordKey, unseal},
};
use crate::{
    causality::{Absent, Body, Print, Value},
    id::Dot,
    wire::Described,
};

impl Absent {
    /// The key of the record to look for: the value is in the last one at or before it.
    pub fn place(&self) -> Vec<u8> {
        if self.is_large() {
            RecordKey::Body(self.dot).bytes()
        } else {
            RecordKey::Page(&self.key).bytes()
        }
    }

    /// The value, if it is in the record that was found in its place, and is what it must be.
    ///
    /// # Errors
    /// When the record is not what was written.
    pub fn read(&self, (place, record): (&[u8], &[u8])) -> Result<Option<Value>, DiskError> {
        let mut values = values(place, record)?.into_iter();
        let value = values.find_map(|(dot, value)| (dot == self.dot).then_some(value));
        Ok(value.and_then(|value| self.checked(value)))
    }

    /// A value that was found, if it is what it must be.
    pub fn checked(&self, value: Value) -> Option<Value> {
        (Print::of(&value) == self.print).then_some(value)
    }

    fn is_large(&self) -> bool {
        self.print.length as usize > INLINE_BYTES_MAX
    }
}

/// The values in a record: those that stand in a page, or the one that it is; none in any other.
///
/// # Errors
/// When the record is not what was written.
pub fn values(place: &[u8], record: &[u8]) -> Result<Vec<(Dot, Value)>, DiskError> {
    let key = RecordKey::parse(place)?;
    let payload = unseal(place, record, key.what())?;
    match key {
        RecordKey::Page(_) => {
            let (_, events) = page::decode(payload).map_err(|error| key.damaged(error))?;
            Ok(events.into_iter().filter_map(value).collect())
        }
        RecordKey::Body(dot) => Ok(Vec::from([(dot, Value::from(payload))])),
        _ => Ok(Vec::new()),
    }
}

fn value(event: Described) -> Option<(Dot, Value)> {
    match event {
        Described::Live {
            dot,
            body: Body::Here(value),
            ..
        } => Some((dot, value)),
        _ => None,
    }
}
