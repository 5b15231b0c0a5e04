//! A breath between two turns of long work: everything else that waits in the same thread gets its turn.
//!
//! A timer would do, but the shortest one that a browser has takes four milliseconds, and a whole second in a tab that
//! is not looked at. A message that a page sends itself comes back as soon as what was waiting before it is done:
//! messages of sockets, clicks, drawing. A promise would come back before all of these.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

/// Draws one breath at a time.
#[derive(Debug, Default)]
pub(crate) struct Breath {
    source: platform::Source,
    drawing: bool,
}

impl Breath {
    /// Begins one, unless one is under way.
    pub(crate) fn draw(&mut self) {
        if !self.drawing {
            self.drawing = true;
            self.source.begin();
        }
    }

    /// Draws one, and waits for it.
    pub(crate) async fn take(&mut self) {
        self.draw();
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Whether one is under way.
    pub(crate) fn is_drawing(&self) -> bool {
        self.drawing
    }

    /// Ready when none is under way (any more).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.drawing && self.source.poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.drawing = false;
        Poll::Ready(())
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod platform {
    use std::{
        fmt,
        task::{Context, Poll},
    };

    use futures::{FutureExt as _, future::BoxFuture};

    /// tokio's own way: unlike a task that just wakes itself, it lets the sockets have their turn as well.
    #[derive(Default)]
    pub(super) struct Source {
        turn: Option<BoxFuture<'static, ()>>,
    }

    impl fmt::Debug for Source {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Source").finish_non_exhaustive()
        }
    }

    impl Source {
        pub(super) fn begin(&mut self) {
            self.turn = Some(tokio::task::yield_now().boxed());
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            match &mut self.turn {
                Some(turn) => turn.poll_unpin(cx).map(|()| self.turn = None),
                None => Poll::Ready(()),
            }
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod platform {
    use std::{
        cell::RefCell,
        rc::Rc,
        task::{Context, Poll, Waker},
    };

    use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
    use web_sys::{MessageChannel, MessagePort};

    /// Made when it is first needed: an open port keeps some environments from ending.
    #[derive(Debug, Default)]
    pub(super) struct Source {
        channel: Option<Channel>,
    }

    #[derive(Debug)]
    struct Channel {
        near: MessagePort,
        far: MessagePort,
        state: Rc<RefCell<State>>,
        _on_message: Closure<dyn FnMut()>,
    }

    #[derive(Debug, Default)]
    struct State {
        /// The message is on its way.
        sent: bool,
        waker: Option<Waker>,
    }

    impl Source {
        pub(super) fn begin(&mut self) {
            if self.channel.is_none() {
                self.channel = Channel::open();
            }
            if let Some(channel) = &self.channel {
                channel.send();
            }
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            match &self.channel {
                Some(channel) => channel.poll(cx),
                None => Poll::Ready(()),
            }
        }
    }

    impl Channel {
        /// Every browser has channels; where there is none, work goes on without a breath.
        fn open() -> Option<Self> {
            let channel = MessageChannel::new().ok()?;
            let state = Rc::<RefCell<State>>::default();
            let on_message = Closure::<dyn FnMut()>::new({
                let state = state.clone();
                move || {
                    let waker = {
                        let mut state = state.borrow_mut();
                        state.sent = false;
                        state.waker.take()
                    };
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            });
            let near = channel.port1();
            near.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
            Some(Self {
                near,
                far: channel.port2(),
                state,
                _on_message: on_message,
            })
        }

        fn send(&self) {
            // What cannot be sent is not waited for.
            self.state.borrow_mut().sent = self.far.post_message(&JsValue::UNDEFINED).is_ok();
        }

        fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
            let mut state = self.state.borrow_mut();
            if state.sent {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        }
    }

    impl Drop for Channel {
        fn drop(&mut self) {
            self.near.set_onmessage(None);
            self.near.close();
            self.far.close();
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use super::*;

    #[tokio::test]
    async fn others_have_their_turn_before_it_is_over() {
        let mut breath = Breath::default();
        poll_fn(|cx| breath.poll(cx)).await;
        for _ in 0..3 {
            let other = Arc::new(AtomicBool::new(false));
            tokio::spawn({
                let other = other.clone();
                async move { other.store(true, Ordering::Relaxed) }
            });
            poll_fn(|cx| breath.poll(cx)).await;
            assert!(!other.load(Ordering::Relaxed), "none was drawn");
            breath.draw();
            assert!(breath.is_drawing());
            poll_fn(|cx| breath.poll(cx)).await;
            assert!(other.load(Ordering::Relaxed) && !breath.is_drawing());
        }
    }
}
