//! What a history costs that has left nothing behind.

use serde_json::{Value, json};

use crate::support::{
    node::{Node, meet},
    workload::{delete, key, put, value},
};

/// Bytes that a fresh replica takes in of keys that were overwritten a hundred times, deleted and written again, and of the same
/// keys written once.
pub(crate) fn worn() -> Value {
    const KEYS: usize = 1_000;
    const OVERWRITES: usize = 100;
    let write = |node: &mut Node, round: usize| {
        (0..KEYS).for_each(|at| node.transact(vec![put(key(at), value(round * KEYS + at))]));
    };
    let mut once = Node::new(1);
    write(&mut once, 0);
    let mut worn = Node::new(1);
    (0..=OVERWRITES).for_each(|round| write(&mut worn, round));
    (0..KEYS).for_each(|at| worn.transact(vec![delete(key(at))]));
    write(&mut worn, 0);
    let bytes = |node: &mut Node| meet(node, &mut Node::new(2)).bytes;
    json!({ "keys": KEYS, "overwrites": OVERWRITES, "onceBytes": bytes(&mut once), "wornBytes": bytes(&mut worn) })
}
