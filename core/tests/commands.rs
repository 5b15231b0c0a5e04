//! Goal: what a caller asks of one replica happens, whole or not at all, and is answered. Method: one replica, no peers.

mod support;

use std::sync::Arc;

use gossipstore_core::{
    replica::{
        BatchId, Call, Command, CommandError, CommandId, Context, Input, Key, Origin, Replica, Scan, Shown,
        StorageFailure, Value, Write,
    },
    store::Caller,
    wire,
};
use support::{Driver, PEER, config, gossip, put, put_in};

#[test]
fn what_is_set_is_read_and_what_is_deleted_is_gone() {
    let mut one = Driver::new(1);
    one.set("a", "1");
    one.set("b", "2");
    one.set("a", "3");
    assert_eq!(
        (one.get("a"), one.get("b"), one.replica.len()),
        (Some("3".into()), Some("2".into()), 2)
    );
    one.delete("a");
    assert_eq!((one.get("a"), one.replica.len()), (None, 1));
    one.command(Command::Clear).expect("clear");
    assert!(one.replica.is_empty());
}

#[test]
fn changes_say_what_was_and_what_is() {
    let mut one = Driver::new(1);
    one.set("a", "1");
    one.set("a", "2");
    one.delete("a");
    let bytes = |text: &str| Some(Value::from(text.as_bytes()));
    let read = |shown: &Option<Shown>| shown.as_ref().and_then(|shown| shown.body.here().cloned());
    let changes: Vec<_> = one.changes().concat();
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (read(&change.previous), read(&change.value)))
        .collect();
    assert_eq!(seen, [(None, bytes("1")), (bytes("1"), bytes("2")), (bytes("2"), None)]);
    assert!(changes.iter().all(|change| change.origin == Origin::Local));
}

#[test]
fn deleting_nothing_makes_no_event_and_no_author() {
    let mut one = Driver::new(1);
    one.delete("nothing");
    one.command(Command::Clear).expect("clear");
    assert!(one.replica.vector().is_empty() && one.replica.author().is_none() && one.batches.is_empty());
}

#[test]
fn a_transaction_is_one_change_and_its_last_write_of_a_key_counts() {
    let mut one = Driver::new(1);
    one.set("b", "old");
    one.changes();
    one.transact([put("a", "1"), put("b", "2"), put("a", "3"), delete("b")])
        .expect("valid");
    assert_eq!((one.get("a"), one.get("b")), (Some("3".into()), None));
    let changes = one.changes();
    assert_eq!(changes.len(), 1, "seen whole");
    assert_eq!(changes[0].len(), 2);
}

#[test]
fn a_bad_write_spoils_its_whole_transaction_and_changes_nothing() {
    let key = |bytes: usize| "k".repeat(bytes);
    let large = |bytes| Write::Put {
        key: Key::from("k"),
        value: Value::from(vec![0; bytes]),
        context: None,
    };
    let cases = [
        (put("", "1"), CommandError::KeyEmpty),
        (
            put(&key(wire::KEY_BYTES_MAX + 1), "1"),
            CommandError::KeyTooLong {
                bytes: wire::KEY_BYTES_MAX + 1,
            },
        ),
        (
            large(wire::VALUE_BYTES_MAX + 1),
            CommandError::ValueTooLarge {
                bytes: wire::VALUE_BYTES_MAX + 1,
            },
        ),
    ];
    let mut one = Driver::new(1);
    for (write, error) in cases {
        assert_eq!(one.transact([put("good", "1"), write]), Err(error));
        assert!(one.replica.is_empty() && one.replica.author().is_none());
    }
    let many = wire::TXN_EVENTS_MAX + 1;
    let writes = (0..many).map(|n| put(&n.to_string(), "1"));
    assert_eq!(
        one.transact(writes),
        Err(CommandError::TransactionTooLarge { events: many })
    );
    // The longest of each is fine.
    one.transact([put(&key(wire::KEY_BYTES_MAX), "1"), large(wire::VALUE_BYTES_MAX)])
        .expect("at the bounds");
    assert_eq!(one.replica.len(), 2);
}

