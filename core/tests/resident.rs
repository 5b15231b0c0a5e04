//! Goal: however little memory the values have, a store reads, syncs, is tidied up and is opened again as if all were there; and a value
//! that the disk has lost is live, and comes back from a peer. Method: a replica with room for few of its values, beside its disk.

mod support;

use std::collections::BTreeMap;

use gossipstore_core::{
    cache::Limits,
    disk::{INLINE_BYTES_MAX, Leisure, Reading, Sizes},
    id::ContentHash,
    replica::{Absent, BatchId, Body, Config, Input, Item, Opening, Scan, Value},
};
use support::{
    Driver, config, cut, deliver, join,
    kept::{Kept, Records, SMALL, delete, put, store},
};

/// Room for a tenth of what the tests write.
fn tight() -> Config {
    Config {
        values: Limits::new(None, Some(ROOM)).expect("there is some"),
        ..config(1)
    }
}

const ROOM: u64 = 4_000;

/// A value that tells which it is.
fn value(n: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (n * 31 + at) as u8).collect()
}

/// Two hundred values, a few of them large.
fn length(n: usize) -> usize {
    if n % 50 == 7 { INLINE_BYTES_MAX + n } else { 150 + n }
}

fn filled(sizes: Sizes) -> Kept {
    let mut kept = Kept::with(tight(), sizes);
    for n in 0..200 {
        kept.transact([put(format!("key/{n:03}"), value(n, length(n)))]);
        kept.flush(false);
    }
    kept.settle();
    kept
}

/// What each value is, short enough to be printed.
fn print(value: &[u8]) -> (usize, ContentHash) {
    (value.len(), ContentHash::of(value))
}

type Prints = BTreeMap<String, Option<(usize, ContentHash)>>;

/// What is shown, with what is not in memory read from the disk.
fn read(kept: &Kept) -> Prints {
    let all = Scan::default();
    let items = kept.driver.replica.scan(&all);
    let value = |item: Item<'_>| {
        let absent = Absent::of(item.dot, item.key, item.body);
        let value = absent.map_or_else(|| item.body.here().cloned(), |absent| kept.read(&absent));
        (item.key.to_string(), value.map(|value| print(&value)))
    };
    items.map(value).collect()
}

fn expected() -> Prints {
    let entry = |n: usize| (format!("key/{n:03}"), Some(print(&value(n, length(n)))));
    (0..200).map(entry).collect()
}

fn absent(kept: &Kept) -> Vec<Absent> {
    let all = Scan::default();
    let items = kept.driver.replica.scan(&all);
    items
        .filter_map(|item| Absent::of(item.dot, item.key, item.body))
        .collect()
}

/// Gives the replica what its sessions want.
fn load(kept: &mut Kept) -> usize {
    let loads = std::mem::take(&mut kept.driver.loads);
    let count = loads.iter().map(|(_, absent)| absent.len()).sum();
    for (peer, absent) in loads {
        let values = absent.iter().map(|absent| (absent.dot, kept.read(absent))).collect();
        let peer = Some(peer);
        kept.driver.feed(Input::Loaded { peer, values });
    }
    count
}

/// What a sync has taken.
#[derive(Default)]
struct Cost {
    /// Values that were read.
    loaded: usize,
    /// Bytes of frames.
    bytes: usize,
}

/// Has a replica sync with another that has no disk.
fn sync(kept: &mut Kept, other: &mut Driver) -> Cost {
    join(&mut kept.driver, other);
    let mut cost = Cost::default();
    while !is_quiet(&kept.driver) || !is_quiet(other) {
        cost.bytes += sent_bytes(&kept.driver) + sent_bytes(other);
        deliver(&mut kept.driver, other);
        deliver(other, &mut kept.driver);
        cost.loaded += load(kept);
        load_nothing(other);
    }
    cut(&mut kept.driver, other);
    cost
}

/// Has two sync that have no disk.
fn sync_without_disks(one: &mut Driver, other: &mut Driver) {
    join(one, other);
    while !is_quiet(one) || !is_quiet(other) {
        deliver(one, other);
        deliver(other, one);
        load_nothing(one);
        load_nothing(other);
    }
    cut(one, other);
}

fn is_quiet(driver: &Driver) -> bool {
    driver.sent.is_empty() && driver.loads.is_empty()
}

fn sent_bytes(driver: &Driver) -> usize {
    driver.sent.iter().map(|(_, frame)| frame.len()).sum()
}

/// What is not in memory is lost.
fn load_nothing(driver: &mut Driver) {
    for (peer, absent) in std::mem::take(&mut driver.loads) {
        let values = absent.iter().map(|absent| (absent.dot, None)).collect();
        let peer = Some(peer);
        driver.feed(Input::Loaded { peer, values });
    }
}

