//! Goal: sessions cost the bytes and round trips that the format allows, to the byte, and history costs nothing.
//! Method: the cases of the bench's table of sessions in a store of 10,000 keys, beside the bars, and beside what they cost when
//! last somebody meant to change that, `vectors/cost.json`.
//!
//! After a deliberate change of the format, write the costs anew with
//! `GOSSIPSTORE_WRITE_VECTORS=1 cargo test -p gossipstore-core --test cost`.

#[path = "../benches/support/mod.rs"]
mod support;

use std::{collections::BTreeMap, env, fs, path::Path};

use support::{
    case::{CHANGES, Case, Kind, Ring},
    node::{Cost, Node, meet},
    workload::{KEY_BYTES, VALUE_BYTES, delete, key, put, value},
};

const KEYS: usize = 10_000;

/// What an event may take beyond its key and value.
const EVENT_BYTES: usize = 16;

fn costs() -> Vec<(Case, Cost)> {
    let cases = Case::all(KEYS, &CHANGES);
    cases.into_iter().map(|case| (case, case.cost())).collect()
}

#[test]
fn sessions_cost_no_more_than_the_bars_and_exactly_what_they_did() {
    let costs = costs();
    for (case, cost) in costs.iter().filter(|(case, _)| case.ring == Ring::Kept) {
        let bound = match case.kind {
            Kind::Delete => 8 * case.changes + 400,
            // A tenth for what varies, the lengths of numbers above all.
            _ => (KEY_BYTES + VALUE_BYTES + EVENT_BYTES) * case.changes * 11 / 10 + 400,
        };
        assert!(cost.bytes <= bound, "{case:?}: {} bytes, at most {bound}", cost.bytes);
        assert!(cost.trips <= 2, "{case:?}: {} trips, two are a round trip", cost.trips);
    }
    let named: BTreeMap<_, _> = costs
        .iter()
        .map(|(case, cost)| (name(case), [cost.bytes, cost.trips]))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/cost.json");
    if env::var_os("GOSSIPSTORE_WRITE_VECTORS").is_some() {
        let lines: Vec<_> = named
            .iter()
            .map(|(name, [bytes, trips])| format!("  \"{name}\": [{bytes}, {trips}]"))
            .collect();
        fs::write(&path, format!("{{\n{}\n}}\n", lines.join(",\n"))).expect("the folder of vectors is writable");
    }
    let golden = fs::read_to_string(&path).expect("the costs are in the repository");
    let golden: BTreeMap<String, [usize; 2]> = serde_json::from_str(&golden).expect("the costs are JSON");
    for (name, cost) in &named {
        assert_eq!(
            Some(cost),
            golden.get(name),
            "{name}: bytes and trips now, and what was written down"
        );
    }
    assert_eq!(named.len(), golden.len(), "each case is written down once");
}

fn name(case: &Case) -> String {
    if case.changes == 0 {
        return "equal".into();
    }
    let Case {
        changes,
        kind,
        order,
        ring,
        ..
    } = case;
    format!("{changes:05} {kind:?} {order:?} {ring:?}").to_lowercase()
}

/// Few enough that the ring still holds a record of every dead event, which must not be sent.
#[test]
fn keys_that_come_and_go_leave_nothing_for_a_fresh_replica() {
    const KEYS: usize = 500;
    let fresh = |from: &mut Node| meet(from, &mut Node::new(2)).bytes;
    let write = |node: &mut Node, round: usize| {
        (0..KEYS).for_each(|at| node.transact(vec![put(key(at), value(round * KEYS + at))]));
    };
    let (mut once, mut worn) = (Node::new(1), Node::new(1));
    write(&mut once, 0);
    (0..=100).for_each(|round| write(&mut worn, round));
    (0..KEYS).for_each(|at| worn.transact(vec![delete(key(at))]));
    write(&mut worn, 0);
    let (once, worn) = (fresh(&mut once), fresh(&mut worn));
    assert!(
        worn <= once + once / 20,
        "{worn} bytes, of {once} for keys written once"
    );
}
