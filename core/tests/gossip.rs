//! Goal: gossip may come late, twice, in any order or not at all; what is visible stays causal and becomes complete. Method:
//! two replicas, messages delivered by hand.

mod support;

use std::time::Duration;

use gossipstore_core::{
    causality::{Event as TxnEvent, Kind, Op, Txn},
    id::{AuthorId, Dot, Peer},
    replica::{Config, Event, Input, Key, Origin, Value, Write},
    time::{Hlc, Timestamp},
    wire::Gossip,
};
use support::{Driver, PEER, config, gossip, join, put, settle, slicing};

fn joined() -> (Driver, Driver) {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    (a, b)
}

#[test]
fn a_gossiped_transaction_is_applied_once() {
    let (mut a, mut b) = joined();
    a.set("k", "1");
    let message = a.gossip.pop_front().expect("a write is gossiped");
    for _ in 0..2 {
        b.feed(Input::Gossiped {
            peer: Some(PEER),
            message: message.clone(),
        });
    }
    let changes = b.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!((b.get("k"), changes[0][0].origin), (Some("1".into()), Origin::Remote));
    assert_eq!(a.replica.digest(), b.replica.digest());
}

#[test]
fn early_transactions_wait_for_their_past() {
    let (mut a, mut b) = joined();
    for value in ["1", "2", "3"] {
        a.set("k", value);
    }
    let mut messages = std::mem::take(&mut a.gossip);
    messages.make_contiguous().reverse();
    for (at, message) in messages.into_iter().enumerate() {
        assert_eq!(b.get("k"), None, "after {at} messages");
        b.feed(Input::Gossiped {
            peer: Some(PEER),
            message,
        });
    }
    assert_eq!((b.get("k"), b.changes().len()), (Some("3".into()), 3));
}

#[test]
fn a_long_transaction_is_taken_in_by_slices_and_seen_whole() {
    const KEYS: usize = 500;
    let (mut a, mut b) = (Driver::new(1), slicing(2));
    let write = |value: &str| (0..KEYS).map(|at| put(&at.to_string(), value)).collect::<Vec<_>>();
    a.transact(write("old")).expect("valid");
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    b.changes();
    b.set("concurrent", "1");
    a.gossip.clear();
    let delete = |at: usize| Write::Delete {
        key: at.to_string().into(),
        context: None,
    };
    a.transact(write("new").into_iter().skip(100).chain((0..100).map(delete)))
        .expect("valid");
    let message = a.gossip.pop_front().expect("it fits a message");
    b.changes();
    b.turn(Input::Gossiped { peer: None, message });
    let mut turns = 1;
    while b.replica.poll_timeout() == Some(Timestamp::default()) {
        let seen = (b.replica.len(), b.get("499"));
        assert!(
            seen == (KEYS + 1, Some("old".into())) || seen == (KEYS - 99, Some("new".into())),
            "{seen:?} after {turns} turns"
        );
        b.turn(Input::Tick);
        turns += 1;
    }
    assert!(turns > 10, "{turns} turns");
    assert_eq!(b.changes().iter().map(Vec::len).collect::<Vec<_>>(), [KEYS]);
    assert_eq!((b.get("0"), b.get("100")), (None, Some("new".into())));
    assert_eq!(b.replica.frontier().len(), 2, "the two are concurrent");
    settle(&mut a, &mut b);
    a.pass(Duration::from_secs(20));
    settle(&mut a, &mut b);
    assert_eq!(a.replica.digest(), b.replica.digest());
}

#[test]
fn early_transactions_whose_turn_comes_together_are_applied_in_turns() {
    const COUNT: usize = 1_000;
    let (mut a, mut b) = (Driver::new(1), slicing(2));
    (0..COUNT).for_each(|at| a.set(&at.to_string(), "1"));
    let mut messages = std::mem::take(&mut a.gossip);
    while let Some(message) = messages.pop_back() {
        let input = Input::Gossiped { peer: None, message };
        if messages.is_empty() {
            b.turn(input);
        } else {
            b.feed(input);
        }
    }
    let mut turns = 1;
    while b.replica.poll_timeout() == Some(Timestamp::default()) {
        b.turn(Input::Tick);
        turns += 1;
    }
    assert!(turns >= 10, "{turns} turns");
    assert_eq!((b.replica.len(), b.changes().len()), (COUNT, COUNT));
}

