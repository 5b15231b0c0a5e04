//! Goal: one session brings all that is lacking, in one visible step, at a small cost, and leaves no trace when it is cut.
//! Method: two replicas, frames delivered by hand; bytes are counted.

mod support;

use std::time::Duration;

use gossipstore_core::{
    id::{Peer, StoreId},
    replica::{Command, CommandId, Config, Event, Input, Key, Scan, Value, Write},
    sync::SessionError,
    time::Timestamp,
    wire,
};
use support::{Driver, PEER, config, cut, deliver, join, put, settle, slicing};

/// Delivers frames turn by turn until the second of two replicas begins to take a session in.
fn until_merging(a: &mut Driver, b: &mut Driver) {
    fn pass(from: &mut Driver, to: &mut Driver) {
        while let Some((peer, frame)) = from.sent.pop_front() {
            to.turn(Input::Received { peer, frame });
        }
        from.turn(Input::Drained { peer: PEER });
    }
    while b.replica.poll_timeout() != Some(Timestamp::default()) {
        pass(a, b);
        pass(b, a);
    }
}

fn filled(seed: u8, keys: usize) -> Driver {
    let mut driver = Driver::new(seed);
    for at in 0..keys {
        driver.set(&format!("key {at:08}"), &format!("{at:050}"));
    }
    driver.gossip.clear();
    driver
}

