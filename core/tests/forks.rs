//! Goal: two transactions under one dot are noticed, told, kept, and settled the same way on every replica; and who is accused of them
//! in vain loses nothing. Method: a member without scruples, whose two transactions go to different replicas.

mod support;

use std::time::Duration;

use gossipstore_core::{
    causality::{Event as Made, Fork, Found, Kind, Op, Tip, Tips, Txn, TxnHasher, Value},
    id::{AuthorId, Dot, Peer, TxnHash},
    replica::{Event, Input, Key},
    store::StoredEntry,
    time::Hlc,
    wire::Gossip,
};
use support::{Driver, PEER, cut, join, settle};

const LIAR: AuthorId = AuthorId([0xee; 16]);

/// A transaction of the liar: a put under `key` that removes a dot.
fn txn(n: u64, deps: impl Into<Tips>, key: &str, value: &str, removes: impl IntoIterator<Item = Dot>) -> Txn {
    let op = Op::Put {
        key: Key::from(key),
        value: Value::from(value.as_bytes()),
        kind: Kind::Value,
    };
    let removes = removes.into_iter().collect();
    Txn {
        author: LIAR,
        first: n,
        hlc: Hlc(1_700_000_000_000 << 16),
        deps: deps.into(),
        events: vec![Made { op, removes }],
    }
}

fn tip(txn: &Txn) -> Tip {
    Tip {
        dot: txn.last(),
        hash: TxnHasher::of(txn),
    }
}

fn hear(driver: &mut Driver, txn: &Txn) {
    let message = Gossip::encode(txn, 60_000);
    driver.feed(Input::Gossiped { peer: None, message });
}

/// The forks that callers were told of.
fn told(driver: &Driver) -> Vec<Fork> {
    let forks = driver.events.iter().filter_map(|event| match event {
        Event::Forked(fork) => Some(*fork),
        _ => None,
    });
    forks.collect()
}

fn no_failures(driver: &Driver) {
    let failed = |event: &&Event| matches!(event, Event::SessionFailed { .. });
    assert_eq!(driver.events.iter().find(failed), None);
}

/// Lets two replicas find out what they have to.
fn meet(a: &mut Driver, b: &mut Driver) {
    for _ in 0..40 {
        a.pass(Duration::from_secs(1));
        b.pass(Duration::from_secs(1));
        settle(a, b);
    }
}

/// All that is live, with its value.
fn contents(driver: &Driver) -> Vec<(Dot, StoredEntry)> {
    let store = driver.replica.store();
    let dots: Vec<Dot> = driver.replica.live_dots().collect();
    let entries = dots.iter().map(|dot| {
        let mut live = store.live(dot.author, dot.n - 1, dot.n);
        let entry = live.next().expect("it is live");
        let stored = StoredEntry {
            dot: *dot,
            key: entry.key.clone(),
            body: entry.body.clone(),
            kind: entry.kind,
            hlc: entry.hlc,
            removes: entry.removes,
        };
        (*dot, stored)
    });
    entries.collect()
}

/// Until each has compared its entries with the other's, as it does now and then.
fn meet_for_long(a: &mut Driver, b: &mut Driver) {
    (0..8).for_each(|_| meet(a, b));
}

fn meet_for_a_while(a: &mut Driver, b: &mut Driver) {
    join(a, b);
    meet(a, b);
    cut(a, b);
}

fn assert_settled(a: &Driver, b: &Driver) {
    for driver in [a, b] {
        no_failures(driver);
        assert_eq!(told(driver).len(), 1, "once");
    }
    assert_eq!(a.replica.vector(), b.replica.vector());
    assert_eq!(a.replica.frontier(), b.replica.frontier());
    assert_eq!(contents(a), contents(b));
}

