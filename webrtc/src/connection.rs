//! A direct connection as a multiplexer of streams.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures::FutureExt as _;
use futures_timer::Delay;
use libp2p_core::muxing::{StreamMuxer, StreamMuxerEvent};
use send_wrapper::SendWrapper;
use web_time::Instant;

use crate::{error::ConnectionError, peer::Peer, stream::Stream};

/// A connection between two browsers. Its streams end with it; the browser's objects are released when it is dropped.
pub struct Connection {
    peer: SendWrapper<Peer>,
    /// Until the next channel that has lost its stream may be let go of.
    linger: Option<Delay>,
}

impl Connection {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer: SendWrapper::new(peer),
            linger: None,
        }
    }
}

impl StreamMuxer for Connection {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.peer.poll_accept(cx).map_ok(Stream::new)
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.peer.poll_open(cx).map_ok(Stream::new)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.peer.close();
        Poll::Ready(Ok(()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        loop {
            let elapsed = self
                .linger
                .as_mut()
                .is_some_and(|delay| delay.poll_unpin(cx).is_ready());
            if !self.peer.poll_ended(cx)? && !elapsed {
                return Poll::Pending;
            }
            let now = Instant::now();
            self.linger = self.peer.sweep(now).map(|next| Delay::new(next - now));
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
