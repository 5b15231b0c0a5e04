//! Goal: what storage kept is a replica again, or an error says why it is none. Method: one history, damaged in one way each.

mod support;

use gossipstore_core::{
    causality::{Frontier, Tip},
    disk::Lying,
    id::{AuthorId, Dot, TxnHash},
    replica::{Key, Loader, Replica, RestoreError, Scan, Write},
    store::{Batch, Calls, Removed, StoredEntry},
    time::Timestamp,
    wire::DOT_NUMBER_MAX,
};
use support::{Driver, config, join, settle};

/// A key written, another written, the first overwritten.
fn stored() -> (Driver, Vec<Batch>) {
    let mut driver = Driver::new(1);
    driver.set("a", "1");
    driver.set("b", "2");
    driver.set("a", "3");
    let batches = driver.batches.clone();
    (driver, batches)
}

fn tip(dot: Dot) -> Tip {
    Tip {
        dot,
        hash: TxnHash([1; 16]),
    }
}

#[test]
fn what_was_stored_is_the_replica_again() {
    let (driver, batches) = stored();
    let again = Replica::restore(config(2), driver.now, batches).expect("as it was stored");
    assert_eq!(again.digest(), driver.replica.digest());
    assert!(again.live_dots().eq(driver.replica.live_dots()));
    assert_eq!(again.frontier(), driver.replica.frontier());
}

/// What happened to the disk, how, and what is said of it.
type Case = (&'static str, fn(&mut Vec<Batch>), RestoreError);

#[test]
fn damage_is_named() {
    let (driver, whole) = stored();
    let author = driver.replica.author().expect("it has written");
    let dot = |n| Dot::new(author, n);
    let stranger = Dot::new(AuthorId([7; 16]), 1);
    let cases: [Case; 9] = [
        (
            "a batch came twice",
            |disk| disk.insert(1, disk[0].clone()),
            RestoreError::StoredBefore(dot(1)),
        ),
        (
            "the vector was lost",
            |disk| disk[1].vector.clear(),
            RestoreError::NotCovered(dot(2)),
        ),
        (
            "a removal was lost",
            |disk| disk[2].removed.clear(),
            RestoreError::NotRemoved(dot(1)),
        ),
        (
            "a removal of what was never seen",
            |disk| {
                disk[2].removed.push(Removed {
                    dot: Dot::new(AuthorId([7; 16]), 1),
                    key: Key::from("a"),
                    bytes: 1,
                });
            },
            RestoreError::NotCovered(stranger),
        ),
        (
            "a frontier beyond the vector",
            |disk| disk[0].frontier = Frontier::new([tip(Dot::new(AuthorId([7; 16]), 1))]),
            RestoreError::NotCovered(stranger),
        ),
        (
            "an event that removes itself",
            |disk| disk[0].entries[0].removes = [disk[0].entries[0].dot].into(),
            RestoreError::RemovesLater(dot(1)),
        ),
        (
            "a number beyond all",
            |disk| disk[0].vector[0].1 = DOT_NUMBER_MAX + 1,
            RestoreError::DotNumber(dot(DOT_NUMBER_MAX + 1)),
        ),
        (
            "a key that is none",
            |disk| disk[0].entries[0].key = Key::from(""),
            RestoreError::KeyEmpty(dot(1)),
        ),
        (
            "a key that is too long",
            |disk| disk[0].entries[0].key = Key::from("k".repeat(1_025)),
            RestoreError::TooLarge {
                what: "key",
                length: 1_025,
                max: 1_024,
            },
        ),
    ];
    for (name, damage, error) in cases {
        let mut disk = whole.clone();
        damage(&mut disk);
        let opened = Replica::restore(config(2), driver.now, disk).map(|replica| replica.len());
        assert_eq!(opened, Err(error), "{name}");
    }
}

/// All that a replica holds, as one batch.
fn kept(replica: &Replica) -> Batch {
    let all = Scan::default();
    let store = replica.store();
    let entries = store.entries(&all).map(|entry| StoredEntry {
        dot: entry.dot,
        key: entry.key.clone(),
        body: entry.body.clone(),
        kind: entry.kind,
        hlc: entry.hlc,
        removes: entry.removes,
    });
    Batch {
        healed: Vec::new(),
        entries: entries.collect(),
        removed: Vec::new(),
        records: store.records_since(0).collect(),
        vector: store.vector().iter().collect(),
        frontier: store.frontier().clone(),
        forks: store.forks().copied().collect(),
        call: None,
        totals: store.totals(),
    }
}

/// Loads what was kept, as from a disk.
fn load(now: Timestamp, kept: Batch) -> Result<Replica, RestoreError> {
    let mut loader = Loader::new(config(2), now, kept.vector.into_iter().collect(), Calls::default())?;
    kept.entries
        .into_iter()
        .try_for_each(|entry| loader.entry(Lying { entry, kept: false }))?;
    kept.records
        .iter()
        .try_for_each(|(dot, removes)| loader.record(*dot, removes))?;
    while !loader.check(&mut 10)? {}
    loader.finish(kept.frontier, kept.forks)
}

#[test]
fn what_is_loaded_at_once_is_the_replica_again() {
    let [mut a, mut b] = [Driver::new(1), Driver::new(2)];
    for n in 0..200 {
        let key = format!("key {}", n % 70);
        a.set(&key, &n.to_string());
        b.set(&format!("key {}", n % 50), &n.to_string());
        if n % 7 == 0 {
            a.delete(&key);
        }
    }
    for driver in [&mut a, &mut b] {
        let add = Write::Add {
            key: Key::from("counter"),
            amount: 5,
        };
        driver.transact([add]).expect("a counter");
    }
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    let loaded = load(a.now, kept(&a.replica)).expect("as it is");
    let restored = Replica::restore(config(3), a.now, [kept(&a.replica)]).expect("as it is");
    for replica in [&loaded, &restored] {
        assert_eq!(replica.digest(), a.replica.digest());
        assert_eq!(replica.store().totals(), a.replica.store().totals());
        assert_eq!(kept(replica).entries, kept(&a.replica).entries);
        assert_eq!(replica.get("counter"), a.replica.get("counter"));
        assert!(replica.store().records_pushed() > 20);
    }
    let conflicts = |replica: &Replica| {
        let all = Scan::default();
        replica.scan(&all).filter(|item| item.siblings > 1).count()
    };
    assert!(conflicts(&loaded) > 20);
    assert_eq!(conflicts(&loaded), conflicts(&a.replica));
}

#[test]
fn what_is_no_replica_is_not_loaded() {
    let (driver, _) = stored();
    let author = driver.replica.author().expect("it has written");
    let dot = |n| Dot::new(author, n);
    type Case = (&'static str, fn(&mut Batch), RestoreError);
    let cases: [Case; 4] = [
        (
            "an entry twice",
            |kept| kept.entries.push(kept.entries[0].clone()),
            RestoreError::StoredBefore(dot(3)),
        ),
        (
            "no vector",
            |kept| kept.vector.clear(),
            RestoreError::NotCovered(dot(3)),
        ),
        (
            "an entry that another removes",
            |kept| kept.entries[0].removes = [kept.entries[1].dot].into(),
            RestoreError::NotRemoved(dot(2)),
        ),
        (
            "a key that is none",
            |kept| kept.entries[0].key = Key::from(""),
            RestoreError::KeyEmpty(dot(3)),
        ),
    ];
    for (name, damage, error) in cases {
        let mut batch = kept(&driver.replica);
        damage(&mut batch);
        let loaded = load(driver.now, batch).map(|replica| replica.len());
        assert_eq!(loaded, Err(error), "{name}");
    }
}