#[test]
fn a_write_in_context_supersedes_what_was_seen_and_no_more() {
    let mut one = Driver::new(1);
    one.set("a", "seen");
    let context = one.replica.siblings("a").context;
    one.set("a", "unseen");
    one.transact([put_in("a", "mine", Some(context))]).expect("valid");
    assert_eq!(one.values("a"), ["mine", "unseen"]);
    let context = one.replica.siblings("a").context;
    one.transact([put_in("a", "merged", Some(context))]).expect("valid");
    assert_eq!(one.values("a"), ["merged"]);
    // An empty context has seen nothing.
    one.transact([put_in("a", "blind", Some(Context::default()))])
        .expect("valid");
    assert_eq!(one.values("a"), ["blind", "merged"]);
    let changes = one.changes().concat();
    assert_eq!(changes.last().map(|change| change.siblings), Some(2));
}

#[test]
fn equal_siblings_are_listed_once_and_superseded_together() {
    let mut one = Driver::new(1);
    one.set("a", "same");
    one.transact([put_in("a", "same", Some(Context::default()))])
        .expect("valid");
    let siblings = one.replica.siblings("a");
    assert_eq!((siblings.values.len(), siblings.context.dots().len()), (1, 2));
    assert_eq!(
        one.replica
            .scan(&Scan::default())
            .map(|item| item.siblings)
            .collect::<Vec<_>>(),
        [1]
    );
    one.transact([put_in("a", "next", Some(siblings.context))])
        .expect("valid");
    assert_eq!(one.replica.live_dots().count(), 1);
}

#[test]
fn a_command_is_answered_when_its_batch_is_durable() {
    let mut one = Driver::new(1);
    one.durable = false;
    one.feed(Input::Command {
        id: CommandId(1),
        command: Command::Transact(vec![put("a", "1")]),
    });
    assert_eq!(
        (one.get("a"), one.replies.len(), one.replica.pending()),
        (Some("1".into()), 0, 1)
    );
    assert_eq!(one.gossip.len(), 1, "gossip does not wait");
    one.feed(Input::Persisted {
        id: gossipstore_core::replica::BatchId(0),
    });
    assert_eq!((one.replies.pop(), one.replica.pending()), (Some(Ok(())), 0));

    one.feed(Input::Command {
        id: CommandId(2),
        command: Command::Transact(vec![put("b", "1")]),
    });
    one.feed(Input::PersistFailed { failure: full() });
    assert_eq!(one.replies.pop(), Some(Err(CommandError::NotDurable(full()))));
}

#[test]
fn an_opening_writes_as_a_new_author_and_one_that_reads_has_none() {
    let mut one = Driver::new(1);
    one.set("a", "1");
    one.set("a", "2");
    one.delete("a");
    one.set("b", "3");
    let first = one.replica.author().expect("it has written");
    let mut again = Driver::with(config(2));
    again.replica = Replica::restore(config(2), again.now, one.batches.clone()).expect("as it was stored");
    assert_eq!((again.get("b"), again.replica.author()), (Some("3".into()), None));
    assert_eq!(again.replica.digest(), one.replica.digest());
    again.set("a", "4");
    assert_ne!(again.replica.author(), Some(first));
    assert_eq!(again.replica.vector().len(), 2);
}

#[test]
fn the_later_of_two_writes_wins_even_when_the_clock_stands() {
    let mut one = Driver::new(1);
    for value in ["1", "2", "3"] {
        one.transact([put_in("a", value, Some(Context::default()))])
            .expect("valid");
    }
    assert_eq!(one.get("a"), Some("3".into()));
    assert_eq!(one.values("a"), ["1", "2", "3"]);
}

fn delete(key: &str) -> Write {
    let key = Key::from(key);
    Write::Delete { key, context: None }
}

