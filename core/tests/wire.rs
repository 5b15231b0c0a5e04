//! Goal: the bytes that cross between peers stay what they are, and are read back as what was written. Method: golden vectors
//! in `vectors/wire.json`, one for each shape of frame, made from the values built here.
//!
//! After a deliberate change of the format (with PROTOCOL.md and the version), write the vectors anew with
//! `GOSSIPSTORE_WRITE_VECTORS=1 cargo test -p gossipstore-core --test wire`.

#[path = "support/golden.rs"]
mod golden;

use std::collections::BTreeMap;

use golden::{Vectors, hex, recorded};
use gossipstore_core::{
    causality::{Body, Event, Fork, Key, Kind, Op, Tip, Txn, TxnHasher, Value, VersionVector, counter},
    id::{AuthorId, ContentHash, Dot, Home, PresenceId, StoreId, TxnHash},
    time::{Hlc, Timestamp},
    wire::{
        AuthorTable, Base, Described, End, EventReader, EventWriter, FRAME_BYTES_MAX, Frame, Gossip, Hello, Leaf,
        LeafWriter, Leaves, LiveEvent, LiveItem, Node, NodeReader, PRESENCE_BYTES_MAX, Prefix, Presence, Share, Tag,
        WireError, Wishes, choices, read_leaves, read_limits, write_choice, write_inner, write_leaf, write_limit,
    },
};

fn author(byte: u8) -> AuthorId {
    AuthorId([byte; 16])
}

fn dot(byte: u8, n: u64) -> Dot {
    Dot::new(author(byte), n)
}

fn tip(byte: u8, n: u64) -> Tip {
    Tip {
        dot: dot(byte, n),
        hash: TxnHash([byte + 1; 16]),
    }
}

fn vector() -> VersionVector {
    [(author(0xaa), 300), (author(0xbb), 1)].into_iter().collect()
}

/// One tab that is there, and one that has left.
fn presences() -> [Presence; 2] {
    let presence = |id, value: Option<&str>| Presence {
        id: PresenceId(id),
        home: Home(9),
        clock: HLC.timestamp().0,
        age: 300,
        value: value.map(|value| Value::from(value.as_bytes())),
    };
    [presence(1, Some("Ada")), presence(0x0203, None)]
}

const TAG: Tag = Tag(0x0102);
const HLC: Hlc = Hlc::at(Timestamp(1_700_000_000_000));

/// The key that its event leaves out: the receiver knows it by the first dot that the event removes.
const KNOWN: &str = "known";

fn key_of(known: &Dot) -> Option<Key> {
    (*known == dot(0xbb, 1)).then(|| Key::from(KNOWN))
}

fn large() -> Value {
    Value::from(vec![7; 40_000])
}

/// The events of the session's vectors: a run with a gap, removed dots of the same and another author, keys that share a
/// beginning, a value by hash, a second run.
fn events() -> Vec<Described> {
    let live = |dot, key: &str, body, hlc, removes: &[Dot]| Described::Live {
        dot,
        key: Key::from(key),
        body,
        kind: Kind::Value,
        hlc: Hlc(hlc),
        removes: removes.iter().copied().collect(),
    };
    let inline = |text: &str| Body::Here(Value::from(text.as_bytes()));
    vec![
        live(dot(0xaa, 301), "list/milk", inline("2"), HLC.0, &[]),
        live(dot(0xaa, 302), "list/mint", inline("1"), HLC.0 + 5, &[dot(0xaa, 17)]),
        live(
            dot(0xaa, 303),
            KNOWN,
            inline("0"),
            HLC.0 + 6,
            &[dot(0xbb, 1), dot(0xbb, 9)],
        ),
        Described::Dead {
            dot: dot(0xaa, 305),
            removes: [dot(0xbb, 1), dot(0xaa, 304)].into(),
        },
        Described::Dead {
            dot: dot(0xaa, 306),
            removes: [dot(0xaa, 1), dot(0xaa, 2), dot(0xaa, 3), dot(0xbb, 1)].into(),
        },
        live(dot(0xcc, 1), "é", inline(""), HLC.0 - 5, &[]),
        live(
            dot(0xcc, 2),
            "è",
            Body::away(ContentHash::of(&large()), large().len() as u32),
            HLC.0,
            &[dot(0xaa, 301)],
        ),
        Described::Forgotten { dot: dot(0xcc, 4) },
        Described::Live {
            dot: dot(0xcc, 5),
            key: Key::from("è/likes"),
            body: Body::Here(counter::encode(-1_000)),
            kind: Kind::Counter,
            hlc: HLC,
            removes: [dot(0xcc, 3)].into(),
        },
    ]
}

