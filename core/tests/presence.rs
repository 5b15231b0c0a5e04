//! Goal: members know who is present, within moments of it and no longer than it is so. Method: replicas in one thread with a clock
//! that is set by hand. The simulator holds the same under loss, crashes and wrong clocks.

mod support;

use std::{collections::BTreeMap, time::Duration};

use gossipstore_core::{
    id::{Home, Peer, PresenceId},
    presence::{AHEAD_MAX, DEPARTED_AFTER, EXPIRES_AFTER, News, PRESENCES_MAX, RENEWED_EVERY, TOLD_EVERY},
    replica::{Event, Input, Value},
    wire::{Frame, Gossip, PRESENCE_BYTES_MAX, Presence},
};
use support::{Driver, PEER, cut, gossip, join, settle};

const ADA: PresenceId = PresenceId(1);
const BOB: PresenceId = PresenceId(2);
const MOMENT: Duration = Duration::from_millis(1);

fn says(driver: &mut Driver, id: PresenceId, value: &str) {
    let value = Some(Value::from(value.as_bytes()));
    driver.feed(Input::Present { id, value });
}

fn leaves(driver: &mut Driver, id: PresenceId) {
    driver.feed(Input::Present { id, value: None });
}

/// Who is present, and with what.
fn present(driver: &Driver) -> BTreeMap<u64, String> {
    let News { present, changed, .. } = driver.replica.presences().news(0);
    assert_eq!(present.len(), changed.len());
    let read = |(id, value): (PresenceId, Value)| (id.0, String::from_utf8(value.to_vec()).expect("text"));
    changed.into_iter().map(read).collect()
}

fn ada_and<'a>(others: impl IntoIterator<Item = (u64, &'a str)>) -> BTreeMap<u64, String> {
    let others = others.into_iter().chain([(1, "Ada")]);
    others.map(|(id, value)| (id, value.to_owned())).collect()
}

/// How often callers were told since this was asked last.
fn told(driver: &mut Driver) -> usize {
    let events = std::mem::take(&mut driver.events);
    events.iter().filter(|event| **event == Event::PresenceChanged).count()
}

/// Two replicas that are linked, one with Ada.
fn pair() -> (Driver, Driver) {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    says(&mut a, ADA, "Ada");
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    a.gossip.clear();
    (a, b)
}

#[test]
fn a_peer_learns_of_all_who_are_present_when_it_comes_and_of_changes_at_once() {
    let (mut a, mut b) = pair();
    assert_eq!(present(&b), ada_and([]));
    says(&mut b, BOB, "Bob");
    gossip(&mut b, &mut a);
    assert_eq!(present(&a), ada_and([(2, "Bob")]));
    assert!(a.batches.is_empty() && b.batches.is_empty(), "nothing is stored");

    // Whoever comes later hears of all from any of them.
    let mut c = Driver::new(3);
    join(&mut a, &mut c);
    settle(&mut a, &mut c);
    assert_eq!(present(&c), ada_and([(2, "Bob")]));

    leaves(&mut b, BOB);
    gossip(&mut b, &mut a);
    assert_eq!(present(&a), ada_and([]));
}

#[test]
fn callers_are_told_what_is_new_to_them() {
    let (mut a, mut b) = pair();
    assert_eq!((told(&mut a), told(&mut b)), (1, 1));
    let News { changes, .. } = b.replica.presences().news(0);
    assert_eq!(b.replica.presences().news(changes).changed, []);
    says(&mut b, BOB, "Bob");
    let news = b.replica.presences().news(changes);
    assert_eq!(news.present, [ADA, BOB]);
    assert_eq!(news.changed, [(BOB, Value::from(&b"Bob"[..]))]);
    says(&mut b, BOB, "Bob");
    assert_eq!(told(&mut b), 1, "nothing has changed");
    // What is said anew is none either.
    a.pass(RENEWED_EVERY);
    gossip(&mut a, &mut b);
    assert_eq!(told(&mut b), 0);
    leaves(&mut b, BOB);
    let news = b.replica.presences().news(news.changes);
    assert_eq!((news.present, news.changed), (vec![ADA], vec![]));
    assert_eq!(told(&mut b), 1);
}

#[test]
fn a_hand_that_moves_is_told_now_and_then_and_where_it_ends() {
    let (mut a, mut b) = pair();
    a.pass(TOLD_EVERY);
    for at in 0..1_000 {
        says(&mut a, ADA, &at.to_string());
        a.pass(MOMENT);
    }
    a.pass(TOLD_EVERY);
    let most = 1_000 / TOLD_EVERY.as_millis() as usize + 2;
    assert!(
        (most - 2..=most).contains(&a.gossip.len()),
        "{} messages",
        a.gossip.len()
    );
    gossip(&mut a, &mut b);
    assert_eq!(present(&b)[&1], "999");
}

