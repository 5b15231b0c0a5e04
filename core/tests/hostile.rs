//! Goal: no bytes from a peer make a replica panic, change what it shows, or keep it from working with others. Method: every
//! frame of honest sessions is truncated, altered, repeated and left out; random bytes are fed everywhere.

mod support;

use gossipstore_core::{
    id::{Dot, Peer},
    replica::{Event, Input},
    sync::SessionError,
    wire::{AuthorTable, End, EventWriter, Frame, STAMP_ORIGIN, Tag},
};
use proptest::prelude::*;
use support::{Driver, PEER, gossip, join, settle};

/// A replica that holds a little, and has asked the peer that holds more. Every time the same, down to the tags.
fn asking() -> (Driver, Driver) {
    let (mut a, mut b) = (Driver::new(1), Driver::new(2));
    for at in 0..40 {
        a.set(&format!("key {}", at % 7), &format!("value {at}"));
    }
    a.delete("key 1");
    a.set("large", &"x".repeat(100_000));
    b.set("key 2", "mine");
    join(&mut a, &mut b);
    (a, b)
}

/// The frames that an honest peer sends to a replica that holds a little, and the replica that awaits them.
fn recorded() -> (Driver, Vec<Vec<u8>>) {
    let (mut a, mut twin) = asking();
    let mut frames = Vec::new();
    loop {
        while let Some((peer, frame)) = twin.sent.pop_front() {
            a.feed(Input::Received { peer, frame });
        }
        if a.sent.is_empty() {
            a.feed(Input::Drained { peer: PEER });
        }
        if a.sent.is_empty() {
            break;
        }
        while let Some((_, frame)) = a.sent.pop_front() {
            receive(&mut twin, &frame);
            frames.push(frame);
        }
    }
    let (_, b) = asking();
    (b, frames)
}

fn receive(driver: &mut Driver, frame: &[u8]) {
    driver.feed(Input::Received {
        peer: PEER,
        frame: frame.to_vec(),
    });
}

/// The replica holds its own entry, and all or nothing of the session's.
fn assert_healthy(driver: &Driver) {
    assert!(driver.values("key 2").contains(&"mine".to_owned()));
    assert!([1, 7].contains(&driver.replica.len()), "{} keys", driver.replica.len());
}

/// The replica still syncs with an honest peer.
fn assert_works(mut driver: Driver) {
    driver.feed(Input::PeerDown { peer: PEER });
    driver.sent.clear();
    let mut honest = Driver::new(3);
    honest.set("from honest", "1");
    join(&mut honest, &mut driver);
    settle(&mut honest, &mut driver);
    assert_eq!(driver.get("from honest"), Some("1".into()));
    assert_eq!(honest.replica.digest(), driver.replica.digest());
}

#[test]
fn the_recorded_session_is_whole() {
    let (mut b, frames) = recorded();
    assert!(frames.len() >= 4, "{} frames", frames.len());
    for frame in &frames {
        receive(&mut b, frame);
    }
    assert_eq!(b.replica.len(), 7);
    assert!(
        !b.events
            .iter()
            .any(|event| matches!(event, Event::SessionFailed { .. }))
    );
}

#[test]
fn every_truncation_of_every_frame_is_harmless() {
    let (_, frames) = recorded();
    for at in 0..frames.len() {
        let length = frames[at].len();
        for cut in (0..length.min(200)).chain([length / 2, length - 1]) {
            let (mut b, _) = recorded();
            for frame in &frames[..at] {
                receive(&mut b, frame);
            }
            receive(&mut b, &frames[at][..cut]);
            for frame in &frames[at + 1..] {
                receive(&mut b, frame);
            }
            assert_healthy(&b);
        }
    }
}

#[test]
fn a_frame_left_out_or_repeated_ends_the_session() {
    let (_, frames) = recorded();
    // The first frame is the peer's own HELLO.
    for at in 1..frames.len() - 1 {
        if matches!(Frame::parse(&frames[at]), Ok(Frame::Digest(..))) {
            continue;
        }
        for copies in [0, 2] {
            let (mut b, _) = recorded();
            for (place, frame) in frames.iter().enumerate() {
                for _ in 0..if place == at { copies } else { 1 } {
                    receive(&mut b, frame);
                }
            }
            let failed = b.events.iter().any(|event| {
                matches!(
                    event,
                    Event::SessionFailed {
                        error: SessionError::OutOfOrder { .. },
                        ..
                    }
                )
            });
            assert!(failed, "frame {at}, {copies} copies");
            assert_eq!(b.replica.len(), 1);
            assert_works(b);
        }
    }
}

