//! Events of a session, or of a long transaction, on their way into the store, in slices.
//!
//! A session may bring a million events. Taken in at once they would hold a tab's only thread for seconds; so each turn takes a
//! slice. Readers see the state before until the last slice, and then all of it.

use alloc::{collections::BTreeSet, vec::Vec};
use core::time::Duration;

use super::{Event, Origin, Output, Replica, lost::LOST_ASKED_MAX};
use crate::{
    causality::{Body, Dots, Op, Tip, Txn, Value},
    id::{AuthorId, Dot, Peer, TxnHash},
    mutation::Mutation,
    store::{Edit, Store, StoredEntry},
    sync::{Delta, Judged, Sizes, masked},
    time::{Hlc, Timestamp},
    wire::{Described, Frame, Tag},
};

/// What is left to take in.
#[derive(Debug)]
pub(super) struct Merge {
    /// The session that has brought it, unless gossip did.
    session: Option<(Peer, Tag)>,
    begun_at: Timestamp,
    delta: Delta,
    /// Described as live, and seen here since the session began.
    known: BTreeSet<Dot>,
    /// Entries that it brings whose values are lost at the sender, and how many values that were lost here.
    lost: Vec<Dot>,
    healed: usize,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Adds live entries: frame and event to go on with.
    Put(usize, usize),
    /// Takes out what the events supersede, and forgets the events, from the last to the first.
    Remove,
    /// Takes out what is judged to be dead at the sender: the last block that is done.
    Judge(Option<(AuthorId, u64)>),
    /// Finds out which keys read differently.
    Compare,
    /// The step is visible; clears up behind it.
    Clean,
}

impl Merge {
    /// Of what a session has brought.
    pub(super) fn of_session(peer: Peer, tag: Tag, delta: Delta, now: Timestamp) -> Self {
        Self::new(Some((peer, tag)), delta, now)
    }

    /// Of a transaction that continues its author's events and whose dependencies are visible: as if its author had seen all that is
    /// seen here and nothing else that is new.
    pub(super) fn of_txn(txn: Txn, hash: TxnHash, store: &Store, now: Timestamp) -> Self {
        let dot = txn.last();
        let (mut vector, mut frontier) = (store.vector().clone(), store.frontier().clone());
        vector.advance(dot.author, dot.n);
        frontier.advance(Tip { dot, hash }, &txn.deps);
        let (author, hlc, mut sizes) = (txn.author, txn.hlc, Sizes::default());
        let events = (txn.first..).zip(txn.events).map(|(n, event)| {
            let (dot, removes) = (Dot::new(author, n), event.removes);
            let event = match event.op {
                Op::Put { key, value, kind } => Described::Live {
                    kind,
                    dot,
                    key,
                    body: Body::Here(value),
                    hlc,
                    removes,
                },
                Op::Delete => Described::Dead { dot, removes },
            };
            sizes.add(&event);
            event
        });
        let events = [events.collect()].into();
        let delta = Delta {
            vector,
            frontier,
            events,
            sizes,
            ..Delta::default()
        };
        Self::new(None, delta, now)
    }

    fn new(session: Option<(Peer, Tag)>, delta: Delta, now: Timestamp) -> Self {
        Self {
            session,
            begun_at: now,
            delta,
            known: BTreeSet::new(),
            lost: Vec::new(),
            healed: 0,
            phase: Phase::Put(0, 0),
        }
    }
}

