//! Goal: a key that very many write at once does not grow for ever, and what is dropped is dropped everywhere, and said. Method:
//! writers that have not seen each other, and a replica that hears of them all.

mod support;

use std::time::Duration;

use gossipstore_core::{
    id::Peer,
    replica::{Event, Input},
};
use support::{Driver, gossip, join, put, settle};

/// A replica that has heard of so many concurrent writes of one key.
fn crowded(writers: u8, value: impl Fn(u8) -> String) -> Driver {
    let mut reader = Driver::new(200);
    for number in 0..writers {
        let mut writer = Driver::new(number);
        writer.now = writer.now + Duration::from_millis(number.into());
        writer.transact([put("k", &value(number))]).expect("a valid write");
        gossip(&mut writer, &mut reader);
    }
    reader
}

fn dropped(driver: &Driver) -> Vec<usize> {
    let dropped = driver.events.iter().filter_map(|event| match event {
        Event::SiblingsDropped { values, .. } => Some(*values),
        _ => None,
    });
    dropped.collect()
}

#[test]
fn the_values_of_the_lowest_rank_are_dropped_and_said_to_be() {
    let mut reader = crowded(40, |number| format!("value {number:02}"));
    let winner = reader.get("k");
    assert_eq!(reader.values("k").len(), 40, "nothing is dropped at once");
    reader.pass(Duration::from_secs(11));
    let expected: Vec<_> = (24..40).map(|number| format!("value {number:02}")).collect();
    assert_eq!((reader.values("k"), reader.get("k")), (expected, winner));
    assert_eq!(dropped(&reader), [24]);

    let mut other = Driver::new(201);
    join(&mut reader, &mut other);
    settle(&mut reader, &mut other);
    assert_eq!(other.values("k"), reader.values("k"));
    other.pass(Duration::from_secs(30));
    assert_eq!(
        other.replica.digest(),
        reader.replica.digest(),
        "there is nothing left to merge"
    );
}

#[test]
fn as_many_as_are_kept_stay() {
    let mut reader = crowded(16, |number| format!("value {number:02}"));
    reader.pass(Duration::from_secs(60));
    assert_eq!((reader.values("k").len(), dropped(&reader)), (16, vec![]));
    assert_eq!(reader.replica.author(), None, "who only reads writes nothing");
}

#[test]
fn equal_values_go_first_and_cost_nobody_anything() {
    let mut reader = crowded(40, |number| format!("value {:02}", number % 10));
    assert_eq!(reader.values("k").len(), 10);
    reader.pass(Duration::from_secs(11));
    assert_eq!((reader.values("k").len(), dropped(&reader)), (10, vec![]));
    assert_eq!(reader.replica.live_dots().count(), 10);
}

#[test]
fn who_hears_of_a_merge_in_time_writes_none() {
    let mut reader = crowded(40, |number| format!("value {number:02}"));
    let mut other = Driver::new(201);
    join(&mut reader, &mut other);
    settle(&mut reader, &mut other);
    reader.pass(Duration::from_secs(11));
    gossip(&mut reader, &mut other);
    other.pass(Duration::from_secs(30));
    assert_eq!((dropped(&reader).len(), dropped(&other).len()), (1, 0));
    assert_eq!(other.values("k"), reader.values("k"));
}

#[test]
fn what_is_written_over_the_key_before_ends_it() {
    let mut reader = crowded(40, |number| format!("value {number:02}"));
    reader.set("k", "one for all");
    reader.pass(Duration::from_secs(60));
    assert_eq!(
        (reader.values("k"), dropped(&reader)),
        (vec!["one for all".to_owned()], vec![])
    );
    reader.feed(Input::PeerDown { peer: Peer(0) });
}
