//! The two halves of a stream, as its frames and its owner move them. Neither a browser nor a clock is needed to know them.
//!
//! ```text
//! read   Open ── FIN came ──────────▶ Finished        write  Open ── close ──▶ Finishing ── FIN_ACK came ──▶ Finished
//!          └──── the owner is gone ─▶ Discarding               └── STOP_SENDING came ─▶ Stopped ── close ──▶ Finishing
//! ```
//!
//! What ends both at once is a break: a RESET, sent or received, or the loss of the channel.

use std::{collections::VecDeque, io};

use bytes::{Buf as _, Bytes};

use crate::framing::{Decoder, Flag};

/// How many bytes may wait to be read on a stream. Data channels cannot tell the other side to wait, so a stream that is
/// read too slowly has to end sometime. js-libp2p ends it at 4 MiB, so that peers who get on with it come nowhere near.
pub(crate) const UNREAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What each frame counts besides its bytes, as it takes about that much to remember it: else a million frames of one
/// byte would be little.
const UNREAD_BYTES_PER_FRAME: usize = 128;

/// A stream's halves and what waits to be read.
#[derive(Default)]
pub(crate) struct State {
    decoder: Decoder,
    read: Read,
    write: Write,
    broken: Option<Break>,
    unread: VecDeque<Bytes>,
    unread_cost: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Read {
    #[default]
    Open,
    /// All bytes have come.
    Finished,
    /// Nobody wants what comes.
    Discarding,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Write {
    #[default]
    Open,
    /// The other side wants no more.
    Stopped,
    /// FIN was sent.
    Finishing,
    /// All bytes have arrived.
    Finished,
}

/// What ended a stream before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Break {
    /// The other side gave it up.
    Reset,
    /// This side gave it up, having had more than it can keep.
    Overrun,
    /// This side gave it up, having had what is no frame.
    Malformed,
    /// This side gave it up: its owner did not close it.
    Dropped,
    /// The channel is closed, or the connection that it was of.
    Lost,
}

impl Break {
    fn error(self) -> io::Error {
        let (kind, words) = match self {
            Self::Reset => (io::ErrorKind::ConnectionReset, "the other side reset the stream"),
            Self::Overrun => (
                io::ErrorKind::ConnectionAborted,
                "the other side sent more than can be kept unread",
            ),
            Self::Malformed => (io::ErrorKind::InvalidData, "the other side sent what is no frame"),
            Self::Dropped => (io::ErrorKind::ConnectionAborted, "the stream was given up"),
            Self::Lost => (
                io::ErrorKind::ConnectionReset,
                "the data channel closed before the stream had ended",
            ),
        };
        io::Error::new(kind, words)
    }
}

impl State {
    /// Takes a message of the channel; `room` is what may wait to be read in all streams of the connection together.
    /// Returns the flag to answer with, if any.
    pub(crate) fn receive(&mut self, message: Bytes, room: usize) -> Option<Flag> {
        if self.broken.is_some() {
            return None;
        }
        let room = self.unread_cost + room;
        let mut answer = None;
        self.decoder.push(message);
        loop {
            let frame = match self.decoder.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return answer,
                Err(_) => return self.give_up(Break::Malformed),
            };
            let flag = frame.known_flag();
            let payload = frame.into_payload();
            if self.read == Read::Open && !payload.is_empty() {
                self.unread_cost += cost(&payload);
                self.unread.push_back(payload);
                if self.unread_cost > room.min(UNREAD_BYTES_MAX) {
                    return self.give_up(Break::Overrun);
                }
            }
            match flag {
                Some(Flag::Fin) => {
                    self.read = Read::Finished;
                    answer = Some(Flag::FinAck);
                }
                Some(Flag::StopSending) if self.write == Write::Open => self.write = Write::Stopped,
                Some(Flag::FinAck) if self.write == Write::Finishing => self.write = Write::Finished,
                Some(Flag::Reset) => {
                    self.break_off(Break::Reset);
                    return None;
                }
                Some(Flag::StopSending | Flag::FinAck) | None => {}
            }
        }
    }