/// How many values have come back to a replica.
fn healed(driver: &Driver) -> usize {
    driver.batches.iter().map(|batch| batch.healed.len()).sum()
}

/// The first page but one.
fn page(kept: &Kept) -> Vec<u8> {
    let mut pages = kept.records.keys().filter(|key| key[0] == 3 && key.len() > 1);
    pages.next().cloned().expect("there are pages")
}

/// What is not in memory and cannot be read.
fn unreadable(kept: &Kept) -> Vec<Absent> {
    absent(kept)
        .into_iter()
        .filter(|absent| kept.read(absent).is_none())
        .collect()
}

fn opened(records: &Records, config: Config, sizes: Sizes) -> Kept {
    let mut kept = Kept::with(config.clone(), sizes);
    // Large values are read when they are wanted.
    let read = records.iter().filter(|(key, _)| key[0] < 4);
    let opening = Opening::new(config, kept.driver.now, Reading::new(store(), sizes)).of(read);
    let opened = opening.expect("an undamaged disk").expect("there is a replica");
    (kept.driver.replica, kept.disk) = (opened.replica, opened.disk);
    kept.records = records.clone();
    kept
}

#[test]
fn what_has_no_room_is_read_from_the_disk() {
    for sizes in [SMALL, Sizes::within(&tight().values)] {
        let kept = filled(sizes);
        assert_eq!(read(&kept), expected());
        let resident = kept.driver.replica.store().resident_bytes();
        assert!(resident <= ROOM, "{resident}");
        assert!(absent(&kept).len() > 150, "{}", absent(&kept).len());
    }
}

#[test]
fn what_is_not_on_the_disk_stays_and_counts() {
    let mut kept = filled(Sizes::default());
    let before = absent(&kept).len();
    for n in 0..10 {
        kept.transact([put(format!("new/{n}"), value(n, 1_000))]);
    }
    let resident = |kept: &Kept| kept.driver.replica.store().resident_bytes();
    assert_eq!(
        absent(&kept).len(),
        200,
        "none of the others has room, and there were {before}"
    );
    assert!(resident(&kept) > 10_000);
    // The journal has them; a page has not.
    kept.flush(false);
    assert!(resident(&kept) > 10_000);
    kept.settle();
    assert!(resident(&kept) <= ROOM, "{}", resident(&kept));
}

#[test]
fn those_that_were_read_last_stay() {
    let mut kept = filled(SMALL);
    let wanted: Vec<Absent> = absent(&kept).into_iter().take(5).collect();
    let values = wanted.iter().map(|absent| (absent.dot, kept.read(absent))).collect();
    kept.driver.feed(Input::Loaded { peer: None, values });
    let here = |kept: &Kept, absent: &Absent| {
        kept.driver
            .replica
            .get(&absent.key)
            .is_some_and(|body| body.here().is_some())
    };
    assert!(wanted.iter().all(|absent| here(&kept, absent)));
    for n in 0..100 {
        kept.driver.replica.touch(wanted[..2].iter().map(|absent| &absent.dot));
        kept.transact([put(format!("new/{n}"), value(n, 300))]);
        kept.settle();
    }
    let stayed: Vec<bool> = wanted.iter().map(|absent| here(&kept, absent)).collect();
    assert_eq!(stayed, [true, true, false, false, false]);
}

#[test]
fn a_session_brings_what_is_on_the_disk() {
    let (mut kept, mut other) = (filled(SMALL), Driver::new(2));
    let cost = sync(&mut kept, &mut other);
    assert!(cost.loaded > 150, "{}", cost.loaded);
    let items = Scan::default();
    let items = other.replica.scan(&items);
    let read: BTreeMap<_, _> = items
        .map(|item| (item.key.to_string(), item.body.here().map(|value| print(value))))
        .collect();
    assert_eq!(read, expected());
    assert!(kept.driver.replica.store().resident_bytes() <= ROOM);
}

#[test]
fn a_session_goes_on_when_what_it_wanted_to_read_has_died() {
    let (mut kept, mut other) = (filled(SMALL), Driver::new(2));
    join(&mut kept.driver, &mut other);
    while kept.driver.loads.is_empty() {
        deliver(&mut kept.driver, &mut other);
        deliver(&mut other, &mut kept.driver);
    }
    let wanted = kept.driver.loads[0].1[0].clone();
    kept.transact([delete(&wanted.key)]);
    kept.settle();
    assert_eq!(kept.read(&wanted), None);
    while !kept.driver.sent.is_empty() || !other.sent.is_empty() || !kept.driver.loads.is_empty() {
        load(&mut kept);
        deliver(&mut kept.driver, &mut other);
        deliver(&mut other, &mut kept.driver);
    }
    assert_eq!(other.replica.len(), 199);
    assert_eq!(other.replica.digest(), kept.driver.replica.digest());
}

