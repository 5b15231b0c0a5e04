//! Goal: what a store acknowledged is there when it is opened again, whatever the storage does. Method: stores without a network
//! over storages that last, that fail at every possible point, and that are damaged.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, channel::oneshot};
use gossipstore_core::{
    cache::Limits,
    disk::Transaction,
    replica::{Call, Command, CommandError, Key, Write},
    store::Caller,
};
use gossipstore_net::{
    Handle, ImportError, Invitation, NodeEvent, OpenError, Options, StorageKind, StoreError, open_stored,
    storage::{MemoryStorage, Pending, Record, RedbStorage, Storage, StorageError, StorageReader, contract},
};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

/// An open store and its node.
struct Open {
    handle: Handle,
    node: JoinHandle<()>,
}

impl Open {
    async fn new(storage: impl Storage) -> Result<Self, OpenError> {
        Self::with(Options::new("kept"), storage).await
    }

    async fn with(options: Options, storage: impl Storage) -> Result<Self, OpenError> {
        let (node, handle) = open_stored(options, storage).await?;
        let node = tokio::spawn(node.run());
        Ok(Self { handle, node })
    }

    async fn close(self) {
        self.handle.close().await;
        self.node.await.expect("the node does not panic");
    }

    /// The process dies.
    async fn kill(self) {
        self.node.abort();
        assert!(self.node.await.is_err_and(|error| error.is_cancelled()));
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let value = self.handle.get(key).await.expect("it is stored whole");
        value.map(|value| value.to_vec())
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.handle.transact(vec![put(key, value)]).await
    }
}

fn put(key: &str, value: &[u8]) -> Write {
    Write::Put {
        key: Key::from(key),
        value: value.into(),
        context: None,
    }
}

/// How many transactions the first opening writes before it is open: what makes it a member.
const MEMBERSHIP: usize = 1;

/// A storage whose writes fail when so many were carried out, with this error.
#[derive(Clone, Debug)]
struct Failing {
    inner: MemoryStorage,
    left: Arc<AtomicUsize>,
    error: StorageError,
}

impl Failing {
    fn after(writes: usize, inner: MemoryStorage, error: StorageError) -> Self {
        let left = Arc::new(AtomicUsize::new(writes));
        Self { inner, left, error }
    }
}

impl Storage for Failing {
    fn kind(&self) -> StorageKind {
        self.inner.kind()
    }

    fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
        self.inner.read(after)
    }

    fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
        let spend = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend) {
            Ok(_) => self.inner.write(transaction),
            Err(_) => Box::pin(ready(Err(self.error.clone()))),
        }
    }

    fn reader(&self) -> Box<dyn StorageReader> {
        self.inner.reader()
    }
}

#[tokio::test]
async fn the_map_in_memory_keeps_the_contract() {
    let storage = MemoryStorage::default();
    contract::check(async || storage.clone()).await;
}

#[tokio::test]
async fn the_file_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    contract::check(async || RedbStorage::open(folder.path().join("store")).expect("it opens")).await;
}

#[tokio::test]
async fn a_file_is_opened_once_at_a_time_and_what_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let storage = RedbStorage::open(&path).expect("it opens");
    assert!(RedbStorage::open(&path).is_err_and(|error| error.to_string().contains("store")));
    drop(storage);
    assert!(RedbStorage::open(&path).is_ok());
    assert!(RedbStorage::open(folder.path()).is_err());
}

#[tokio::test]
async fn what_was_written_is_there_when_the_store_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    for round in 0..3_u8 {
        let store = Open::new(RedbStorage::open(&path).expect("it opens"))
            .await
            .expect("it opens");
        assert_eq!(store.handle.status().storage.kind, StorageKind::File);
        if round > 0 {
            assert_eq!(store.get("key").await, Some(vec![round - 1]));
            assert_eq!(store.get("large").await.map(|value| value.len()), Some(100_000));
            assert_eq!(store.handle.read(|replica| replica.len()), 502);
            assert!(store.handle.status().storage.used_bytes > 100_000);
        }
        let many = (0..500).map(|n| put(&format!("many/{n}"), &[round]));
        let (one, two, three) = tokio::join!(
            store.handle.transact(vec![put("key", &[round])]),
            store.handle.transact(vec![put("large", &vec![round; 100_000])]),
            store.handle.transact(many.collect()),
        );
        assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
        if round == 1 {
            store.kill().await;
        } else {
            store.close().await;
        }
    }
}