    /// The channel is closed, by the other side or with its connection.
    pub(crate) fn lose(&mut self) {
        // Who has our FIN and sent its own may close before its FIN_ACK is through.
        if self.write == Write::Finishing && self.read == Read::Finished {
            self.write = Write::Finished;
        }
        if !self.is_done() && self.broken.is_none() {
            // What came before can still be read.
            self.broken = Some(Break::Lost);
        }
    }

    /// Nobody holds the stream any more. Returns the flag to send, if any.
    pub(crate) fn abandon(&mut self) -> Option<Flag> {
        self.forget();
        if self.broken.is_some() {
            return None;
        }
        match (self.write, self.read) {
            (Write::Open | Write::Stopped, _) => self.give_up(Break::Dropped),
            (_, Read::Open) => {
                self.read = Read::Discarding;
                Some(Flag::StopSending)
            }
            _ => None,
        }
    }

    /// Bytes that have come. None if they have not, but may.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let mut filled = 0;
        while let Some(bytes) = self.unread.front_mut().filter(|_| filled < buffer.len()) {
            let taken = bytes.len().min(buffer.len() - filled);
            buffer[filled..filled + taken].copy_from_slice(&bytes[..taken]);
            filled += taken;
            self.unread_cost -= taken;
            bytes.advance(taken);
            if bytes.is_empty() {
                self.unread_cost -= UNREAD_BYTES_PER_FRAME;
                self.unread.pop_front();
            }
        }
        match (filled, self.read, self.broken) {
            (1.., _, _) => Some(Ok(filled)),
            (0, Read::Finished, _) => Some(Ok(0)),
            (0, _, Some(why)) => Some(Err(why.error())),
            (0, _, None) => buffer.is_empty().then_some(Ok(0)),
        }
    }

    /// Whether bytes may be sent.
    pub(crate) fn writable(&self) -> io::Result<()> {
        let closed = |words| Err(io::Error::new(io::ErrorKind::BrokenPipe, words));
        match (self.broken, self.write) {
            (Some(why), _) => Err(why.error()),
            (None, Write::Open) => Ok(()),
            (None, Write::Stopped) => closed("the other side reads no more"),
            (None, Write::Finishing | Write::Finished) => closed("the stream was closed for writing"),
        }
    }

    /// The owner writes no more. Returns the flag to send, if any.
    pub(crate) fn finish(&mut self) -> Option<Flag> {
        if self.broken.is_none() && matches!(self.write, Write::Open | Write::Stopped) {
            self.write = Write::Finishing;
            return Some(Flag::Fin);
        }
        None
    }

    /// Whether all that was written has arrived. None if that is not known yet.
    pub(crate) fn finished(&self) -> Option<io::Result<()>> {
        match (self.write, self.broken) {
            (Write::Finished, _) => Some(Ok(())),
            (_, Some(why)) => Some(Err(why.error())),
            _ => None,
        }
    }

    /// Whether both sides have said all that they will, so that the channel can be closed.
    pub(crate) fn is_done(&self) -> bool {
        let ended = self.write == Write::Finished && self.read == Read::Finished;
        ended || self.broken.is_some_and(|why| why != Break::Lost)
    }

    /// Whether this side gave up because of what the other sends, which it may go on to do.
    pub(crate) fn is_misused(&self) -> bool {
        matches!(self.broken, Some(Break::Overrun | Break::Malformed))
    }

    /// What waits to be read, as it counts.
    pub(crate) fn unread_cost(&self) -> usize {
        self.unread_cost
    }

    fn give_up(&mut self, why: Break) -> Option<Flag> {
        self.break_off(why);
        Some(Flag::Reset)
    }

    fn break_off(&mut self, why: Break) {
        self.broken.get_or_insert(why);
        if self.read == Read::Open {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.unread = VecDeque::new();
        self.unread_cost = 0;
    }
}