fn written() -> Vec<u8> {
    let mut writer = EventWriter::new(AuthorTable::new(&vector()), Hlc::default());
    let mut out = Vec::new();
    for event in events() {
        match &event {
            Described::Dead { dot, removes } => writer.dead(*dot, removes, &mut out),
            Described::Forgotten { dot } => writer.forgotten(*dot, &mut out),
            Described::Live {
                dot,
                key,
                body,
                kind,
                hlc,
                removes,
            } => {
                writer.live(
                    &LiveEvent {
                        dot: *dot,
                        key,
                        body,
                        kind: *kind,
                        hlc: *hlc,
                        removes: removes.clone(),
                    },
                    &**key == KNOWN,
                    &mut out,
                );
            }
        }
    }
    out
}

fn txn() -> Txn {
    let put = |key: &str, value: &str, removes: &[Dot]| Event {
        op: Op::Put {
            key: Key::from(key),
            value: Value::from(value.as_bytes()),
            kind: Kind::Value,
        },
        removes: removes.iter().copied().collect(),
    };
    let delete = Event {
        op: Op::Delete,
        removes: [dot(0xbb, 1)].into(),
    };
    let add = Event {
        op: Op::Put {
            key: Key::from("mints"),
            value: counter::encode(3),
            kind: Kind::Counter,
        },
        removes: [dot(0xaa, 8)].into(),
    };
    let events = vec![put("milk", "2", &[]), put("mint", "3", &[dot(0xaa, 9)]), delete, add];
    Txn {
        author: author(0xaa),
        first: 10,
        hlc: HLC,
        deps: [tip(0xaa, 9), tip(0xbb, 4)].into(),
        events,
    }
}

/// Full blocks in a row, a few dots, all dots but a few, and a bitmap; the last of another author.
fn leaves() -> Vec<Leaf> {
    let leaf = |byte, block, live| Leaf {
        author: author(byte),
        block,
        live,
    };
    vec![
        leaf(0xaa, 0, [u64::MAX; 4]),
        leaf(0xaa, 1, [u64::MAX; 4]),
        leaf(0xaa, 3, [0b101, 0, 1 << 63, 0]),
        leaf(0xbb, 0, [!1, u64::MAX, u64::MAX, u64::MAX >> 1]),
        leaf(0xbb, 1_000, [0x0123_4567_89ab_cdef, 0x55, 0, 0]),
    ]
}

fn leaf_bytes() -> Vec<u8> {
    let (mut writer, mut table) = (LeafWriter::default(), AuthorTable::new(&vector()));
    for leaf in leaves() {
        writer.push(&leaf, &mut table);
    }
    one(writer.finish(&mut table))
}

/// An inner node of a vector's trie, and a leaf.
fn vector_nodes() -> Vec<u8> {
    let mut out = Vec::new();
    let mut children = [None; 16];
    (children[0xa], children[0xc]) = (Some(1), Some(0x0102_0304_0506_0708));
    write_inner(&Prefix::default(), &Prefix::default(), &children, &mut out);
    write_leaf(&[(u128::from_be_bytes([0xaa; 16]), 300_u64)], &mut out);
    out
}

/// Two blocks, one of them with the prints of its events.
fn live_items() -> Vec<(u128, LiveItem)> {
    vec![
        (0x100, LiveItem::Dots([u64::MAX; 4])),
        (0x106, LiveItem::Dots([3, 0, 0, 0])),
        (0x107, LiveItem::Prints(vec![7, u64::MAX])),
    ]
}

/// An inner node whose keys part far below the root, and a leaf.
fn leaf_nodes() -> Vec<u8> {
    let mut out = Vec::new();
    let mut children = [None; 16];
    (children[0], children[1]) = (Some(5), Some(6));
    write_inner(&Prefix::default(), &Prefix::common(0x100, 0x11f), &children, &mut out);
    write_leaf(&live_items(), &mut out);
    out
}

