//! Records: their keys, and the sum that each ends with.

use alloc::{collections::BTreeMap, vec::Vec};

use super::DiskError;
use crate::{
    id::{AuthorId, Dot},
    wire::WireError,
};

/// What a storage carries out whole or not at all, and reports when it survives a crash.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transaction {
    /// What stands under each key afterwards, in place of what may be there: a record or, with `None`, none.
    pub changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The key under which nothing may stand before. Where something does, another process keeps the replica now, and nothing of the
    /// transaction is carried out.
    pub guard: Option<Vec<u8>>,
}

impl Transaction {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Makes the next one part of it, under the guard of this one: it was made to follow.
    pub fn join(&mut self, next: Self) {
        self.changes.extend(next.changes);
    }

    /// How many bytes it writes.
    pub fn bytes(&self) -> usize {
        let bytes = |(key, record): (&Vec<u8>, &Option<Vec<u8>>)| key.len() + record.as_ref().map_or(0, Vec::len);
        self.changes.iter().map(bytes).sum()
    }

    /// Carries it out on a map of records. Returns whether its guard lets it.
    pub fn carry_out(self, records: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> bool {
        if self.guard.is_some_and(|guard| records.contains_key(&guard)) {
            return false;
        }
        for (key, change) in self.changes {
            match change {
                Some(record) => records.insert(key, record),
                None => records.remove(&key),
            };
        }
        true
    }

    pub(super) fn put(&mut self, key: Key<'_>, payload: Vec<u8>) {
        self.put_sealed(key, key.seal(payload));
    }

    pub(super) fn put_sealed(&mut self, key: Key<'_>, record: Vec<u8>) {
        self.changes.insert(key.bytes(), Some(record));
    }

    pub(super) fn delete(&mut self, key: Key<'_>) {
        self.changes.insert(key.bytes(), None);
    }
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key<'a> {
    State,
    Membership,
    Commit(u64),
    Ring(u64),
    Page(&'a str),
    Body(Dot),
}

impl<'a> Key<'a> {
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::from([self.kind()]);
        match self {
            Key::State => {}
            Key::Membership => bytes.push(0),
            Key::Commit(number) | Key::Ring(number) => bytes.extend(number.to_be_bytes()),
            Key::Page(first) => bytes.extend(first.as_bytes()),
            Key::Body(dot) => {
                bytes.extend(dot.author.0);
                bytes.extend(dot.n.to_be_bytes());
            }
        }
        bytes
    }

    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, DiskError> {
        let (kind, rest) = bytes.split_first().ok_or(DiskError::Key)?;
        let number = || <[u8; 8]>::try_from(rest).map(u64::from_be_bytes);
        let key = match kind {
            0 if rest.is_empty() => Some(Key::State),
            0 if *rest == [0] => Some(Key::Membership),
            1 => number().ok().map(Key::Commit),
            2 => number().ok().map(Key::Ring),
            3 => core::str::from_utf8(rest).ok().map(Key::Page),
            4 => rest.split_first_chunk().and_then(|(author, n)| {
                let n = u64::from_be_bytes(n.try_into().ok()?);
                Some(Key::Body(Dot::new(AuthorId(*author), n)))
            }),
            _ => None,
        };
        key.ok_or(DiskError::Key)
    }

    /// The record that has a payload under this key.
    pub(super) fn seal(self, payload: Vec<u8>) -> Vec<u8> {
        seal(&self.bytes(), payload)
    }

    fn kind(self) -> u8 {
        match self {
            Key::State | Key::Membership => 0,
            Key::Commit(_) => 1,
            Key::Ring(_) => 2,
            Key::Page(_) => 3,
            Key::Body(_) => 4,
        }
    }

    pub(super) fn what(self) -> &'static str {
        match self {
            Key::State => "state",
            Key::Membership => "membership",
            Key::Commit(_) => "commit",
            Key::Ring(_) => "ring",
            Key::Page(_) => "page",
            Key::Body(_) => "body",
        }
    }

    pub(super) fn damaged(self, error: WireError) -> DiskError {
        DiskError::Damaged {
            what: self.what(),
            error: Some(error),
        }
    }
}

/// How many bytes of BLAKE3 tell that a record is whole, and stands where it belongs: disks err, they do not forge.
pub(super) const SUM_BYTES: usize = 8;

fn sum(key: &[u8], payload: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&(key.len() as u64).to_le_bytes())
        .update(key)
        .update(payload);
    let mut sum = [0; SUM_BYTES];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM_BYTES]);
    sum
}

fn seal(key: &[u8], mut payload: Vec<u8>) -> Vec<u8> {
    let sum = sum(key, &payload);
    payload.extend(sum);
    payload
}

/// What was written under the key.
pub(super) fn unseal<'a>(key: &[u8], record: &'a [u8], what: &'static str) -> Result<&'a [u8], DiskError> {
    record
        .split_last_chunk()
        .filter(|(payload, found)| sum(key, payload) == **found)
        .map(|(payload, _)| payload)
        .ok_or(DiskError::Damaged { what, error: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_and_stand_in_the_order_of_what_they_name() {
        let dot = |author, n| Dot::new(AuthorId([author; 16]), n);
        let keys = [
            Key::State,
            Key::Membership,
            Key::Commit(1),
            Key::Commit(255),
            Key::Commit(256),
            Key::Ring(0),
            Key::Ring(u64::MAX),
            Key::Page(""),
            Key::Page("a"),
            Key::Page("a\0"),
            Key::Page("aa"),
            Key::Page("ä"),
            Key::Body(dot(0, 1)),
            Key::Body(dot(0, 1 << 40)),
            Key::Body(dot(1, 0)),
        ];
        let bytes = keys.map(Key::bytes);
        assert!(bytes.is_sorted());
        for (key, bytes) in keys.iter().zip(&bytes) {
            assert_eq!(Key::parse(bytes), Ok(*key));
        }
        for bad in [
            &[][..],
            &[0, 1],
            &[0, 0, 0],
            &[1, 0],
            &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0xff],
            &[4; 20],
            &[9],
        ] {
            assert_eq!(Key::parse(bad), Err(DiskError::Key), "{bad:?}");
        }
    }

    #[test]
    fn a_record_that_is_another_or_stands_elsewhere_is_told() {
        let record = seal(&[1], Vec::from([7; 20]));
        assert_eq!(unseal(&[1], &record, "page"), Ok(&[7; 20][..]));
        let damaged = Err(DiskError::Damaged {
            what: "page",
            error: None,
        });
        assert_eq!(unseal(&[2], &record, "page"), damaged);
        for at in 0..record.len() {
            let mut other = record.clone();
            other[at] ^= 1;
            assert_eq!(unseal(&[1], &other, "page"), damaged);
            assert_eq!(unseal(&[1], &record[..at], "page"), damaged);
        }
    }
}
