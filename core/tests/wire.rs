//! Goal: the bytes that cross between peers stay what they are, and are read back as what was written. Method: golden vectors
//! in `vectors/wire.json`, one for each shape of frame, made from the values built here.
//!
//! After a deliberate change of the format (with PROTOCOL.md and the version), write the vectors anew with
//! `GOSSIPSTORE_WRITE_VECTORS=1 cargo test -p gossipstore-core --test wire`.

use std::{collections::BTreeMap, env, fs, path::Path, sync::Arc};

use gossipstore_core::{
    causality::{Event, Op, Txn, Value, VersionVector},
    id::{AuthorId, ContentHash, Dot, StoreId},
    time::{Hlc, Timestamp},
    wire::{
        AuthorTable, Body, Described, End, EventReader, EventWriter, Frame, Gossip, Hello, Leaf, LeafReader,
        LeafWriter, LiveEvent, Tag, WireError,
    },
};

fn author(byte: u8) -> AuthorId {
    AuthorId([byte; 16])
}

fn dot(byte: u8, n: u64) -> Dot {
    Dot::new(author(byte), n)
}

fn vector() -> VersionVector {
    [(author(0xaa), 300), (author(0xbb), 1)].into_iter().collect()
}

const TAG: Tag = Tag(0x0102_0304);
const HLC: Hlc = Hlc::at(Timestamp(1_700_000_000_000));

/// The key that its event leaves out: the receiver knows it by the first dot that the event removes.
const KNOWN: &str = "known";

fn key_of(known: &Dot) -> Option<Arc<str>> {
    (*known == dot(0xbb, 1)).then(|| Arc::from(KNOWN))
}

fn large() -> Value {
    Value::from(vec![7; 40_000])
}

/// The events of the session's vectors: a run with a gap, removed dots of the same and another author, keys that share a
/// beginning, a value by hash, a second run.
fn events() -> Vec<Described> {
    let live = |dot, key: &str, body, hlc, removes: &[Dot]| Described::Live {
        dot,
        key: Arc::from(key),
        body,
        hlc: Hlc(hlc),
        removes: removes.iter().copied().collect(),
    };
    let inline = |text: &str| Body::Inline(Value::from(text.as_bytes()));
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
            Body::Large {
                hash: ContentHash::of(&large()),
                length: large().len(),
            },
            HLC.0,
            &[dot(0xaa, 301)],
        ),
    ]
}

