//! What a session costs when many authors have written the store.

use serde_json::{Value, json};

use crate::support::{
    authors,
    node::{Node, meet},
    workload::{key, put, scattered, value},
};

const KEYS: usize = 100_000;
const CHANGES: usize = 10;

/// Sessions after ten overwrites: of two replicas that never met, and of the same two again. Both hold what the authors have
/// written, which they know by gossip.
pub(crate) fn many(authors: usize) -> Value {
    let messages = authors::gossip(authors, KEYS);
    let (mut changed, mut other) = (Node::new(1), Node::new(2));
    authors::hear(&mut changed, &messages);
    authors::hear(&mut other, &messages);
    let mut meeting = |round: usize| {
        for i in (0..CHANGES).map(|i| round * CHANGES + i) {
            changed.transact(vec![put(key(scattered(i, KEYS)), value(KEYS + i))]);
        }
        (changed.steps, other.steps) = (Some(Vec::new()), Some(Vec::new()));
        let cost = meet(&mut changed, &mut other);
        let steps = [changed.steps.take(), other.steps.take()]
            .into_iter()
            .flatten()
            .flatten();
        let millis: Vec<_> = steps.map(|step| step.time.as_secs_f64() * 1e3).collect();
        json!({
            "bytes": cost.bytes,
            "millis": millis.iter().sum::<f64>(),
            "longestMillis": millis.iter().copied().fold(0.0, f64::max),
        })
    };
    json!({ "authors": authors, "changes": CHANGES, "first": meeting(0), "later": meeting(1) })
}
