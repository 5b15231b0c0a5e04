//! A stream of a direct connection.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite, FutureExt as _};
use futures_timer::Delay;
use send_wrapper::SendWrapper;

use crate::channel::Channel;

/// How long the other side has to acknowledge the end of a stream; js-libp2p waits as long.
const FIN_ACK_PATIENCE: Duration = Duration::from_secs(10);

/// A stream, carried by a data channel.
///
/// What is written leaves at once, in messages of 16 KiB at most; flushing has nothing to do. Closing waits until the
/// other side has everything. Dropping a stream that was not closed for writing resets it.
pub struct Stream {
    channel: SendWrapper<Rc<Channel>>,
    patience: Option<Delay>,
}

impl Stream {
    pub(crate) fn new(channel: Rc<Channel>) -> Self {
        Self {
            channel: SendWrapper::new(channel),
            patience: None,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.channel.abandon();
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.channel.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.channel.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(finished) = self.channel.poll_finish(cx) {
            self.patience = None;
            return Poll::Ready(finished);
        }
        let patience = self.patience.get_or_insert_with(|| Delay::new(FIN_ACK_PATIENCE));
        ready!(patience.poll_unpin(cx));
        self.patience = None;
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the other side did not acknowledge the end of the stream",
        )))
    }
}
