//! Goal: what differs is found at a small cost when it cannot be told directly: removals that nobody remembers, vectors of very
//! many authors, entries that storage has lost. Method: two replicas, frames delivered by hand and counted by kind.

mod support;

use std::{collections::BTreeMap, time::Duration};

use gossipstore_core::{
    causality::{Event, Kind, Op, Txn},
    id::AuthorId,
    replica::{self, Config, Input, Value},
    sync::SessionError,
    time::Hlc,
    wire::{Frame, Gossip},
};
use support::{Driver, PEER, config, cut, deliver, join, settle};

/// What crossed: frames and bytes, by kind.
#[derive(Default, Debug)]
struct Crossed {
    frames: BTreeMap<&'static str, usize>,
    bytes: usize,
}

fn kind(frame: &[u8]) -> &'static str {
    match Frame::parse(frame).expect("honest frames") {
        Frame::Hello(_) => "HELLO",
        Frame::Have { .. } => "HAVE",
        Frame::Events { .. } => "EVENTS",
        Frame::Want { .. } => "WANT",
        Frame::Body { .. } => "BODY",
        Frame::Leaves { .. } => "LEAVES",
        Frame::Ask { .. } => "ASK",
        Frame::Vector { .. } => "VECTOR",
        Frame::Choose { .. } => "CHOOSE",
        Frame::Judge { .. } => "JUDGE",
        Frame::Nodes { .. } => "NODES",
        Frame::Expand { .. } => "EXPAND",
        Frame::End { .. } => "END",
        Frame::Nothing(_) => "NOTHING",
        Frame::Equal(_) => "EQUAL",
        Frame::Ack(_) => "ACK",
        Frame::Digest(..) => "DIGEST",
        Frame::Present { .. } => "PRESENT",
    }
}

impl Crossed {
    fn of(&self, kind: &str) -> usize {
        self.frames.get(kind).copied().unwrap_or(0)
    }
}

fn counted(a: &mut Driver, b: &mut Driver) -> Crossed {
    let mut crossed = Crossed::default();
    while !a.sent.is_empty() || !b.sent.is_empty() {
        for (_, frame) in a.sent.iter().chain(&b.sent) {
            *crossed.frames.entry(kind(frame)).or_default() += 1;
            crossed.bytes += frame.len();
        }
        deliver(a, b);
        deliver(b, a);
    }
    crossed
}

/// Two replicas that hold the same, after a history in which every other entry of a block has died: leaves are long.
fn worn(ring_records: usize, leaves_bytes_max: usize) -> (Driver, Driver) {
    let with = |seed| {
        Driver::with(Config {
            ring_records,
            leaves_bytes_max,
            ..config(seed)
        })
    };
    let (mut a, mut b) = (with(1), with(2));
    for at in 0..12_000 {
        a.set(&format!("key {:06}", at / 2 * 2), "1");
        if at % 3 == 0 {
            a.set(&format!("other {:03}", at % 100), "1");
        }
    }
    a.gossip.clear();
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    cut(&mut a, &mut b);
    (a, b)
}

fn assert_equal(a: &Driver, b: &Driver) {
    assert_eq!(a.replica.vector(), b.replica.vector());
    let live = |driver: &Driver| driver.replica.live_dots().collect::<Vec<_>>();
    assert_eq!(live(a), live(b));
}

#[test]
fn forgotten_removals_are_found_by_a_descent_where_leaves_would_be_long() {
    let mut bytes = Vec::new();
    for leaves_bytes_max in [1_000, usize::MAX] {
        let (mut a, mut b) = worn(0, leaves_bytes_max);
        // Chains of which no record is left: what b holds was overwritten, and that was deleted.
        for at in [10, 5_000, 11_990] {
            let key = format!("key {at:06}");
            a.set(&key, "2");
            a.delete(&key);
        }
        // And what a has not seen must not be judged.
        b.set("only b", "1");
        b.delete("key 000400");
        join(&mut a, &mut b);
        let crossed = counted(&mut a, &mut b);
        assert_equal(&a, &b);
        assert_eq!((b.get("key 005000"), b.get("only b")), (None, Some("1".into())));
        assert_eq!(crossed.of("LEAVES") > 0, leaves_bytes_max > 1_000, "{crossed:?}");
        assert_eq!(crossed.of("NODES") > 0, leaves_bytes_max == 1_000, "{crossed:?}");
        bytes.push(crossed.bytes);
    }
    assert!(
        bytes[0] * 2 < bytes[1],
        "descent {} bytes, leaves {} bytes",
        bytes[0],
        bytes[1]
    );
}

#[test]
fn what_arrives_while_a_descent_is_under_way_is_neither_lost_nor_kept_alive() {
    let (mut a, mut b) = worn(0, 0);
    a.set("key 000010", "2");
    a.delete("key 000010");
    b.set("from b", "1");
    // a learns of b's write, which b has announced, only after the descent has begun.
    let written = b.gossip.pop_back().expect("the write is gossiped");
    join(&mut a, &mut b);
    let mut turns = 0;
    while !a.sent.is_empty() || !b.sent.is_empty() {
        let began = a.sent.iter().any(|(_, frame)| kind(frame) == "NODES");
        if began && turns == 0 {
            turns = 1;
            let message = written.clone();
            a.feed(Input::Gossiped {
                peer: Some(PEER),
                message,
            });
            a.delete("key 000500");
            assert_eq!(a.get("from b"), Some("1".into()));
        }
        deliver(&mut a, &mut b);
        deliver(&mut b, &mut a);
    }
    assert_eq!(turns, 1, "a descent took place");
    assert_equal(&a, &b);
    let read = ["from b", "key 000010", "key 000500"].map(|key| b.get(key));
    assert_eq!(read, [Some("1".into()), None, None]);
}

