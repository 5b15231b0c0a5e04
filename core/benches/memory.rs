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
    let figures = json!({ "keys": keys(1_000_000), "authors": authors::COUNTS.map(per_author) });
    out::deliver("memory.json", &figures);
}

/// Bytes a key of a store of `count`: of its own writing, and taken in by a session; and what is left when all are deleted.
fn keys(count: usize) -> Value {
    let start = ALLOCATOR.allocated();
    let mut written = Node::with(Config {
        ring_records: 0,
        ..config(1)
    });
    let empty = ALLOCATOR.allocated();
    let since = |start: usize| (ALLOCATOR.allocated() - start) as f64 / count as f64;
    written.fill(count);
    let index = since(start) - (KEY_BYTES + VALUE_BYTES) as f64;

    let before = ALLOCATOR.allocated();
    let mut taken_in = Node::new(2);
    meet(&mut written, &mut taken_in);
    let taken_in_index = since(before) - (KEY_BYTES + VALUE_BYTES) as f64;
    taken_in.command(Command::Clear);
    let deleted_with_ring = since(before);
    drop(taken_in);

    written.command(Command::Clear);
    let deleted = since(empty);
    let cleared_once = ALLOCATOR.allocated();
    written.fill(count);
    written.command(Command::Clear);
    json!({
        "count": count,
        "index": index,
        "takenInIndex": taken_in_index,
        "deleted": deleted,
        "ringTotal": (deleted_with_ring - deleted) * count as f64,
        "deletedAgain": ALLOCATOR.allocated().saturating_sub(cleared_once) as f64 / count as f64,
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