fn written() -> Vec<u8> {
    let mut writer = EventWriter::new(AuthorTable::new(&vector()), Hlc::default());
    let mut out = Vec::new();
    for event in events() {
        match &event {
            Described::Dead { dot, removes } => writer.dead(*dot, removes, &mut out),
            Described::Live {
                dot,
                key,
                body,
                hlc,
                removes,
            } => {
                let value = match body {
                    Body::Inline(value) => value.clone(),
                    Body::Large { .. } => large(),
                };
                writer.live(
                    &LiveEvent {
                        dot: *dot,
                        key,
                        value: &value,
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
            key: Arc::from(key),
            value: Value::from(value.as_bytes()),
        },
        removes: removes.iter().copied().collect(),
    };
    let delete = Event {
        op: Op::Delete,
        removes: [dot(0xbb, 1)].into(),
    };
    let events = vec![put("milk", "2", &[]), put("mint", "3", &[dot(0xaa, 9)]), delete];
    Txn {
        author: author(0xaa),
        first: 10,
        hlc: HLC,
        deps: [dot(0xaa, 9), dot(0xbb, 4)].into(),
        events,
    }
}

fn leaves() -> Vec<Leaf> {
    vec![
        Leaf {
            author: author(0xaa),
            block: 0,
            live: [u64::MAX; 4],
        },
        Leaf {
            author: author(0xaa),
            block: 1,
            live: [0b101, 0, 1 << 63, 0],
        },
        Leaf {
            author: author(0xdd),
            block: 1_000,
            live: [0, 0, 0, 1 << 63],
        },
    ]
}

fn end() -> End {
    End {
        more: false,
        leaves: true,
        vector: vec![(author(0xbb), 0), (author(0xcc), 2)],
        frontier: vec![dot(0xcc, 2)],
    }
}

/// Every shape of frame, by name.
fn frames() -> BTreeMap<&'static str, Vec<u8>> {
    let table = || AuthorTable::new(&vector());
    let mut leaf_writer = LeafWriter::new(TAG, 1);
    let mut leaf_table = table();
    for leaf in leaves() {
        leaf_writer.push(&leaf, &mut leaf_table);
    }
    let one = |mut frames: Vec<Vec<u8>>| frames.pop().expect("one frame");
    BTreeMap::from([
        (
            "hello",
            one(Hello::frames(StoreId::from_name("vectors"), TAG, false, &vector()).collect()),
        ),
        (
            "hello of an empty replica",
            one(Hello::frames(StoreId::from_name("vectors"), TAG, false, &VersionVector::new()).collect()),
        ),
        ("events", Frame::events(TAG, 0, 12, &written())),
        ("body", Frame::body(TAG, 200, b"bytes")),
        ("leaves", one(leaf_writer.finish())),
        ("end", one(end().frames(TAG, 2, &mut table()))),
        (
            "end of an answer that says nothing",
            one(End::default().frames(TAG, 0, &mut table())),
        ),
        ("digest", Frame::digest(vector().digest())),
        ("transaction", Gossip::encode(&txn(), 1_000)),
        ("announcement", Gossip::encode(&txn(), 10)),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn frames_are_the_golden_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/wire.json");
    let frames: BTreeMap<_, _> = frames()
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), hex(&bytes)))
        .collect();
    if env::var_os("GOSSIPSTORE_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&frames).expect("strings are JSON");
        fs::write(&path, text + "\n").expect("the folder of vectors is writable");
    }
    let golden = fs::read_to_string(&path).expect("the vectors are in the repository");
    let golden: BTreeMap<String, String> = serde_json::from_str(&golden).expect("the vectors are JSON");
    assert_eq!(frames, golden);
}

#[test]
fn a_hello_is_read_back() {
    let frames = frames();
    let Ok(Frame::Hello(hello)) = Frame::parse(&frames["hello"]) else {
        panic!("not a HELLO")
    };
    assert_eq!((hello.store, hello.tag), (StoreId::from_name("vectors"), TAG));
    assert_eq!(hello.vector, vector().iter().collect::<Vec<_>>());
    assert!(!hello.more && !hello.spell);
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
    let mut table = AuthorTable::new(&vector());
    let Ok(Frame::Leaves { leaves: bytes, .. }) = Frame::parse(&frames["leaves"]) else {
        panic!("not LEAVES")
    };
    let mut reader = LeafReader::new(bytes);
    let read: Vec<_> = std::iter::from_fn(|| reader.next(&mut table).expect("well formed")).collect();
    assert_eq!(read, leaves());
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
        Ok(Gossip::Announce(dot(0xaa, 12)))
    );
}

#[test]
fn long_vectors_and_frontiers_take_several_frames() {
    let many: VersionVector = (1..10_000_u64)
        .map(|n| (AuthorId(((n as u128) << 64).to_le_bytes()), n))
        .collect();
    let mut read = VersionVector::new();
    let frames: Vec<_> = Hello::frames(StoreId([0; 16]), TAG, false, &many).collect();
    assert!(frames.len() > 1);
    for (at, frame) in frames.iter().enumerate() {
        let Ok(Frame::Hello(hello)) = Frame::parse(frame) else {
            panic!("not a HELLO")
        };
        assert_eq!(hello.more, at + 1 < frames.len());
        read.merge(&hello.vector.into_iter().collect());
    }
    assert_eq!(read, many);

    let end = End {
        vector: many.iter().collect(),
        frontier: many.iter().map(|(author, n)| Dot::new(author, n)).collect(),
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
    let mut message = frames()["transaction"].clone();
    message[1] = 0;
    assert_eq!(Gossip::decode(&message), Err(WireError::Version(0)));
    assert_eq!(Frame::parse(&[99]), Err(WireError::UnknownFrame(99)));
    assert_eq!(Gossip::decode(&[1]), Err(WireError::UnknownFrame(1)));
    assert_eq!(Frame::parse(&[]), Err(WireError::Truncated));
}