fn forks() -> Vec<Fork> {
    let fork = Fork::of_transactions(dot(0xaa, 9), TxnHash([2; 16]), TxnHash([1; 16]));
    let other = Fork::of_events(dot(0xdd, 1), 5, 4);
    [fork, other].into_iter().flatten().collect()
}

fn end() -> End {
    End {
        more: false,
        judged: true,
        named: false,
        last: None,
        forks: vec![],
        vector: vec![(author(0xbb), 0), (author(0xcc), 2)],
        frontier: vec![tip(0xcc, 2)],
    }
}

fn hello(base: Base, known: &VersionVector, wishes: Wishes, counts: &[(AuthorId, u64)]) -> Vec<u8> {
    let (store, table) = (StoreId::from_name("vectors"), AuthorTable::new(known));
    one(Hello::frames(
        store,
        TAG,
        wishes,
        (base, 7),
        table,
        counts.iter().copied(),
    ))
}

fn one(mut frames: Vec<Vec<u8>>) -> Vec<u8> {
    assert_eq!(frames.len(), 1);
    frames.pop().expect("one frame")
}

/// Every shape of frame, by name.
fn frames() -> BTreeMap<&'static str, Vec<u8>> {
    let table = || AuthorTable::new(&vector());
    let none = VersionVector::new();
    let (plain, tag) = (Wishes::default(), TAG);
    let counts: Vec<_> = vector().iter().collect();
    let mut chosen = Vec::new();
    write_choice(0x0401, &mut chosen);
    write_choice(0, &mut chosen);
    let mut limits = Vec::new();
    write_limit(1, 7, &mut limits);
    write_limit(2, 300, &mut limits);
    let end_payload = |end: End| one(end.frames(TAG, 2, &mut table()));
    BTreeMap::from([
        ("hello", hello(Base::Empty, &none, plain, &counts)),
        ("hello of an empty replica", hello(Base::Empty, &none, plain, &[])),
        (
            "hello relative to a vector that both have held",
            hello(
                Base::Digest(vector().digest()),
                &vector(),
                Wishes {
                    spell: true,
                    have: true,
                    audit: true,
                    ..plain
                },
                &[(author(0xbb), 2), (author(0xcc), 1)],
            ),
        ),
        (
            "hello in reply",
            hello(
                Base::Hello(Tag(9)),
                &vector(),
                Wishes { nothing: true, ..plain },
                &[(author(0xaa), 0)],
            ),
        ),
        (
            "have",
            Frame::Have {
                tag,
                more: true,
                lost: false,
                leaves: &leaf_bytes(),
            }
            .encode(),
        ),
        (
            "lost",
            Frame::Have {
                tag,
                more: false,
                lost: true,
                leaves: &leaf_bytes(),
            }
            .encode(),
        ),
        (
            "events",
            Frame::Events {
                tag,
                sequence: 0,
                remaining: 12,
                events: &written(),
            }
            .encode(),
        ),
        (
            "want",
            Frame::Want {
                tag,
                which: 3,
                offset: 65_500,
            }
            .encode(),
        ),
        (
            "body",
            Frame::Body {
                tag,
                sequence: 200,
                which: 3,
                bytes: b"bytes",
            }
            .encode(),
        ),
        (
            "leaves",
            Frame::Leaves {
                tag,
                sequence: 1,
                leaves: &leaf_bytes(),
            }
            .encode(),
        ),
        (
            "ask",
            Frame::Ask {
                tag,
                store: StoreId::from_name("vectors"),
                salt: 0x0102_0304_0506_0708,
            }
            .encode(),
        ),
        (
            "choose",
            Frame::Choose {
                tag,
                more: false,
                choices: &chosen,
            }
            .encode(),
        ),
        (
            "vector",
            Frame::Vector {
                tag,
                more: true,
                nodes: &vector_nodes(),
            }
            .encode(),
        ),
        (
            "judge",
            Frame::Judge {
                tag,
                sequence: 3,
                salt: 0x0102_0304_0506_0708,
                share: Share(2),
                limits: &limits,
            }
            .encode(),
        ),
        (
            "nodes",
            Frame::Nodes {
                tag,
                sequence: 4,
                more: false,
                nodes: &leaf_nodes(),
            }
            .encode(),
        ),
        (
            "expand",
            Frame::Expand {
                tag,
                more: false,
                choices: &chosen,
            }
            .encode(),
        ),
        ("end", end_payload(end())),
        ("end of an answer that says nothing", end_payload(End::default())),
        ("nothing", Frame::Nothing(TAG).encode()),
        ("equal", Frame::Equal(TAG).encode()),
        (
            "end whose frontier is the last event",
            end_payload(End {
                last: Some(TxnHash([0xdd; 16])),
                ..End::default()
            }),
        ),
        (
            "end that tells forks",
            end_payload(End {
                forks: forks(),
                ..End::default()
            }),
        ),
        ("ack", Frame::Ack(TAG).encode()),
        ("digest", Frame::Digest(vector().digest(), 8).encode()),
        ("transaction", Gossip::encode(&txn(), 1_000)),
        ("announcement", Gossip::encode(&txn(), 10)),
        ("presence", Gossip::present(presences(), 10_000).remove(0)),
        ("present", Frame::present(Home(9), presences()).remove(0)),
        ("present with nobody", Frame::present(Home(9), []).remove(0)),
        ("hash of the transaction", TxnHasher::of(&txn()).0.to_vec()),
    ])
}