#[test]
fn a_second_transaction_under_a_dot_is_noticed_when_it_comes() {
    let mut a = Driver::new(1);
    let (one, other) = (txn(1, [], "k", "one", []), txn(1, [], "k", "other", []));
    hear(&mut a, &one);
    hear(&mut a, &one);
    assert_eq!(told(&a), []);
    // Also when another transaction follows it by now.
    a.set("mine", "1");
    hear(&mut a, &other);
    let (low, high) = (
        tip(&one).hash.min(tip(&other).hash),
        tip(&one).hash.max(tip(&other).hash),
    );
    let fork = Fork {
        dot: one.last(),
        found: Found::Transactions(low, high),
    };
    assert_eq!(told(&a), [fork]);
    hear(&mut a, &other);
    assert_eq!(told(&a), [fork], "once an author");
    assert_eq!(a.batches.last().expect("it is stored").forks, [fork]);
    // What was seen first stands until it is compared.
    assert_eq!(a.get("k"), Some("one".into()));
}

#[test]
fn a_transaction_that_depends_on_another_of_the_same_dot_gives_it_away() {
    let mut a = Driver::new(1);
    let (one, other) = (txn(1, [], "k", "one", []), txn(1, [], "k", "other", []));
    hear(&mut a, &one);
    hear(&mut a, &txn(2, [tip(&other)], "l", "2", []));
    assert_eq!(told(&a).len(), 1);
    assert_eq!(a.get("l"), Some("2".into()));
}

#[test]
fn replicas_that_were_told_different_things_end_with_the_same() {
    let [mut a, mut b] = [Driver::new(1), Driver::new(2)];
    a.set("honest", "kept");
    let honest = a.replica.live_dots().next().expect("it is live");
    let seen = a.replica.frontier()[0];
    let message = a.gossip.pop_front().expect("it was told");
    b.feed(Input::Gossiped { peer: None, message });
    // One removes what the other leaves; both put something under the dot of theirs, and go on.
    let (one, other) = (txn(1, [seen], "k", "one", [honest]), txn(1, [seen], "l", "other", []));
    hear(&mut a, &one);
    hear(&mut b, &other);
    hear(&mut a, &txn(2, [tip(&one)], "m", "same", []));
    hear(&mut b, &txn(2, [tip(&other)], "m", "same", []));
    a.set("from a", "a");
    b.set("from b", "b");
    join(&mut a, &mut b);
    meet_for_long(&mut a, &mut b);
    assert_settled(&a, &b);
    // What one of the two has removed is removed, and what is not the same under one dot is gone.
    for driver in [&a, &b] {
        assert_eq!(
            (driver.get("k"), driver.get("l"), driver.get("honest")),
            (None, None, None)
        );
        assert_eq!(driver.get("m"), Some("same".into()));
        assert_eq!(
            (driver.get("from a"), driver.get("from b")),
            (Some("a".into()), Some("b".into()))
        );
    }
}

#[test]
fn a_fork_that_lies_under_what_both_have_seen_since_is_found_when_entries_are_compared() {
    let [mut a, mut b] = [Driver::new(1), Driver::new(2)];
    let (one, other) = (txn(1, [], "k", "one", []), txn(1, [], "k", "other", []));
    hear(&mut a, &one);
    // A session brings what follows the other, so that nothing of it is left to be seen.
    hear(&mut b, &other);
    hear(&mut b, &txn(2, [tip(&other)], "l", "2", []));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    assert_eq!(a.replica.vector(), b.replica.vector());
    meet_for_long(&mut a, &mut b);
    assert_settled(&a, &b);
    for driver in [&a, &b] {
        assert_eq!((driver.get("k"), driver.get("l")), (None, Some("2".into())));
        assert!(matches!(told(driver)[0].found, Found::Events(..)));
    }
}

#[test]
fn what_a_replica_in_between_has_settled_reaches_those_who_never_meet() {
    let [mut a, mut b, mut c] = [Driver::new(1), Driver::new(2), Driver::new(3)];
    let (one, other) = (txn(1, [], "k", "one", []), txn(1, [], "k", "other", []));
    hear(&mut a, &one);
    hear(&mut b, &one);
    hear(&mut c, &other);
    for _ in 0..3 {
        meet_for_a_while(&mut a, &mut b);
        meet_for_a_while(&mut b, &mut c);
    }
    assert_settled(&a, &b);
    assert_eq!(contents(&b), contents(&c));
    assert_eq!(a.get("k"), None);
}