#[test]
fn pages_are_written_anew_with_what_they_held() {
    let mut kept = filled(SMALL);
    for n in 0..300_usize {
        match n % 3 {
            0 => kept.transact([delete(format!("key/{:03}", n * 7 % 200))]),
            1 => kept.transact([put(format!("key/{:03}x", n * 11 % 200), value(n, 100))]),
            _ => kept.transact([put(format!("key/{:03}", n * 13 % 200), value(n, 100))]),
        }
        kept.flush(n % 2 == 0);
    }
    kept.settle();
    assert!(read(&kept).values().all(Option::is_some));
    assert!(absent(&kept).len() > 100);
    let again = opened(&kept.records, tight(), SMALL);
    assert_eq!(read(&again), read(&kept));
    let resident = again.driver.replica.store().resident_bytes();
    assert!(resident <= ROOM, "{resident}");
}

#[test]
fn the_journal_is_bounded_however_long_what_is_not_in_memory_is_written_over() {
    let sizes = Sizes {
        page_entries: 256,
        page_bytes: 8_000,
        tidied_bytes: 8_000,
        tidied_bytes_max: 1_000_000,
        ..SMALL
    };
    let mut kept = Kept::with(tight(), sizes);
    for n in 0..2_000 {
        kept.transact([put(format!("key/{n:04}"), value(n, 150))]);
        kept.flush(false);
    }
    kept.settle();
    let mut longest = 0;
    for n in 0..1_000 {
        // Four at a time, none near another.
        kept.transact((0..4).map(|k| put(format!("key/{:04}", (n * 4 + k) * 787 % 2_000), value(n, 150))));
        kept.flush(false);
        let journal = kept.records.iter().filter(|(key, _)| key[0] == 1);
        longest = longest.max(journal.map(|(_, record)| record.len()).sum::<usize>());
    }
    assert!(longest < 4 * sizes.journal_bytes_max, "{longest}");
    let resident = kept.driver.replica.store().resident_bytes();
    assert!(resident < 4 * sizes.journal_bytes_max as u64, "{resident}");
}

#[test]
fn equal_siblings_are_one_wherever_their_values_are() {
    let mut kept = filled(SMALL);
    for (n, same) in [(3, true), (57, false)] {
        let mut other = Driver::new(4 + n as u8);
        let key = format!("key/{n:03}");
        let written = if same { value(n, length(n)) } else { value(1, 100) };
        other.transact([put(&key, written)]).expect("a valid write");
        assert!(kept.driver.replica.get(&key).is_some_and(|body| body.here().is_none()));
        kept.driver.changes();
        sync(&mut kept, &mut other);
        let changed = kept.driver.changes().concat();
        let siblings = kept.driver.replica.siblings(&key);
        assert_eq!(
            (siblings.values.len(), changed.len()),
            if same { (1, 0) } else { (2, 1) }
        );
        assert_eq!(siblings.context.dots().len(), 2);
    }
}

#[test]
fn a_value_that_the_disk_has_lost_is_live_and_comes_back_from_a_peer() {
    let (mut kept, mut other) = (filled(SMALL), Driver::new(2));
    sync(&mut kept, &mut other);
    // The large values, and a page of small ones that are not in memory.
    kept.records.retain(|key, _| key[0] != 4);
    let mut kept = opened(&kept.records, tight(), SMALL);
    let page = page(&kept);
    kept.records.remove(&page);
    let lost = unreadable(&kept);
    assert!(lost.len() >= 4, "{lost:?}");
    assert_eq!(kept.driver.replica.len(), 200, "it is no deletion");

    // A peer that lacks all of it gets the rest, and the entries.
    let mut third = Driver::new(3);
    sync(&mut kept, &mut third);
    assert_eq!(third.replica.digest(), other.replica.digest());
    let missing = |driver: &Driver| {
        let all = Scan::default();
        let items = driver.replica.scan(&all);
        items.filter(|item| item.body.here().is_none()).count()
    };
    assert_eq!(missing(&third), lost.len());

    // Each is brought once, and with them nothing that was seen.
    kept.driver.changes();
    third.changes();
    sync(&mut kept, &mut other);
    assert_eq!(healed(&kept.driver), lost.len());
    sync(&mut kept, &mut third);
    assert_eq!((healed(&third), missing(&third)), (lost.len(), 0));
    for changes in [kept.driver.changes(), third.changes()] {
        assert_eq!(changes.concat(), [], "nothing reads differently");
    }
    kept.settle();
    assert_eq!(read(&kept), expected());
    assert_eq!(read(&opened(&kept.records, tight(), SMALL)), expected());
    for replica in [&kept.driver.replica, &third.replica] {
        assert_eq!(replica.digest(), other.replica.digest());
    }
    let cost = sync(&mut kept, &mut other);
    assert_eq!(cost.loaded, 0, "what has come back is not asked for again");
    assert!(cost.bytes < 200, "{}", cost.bytes);
}