fn full() -> StorageFailure {
    StorageFailure {
        reason: Arc::from("disk full"),
        is_full: true,
    }
}

#[test]
fn while_storage_takes_nothing_commands_are_refused_and_what_peers_send_is_taken_in() {
    let [mut one, mut peer] = [Driver::new(1), Driver::new(2)];
    one.durable = false;
    one.set_soon("a");
    one.set_soon("b");
    one.feed(Input::PersistFailed { failure: full() });
    let not_durable = Err(CommandError::NotDurable(full()));
    assert_eq!(one.replies, [not_durable.clone(), not_durable]);
    one.replies.clear();
    assert_eq!(one.transact([put("c", "1")]), Err(CommandError::StorageFails(full())));
    assert_eq!((one.get("a"), one.get("c")), (Some("soon".into()), None));
    peer.set("d", "1");
    gossip(&mut peer, &mut one);
    assert_eq!((one.get("d"), one.batches.len()), (Some("1".into()), 3));
    // What is deleted may make room.
    let not_durable = Err(CommandError::NotDurable(full()));
    assert_eq!(one.transact([delete("a")]), not_durable);
    assert_eq!(one.get("a"), None);
    assert_eq!(
        one.transact([delete("d"), put("c", "1")]),
        Err(CommandError::StorageFails(full()))
    );
    let failure = StorageFailure {
        is_full: false,
        ..full()
    };
    one.feed(Input::PersistFailed {
        failure: failure.clone(),
    });
    assert_eq!(one.transact([delete("b")]), Err(CommandError::StorageFails(failure)));

    one.durable = true;
    one.feed(Input::Persisted { id: BatchId(3) });
    assert_eq!(one.transact([put("c", "1")]), Ok(()));
}

/// Feeds a command and gives how many turns it took, checking at each that `read` shows the state before or the state after.
fn turns_of(one: &mut Driver, command: Command, read: impl Fn(&Replica) -> usize) -> usize {
    let (before, mut states, mut turns) = (read(&one.replica), Vec::new(), 1);
    one.turn(Input::Command {
        id: CommandId(1),
        command,
    });
    while one.replica.poll_timeout().is_some() {
        states.push(read(&one.replica));
        one.turn(Input::Tick);
        turns += 1;
    }
    states.push(read(&one.replica));
    states.dedup();
    let after = states[states.len() - 1];
    assert!(
        states.iter().all(|state| [before, after].contains(state)),
        "{before} to {after}: {states:?}"
    );
    turns
}

#[test]
fn a_long_transaction_is_made_in_slices_and_seen_whole() {
    const WRITES: usize = 10_000;
    let mut one = Driver::new(1);
    one.set("5", "old");
    one.changes();
    // Each key is written twice; the second write counts.
    let writes = (0..WRITES).map(|n| put(&(n % (WRITES / 2)).to_string(), &n.to_string()));
    let command = Command::Transact(writes.collect());
    assert!(turns_of(&mut one, command, Replica::len) > 10);
    assert_eq!((one.replies.pop(), one.replica.pending()), (Some(Ok(())), 0));
    assert_eq!(one.changes().iter().map(Vec::len).collect::<Vec<_>>(), [WRITES / 2]);
    assert_eq!((one.get("5"), one.values("5").len()), (Some("5005".into()), 1));
    assert_eq!(one.replica.live_dots().count(), WRITES / 2);

    let mut all = Vec::new();
    one.turn(Input::Command {
        id: CommandId(1),
        command: Command::Clear,
    });
    // A command that comes meanwhile follows, and supersedes nothing that is gone by then.
    one.set("5", "new");
    all.append(&mut one.replies);
    assert_eq!(
        (all, one.replica.len(), one.values("5")),
        (vec![Ok(())], 1, vec!["new".to_string()])
    );
}

