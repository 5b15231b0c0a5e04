//! Goal: what storage kept is a replica again, or an error says why it is none. Method: one history, damaged in one way each.

mod support;

use gossipstore_core::{
    causality::Frontier,
    id::{AuthorId, Dot},
    replica::{Key, Replica, RestoreError},
    store::{Batch, Removed},
    wire::DOT_NUMBER_MAX,
};
use support::{Driver, config};

/// A key written, another written, the first overwritten.
fn stored() -> (Driver, Vec<Batch>) {
    let mut driver = Driver::new(1);
    driver.set("a", "1");
    driver.set("b", "2");
    driver.set("a", "3");
    let batches = driver.batches.clone();
    (driver, batches)
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
            |disk| disk[0].frontier = Frontier::new([Dot::new(AuthorId([7; 16]), 1)]),
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
