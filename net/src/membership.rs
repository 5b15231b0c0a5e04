//! What makes this device a member of a store, and where it meets the others: from its storage, or settled at the first opening and
//! durable before anything else is.

use std::sync::Arc;

use futures::future::try_join;
use gossipstore_core::{
    disk::{Membership, Standing},
    membership::{Invitation, SECRET_BYTES, Secret},
};

use crate::{
    address,
    error::OpenError,
    keeper::unreadable,
    opening::refused,
    options::Options,
    storage::{Storage, StorageError},
};

/// How often it is read anew because another process has settled it meanwhile: it does so once.
const TRIES_MAX: usize = 8;

/// That of a store that is not kept.
pub(crate) fn unkept(options: &Options) -> Result<Membership, OpenError> {
    settle(options, Standing::New)
}

/// That of a store that is kept, which is durable when this returns; and whether nothing was kept before.
pub(crate) async fn kept(options: &Options, storage: &mut dyn Storage) -> Result<(Membership, bool), OpenError> {
    for _ in 0..TRIES_MAX {
        let reader = storage.reader();
        let [state, last] = Standing::keys().map(|key| reader.last(&key));
        let (state, last) = try_join(state, last).await.map_err(|error| unreadable(&error))?;
        let records = [&state, &last].map(|record| record.as_ref().map(|(key, record)| (&key[..], &record[..])));
        let standing = Standing::read(records).map_err(|error| unreadable(&error))?;
        let membership = settle(options, standing.clone())?;
        let transaction = match &standing {
            Standing::Member(before) if *before == membership => return Ok((membership, false)),
            Standing::Member(_) => membership.renew(),
            Standing::New | Standing::Open => membership.keep(),
        };
        match (storage.write(Arc::new(transaction)).await, standing) {
            (Ok(()), standing) => return Ok((membership, standing == Standing::New)),
            (Err(StorageError::Superseded), _) => {}
            // Only the relays would be others. What else cannot be written is told when it is.
            (Err(_), Standing::Member(_)) => return Ok((membership, false)),
            (Err(error), _) => return Err(OpenError::Unkeepable(error)),
        }
    }
    Err(OpenError::Unkeepable(StorageError::Superseded))
}

/// What it is to be, from what is there and what was given.
fn settle(options: &Options, standing: Standing) -> Result<Membership, OpenError> {
    if options.name.is_empty() {
        return Err(OpenError::EmptyName);
    }
    let (secret, relays) = match standing {
        Standing::New => match &options.keepsake {
            Some(Invitation { secret, relays, .. }) if options.secret.as_ref().is_none_or(|given| given == secret) => {
                (Some(secret.clone()), Some(relays.clone()))
            }
            _ => (None, None),
        },
        Standing::Open => (Some(Secret::of_name(&options.name)), None),
        Standing::Member(Membership { secret, relays }) => (Some(secret), Some(relays)),
    };
    let secret = match (secret, &options.secret) {
        (Some(secret), Some(given)) if secret != *given => {
            let name = options.name.clone();
            return Err(OpenError::OtherStore { name });
        }
        (Some(secret), _) => secret,
        (None, Some(given)) => given.clone(),
        (None, None) => random()?,
    };
    let relays = match (&options.relays, relays) {
        (Some(given), _) => {
            // Before they are kept.
            address::parse(given)?;
            given.clone()
        }
        // Kept by another version, they may be of use to that one only.
        (None, Some(kept)) if address::parse(&kept).is_err() => usable(kept),
        (None, kept) => kept.unwrap_or_default(),
    };
    Ok(Membership { secret, relays })
}

fn usable(relays: Vec<String>) -> Vec<String> {
    let mut usable = Vec::new();
    for relay in relays {
        usable.push(relay);
        if let Err(error) = address::parse(&usable) {
            tracing::warn!(%error, "a relay that was remembered is not used");
            usable.pop();
        }
    }
    usable
}

