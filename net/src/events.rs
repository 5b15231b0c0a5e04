//! What listeners are told, and the queue each of them has.
//!
//! A listener that is slow must not make the node keep ever more for it, and must not miss a change either: a view that
//! missed one would be wrong for ever. So what it has not taken is merged instead of dropped; see [`Queue`].

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use futures::Stream;
use gossipstore_core::{
    replica::{Change, Fork, Key, StorageFailure},
    sync::SessionError,
};

/// Something that happened to the store or its network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NodeEvent {
    /// These keys read differently than before. What belongs to one transaction or session comes in one event; a
    /// listener that has fallen far behind gets several of them merged into one.
    Changed(Vec<Change>),
    /// [`crate::Handle::status`] may read differently than before.
    StatusChanged,
    /// Somebody is present that was not, is not any more, or says something else: [`crate::Handle::presences`].
    PresenceChanged,
    /// A session moved on.
    Progress {
        /// The peer id of the member that it is with.
        peer: String,
        /// Events received so far.
        done: u64,
        /// Events that the session will bring, as far as known.
        expected: u64,
    },
    /// Two different writes were found under one number of one author: the first that were of that author.
    Forked(Fork),
    /// A session was given up. Nothing visible changed; another one follows by itself.
    SessionFailed {
        /// The peer id of the member that it was with.
        peer: String,
        /// What was wrong.
        error: SessionError,
    },
    /// Storage takes nothing at present, or has lost what it had; see [`crate::StorageStatus::problem`].
    StorageFailed(StorageFailure),
}

/// How many batches of changes wait for a listener one by one; further ones are merged into the last. Enough for any
/// burst that a running listener meets, and few enough to hold for one that does not run.
const BATCHES_WAITING_MAX: usize = 1_024;

/// How many failures wait for a listener; older ones give way. They are for a log, and the newest tells most.
const FAILURES_WAITING_MAX: usize = 16;

/// All who listen.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    listeners: Vec<Weak<Mutex<Queue>>>,
}

impl Audience {
    pub(crate) fn join(&mut self) -> Events {
        let queue = Arc::new(Mutex::new(Queue::default()));
        self.listeners.push(Arc::downgrade(&queue));
        Events { queue }
    }

    pub(crate) fn tell(&mut self, event: &NodeEvent) {
        self.listeners.retain(|listener| match listener.upgrade() {
            Some(queue) => {
                lock(&queue).push(event);
                true
            }
            None => false,
        });
    }

    /// Ends every listener's stream, once it has taken what waits.
    pub(crate) fn end(&mut self) {
        for queue in self.listeners.drain(..).filter_map(|listener| listener.upgrade()) {
            let mut queue = lock(&queue);
            queue.ended = true;
            queue.wake();
        }
    }
}

/// One listener's stream of events. Ends when the store is closed.
#[derive(Debug)]
pub(crate) struct Events {
    queue: Arc<Mutex<Queue>>,
}

