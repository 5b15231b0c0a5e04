//! A store that many authors have written: what a store looks like that tabs have opened and closed for years.

use gossipstore_core::{
    causality::{Dots, Event, Kind, Op, Tip, Tips, Txn, TxnHasher},
    id::AuthorId,
    replica::Input,
    time::{Hlc, Timestamp},
    wire::Gossip,
};

use super::{
    node::{Node, config},
    workload::{key, value},
};

/// How many authors a store may have: some devices, and years of openings.
pub const COUNTS: [usize; 3] = [10, 1_000, 100_000];

/// How many keys are written in one transaction at most.
const TXN_WRITES: usize = 100;

/// What gossip brings of `authors` who wrote the first `keys` keys one after the other, each having seen what is before its own.
pub fn gossip(authors: usize, keys: usize) -> Vec<Vec<u8>> {
    let each = keys / authors;
    let mut deps = Tips::default();
    let mut messages = Vec::new();
    for author in 0..authors {
        for start in (0..each).step_by(TXN_WRITES) {
            let places = (start..each.min(start + TXN_WRITES)).map(|at| author * each + at);
            let events = places.map(|at| Event {
                op: Op::Put {
                    key: key(at),
                    value: value(at),
                    kind: Kind::Value,
                },
                removes: Dots::default(),
            });
            let txn = Txn {
                author: id(author),
                first: start as u64 + 1,
                hlc: Hlc::at(Timestamp(1_700_000_000_000 + messages.len() as u64)),
                deps,
                events: events.collect(),
            };
            messages.push(Gossip::encode(&txn, config(0).gossip_bytes_max));
            let (dot, hash) = (txn.last(), TxnHasher::of(&txn));
            deps = [Tip { dot, hash }].into();
        }
    }
    messages
}

/// Hands gossip to a replica.
pub fn hear(node: &mut Node, messages: &[Vec<u8>]) {
    for message in messages {
        node.feed(Input::Gossiped {
            peer: None,
            message: message.clone(),
        });
    }
}

fn id(author: usize) -> AuthorId {
    let mut id = [0; 16];
    id.copy_from_slice(&value(author)[..16]);
    AuthorId(id)
}