#[test]
fn a_transaction_waits_for_what_its_author_had_seen_of_others() {
    let mut c = Driver::new(3);
    let (mut a, mut b) = joined();
    a.set("question", "?");
    let question = a.gossip.front().expect("gossiped").clone();
    gossip(&mut a, &mut b);
    b.set("answer", "!");
    let answer = b.gossip.pop_front().expect("gossiped");
    c.feed(Input::Gossiped {
        peer: None,
        message: answer,
    });
    assert!(c.replica.is_empty(), "the answer does not show before the question");
    c.feed(Input::Gossiped {
        peer: None,
        message: question,
    });
    assert_eq!(
        (c.get("question"), c.get("answer")),
        (Some("?".into()), Some("!".into()))
    );
}

fn first_write() -> Txn {
    let event = TxnEvent {
        op: Op::Put {
            key: Key::from("other"),
            value: Value::from(&b"1"[..]),
            kind: Kind::Value,
        },
        removes: [].into(),
    };
    Txn {
        author: AuthorId([9; 16]),
        first: 1,
        hlc: Hlc(1),
        deps: [].into(),
        events: vec![event],
    }
}

#[test]
fn a_missing_transaction_is_fetched_by_a_session_after_a_moment() {
    let (mut a, mut b) = joined();
    a.set("lost", "1");
    a.gossip.clear();
    a.set("kept", "2");
    gossip(&mut a, &mut b);
    assert_eq!(b.get("kept"), None);
    b.pass(Config::new(gossipstore_core::id::StoreId::from_name("test"), [0; 32]).gap_patience);
    settle(&mut a, &mut b);
    assert_eq!((b.get("lost"), b.get("kept")), (Some("1".into()), Some("2".into())));
}

#[test]
fn a_lost_last_message_is_noticed_by_the_digests() {
    let (mut a, mut b) = joined();
    a.set("lost", "1");
    a.gossip.clear();
    // The digest goes out after a moment; both quiet, the difference is repaired within seconds.
    a.pass(Duration::from_millis(500));
    settle(&mut a, &mut b);
    assert_eq!((b.get("lost"), b.replica.in_sync(PEER)), (None, Some(false)));
    for _ in 0..10 {
        a.pass(Duration::from_millis(300));
        b.pass(Duration::from_millis(300));
        settle(&mut a, &mut b);
    }
    assert_eq!(
        (b.get("lost"), b.replica.in_sync(PEER), a.replica.in_sync(PEER)),
        (Some("1".into()), Some(true), Some(true))
    );
}

#[test]
fn a_transaction_too_long_for_gossip_is_announced_and_fetched_whole() {
    let (mut a, mut b) = joined();
    let writes = (0..2_000).map(|n| put(&format!("key {n}"), "a value of some length, to be long together"));
    a.transact(writes).expect("valid");
    let message = a.gossip.front().expect("announced").clone();
    assert!(message.len() < 40, "{} bytes", message.len());
    gossip(&mut a, &mut b);
    settle(&mut a, &mut b);
    let changes = b.changes();
    assert_eq!(
        (changes.len(), changes[0].len(), b.replica.len()),
        (1, 2_000, 2_000),
        "seen whole"
    );
}

