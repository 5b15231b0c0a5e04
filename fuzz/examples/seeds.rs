//! Writes the named inputs of `corpus`: what fuzzing begins with. They are made from the golden vectors of the wire, from what
//! two replicas say to each other, and from scripts that lead into each corner of a target once.
//!
//! `npm run fuzz -- --corpus` runs it, and adds what was found beyond these.

use std::{collections::BTreeMap, fs, path::Path};

use data_encoding::BASE64URL_NOPAD;
use gossipstore_core::{
    id::{Dot, Peer, StoreId},
    membership::{Invitation, NONCE_BYTES, Secret},
    replica::{Config, Context, Input, Key},
};
use gossipstore_fuzz::{
    host::{Host, key},
    membership::with_sum,
    session::step,
    tape::write_bytes,
};

/// Inputs by target and name.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

fn main() {
    let mut seeds = Seeds::new();
    frames(&mut seeds);
    sessions(&mut seeds);
    batches(&mut seeds);
    caches(&mut seeds);
    memberships(&mut seeds);
    for ((target, name), bytes) in seeds {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder).expect("the corpus is writable");
        fs::write(folder.join(name), bytes).expect("the corpus is writable");
    }
}

/// The golden vectors by name.
fn vectors() -> BTreeMap<String, Vec<u8>> {
    let text = include_str!("../../core/tests/vectors/wire.json");
    let vectors: BTreeMap<String, String> = serde_json::from_str(text).expect("the vectors are JSON");
    let bytes = |hex: &str| {
        let digits = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).expect("ASCII"));
        digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
    };
    vectors
        .iter()
        .map(|(name, hex)| (name.replace(' ', "-"), bytes(hex)))
        .collect()
}

fn memberships(seeds: &mut Seeds) {
    let invitation = Invitation {
        name: "fuzz".into(),
        secret: Secret::new([7; 32]),
        relays: ["/ip4/127.0.0.1/tcp/4001/ws".into(), "/dns4/relay.example.org".into()].into(),
        expires: Some(1 << 40),
    };
    let text = invitation.encode().expect("it can be invited to");
    let whole = BASE64URL_NOPAD.decode(text.as_bytes()).expect("it is base64url");
    // Without version, length and sum.
    let content = whole[2..whole.len() - 4].to_vec();
    assert_eq!(with_sum(&content), text, "the length has one byte");
    let sealed = Secret::new([8; 32])
        .sealer()
        .seal([1; NONCE_BYTES], b"sealed by another");
    for (name, bytes) in [
        ("invitation", text.into_bytes()),
        ("content", content),
        ("sealed", sealed),
    ] {
        seeds.insert(("membership", name.into()), bytes);
    }
}

fn frames(seeds: &mut Seeds) {
    for (name, bytes) in vectors() {
        seeds.insert(("frame", name), bytes);
    }
    for (at, bytes) in recorded().into_iter().enumerate() {
        seeds.insert(("frame", format!("recorded-{at}")), bytes);
    }
    let dots = [Dot::new(Default::default(), 1), Dot::new(Default::default(), u64::MAX)];
    seeds.insert(("frame", "context".into()), Context::new(dots).encode());
}

/// All that two replicas say while one fetches from the other, and what they gossip.
fn recorded() -> Vec<Vec<u8>> {
    let host = |seed| {
        let config = Config {
            // Few events a frame, and some that no record tells of.
            event_bytes_max: 64,
            ring_records: 2,
            ..Config::new(StoreId::from_name("fuzz"), [seed; 32])
        };
        Host::new(config)
    };
    let (mut a, mut b) = (host(1), host(2));
    let peer = Peer(0);
    for number in 0..12 {
        a.put(key(number), &[number; 3], None);
        b.put(key(number % 3), b"b", None);
    }
    a.delete(key(1), None);
    a.put(Key::from("large"), &[7; 33 * 1024], None);
    let mut said: Vec<_> = a
        .gossip
        .iter()
        .skip(10)
        .chain(b.gossip.iter().take(1))
        .cloned()
        .collect();
    for host in [&mut a, &mut b] {
        host.feed(Input::PeerUp { peer });
    }
    loop {
        let frames: Vec<_> = [&mut a, &mut b]
            .map(|host| host.sent.remove(&peer).unwrap_or_default())
            .into();
        if frames.iter().all(|frames| frames.is_empty()) {
            return said;
        }
        for (host, frames) in [&mut b, &mut a].into_iter().zip(frames) {
            for frame in frames {
                // The body of a large value teaches nothing.
                if frame.len() < 1_000 {
                    said.push(frame.clone());
                }
                host.feed(Input::Received { peer, frame });
            }
            host.feed(Input::Drained { peer });
        }
    }
}

/// The bytes that draw a usual config.
const USUAL: [u8; 6] = [0; 6];

/// The bytes that draw a config with everything as small as it can be.
const SMALL: [u8; 6] = [3, 2, 2, 2, 1, 1];

