//! Any bytes, read as everything that others hand in as bytes: a frame of a session, a gossiped message, the context of a write.
//!
//! Reading must end without a panic. What was read is written again and must come out as the same bytes wherever a value has one
//! form. Streams of events, vectors and leaves can be spelled in more ways than the one in which they are written; for them, what is
//! written is read once more and must be the same value.

use std::sync::Arc;

use gossipstore_core::{
    causality::{Context, Event, Op, Txn, VersionVector},
    id::Dot,
    time::Hlc,
    wire::{
        AuthorTable, Body, Described, End, EventReader, EventWriter, Frame, Gossip, Hello, Leaf, LeafReader,
        LeafWriter, LiveEvent, Tag, WireError,
    },
};

/// Reads the bytes in every way.
pub fn run(bytes: &[u8]) {
    session(bytes);
    gossip(bytes);
    if let Some(context) = Context::decode(bytes) {
        assert_eq!(context.encode(), bytes);
    }
}

/// Whether an honest replica may send these bytes in a session.
pub fn is_frame(bytes: &[u8]) -> bool {
    Frame::parse(bytes).is_ok()
}

/// Whether an honest replica may gossip these bytes.
pub fn is_gossip(bytes: &[u8]) -> bool {
    Gossip::decode(bytes).is_ok()
}

fn session(bytes: &[u8]) {
    let frame = match Frame::parse(bytes) {
        Ok(frame) => frame,
        Err(error) => return speak(&error),
    };
    match frame {
        Frame::Hello(hello) => self::hello(hello, bytes),
        Frame::Events {
            tag,
            sequence,
            remaining,
            events,
        } => {
            assert_eq!(Frame::events(tag, sequence, remaining, events), bytes);
            self::events(events);
        }
        Frame::Body {
            tag,
            sequence,
            bytes: body,
        } => assert_eq!(Frame::body(tag, sequence, body), bytes),
        Frame::Leaves { tag, sequence, leaves } => self::leaves(tag, sequence, leaves),
        Frame::End { tag, sequence, end } => self::end(tag, sequence, end),
        Frame::Digest(digest) => assert_eq!(Frame::digest(digest), bytes),
    }
}

/// A vector is written in the order of its authors. What was spelled shorter than it is bounded may be written as several frames.
fn hello(hello: Hello, bytes: &[u8]) {
    let Hello { store, tag, spell, .. } = hello;
    let vector: VersionVector = hello.vector.iter().copied().collect();
    let written: Vec<_> = Hello::frames(store, tag, spell, &vector).collect();
    if let [frame] = &*written
        && !hello.more
        && hello.vector.is_sorted_by(|a, b| a.0 < b.0)
    {
        assert_eq!(frame, bytes);
    }
}

fn events(bytes: &[u8]) {
    let Some(events) = read_events(bytes) else { return };
    let mut writer = EventWriter::new(AuthorTable::default(), Hlc::default());
    let mut written = Vec::new();
    for event in &events {
        match event {
            Described::Dead { dot, removes } => writer.dead(*dot, removes, &mut written),
            Described::Live {
                dot,
                key,
                body: Body::Inline(value),
                hlc,
                removes,
            } => {
                let event = LiveEvent {
                    dot: *dot,
                    key,
                    value,
                    hlc: *hlc,
                    removes: removes.clone(),
                };
                assert!(!writer.live(&event, &**key == KNOWN, &mut written));
            }
            // Only the value itself could be written.
            Described::Live {
                body: Body::Large { .. },
                ..
            } => return,
        }
    }
    assert_eq!(read_events(&written), Some(events));
}

/// The key of whatever is removed, as if the receiver knew all.
const KNOWN: &str = "known";

fn read_events(bytes: &[u8]) -> Option<Vec<Described>> {
    let mut events = Vec::new();
    let read = EventReader::new(AuthorTable::default(), Hlc::default()).read(
        bytes,
        |_| Some(Arc::from(KNOWN)),
        |event| {
            events.push(event);
            Ok::<_, WireError>(())
        },
    );
    read.inspect_err(speak).ok()?;
    Some(events)
}

fn leaves(tag: Tag, sequence: u64, bytes: &[u8]) {
    let Some(leaves) = read_leaves(bytes) else { return };
    let mut writer = LeafWriter::new(tag, sequence);
    let mut authors = AuthorTable::default();
    for leaf in &leaves {
        writer.push(leaf, &mut authors);
    }
    let written = writer.finish();
    // What was spelled shorter than it is written may take a second frame, which goes on with the same authors.
    if let [frame] = &*written {
        let Ok(Frame::Leaves { leaves: bytes, .. }) = Frame::parse(frame) else {
            panic!("not LEAVES: {frame:?}")
        };
        assert_eq!(read_leaves(bytes), Some(leaves));
    }
}

fn read_leaves(bytes: &[u8]) -> Option<Vec<Leaf>> {
    let (mut reader, mut authors) = (LeafReader::new(bytes), AuthorTable::default());
    let mut leaves = Vec::new();
    while let Some(leaf) = reader.next(&mut authors).inspect_err(speak).ok()? {
        leaves.push(leaf);
    }
    Some(leaves)
}

fn end(tag: Tag, sequence: u64, bytes: &[u8]) {
    let end = match End::decode(bytes, &mut AuthorTable::default()) {
        Ok(end) => End { more: false, ..end },
        Err(error) => return speak(&error),
    };
    let sequence = sequence.min(u64::from(u32::MAX));
    if let [frame] = &*end.clone().frames(tag, sequence, &mut AuthorTable::default()) {
        let Ok(Frame::End { end: bytes, .. }) = Frame::parse(frame) else {
            panic!("not END: {frame:?}")
        };
        assert_eq!(End::decode(bytes, &mut AuthorTable::default()), Ok(end));
    }
}

fn gossip(bytes: &[u8]) {
    match Gossip::decode(bytes) {
        Ok(Gossip::Txn(txn)) => {
            let written = Gossip::encode(&txn, usize::MAX);
            assert_eq!(Gossip::decode(&written), Ok(Gossip::Txn(txn)));
        }
        Ok(Gossip::Announce(last)) => assert_eq!(Gossip::encode(&one_delete(last), 0), bytes),
        Err(error) => speak(&error),
    }
}

/// A transaction whose last dot is this one.
fn one_delete(last: Dot) -> Txn {
    Txn {
        author: last.author,
        first: last.n,
        hlc: Hlc::default(),
        deps: Default::default(),
        events: vec![Event {
            op: Op::Delete,
            removes: Default::default(),
        }],
    }
}

/// Errors are shown to people.
fn speak(error: &WireError) {
    assert!(!error.to_string().is_empty());
}