#[test]
fn the_buffer_for_early_transactions_is_bounded_and_loses_nothing() {
    let mut a = Driver::new(1);
    let mut b = Driver::with(Config {
        buffered_transactions_max: 3,
        ..config(2)
    });
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    for n in 0..50 {
        a.set(&format!("key {n}"), "1");
    }
    a.gossip.pop_front();
    gossip(&mut a, &mut b);
    assert!(b.replica.is_empty());
    assert_eq!(b.replica.early_dropped(), 46, "of 49, of which three wait");
    b.pass(Duration::from_secs(1));
    settle(&mut a, &mut b);
    assert_eq!(b.replica.len(), 50);
}

#[test]
fn one_who_floods_the_buffer_pushes_out_its_own_transactions() {
    let mut a = Driver::new(1);
    let mut b = Driver::with(Config {
        buffered_transactions_max: 8,
        ..config(2)
    });
    a.set("first", "1");
    a.set("second", "2");
    let (first, second) = (a.gossip.pop_front().unwrap(), a.gossip.pop_front().unwrap());
    let hear = |b: &mut Driver, peer, message| {
        b.feed(Input::Gossiped {
            peer: Some(peer),
            message,
        })
    };
    for peer in [Peer(1), Peer(2)] {
        b.feed(Input::PeerUp { peer });
    }
    hear(&mut b, Peer(1), second);
    for n in 0..100 {
        let mut invented = first_write();
        (invented.author, invented.first) = (AuthorId([n; 16]), 2);
        hear(&mut b, Peer(2), Gossip::encode(&invented, 1_000));
    }
    assert_eq!(b.replica.early_dropped(), 93);
    hear(&mut b, Peer(1), first);
    assert_eq!(b.replica.len(), 2);
}

#[test]
fn a_transaction_that_supersedes_what_nobody_saw_is_refused() {
    let (_, mut b) = joined();
    let mut txn = first_write();
    txn.events[0].removes = [Dot::new(AuthorId([8; 16]), 3)].into();
    b.feed(Input::Gossiped {
        peer: Some(PEER),
        message: Gossip::encode(&txn, 1_000),
    });
    assert!(b.replica.is_empty() && b.replica.vector().is_empty());
    assert!(
        b.events
            .iter()
            .any(|event| matches!(event, Event::GossipRefused { .. }))
    );
}

#[test]
fn a_replica_whose_author_id_is_used_elsewhere_takes_another() {
    let (mut a, mut b) = joined();
    a.set("k", "1");
    gossip(&mut a, &mut b);
    let author = a.replica.author().expect("it has written");
    // A copy of a's memory goes on writing.
    let mut copy = first_write();
    (copy.author, copy.first) = (author, 2);
    a.feed(Input::Gossiped {
        peer: Some(PEER),
        message: Gossip::encode(&copy, 1_000),
    });
    a.set("k", "2");
    assert_ne!(a.replica.author(), Some(author));
}

#[test]
fn a_transaction_whose_past_nobody_has_is_dropped_and_keeps_no_other_waiting() {
    let (mut a, mut b) = joined();
    let mut orphan = first_write();
    orphan.first = 2;
    b.feed(Input::Gossiped {
        peer: Some(PEER),
        message: Gossip::encode(&orphan, 1_000),
    });
    for _ in 0..300 {
        b.pass(Duration::from_secs(1));
        a.pass(Duration::from_secs(1));
        settle(&mut a, &mut b);
    }
    a.set("lost", "1");
    a.gossip.clear();
    a.set("kept", "2");
    gossip(&mut a, &mut b);
    b.pass(config(2).gap_patience);
    settle(&mut a, &mut b);
    assert_eq!(b.get("kept"), Some("2".into()));
}

#[test]
fn an_author_id_that_is_announced_elsewhere_is_not_used_again() {
    let (mut a, _) = joined();
    a.set("k", "1");
    let author = a.replica.author().expect("it has written");
    let mut copy = first_write();
    (copy.author, copy.first) = (author, 9);
    // Early: what comes before it is not here.
    a.feed(Input::Gossiped {
        peer: Some(PEER),
        message: Gossip::encode(&copy, 1_000),
    });
    a.set("k", "2");
    assert_ne!(a.replica.author(), Some(author));
}
