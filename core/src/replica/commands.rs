//! Commands: from a caller's wish to a transaction.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use super::{BatchId, Command, CommandError, CommandId, MERGED_FOR_COMMAND_MAX, Origin, Output, Replica, Write};
use crate::{
    causality::{Context, Dots, Event, Op, Txn},
    id::Dot,
    store::Scan,
    time::Timestamp,
    wire::{Gossip, KEY_BYTES_MAX, REMOVES_MAX, TXN_EVENTS_MAX, VALUE_BYTES_MAX},
};

/// A command as its caller meant it: checked, and with the contexts that the caller could see when it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wish {
    id: CommandId,
    writes: Vec<Write>,
    /// How many events of its own the replica had made.
    made: u64,
}

impl Replica {
    /// Takes a command: carries it out, or has it wait for the merge under way. A caller reads what it wrote, so a merge of which
    /// little is left is ended first.
    pub(super) fn command(&mut self, id: CommandId, command: Command, now: Timestamp) {
        let wish = match self.wish(id, command) {
            Ok(wish) => wish,
            Err(error) => {
                self.outputs.push_back(Output::Reply { id, result: Err(error) });
                return;
            }
        };
        if self.wishes.is_empty() && self.merge_some(MERGED_FOR_COMMAND_MAX, now) {
            self.carry_out(wish, now);
        } else {
            self.wishes.push_back(wish);
        }
    }

    fn wish(&self, id: CommandId, command: Command) -> Result<Wish, CommandError> {
        let mut writes = match command {
            Command::Transact(writes) if writes.len() > TXN_EVENTS_MAX => {
                return Err(CommandError::TransactionTooLarge { events: writes.len() });
            }
            Command::Transact(writes) => writes,
            Command::Clear => {
                let all = Scan::default();
                let keys = self.store.scan(&all).map(|(key, ..)| Arc::clone(key));
                keys.map(|key| Write::Delete { key, context: None }).collect()
            }
        };
        writes.iter().try_for_each(check)?;
        if self.merge.is_some() {
            // What the merge brings is not what the caller saw.
            for write in &mut writes {
                let (Write::Put { key, context, .. } | Write::Delete { key, context }) = write;
                context.get_or_insert_with(|| self.store.context(key));
            }
        }
        Ok(Wish {
            id,
            writes,
            made: self.made(),
        })
    }

    /// Carries out the command that has waited longest.
    pub(super) fn carry_out_next(&mut self, now: Timestamp) -> bool {
        let Some(wish) = self.wishes.pop_front() else {
            return false;
        };
        self.carry_out(wish, now);
        true
    }

    fn carry_out(&mut self, wish: Wish, now: Timestamp) {
        let Wish { id, writes, made } = wish;
        let mut last = None;
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let txn = writes.by_ref().take(TXN_EVENTS_MAX).collect();
            last = self.commit(txn, made, now).or(last);
        }
        let result = match (&self.refused, last) {
            (Some(reason), Some(_)) => Err(CommandError::NotDurable {
                reason: Arc::clone(reason),
            }),
            (None, Some(batch)) => {
                self.waiting.push_back((batch, id));
                return;
            }
            // Nothing to do is done at once.
            (_, None) => Ok(()),
        };
        self.outputs.push_back(Output::Reply { id, result });
    }

    /// How many events this opening's author has made.
    fn made(&self) -> u64 {
        self.author.map_or(0, |author| self.store.vector().get(&author))
    }

    /// Makes the writes one transaction; `None` if they change nothing. `made` is how many of its own events the writer had seen.
    fn commit(&mut self, writes: Vec<Write>, made: u64, now: Timestamp) -> Option<BatchId> {
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
                    let removes = self.superseded(&key, context, made);
                    events.push(Event {
                        op: Op::Put { key, value },
                        removes,
                    });
                }
                Write::Delete { key, context } => {
                    let removes = self.superseded(&key, context, made);
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
    fn superseded(&self, key: &str, context: Option<Context>, made: u64) -> Dots {
        let live = self.store.dots(key);
        // What the same caller wrote before is seen, also if it was still waiting when this was asked for.
        let own = |dot: &Dot| self.author == Some(dot.author) && dot.n > made;
        let seen = |dot: &Dot| {
            context
                .as_ref()
                .is_none_or(|context| context.dots().contains(dot) || own(dot))
        };
        // An event has room for so many; what is beyond stays a sibling that the next write takes.
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