#[test]
fn to_clear_a_store_of_more_keys_than_a_transaction_holds_takes_several() {
    let mut one = Driver::new(1);
    for start in [0, wire::TXN_EVENTS_MAX] {
        let writes = (start..start + wire::TXN_EVENTS_MAX).map(|n| put(&n.to_string(), "1"));
        one.transact(writes).expect("valid");
    }
    one.set("last", "1");
    one.changes();
    // Storage has each batch before the command ends.
    assert_eq!(one.command(Command::Clear), Ok(()));
    let cleared: Vec<_> = one.changes().iter().map(Vec::len).collect();
    assert_eq!(
        (cleared, one.replica.len()),
        (vec![wire::TXN_EVENTS_MAX, wire::TXN_EVENTS_MAX, 1], 0)
    );
}

fn call(n: u64, write: Write) -> Input {
    Input::Call {
        id: CommandId(n),
        call: Call { caller: Caller(1), n },
        command: Command::Transact(vec![write]),
    }
}

#[test]
fn a_call_that_comes_again_is_answered_and_not_carried_out() {
    let mut one = Driver::new(1);
    let add = || Write::Add {
        key: Key::from("likes"),
        amount: 3,
    };
    for n in [1, 2, 1, 2, 3] {
        one.feed(call(n, add()));
    }
    assert_eq!(one.replies, vec![Ok(()); 5]);
    assert_eq!(one.batches.len(), 3);
    let named: Vec<_> = one.batches.iter().map(|batch| batch.call.map(|call| call.n)).collect();
    assert_eq!(named, [Some(1), Some(2), Some(3)]);

    let mut next = Driver::new(2);
    next.replica = Replica::restore(config(2), next.now, one.batches).expect("as they were handed out");
    next.feed(call(3, add()));
    next.feed(call(4, add()));
    assert_eq!(next.replies, vec![Ok(()); 2]);
    assert_eq!(next.batches.len(), 1);
}

#[test]
fn a_call_that_comes_again_before_it_is_durable_waits_for_that() {
    let mut one = Driver::new(1);
    one.durable = false;
    one.feed(call(1, put("a", "1")));
    one.feed(call(1, put("a", "1")));
    assert_eq!((one.replies.len(), one.batches.len()), (0, 1));
    one.feed(Input::Persisted { id: BatchId(0) });
    assert_eq!(one.replies, vec![Ok(()); 2]);
}

#[test]
fn nothing_leaves_before_a_call_is_durable() {
    let mut one = Driver::new(1);
    one.durable = false;
    one.set_soon("before");
    assert_eq!(one.gossip.len(), 1, "a command is gossiped at once");
    one.feed(call(1, put("a", "1")));
    one.set_soon("after");
    one.feed(Input::PeerUp { peer: PEER });
    assert_eq!((one.gossip.len(), one.sent.len()), (1, 0));
    one.feed(Input::Persisted { id: BatchId(0) });
    assert_eq!((one.gossip.len(), one.sent.len()), (1, 0));
    one.feed(call(2, put("a", "2")));
    one.feed(Input::Persisted { id: BatchId(1) });
    assert_eq!(
        (one.gossip.len(), one.sent.len()),
        (3, 1),
        "in order, as far as it is durable"
    );
    one.feed(Input::Persisted { id: BatchId(3) });
    assert_eq!(one.gossip.len(), 4);
    one.set_soon("last");
    assert_eq!(one.gossip.len(), 5);
}

#[test]
fn when_storage_has_failed_what_was_held_back_leaves() {
    let mut one = Driver::new(1);
    one.durable = false;
    one.feed(call(1, put("a", "1")));
    one.feed(Input::PersistFailed { failure: full() });
    assert_eq!(one.replies, [Err(CommandError::NotDurable(full()))]);
    assert_eq!(one.gossip.len(), 1);
    one.feed(Input::Persisted { id: BatchId(0) });
    one.feed(call(2, put("a", "2")));
    assert_eq!(one.gossip.len(), 1, "held back again");
}