#[test]
fn a_fresh_replica_gets_everything_in_one_visible_step() {
    let (mut a, mut b) = (filled(1, 1_000), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    let changes = b.changes();
    assert_eq!((changes.len(), changes[0].len(), b.replica.len()), (1, 1_000, 1_000));
    assert_eq!(
        (a.replica.in_sync(PEER), b.replica.in_sync(PEER)),
        (Some(true), Some(true))
    );
}

#[test]
fn equal_stores_cost_less_than_400_bytes() {
    let (mut a, mut b) = (filled(1, 1_000), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    cut(&mut a, &mut b);
    join(&mut a, &mut b);
    let bytes = settle(&mut a, &mut b);
    assert!(bytes < 400, "{bytes} bytes");
}

#[test]
fn what_changed_is_all_that_crosses() {
    let (mut a, mut b) = (filled(1, 1_000), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    cut(&mut a, &mut b);
    for at in 0..10 {
        a.set(&format!("key {at:08}"), &format!("{:050}", at + 1));
        a.delete(&format!("key {:08}", at + 500));
    }
    join(&mut a, &mut b);
    let bytes = settle(&mut a, &mut b);
    let bound = 10 * (12 + 50 + 16) + 10 * 8 + 400;
    assert!(bytes < bound, "{bytes} bytes, expected at most {bound}");
    assert_eq!(
        (b.get("key 00000003"), b.get("key 00000503")),
        (Some(format!("{:050}", 4)), None)
    );
}

#[test]
fn both_directions_run_in_one_session_and_concurrent_writes_become_siblings() {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    a.set("k", "a's");
    b.set("k", "b's");
    a.set("only a", "1");
    b.set("only b", "1");
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    for driver in [&a, &b] {
        assert_eq!(driver.values("k"), ["a's", "b's"]);
        assert_eq!(driver.replica.len(), 3);
    }
    assert_eq!(a.get("k"), b.get("k"), "the same winner on both");
}

#[test]
fn a_deleted_key_does_not_come_back_from_a_replica_that_was_away() {
    for ring_records in [0, 65_536] {
        let mut a = Driver::with(Config {
            ring_records,
            ..config(1)
        });
        let mut b = Driver::new(2);
        a.set("gone", "1");
        a.set("other", "1");
        join(&mut a, &mut b);
        settle(&mut a, &mut b);
        cut(&mut a, &mut b);
        // A chain of overwrites that ends in a delete, of which b knows the beginning only.
        a.set("gone", "2");
        a.set("gone", "3");
        a.delete("gone");
        b.set("other", "2");
        join(&mut a, &mut b);
        settle(&mut a, &mut b);
        for driver in [&a, &b] {
            assert_eq!(
                (driver.get("gone"), driver.get("other")),
                (None, Some("2".into())),
                "ring of {ring_records}"
            );
        }
    }
}

#[test]
fn a_session_cut_anywhere_leaves_no_trace_and_the_next_one_completes() {
    let mut deliveries = 0;
    loop {
        let (mut a, mut b) = (filled(1, 5_000), Driver::new(2));
        join(&mut a, &mut b);
        let mut left = deliveries;
        while left > 0 && (!a.sent.is_empty() || !b.sent.is_empty()) {
            deliver(&mut a, &mut b);
            deliver(&mut b, &mut a);
            left -= 1;
        }
        let complete = left > 0;
        cut(&mut a, &mut b);
        assert!(
            b.replica.is_empty() || b.replica.len() == 5_000,
            "{} keys after {deliveries}",
            b.replica.len()
        );
        join(&mut a, &mut b);
        settle(&mut a, &mut b);
        assert_eq!(b.replica.len(), 5_000);
        if complete {
            break;
        }
        deliveries += 1;
    }
    assert!(deliveries > 1, "the session takes several turns");
}

#[test]
fn what_is_written_while_a_session_runs_is_part_of_it() {
    let (mut a, mut b) = (filled(1, 20_000), Driver::new(2));
    join(&mut a, &mut b);
    deliver(&mut b, &mut a);
    deliver(&mut a, &mut b);
    assert!(b.replica.is_empty(), "the session is under way");
    a.set("late", "1");
    a.delete("key 00000000");
    settle(&mut a, &mut b);
    assert_eq!(
        (b.get("late"), b.get("key 00000000"), b.changes().len()),
        (Some("1".into()), None, 1)
    );
}

#[test]
fn an_overwrite_does_not_repeat_a_key_that_the_receiver_knows() {
    let long = "a key of some length ".repeat(20);
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    a.set(&long, "1");
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    cut(&mut a, &mut b);
    a.set(&long, "2");
    join(&mut a, &mut b);
    let bytes = settle(&mut a, &mut b);
    assert_eq!(b.get(&long), Some("2".into()));
    assert!(bytes < 300, "{bytes} bytes");
}

#[test]
fn a_key_left_out_that_is_not_known_is_asked_for() {
    let (mut a, mut b, mut c) = (Driver::new(1), Driver::new(2), Driver::new(3));
    a.set("k", "old");
    for other in [&mut b, &mut c] {
        join(&mut a, other);
        settle(&mut a, other);
        cut(&mut a, other);
    }
    // Both a and c supersede the old value. b learns c's event, by which it forgets whose key the old value had.
    a.set("k", "a's");
    c.set("k", "c's");
    for other in [&mut b, &mut a] {
        join(&mut c, other);
        deliver(other, &mut c);
        deliver(&mut c, other);
        cut(&mut c, other);
    }
    assert_eq!(
        (a.values("k"), b.values("k")),
        (vec!["a's".into(), "c's".into()], vec!["c's".to_owned()])
    );
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    assert_eq!(b.values("k"), ["a's", "c's"]);
    assert!(
        !b.events
            .iter()
            .any(|event| matches!(event, Event::SessionFailed { .. }))
    );
}

#[test]
fn a_session_is_taken_in_by_slices_and_read_whole() {
    let (mut a, mut b) = (filled(1, 5_000), slicing(2));
    b.set("key 00000003", "mine");
    join(&mut a, &mut b);
    until_merging(&mut a, &mut b);
    let mut turns = 0;
    while b.replica.poll_timeout() == Some(Timestamp::default()) {
        let seen = (
            b.replica.len(),
            b.replica.scan(&Scan::default()).count(),
            b.values("key 00000003").len(),
        );
        assert!(
            seen == (1, 1, 1) || seen == (5_000, 5_000, 2),
            "{seen:?} after {turns} turns"
        );
        b.turn(Input::Tick);
        turns += 1;
    }
    assert!(turns > 50, "{turns} turns");
    assert_eq!(b.replica.len(), 5_000);
}

#[test]
fn a_caller_reads_its_own_write_while_a_short_session_is_taken_in() {
    let (mut a, mut b) = (filled(1, 300), slicing(2));
    join(&mut a, &mut b);
    until_merging(&mut a, &mut b);
    assert!(b.replica.is_empty());
    b.turn(Input::Command {
        id: CommandId(1),
        command: Command::Transact(vec![put("key 00000003", "mine")]),
    });
    assert_eq!(b.get("key 00000003"), Some("mine".into()));
    // What the session brought was not seen by the writer: it stays, as a sibling.
    assert_eq!((b.values("key 00000003").len(), b.replica.len()), (2, 300));
}

#[test]
fn an_answer_of_many_short_events_is_made_in_turns() {
    const KEYS: usize = 3_000;
    let (mut a, mut b) = (slicing(1), Driver::new(2));
    let keys = || (0..KEYS).map(|at| format!("key {at:08}"));
    a.transact(keys().map(|key| put(&key, "1"))).expect("valid");
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    b.feed(Input::PeerDown { peer: PEER });
    a.feed(Input::PeerDown { peer: PEER });
    let deletes = keys().map(|key| Write::Delete {
        key: key.into(),
        context: None,
    });
    a.transact(deletes).expect("valid");
    a.gossip.clear();
    b.feed(Input::PeerUp { peer: PEER });
    a.feed(Input::PeerUp { peer: PEER });
    a.sent.clear();
    let (_, hello) = b.sent.pop_front().expect("a session is opened");
    a.turn(Input::Received {
        peer: PEER,
        frame: hello,
    });
    let mut turns = 1;
    // All fits one frame, which leaves when it is full or the last.
    while a.sent.is_empty() {
        assert_eq!(
            a.replica.poll_timeout(),
            Some(Timestamp::default()),
            "after {turns} turns"
        );
        a.turn(Input::Tick);
        turns += 1;
    }
    assert!(turns >= 4, "{turns} turns");
    settle(&mut a, &mut b);
    assert!(b.replica.is_empty());
}

#[test]
fn commands_that_wait_for_a_long_merge_mean_what_their_callers_saw() {
    let (mut a, mut b) = (filled(1, 30_000), slicing(2));
    b.set("mine", "old");
    join(&mut a, &mut b);
    until_merging(&mut a, &mut b);
    let transact = |writes: Vec<Write>| Command::Transact(writes);
    let commands = [
        transact(vec![put("key 00000003", "first")]),
        transact(vec![put("key 00000003", "second")]),
        transact(vec![put("key 00000004", "cleared")]),
        Command::Clear,
        transact(vec![put("key 00000004", "first")]),
        transact(vec![put("key 00000004", "second")]),
        transact(vec![put("mine", "new")]),
    ];
    for (id, command) in (1..).zip(commands) {
        b.turn(Input::Command {
            id: CommandId(id),
            command,
        });
    }
    assert_eq!((b.replica.len(), b.replica.pending()), (1, 7), "they wait");
    b.feed(Input::Tick);
    assert_eq!(b.replica.pending(), 0);
    // A write supersedes what the same caller wrote before, and not what the session brought; so does the clearing.
    assert_eq!(b.values("key 00000003"), [format!("{:050}", 3)]);
    assert_eq!(b.values("key 00000004"), [format!("{:050}", 4), "second".into()]);
    assert_eq!((b.replica.len(), b.values("mine")), (30_001, vec!["new".into()]));
}

#[test]
fn a_peer_that_differs_does_not_keep_the_engine_busy_while_all_places_are_taken() {
    use gossipstore_core::id::Peer;
    let mut b = Driver::new(2);
    let mut other = filled(1, 3);
    for number in [0, 1, 7] {
        b.feed(Input::PeerUp { peer: Peer(number) });
    }
    other.feed(Input::PeerUp { peer: PEER });
    // The third peer says what it holds; two others are slow to answer.
    deliver(&mut other, &mut b);
    b.pass(Duration::from_secs(5));
    assert!(b.replica.poll_timeout().is_none_or(|due| due > b.now));
    assert_eq!(
        b.sent.iter().filter(|(peer, _)| *peer == PEER).count(),
        1,
        "it is answered, and asked later"
    );
}

#[test]
fn sessions_that_bring_nothing_are_not_repeated() {
    let (mut a, mut b) = (filled(1, 3), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    b.set("lagging", "1");
    b.gossip.clear();
    b.pass(Duration::from_millis(500));
    // a hears that b differs, and asks once; b holds more, but a's question is answered as if it held the same as before.
    deliver(&mut b, &mut a);
    let batches = a.batches.len();
    a.pass(Duration::from_secs(5));
    assert_eq!(a.sent.len(), 1, "asked once");
    settle(&mut a, &mut b);
    assert_eq!(a.batches.len(), batches + 1);
    a.pass(Duration::from_secs(60));
    assert!(a.sent.is_empty());
}

#[test]
fn large_values_cross_in_pieces() {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    let sizes = [
        wire::INLINE_VALUE_BYTES_MAX,
        wire::INLINE_VALUE_BYTES_MAX + 1,
        1_000_000,
        wire::VALUE_BYTES_MAX,
    ];
    for size in sizes {
        let value = Value::from((0..size).map(|at| at as u8).collect::<Vec<_>>());
        a.transact([Write::Put {
            key: Key::from(size.to_string()),
            value,
            context: None,
        }])
        .expect("valid");
    }
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    for size in sizes {
        assert_eq!(
            b.replica.get(&size.to_string()),
            a.replica.get(&size.to_string()),
            "{size}"
        );
    }
}

#[test]
fn progress_rises_to_what_was_expected() {
    let (mut a, mut b) = (filled(1, 5_000), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    let steps = b.events.iter().filter_map(|event| match event {
        Event::Progress { done, expected, .. } => Some((*done, *expected)),
        _ => None,
    });
    let steps: Vec<_> = steps.collect();
    assert!(steps.len() > 3 && steps.is_sorted());
    assert!(steps.iter().all(|(_, expected)| *expected == 5_000));
    assert_eq!(steps.last(), Some(&(5_000, 5_000)));
}

#[test]
fn a_replica_of_another_store_is_told_apart() {
    let mut a = Driver::with(Config {
        store: StoreId::from_name("another"),
        ..config(1)
    });
    let mut b = filled(2, 3);
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    assert!(a.replica.is_empty());
    let error = SessionError::WrongStore;
    assert!(a.events.contains(&Event::SessionFailed {
        peer: PEER,
        error: error.clone()
    }));
    assert!(b.events.contains(&Event::SessionFailed { peer: PEER, error }));
}

#[test]
fn a_silent_peer_is_given_up_and_asked_again() {
    let (mut a, mut b) = (filled(1, 3), Driver::new(2));
    join(&mut a, &mut b);
    b.sent.clear();
    b.pass(config(2).session_patience);
    assert!(b.events.contains(&Event::SessionFailed {
        peer: PEER,
        error: SessionError::Silent
    }));
    // The peer's own HELLO arrives late: the answer is a new session.
    settle(&mut a, &mut b);
    assert_eq!(b.replica.len(), 3);
}

#[test]
fn a_silent_peer_is_given_up_although_others_bring_something() {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    let silent = Peer(PEER.0 + 1);
    b.feed(Input::PeerUp { peer: silent });
    for at in 0..6 {
        a.set(&format!("key {at}"), "value");
        join(&mut a, &mut b);
        settle(&mut a, &mut b);
        cut(&mut a, &mut b);
        b.pass(config(2).session_patience / 4);
    }
    assert_eq!(b.replica.len(), 6);
    assert!(b.events.contains(&Event::SessionFailed {
        peer: silent,
        error: SessionError::Silent
    }));
}

#[test]
fn a_session_is_opened_now_and_then_even_though_nothing_seems_amiss() {
    let (mut a, mut b) = (filled(1, 3), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    // A write of which b hears neither by gossip nor by a digest.
    a.set("new", "1");
    let start = b.now;
    while b.sent.is_empty() {
        b.pass(Duration::from_secs(1));
    }
    assert!(b.now <= start + config(2).anti_entropy_every * 3 / 2 + Duration::from_secs(1));
    settle(&mut a, &mut b);
    assert_eq!(b.get("new"), Some("1".into()));
}

#[test]
fn two_sessions_receive_at_a_time() {
    use gossipstore_core::id::Peer;
    let mut b = Driver::new(2);
    for number in 0..5 {
        b.feed(Input::PeerUp { peer: Peer(number) });
    }
    assert_eq!(b.sent.len(), 2);
    b.feed(Input::PeerDown { peer: Peer(0) });
    assert_eq!(b.sent.len(), 3, "the next takes its place");
}

#[test]
fn a_history_of_overwrites_and_deletes_costs_a_fresh_replica_nothing() {
    let written_once = filled(1, 200);
    let mut worn = Driver::new(1);
    for round in 0..50 {
        for at in 0..200 {
            worn.set(&format!("key {at:08}"), &format!("{:050}", at + round));
        }
    }
    for at in 0..200 {
        worn.delete(&format!("key {at:08}"));
        worn.transact([put(&format!("key {at:08}"), &format!("{at:050}"))])
            .expect("valid");
    }
    let cost = |mut from: Driver| {
        let mut to = Driver::new(9);
        join(&mut from, &mut to);
        let bytes = settle(&mut from, &mut to);
        assert_eq!(to.replica.len(), 200);
        bytes
    };
    let (once, worn) = (cost(written_once), cost(worn));
    assert!(worn < once + once / 20, "{worn} bytes against {once}");
}