#[test]
fn a_value_that_nobody_has_any_more_stops_nobody() {
    let mut kept = filled(SMALL);
    kept.records.retain(|key, _| key[0] != 4);
    let mut kept = opened(&kept.records, tight(), SMALL);
    let (mut third, mut fourth) = (Driver::new(3), Driver::new(4));
    sync(&mut kept, &mut third);
    // From a peer that never had it, too; a large value of its own is not affected.
    third.transact([put("own", value(3, 40_000))]).expect("a valid write");
    sync_without_disks(&mut third, &mut fourth);
    sync(&mut kept, &mut fourth);
    for driver in [&kept.driver, &third, &fourth] {
        assert_eq!(driver.replica.len(), 201);
        assert_eq!(driver.replica.digest(), third.replica.digest());
        let lost = [7, 57, 107, 157].map(|n| driver.replica.get(&format!("key/{n:03}")).expect("it is live").len());
        assert_eq!(lost, [7, 57, 107, 157].map(length));
    }
    // It can be written over and deleted.
    kept.transact([put("key/007", vec![1; 50]), delete("key/057")]);
    sync(&mut kept, &mut fourth);
    assert_eq!(fourth.replica.len(), 200);
    assert_eq!(fourth.replica.get("key/007").map(Body::len), Some(50));
}

#[test]
fn a_value_that_has_come_back_stays_when_the_disk_is_opened_again_at_once() {
    let (mut kept, mut other) = (filled(SMALL), Driver::new(2));
    sync(&mut kept, &mut other);
    let page = page(&kept);
    kept.records.remove(&page);
    let lost = unreadable(&kept);
    let values = lost.iter().map(|absent| (absent.dot, None)).collect();
    kept.driver.feed(Input::Loaded { peer: None, values });
    // It is written anew, and says what its values must be.
    let neighbour = format!("{}x", lost[0].key);
    kept.transact([put(&neighbour, vec![1; 50])]);
    kept.settle();
    assert_eq!(unreadable(&kept), lost);
    sync(&mut kept, &mut other);
    assert_eq!(healed(&kept.driver), lost.len());
    kept.flush(false);
    let mut again = read(&opened(&kept.records, tight(), SMALL));
    assert!(again.remove(&neighbour).is_some());
    assert_eq!(again, expected());
}

#[test]
fn what_was_there_before_a_change_can_be_read_for_a_while() {
    let mut kept = filled(SMALL);
    let keys = ["key/003", "key/057"];
    kept.driver.changes();
    for key in keys {
        kept.transact([put(key, vec![1; 100])]);
    }
    kept.flush(false);
    for (change, n) in kept.driver.changes().concat().iter().zip([3, 57]) {
        let before = change.previous.as_ref().expect("there was something");
        let absent = Absent::of(before.dot, &change.key, &before.body).expect("it was not in memory");
        assert_eq!(kept.read(&absent), Some(Value::from(value(n, length(n)))));
    }
    kept.settle();
    let bodies = kept.records.keys().filter(|key| key[0] == 4).count();
    assert_eq!(bodies, 3, "what is large and dead goes in the end");
}

#[test]
fn a_failed_transaction_makes_room_when_it_is_tried_again() {
    let mut kept = filled(SMALL);
    kept.transact([delete("key/057")]);
    let deletion = kept.driver.batches.last().expect("the deletion").clone();
    kept.disk.take(BatchId(999), deletion);
    let replica = &kept.driver.replica;
    let bodies = |transaction: &gossipstore_core::disk::Transaction| {
        let changes = transaction.changes.iter();
        changes.filter(|(key, record)| key[0] == 4 && record.is_none()).count()
    };
    let (_, first) = kept.disk.next(replica.store(), Leisure::None).expect("the deletion");
    assert_eq!(bodies(&first), 0);
    let (last, more) = kept.disk.next(replica.store(), Leisure::Again).expect("more room");
    assert_eq!((last, bodies(&more)), (None, 1));
}

#[test]
fn short_values_and_counters_are_part_of_the_index() {
    let mut kept = Kept::with(tight(), SMALL);
    for n in 0..500 {
        kept.transact([put(format!("{n}"), value(n, 36))]);
    }
    kept.settle();
    assert_eq!(
        (absent(&kept).len(), kept.driver.replica.store().resident_bytes()),
        (0, 0)
    );
    assert!(
        kept.driver
            .replica
            .get("7")
            .is_some_and(|body| matches!(body, Body::Here(_)))
    );
}
