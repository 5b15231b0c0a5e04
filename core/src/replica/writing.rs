//! A command's writes on their way into the store, in slices.
//!
//! A transaction may hold 65,536 writes, and to clear a store may take many transactions. Each is made in slices: readers see the
//! state before until it is whole, and then all of it. What is read, superseded and told to the peers is found in one pass over the
//! writes, so a single write takes no detour.

use alloc::vec::Vec;

use hashbrown::HashTable;

use super::{
    BatchId, Call, CommandError, CommandId, Origin, Output, Replica, Write,
    commands::{Seen, What, Wish},
};
use crate::{
    causality::{Context, Dots, Key, Kind, Tip, counter},
    id::{AuthorId, Dot},
    mutation::Mutation,
    store::{Scan, Store},
    time::{Hlc, Timestamp},
    wire::{REMOVES_MAX, TXN_EVENTS_MAX},
};

/// What is left to do of a command.
#[derive(Debug)]
pub(super) struct Writing {
    id: Option<CommandId>,
    call: Option<Call>,
    seen: Seen,
    source: Source,
    txn: Option<Begun>,
    phase: Phase,
    /// The last batch that the command has led to.
    batch: Option<BatchId>,
}

/// Where the writes come from.
#[derive(Debug)]
enum Source {
    /// What is left of a transaction's writes, the first of them last.
    Writes(Vec<Write>),
    /// The keys after this one.
    Keys(Option<Key>),
}

/// A transaction that has events.
#[derive(Clone, Copy, Debug)]
struct Begun {
    hlc: Hlc,
    first: u64,
    /// The dot of its next event.
    next: Dot,
}

#[derive(Debug)]
enum Phase {
    /// Drops writes whose key is written again, and sums what is added to one: those that are still to be looked at, and the places of
    /// those that were kept, by their keys' hashes.
    Sift(Vec<Write>, HashTable<u32>),
    /// Sees whether what is to be added can be, before anything is changed: from this place on.
    Check(usize),
    /// Makes the events.
    Write,
    /// Finds out which keys read differently.
    Compare { is_last: bool },
    /// The transaction is visible; clears up behind it.
    Clean { is_last: bool },
}

impl Replica {
    /// Works on the command under way, up to about `left` writes. Returns whether there is none any more.
    pub(super) fn write_some(&mut self, left: &mut usize, now: Timestamp) -> bool {
        let writing = self.writing.take();
        writing.is_none_or(|writing| self.write(writing, left, now))
    }

    /// Carries a command out, up to about `left` writes. Returns whether it is done.
    pub(super) fn write(&mut self, mut writing: Writing, left: &mut usize, now: Timestamp) -> bool {
        while *left > 0 {
            match &mut writing.phase {
                Phase::Sift(..) | Phase::Check(_) => {
                    let prepared = match writing.phase {
                        Phase::Check(_) => writing.check(&self.store, self.author, left),
                        _ => writing.sift(&self.store, left),
                    };
                    if let Err(error) = prepared {
                        let reply = |id| Output::Reply { id, result: Err(error) };
                        self.outputs.extend(writing.id.map(reply));
                        return true;
                    }
                }
                Phase::Write => {
                    let is_last = match &writing.source {
                        Source::Writes(_) => self.write_listed(&mut writing, left, now),
                        Source::Keys(_) => self.delete_keys(&mut writing, left, now),
                    };
                    match is_last {
                        Some(is_last) if writing.txn.is_some() => writing.phase = Phase::Compare { is_last },
                        // Nothing there was to write.
                        Some(_) => {
                            self.carried_out(writing.id, writing.batch);
                            return true;
                        }
                        None => {}
                    }
                }
                &mut Phase::Compare { is_last } => {
                    if self.store.edit().compare(Origin::Local, left) {
                        self.publish(&mut writing, is_last, now);
                        writing.phase = Phase::Clean { is_last };
                    }
                }
                &mut Phase::Clean { is_last } => {
                    if self.store.edit().clean(left) {
                        self.contents.take();
                        if is_last {
                            self.carried_out(writing.id, writing.batch);
                            return true;
                        }
                        writing.phase = Phase::Write;
                    }
                }
            }
        }
        self.writing = Some(writing);
        false
    }

