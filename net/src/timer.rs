//! Waiting for a moment of the node's clock, the same way in a tab and a native process.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt as _;
use futures_timer::Delay;
use gossipstore_core::time::Timestamp;

/// The one timer of the loop. It may fire before its time: the loop looks what is due, and sets it anew.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// A timer that has fired must not be polled again before it is set: on wasm that panics.
    armed: Option<(Timestamp, Delay)>,
}

impl Timer {
    pub(crate) fn set(&mut self, at: Option<Timestamp>, now: Timestamp) {
        let Some(at) = at else { return };
        // What is put off with each write is not worth a new timer each time.
        if self.armed.as_ref().is_none_or(|(armed, _)| *armed > at) {
            // A moment that has passed is waited for a moment longer, so that the network gets its turn.
            let delay = Duration::from_millis(at.0.saturating_sub(now.0).clamp(1, DELAY_MS_MAX));
            self.armed = Some((at, Delay::new(delay)));
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.armed {
            Some((_, delay)) => delay.poll_unpin(cx).map(|()| self.armed = None),
            None => Poll::Pending,
        }
    }
}

/// Browsers count the milliseconds of a timer in 31 bits. An hour is soon enough to look again.
const DELAY_MS_MAX: u64 = 60 * 60 * 1_000;