impl Stream for Events {
    type Item = NodeEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NodeEvent>> {
        let mut queue = lock(&self.queue);
        match queue.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // Every operation on the queue leaves it whole, so a listener that panicked elsewhere does no harm.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one listener has not taken yet.
#[derive(Debug, Default)]
struct Queue {
    changes: VecDeque<Vec<Change>>,
    /// Where in the last batch each key is, from the moment batches are merged into it.
    merged: HashMap<Key, usize>,
    failures: VecDeque<NodeEvent>,
    progress: BTreeMap<String, (u64, u64)>,
    status_changed: bool,
    presence_changed: bool,
    ended: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn push(&mut self, event: &NodeEvent) {
        match event {
            NodeEvent::Changed(changes) if self.changes.len() < BATCHES_WAITING_MAX => {
                self.changes.push_back(changes.clone());
            }
            NodeEvent::Changed(changes) => self.merge(changes),
            NodeEvent::StatusChanged => self.status_changed = true,
            NodeEvent::PresenceChanged => self.presence_changed = true,
            NodeEvent::Progress { peer, done, expected } => {
                self.progress.insert(peer.clone(), (*done, *expected));
            }
            NodeEvent::Forked(_) | NodeEvent::SessionFailed { .. } | NodeEvent::StorageFailed(_) => {
                if self.failures.len() == FAILURES_WAITING_MAX {
                    self.failures.pop_front();
                }
                self.failures.push_back(event.clone());
            }
        }
        self.wake();
    }

    /// Joins changes with those of the last batch: per key the first `previous` and the last of everything else.
    fn merge(&mut self, changes: &[Change]) {
        let Some(last) = self.changes.back_mut() else { return };
        if self.merged.is_empty() {
            self.merged
                .extend(last.iter().enumerate().map(|(at, change)| (change.key.clone(), at)));
        }
        for change in changes {
            match self.merged.get(&change.key) {
                Some(&at) => {
                    let previous = last[at].previous.take();
                    last[at] = Change {
                        previous,
                        ..change.clone()
                    };
                }
                None => {
                    self.merged.insert(change.key.clone(), last.len());
                    last.push(change.clone());
                }
            }
        }
    }

    fn pop(&mut self) -> Option<NodeEvent> {
        if let Some(changes) = self.changes.pop_front() {
            // There is room again, so what comes next makes a batch of its own.
            self.merged.clear();
            return Some(NodeEvent::Changed(changes));
        }
        if let Some(failure) = self.failures.pop_front() {
            return Some(failure);
        }
        if let Some((peer, (done, expected))) = self.progress.pop_first() {
            return Some(NodeEvent::Progress { peer, done, expected });
        }
        if std::mem::take(&mut self.presence_changed) {
            return Some(NodeEvent::PresenceChanged);
        }
        std::mem::take(&mut self.status_changed).then_some(NodeEvent::StatusChanged)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};
    use gossipstore_core::{
        id::{AuthorId, Dot},
        replica::{Origin, Shown, Value},
    };

    use super::*;

    fn change(key: &str, previous: Option<u8>, value: Option<u8>) -> Change {
        let bytes = |byte: u8| Shown {
            dot: Dot::new(AuthorId([1; 16]), 1),
            body: Value::from([byte].as_slice()).into(),
        };
        Change {
            key: key.into(),
            value: value.map(bytes),
            previous: previous.map(bytes),
            siblings: usize::from(value.is_some()),
            origin: Origin::Local,
        }
    }

    fn take(events: &mut Events) -> Option<NodeEvent> {
        events.next().now_or_never().flatten()
    }

    #[test]
    fn a_listener_that_keeps_up_gets_each_batch_by_itself() {
        let mut audience = Audience::default();
        let mut events = audience.join();
        for byte in 0..3 {
            audience.tell(&NodeEvent::Changed(vec![change("k", None, Some(byte))]));
        }
        for byte in 0..3 {
            assert_eq!(
                take(&mut events),
                Some(NodeEvent::Changed(vec![change("k", None, Some(byte))]))
            );
        }
        assert_eq!(take(&mut events), None);
    }

    #[test]
    fn a_listener_that_sleeps_misses_nothing_and_keeps_a_bounded_queue() {
        let mut audience = Audience::default();
        let mut events = audience.join();
        for _ in 0..BATCHES_WAITING_MAX - 1 {
            audience.tell(&NodeEvent::Changed(vec![change("filler", None, None)]));
        }
        audience.tell(&NodeEvent::Changed(vec![
            change("a", Some(0), Some(1)),
            change("b", None, Some(7)),
        ]));
        audience.tell(&NodeEvent::Changed(vec![change("a", Some(1), Some(2))]));
        audience.tell(&NodeEvent::Changed(vec![
            change("c", Some(3), None),
            change("a", Some(2), None),
        ]));
        assert_eq!(lock(&events.queue).changes.len(), BATCHES_WAITING_MAX);

        for _ in 0..BATCHES_WAITING_MAX - 1 {
            assert_eq!(
                take(&mut events),
                Some(NodeEvent::Changed(vec![change("filler", None, None)]))
            );
        }
        audience.tell(&NodeEvent::Changed(vec![change("a", None, Some(9))]));
        let merged = vec![
            change("a", Some(0), None),
            change("b", None, Some(7)),
            change("c", Some(3), None),
        ];
        assert_eq!(take(&mut events), Some(NodeEvent::Changed(merged)));
        assert_eq!(
            take(&mut events),
            Some(NodeEvent::Changed(vec![change("a", None, Some(9))]))
        );
    }

    #[test]
    fn status_and_progress_are_told_once_and_the_newest_failures_are_kept() {
        let mut audience = Audience::default();
        let mut events = audience.join();
        let failure = |n: usize| NodeEvent::SessionFailed {
            peer: n.to_string(),
            error: SessionError::WrongStore,
        };
        for n in 0..FAILURES_WAITING_MAX + 3 {
            audience.tell(&NodeEvent::StatusChanged);
            audience.tell(&NodeEvent::PresenceChanged);
            audience.tell(&NodeEvent::Progress {
                peer: "p".into(),
                done: n as u64,
                expected: 100,
            });
            audience.tell(&failure(n));
        }
        for n in 3..FAILURES_WAITING_MAX + 3 {
            assert_eq!(take(&mut events), Some(failure(n)));
        }
        let done = (FAILURES_WAITING_MAX + 2) as u64;
        assert_eq!(
            take(&mut events),
            Some(NodeEvent::Progress {
                peer: "p".into(),
                done,
                expected: 100
            })
        );
        assert_eq!(take(&mut events), Some(NodeEvent::PresenceChanged));
        assert_eq!(take(&mut events), Some(NodeEvent::StatusChanged));
        assert_eq!(take(&mut events), None);
    }

    #[test]
    fn a_stream_ends_after_what_waits_and_a_dropped_one_is_forgotten() {
        let mut audience = Audience::default();
        let mut events = audience.join();
        drop(audience.join());
        audience.tell(&NodeEvent::StatusChanged);
        assert_eq!(audience.listeners.len(), 1);
        audience.end();
        assert_eq!(events.next().now_or_never(), Some(Some(NodeEvent::StatusChanged)));
        assert_eq!(events.next().now_or_never(), Some(None));
    }
}
