//! A stream that is polled only when it has asked for it, or when somebody has touched it.
//!
//! The loop of a node is woken for many reasons, twice for each write that is stored; a swarm polls all its protocols each time.

use std::{
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::{Stream, StreamExt as _, task::AtomicWaker};

#[derive(Debug)]
pub(crate) struct Drowsy<S> {
    inner: S,
    asked: Arc<Asked>,
    waker: Waker,
}

/// Whether the stream wants to be polled, and who is to know.
#[derive(Debug)]
struct Asked {
    is_set: AtomicBool,
    owner: AtomicWaker,
}

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        self.owner.wake();
    }
}

impl<S> Drowsy<S> {
    pub(crate) fn new(inner: S) -> Self {
        let asked = Arc::new(Asked {
            is_set: AtomicBool::new(true),
            owner: AtomicWaker::new(),
        });
        Self {
            inner,
            waker: Waker::from(Arc::clone(&asked)),
            asked,
        }
    }
}

impl<S> Deref for Drowsy<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inner
    }
}

impl<S> DerefMut for Drowsy<S> {
    /// Whatever is done to it now, it is polled afterwards.
    fn deref_mut(&mut self) -> &mut S {
        self.asked.is_set.store(true, Ordering::Release);
        &mut self.inner
    }
}

impl<S: Stream + Unpin> Stream for Drowsy<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = &mut *self;
        this.asked.owner.register(cx.waker());
        if !this.asked.is_set.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = this.inner.poll_next_unpin(&mut Context::from_waker(&this.waker));
        if polled.is_ready() {
            // There may be more.
            this.asked.is_set.store(true, Ordering::Release);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::{channel::mpsc, stream, task::noop_waker};

    use super::*;

    fn drain<S: Stream<Item = u8> + Unpin>(drowsy: &mut Drowsy<S>, told: &mut Vec<u8>) {
        let waker = noop_waker();
        while let Poll::Ready(Some(item)) = drowsy.poll_next_unpin(&mut Context::from_waker(&waker)) {
            told.push(item);
        }
    }

    #[test]
    fn it_is_polled_when_it_has_asked_or_was_touched() {
        let polls = Cell::new(0);
        let (mut sender, mut receiver) = mpsc::channel::<u8>(4);
        let counted = stream::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            receiver.poll_next_unpin(cx)
        });
        let mut drowsy = Drowsy::new(counted);
        let mut told = Vec::new();
        let mut poll = |drowsy: &mut _| {
            drain(drowsy, &mut told);
            polls.get()
        };
        assert_eq!(poll(&mut drowsy), 1, "at first, so that it can ask");
        assert_eq!(poll(&mut drowsy), 1);
        sender.try_send(1).expect("there is room");
        sender.try_send(2).expect("there is room");
        assert_eq!(poll(&mut drowsy), 4, "until it has no more");
        assert_eq!(poll(&mut drowsy), 4);
        let _ = &mut *drowsy;
        assert_eq!(poll(&mut drowsy), 5);
        assert_eq!(told, [1, 2]);
    }
}
