//! A session's events on their way into the store, in slices.
//!
//! A session may bring a million events. Taken in at once they would hold a tab's only thread for seconds; so each turn takes a
//! slice. Readers see the state before until the last slice, and then all of it.

use alloc::vec::Vec;

use super::{Event, Origin, Replica};
use crate::{
    causality::Dots,
    id::{Dot, Peer},
    store::{BLOCK_DOTS, Bitmap, Edit, StoredEntry},
    sync::{Delta, Leaves},
    time::{Hlc, Timestamp},
    wire::{Body, Described},
};

/// What is left to do of a session that has ended.
#[derive(Debug)]
pub(super) struct Merge {
    peer: Peer,
    delta: Delta,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Adds live entries: frame and event to go on with.
    Put(usize, usize),
    /// Takes out what the events supersede, and forgets the events, from the last to the first.
    Remove,
    /// Takes out what the sender has seen and does not name as live: how many blocks are done.
    Unnamed(usize),
    /// Finds out which keys read differently.
    Compare,
    /// The step is visible; clears up behind it.
    Clean,
}

impl Merge {
    pub(super) fn new(peer: Peer, delta: Delta) -> Self {
        Self {
            peer,
            delta,
            phase: Phase::Put(0, 0),
        }
    }
}

impl Replica {
    /// Works on the merge under way, up to about `left` events. Returns whether there is none any more.
    pub(super) fn merge_some(&mut self, mut left: usize, now: Timestamp) -> bool {
        while left > 0 {
            let Some(merge) = &mut self.merge else { return true };
            let mut edit = self.store.edit();
            match merge.phase {
                Phase::Put(frame, event) => {
                    if frame == 0 && event == 0 {
                        edit.reserve(merge.delta.events.iter().map(Vec::len).sum());
                    }
                    let clock = &mut self.clock;
                    let observe = |hlc| clock.observe(hlc, now);
                    merge.phase = put(&mut edit, &merge.delta.events, (frame, event), &mut left, observe);
                }
                Phase::Remove => {
                    if remove(&mut edit, &mut merge.delta.events, &mut left) {
                        merge.phase = Phase::Unnamed(0);
                    }
                }
                Phase::Unnamed(done) => {
                    let leaves = merge.delta.leaves.as_ref();
                    let undone =
                        leaves.and_then(|leaves| remove_unnamed(&mut edit, leaves, &merge.delta, done, &mut left));
                    merge.phase = undone.map_or(Phase::Compare, Phase::Unnamed);
                }
                Phase::Compare => {
                    if edit.compare(&mut left) {
                        // With what was seen already, what is maximal stays so, whatever the peer says of it.
                        if !edit.store().vector().dominates(&merge.delta.vector) {
                            edit.merge_frontier(&merge.delta.frontier, &merge.delta.vector);
                        }
                        for (author, n) in merge.delta.vector.iter() {
                            edit.advance(author, n);
                        }
                        let (batch, touched) = edit.publish();
                        merge.phase = Phase::Clean;
                        // A peer may have had nothing that was not seen.
                        if !batch.is_empty() {
                            self.settle(batch, touched, Origin::Remote, now);
                        }
                    }
                }
                Phase::Clean => {
                    if edit.clean(&mut left) {
                        let peer = merge.peer;
                        self.merge = None;
                        self.merged(peer, now);
                    }
                }
            }
        }
        self.merge.is_none()
    }

    /// A session's events are visible.
    fn merged(&mut self, peer: Peer, now: Timestamp) {
        self.apply_early(None, now);
        let digest = self.digest();
        for (other, link) in &mut self.links {
            if *other == peer {
                link.compared = link.digest.map(|(theirs, _)| (digest, theirs));
            }
            // While the merge was under way, nobody could be heard.
            link.heard_at = now;
        }
        self.report_sync(now);
        self.outputs.push_back(super::Output::Emit(Event::Received { peer }));
        self.tell(peer);
        self.open_sessions(now);
    }
}

fn put(
    edit: &mut Edit<'_>,
    events: &[Vec<Described>],
    (mut frame, mut at): (usize, usize),
    left: &mut usize,
    mut observe: impl FnMut(Hlc),
) -> Phase {
    while *left > 0 {
        *left -= 1;
        while events.get(frame).is_some_and(|events| at >= events.len()) {
            (frame, at) = (frame + 1, 0);
        }
        let Some(event) = events.get(frame).and_then(|events| events.get(at)) else {
            return Phase::Remove;
        };
        // The session has put large values in place.
        if let Described::Live {
            dot,
            key,
            body: Body::Inline(value),
            hlc,
            removes,
        } = event
        {
            observe(*hlc);
            let (key, value, removes) = (key.clone(), value.clone(), removes.clone());
            edit.put(StoredEntry {
                dot: *dot,
                key,
                value,
                hlc: *hlc,
                removes,
            });
        }
        at += 1;
    }
    Phase::Put(frame, at)
}

/// After all entries were added: what one event adds, another may supersede.
fn remove(edit: &mut Edit<'_>, events: &mut Vec<Vec<Described>>, left: &mut usize) -> bool {
    while *left > 0 {
        *left -= 1;
        let event = loop {
            let Some(frame) = events.last_mut() else { return true };
            match frame.pop() {
                Some(event) => break event,
                None => events.pop(),
            };
        };
        match event {
            Described::Live { removes, .. } => remove_all(edit, &removes, left),
            Described::Dead { dot, removes } => {
                remove_all(edit, &removes, left);
                if !edit.store().vector().covers(&dot) {
                    edit.record(dot, removes);
                }
            }
        }
    }
    false
}

fn remove_all(edit: &mut Edit<'_>, dots: &Dots, left: &mut usize) {
    *left = left.saturating_sub(dots.len());
    for dot in dots {
        edit.remove(dot);
    }
}

/// Takes out what the sender has seen and does not name. What is live there and dead here stays dead. Returns how many blocks
/// are done, if there are more.
fn remove_unnamed(edit: &mut Edit<'_>, leaves: &Leaves, delta: &Delta, done: usize, left: &mut usize) -> Option<usize> {
    // A block holds 256 dots; at least one block is taken.
    let count = left.div_ceil(BLOCK_DOTS as usize).max(1);
    *left = left.saturating_sub(count * BLOCK_DOTS as usize);
    let blocks: Vec<_> = edit.store().blocks().skip(done).take(count).collect();
    for (author, block, live) in &blocks {
        let named = leaves.get(&(*author, *block)).copied().unwrap_or_default();
        for n in numbers(*block, live, &named) {
            let dot = Dot::new(*author, n);
            if delta.vector.covers(&dot) {
                edit.remove(&dot);
            }
        }
    }
    (blocks.len() == count).then_some(done + count)
}

/// The numbers of the dots that are in the one bitmap of a block and not in the other.
fn numbers(block: u64, live: &Bitmap, named: &Bitmap) -> impl Iterator<Item = u64> {
    let unnamed = live
        .iter()
        .zip(named)
        .map(|(live, named)| live & !named)
        .collect::<Vec<_>>();
    (0..BLOCK_DOTS)
        .filter(move |bit| unnamed[(bit / 64) as usize] & (1 << (bit % 64)) != 0)
        .map(move |bit| block * BLOCK_DOTS + bit + 1)
}
