//! Goal: what was added to a counter is in its value once, whoever added it, in whatever order it came; and what is no counter is left
//! alone. Method: replicas that add in turn, at once, and apart; the sum is read as any value is.

mod support;

use std::sync::Arc;

use gossipstore_core::{
    causality::{Body, Event as TxnEvent, Kind, Op, Txn, counter},
    id::AuthorId,
    replica::{Change, Command, CommandError, Input, Key, Replica, RestoreError, Scan, Shown, Write},
    sync::SessionError,
    time::Hlc,
    wire::{Gossip, WireError},
};
use support::{Driver, PEER, config, cut, gossip, join, put, put_in, settle};

const KEY: &str = "likes";

fn add(key: &str, amount: i64) -> Write {
    Write::Add {
        key: Key::from(key),
        amount,
    }
}

fn delete(key: &str) -> Write {
    Write::Delete {
        key: Key::from(key),
        context: None,
    }
}

fn count(driver: &mut Driver, amount: i64) {
    driver.transact([add(KEY, amount)]).expect("a valid addition");
}

/// What a replica reads, having checked that every way of reading says the same.
fn read(driver: &Driver) -> Option<i64> {
    let value = driver.replica.get(KEY);
    let scanned = driver.replica.scan(&Scan::default()).find(|item| &**item.key == KEY);
    assert_eq!(scanned.map(|item| item.body), value);
    let siblings = driver.replica.siblings(KEY).values;
    assert_eq!(siblings.first().map(|sibling| &sibling.body), value);
    assert_eq!(scanned.map_or(0, |item| item.siblings), siblings.len());
    value.map(|value| {
        counter::decode(value.here().expect("a counter stays in memory")).expect("a counter reads as an integer")
    })
}

fn entries(driver: &Driver) -> usize {
    driver.replica.siblings(KEY).context.dots().len()
}

fn sync(a: &mut Driver, b: &mut Driver) {
    join(a, b);
    settle(a, b);
    cut(a, b);
}

/// Two replicas that counted apart, and met.
fn met(first: i64, second: i64) -> (Driver, Driver) {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    count(&mut a, first);
    count(&mut b, second);
    sync(&mut a, &mut b);
    (a, b)
}

#[test]
fn what_two_replicas_add_at_once_is_summed_after_a_session() {
    let (a, b) = met(3, -5);
    for driver in [&a, &b] {
        assert_eq!((read(driver), entries(driver)), (Some(-2), 2));
        assert_eq!(driver.replica.siblings(KEY).values.len(), 1, "no conflict");
    }
}

#[test]
fn what_two_replicas_add_at_once_is_summed_by_gossip() {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    for amount in 1..=10 {
        count(&mut a, amount);
        count(&mut b, 100 * amount);
        gossip(&mut a, &mut b);
        gossip(&mut b, &mut a);
    }
    assert_eq!((read(&a), read(&b)), (Some(55 + 5_500), Some(55 + 5_500)));
    assert_eq!(entries(&a), 2);
}

#[test]
fn an_author_overwrites_its_own_subtotal_only() {
    let (mut a, mut b) = met(3, 5);
    count(&mut a, 10);
    assert_eq!((read(&a), entries(&a)), (Some(18), 2));
    let [entry] = &a.batches.last().expect("stored").entries[..] else {
        panic!("one event");
    };
    assert_eq!(
        (entry.kind, entry.body.here().and_then(|value| counter::decode(value))),
        (Kind::Counter, Some(13))
    );
    let [removed] = &entry.removes[..] else {
        panic!("one dot is overwritten");
    };
    assert_eq!(Some(removed.author), a.replica.author());
    // What the other adds meanwhile is not lost to it.
    count(&mut b, 100);
    sync(&mut a, &mut b);
    assert_eq!((read(&a), read(&b)), (Some(118), Some(118)));
}

#[test]
fn additions_of_a_transaction_are_summed_into_one_event() {
    let mut a = Driver::new(1);
    a.transact([add(KEY, 3), put("other", "1"), add(KEY, 4), add(KEY, -1)])
        .expect("valid");
    assert_eq!((read(&a), a.batches[0].entries.len()), (Some(6), 2));
    // The bounds count for the whole.
    a.transact([add("edge", i64::MAX), add("edge", -1)]).expect("valid");
    a.transact([add("edge", 1)]).expect("valid");
}

