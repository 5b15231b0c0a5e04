//! Commands: from a caller's wish to a transaction.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use super::{BatchId, Command, CommandError, CommandId, Origin, Output, Replica, Write};
use crate::{
    causality::{Context, Dots, Event, Op, Txn},
    id::Dot,
    store::Scan,
    time::Timestamp,
    wire::{Gossip, KEY_BYTES_MAX, REMOVES_MAX, TXN_EVENTS_MAX, VALUE_BYTES_MAX},
};

impl Replica {
    pub(super) fn command(&mut self, id: CommandId, command: Command, now: Timestamp) {
        let outcome = match command {
            Command::Transact(writes) => self.transact(writes, now),
            Command::Clear => Ok(self.clear(now)),
        };
        match outcome {
            Ok(Some(batch)) => self.waiting.push_back((batch, id)),
            // Nothing to do is done at once.
            Ok(None) => self.outputs.push_back(Output::Reply { id, result: Ok(()) }),
            Err(error) => self.outputs.push_back(Output::Reply { id, result: Err(error) }),
        }
    }

    /// Makes the writes one transaction; `None` if they change nothing.
    fn transact(&mut self, writes: Vec<Write>, now: Timestamp) -> Result<Option<BatchId>, CommandError> {
        if writes.len() > TXN_EVENTS_MAX {
            return Err(CommandError::TransactionTooLarge { events: writes.len() });
        }
        writes.iter().try_for_each(check)?;
        Ok(self.commit(writes, now))
    }

    fn clear(&mut self, now: Timestamp) -> Option<BatchId> {
        let keys: Vec<_> = self
            .store
            .scan(&Scan::default())
            .map(|(key, ..)| Arc::clone(key))
            .collect();
        let mut last = None;
        for keys in keys.chunks(TXN_EVENTS_MAX) {
            let deletes = keys.iter().map(|key| Write::Delete {
                key: Arc::clone(key),
                context: None,
            });
            last = self.commit(deletes.collect(), now).or(last);
        }
        last
    }

    fn commit(&mut self, writes: Vec<Write>, now: Timestamp) -> Option<BatchId> {
        let last_of_key = last_of_each(&writes);
        let mut events = Vec::with_capacity(writes.len());
        for (at, write) in writes.into_iter().enumerate() {
            if last_of_key
                .as_ref()
                .is_some_and(|last| last.get(write.key()) != Some(&at))
            {
                continue;
            }
            match write {
                Write::Put { key, value, context } => {
                    let removes = self.superseded(&key, context);
                    events.push(Event {
                        op: Op::Put { key, value },
                        removes,
                    });
                }
                Write::Delete { key, context } => {
                    let removes = self.superseded(&key, context);
                    if !removes.is_empty() {
                        events.push(Event {
                            op: Op::Delete,
                            removes,
                        });
                    }
                }
            }
        }
        if events.is_empty() {
            return None;
        }
        let author = *self.author.get_or_insert_with(|| self.random.author());
        let first = self.store.vector().get(&author) + 1;
        let hlc = self.clock.stamp(now);
        let txn = Txn {
            author,
            first,
            hlc,
            deps: self.store.frontier().dots().iter().copied().collect(),
            events,
        };
        let mut edit = self.store.edit();
        edit.apply(&txn);
        let (batch, touched) = edit.finish();
        let id = self.settle(batch, touched, Origin::Local, now);
        // Gossip need not wait for the flush: after a crash the author is another, so no dot is used twice, and a peer can hand
        // the write back.
        let message = Gossip::encode(&txn, self.config.gossip_bytes_max);
        self.outputs.push_back(Output::Broadcast { message });
        Some(id)
    }

    /// The live dots under the key that the writer saw. What is live and was not seen stays, as a sibling.
    fn superseded(&self, key: &str, context: Option<Context>) -> Dots {
        let live = self.store.dots(key);
        // An event has room for so many; what is beyond stays a sibling that the next write takes.
        let seen = |dot: &Dot| context.as_ref().is_none_or(|context| context.dots().contains(dot));
        live.filter(seen).take(REMOVES_MAX).collect()
    }
}

impl Write {
    pub(super) fn key(&self) -> &Arc<str> {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

/// The place of the last write of each key; `None` when no key can come twice.
fn last_of_each(writes: &[Write]) -> Option<BTreeMap<Arc<str>, usize>> {
    (writes.len() > 1).then(|| {
        writes
            .iter()
            .enumerate()
            .map(|(at, write)| (Arc::clone(write.key()), at))
            .collect()
    })
}

fn check(write: &Write) -> Result<(), CommandError> {
    let key = write.key();
    if key.is_empty() {
        return Err(CommandError::KeyEmpty);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(CommandError::KeyTooLong { bytes: key.len() });
    }
    match write {
        Write::Put { value, .. } if value.len() > VALUE_BYTES_MAX => {
            Err(CommandError::ValueTooLarge { bytes: value.len() })
        }
        _ => Ok(()),
    }
}