fn sessions(seeds: &mut Seeds) {
    use step::*;
    let mut add = |name: &str, config: [u8; 6], steps: &[&[u8]]| {
        let script = [&config[..], &config[..], &steps.concat()].concat();
        seeds.insert(("session", name.into()), script);
    };
    let place = |place: u8, bits| [place, 0, bits];
    let mut made_up = vec![UP, 0];
    for (name, bytes) in vectors() {
        let gossip = ["transaction", "announcement"].contains(&&*name);
        made_up.extend([if gossip { MESSAGE } else { FRAME }, 0]);
        write_bytes(&bytes, &mut made_up);
    }
    for config in [USUAL, SMALL] {
        let of = |name: &str| format!("{name}{}", if config == USUAL { "" } else { "-small" });
        add(&of("whole"), config, &[&[UP, 0, EXCHANGE, 0, PASS, 50, 0, DOWN, 0]]);
        let asked: &[u8] = &[UP, 0, ASK, 0, ASK, 0];
        add(
            &of("delivered"),
            config,
            &[asked, &[DELIVER, 0, DELIVER, 0, DELIVER, 0, DRAINED, 0, DELIVER, 0]],
        );
        add(
            &of("lost"),
            config,
            &[asked, &[DELIVER, 0, LOSE, 0, DELIVER, 0, DELIVER, 0, PASS, 0, 8]],
        );
        add(
            &of("altered"),
            config,
            &[asked, &[DELIVER, 0, ALTER, 0], &place(12, 1), &[DELIVER, 0, DELIVER, 0]],
        );
        add(&of("cut"), config, &[asked, &[CUT, 0, 20, 0, CUT, 0, 9, 0, DELIVER, 0]]);
        let splice: &[u8] = &[SPLICE, 0, 8, 0, 2, 3, 1, 2, 3];
        add(&of("spliced"), config, &[asked, &[DELIVER, 0], splice, splice]);
        add(
            &of("repeated"),
            config,
            &[asked, &[DELIVER, 0, DELIVER, 0, REPEAT, 0, 1, REPEAT, 0, 0]],
        );
        add(&of("made-up"), config, &[&made_up]);
        let gossip: &[u8] = &[GOSSIP, 0, 5, GOSSIP, 1, 4, GOSSIP_ALTER, 0, 3, 30, 0, 1];
        let spliced: &[u8] = &[GOSSIP_SPLICE, 0, 2, 40, 0, 1, 2, 1, 1, GOSSIP_REPEAT, 0, 0];
        let after: &[u8] = &[PASS, 0, 2, EXCHANGE, 0];
        add(&of("gossiped"), config, &[&[UP, 0, UP, 1], gossip, spliced, after]);
        let superseding: &[u8] = &[WRITE_THERE, 0, 0, 1, 0, 7, WRITE_THERE, 0, 4, 1, 0, 8];
        let heard: &[u8] = &[GOSSIP_ALTER, 0, 1, 50, 0, 1, GOSSIP, 0, 0];
        let again: &[u8] = &[UP, 0, ASK, 0, DELIVER, 0, ALTER, 0, 30, 0, 1, DELIVER, 0];
        let met: &[u8] = &[UP, 0, EXCHANGE, 0, DOWN, 0];
        add(&of("superseded"), config, &[met, superseding, heard, again]);
        let write: &[u8] = &[
            WRITE,
            4,
            1,
            WRITE,
            0,
            1,
            1,
            0,
            7,
            WRITE_THERE,
            0,
            1,
            1,
            0,
            8,
            WRITE,
            1,
            1,
            1,
            0,
            9,
        ];
        add(
            &of("written"),
            config,
            &[
                &[UP, 0, EXCHANGE, 0],
                write,
                &[EXCHANGE, 0, WRITE, 5, 0, WRITE, 6, 2, 3],
            ],
        );
        let sending: &[u8] = &[
            WRITE, 7, 1, 1, 1, 1, 1, 0, 1, 2, 1, 1, 0, 2, DRAINED, 0, DRAINED, 0, WRITE, 2, 1,
        ];
        add(
            &of("written-while-sending"),
            config,
            &[&[UP, 0, DELIVER, 0], sending, &[EXCHANGE, 0]],
        );
        let turns: &[u8] = &[TURNS, 1, DELIVER, 0, DELIVER, 0, WRITE, 2, 1, TURNS, 0];
        add(&of("in-turns"), config, &[asked, turns]);
        add(
            &of("crashed"),
            config,
            &[&[STORE, 1, WRITE, 0, 1, 1, 0, 7, CRASH, UP, 2, EXCHANGE, 2, STORE, 0]],
        );
        add(
            &of("refused"),
            config,
            &[&[STORE, 1, WRITE, 0, 1, 1, 0, 7, REFUSE, WRITE, 0, 1, 0, 0]],
        );
    }
}

fn batches(seeds: &mut Seeds) {
    // Six steps: three writes here, one there, a meeting, a delete. Then which moment, and how many damages.
    let history = [6, 0, 0, 1, 0, 1, 2, 0, 0, 3, 2, 1, 4, 5, 0, 3, 1];
    for (name, config) in [("whole", USUAL), ("whole-small", SMALL)] {
        seeds.insert(("batch", name.into()), [&config[..], &history, &[3, 0]].concat());
    }
    for kind in 0..14 {
        // Which batch, which damage, and bytes for what it draws.
        let damage = [4, 1, 1, kind, 0, 3, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, b'k'];
        let script = [&USUAL[..], &history, &damage].concat();
        seeds.insert(("batch", format!("damage-{kind}")), script);
    }
}

fn caches(seeds: &mut Seeds) {
    // Per call: which, key, and for an insertion value and bytes.
    let calls = [
        1, 1, 9, 5, 1, 2, 8, 5, 3, 1, 4, 2, 2, 3, 7, 200, 5, 1, 6, 0, 1, 2, 6, 1, 7, 0, 0, 1, 5, 64, 255,
    ];
    for (name, limits) in [
        ("items", vec![0, 1]),
        ("bytes", [1, 4, 15, 0, 0, 0, 0, 0, 0, 0].to_vec()),
        ("both", vec![2, 1, 15]),
        ("default", vec![3]),
    ] {
        for (hasher, suffix) in [(0, ""), (1, "-colliding")] {
            let script = [&limits[..], &[hasher], &calls].concat();
            seeds.insert(("cache", format!("{name}{suffix}")), script);
        }
    }
}