#[test]
fn a_restart_makes_a_new_author_and_keeps_the_total() {
    let (mut a, mut b) = met(3, 5);
    let restored = Replica::restore(config(3), a.now, a.batches.clone()).expect("a valid disk");
    a.replica = restored;
    assert_eq!(read(&a), Some(8), "a sum is read before anything is written");
    count(&mut a, 1);
    assert_eq!((read(&a), entries(&a)), (Some(9), 3));
    sync(&mut a, &mut b);
    assert_eq!(read(&b), Some(9));
}

#[test]
fn a_put_supersedes_a_counter_as_it_was_seen() {
    let (mut a, mut b) = met(3, 5);
    a.set(KEY, "closed");
    assert_eq!((a.get(KEY), entries(&a)), (Some("closed".into()), 1));
    b.now.0 += 1;
    count(&mut b, 2);
    sync(&mut a, &mut b);
    // The other had not seen the put: its subtotal and the value are concurrent, and the later shows.
    for driver in [&a, &b] {
        assert_eq!((read(driver), entries(driver)), (Some(7), 2));
        assert_eq!(driver.replica.siblings(KEY).values.len(), 2, "a conflict");
    }
    b.now.0 += 1;
    let context = b.replica.siblings(KEY).context;
    b.transact([put_in(KEY, "merged", Some(context))]).expect("valid");
    sync(&mut a, &mut b);
    assert_eq!((a.get(KEY), entries(&a)), (Some("merged".into()), 1));
}

#[test]
fn counters_below_a_plain_value_are_one_sibling() {
    let (mut a, mut b) = met(3, 5);
    let mut c = Driver::new(3);
    c.now.0 += 1;
    c.set(KEY, "other");
    sync(&mut b, &mut c);
    sync(&mut a, &mut b);
    for driver in [&a, &b, &c] {
        let siblings = driver.replica.siblings(KEY).values;
        let values: Vec<_> = siblings
            .iter()
            .map(|sibling| &**sibling.body.here().expect("it is in memory"))
            .collect();
        assert_eq!(values, [&b"other"[..], &[8]]);
        assert_eq!(driver.get(KEY), Some("other".into()));
        let scan = Scan::default();
        assert_eq!(driver.replica.scan(&scan).map(|item| item.siblings).next(), Some(2));
    }
}

#[test]
fn a_delete_spares_what_is_added_at_once() {
    let (mut a, mut b) = met(3, 5);
    a.transact([delete(KEY)]).expect("valid");
    assert_eq!(read(&a), None);
    count(&mut b, 2);
    sync(&mut a, &mut b);
    // The delete had seen a subtotal of 5 and nothing after it.
    assert_eq!((read(&a), read(&b)), (Some(7), Some(7)));
    // Who counts again after a delete begins at 0.
    a.transact([delete(KEY)]).expect("valid");
    count(&mut a, 4);
    assert_eq!(read(&a), Some(4));
}

#[test]
fn changes_show_the_sum() {
    let (mut a, mut b) = met(3, 5);
    let number = |number| Some(counter::encode(number));
    let read = |shown: Option<Shown>| shown.and_then(|shown| shown.body.here().cloned());
    let told = |changes: Vec<Vec<Change>>| {
        let changes = changes.concat().into_iter();
        changes
            .map(|change| (read(change.previous), read(change.value), change.siblings))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(a.changes()), [(None, number(3), 1), (number(3), number(8), 1)]);
    count(&mut a, 1);
    assert_eq!(told(a.changes()), [(number(8), number(9), 1)]);
    b.changes();
    gossip(&mut a, &mut b);
    assert_eq!(told(b.changes()), [(number(8), number(9), 1)]);
    b.transact([delete(KEY)]).expect("valid");
    assert_eq!(told(b.changes()), [(number(9), None, 0)]);
}

#[test]
fn a_sum_stays_in_range() {
    let (mut a, mut b) = met(i64::MAX, i64::MAX);
    assert_eq!(read(&a), Some(i64::MAX));
    count(&mut b, -i64::MAX);
    sync(&mut a, &mut b);
    assert_eq!(read(&a), Some(i64::MAX));
    count(&mut b, -9);
    assert_eq!(read(&b), Some(i64::MAX - 9));
}