#[test]
fn who_is_not_heard_of_any_more_is_over() {
    let (mut a, mut b) = pair();
    // Two may be lost.
    b.pass(EXPIRES_AFTER - MOMENT);
    assert_eq!(present(&b), ada_and([]));
    a.pass(EXPIRES_AFTER - MOMENT);
    gossip(&mut a, &mut b);
    b.pass(EXPIRES_AFTER - MOMENT);
    assert_eq!(present(&b), ada_and([]));
    b.pass(MOMENT);
    assert_eq!(present(&b), BTreeMap::new());
    assert_eq!(told(&mut b), 2);
}

#[test]
fn who_was_heard_of_from_others_does_not_last_longer_by_that() {
    let (_, mut b) = pair();
    b.pass(EXPIRES_AFTER - Duration::from_secs(1));
    let mut c = Driver::new(3);
    c.now = b.now;
    join(&mut b, &mut c);
    settle(&mut b, &mut c);
    assert_eq!(present(&c), ada_and([]));
    c.pass(Duration::from_secs(1));
    assert_eq!(present(&c), BTreeMap::new());
}

#[test]
fn who_was_with_a_replica_that_is_gone_is_over_within_seconds() {
    let (mut a, mut b) = pair();
    cut(&mut a, &mut b);
    assert_eq!(present(&b), ada_and([]));
    b.pass(DEPARTED_AFTER);
    assert_eq!(present(&b), BTreeMap::new());
}

#[test]
fn who_has_lost_a_link_says_so_anew_by_another_way() {
    let (mut a, mut b) = pair();
    a.feed(Input::PeerUp { peer: Peer(8) });
    a.gossip.clear();
    cut(&mut a, &mut b);
    gossip(&mut a, &mut b);
    b.pass(DEPARTED_AFTER);
    assert_eq!(present(&b), ada_and([]));
}

#[test]
fn a_tab_that_goes_on_with_another_replica_stays() {
    let (mut a, mut b) = pair();
    says(&mut a, BOB, "Bob");
    a.pass(TOLD_EVERY);
    gossip(&mut a, &mut b);
    // The tab of the replica dies, and another takes over.
    cut(&mut a, &mut b);
    let mut next = Driver::new(3);
    next.now = a.now + Duration::from_secs(1);
    let news = a.replica.presences().news(0);
    next.feed(Input::Recalled {
        presences: news.changed,
        former: Some(a.replica.presences().home()),
    });
    assert_eq!(present(&next), ada_and([(2, "Bob")]), "at once");
    says(&mut next, BOB, "Bob");
    b.pass(Duration::from_secs(1));
    // Another has not noticed yet that the first is gone.
    let mut c = Driver::new(4);
    c.now = next.now;
    let ada = a.replica.presences().news(0).changed.swap_remove(0);
    let unnoticed = Presence {
        home: a.replica.presences().home(),
        value: Some(ada.1),
        ..presence(1, a.now.0, None)
    };
    hear(&mut c, [unnoticed]);
    join(&mut c, &mut next);
    settle(&mut c, &mut next);
    cut(&mut c, &mut next);
    join(&mut next, &mut b);
    settle(&mut next, &mut b);
    gossip(&mut next, &mut b);
    next.pass(DEPARTED_AFTER);
    b.pass(DEPARTED_AFTER);
    for driver in [&next, &b] {
        assert_eq!(present(driver), BTreeMap::from([(2, "Bob".to_owned())]));
    }
}

#[test]
fn what_was_recalled_gives_way_to_what_is_said() {
    let mut a = Driver::new(1);
    let presences = vec![(ADA, Value::from(&b"before"[..]))];
    a.feed(Input::Recalled {
        presences,
        former: None,
    });
    hear(&mut a, [presence(1, 0, Some("now"))]);
    assert_eq!(present(&a)[&1], "now");
    a.pass(DEPARTED_AFTER);
    assert_eq!(present(&a)[&1], "now");
}

fn presence(id: u64, clock: u64, value: Option<&str>) -> Presence {
    Presence {
        id: PresenceId(id),
        home: Home(77),
        clock,
        age: 0,
        value: value.map(|value| Value::from(value.as_bytes())),
    }
}

fn hear(driver: &mut Driver, presences: impl IntoIterator<Item = Presence>) {
    for message in Gossip::present(presences, 48 * 1024) {
        driver.feed(Input::Gossiped { peer: None, message });
    }
}

#[test]
fn what_is_late_changes_nothing() {
    let mut a = Driver::new(1);
    hear(&mut a, [presence(5, 3, Some("now")), presence(5, 2, Some("before"))]);
    assert_eq!(present(&a)[&5], "now");
    hear(&mut a, [presence(5, 4, None), presence(5, 3, Some("now"))]);
    assert_eq!(present(&a), BTreeMap::new());
    let old = Presence {
        age: EXPIRES_AFTER.as_millis() as u64,
        ..presence(6, 1, Some("long ago"))
    };
    hear(&mut a, [old]);
    assert_eq!(present(&a), BTreeMap::new());
}