    /// Makes events of the writes of a transaction. Returns, once it is complete, that it is the command's last.
    fn write_listed(&mut self, writing: &mut Writing, left: &mut usize, now: Timestamp) -> Option<bool> {
        if let (Source::Writes(writes), None) = (&writing.source, writing.txn) {
            self.store.edit().reserve(writes.len(), 0, 0);
        }
        while *left > 0 {
            *left -= 1;
            let Source::Writes(writes) = &mut writing.source else {
                break;
            };
            match writes.pop() {
                Some(Write::Put { key, value, context }) => {
                    let (dot, hlc) = self.next_event(writing, now);
                    let seen = writing.seen.under(context.as_ref(), self.author);
                    let mut edit = self.store.edit();
                    let entry = edit.write(dot, hlc, (key, value.into(), Kind::Value), seen);
                    self.message.put(&entry.key, &entry.body, entry.kind, &entry.removes);
                    self.hasher
                        .put(&entry.key, entry.body.print(), entry.kind, &entry.removes);
                }
                Some(Write::Add { key, amount }) => self.add(writing, key, amount, now),
                Some(Write::Delete { key, context }) => self.delete(writing, &key, context.as_ref(), now),
                None => {
                    // Given back now: at the end, an allocator that tidies up at each large piece would find most to do.
                    *writes = Vec::new();
                    return Some(true);
                }
            }
        }
        None
    }

    /// Deletes the next keys of a store that is cleared. Returns, once a transaction is complete, whether it is the command's last.
    fn delete_keys(&mut self, writing: &mut Writing, left: &mut usize, now: Timestamp) -> Option<bool> {
        let Source::Keys(after) = &writing.source else {
            return Some(true);
        };
        let events = writing.txn.map_or(0, |txn| (txn.next.n - txn.first) as usize);
        let count = (TXN_EVENTS_MAX - events).min(*left);
        let scan = Scan {
            gt: after.as_deref(),
            ..Scan::default()
        };
        let keys = self.store.scan(&scan).take(count).map(|(key, ..)| key.clone());
        let keys: Vec<Key> = keys.collect();
        *left -= count;
        for key in &keys {
            self.delete(writing, key, None, now);
        }
        if keys.len() < count {
            return Some(true);
        }
        writing.source = Source::Keys(keys.last().cloned());
        (events + count == TXN_EVENTS_MAX).then_some(false)
    }

    fn delete(&mut self, writing: &mut Writing, key: &str, context: Option<&Context>, now: Timestamp) {
        let seen = writing.seen.under(context, self.author);
        let removes = self.store.edit().supersede(key, seen);
        if !removes.is_empty() {
            let (dot, _) = self.next_event(writing, now);
            self.message.delete(&removes);
            self.hasher.delete(&removes);
            self.store.edit().record(dot, removes);
        }
    }

    /// Overwrites this author's subtotal, and nobody else's: who sees two authors' subtotals as one would count one of them twice.
    fn add(&mut self, writing: &mut Writing, key: Key, amount: i64, now: Timestamp) {
        let (own, subtotal) = own_subtotal(&self.store, self.author, &key);
        let value = counter::encode(subtotal.saturating_add(amount));
        let (dot, hlc) = self.next_event(writing, now);
        let mut edit = self.store.edit();
        let entry = edit.write(dot, hlc, (key, value.into(), Kind::Counter), |dot| own.contains(dot));
        self.message.put(&entry.key, &entry.body, entry.kind, &entry.removes);
        self.hasher
            .put(&entry.key, entry.body.print(), entry.kind, &entry.removes);
    }

    /// The dot and stamp of the next event. Begins the transaction with the first.
    fn next_event(&mut self, writing: &mut Writing, now: Timestamp) -> (Dot, Hlc) {
        let txn = writing.txn.get_or_insert_with(|| {
            let author = *self.author.get_or_insert_with(|| self.random.author());
            let first = self.store.vector().get(&author) + 1;
            let (hlc, next) = (self.clock.stamp(now), Dot::new(author, first));
            let deps = self.store.frontier().tips();
            self.message.begin(next, hlc, deps, self.config.gossip_bytes_max);
            self.hasher.begin(next, hlc, deps);
            Begun { hlc, first, next }
        });
        let dot = txn.next;
        txn.next.n += 1;
        (dot, txn.hlc)
    }

    /// Makes the transaction visible.
    fn publish(&mut self, writing: &mut Writing, is_last: bool, now: Timestamp) {
        let Some(txn) = writing.txn.take() else { return };
        let (dot, hash) = (Dot::new(txn.next.author, txn.next.n - 1), self.hasher.finish());
        self.recent.note(Tip { dot, hash });
        let mut edit = self.store.edit();
        edit.conclude(Tip { dot, hash });
        let (mut batch, changes) = edit.publish();
        if is_last && let Some(call) = writing.call {
            self.calls.insert(call);
            batch.call = Some(call);
        }
        let id = self.settle(batch, changes, now);
        writing.batch = Some(id);
        let is_held = writing.call.is_some() && self.refused.is_none();
        if is_held && !self.config.mutated.is(Mutation::CallAtOnce) {
            self.held.until(id);
        }
        // Gossip of a command need not wait for the flush: after a crash the author is another, so no dot is used twice, and a peer
        // can hand the write back.
        let message = self.message.finish();
        self.outputs.push_back(Output::Broadcast { message });
    }
}