#[tokio::test]
async fn closing_keeps_what_nobody_waited_for() {
    let storage = MemoryStorage::default();
    let store = Open::new(storage.clone()).await.expect("it opens");
    for n in 0..100_u8 {
        drop(store.handle.transact(vec![put(&format!("{n}"), &[n])]));
    }
    // So much that it takes several turns to be made ready.
    let long = (0..1_000).map(|n| put(&format!("long {n}"), &[7; 8_000]));
    drop(store.handle.transact(long.collect()));
    store.close().await;
    let again = Open::new(storage).await.expect("it opens");
    assert_eq!(again.handle.read(|replica| replica.len()), 1_100);
}

#[tokio::test]
async fn a_storage_that_fails_at_any_point_loses_nothing_that_was_acknowledged() {
    for allowed in 0..12 {
        let inner = MemoryStorage::default();
        let full = StorageError::Full {
            used: Some(7),
            quota: Some(8),
        };
        let failing = Failing::after(MEMBERSHIP + allowed, inner.clone(), full);
        let store = Open::new(failing).await.expect("it opens");
        let mut acknowledged = Vec::new();
        for n in 0..20_u8 {
            let key = format!("{n}");
            match store.set(&key, &[n; 2_000]).await {
                Ok(()) => acknowledged.push(key),
                Err(StoreError::Command(CommandError::NotDurable(failure))) => {
                    assert!(
                        failure.is_full && failure.reason.contains("7 of 8 bytes"),
                        "{failure:?}"
                    );
                    assert_eq!(
                        store.get(&key).await,
                        Some(vec![n; 2_000]),
                        "it is visible all the same"
                    );
                }
                Err(StoreError::Command(CommandError::StorageFails(_))) => {
                    assert_eq!(store.get(&key).await, None, "nothing was changed");
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(
            acknowledged.len(),
            allowed.min(20),
            "one flush a write when each is waited for"
        );
        store.close().await;
        let again = Open::new(inner).await.expect("it opens");
        for key in &acknowledged {
            assert!(again.get(key).await.is_some(), "{key} of {allowed}");
        }
        assert_eq!(again.handle.read(|replica| replica.len()), acknowledged.len());
    }
}

#[tokio::test]
async fn a_storage_that_has_no_room_from_the_beginning_is_not_opened() {
    let full = StorageError::Full {
        used: Some(7),
        quota: Some(8),
    };
    let inner = MemoryStorage::default();
    let refused = Open::new(Failing::after(0, inner.clone(), full.clone())).await;
    assert_eq!(refused.map(|_| ()).unwrap_err(), OpenError::Unkeepable(full));
    assert!(Open::new(inner).await.is_ok(), "nothing is left behind");
}

#[tokio::test]
async fn a_store_that_was_joined_is_the_same_when_it_is_opened_by_its_name() {
    let ann = Open::new(MemoryStorage::default()).await.expect("it opens");
    let text = ann.handle.invite(None).expect("it has a short name");
    let invitation = Invitation::decode(&text, 0).expect("it has just been made");
    let storage = MemoryStorage::default();
    let ben = Open::with(Options::join(invitation.clone()), storage.clone())
        .await
        .expect("it opens");
    assert_eq!(ben.handle.store(), ann.handle.store());
    ben.close().await;
    let again = Open::new(storage.clone()).await.expect("it opens");
    assert_eq!(again.handle.store(), ann.handle.store());
    again.close().await;

    let other = Open::new(MemoryStorage::default()).await.expect("it opens");
    assert_ne!(other.handle.store(), ann.handle.store());
    let text = other.handle.invite(None).expect("it has a short name");
    let invitation = Invitation::decode(&text, 0).expect("it has just been made");
    let refused = Open::with(Options::join(invitation), storage).await;
    let name = "kept".to_owned();
    assert_eq!(refused.map(|_| ()).unwrap_err(), OpenError::OtherStore { name });
}

#[tokio::test]
async fn what_is_damaged_is_told_and_left_as_it_is() {
    let mut storage = MemoryStorage::default();
    let store = Open::new(storage.clone()).await.expect("it opens");
    store.set("key", b"value").await.expect("it is written");
    store.close().await;
    let records = storage.read(None).await.expect("it is read");
    let (key, mut record) = records.last().expect("there is a record").clone();
    record[0] ^= 1;
    let changes = [(key, Some(record))].into();
    storage
        .write(Arc::new(Transaction { changes, guard: None }))
        .await
        .expect("it is written");
    let damaged = storage.read(None).await.expect("it is read");
    let error = Open::new(storage.clone()).await.map(|_| ()).expect_err("it is told");
    assert!(
        matches!(&error, OpenError::Unreadable { reason } if reason.contains("damaged")),
        "{error}"
    );
    assert_eq!(storage.read(None).await, Ok(damaged));
}

#[tokio::test]
async fn what_is_called_for_again_after_another_has_taken_over_is_done_once() {
    let name = |n| Call { caller: Caller(1), n };
    let add = || {
        let (key, amount) = (Key::from("likes"), 1);
        Command::Transact(vec![Write::Add { key, amount }])
    };
    let storage = MemoryStorage::default();
    let first = Open::new(storage.clone()).await.expect("nothing is there yet");
    first.handle.call(name(1), add()).await.expect("it is stored");
    let (second, third) = (first.handle.call(name(2), add()), first.handle.call(name(3), add()));
    first.handle.supersede();
    assert_eq!(
        (second.await, third.await),
        (Err(StoreError::Superseded), Err(StoreError::Superseded))
    );
    first.node.await.expect("the node does not panic");
    assert_eq!(first.handle.call(name(4), add()).await, Err(StoreError::Closed));

    let next = Open::new(storage).await.expect("what is there can be read");
    for n in 1..=4 {
        next.handle.call(name(n), add()).await.expect("it is stored");
    }
    assert_eq!(next.get("likes").await.as_deref(), Some(&[4][..]));
    next.close().await;
}

#[tokio::test]
async fn a_storage_that_another_has_taken_over_ends_the_store() {
    let storage = MemoryStorage::default();
    let first = Open::new(storage.clone()).await.expect("nothing is there yet");
    first.set("a", b"1").await.expect("it is stored");
    let taking_over = || Options::new("kept").takes_over(true);
    let second = Open::with(taking_over(), storage.clone()).await.expect("it opens");
    assert_eq!(first.set("a", b"2").await, Err(StoreError::Superseded));
    first.node.await.expect("the node does not panic");
    assert_eq!(
        first.handle.transact(vec![put("b", b"2")]).await,
        Err(StoreError::Closed)
    );
    second.set("c", b"2").await.expect("it is stored");
    // Of two that do so at the same time, one has it.
    let (left, right) = futures::join!(
        Open::with(taking_over(), storage.clone()),
        Open::with(taking_over(), storage.clone())
    );
    let mut written = Vec::new();
    for store in [second, left.expect("it opens"), right.expect("it opens")] {
        assert_eq!(
            (store.get("a").await, store.get("c").await),
            (Some(b"1".to_vec()), Some(b"2".to_vec()))
        );
        written.push(store.set("d", b"3").await.is_ok());
    }
    assert_eq!(written.iter().filter(|written| **written).count(), 1, "{written:?}");
}

#[tokio::test]
async fn what_was_not_stored_for_lack_of_room_is_stored_when_there_is_room() {
    let inner = MemoryStorage::default();
    let full = StorageError::Full {
        used: Some(7),
        quota: Some(8),
    };
    let failing = Failing::after(MEMBERSHIP, inner.clone(), full);
    let left = Arc::clone(&failing.left);
    let store = Open::new(failing).await.expect("it opens");
    let mut events = store.handle.events();
    let written = store.set("a", b"1").await;
    assert!(
        matches!(written, Err(StoreError::Command(CommandError::NotDurable(_)))),
        "{written:?}"
    );
    let refused = store.set("b", b"2").await;
    assert!(
        matches!(refused, Err(StoreError::Command(CommandError::StorageFails(_)))),
        "{refused:?}"
    );
    assert!(
        store
            .handle
            .status()
            .storage
            .problem
            .is_some_and(|problem| problem.contains("7 of 8"))
    );
    loop {
        match events.next().await.expect("it is open") {
            NodeEvent::StorageFailed(failure) => break assert!(failure.is_full),
            _ => continue,
        }
    }

    left.store(usize::MAX, Ordering::SeqCst);
    while store.handle.status().storage.problem.is_some() {
        events.next().await.expect("it is open");
    }
    assert_eq!(store.set("b", b"2").await, Ok(()));
    store.kill().await;
    let again = Open::new(inner).await.expect("it opens");
    assert_eq!(
        (again.get("a").await, again.get("b").await),
        (Some(b"1".to_vec()), Some(b"2".to_vec()))
    );
}

/// A storage that is taken away when it is told to.
#[derive(Debug)]
struct Wiped {
    inner: MemoryStorage,
    told: Option<oneshot::Receiver<()>>,
}

impl Storage for Wiped {
    fn kind(&self) -> StorageKind {
        StorageKind::File
    }

    fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
        self.inner.read(after)
    }

    fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
        self.inner.write(transaction)
    }

    fn reader(&self) -> Box<dyn StorageReader> {
        self.inner.reader()
    }

    fn gone(&mut self) -> Pending<String> {
        let told = self.told.take().expect("it is asked once");
        Box::pin(async move {
            told.await.expect("it is told");
            "wiped".to_owned()
        })
    }
}

#[tokio::test]
async fn a_storage_that_is_taken_away_while_nobody_writes_is_noticed() {
    let (tell, told) = oneshot::channel();
    let inner = MemoryStorage::default();
    let store = Open::new(Wiped {
        inner,
        told: Some(told),
    })
    .await
    .expect("it opens");
    store.set("a", b"1").await.expect("it is stored");
    let mut events = store.handle.events();
    tell.send(()).expect("it is listened to");
    loop {
        if let NodeEvent::StorageFailed(failure) = events.next().await.expect("it is open") {
            break assert!(failure.reason.ends_with("wiped"), "{}", failure.reason);
        }
    }
    assert_eq!(store.handle.status().storage.kind, StorageKind::Memory);
    assert_eq!(store.set("b", b"2").await, Ok(()));
    store.close().await;
}

#[tokio::test]
async fn a_store_whose_storage_was_taken_away_goes_on_in_memory_and_says_so() {
    let gone = StorageError::Gone { reason: "wiped".into() };
    let failing = Failing::after(MEMBERSHIP + 1, MemoryStorage::default(), gone);
    let store = Open::new(failing).await.expect("it opens");
    assert_eq!(store.set("a", b"1").await, Ok(()));
    let written = store.set("b", b"2").await;
    assert!(
        matches!(written, Err(StoreError::Command(CommandError::NotDurable(_)))),
        "{written:?}"
    );
    let storage = store.handle.status().storage;
    assert_eq!(storage.kind, StorageKind::Memory);
    assert!(storage.problem.is_some_and(|problem| problem.contains("wiped")));
    assert_eq!(store.set("c", b"3").await, Ok(()));
    assert_eq!(
        (store.get("a").await, store.get("b").await),
        (Some(b"1".to_vec()), Some(b"2".to_vec()))
    );
    store.close().await;
}

#[tokio::test]
async fn what_was_exported_is_imported_and_merged_with_what_is_there() {
    let one = Open::new(MemoryStorage::default()).await.expect("it opens");
    let many = (0..5_000).map(|n| put(&format!("many/{n}"), &[7; 40]));
    one.handle.transact(many.collect()).await.expect("it is stored");
    one.set("large", &[9; 100_000]).await.expect("it is stored");
    one.set("both", b"one").await.expect("it is stored");
    one.set("deleted later", b"1").await.expect("it is stored");
    let file = one.handle.export().await.expect("all is there");
    let gone = Write::Delete {
        key: Key::from("deleted later"),
        context: None,
    };
    one.handle.transact(vec![gone]).await.expect("it is stored");
    one.handle.import(&file).await.expect("its own file");
    assert_eq!(one.get("deleted later").await, None, "it is not brought back");

    // Into a store of another name, on a storage of its own.
    let storage = MemoryStorage::default();
    let (node, handle) = open_stored(Options::new("another"), storage.clone())
        .await
        .expect("it opens");
    let other = Open {
        node: tokio::spawn(node.run()),
        handle,
    };
    other.set("both", b"other").await.expect("it is stored");
    let (first, second) = (other.handle.import(&file), other.handle.import(&file));
    let (first, second) = futures::join!(first, second);
    assert_eq!((first, second), (Ok(()), Ok(())));
    other.kill().await;
    let (_, handle) = open_stored(Options::new("another"), storage).await.expect("it opens");
    handle.read(|replica| {
        assert_eq!(replica.len(), 5_003);
        assert_eq!(replica.get("large").map(|value| value.len()), Some(100_000));
        assert_eq!(replica.siblings("both").values.len(), 2);
        assert!(replica.get("deleted later").is_some());
    });

    let refused = one.handle.import(&file[1..]).await;
    assert!(matches!(refused, Err(ImportError::File(_))), "{refused:?}");
    one.close().await;
}

#[tokio::test]
async fn a_store_whose_values_have_little_room_is_read_exported_and_opened_again() {
    const ROOM: u64 = 100_000;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let options = || {
        let room = Limits::new(None, Some(ROOM)).expect("there is some");
        Options::new("kept").cache(room)
    };
    let open = async || {
        let storage = RedbStorage::open(&path).expect("it opens");
        let (node, handle) = open_stored(options(), storage).await.expect("it opens");
        let node = tokio::spawn(node.run());
        Open { node, handle }
    };
    let value = |n: usize| (0..1_000 + n % 7 * 1_000).map(|at| (n + at) as u8).collect::<Vec<_>>();
    let store = open().await;
    for n in 0..400 {
        store.set(&format!("{n:03}"), &value(n)).await.expect("it is stored");
    }
    let resident = |store: &Open| store.handle.read(|replica| replica.store().resident_bytes());
    // What waits to be tidied up counts; a quarter may.
    assert!(resident(&store) <= ROOM, "{}", resident(&store));
    let file = store.handle.export().await.expect("all is there");
    store.close().await;

    let store = open().await;
    for n in (0..400).rev() {
        assert_eq!(store.get(&format!("{n:03}")).await, Some(value(n)), "{n}");
    }
    assert!(resident(&store) <= ROOM, "{}", resident(&store));
    assert_eq!(store.handle.export().await, Ok(file.clone()));
    store.close().await;

    let other = Open::new(MemoryStorage::default()).await.expect("it opens");
    other.handle.import(&file).await.expect("an undamaged file");
    assert_eq!(other.get("399").await, Some(value(399)));
    other.close().await;
}

/// A storage of which no single record can be read for so many attempts.
#[derive(Clone, Debug)]
struct Unreadable {
    inner: MemoryStorage,
    failures: Arc<AtomicUsize>,
    /// Heard at each transaction.
    written: Arc<Notify>,
}

impl Storage for Unreadable {
    fn kind(&self) -> StorageKind {
        self.inner.kind()
    }

    fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
        self.inner.read(after)
    }

    fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
        self.written.notify_waiters();
        self.inner.write(transaction)
    }

    fn reader(&self) -> Box<dyn StorageReader> {
        Box::new(self.clone())
    }
}