#[test]
fn an_accusation_costs_the_accused_nothing() {
    let [mut a, mut b] = [Driver::new(1), Driver::new(2)];
    a.set("k", "kept");
    let honest = a.replica.frontier()[0];
    let message = a.gossip.pop_front().expect("it was told");
    b.feed(Input::Gossiped { peer: None, message });
    // Says that the author of the honest transaction has made another under its dot.
    let accused = Tip {
        hash: TxnHash([9; 16]),
        ..honest
    };
    hear(&mut b, &txn(1, [accused], "l", "lie", []));
    assert_eq!(told(&b).len(), 1);
    join(&mut a, &mut b);
    meet(&mut a, &mut b);
    assert_settled(&a, &b);
    for driver in [&a, &b] {
        assert_eq!(
            (driver.get("k"), driver.get("l")),
            (Some("kept".into()), Some("lie".into()))
        );
    }
    // The accused goes on under another name, and quietly.
    a.set("k", "again");
    settle(&mut a, &mut b);
    meet(&mut a, &mut b);
    assert_eq!(b.get("k"), Some("again".into()));
    a.sent.clear();
    b.sent.clear();
    let quiet = |driver: &mut Driver| {
        driver.pass(Duration::from_secs(30));
        driver.sent.len()
    };
    assert_eq!(quiet(&mut a) + quiet(&mut b), 0, "frames once all is settled");
    assert_ne!(a.replica.author(), Some(honest.dot.author));
}

#[test]
fn a_peer_that_comes_back_is_not_asked_again_and_again() {
    let [mut a, mut b] = [Driver::new(1), Driver::new(2)];
    let (one, other) = (txn(1, [], "k", "one", []), txn(1, [], "k", "other", []));
    hear(&mut a, &one);
    hear(&mut b, &other);
    join(&mut a, &mut b);
    meet(&mut a, &mut b);
    assert_settled(&a, &b);
    let mut bytes = 0;
    for _ in 0..60 {
        a.pass(Duration::from_millis(500));
        b.pass(Duration::from_millis(500));
        bytes += settle(&mut a, &mut b);
    }
    assert_eq!(bytes, 0, "bytes in half a minute of silence");
}

/// Delivers the next frame of one of three replicas, of which the first is linked to the others as peers 1 and 2. Returns whether there was
/// one.
fn step(mesh: &mut [Driver; 3], from: usize) -> bool {
    let Some((peer, frame)) = mesh[from].sent.pop_front() else {
        return false;
    };
    let (to, as_peer) = match from {
        0 => (peer.0 as usize, PEER),
        from => (0, Peer(from as u64)),
    };
    mesh[to].feed(Input::Received { peer: as_peer, frame });
    if mesh[from].sent.iter().all(|(other, _)| *other != peer) {
        mesh[from].feed(Input::Drained { peer });
    }
    true
}

#[test]
fn comparing_with_two_at_once_takes_out_nothing_but_what_differs() {
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for round in 0..60 {
        let mut mesh = [Driver::new(1), Driver::new(2), Driver::new(3)];
        let (one, other) = (txn(1, [], "k", "one", []), txn(1, [], "k", "other", []));
        hear(&mut mesh[0], &one);
        hear(&mut mesh[1], &other);
        hear(&mut mesh[2], &other);
        // The same for all, whatever it depends on.
        let mut last = Tip {
            hash: TxnHash::UNKNOWN,
            ..tip(&one)
        };
        for n in 2..40 {
            let next = txn(n, [last], &format!("key {n}"), "same", []);
            mesh.iter_mut().for_each(|driver| hear(driver, &next));
            last = tip(&next);
        }
        for peer in 1..3 {
            mesh[0].feed(Input::PeerUp { peer: Peer(peer) });
            mesh[peer as usize].feed(Input::PeerUp { peer: PEER });
        }
        for _ in 0..600 {
            while mesh.iter().any(|driver| !driver.sent.is_empty()) {
                step(&mut mesh, random(3) as usize);
            }
            mesh.iter_mut().for_each(|driver| driver.pass(Duration::from_secs(1)));
        }
        for (at, driver) in mesh.iter().enumerate() {
            assert_eq!(driver.get("k"), None, "replica {at} in round {round}");
            for n in 2..40 {
                let shown = driver.get(&format!("key {n}"));
                assert_eq!(
                    shown.as_deref(),
                    Some("same"),
                    "key {n} of replica {at} in round {round}"
                );
            }
        }
    }
}
