//! What a store takes of memory beyond its keys and values, as counted by the allocator: what was asked for, without what the
//! allocator itself adds. Apart from the other figures, because counting takes time.
//!
//! Prints JSON, or writes it to the folder that `--out` names; `npm run bench` shows it beside the bars.

mod support;

use std::alloc::System;

use cap::Cap;
use gossipstore_core::replica::{Command, Config};
use serde_json::{Value, json};
use support::{
    authors,
    node::{Node, config, meet},
    out,
    workload::{KEY_BYTES, VALUE_BYTES},
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() {
    let figures = json!({
        "keys": keys(1_000_000),
        "ring": ring(),
        "authors": authors::COUNTS.map(per_author),
    });
    out::deliver("memory.json", &figures);
}

/// Bytes a key of a store of `count`: of its own writing, and taken in by a session; what is left when all are deleted; and what
/// more is left when as many have come and gone again. Without records of what is dead, which [`ring`] counts.
fn keys(count: usize) -> Value {
    let each = |start: usize| (ALLOCATOR.allocated() as f64 - start as f64) / count as f64;
    let payload = (KEY_BYTES + VALUE_BYTES) as f64;
    let start = ALLOCATOR.allocated();
    let mut written = without_ring(1);
    written.fill(count);
    let index = each(start) - payload;

    let before = ALLOCATOR.allocated();
    let mut taken_in = without_ring(2);
    meet(&mut written, &mut taken_in);
    let taken_in_index = each(before) - payload;
    drop(taken_in);

    written.command(Command::Clear);
    let deleted = each(start);
    let cleared = ALLOCATOR.allocated();
    written.fill(count);
    written.command(Command::Clear);
    json!({
        "count": count,
        "index": index,
        "takenInIndex": taken_in_index,
        "deleted": deleted,
        "deletedAgain": each(cleared),
    })
}

/// Bytes of a ring that is full.
fn ring() -> Value {
    let records = config(1).ring_records;
    let held = |mut node: Node| {
        let start = ALLOCATOR.allocated();
        node.fill(records);
        node.command(Command::Clear);
        ALLOCATOR.allocated() - start
    };
    // Each key leaves two dead events, the put and the delete: the ring is full.
    let bytes = held(Node::new(1)) - held(without_ring(1));
    json!({ "records": records, "bytes": bytes })
}

fn without_ring(seed: u8) -> Node {
    Node::with(Config {
        ring_records: 0,
        ..config(seed)
    })
}

/// Bytes an author, beyond what the same keys take when one author wrote them all.
fn per_author(authors: usize) -> Value {
    const KEYS: usize = 100_000;
    let held = |authors: usize| {
        let messages = authors::gossip(authors, KEYS);
        let start = ALLOCATOR.allocated();
        let mut node = Node::new(1);
        authors::hear(&mut node, &messages);
        assert_eq!((node.replica.len(), node.replica.vector().len()), (KEYS, authors));
        ALLOCATOR.allocated() - start
    };
    let (one, many) = (held(1), held(authors));
    json!({ "authors": authors, "bytes": many.saturating_sub(one) as f64 / (authors - 1) as f64 })
}