impl Replica {
    /// Works on the merge under way, up to about `left` events. Returns whether there is none any more.
    pub(super) fn merge_some(&mut self, left: &mut usize, now: Timestamp) -> bool {
        while *left > 0 {
            let Some(merge) = &mut self.merge else { return true };
            let mut edit = self.store.edit();
            match merge.phase {
                Phase::Put(frame, event) => {
                    if frame == 0 && event == 0 {
                        let resumed = merge.delta.resumed.iter().map(|frame| frame.len());
                        let Sizes { live, dead, removes } = merge.delta.sizes;
                        edit.reserve(live + resumed.sum::<usize>(), removes, dead);
                    }
                    let (clock, lost) = (&mut self.clock, &mut self.lost.dots);
                    merge.put(&mut edit, (frame, event), left, lost, |hlc| clock.observe(hlc, now));
                }
                Phase::Remove => {
                    if merge.remove(&mut edit, left) {
                        if !self.config.mutated.is(Mutation::ForkUnsettled) {
                            merge.delta.conflicts.iter().for_each(|dot| edit.remove(dot));
                        }
                        merge.phase = Phase::Judge(None);
                    }
                }
                Phase::Judge(done) => {
                    let judged = merge.delta.judged.as_ref();
                    let undone = judged.and_then(|judged| merge.judge(judged, &mut edit, done, left));
                    merge.phase = undone.map_or(Phase::Compare, |done| Phase::Judge(Some(done)));
                }
                Phase::Compare => {
                    if edit.compare(Origin::Remote, left) {
                        // With what was seen already, what is maximal stays so, whatever the peer says of it.
                        let is_news = !edit.store().vector().dominates(&merge.delta.vector);
                        // Nothing else is new of a frontier that was seen than which of two hashes its author is known by.
                        let known = edit.store().frontier();
                        let raises = |tip: &Tip| known.hash_of(&tip.dot).is_some_and(|own| own < tip.hash);
                        let is_raised = merge.delta.frontier.tips().iter().any(raises);
                        if is_news || is_raised {
                            edit.join(&merge.delta.vector, &merge.delta.frontier);
                        }
                        merge.delta.forks.iter().for_each(|fork| edit.fork(*fork));
                        let (batch, changes) = edit.publish();
                        merge.phase = Phase::Clean;
                        // A peer may have had nothing that was not seen.
                        if !batch.is_empty() || is_raised {
                            self.tell_forks(&batch.forks);
                            self.settle(batch, changes, now);
                        }
                        if let Some(merge) = &self.merge {
                            self.lost.dots.extend(&merge.lost);
                        }
                        *left = left.saturating_sub(self.vector_weight());
                    }
                }
                Phase::Clean => {
                    if edit.clean(left) {
                        let (session, begun_at) = (merge.session, merge.begun_at);
                        let (loses, healed) = (!merge.lost.is_empty(), merge.healed);
                        let compared = merge.delta.compared;
                        self.merge = None;
                        // It may have been asked for with the step half cleared away.
                        self.contents.take();
                        match session {
                            Some((peer, tag)) => {
                                if let Some(link) = self.links.get_mut(&peer).filter(|_| compared) {
                                    link.entries_compared = link.comparing.or(link.entries_compared);
                                }
                                if loses {
                                    self.note_lost(Some(peer), now);
                                }
                                if healed == LOST_ASKED_MAX {
                                    self.want_session(Some(peer), now);
                                }
                                self.merged(peer, Some(tag), begun_at, now);
                            }
                            None => self.early.rouse(None),
                        }
                    }
                }
            }
        }
        self.merge.is_none()
    }

    /// A session is over: all that the peer had is visible. `tag` is that of the END, if there was one; it began to be taken in at
    /// `begun_at`.
    pub(super) fn merged(&mut self, peer: Peer, tag: Option<Tag>, begun_at: Timestamp, now: Timestamp) {
        self.early.rouse(None);
        self.apply_early(&mut self.slice(), now);
        let (digest, contents) = (self.digest(), self.contents());
        let knows_forks = self.store.forks_count() > 0;
        if self
            .staged
            .as_ref()
            .is_some_and(|(staged, _)| staged.is_covered_by(self.store.vector()))
        {
            self.staged = None;
        }
        for (other, link) in &mut self.links {
            if *other == peer {
                link.compared = link.digest.map(|(theirs, _)| (digest, theirs));
                link.comparing = None;
            }
            // While the merge was under way, nobody could be heard. Only that long: else a peer that says nothing would never count as
            // silent beside others that bring something now and then.
            let deaf = Duration::from_millis(now.0.saturating_sub(begun_at.0));
            link.heard_at = now.min(link.heard_at + deaf);
        }
        self.report_sync(now);
        self.outputs.push_back(Output::Emit(Event::Received { peer }));
        if let Some(link) = self.links.get_mut(&peer)
            && let Some(tag) = tag
            && link.in_sync == Some(true)
            && link.contents == Some(contents)
            && !knows_forks
        {
            // What END said is what is held here: that takes fewer bytes to say than the digest.
            link.told = Some((digest, contents));
            let frame = Frame::Ack(tag).encode();
            self.outputs.push_back(Output::Send { peer, frame });
        }
        self.tell(peer);
        self.open_sessions(now);
    }
}

