//! What of a write serves members only, for `bench/sealing.mjs`: the hash of its transaction, and the seal of what is gossiped of it.

use gossipstore_core::{
    causality::{Event, Key, Kind, Op, Tip, Txn, TxnHasher},
    id::{AuthorId, Dot, TxnHash},
    membership::{NONCE_BYTES, Sealer, Secret},
    time::Hlc,
    wire::Gossip,
};
use wasm_bindgen::prelude::*;

/// Transactions of one put each, and what seals them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Sealing {
    txns: Vec<Txn>,
    messages: Vec<Vec<u8>>,
    sealer: Sealer,
}

#[wasm_bindgen]
impl Sealing {
    /// So many, with values of so many bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(count: u32, value_bytes: usize) -> Self {
        let txn = |n: u32| {
            let op = Op::Put {
                key: Key::from(format!("key {n:08}")),
                value: vec![7; value_bytes].into(),
                kind: Kind::Value,
            };
            let removes = [].into();
            Txn {
                author: AuthorId([7; 16]),
                first: u64::from(n) + 1,
                hlc: Hlc(u64::from(n)),
                deps: [Tip {
                    dot: Dot::new(AuthorId([7; 16]), u64::from(n)),
                    hash: TxnHash([7; 16]),
                }]
                .into(),
                events: vec![Event { op, removes }],
            }
        };
        let txns: Vec<Txn> = (1..=count).map(txn).collect();
        Self {
            messages: txns.iter().map(|txn| Gossip::encode(txn, 48 * 1024)).collect(),
            txns,
            sealer: Secret::new([7; 32]).sealer(),
        }
    }

    /// Hashes them all; gives what depends on every hash.
    pub fn hash(&self) -> u8 {
        self.txns.iter().fold(0, |all, txn| all ^ TxnHasher::of(txn).0[0])
    }

    /// Seals what is gossiped of them all; gives how many bytes that makes.
    pub fn seal(&self) -> usize {
        let sealed = self
            .messages
            .iter()
            .map(|message| self.sealer.seal([7; NONCE_BYTES], message));
        sealed.map(|sealed| sealed.len()).sum()
    }
}
