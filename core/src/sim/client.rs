//! One who writes through a replica and lives on when it dies, as the other tabs of a browser do: what was not answered is asked for again.

use alloc::{collections::BTreeMap, vec::Vec};

use super::random::Random;
use crate::{
    replica::{Call, Command, CommandId, Input},
    store::{CALLS_WAITING_MAX, Caller},
};

/// A client of one replica.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
    /// The number of its next call.
    next: u64,
    /// Calls that are not answered.
    waiting: BTreeMap<u64, (CommandId, Command)>,
    /// Those that were answered, and had changed something.
    pub(super) done: Vec<Call>,
}

impl Client {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            caller: Caller(random.number()),
            next: 1,
            waiting: BTreeMap::new(),
            done: Vec::new(),
        }
    }

    /// Makes a call, unless too many wait for an answer.
    pub(super) fn call(&mut self, id: CommandId, command: Command) -> Input {
        let oldest = self.waiting.keys().next();
        if oldest.is_some_and(|oldest| self.next - oldest > CALLS_WAITING_MAX) {
            return Input::Command { id, command };
        }
        let n = self.next;
        self.next += 1;
        self.waiting.insert(n, (id, command.clone()));
        let call = self.name(n);
        Input::Call { id, call, command }
    }

    fn name(&self, n: u64) -> Call {
        Call { caller: self.caller, n }
    }

    /// A command is answered; gives the call that it was, if it was one.
    pub(super) fn answered(&mut self, id: CommandId) -> Option<Call> {
        let mut calls = self.waiting.iter();
        let n = *calls.find(|(_, (waiting, _))| *waiting == id)?.0;
        self.waiting.remove(&n);
        Some(self.name(n))
    }

    /// What is to be asked for again, in order.
    pub(super) fn again(&self) -> Vec<Input> {
        let calls = self.waiting.iter().map(|(n, (id, command))| Input::Call {
            id: *id,
            call: self.name(*n),
            command: command.clone(),
        });
        calls.collect()
    }

    /// Nobody knows any more what it called for.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.done.clear();
    }
}