#[test]
fn nobody_speaks_for_a_tab_of_ours_for_long() {
    let (mut a, mut b) = pair();
    let ahead = (a.now + AHEAD_MAX).0;
    for (clock, home) in [(ahead - 5, 77), (ahead - 2, a.replica.presences().home().0)] {
        let forged = Presence {
            home: Home(home),
            ..presence(1, clock, Some("Eve"))
        };
        for driver in [&mut a, &mut b] {
            hear(driver, [forged.clone()]);
        }
        assert_eq!(present(&a), ada_and([]));
        assert_eq!(present(&b)[&1], "Eve");
        a.pass(TOLD_EVERY);
        gossip(&mut a, &mut b);
        assert_eq!(present(&b), ada_and([]));
    }
    // Whoever makes up a greater clock than any honest one has is not heard at all.
    hear(&mut b, [presence(1, u64::MAX, Some("Eve"))]);
    assert_eq!(present(&b), ada_and([]));
    // Nor for one that never was.
    let home = a.replica.presences().home();
    let forged = presence(9, 1, Some("Eve"));
    hear(&mut a, [Presence { home, ..forged }]);
    assert_eq!(present(&a), ada_and([]));
}

#[test]
fn a_flood_takes_no_more_than_its_bound_and_is_over_when_it_ends() {
    let (mut a, mut b) = pair();
    let long = "x".repeat(PRESENCE_BYTES_MAX);
    for round in 0..100 {
        hear(
            &mut b,
            (0..100).map(|n| presence(1_000 + 100 * round + n, 1, Some(&long))),
        );
        assert!(b.replica.presences().len() <= PRESENCES_MAX);
    }
    assert_eq!(b.replica.presences().refused(), 10_000 - (PRESENCES_MAX as u64 - 1));
    assert_eq!(present(&b)[&1], "Ada", "who was there before stays");
    for _ in 0..2 {
        a.pass(RENEWED_EVERY);
        b.pass(RENEWED_EVERY);
        gossip(&mut a, &mut b);
    }
    b.pass(RENEWED_EVERY);
    assert_eq!(present(&b), ada_and([]));
    says(&mut b, BOB, "Bob");
    assert_eq!(present(&b), ada_and([(2, "Bob")]));
}

#[test]
fn there_is_always_room_for_tabs_of_ours() {
    let (_, mut b) = pair();
    hear(&mut b, (0..300).map(|n| presence(1_000 + n, 1, Some("x"))));
    says(&mut b, BOB, "Bob");
    assert_eq!((present(&b).len(), &*present(&b)[&2]), (PRESENCES_MAX, "Bob"));
}

#[test]
fn who_leaves_is_told_of_at_once() {
    let (mut a, mut b) = pair();
    says(&mut a, ADA, "a moment ago");
    leaves(&mut a, ADA);
    gossip(&mut a, &mut b);
    assert_eq!(present(&b), BTreeMap::new());
}

#[test]
fn a_home_is_gone_with_its_last_link_and_nobody_can_say_that_ours_is() {
    let (a, mut b) = pair();
    let (ours, theirs) = (b.replica.presences().home(), a.replica.presences().home());
    says(&mut b, BOB, "Bob");
    for (peer, home) in [(Peer(8), theirs), (Peer(9), ours)] {
        b.feed(Input::PeerUp { peer });
        let frame = Frame::present(home, []).remove(0);
        b.feed(Input::Received { peer, frame });
        b.feed(Input::PeerDown { peer });
    }
    b.pass(DEPARTED_AFTER);
    assert_eq!(present(&b), ada_and([(2, "Bob")]));
    // Who comes hears of ours as well.
    let mut c = Driver::new(3);
    c.now = b.now;
    b.feed(Input::PeerUp { peer: Peer(10) });
    let sent = b.sent.drain(..).filter(|(peer, _)| *peer == Peer(10));
    for (_, frame) in sent.collect::<Vec<_>>() {
        c.feed(Input::PeerUp { peer: PEER });
        c.feed(Input::Received { peer: PEER, frame });
    }
    assert_eq!(present(&c), ada_and([(2, "Bob")]));
}

#[test]
fn who_has_left_makes_room_for_others() {
    let mut a = Driver::new(1);
    let many = |clock, value| (0..PRESENCES_MAX as u64).map(move |n| presence(1_000 + n, clock, value));
    hear(&mut a, many(1, Some("here")));
    hear(&mut a, many(2, None).take(1));
    says(&mut a, ADA, "Ada");
    assert_eq!((present(&a).len(), a.replica.presences().refused()), (PRESENCES_MAX, 0));
    hear(&mut a, [presence(2, 1, Some("Bob"))]);
    assert_eq!(a.replica.presences().refused(), 1);
}

#[test]
fn what_is_no_presence_is_refused_and_harms_nothing() {
    let (mut a, mut b) = pair();
    let mut frame = Frame::present(Home(7), [presence(5, 1, Some("E"))]).remove(0);
    frame.pop();
    b.feed(Input::Received { peer: PEER, frame });
    let failed = |event: &Event| matches!(event, Event::SessionFailed { .. });
    assert!(b.events.iter().any(failed));
    assert_eq!(present(&b), ada_and([]));
    settle(&mut a, &mut b);
    let value = Some(Value::from(vec![0; PRESENCE_BYTES_MAX + 1]));
    a.feed(Input::Present { id: BOB, value });
    assert_eq!(present(&a), ada_and([]), "a driver refuses it");
}
