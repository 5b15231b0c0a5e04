//! What transactions and events hash to.
//!
//! The hash of a transaction covers its events and the hashes of the transactions that it depends on, and with them all of its past: who
//! says what a transaction hashes to has said everything that came before it. Of two transactions under one dot at most one is in the past
//! of any other.
//!
//! ```text
//! event       = BLAKE3, keyed with "gossipstore 1 event" and zeros up to 32 bytes, of:
//!               stamp (8), 0 deletes | 1 puts a value | 2 puts a counter,
//!               of a put: length of the key (2), key, length of the value (4), BLAKE3 of the value (32)
//!               for each dot that it removes: author (16), n (8)
//! transaction = the first half of BLAKE3, keyed with "gossipstore 1 transaction" and zeros, of:
//!               author (16), n of the first event (8), count of tips (4), for each in order: author (16), n (8), hash (16);
//!               for each event: its hash (32)
//! ```
//!
//! Numbers are little-endian. An event has a hash of its own so that a live entry can be compared, and one day be signed for, by whoever
//! has not got the others of its transaction; the value has one so that neither needs it.

use alloc::{boxed::Box, vec::Vec};

use super::{Body, Dots, Kind, Op, Print, Tip, Txn};
use crate::{
    id::{Dot, TxnHash},
    time::Hlc,
};

const EVENT: [u8; 32] = *b"gossipstore 1 event\0\0\0\0\0\0\0\0\0\0\0\0\0";
const TRANSACTION: [u8; 32] = *b"gossipstore 1 transaction\0\0\0\0\0\0\0";

/// So many bytes are hashed at once, or as many as there are if these are less, which is quickest.
const AT_ONCE: usize = 4 * 1024;

/// Hashes transactions, one after the other, event by event.
#[derive(Clone, Debug, Default)]
pub struct TxnHasher {
    /// What of the transaction is not hashed yet.
    rest: Vec<u8>,
    /// Of one that is long.
    hasher: Option<Box<blake3::Hasher>>,
    /// What is hashed of an event.
    event: Vec<u8>,
    hlc: Hlc,
}

impl TxnHasher {
    /// The hash of a whole transaction.
    pub fn of(txn: &Txn) -> TxnHash {
        let mut hasher = Self::default();
        hasher.begin(Dot::new(txn.author, txn.first), txn.hlc, &txn.deps);
        for event in &txn.events {
            match &event.op {
                Op::Put { key, value, kind } => hasher.put(key, Print::of(value), *kind, &event.removes),
                Op::Delete => hasher.delete(&event.removes),
            }
        }
        hasher.finish()
    }

    /// Begins a transaction whose first event is `first`.
    pub fn begin(&mut self, first: Dot, hlc: Hlc, deps: &[Tip]) {
        self.hasher = None;
        self.hlc = hlc;
        self.rest.clear();
        write_dot(first, &mut self.rest);
        // A frontier is bounded by far less.
        self.rest.extend_from_slice(&(deps.len() as u32).to_le_bytes());
        for Tip { dot, hash } in deps {
            write_dot(*dot, &mut self.rest);
            self.rest.extend_from_slice(&hash.0);
        }
    }

    /// The next event puts a value under a key.
    pub fn put(&mut self, key: &str, print: Print, kind: Kind, removes: &Dots) {
        let hash = put_hash(&mut self.event, self.hlc, key, print, kind, removes);
        self.push(&hash);
    }

    /// The next event is a delete.
    pub fn delete(&mut self, removes: &Dots) {
        self.event.clear();
        self.event.extend_from_slice(&self.hlc.0.to_le_bytes());
        self.event.push(0);
        write_dots(removes, &mut self.event);
        let hash = *blake3::keyed_hash(&EVENT, &self.event).as_bytes();
        self.push(&hash);
    }

    /// The hash.
    pub fn finish(&mut self) -> TxnHash {
        TxnHash::of(&match &mut self.hasher {
            Some(hasher) => hasher.update(&self.rest).finalize(),
            None => blake3::keyed_hash(&TRANSACTION, &self.rest),
        })
    }

    fn push(&mut self, hash: &[u8; 32]) {
        if self.rest.len() >= AT_ONCE {
            let begin = || Box::new(blake3::Hasher::new_keyed(&TRANSACTION));
            self.hasher.get_or_insert_with(begin).update(&self.rest);
            self.rest.clear();
        }
        self.rest.extend_from_slice(hash);
    }
}

/// The print of a live event, by which two replicas see whether they hold the same under a dot: the first 8 bytes of its hash.
pub fn print_of(hlc: Hlc, key: &str, body: &Body, kind: Kind, removes: &Dots) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&put_hash(&mut Vec::new(), hlc, key, body.print(), kind, removes)[..8]);
    u64::from_le_bytes(first)
}

/// The hash of an event that puts a value. `bytes` are overwritten.
fn put_hash(bytes: &mut Vec<u8>, hlc: Hlc, key: &str, print: Print, kind: Kind, removes: &Dots) -> [u8; 32] {
    bytes.clear();
    bytes.extend_from_slice(&hlc.0.to_le_bytes());
    bytes.push(match kind {
        Kind::Value => 1,
        Kind::Counter => 2,
    });
    // Keys have up to 1,024 bytes.
    bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(&print.length.to_le_bytes());
    bytes.extend_from_slice(&print.hash.0);
    write_dots(removes, bytes);
    *blake3::keyed_hash(&EVENT, bytes).as_bytes()
}

fn write_dots(dots: &[Dot], out: &mut Vec<u8>) {
    for dot in dots {
        write_dot(*dot, out);
    }
}

fn write_dot(dot: Dot, out: &mut Vec<u8>) {
    out.extend_from_slice(&dot.author.0);
    out.extend_from_slice(&dot.n.to_le_bytes());
}