#[test]
fn frames_of_another_session_or_peer_are_ignored() {
    let (_, frames) = recorded();
    let mut b = Driver::new(5);
    b.set("key 2", "mine");
    for frame in &frames[1..] {
        b.feed(Input::Received {
            peer: Peer(99),
            frame: frame.clone(),
        });
    }
    b.feed(Input::PeerUp { peer: PEER });
    for frame in &frames[1..] {
        receive(&mut b, frame);
    }
    assert_eq!(b.replica.len(), 1);
    assert_works(b);
}

#[test]
fn a_frame_above_the_bound_is_refused() {
    let (mut b, _) = recorded();
    receive(&mut b, &vec![2; gossipstore_core::wire::FRAME_BYTES_MAX + 1]);
    assert!(b.events.iter().any(|event| matches!(
        event,
        Event::SessionFailed {
            error: SessionError::Wire(_),
            ..
        }
    )));
    assert_works(b);
}

/// A replica that has asked, the tag of its HELLO, and the dot of what it wrote since.
fn asked() -> (Driver, Tag, Dot) {
    let mut b = Driver::new(2);
    b.feed(Input::PeerUp { peer: PEER });
    let (_, frame) = b.sent.pop_front().expect("a HELLO");
    let Ok(Frame::Hello(hello)) = Frame::parse(&frame) else {
        panic!("not HELLO")
    };
    b.set("key", "mine");
    let mine = b.replica.live_dots().next().expect("just written");
    (b, hello.tag, mine)
}

/// The answer, whose sender has seen so much, is taken and changes nothing.
fn assert_changes_nothing(mut b: Driver, frames: Vec<Vec<u8>>, end: End, authors: &mut AuthorTable, tag: Tag) {
    let ends = end.frames(tag, frames.len() as u64, authors);
    let stored = b.batches.len();
    for frame in frames.into_iter().chain(ends) {
        receive(&mut b, &frame);
    }
    assert!(b.events.contains(&Event::Received { peer: PEER }));
    assert_eq!((b.get("key"), b.batches.len()), (Some("mine".into()), stored));
}

#[test]
fn who_has_seen_nothing_new_removes_nothing() {
    let (b, tag, mine) = asked();
    let end = End {
        named: true,
        vector: vec![(mine.author, mine.n)],
        ..End::default()
    };
    let (sequence, leaves) = (0, &[][..]);
    let leaves = Frame::Leaves { tag, sequence, leaves }.encode();
    assert_changes_nothing(b, vec![leaves], end, &mut AuthorTable::default(), tag);
}

#[test]
fn an_event_that_was_seen_removes_nothing_more() {
    let (mut b, tag, mine) = asked();
    let mut other = Driver::new(3);
    other.set("elsewhere", "1");
    gossip(&mut other, &mut b);
    let seen = other.replica.live_dots().next().expect("just written");
    let (mut writer, mut events) = (EventWriter::new(AuthorTable::default(), STAMP_ORIGIN), Vec::new());
    writer.dead(seen, &[mine], &mut events);
    let end = End {
        judged: true,
        vector: vec![(mine.author, mine.n), (seen.author, seen.n)],
        ..End::default()
    };
    let frame = Frame::Events {
        tag,
        sequence: 0,
        remaining: 0,
        events: &events,
    };
    let frames = vec![frame.encode()];
    assert_changes_nothing(b, frames, end, writer.authors(), tag);
}

#[test]
fn counts_beyond_all_measure_do_not_overflow() {
    let (mut b, frames) = recorded();
    let Ok(Frame::Events {
        tag, sequence, events, ..
    }) = Frame::parse(&frames[1])
    else {
        panic!("not EVENTS")
    };
    let remaining = u64::MAX;
    let frame = Frame::Events {
        tag,
        sequence,
        remaining,
        events,
    };
    receive(&mut b, &frame.encode());
    assert_works(b);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn altered_frames_are_harmless(at in 0_usize..100, byte in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (mut b, mut frames) = recorded();
        let at = at % frames.len();
        let byte = byte.index(frames[at].len().min(400));
        frames[at][byte] ^= flip;
        for frame in &frames {
            receive(&mut b, frame);
        }
        // What an altered frame says cannot be told from what the peer might have said, without signatures; that the replica still works
        // with others can be.
        assert_works(b);
    }

    #[test]
    fn random_bytes_are_harmless(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20), kind in 0_u8..20) {
        let (mut b, _) = recorded();
        for mut bytes in messages {
            b.feed(Input::Gossiped { peer: Some(PEER), message: bytes.clone() });
            receive(&mut b, &bytes);
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            b.feed(Input::Gossiped { peer: Some(PEER), message: bytes.clone() });
            receive(&mut b, &bytes);
        }
        assert_works(b);
    }
}