#[test]
fn a_slice_shows_the_sum_of_before_until_all_is_there() {
    let mut a = Driver::with(gossipstore_core::replica::Config {
        slice_events: 1,
        ..config(1)
    });
    let (mut b, mut c) = (Driver::new(2), Driver::new(3));
    count(&mut a, 1);
    count(&mut b, 10);
    count(&mut c, 100);
    sync(&mut b, &mut c);
    join(&mut a, &mut b);
    let mut sums = Vec::new();
    while !a.sent.is_empty() || !b.sent.is_empty() {
        support::deliver(&mut a, &mut b);
        for (peer, frame) in std::mem::take(&mut b.sent) {
            a.turn(Input::Received { peer, frame });
            sums.push(read(&a));
            while a.replica.poll_timeout() == Some(gossipstore_core::time::Timestamp::default()) {
                a.turn(Input::Tick);
                sums.push(read(&a));
            }
        }
        b.feed(Input::Drained { peer: PEER });
    }
    sums.dedup();
    assert_eq!(sums, [Some(1), Some(111)]);
}

#[test]
fn clearing_takes_counters_with_it() {
    let (mut a, _) = met(3, 5);
    a.command(Command::Clear).expect("clear");
    assert_eq!((read(&a), entries(&a), a.replica.len()), (None, 0, 0));
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    let mut a = Driver::new(1);
    a.set("name", "value");
    count(&mut a, i64::MAX);
    let before = a.replica.vector().clone();
    let named = |key: &str| Key::from(key);
    for (writes, error) in [
        (
            vec![put("x", "1"), add("name", 1)],
            CommandError::NotACounter { key: named("name") },
        ),
        (vec![add("name", 1)], CommandError::NotACounter { key: named("name") }),
        (
            vec![add("y", 1), put("y", "1")],
            CommandError::CounterWritten { key: named("y") },
        ),
        (
            vec![put("y", "1"), add("y", 1)],
            CommandError::CounterWritten { key: named("y") },
        ),
        (
            vec![add("y", 1), delete("y")],
            CommandError::CounterWritten { key: named("y") },
        ),
        (vec![add(KEY, 1)], CommandError::CounterOverflow { key: named(KEY) }),
        (
            vec![put("x", "1"), add(KEY, 1)],
            CommandError::CounterOverflow { key: named(KEY) },
        ),
        (
            vec![add("y", i64::MIN), add("y", -1)],
            CommandError::CounterOverflow { key: named("y") },
        ),
        (vec![add("", 1)], CommandError::KeyEmpty),
    ] {
        assert_eq!(a.transact(writes), Err(error.clone()), "{error}");
        assert_eq!(*a.replica.vector(), before);
    }
    assert_eq!(a.replica.len(), 2);
}

#[test]
fn a_counter_that_is_no_integer_is_refused() {
    let mut a = Driver::new(1);
    join(&mut a, &mut Driver::new(2));
    let author = AuthorId([9; 16]);
    let event = TxnEvent {
        op: Op::Put {
            key: Key::from(KEY),
            value: Arc::from(&b"\x18\x01"[..]),
            kind: Kind::Counter,
        },
        removes: [].into(),
    };
    let txn = Txn {
        author,
        first: 1,
        hlc: Hlc(1),
        deps: [].into(),
        events: vec![event],
    };
    let dot = txn.last();
    let message = Gossip::encode(&txn, 1_000);
    a.feed(Input::Gossiped {
        peer: Some(PEER),
        message,
    });
    let refused = gossipstore_core::replica::Event::GossipRefused {
        peer: PEER,
        error: SessionError::Wire(WireError::CounterNotInteger(dot)),
    };
    assert!(a.events.contains(&refused));
    assert!(a.replica.is_empty() && a.replica.vector().is_empty());

    let mut b = Driver::new(2);
    count(&mut b, 1);
    let mut batches = b.batches.clone();
    batches[0].entries[0].body = Body::Here(Arc::from(&b"one"[..]));
    let dot = batches[0].entries[0].dot;
    let restored = Replica::restore(config(3), b.now, batches);
    assert_eq!(restored.err(), Some(RestoreError::CounterNotInteger(dot)));
}