impl Writing {
    pub(super) fn new(wish: Wish) -> Self {
        let (source, phase) = match wish.what {
            // A key cannot come twice.
            What::Transact(writes) if writes.len() <= 1 => (Source::Writes(writes), Phase::Check(0)),
            What::Transact(writes) => {
                let kept = (Vec::with_capacity(writes.len()), HashTable::with_capacity(writes.len()));
                (Source::Writes(kept.0), Phase::Sift(writes, kept.1))
            }
            What::Clear => (Source::Keys(None), Phase::Write),
        };
        Self {
            id: wish.id,
            call: wish.call,
            seen: wish.seen,
            source,
            txn: None,
            phase,
            batch: None,
        }
    }

    /// From the last write to the first, since the last of a key counts. Goes on to the next phase when all were looked at.
    fn sift(&mut self, store: &Store, left: &mut usize) -> Result<(), CommandError> {
        if let (Phase::Sift(writes, places), Source::Writes(kept)) = (&mut self.phase, &mut self.source) {
            while *left > 0 {
                *left -= 1;
                let Some(write) = writes.pop() else {
                    self.phase = Phase::Check(0);
                    break;
                };
                let hash = store.hash(write.key());
                match places.find(hash, |place| kept[*place as usize].key() == write.key()) {
                    Some(place) => join(&mut kept[*place as usize], &write)?,
                    None => {
                        // There was room for all: none is hashed again.
                        places.insert_unique(hash, kept.len() as u32, |_| hash);
                        kept.push(write);
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks at what is added. Goes on to the next phase when all was looked at.
    fn check(&mut self, store: &Store, author: Option<AuthorId>, left: &mut usize) -> Result<(), CommandError> {
        if let (Phase::Check(at), Source::Writes(writes)) = (&mut self.phase, &self.source) {
            while *left > 0 {
                let Some(write) = writes.get(*at) else {
                    self.phase = Phase::Write;
                    break;
                };
                *at += 1;
                if let Write::Add { key, amount } = write {
                    *left -= 1;
                    if store.kind(key) == Some(Kind::Value) {
                        let key = key.clone();
                        return Err(CommandError::NotACounter { key });
                    }
                    let (_, subtotal) = own_subtotal(store, author, key);
                    add_up(key, subtotal, *amount)?;
                }
            }
        }
        Ok(())
    }
}

impl Seen {
    /// Tells which dots under a key the writer saw: those that its context names, or else all that were visible; and what came of
    /// commands before. What is live and was not seen stays, as a sibling.
    fn under(&self, context: Option<&Context>, author: Option<AuthorId>) -> impl FnMut(&Dot) -> bool {
        // An event has room for so many; what is beyond stays a sibling that the next write takes.
        let mut room = REMOVES_MAX;
        move |dot| {
            let own = author == Some(dot.author) && dot.n > self.made;
            let seen = own
                || match (context, &self.vector) {
                    (Some(context), _) => context.dots().contains(dot),
                    (None, Some(vector)) => vector.covers(dot),
                    (None, None) => true,
                };
            let taken = seen && room > 0;
            room -= usize::from(taken);
            taken
        }
    }
}

/// Has a write of a transaction stand for an earlier one of its key as well.
fn join(kept: &mut Write, earlier: &Write) -> Result<(), CommandError> {
    match (kept, earlier) {
        (Write::Add { key, amount }, Write::Add { amount: more, .. }) => *amount = add_up(key, *amount, *more)?,
        (Write::Add { .. }, _) | (_, Write::Add { .. }) => {
            let key = earlier.key().clone();
            return Err(CommandError::CounterWritten { key });
        }
        _ => {}
    }
    Ok(())
}

fn add_up(key: &Key, a: i64, b: i64) -> Result<i64, CommandError> {
    let overflow = || CommandError::CounterOverflow { key: key.clone() };
    a.checked_add(b).ok_or_else(overflow)
}

/// This author's counters under a key, and the subtotal: nothing before its first write.
fn own_subtotal(store: &Store, author: Option<AuthorId>, key: &str) -> (Dots, i64) {
    author.map_or_else(Default::default, |author| store.subtotal(key, &author))
}
