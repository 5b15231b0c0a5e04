//! The membership record: what makes this device a member, and where it meets the others. Written before all else when a store is first
//! opened, and anew when it is opened with other relays.
//!
//! ```text
//! secret (32 bytes), varint count of relays, per relay varint length and its address
//! ```

use alloc::{string::String, vec::Vec};

use super::{
    DiskError, FORMAT_MEMBERS,
    record::{Key, Transaction, unseal},
    state::State,
};
use crate::{
    membership::Secret,
    wire::{
        WireError,
        bytes::{Reader, Writer as _},
    },
};

/// What of a store is known before anything that is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// What makes a member.
    pub secret: Secret,
    /// The addresses of the relays that it was opened with last.
    pub relays: Vec<String>,
}

/// What there is of a membership on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing has been written yet, of whatever kind.
    New,
    /// A version has written it that had no members: whoever knew the name could take part.
    Open,
    /// That of a member.
    Member(Membership),
}

impl Standing {
    /// The two keys up to which the last record is to be read, for [`Self::read`].
    pub fn keys() -> [Vec<u8>; 2] {
        [Key::State, Key::Membership].map(Key::bytes)
    }

    /// Reads it from the last records up to each of [`Self::keys`].
    ///
    /// # Errors
    /// When they are not what was written, or of a newer version.
    pub fn read([state, last]: [Option<(&[u8], &[u8])>; 2]) -> Result<Self, DiskError> {
        let format = state.map(|(key, record)| State::format(unseal(key, record, Key::State.what())?));
        let format = format.transpose()?.map(|(format, _)| format);
        match (last, format) {
            (Some((key, record)), _) if key == Key::Membership.bytes() => Membership::read(record).map(Self::Member),
            (None, _) => Ok(Self::New),
            (Some(_), Some(FORMAT_MEMBERS..)) => Err(DiskError::MembershipMissing),
            (Some(_), _) => Ok(Self::Open),
        }
    }
}

impl Membership {
    /// Keeps it where none is; refused where one has come meanwhile.
    pub fn keep(&self) -> Transaction {
        let guard = Some(Key::Membership.bytes());
        Transaction { guard, ..self.renew() }
    }

    /// Keeps it in place of the one that is there.
    pub fn renew(&self) -> Transaction {
        let mut payload = Vec::from(*self.secret.bytes());
        payload.varint(self.relays.len() as u64);
        for relay in &self.relays {
            payload.text(relay);
        }
        let mut transaction = Transaction::default();
        transaction.put(Key::Membership, payload);
        transaction
    }

    fn read(record: &[u8]) -> Result<Self, DiskError> {
        let payload = unseal(&Key::Membership.bytes(), record, Key::Membership.what())?;
        Self::decode(payload).map_err(|error| Key::Membership.damaged(error))
    }

    fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(payload);
        let secret = Secret::new(from.array()?);
        // Collected one by one: each takes bytes, so the record's end bounds them.
        let count = from.length("relays", usize::MAX)?;
        let relays: Result<_, _> = (0..count).map(|_| Ok(from.text(usize::MAX)?.into())).collect();
        let relays = relays?;
        from.finish()?;
        Ok(Self { secret, relays })
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    fn membership(relays: &[&str]) -> Membership {
        Membership {
            secret: Secret::new([7; 32]),
            relays: relays.iter().map(|relay| String::from(*relay)).collect(),
        }
    }

    fn read(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Standing, DiskError> {
        let keys = Standing::keys();
        let last = |key: &Vec<u8>| records.range(..=key.clone()).next_back();
        Standing::read([&keys[0], &keys[1]].map(|key| last(key).map(|(key, record)| (&key[..], &record[..]))))
    }

    #[test]
    fn it_is_read_as_it_was_kept_and_the_first_to_keep_it_wins() {
        let mut records = BTreeMap::new();
        assert_eq!(read(&records), Ok(Standing::New));
        let (first, second) = (membership(&["/dns4/a", ""]), membership(&[]));
        assert!(first.keep().carry_out(&mut records));
        assert!(!second.keep().carry_out(&mut records));
        assert_eq!(read(&records), Ok(Standing::Member(first)));
        assert!(second.renew().carry_out(&mut records));
        assert_eq!(read(&records), Ok(Standing::Member(second)));
    }

    #[test]
    fn a_disk_without_one_is_told_from_an_empty_one() {
        let lost = Err(DiskError::MembershipMissing);
        for (format, expected) in [(2, Ok(Standing::Open)), (3, lost), (99, Err(DiskError::Format(99)))] {
            let mut older = Transaction::default();
            older.put(Key::State, [format].into());
            let mut records = BTreeMap::new();
            older.carry_out(&mut records);
            assert_eq!(read(&records), expected);
        }
    }

    #[test]
    fn what_is_damaged_is_told() {
        let transaction = membership(&["/dns4/relay.example.org"]).renew();
        let (key, record) = transaction.changes.into_iter().next().unwrap();
        let record = record.unwrap();
        for at in 0..record.len() {
            let mut other = record.clone();
            other[at] ^= 1;
            for damaged in [&other, &record[..at]] {
                let read = Standing::read([None, Some((&key, damaged))]);
                assert!(matches!(read, Err(DiskError::Damaged { .. })), "{at}");
            }
        }
        for bad in [&[7; 31][..], &[0; 34], &[[0; 32].as_slice(), &[1, 9, b'a']].concat()] {
            assert!(Membership::decode(bad).is_err());
        }
    }
}
