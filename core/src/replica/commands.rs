//! Commands: what a caller asks for, checked, and when it is carried out.

use alloc::{sync::Arc, vec::Vec};

use super::{
    BatchId, Call, Command, CommandError, CommandId, MERGED_FOR_COMMAND_MAX, Output, Replica, Write, writing::Writing,
};
use crate::{
    causality::{Key, VersionVector},
    time::Timestamp,
    wire::{KEY_BYTES_MAX, TXN_EVENTS_MAX, VALUE_BYTES_MAX},
};

/// How many writes a command may make to be carried out before the call returns. They take about a millisecond; a command that makes
/// more is carried out in slices.
const WRITTEN_AT_ONCE_MAX: usize = 1_000;

/// A command as its caller meant it: checked, and with what the caller could see when it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wish {
    /// Whom to answer; none for what the replica does by itself.
    pub(super) id: Option<CommandId>,
    /// Its name, if it may come again.
    pub(super) call: Option<Call>,
    pub(super) what: What,
    pub(super) seen: Seen,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    Transact(Vec<Write>),
    Clear,
}

/// What a caller had seen of a key that it gives no context for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// What was visible when the command came; `None` when nothing was on its way that would become visible before the command.
    pub(super) vector: Option<Arc<VersionVector>>,
    /// How many events of its own the replica had made. It has seen those that follow, too: they are commands that came before.
    pub(super) made: u64,
}

impl Replica {
    /// Takes a command: carries it out, or has it wait for the merge under way. A caller reads what it wrote, so a merge of which
    /// little is left is ended first.
    pub(super) fn command(&mut self, id: CommandId, call: Option<Call>, command: Command, now: Timestamp) {
        let wish = match self.wish(id, call, command) {
            Ok(wish) => wish,
            Err(error) => {
                self.outputs.push_back(Output::Reply { id, result: Err(error) });
                return;
            }
        };
        let mut held_up = MERGED_FOR_COMMAND_MAX;
        let first = self.writing.is_none() && self.wishes.is_empty();
        if first && self.merge_some(&mut held_up, now) {
            self.carry_out(wish, &mut self.slice(), now);
        } else {
            self.wishes.push_back(wish);
        }
    }

    fn wish(&self, id: CommandId, call: Option<Call>, command: Command) -> Result<Wish, CommandError> {
        if let Some(failure) = &self.refused
            && !(failure.is_full && command.only_deletes())
        {
            return Err(CommandError::StorageFails(failure.clone()));
        }
        let what = match command {
            Command::Transact(writes) if writes.len() > TXN_EVENTS_MAX => {
                return Err(CommandError::TransactionTooLarge { events: writes.len() });
            }
            Command::Transact(writes) => {
                writes.iter().try_for_each(check)?;
                What::Transact(writes)
            }
            Command::Clear => What::Clear,
        };
        let seen = Seen {
            vector: self.merge.is_some().then(|| self.snapshot()),
            made: self.author.map_or(0, |author| self.store.vector().get(&author)),
        };
        let id = Some(id);
        Ok(Wish { id, call, what, seen })
    }

    /// Carries out the command that has waited longest.
    pub(super) fn carry_out_next(&mut self, left: &mut usize, now: Timestamp) -> bool {
        let Some(wish) = self.wishes.pop_front() else {
            return false;
        };
        self.carry_out(wish, left, now);
        true
    }

    /// Carries a command out, or begins to; takes what it does from `left`.
    fn carry_out(&mut self, wish: Wish, left: &mut usize, now: Timestamp) {
        if wish.call.is_some_and(|call| self.calls.contains(&call)) {
            // It may be among what is not durable yet.
            self.carried_out(wish.id, self.last_batch());
            return;
        }
        let writes = match &wish.what {
            What::Transact(writes) => writes.len(),
            What::Clear => self.store.len(),
        };
        if writes > WRITTEN_AT_ONCE_MAX {
            self.write(Writing::new(wish), left, now);
        } else {
            let mut all = usize::MAX;
            self.write(Writing::new(wish), &mut all, now);
            *left = left.saturating_sub(usize::MAX - all);
        }
    }

    /// Answers a command that is carried out, unless its last batch has yet to become durable.
    pub(super) fn carried_out(&mut self, id: Option<CommandId>, last: Option<BatchId>) {
        let Some(id) = id else { return };
        let result = match (last, &self.refused) {
            // Storage may be quicker than the clearing up behind a long transaction.
            (Some(batch), _) if Some(batch) <= self.durable => Ok(()),
            (Some(_), Some(failure)) => Err(CommandError::NotDurable(failure.clone())),
            (Some(batch), None) => {
                self.waiting.push_back((batch, id));
                return;
            }
            // There was nothing to do.
            (None, _) => Ok(()),
        };
        self.outputs.push_back(Output::Reply { id, result });
    }
}

impl Command {
    fn only_deletes(&self) -> bool {
        match self {
            Self::Transact(writes) => writes.iter().all(|write| matches!(write, Write::Delete { .. })),
            Self::Clear => true,
        }
    }
}

impl Write {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Add { key, .. } => key,
        }
    }
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