impl StorageReader for Unreadable {
    fn last(&self, upto: &[u8]) -> Pending<Result<Option<Record>, StorageError>> {
        let spend = |left: usize| left.checked_sub(1);
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend) {
            Ok(_) => Box::pin(ready(Err(broken()))),
            Err(_) => self.inner.last(upto),
        }
    }
}

fn broken() -> StorageError {
    let reason = "it cannot be read".into();
    StorageError::Failed { reason }
}

/// What waits to be tidied up is durable, but not out of memory: pages that cannot be read are tried again by themselves.
#[tokio::test]
async fn pages_that_cannot_be_read_are_written_anew_when_they_can() {
    const ROOM: u64 = 100_000;
    let storage = Unreadable {
        inner: MemoryStorage::default(),
        failures: Arc::default(),
        written: Arc::default(),
    };
    let Unreadable { failures, written, .. } = storage.clone();
    let room = Limits::new(None, Some(ROOM)).expect("there is some");
    let store = Open::with(Options::new("kept").cache(room), storage).await;
    let store = store.expect("it opens");
    for n in 0..300 {
        store
            .set(&format!("{n:03}"), &[n as u8; 1_000])
            .await
            .expect("it is stored");
    }
    let resident = || store.handle.read(|replica| replica.store().resident_bytes());
    assert!(resident() <= ROOM, "{}", resident());
    failures.store(3, Ordering::SeqCst);
    assert_eq!(
        store.handle.get("000").await,
        Err(StoreError::Unreadable {
            reason: broken().to_string()
        })
    );
    // Their neighbours are not in memory.
    for n in (0..300).step_by(3) {
        store.set(&format!("{n:03}"), &[7; 1_500]).await.expect("it is stored");
    }
    loop {
        let next = written.notified();
        if failures.load(Ordering::SeqCst) == 0 && resident() <= ROOM {
            break;
        }
        let next = timeout(Duration::from_secs(20), next).await;
        assert!(next.is_ok(), "{} bytes stay in memory", resident());
    }
    assert_eq!(store.get("000").await, Some(vec![7; 1_500]));
    assert_eq!(store.get("001").await, Some(vec![1; 1_000]));
    store.close().await;
}
