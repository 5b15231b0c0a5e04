//! Any bytes, read as everything that others hand in as bytes: a frame of a session, a gossiped message, the context of a write.
//!
//! Reading must end without a panic. What was read is written again and must come out as the same bytes wherever a value has one
//! form. Streams of events, vectors and leaves can be spelled in more ways than the one in which they are written; for them, what is
//! written is read once more and must be the same value.

use gossipstore_core::{
    causality::{Context, Event, Key, Op, Txn},
    id::{Dot, StoreId},
    time::Hlc,
    wire::{
        AuthorTable, Base, Described, End, EventReader, EventWriter, Frame, Gossip, Hello, Item, Leaves, LiveEvent,
        LiveItem, Node, NodeReader, Prefix, Tag, WireError, Wishes, choices, read_leaves, read_limits, write_choice,
        write_inner,
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
    assert_eq!(frame.encode(), bytes);
    match frame {
        Frame::Hello(hello) => self::hello(&hello),
        Frame::Events { events, .. } => self::events(events),
        Frame::Have { leaves, .. } | Frame::Leaves { leaves, .. } => self::leaves(leaves),
        Frame::End { tag, sequence, end } => self::end(tag, sequence, end),
        Frame::Judge { limits, .. } => drop(read_limits(limits).inspect_err(speak)),
        Frame::Vector { nodes, .. } => self::nodes::<u64>(nodes),
        Frame::Nodes { nodes, .. } => self::nodes::<LiveItem>(nodes),
        Frame::Choose { choices: bytes, .. } | Frame::Expand { choices: bytes, .. } => {
            let mut written = Vec::new();
            choices(bytes).for_each(|choice| write_choice(choice, &mut written));
            assert_eq!(written, bytes);
        }
        Frame::Present { home, presences } => {
            let read = match Frame::presences(presences) {
                Ok(read) => read,
                Err(error) => return speak(&error),
            };
            assert_eq!(Frame::present(home, read).concat(), bytes);
        }
        Frame::Want { .. }
        | Frame::Body { .. }
        | Frame::Ask { .. }
        | Frame::Nothing(_)
        | Frame::Equal(_)
        | Frame::Ack(_)
        | Frame::Digest(..) => {}
    }
}

fn hello(hello: &Hello<'_>) {
    let counts = match hello.counts(&mut AuthorTable::default()) {
        Ok(counts) => counts,
        Err(error) => return speak(&error),
    };
    let (store, table) = (StoreId([0; 16]), AuthorTable::default());
    // Said in a reply only.
    let wishes = Wishes {
        nothing: false,
        ..hello.wishes
    };
    let written = Hello::frames(
        store,
        hello.tag,
        wishes,
        (Base::Empty, hello.contents),
        table,
        counts.iter().copied(),
    );
    let mut table = AuthorTable::default();
    let mut read = Vec::new();
    for frame in &written {
        let Ok(Frame::Hello(hello)) = Frame::parse(frame) else {
            panic!("not HELLO: {frame:?}")
        };
        read.extend(hello.counts(&mut table).expect("just written"));
    }
    assert_eq!(read, counts);
}

/// Reads nodes as the answers to a chain of choices: always of the first child that there is.
fn nodes<I: Item>(bytes: &[u8]) {
    let mut reader = NodeReader::new(bytes);
    let mut asked = Prefix::default();
    while !reader.is_empty() {
        match reader.node::<I>(&asked) {
            Ok(Node::Leaf(items)) => {
                assert!(items.is_sorted_by(|a, b| a.0 < b.0));
                assert!(items.iter().all(|(key, _)| asked.keys().contains(key)));
            }
            Ok(Node::Inner { prefix, children }) => {
                assert!(asked.holds(&prefix));
                let mut written = Vec::new();
                write_inner(&asked, &prefix, &children, &mut written);
                let read = NodeReader::new(&written).node::<u64>(&asked);
                assert_eq!(read, Ok(Node::Inner { prefix, children }));
                let first = children.iter().position(Option::is_some);
                asked = first.and_then(|child| prefix.child(child)).unwrap_or_default();
            }
            Err(error) => return speak(&error),
        }
    }
}

fn events(bytes: &[u8]) {
    let Some(events) = read_events(bytes) else { return };
    let mut writer = EventWriter::new(AuthorTable::default(), Hlc::default());
    let mut written = Vec::new();
    for event in &events {
        match event {
            Described::Dead { dot, removes } => writer.dead(*dot, removes, &mut written),
            Described::Forgotten { dot } => writer.forgotten(*dot, &mut written),
            Described::Live {
                dot,
                key,
                body,
                kind,
                hlc,
                removes,
            } => {
                let event = LiveEvent {
                    dot: *dot,
                    key,
                    body,
                    kind: *kind,
                    hlc: *hlc,
                    removes: removes.clone(),
                };
                let is_large = writer.live(&event, &**key == KNOWN, &mut written);
                assert_eq!(is_large, body.here().is_none());
            }
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
        |_| Some(Key::from(KNOWN)),
        |event| {
            events.push(event);
            Ok::<_, WireError>(())
        },
    );
    read.inspect_err(speak).ok()?;
    Some(events)
}

fn leaves(bytes: &[u8]) {
    let (mut leaves, mut authors, mut left) = (Leaves::default(), AuthorTable::default(), bytes.len());
    let read = read_leaves(bytes, &mut authors, &mut leaves, || {
        // However long the runs, what is kept is bounded by the bytes that came.
        left = left.checked_sub(2).ok_or(WireError::Truncated)?;
        Ok(())
    });
    assert!(2 * leaves.len() <= bytes.len());
    if let Err(error) = read {
        speak(&error);
    }
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
        Ok(Gossip::Present(presences)) if presences.is_empty() => {}
        Ok(Gossip::Present(presences)) => assert_eq!(Gossip::present(presences, usize::MAX).concat(), bytes),
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
