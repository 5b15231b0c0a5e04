//! One case of the table of sessions: two equal replicas of so many keys, changes at one of them, and the session that follows.

use gossipstore_core::replica::{Config, Write};
use serde::Serialize;

use super::{
    node::{Cost, Node, config, meet},
    workload::{delete, key, new_key, put, scattered, value},
};

/// The numbers of changes of the table.
pub const CHANGES: [usize; 6] = [0, 1, 10, 100, 1_000, 10_000];

/// What changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Insert,
    Overwrite,
    Delete,
    /// Of ten changes eight are overwrites, one a delete and one an insert.
    Mixed,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Insert, Self::Overwrite, Self::Delete, Self::Mixed];
}

/// Where the changes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// All over the store.
    Scattered,
    /// At neighbouring keys, which were written one after the other.
    Clustered,
}

impl Order {
    pub const ALL: [Self; 2] = [Self::Scattered, Self::Clustered];
}

/// What the sender remembers of dead events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ring {
    /// Every record.
    Kept,
    /// None. Each change is made twice, an overwrite first, which the second makes a dead event that nobody can describe.
    Lost,
}

impl Ring {
    pub const ALL: [Self; 2] = [Self::Kept, Self::Lost];
}

/// Two replicas, what is changed at one of them, and what that one remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Case {
    /// Keys that both replicas hold.
    pub keys: usize,
    /// Keys that are changed at one of them.
    pub changes: usize,
    pub kind: Kind,
    pub order: Order,
    pub ring: Ring,
}

impl Case {
    /// Every case of a store of `keys` with one of these numbers of changes. Without changes there is one case only.
    pub fn all(keys: usize, changes: &[usize]) -> Vec<Self> {
        let mut cases = Vec::new();
        for &changes in changes {
            for order in Order::ALL {
                for ring in Ring::ALL {
                    cases.extend(Kind::ALL.map(|kind| Self {
                        keys,
                        changes,
                        kind,
                        order,
                        ring,
                    }));
                }
            }
        }
        let first = (Kind::ALL[0], Order::ALL[0], Ring::ALL[0]);
        cases.retain(|case| case.changes > 0 || (case.kind, case.order, case.ring) == first);
        cases
    }

    /// The changes, one a transaction.
    pub fn writes(&self) -> impl Iterator<Item = Write> {
        let Self { keys, ring, .. } = *self;
        (0..self.changes).flat_map(move |i| {
            let at = match self.order {
                Order::Scattered => scattered(i, keys),
                Order::Clustered => i,
            };
            let change = match (self.kind, i % 10) {
                (Kind::Mixed, 0) => Kind::Insert,
                (Kind::Mixed, 1) => Kind::Delete,
                (Kind::Mixed, _) => Kind::Overwrite,
                (kind, _) => kind,
            };
            let key = if change == Kind::Insert { new_key(at) } else { key(at) };
            let dying = (ring == Ring::Lost).then(|| put(key.clone(), value(2 * keys + i)));
            let last = match change {
                Kind::Delete => delete(key),
                _ => put(key, value(keys + i)),
            };
            dying.into_iter().chain([last])
        })
    }

    /// The two replicas, changed and not yet met again.
    pub fn replicas(&self) -> (Node, Node) {
        let ring_records = match self.ring {
            Ring::Kept => config(1).ring_records,
            Ring::Lost => 0,
        };
        let mut changed = Node::with(Config {
            ring_records,
            ..config(1)
        });
        changed.fill(self.keys);
        let mut other = Node::new(2);
        meet(&mut changed, &mut other);
        for write in self.writes() {
            changed.transact(vec![write]);
        }
        (changed, other)
    }

    /// What the session costs that follows.
    pub fn cost(&self) -> Cost {
        let (mut changed, mut other) = self.replicas();
        meet(&mut changed, &mut other)
    }
}
