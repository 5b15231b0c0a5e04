//! What every storage has to do, as tests that run over any of them.

use std::{collections::BTreeMap, sync::Arc};

use gossipstore_core::disk::Transaction;

use super::{READ_BYTES, Record, Storage, StorageError};

/// Puts an empty storage to the test. `open` opens it; what it gave before is dropped by then.
///
/// # Panics
/// When the storage breaks the contract; the message says how.
pub async fn check<S: Storage>(mut open: impl AsyncFnMut() -> S) {
    let mut storage = open().await;
    let mut model = BTreeMap::new();
    same(&mut storage, &model, "it begins empty").await;

    // Keys of any bytes come in the order of their bytes.
    let keys: [&[u8]; 8] = [b"a", b"\0", b"a\0", b"ab", b"\xff\xff", b"\xff", &[7; 1_100], b"b"];
    let first = keys.map(|key| (key.to_vec(), Some(key.repeat(3))));
    write(&mut storage, &mut model, first).await;
    same(&mut storage, &model, "what is written is read").await;
    drop(storage);
    let mut storage = open().await;
    same(&mut storage, &model, "it is there when it is opened again").await;

    let changes = [
        (b"a".to_vec(), Some(Vec::new())),
        (b"ab".to_vec(), None),
        (b"never there".to_vec(), None),
        (b"new".to_vec(), Some(vec![0, 1, 255])),
    ];
    write(&mut storage, &mut model, changes).await;
    same(&mut storage, &model, "records are replaced, deleted and empty").await;

    let reader = storage.reader();
    for upto in [
        &b""[..],
        b"\0",
        b"a",
        b"aa",
        b"new",
        b"newer",
        &[7; 1_100],
        b"\xff\xff\xff",
    ] {
        let expected = model.range(..=upto.to_vec()).next_back();
        let expected = expected.map(|(key, record)| (key.clone(), record.clone()));
        assert_eq!(reader.last(upto).await, Ok(expected), "the last record up to {upto:?}");
    }
    drop(reader);

    // More than is read at a time, in one transaction; one record that is larger than that alone.
    let many = (0..300_u32).map(|n| (n.to_be_bytes().to_vec(), Some(vec![n as u8; 10_000])));
    let large = (vec![255; 3], Some(vec![9; 3 * READ_BYTES]));
    write(&mut storage, &mut model, many.chain([large])).await;
    same(&mut storage, &model, "much is read in pieces").await;
    write(
        &mut storage,
        &mut model,
        (0..300_u32).map(|n| (n.to_be_bytes().to_vec(), None)),
    )
    .await;
    drop(storage);
    let mut storage = open().await;
    same(&mut storage, &model, "what was deleted stays so").await;
    write(&mut storage, &mut model, []).await;
    same(&mut storage, &model, "a transaction without changes changes nothing").await;

    // Guards that are written, deleted and neither, and such that something stands under.
    write(&mut storage, &mut model, [(b"stands".to_vec(), Some(vec![3]))]).await;
    for (guard, is_heeded) in [
        ("guard", false),
        ("a", false),
        ("never", false),
        ("guard", true),
        ("c", true),
        ("stands", true),
    ] {
        let changes = [
            (b"guard".to_vec(), Some(vec![1])),
            (b"a".to_vec(), None),
            (b"c".to_vec(), Some(vec![2])),
        ];
        // Before, between and behind these is so much that it may be written in pieces.
        let long = [b'A', b'b', b'd', b'x'].map(|kind| (0..10_u8).map(move |n| (vec![kind, n], Some(vec![n; 40_000]))));
        let transaction = Transaction {
            changes: changes.into_iter().chain(long.into_iter().flatten()).collect(),
            guard: Some(guard.into()),
        };
        assert_eq!(transaction.clone().carry_out(&mut model), !is_heeded);
        let expected = if is_heeded {
            Err(StorageError::Superseded)
        } else {
            Ok(())
        };
        assert_eq!(
            storage.write(Arc::new(transaction)).await,
            expected,
            "the guard {guard:?}"
        );
        same(&mut storage, &model, "all is carried out, or nothing").await;
    }
}

async fn write(
    storage: &mut impl Storage,
    model: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
) {
    let changes: BTreeMap<_, _> = changes.into_iter().collect();
    for (key, change) in changes.clone() {
        match change {
            Some(record) => model.insert(key, record),
            None => model.remove(&key),
        };
    }
    let written = storage.write(Arc::new(Transaction { changes, guard: None })).await;
    assert_eq!(written, Ok(()), "a transaction is carried out");
}

async fn same(storage: &mut impl Storage, model: &BTreeMap<Vec<u8>, Vec<u8>>, what: &str) {
    let (mut read, mut after) = (Vec::<Record>::new(), None);
    loop {
        let records = storage.read(after.as_deref()).await.expect("records are read");
        let Some((last, _)) = records.last() else { break };
        after = Some(last.clone());
        let bytes = records
            .iter()
            .rev()
            .skip(1)
            .map(|(key, record)| key.len() + record.len());
        assert!(
            bytes.sum::<usize>() < 2 * READ_BYTES,
            "{what}: too much is read at a time"
        );
        read.extend(records);
    }
    let expected: Vec<Record> = model
        .iter()
        .map(|(key, record)| (key.clone(), record.clone()))
        .collect();
    assert!(
        read == expected,
        "{what}: {} records where {} should be",
        read.len(),
        expected.len()
    );
}
