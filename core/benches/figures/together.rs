//! What other stores are given too: two replicas that wrote the same keys without knowing of each other, and the changes of the
//! table of sessions. One workload, written here and read by `bench/others.mjs`.

use std::{fs, path::Path};

use cpu_time::ThreadTime;
use gossipstore_core::replica::Write;
use serde_json::{Value, json};

use crate::{
    median,
    support::{
        case::{Case, Kind, Order, Ring},
        node::{Node, meet},
        workload::{key, put, value},
    },
};

/// The cases that others are given.
const KEYS: [usize; 2] = [10_000, 100_000];
const CHANGES: [usize; 4] = [10, 100, 1_000, 10_000];

/// How many keys both write.
const BOTH_WROTE: usize = 100_000;

/// How long two replicas take to join that each wrote the same keys, with different values.
pub(crate) fn both_wrote() -> Value {
    let rounds = (0..3).map(|_| {
        let (mut a, mut b) = (Node::new(1), Node::new(2));
        a.fill(BOTH_WROTE);
        b.fill_with(BOTH_WROTE, BOTH_WROTE);
        let start = ThreadTime::now();
        let cost = meet(&mut a, &mut b);
        (cost.bytes, start.elapsed().as_secs_f64() * 1e3)
    });
    let (bytes, times): (Vec<_>, Vec<_>) = rounds.unzip();
    json!({ "keys": BOTH_WROTE, "bytes": bytes[0], "millis": median(times) })
}

/// Writes what others are to do: for each number of keys how the store is filled, and for each number of changes those.
pub(crate) fn write_workload(folder: &Path) {
    let save = |name: String, rows: Vec<Value>| {
        fs::write(folder.join(name), Value::from(rows).to_string()).expect("the folder given by --out is writable");
    };
    let filled = |count: usize, seed: usize| (0..count).map(|at| row(&put(key(at), value(seed + at)))).collect();
    for keys in KEYS {
        save(format!("fill-{keys}.json"), filled(keys, 0));
        for changes in CHANGES {
            let case = Case {
                keys,
                changes,
                kind: Kind::Mixed,
                order: Order::Scattered,
                ring: Ring::Kept,
            };
            let rows = case.writes().map(|write| row(&write)).collect();
            save(format!("changes-{keys}-{changes}.json"), rows);
        }
    }
    save(format!("again-{BOTH_WROTE}.json"), filled(BOTH_WROTE, BOTH_WROTE));
}

/// A key and its value in hexadecimal, or `null` for a delete, or the number for an addition.
fn row(write: &Write) -> Value {
    match write {
        Write::Put { key, value, .. } => {
            json!([
                **key,
                value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
            ])
        }
        Write::Delete { key, .. } => json!([**key, null]),
        Write::Add { key, amount } => json!([**key, amount]),
    }
}
