//! How long the engine holds its thread at a time, for every kind of work on a large store. A tab has one thread: a step longer
//! than half a frame of the screen is seen.
//!
//! All is done in several rounds, which do the same steps; each step counts with its shortest time, so that what else the machine
//! does is left out and what the engine does is not.

use std::time::Duration;

use cpu_time::ThreadTime;
use gossipstore_core::{
    replica::{Command, Config, Input},
    wire::TXN_EVENTS_MAX,
};
use serde_json::{Value, json};

use crate::{
    median,
    support::{
        authors,
        case::{Case, Kind, Order, Ring},
        node::{Node, PEER, Step, config, exchange, link, meet},
        workload::{delete, key, put, scattered, value},
    },
};

const ROUNDS: usize = 3;

/// A kind of work, each step that one or both engines did for it, and how long it took from beginning to end.
struct Work {
    what: &'static str,
    steps: Vec<Step>,
    total: Duration,
}

pub(crate) fn all(keys: usize) -> Vec<Value> {
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(keys)).collect();
    let mut works = rounds.pop().expect("there is a round");
    for (at, work) in works.iter_mut().enumerate() {
        for other in rounds.iter().map(|round| &round[at]) {
            assert_eq!(
                work.steps.len(),
                other.steps.len(),
                "each round does the same: {}",
                work.what
            );
            for (step, other) in work.steps.iter_mut().zip(&other.steps) {
                step.time = step.time.min(other.time);
            }
        }
    }
    let row = |(at, work): (usize, &Work)| {
        let totals = rounds.iter().map(|round| round[at].total).chain([work.total]);
        let longest = work.steps.iter().max_by_key(|step| step.time);
        json!({
            "work": work.what,
            "keys": keys,
            "steps": work.steps.len(),
            "longest": longest.map(|step| step.input),
            "longestMillis": longest.map(|step| millis(step.time)),
            "totalMillis": median(totals.map(millis).collect()),
        })
    };
    works.iter().enumerate().map(row).collect()
}

fn round(keys: usize) -> Vec<Work> {
    let mut works = Vec::new();
    // The one that forgets its dead events at once.
    let mut a = Node::with(Config {
        ring_records: 0,
        ..config(1)
    });
    let mut b = Node::new(2);
    a.fill(keys);
    let mut work = |what, a: &mut Node, b: &mut Node, run: &mut dyn FnMut(&mut Node, &mut Node)| {
        (a.steps, b.steps) = (Some(Vec::new()), Some(Vec::new()));
        let start = ThreadTime::now();
        run(a, b);
        let total = start.elapsed();
        let steps = [a, b].into_iter().filter_map(|node| node.steps.take()).flatten();
        works.push(Work {
            what,
            steps: steps.collect(),
            total,
        });
    };
    work("a fresh replica takes in the store", &mut a, &mut b, &mut |a, b| {
        meet(a, b);
    });
    let changes = |changes, ring| Case {
        keys,
        changes,
        kind: Kind::Mixed,
        order: Order::Scattered,
        ring,
    };
    let make = |case: Case, node: &mut Node| case.writes().for_each(|write| node.transact(vec![write]));
    work("10,000 changes, each a transaction", &mut a, &mut b, &mut |_, b| {
        make(changes(10_000, Ring::Kept), b);
    });
    work("a session with them, ring kept", &mut a, &mut b, &mut |a, b| {
        meet(a, b);
    });
    make(changes(10_000, Ring::Lost), &mut a);
    work("a session with as many, ring lost", &mut a, &mut b, &mut |a, b| {
        meet(a, b);
    });
    work("gossip of 500 writes", &mut a, &mut b, &mut |a, b| {
        a.gossip = Some(Vec::new());
        a.transact((0..500).map(|i| put(key(scattered(i, keys)), value(i))).collect());
        authors::hear(b, &a.gossip.take().unwrap_or_default());
        assert_eq!(a.replica.digest(), b.replica.digest(), "gossip has carried it");
    });
    for i in 0..20_000 {
        a.transact(vec![put(key(scattered(i, keys)), value(keys + i))]);
    }
    work(
        "a put while 20,000 events are merged",
        &mut a,
        &mut b,
        &mut put_while_merging,
    );
    work("a transaction of 65,536 writes", &mut a, &mut b, &mut |a, _| {
        let writes = (0..TXN_EVENTS_MAX.min(keys)).map(|i| put(key(scattered(i, keys)), value(i)));
        a.transact(writes.collect());
    });
    work("a transaction of 65,536 deletes", &mut a, &mut b, &mut |_, b| {
        let deletes = (0..TXN_EVENTS_MAX.min(keys)).map(|i| delete(key(scattered(i, keys))));
        b.transact(deletes.collect());
    });
    work("a session with both transactions", &mut a, &mut b, &mut |a, b| {
        meet(a, b);
    });
    work("clear", &mut a, &mut b, &mut |a, _| a.command(Command::Clear));
    work("a session with the clear", &mut a, &mut b, &mut |a, b| {
        meet(a, b);
    });
    assert!(b.replica.is_empty());
    works
}

/// `b` writes as soon as it has begun to merge what `a` has written.
fn put_while_merging(a: &mut Node, b: &mut Node) {
    link(a, b);
    let mut has_put = false;
    while !has_put {
        let frames = b.take_sent();
        frames
            .into_iter()
            .for_each(|frame| a.feed(Input::Received { peer: PEER, frame }));
        let frames = a.take_sent();
        assert!(!frames.is_empty(), "a session comes to its merge");
        for frame in frames {
            b.turn(Input::Received { peer: PEER, frame });
            if !has_put && b.is_busy() {
                b.transact(vec![put(key(0), value(0))]);
                has_put = true;
            }
        }
    }
    while exchange(a, b) > 0 {}
    a.feed(Input::PeerDown { peer: PEER });
    b.feed(Input::PeerDown { peer: PEER });
    meet(a, b);
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