impl Merge {
    fn put(
        &mut self,
        edit: &mut Edit<'_>,
        from: (usize, usize),
        left: &mut usize,
        lost: &mut BTreeSet<Dot>,
        mut observe: impl FnMut(Hlc),
    ) {
        let (mut frame, mut at) = from;
        let resumed = self.delta.resumed.len();
        while *left > 0 {
            *left -= 1;
            let event = loop {
                let events = match self.delta.resumed.get(frame) {
                    Some(events) => &**events,
                    None => match self.delta.events.get(frame - resumed) {
                        Some(events) => events,
                        None => {
                            self.phase = Phase::Remove;
                            return;
                        }
                    },
                };
                match events.get(at) {
                    Some(event) => break event,
                    None => (frame, at) = (frame + 1, 0),
                }
            };
            at += 1;
            let Described::Live {
                dot,
                key,
                body,
                kind,
                hlc,
                removes,
            } = event
            else {
                continue;
            };
            // A session that was cut may not have brought all of its large values.
            if frame < resumed && (!self.delta.vector.covers(dot) || body.here().is_none()) {
                continue;
            }
            if edit.store().vector().covers(dot) {
                self.known.insert(*dot);
                if let Some(value) = body.here().filter(|_| lost.contains(dot))
                    && edit.heal(dot, Value::clone(value))
                {
                    lost.remove(dot);
                    self.healed += 1;
                }
                continue;
            }
            if body.here().is_none() {
                self.lost.push(*dot);
            }
            observe(*hlc);
            let (key, body, removes) = (key.clone(), body.clone(), removes.clone());
            edit.put(StoredEntry {
                dot: *dot,
                key,
                body,
                kind: *kind,
                hlc: *hlc,
                removes,
            });
        }
        self.phase = Phase::Put(frame, at);
    }

    /// After all entries were added: what one event adds, another may supersede.
    fn remove(&mut self, edit: &mut Edit<'_>, left: &mut usize) -> bool {
        while *left > 0 {
            *left -= 1;
            let event = loop {
                match self.delta.events.last_mut().map(Vec::pop) {
                    Some(Some(event)) => break event,
                    Some(None) => drop(self.delta.events.pop()),
                    None => match self.delta.resumed.pop() {
                        // Only what it tells of live events holds with another sender, too.
                        Some(frame) => {
                            let live = frame.iter().filter(|event| matches!(event, Described::Live { .. }));
                            self.delta.events.push(live.cloned().collect());
                        }
                        None => return true,
                    },
                }
            };
            let dot = event.dot();
            // Of what was resumed, the sender may not have seen all.
            if !self.delta.vector.covers(&dot) {
                continue;
            }
            if !matches!(event, Described::Live { .. }) {
                // A session that was cut may have brought it as live.
                self.known.remove(&dot);
            }
            if edit.store().vector().covers(&dot) {
                // Seen meanwhile, when it took out what it supersedes: without a new event nothing changes, whatever is said of an
                // old one.
                continue;
            }
            match event {
                Described::Live { removes, .. } => remove_all(edit, &removes, left),
                Described::Dead { dot, removes } => {
                    edit.remove(&dot);
                    remove_all(edit, &removes, left);
                    edit.record(dot, removes);
                }
                Described::Forgotten { dot } => edit.remove(&dot),
            }
        }
        false
    }

    /// Takes out what is dead at the sender, behind the block `done`. What is live there and dead here stays dead. Returns the last
    /// block done, if there may be more.
    fn judge(
        &self,
        judged: &Judged,
        edit: &mut Edit<'_>,
        done: Option<(AuthorId, u64)>,
        left: &mut usize,
    ) -> Option<(AuthorId, u64)> {
        // At least one block is taken.
        let dots = edit.store().block_dots();
        let count = left.div_ceil(dots as usize).max(1);
        *left = left.saturating_sub(count * dots as usize);
        let blocks: Vec<_> = edit.store().blocks(done).take(count).collect();
        for (author, block, live) in &blocks {
            let (asked, limit, leaves, all) = match judged {
                Judged::Named(leaves) => (u64::MAX, u64::MAX, leaves, true),
                Judged::Announced {
                    asked,
                    limits,
                    leaves,
                    all,
                } => {
                    let asked = asked.get(author);
                    (asked, limits.get(author).copied().unwrap_or(asked), leaves, *all)
                }
            };
            let named = match leaves.get(author, *block) {
                Some(named) => named,
                None if all => Default::default(),
                None => *live,
            };
            let announced = masked(live, *block, dots, asked);
            for (word, first) in (0..live.len()).zip((1..).step_by(64)) {
                let mut suspects = live[word] & !(named[word] & announced[word]);
                while suspects != 0 {
                    let n = block * dots + first + u64::from(suspects.trailing_zeros());
                    suspects &= suspects - 1;
                    let dot = Dot::new(*author, n);
                    let known = self.known.contains(&dot) || !edit.store().vector().covers(&dot);
                    // What was announced is judged by what was named; beyond, what was not described as live is dead.
                    let dead = n <= limit || n > asked && !known;
                    if dead && self.delta.vector.covers(&dot) {
                        edit.remove(&dot);
                    }
                }
            }
        }
        let last = blocks.last().filter(|_| blocks.len() == count);
        last.map(|(author, block, _)| (*author, *block))
    }
}

fn remove_all(edit: &mut Edit<'_>, dots: &Dots, left: &mut usize) {
    *left = left.saturating_sub(dots.len());
    for dot in dots {
        edit.remove(dot);
    }
}