/// Gives both replicas the writes of very many authors, one each.
fn with_authors(count: u64, vector_authors_max: usize) -> (Driver, Driver) {
    let with = |seed| {
        Driver::with(Config {
            vector_authors_max,
            ..config(seed)
        })
    };
    let (mut a, mut b) = (with(1), with(2));
    for at in 0..count {
        for driver in [&mut a, &mut b] {
            foreign(driver, at, 1);
        }
    }
    (a, b)
}

/// Has a replica hear of an author's `n`th write.
fn foreign(driver: &mut Driver, author: u64, n: u64) {
    // Spread as random ids are.
    let id = blake3_like(author);
    let before = driver.replica.frontier().last().copied();
    let txn = Txn {
        author: AuthorId(id),
        first: n,
        hlc: Hlc(1_700_000_000_000 << 16),
        // Each has seen the one before, so that the frontier stays small.
        deps: before.into_iter().collect(),
        events: vec![Event {
            op: Op::Put {
                key: format!("key of {author}").into(),
                value: Value::from(&b"1"[..]),
                kind: Kind::Value,
            },
            removes: [].into(),
        }],
    };
    driver.feed(Input::Gossiped {
        peer: None,
        message: Gossip::encode(&txn, 1_000),
    });
}

fn blake3_like(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number << 40;
    let high = mixed.rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (u128::from(high) << 64 | u128::from(mixed)).to_be_bytes()
}

#[test]
fn a_vector_of_many_authors_is_not_said_to_who_knows_most_of_it() {
    // At a first meeting, the difference is found by a descent.
    let (mut a, mut b) = with_authors(3_000, 1_000);
    foreign(&mut a, 17, 2);
    foreign(&mut a, 10_000, 1);
    foreign(&mut b, 20_000, 1);
    join(&mut a, &mut b);
    let first = counted(&mut a, &mut b);
    assert_equal(&a, &b);
    assert!(first.of("ASK") > 0 && first.bytes < 12_000, "{first:?}");

    // Later, from what both agreed on.
    cut(&mut a, &mut b);
    foreign(&mut a, 18, 2);
    join(&mut a, &mut b);
    let later = counted(&mut a, &mut b);
    assert_equal(&a, &b);
    assert!(later.of("ASK") == 0 && later.bytes < 300, "{later:?}");

    // What was agreed on is kept in memory alone: who has lost it is told all the same.
    cut(&mut a, &mut b);
    let config = Config {
        vector_authors_max: 1_000,
        ..config(9)
    };
    let batches = std::mem::take(&mut b.batches);
    b.replica = replica::Replica::restore(config, b.now, batches).expect("as it was stored");
    foreign(&mut b, 19, 2);
    join(&mut a, &mut b);
    let again = counted(&mut a, &mut b);
    assert_equal(&a, &b);
    assert!(again.of("ASK") > 0 && again.bytes < 12_000, "{again:?}");
}

#[test]
fn many_authors_on_one_side_only_are_told_whole() {
    let (mut a, mut b) = with_authors(0, 100);
    for at in 0..2_500 {
        foreign(&mut a, at, 1);
    }
    b.set("b", "1");
    join(&mut a, &mut b);
    counted(&mut a, &mut b);
    assert_equal(&a, &b);
    assert_eq!(b.replica.vector().len(), 2_501);
}

#[test]
fn an_audit_finds_entries_that_storage_has_lost() {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    for at in 0..1_000 {
        a.set(&format!("key {at}"), "1");
    }
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    let audits = |a: &mut Driver, b: &mut Driver| {
        let mut nodes = 0;
        for _ in 0..60 {
            a.pass(Duration::from_secs(10));
            b.pass(Duration::from_secs(10));
            nodes += counted(a, b).of("NODES");
        }
        nodes
    };
    assert!(audits(&mut a, &mut b) > 0, "sound stores are audited");
    let failed = |driver: &Driver| {
        driver.events.iter().any(|event| {
            let error = SessionError::Diverged { blocks: 1 };
            *event == replica::Event::SessionFailed { peer: PEER, error }
        })
    };
    assert!(!failed(&a) && !failed(&b));

    let dot = b.replica.live_dots().nth(500).expect("live dots");
    b.replica.forget(&dot);
    audits(&mut a, &mut b);
    assert!(
        failed(&a) || failed(&b),
        "the loss was noticed: {:?} {:?}",
        a.events.iter().rev().take(8).collect::<Vec<_>>(),
        b.events.iter().rev().take(8).collect::<Vec<_>>()
    );
    assert_eq!(a.replica.len(), 1_000, "and nothing else was lost for it");
}
