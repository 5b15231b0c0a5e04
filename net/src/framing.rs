//! Frames on a stream: the few bytes that tell one from the next.
//!
//! A frame is its length as a varint of at most three bytes, then that many bytes. A length above what the protocol allows is
//! refused before anything is allocated.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};

/// How many bytes the length of a frame takes at most; each carries 7 bits.
const LENGTH_BYTES_MAX: usize = 3;

/// Why there is no further frame.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The other side announced a frame longer than any may be.
    TooLong { bytes: u32, max: usize },
    /// The other side closed the stream.
    Closed,
    /// The stream broke.
    Io(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, max } => {
                write!(f, "a frame of {bytes} bytes was announced; at most {max} are allowed")
            }
            Self::Closed => write!(f, "it was closed"),
            Self::Io(error) => write!(f, "it broke: {error}"),
        }
    }
}

/// Writes frames in order. How many wait is the caller's to bound.
#[derive(Debug)]
pub(crate) struct Writer<S> {
    stream: S,
    /// Frames with their lengths before them.
    queue: VecDeque<Vec<u8>>,
    /// How much of the first is written.
    written: usize,
    /// Frames taken by the stream and not reported yet.
    left: usize,
}

impl<S: AsyncWrite + Unpin> Writer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            written: 0,
            left: 0,
        }
    }

    /// Whether all that was pushed has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Puts a frame in line; [`Self::poll`] writes it.
    pub(crate) fn push(&mut self, frame: &[u8]) {
        // One buffer for both, because each write becomes an encrypted packet of its own: the copy costs less than
        // that.
        let length = u32::try_from(frame.len()).expect("frames are far below 4 GiB");
        let mut bytes = Vec::with_capacity(LENGTH_BYTES_MAX + frame.len());
        let mut rest = length;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.extend_from_slice(frame);
        self.queue.push_back(bytes);
    }

    /// Ready with a number of frames when so many have left and none is waiting.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(first) = self.queue.front() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &first[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            if self.written == first.len() {
                self.queue.pop_front();
                self.written = 0;
                self.left += 1;
            }
        }
        if self.left == 0 {
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.left)))
    }
}

/// Reads frames.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    stream: S,
    frame_bytes_max: usize,
    /// As far as it has been read, and in how many bytes.
    length: u32,
    length_bytes: usize,
    frame: Option<Vec<u8>>,
    /// How much of the frame has been read.
    filled: usize,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(crate) fn new(stream: S, frame_bytes_max: usize) -> Self {
        Self {
            stream,
            frame_bytes_max,
            length: 0,
            length_bytes: 0,
            frame: None,
            filled: 0,
        }
    }

    /// Ready with the next frame, or with why there is none; then the stream is of no more use.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, ReadError>> {
        loop {
            let mut byte = [0];
            let buffer = match &mut self.frame {
                Some(frame) if self.filled < frame.len() => &mut frame[self.filled..],
                Some(frame) => {
                    let frame = std::mem::take(frame);
                    (self.frame, self.filled) = (None, 0);
                    return Poll::Ready(Ok(frame));
                }
                None => &mut byte[..],
            };
            match ready!(Pin::new(&mut self.stream).poll_read(cx, buffer)) {
                Ok(0) => return Poll::Ready(Err(ReadError::Closed)),
                Ok(count) if self.frame.is_some() => self.filled += count,
                Ok(_) => self.length_byte(byte[0])?,
                Err(error) => return Poll::Ready(Err(ReadError::Io(error))),
            }
        }
    }

    fn length_byte(&mut self, byte: u8) -> Result<(), ReadError> {
        self.length |= u32::from(byte & 0x7f) << (7 * self.length_bytes);
        self.length_bytes += 1;
        let more = byte & 0x80 != 0;
        if self.length as usize > self.frame_bytes_max || more && self.length_bytes == LENGTH_BYTES_MAX {
            return Err(ReadError::TooLong {
                bytes: self.length,
                max: self.frame_bytes_max,
            });
        }
        if !more {
            self.frame = Some(vec![0; self.length as usize]);
            (self.length, self.length_bytes) = (0, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, executor::block_on, future::poll_fn, io::Cursor};

    use super::*;

    const FRAME_BYTES_MAX: usize = 65_541;

    fn read_all(bytes: Vec<u8>) -> (Vec<Vec<u8>>, ReadError) {
        // One byte at a time, so that every place where a read may stop is met.
        let mut reader = Reader::new(Trickle(Cursor::new(bytes)), FRAME_BYTES_MAX);
        let mut frames = Vec::new();
        loop {
            match block_on(poll_fn(|cx| reader.poll(cx))) {
                Ok(frame) => frames.push(frame),
                Err(error) => return (frames, error),
            }
        }
    }

    struct Trickle(Cursor<Vec<u8>>);

    impl AsyncRead for Trickle {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            let some = buffer.len().min(1);
            Pin::new(&mut self.0).poll_read(cx, &mut buffer[..some])
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let frames = [vec![], vec![1], vec![2; 300], vec![3; FRAME_BYTES_MAX]];
        let mut writer = Writer::new(Cursor::new(Vec::new()));
        frames.iter().for_each(|frame| writer.push(frame));
        assert_eq!(
            poll_fn(|cx| writer.poll(cx)).now_or_never().unwrap().unwrap(),
            frames.len()
        );
        assert!(
            poll_fn(|cx| writer.poll(cx)).now_or_never().is_none(),
            "nothing to report twice"
        );

        let (read, end) = read_all(writer.stream.into_inner());
        assert_eq!(read, frames);
        assert!(matches!(end, ReadError::Closed));
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_length_alone() {
        let one_more = FRAME_BYTES_MAX as u32 + 1;
        let varint = [
            one_more as u8 | 0x80,
            (one_more >> 7) as u8 | 0x80,
            (one_more >> 14) as u8,
        ];
        for length in [&varint[..], &[0x80, 0x80, 0x80]] {
            let (read, end) = read_all([&[1, 42], length].concat());
            assert_eq!(read, [[42]]);
            assert!(matches!(end, ReadError::TooLong { .. }), "{end}");
        }
    }

    #[test]
    fn a_stream_cut_within_a_frame_gives_no_part_of_it() {
        for cut in 1..6 {
            let (read, end) = read_all([0x84, 0x00, 1, 2, 3, 4][..cut].to_vec());
            assert!(read.is_empty() && matches!(end, ReadError::Closed), "cut at {cut}");
        }
    }
}