#[test]
fn frames_are_the_golden_ones() {
    let frames: Vectors = frames()
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), hex(&bytes)))
        .collect();
    assert_eq!(frames, recorded("wire", Some(&frames)));
}

#[test]
fn session_frames_are_read_back_as_they_were() {
    for (name, bytes) in frames() {
        if matches!(
            name,
            "transaction" | "announcement" | "presence" | "hash of the transaction"
        ) {
            continue;
        }
        let frame = Frame::parse(&bytes).expect(name);
        assert_eq!(frame.encode(), bytes, "{name}");
        for length in 0..bytes.len().min(8) {
            let parsed = Frame::parse(&bytes[..length]);
            assert!(parsed.is_err() || parsed != Ok(frame.clone()), "{name} cut to {length}");
        }
    }
}

#[test]
fn a_hello_is_read_back() {
    let frames = frames();
    let read = |name: &str| match Frame::parse(&frames[name]) {
        Ok(Frame::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    };
    let plain = read("hello");
    assert_eq!(
        (plain.store, plain.tag, plain.base),
        (Some(StoreId::from_name("vectors")), TAG, Base::Empty)
    );
    assert_eq!(plain.counts(&mut AuthorTable::default()), Ok(vector().iter().collect()));
    assert!(!plain.more && plain.wishes == Wishes::default());

    let relative = read("hello relative to a vector that both have held");
    assert_eq!(relative.base, Base::Digest(vector().digest()));
    assert!(relative.wishes.spell && relative.wishes.have && relative.wishes.audit && !relative.wishes.nothing);
    let counts = relative.counts(&mut AuthorTable::new(&vector()));
    assert_eq!(counts, Ok(vec![(author(0xbb), 2), (author(0xcc), 1)]));

    let reply = read("hello in reply");
    assert_eq!((reply.store, reply.base), (None, Base::Hello(Tag(9))));
    assert!(reply.wishes.nothing);
    assert_eq!(
        reply.counts(&mut AuthorTable::new(&vector())),
        Ok(vec![(author(0xaa), 0)])
    );
}

#[test]
fn nodes_are_read_back() {
    let frames = frames();
    let Ok(Frame::Vector { nodes, .. }) = Frame::parse(&frames["vector"]) else {
        panic!("not VECTOR")
    };
    let mut nodes = NodeReader::new(nodes);
    let root = Prefix::default();
    let Ok(Node::Inner { prefix, children }) = nodes.node::<u64>(&root) else {
        panic!("not an inner node")
    };
    assert_eq!((prefix, children[0xa], children[0xb]), (root, Some(1), None));
    let leaf = nodes.node::<u64>(&root.child(0xa).expect("a child"));
    assert_eq!(leaf, Ok(Node::Leaf(vec![(u128::from_be_bytes([0xaa; 16]), 300)])));
    assert!(nodes.is_empty());

    let Ok(Frame::Nodes { nodes, .. }) = Frame::parse(&frames["nodes"]) else {
        panic!("not NODES")
    };
    let mut nodes = NodeReader::new(nodes);
    let Ok(Node::Inner { prefix, .. }) = nodes.node::<LiveItem>(&root) else {
        panic!("not an inner node")
    };
    assert_eq!(prefix, Prefix::common(0x100, 0x11f));
    let leaf = nodes.node(&prefix.child(0).expect("a child"));
    assert_eq!(leaf, Ok(Node::Leaf(live_items())));

    let Ok(Frame::Judge { limits, share, .. }) = Frame::parse(&frames["judge"]) else {
        panic!("not JUDGE")
    };
    assert_eq!(share, Share(2));
    assert_eq!(read_limits(limits), Ok(vec![(1, 7), (2, 300)]));

    let Ok(Frame::Expand { choices: bytes, .. }) = Frame::parse(&frames["expand"]) else {
        panic!("not EXPAND")
    };
    assert_eq!(choices(bytes).collect::<Vec<_>>(), [0x0401, 0]);
}

#[test]
fn events_are_read_back_across_frames() {
    let bytes = written();
    let mut read = Vec::new();
    let mut reader = EventReader::new(AuthorTable::new(&vector()), Hlc::default());
    reader
        .read(&bytes, key_of, |event| {
            read.push(event);
            Ok::<_, WireError>(())
        })
        .expect("well formed");
    assert_eq!(read, events());
}

#[test]
fn a_key_left_out_and_not_known_is_named() {
    let mut reader = EventReader::new(AuthorTable::new(&vector()), Hlc::default());
    let read = reader.read(&written(), |_| None, |_| Ok::<_, WireError>(()));
    assert_eq!(read, Err(WireError::UnknownKey(dot(0xbb, 1))));
}

#[test]
fn leaves_and_end_are_read_back() {
    let frames = frames();
    let Ok(Frame::Leaves { leaves: bytes, .. }) = Frame::parse(&frames["leaves"]) else {
        panic!("not LEAVES")
    };
    let mut read = Leaves::default();
    read_leaves(bytes, &mut AuthorTable::new(&vector()), &mut read, || {
        Ok::<_, WireError>(())
    })
    .expect("well formed");
    for leaf in leaves() {
        assert_eq!(read.get(&leaf.author, leaf.block), Some(leaf.live));
    }
    assert_eq!(read.get(&author(0xaa), 2), None);
    let Ok(Frame::End {
        end: bytes,
        sequence: 2,
        ..
    }) = Frame::parse(&frames["end"])
    else {
        panic!("not END")
    };
    assert_eq!(End::decode(bytes, &mut AuthorTable::new(&vector())), Ok(end()));
}

#[test]
fn gossip_is_read_back() {
    let frames = frames();
    assert_eq!(Gossip::decode(&frames["transaction"]), Ok(Gossip::Txn(txn())));
    assert_eq!(
        Gossip::decode(&frames["announcement"]),
        Ok(Gossip::Announce(dot(0xaa, 13)))
    );
    assert_eq!(
        Gossip::decode(&frames["presence"]),
        Ok(Gossip::Present(presences().into()))
    );
    let Ok(Frame::Present {
        home: Home(9),
        presences: payload,
    }) = Frame::parse(&frames["present"])
    else {
        panic!("not PRESENT")
    };
    assert_eq!(Frame::presences(payload), Ok(presences().into()));
}

#[test]
fn who_is_present_takes_several_frames_and_messages_where_one_would_be_too_long() {
    let many = (0..40).map(|id| Presence {
        id: PresenceId(id),
        home: Home(u64::MAX),
        clock: u64::MAX,
        age: u64::MAX,
        value: Some(Value::from(vec![7; PRESENCE_BYTES_MAX])),
    });
    let many: Vec<_> = many.collect();
    let (mut read, frames) = (Vec::new(), Frame::present(Home(1), many.clone()));
    assert_eq!(frames.len(), 3);
    for frame in &frames {
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let Ok(Frame::Present { presences, .. }) = Frame::parse(frame) else {
            panic!("not PRESENT")
        };
        read.extend(Frame::presences(presences).expect("well formed"));
    }
    assert_eq!(read, many);
    let messages = Gossip::present(many.clone(), 48 * 1024);
    assert!(messages.iter().all(|message| message.len() <= 48 * 1024 + 2));
    let read = messages.iter().map(|message| match Gossip::decode(message) {
        Ok(Gossip::Present(presences)) => presences,
        other => panic!("not PRESENCE: {other:?}"),
    });
    assert_eq!(read.flatten().collect::<Vec<_>>(), many);
}

#[test]
fn a_presence_that_is_too_long_or_cut_is_refused() {
    let whole = &frames()["presence"];
    // Nobody at all is no mistake; the second is alone when the first is cut off with it.
    for length in 3..whole.len() {
        let read = Gossip::decode(&whole[..length]);
        assert!(
            matches!(read, Err(WireError::Truncated) | Ok(Gossip::Present(_))),
            "{length}"
        );
    }
    let mut long = presences();
    long[0].value = Some(Value::from(vec![0; PRESENCE_BYTES_MAX + 1]));
    assert!(matches!(
        Gossip::decode(&Gossip::present(long, 10_000).remove(0)),
        Err(WireError::TooLong { what: "presence", .. })
    ));
}

#[test]
fn long_vectors_and_frontiers_take_several_frames() {
    let many: VersionVector = (1..10_000_u64)
        .map(|n| (AuthorId(((n as u128) << 64).to_le_bytes()), n))
        .collect();
    let mut read = VersionVector::new();
    let (store, table) = (StoreId([0; 16]), AuthorTable::default());
    let frames = Hello::frames(store, TAG, Wishes::default(), (Base::Empty, 7), table, many.iter());
    assert!(frames.len() > 1);
    let mut table = AuthorTable::default();
    for (at, frame) in frames.iter().enumerate() {
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let Ok(Frame::Hello(hello)) = Frame::parse(frame) else {
            panic!("not a HELLO")
        };
        assert_eq!(hello.more, at + 1 < frames.len());
        read.merge(&hello.counts(&mut table).expect("well formed").into_iter().collect());
    }
    assert_eq!(read, many);

    let end = End {
        vector: many.iter().collect(),
        frontier: many
            .iter()
            .map(|(author, n)| Tip {
                dot: Dot::new(author, n),
                hash: TxnHash([7; 16]),
            })
            .collect(),
        ..End::default()
    };
    let (mut vector, mut frontier) = (Vec::new(), Vec::new());
    let mut table = AuthorTable::default();
    let frames = end.clone().frames(TAG, 0, &mut AuthorTable::default());
    for (at, frame) in frames.iter().enumerate() {
        let Ok(Frame::End { end, sequence, .. }) = Frame::parse(frame) else {
            panic!("not END")
        };
        let part = End::decode(end, &mut table).expect("well formed");
        assert_eq!((sequence, part.more), (at as u64, at + 1 < frames.len()));
        vector.extend(part.vector);
        frontier.extend(part.frontier);
    }
    assert_eq!((vector, frontier), (end.vector, end.frontier));
}

#[test]
fn other_versions_and_unknown_frames_are_named() {
    let mut hello = frames()["hello"].clone();
    hello[1] = 9;
    assert_eq!(Frame::parse(&hello), Err(WireError::Version(9)));
    // The flag, and where the store stood.
    (hello[1], hello[4], hello[5]) = (1, 128, 3);
    assert_eq!(Frame::parse(&hello), Err(WireError::Epoch(3)));
    let mut message = frames()["transaction"].clone();
    message[1] = 0;
    assert_eq!(Gossip::decode(&message), Err(WireError::Version(0)));
    (message[1], message[2]) = (1, 3);
    assert_eq!(Gossip::decode(&message), Err(WireError::Epoch(3)));
    assert_eq!(Frame::parse(&[99]), Err(WireError::UnknownFrame(99)));
    assert_eq!(Gossip::decode(&[1]), Err(WireError::UnknownFrame(1)));
    assert_eq!(Frame::parse(&[]), Err(WireError::Truncated));
}
