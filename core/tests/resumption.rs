//! Goal: a session that was cut does not start from nothing. Method: links cut after any number of frames; what crosses next is
//! counted.

mod support;

use gossipstore_core::{
    replica::{Config, Event, Input},
    wire::Frame,
};
use support::{Driver, PEER, config, cut, deliver, join, settle};

fn filled(seed: u8, keys: usize) -> Driver {
    let mut driver = Driver::with(Config {
        event_bytes_max: 2_000,
        frames_per_turn: 1,
        ..config(seed)
    });
    for at in 0..keys {
        driver.set(&format!("key {at:08}"), &format!("{at:050}"));
    }
    driver.gossip.clear();
    driver
}

/// Delivers about so many bytes from `a` to `b`, then cuts the link.
fn cut_after(a: &mut Driver, b: &mut Driver, bytes: usize) {
    join(a, b);
    let mut crossed = 0;
    while crossed < bytes {
        let moved = deliver(b, a) + deliver(a, b);
        assert!(moved > 0, "only {crossed} bytes crossed");
        crossed += moved;
    }
    cut(a, b);
}

fn assert_whole(a: &Driver, b: &Driver) {
    assert_eq!(a.replica.digest(), b.replica.digest());
    assert!(a.replica.live_dots().eq(b.replica.live_dots()));
    let failed = |event: &Event| matches!(event, Event::SessionFailed { .. });
    assert!(!a.events.iter().chain(&b.events).any(failed));
}

#[test]
fn what_was_staged_does_not_cross_again() {
    let (mut a, mut b) = (filled(1, 2_000), Driver::new(2));
    cut_after(&mut a, &mut b, 100_000);
    assert!(b.replica.is_empty(), "nothing is visible of a session that was cut");
    join(&mut a, &mut b);
    let rest = settle(&mut a, &mut b);
    assert!(rest < 45_000, "{rest} bytes after most of 140,000 had crossed");
    assert_whole(&a, &b);
}

#[test]
fn another_peer_can_go_on() {
    let (mut a, mut b, mut c) = (filled(1, 2_000), Driver::new(2), Driver::new(3));
    join(&mut a, &mut c);
    settle(&mut a, &mut c);
    cut(&mut a, &mut c);
    cut_after(&mut a, &mut b, 100_000);
    join(&mut c, &mut b);
    let rest = settle(&mut c, &mut b);
    assert!(rest < 45_000, "{rest} bytes");
    assert_whole(&b, &c);
}

#[test]
fn what_was_staged_and_died_meanwhile_stays_dead() {
    for ring_records in [0, 65_536] {
        let mut a = Driver::with(Config {
            ring_records,
            event_bytes_max: 500,
            frames_per_turn: 1,
            ..config(1)
        });
        let mut b = Driver::new(2);
        b.set("b", "1");
        for at in 0..200 {
            a.set(&format!("key {at:03}"), "1");
        }
        cut_after(&mut a, &mut b, 1_000);
        for at in 0..200 {
            a.set(&format!("key {at:03}"), "2");
            if at % 2 == 0 {
                a.delete(&format!("key {at:03}"));
            }
        }
        join(&mut a, &mut b);
        settle(&mut a, &mut b);
        assert_whole(&a, &b);
        assert_eq!(b.replica.len(), 101, "ring of {ring_records}");
        assert_eq!((b.get("key 000"), b.get("key 001")), (None, Some("2".into())));
    }
}

#[test]
fn what_was_staged_from_a_peer_that_knows_more_waits_for_one_that_does() {
    // c has the beginning of what a has.
    let (mut a, mut b, mut c) = (filled(1, 500), Driver::new(2), Driver::new(3));
    join(&mut a, &mut c);
    settle(&mut a, &mut c);
    cut(&mut a, &mut c);
    for at in 0..500 {
        a.set(&format!("key {at:08}"), &format!("{:050}", at + 1));
        a.set(&format!("more {at:08}"), &format!("{at:050}"));
    }
    cut_after(&mut a, &mut b, 50_000);
    join(&mut c, &mut b);
    settle(&mut c, &mut b);
    assert_whole(&b, &c);
    assert_eq!(b.get("key 00000007"), Some(format!("{:050}", 7)));
    cut(&mut c, &mut b);
    join(&mut a, &mut b);
    let rest = settle(&mut a, &mut b);
    assert_whole(&a, &b);
    assert!(rest < 60_000, "{rest} bytes of about 100,000");
}

#[test]
fn a_large_value_goes_on_where_it_was_cut() {
    let (mut a, mut b) = (filled(1, 0), Driver::new(2));
    a.set("large", &"x".repeat(1_000_000));
    a.set("another", &"y".repeat(200_000));
    cut_after(&mut a, &mut b, 600_000);
    join(&mut a, &mut b);
    let mut rest = 0;
    let mut wanted = Vec::new();
    while !a.sent.is_empty() || !b.sent.is_empty() {
        rest += deliver(&mut a, &mut b);
        for (_, frame) in &b.sent {
            if let Ok(Frame::Want { offset, .. }) = Frame::parse(frame) {
                wanted.push(offset);
            }
        }
        rest += deliver(&mut b, &mut a);
    }
    assert!(
        rest < 700_000 && wanted.iter().any(|offset| *offset > 300_000),
        "{rest} bytes, {wanted:?}"
    );
    assert_whole(&a, &b);
    assert_eq!(b.get("large").map(|value| value.len()), Some(1_000_000));
}

#[test]
fn a_peer_that_says_what_is_wrong_spoils_only_its_own_session() {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    a.set("large", &"x".repeat(100_000));
    a.set("small", "1");
    join(&mut a, &mut b);
    deliver(&mut b, &mut a);
    // The last byte of the value is altered on the way.
    while !a.sent.is_empty() || !b.sent.is_empty() {
        for (_, frame) in &mut a.sent {
            if let Ok(Frame::Body { .. }) = Frame::parse(frame)
                && frame.len() < 60_000
                && let Some(last) = frame.last_mut()
            {
                *last ^= 1;
            }
        }
        deliver(&mut a, &mut b);
        deliver(&mut b, &mut a);
    }
    assert!(
        b.events
            .iter()
            .any(|event| matches!(event, Event::SessionFailed { .. }))
    );
    assert!(b.replica.is_empty());
    cut(&mut a, &mut b);
    b.events.clear();
    join(&mut a, &mut b);
    settle(&mut a, &mut b);
    assert_whole(&a, &b);
}

#[test]
fn what_is_staged_is_dropped_after_a_while() {
    let (mut a, mut b) = (filled(1, 2_000), Driver::new(2));
    cut_after(&mut a, &mut b, 100_000);
    b.pass(std::time::Duration::from_secs(601));
    assert_eq!(b.replica.poll_timeout(), None);
    join(&mut a, &mut b);
    assert!(
        b.sent
            .iter()
            .all(|(_, frame)| !matches!(Frame::parse(frame), Ok(Frame::Have { .. })))
    );
    let rest = settle(&mut a, &mut b);
    assert!(rest > 100_000, "{rest} bytes");
    assert_whole(&a, &b);
    b.feed(Input::PeerDown { peer: PEER });
}
