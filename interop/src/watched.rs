//! A value that can be waited for.

use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Poll, Waker},
};

/// A value, and who waits for it to change.
#[derive(Default)]
pub(crate) struct Watched<T> {
    value: RefCell<T>,
    waiting: RefCell<Vec<Waker>>,
}

impl<T> Watched<T> {
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.value.borrow_mut());
        self.waiting.take().into_iter().for_each(Waker::wake);
        result
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.borrow())
    }

    /// What `wanted` makes of the value, as soon as it makes something of it.
    pub(crate) async fn until<R>(&self, wanted: impl Fn(&mut T) -> Option<R>) -> R {
        poll_fn(|cx| match wanted(&mut self.value.borrow_mut()) {
            Some(found) => Poll::Ready(found),
            None => {
                self.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}