fn random() -> Result<Secret, OpenError> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| refused(&error))?;
    Ok(Secret::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::executor::block_on;
    use gossipstore_core::disk::Transaction;

    use super::*;
    use crate::storage::MemoryStorage;

    const RELAY: &str = "/ip4/127.0.0.1/tcp/4001/ws/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";

    fn opened(options: &Options, storage: &mut MemoryStorage) -> Result<Membership, OpenError> {
        block_on(kept(options, storage)).map(|(membership, _)| membership)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
    }

    fn other_store() -> Result<Membership, OpenError> {
        Err(OpenError::OtherStore { name: "list".into() })
    }

    #[test]
    fn a_secret_is_made_once_and_relays_are_those_given_last() {
        let mut storage = MemoryStorage::default();
        let first = opened(&Options::new("list").relays([RELAY]), &mut storage).unwrap();
        assert_eq!(first.relays, [RELAY]);
        assert_eq!(opened(&Options::new("list"), &mut storage), Ok(first.clone()));
        let none: [&str; 0] = [];
        let alone = opened(&Options::new("list").relays(none), &mut storage).unwrap();
        assert_eq!((&alone.secret, alone.relays.len()), (&first.secret, 0));
        assert_eq!(opened(&Options::new("list"), &mut storage), Ok(alone));
        let another = opened(&Options::new("list"), &mut MemoryStorage::default()).unwrap();
        assert_ne!(another.secret, first.secret);
        assert_ne!(unkept(&Options::new("list")), unkept(&Options::new("list")));
    }

    #[test]
    fn where_nothing_is_stored_any_more_it_is_the_store_that_is_remembered() {
        let remembered = Invitation {
            name: "as it was called there".into(),
            secret: Secret::new([1; 32]),
            relays: vec![RELAY.into()],
            expires: None,
        };
        let options = Options::new("list").keepsake(Some(remembered.clone()));
        let mut storage = MemoryStorage::default();
        let (again, is_new) = block_on(kept(&options, &mut storage)).unwrap();
        assert_eq!((&again.secret, &again.relays), (&remembered.secret, &remembered.relays));
        assert!(is_new);
        assert_eq!(block_on(kept(&options, &mut storage)), Ok((again.clone(), false)));
        assert_eq!(unkept(&options), Ok(again));
        // What is given counts, and what is stored.
        let given = Secret::new([2; 32]);
        let other = opened(&options.clone().secret(given.clone()), &mut MemoryStorage::default()).unwrap();
        assert_eq!(other.secret, given);
        let mut storage = MemoryStorage::default();
        let stored = opened(&Options::new("list"), &mut storage).unwrap();
        assert_eq!(opened(&options, &mut storage), Ok(stored));
    }

    #[test]
    fn relays_that_cannot_be_used_are_not_kept() {
        let mut storage = MemoryStorage::default();
        let refused = opened(&Options::new("list").relays(["nowhere"]), &mut storage);
        assert!(matches!(refused, Err(OpenError::InvalidRelayAddress { .. })));
        assert_eq!(block_on(storage.reader().last(&[255])), Ok(None));
    }

    #[test]
    fn relays_that_were_kept_and_are_none_any_more_do_not_keep_a_store_closed() {
        let mut storage = MemoryStorage::default();
        let mut kept = opened(&Options::new("list"), &mut storage).unwrap();
        kept.relays = ["nowhere", RELAY].map(str::to_owned).into();
        block_on(storage.write(Arc::new(kept.renew()))).unwrap();
        let again = opened(&Options::new("list"), &mut storage).unwrap();
        assert_eq!((again.secret, again.relays), (kept.secret, vec![RELAY.to_owned()]));
    }

    #[test]
    fn a_store_that_is_here_is_not_mixed_with_another_of_its_name() {
        let (ours, theirs) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let mut storage = MemoryStorage::default();
        let options = Options::new("list").secret(ours.clone());
        let joined = opened(&options, &mut storage).unwrap();
        assert_eq!(joined.secret, ours);
        assert_eq!(opened(&options, &mut storage), Ok(joined.clone()));
        assert_eq!(
            opened(&Options::new("list").secret(theirs), &mut storage),
            other_store()
        );
        assert_eq!(
            opened(&Options::new("list"), &mut storage),
            Ok(joined),
            "nothing was changed"
        );
    }

    #[test]
    fn a_store_of_a_version_without_members_stays_open_to_those_who_know_its_name() {
        let mut storage = MemoryStorage::default();
        let vectors = include_str!("../../core/tests/vectors/disk-2.json");
        let vectors: BTreeMap<String, String> = serde_json::from_str(vectors).unwrap();
        let mut older = Transaction::default();
        for (key, record) in vectors {
            older.changes.insert(bytes(&key), Some(bytes(&record)));
        }
        block_on(storage.write(Arc::new(older))).unwrap();
        let given = Options::new("list").secret(Secret::new([1; 32]));
        assert_eq!(opened(&given, &mut storage), other_store());
        let membership = opened(&Options::new("list"), &mut storage).unwrap();
        assert_eq!(membership.secret, Secret::of_name("list"));
        assert_eq!(opened(&Options::new("list"), &mut storage), Ok(membership));
    }
}
