//! How much may be on its way: who reads a stream acknowledges what it has read, and who writes it waits when too much is not
//! acknowledged.
//!
//! Browsers have no such bound of their own. Over a data channel that has just opened they send ever more at once, until the
//! sender's own sockets are full and hundreds of packets are thrown away; what follows then comes at the pace of timers, for
//! seconds. And what the other side does not read yet would pile up in its memory.
//!
//! ```text
//! the other direction of the stream: bytes, each of them how many times 32 KiB more have been read (1 to 255)
//! ```

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};

/// How many bytes may be on their way. A channel of two Chromiums that has just opened took 512 KiB without losing a
/// packet, and lost hundreds at 1 MiB; at a round trip of 50 ms these are 5 MB a second.
const WINDOW_BYTES: usize = 256 * 1024;

/// How many bytes an acknowledgement is about: few enough that the writer hears of room long before it has none.
const ACKNOWLEDGED_BYTES: usize = 32 * 1024;

/// An acknowledgement is about more than was sent, or about nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overdrawn;

impl fmt::Display for Overdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it acknowledged what was never sent")
    }
}

impl std::error::Error for Overdrawn {}

/// A stream that is written to, as far as what is on its way stays within the window.
#[derive(Debug)]
pub(crate) struct Sending<S> {
    stream: S,
    /// Not acknowledged.
    underway: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sending<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, underway: 0 }
    }

    /// Takes the acknowledgements that have come. Pending, with the task to be woken at the next one.
    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut acknowledgements = [0; WINDOW_BYTES / ACKNOWLEDGED_BYTES];
        loop {
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut acknowledgements)) {
                Ok(0) => return Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    for &times in &acknowledgements[..count] {
                        let bytes = usize::from(times) * ACKNOWLEDGED_BYTES;
                        if bytes == 0 || bytes > self.underway {
                            return Poll::Ready(io::Error::new(io::ErrorKind::InvalidData, Overdrawn));
                        }
                        self.underway -= bytes;
                    }
                }
                Err(error) => return Poll::Ready(error),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Sending<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(error) = self.poll_acknowledged(cx) {
            return Poll::Ready(Err(error));
        }
        let room = WINDOW_BYTES - self.underway;
        if room == 0 {
            // What the other side is to acknowledge must reach it.
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            return Poll::Pending;
        }
        let some = &bytes[..bytes.len().min(room)];
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, some))?;
        self.underway += count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// A stream that is read, and what is read is acknowledged.