fn cost(payload: &Bytes) -> usize {
    payload.len() + UNREAD_BYTES_PER_FRAME
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::framing::{PAYLOAD_BYTES_MAX, encode_flag, encode_payload};

    const ROOM: usize = usize::MAX / 2;

    impl State {
        fn data(&mut self, payload: &[u8]) -> Option<Flag> {
            let mut frame = Vec::new();
            encode_payload(payload, &mut frame);
            self.receive(frame.into(), ROOM)
        }

        fn flag(&mut self, flag: Flag) -> Option<Flag> {
            self.receive(Bytes::copy_from_slice(&encode_flag(flag)), ROOM)
        }

        /// What is read next: the bytes, the kind of the error, or nothing yet.
        fn next(&mut self) -> Option<Result<Vec<u8>, io::ErrorKind>> {
            let mut buffer = [0; 4];
            let read = self.read(&mut buffer)?;
            Some(read.map(|count| buffer[..count].to_vec()).map_err(|error| error.kind()))
        }

        fn close(&mut self) -> Option<Result<(), io::ErrorKind>> {
            self.finished().map(|result| result.map_err(|error| error.kind()))
        }
    }

    #[test]
    fn bytes_are_read_in_order_across_frames() {
        let mut state = State::default();
        assert_eq!(state.next(), None);
        for payload in [&b"abc"[..], b"", b"defgh"] {
            assert_eq!(state.data(payload), None);
        }
        assert_eq!(state.next(), Some(Ok(b"abcd".to_vec())));
        assert_eq!(state.next(), Some(Ok(b"efgh".to_vec())));
        assert_eq!(state.next(), None);
        assert_eq!(state.unread_cost(), 0);
    }

    #[test]
    fn each_half_ends_by_itself() {
        let mut state = State::default();
        state.data(b"last");
        assert_eq!(state.flag(Flag::Fin), Some(Flag::FinAck));
        assert_eq!(state.next(), Some(Ok(b"last".to_vec())));
        assert_eq!(state.next(), Some(Ok(vec![])));
        assert!(state.writable().is_ok());

        assert_eq!(state.finish(), Some(Flag::Fin));
        assert_eq!(state.finish(), None);
        assert_eq!(state.writable().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(state.close(), None);
        assert!(!state.is_done());
        state.flag(Flag::FinAck);
        assert_eq!(state.close(), Some(Ok(())));
        assert!(state.is_done());
        assert_eq!(state.abandon(), None);
    }

    #[test]
    fn a_reset_ends_both_halves_at_once() {
        let mut state = State::default();
        state.data(b"lost");
        assert_eq!(state.flag(Flag::Reset), None);
        assert_eq!(state.next(), Some(Err(io::ErrorKind::ConnectionReset)));
        assert_eq!(state.writable().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(state.close(), Some(Err(io::ErrorKind::ConnectionReset)));
        assert_eq!(state.finish(), None);
        assert_eq!(state.data(b"more"), None);
        assert!(state.is_done());
    }

    #[test]
    fn a_reset_after_the_end_takes_back_nothing() {
        let mut state = State::default();
        state.data(b"all");
        state.flag(Flag::Fin);
        state.flag(Flag::Reset);
        assert_eq!(state.next(), Some(Ok(b"all".to_vec())));
        assert_eq!(state.next(), Some(Ok(vec![])));
        assert!(state.writable().is_err());
    }

    #[test]
    fn who_is_not_listened_to_stops() {
        let mut state = State::default();
        state.flag(Flag::StopSending);
        assert_eq!(state.writable().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        // The other side still waits for the end.
        assert_eq!(state.finish(), Some(Flag::Fin));
        state.flag(Flag::FinAck);
        assert_eq!(state.close(), Some(Ok(())));
    }

    #[test]
    fn a_stream_that_is_dropped_unclosed_is_reset() {
        for stopped in [false, true] {
            let mut state = State::default();
            if stopped {
                state.flag(Flag::StopSending);
            }
            state.data(b"unread");
            assert_eq!(state.abandon(), Some(Flag::Reset));
            assert_eq!(state.unread_cost(), 0);
            assert!(state.is_done());
            assert_eq!(state.abandon(), None);
        }
    }

    #[test]
    fn a_stream_that_is_dropped_closed_still_ends_well_for_the_other_side() {
        let mut state = State::default();
        state.finish();
        assert_eq!(state.abandon(), Some(Flag::StopSending));
        assert_eq!(state.data(b"nobody reads this"), None);
        assert_eq!(state.unread_cost(), 0);
        assert!(!state.is_done());
        assert_eq!(state.flag(Flag::Fin), Some(Flag::FinAck));
        assert!(!state.is_done());
        state.flag(Flag::FinAck);
        assert!(state.is_done());
    }

    #[test]
    fn a_lost_channel_is_an_error_after_what_had_come() {
        let mut state = State::default();
        state.data(b"half");
        state.lose();
        assert_eq!(state.next(), Some(Ok(b"half".to_vec())));
        assert_eq!(state.next(), Some(Err(io::ErrorKind::ConnectionReset)));
        assert!(state.writable().is_err());
        assert_eq!(state.close(), Some(Err(io::ErrorKind::ConnectionReset)));
    }

    #[test]
    fn a_channel_may_close_once_both_sides_have_said_that_they_finished() {
        let mut state = State::default();
        state.flag(Flag::Fin);
        state.finish();
        state.lose();
        assert_eq!(state.close(), Some(Ok(())));

        let mut unanswered = State::default();
        unanswered.finish();
        unanswered.lose();
        assert_eq!(unanswered.close(), Some(Err(io::ErrorKind::ConnectionReset)));
    }

    #[test]
    fn what_is_not_read_is_bounded() {
        for payload in [&[0; PAYLOAD_BYTES_MAX][..], &[0]] {
            let mut state = State::default();
            let mut frames = 0;
            let answer = loop {
                frames += 1;
                if let Some(flag) = state.data(payload) {
                    break flag;
                }
            };
            assert_eq!(answer, Flag::Reset);
            assert_eq!(frames, UNREAD_BYTES_MAX / (payload.len() + UNREAD_BYTES_PER_FRAME) + 1);
            assert_eq!(state.unread_cost(), 0);
            assert_eq!(state.next(), Some(Err(io::ErrorKind::ConnectionAborted)));
        }
    }

    #[test]
    fn what_all_streams_hold_unread_is_bounded() {
        let mut state = State::default();
        let frame = |bytes: &[u8]| {
            let mut frame = Vec::new();
            encode_payload(bytes, &mut frame);
            Bytes::from(frame)
        };
        assert_eq!(state.receive(frame(&[0; 100]), 1_000), None);
        assert_eq!(state.receive(frame(&[0; 100]), 100), Some(Flag::Reset));
    }

    #[test]
    fn what_is_no_frame_is_answered_with_a_reset() {
        let mut state = State::default();
        assert_eq!(state.receive(Bytes::from_static(&[0xff; 10]), ROOM), Some(Flag::Reset));
        assert_eq!(state.next(), Some(Err(io::ErrorKind::InvalidData)));
    }

    proptest! {
        /// Whatever comes, what waits is counted right, and a stream that has ended stays so.
        #[test]
        fn any_messages_are_taken_without_panic(
            messages in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..20),
                    (0u8..6).prop_map(|flag| vec![2, 8, flag]),
                    proptest::collection::vec(any::<u8>(), 0..9).prop_map(|payload| {
                        let mut frame = Vec::new();
                        encode_payload(&payload, &mut frame);
                        frame
                    }),
                ],
                0..40,
            ),
            reads in 0usize..40,
        ) {
            let mut state = State::default();
            for (index, message) in messages.into_iter().enumerate() {
                let was_done = state.is_done();
                state.receive(message.into(), ROOM);
                prop_assert!(state.is_done() || !was_done);
                if index < reads {
                    state.read(&mut [0; 3]);
                }
            }
            while let Some(Ok(1..)) = state.read(&mut [0; 64]) {}
            prop_assert_eq!(state.unread_cost(), 0);
        }
    }
}