#[derive(Debug)]
pub(crate) struct Receiving<S> {
    stream: S,
    /// Read and not acknowledged.
    unacknowledged: usize,
    is_flushed: bool,
    /// The other side hears no acknowledgements any more. What it has sent can be read nevertheless.
    is_deaf: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiving<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            unacknowledged: 0,
            is_flushed: true,
            is_deaf: false,
        }
    }

    /// Acknowledges what can be. What cannot yet is at the next call, for which the task is woken.
    fn acknowledge(&mut self, cx: &mut Context<'_>) {
        if !self.is_deaf {
            self.is_deaf = matches!(self.poll_acknowledge(cx), Poll::Ready(Err(_)));
        }
    }

    fn poll_acknowledge(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(times) = self.due() {
            if ready!(Pin::new(&mut self.stream).poll_write(cx, &[times]))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unacknowledged -= usize::from(times) * ACKNOWLEDGED_BYTES;
            self.is_flushed = false;
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// The acknowledgement that is to be sent.
    fn due(&self) -> Option<u8> {
        let times = self.unacknowledged / ACKNOWLEDGED_BYTES;
        (times > 0).then(|| u8::try_from(times).unwrap_or(u8::MAX))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Receiving<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(count)) = read {
            self.unacknowledged += count;
        }
        self.acknowledge(cx);
        read
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc, task::Waker};

    use super::*;

    /// One end of two pipes. One that is stuck takes nothing that is written.
    #[derive(Clone, Default)]
    struct End {
        incoming: Rc<RefCell<Vec<u8>>>,
        outgoing: Rc<RefCell<Vec<u8>>>,
        is_stuck: bool,
        is_ended: bool,
    }

    impl End {
        fn pair() -> (Self, Self) {
            let one = Self::default();
            let other = Self {
                incoming: Rc::clone(&one.outgoing),
                outgoing: Rc::clone(&one.incoming),
                ..Self::default()
            };
            (one, other)
        }
    }

    impl AsyncRead for End {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            let mut incoming = self.incoming.borrow_mut();
            let count = incoming.len().min(buffer.len());
            if count == 0 && !self.is_ended {
                return Poll::Pending;
            }
            buffer[..count].copy_from_slice(&incoming[..count]);
            incoming.drain(..count);
            Poll::Ready(Ok(count))
        }
    }

    impl AsyncWrite for End {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.is_stuck {
                return Poll::Pending;
            }
            if self.is_ended {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            self.outgoing.borrow_mut().extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(sending: &mut Sending<End>, bytes: usize) -> Poll<io::Result<usize>> {
        Pin::new(sending).poll_write(&mut Context::from_waker(Waker::noop()), &vec![7; bytes])
    }

    fn read(receiving: &mut Receiving<End>, bytes: usize) -> Poll<io::Result<usize>> {
        Pin::new(receiving).poll_read(&mut Context::from_waker(Waker::noop()), &mut vec![0; bytes])
    }

    fn count(done: Poll<io::Result<usize>>) -> Option<usize> {
        match done {
            Poll::Ready(done) => Some(done.unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn no_more_is_on_its_way_than_the_window_and_what_is_read_makes_room() {
        let (one, other) = End::pair();
        let (mut sending, mut receiving) = (Sending::new(one), Receiving::new(other));
        assert_eq!(count(write(&mut sending, WINDOW_BYTES - 1)), Some(WINDOW_BYTES - 1));
        assert_eq!(count(write(&mut sending, 2)), Some(1));
        assert_eq!(count(write(&mut sending, 1)), None);

        assert_eq!(
            count(read(&mut receiving, ACKNOWLEDGED_BYTES - 1)),
            Some(ACKNOWLEDGED_BYTES - 1)
        );
        assert_eq!(count(write(&mut sending, 1)), None);
        assert_eq!(count(read(&mut receiving, 1)), Some(1));
        assert_eq!(count(write(&mut sending, WINDOW_BYTES)), Some(ACKNOWLEDGED_BYTES));
        assert_eq!(count(write(&mut sending, 1)), None);

        // All at once: one byte is said.
        assert_eq!(count(read(&mut receiving, 2 * WINDOW_BYTES)), Some(WINDOW_BYTES));
        assert_eq!(*sending.stream.incoming.borrow(), [8]);
        assert_eq!(count(write(&mut sending, 2 * WINDOW_BYTES)), Some(WINDOW_BYTES));
    }

    #[test]
    fn what_cannot_be_acknowledged_yet_is_later_and_is_read_meanwhile() {
        let (one, other) = End::pair();
        let mut receiving = Receiving::new(other);
        receiving.stream.is_stuck = true;
        let piece = vec![7; 200 * ACKNOWLEDGED_BYTES];
        for _ in 0..2 {
            one.outgoing.borrow_mut().extend_from_slice(&piece);
            assert_eq!(count(read(&mut receiving, piece.len())), Some(piece.len()));
        }
        receiving.stream.is_stuck = false;
        assert_eq!(count(read(&mut receiving, 1)), None);
        assert_eq!(*one.incoming.borrow(), [255, 145]);
    }

    #[test]
    fn what_one_has_sent_that_hears_no_more_is_read() {
        let (one, other) = End::pair();
        let mut receiving = Receiving::new(other);
        receiving.stream.is_ended = true;
        one.outgoing.borrow_mut().resize(3 * ACKNOWLEDGED_BYTES, 7);
        assert_eq!(
            count(read(&mut receiving, 2 * ACKNOWLEDGED_BYTES)),
            Some(2 * ACKNOWLEDGED_BYTES)
        );
        assert_eq!(
            count(read(&mut receiving, 2 * ACKNOWLEDGED_BYTES)),
            Some(ACKNOWLEDGED_BYTES)
        );
        assert_eq!(count(read(&mut receiving, 1)), Some(0));
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_breaks_the_stream() {
        for (sent, acknowledged) in [(10, 0), (10, 1), (ACKNOWLEDGED_BYTES, 2), (WINDOW_BYTES, 255)] {
            let (one, other) = End::pair();
            let mut sending = Sending::new(one);
            assert_eq!(count(write(&mut sending, sent)), Some(sent));
            other.outgoing.borrow_mut().push(acknowledged);
            let Poll::Ready(Err(error)) = write(&mut sending, 1) else {
                panic!("{acknowledged} is believed after {sent} bytes");
            };
            assert!(error.get_ref().is_some_and(|error| error.is::<Overdrawn>()));
        }
    }

    #[test]
    fn one_that_ends_its_acknowledgements_is_sent_nothing() {
        let mut sending = Sending::new(End::default());
        sending.stream.is_ended = true;
        let Poll::Ready(Err(error)) = write(&mut sending, 1) else {
            panic!("it is written to");
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
