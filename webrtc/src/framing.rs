//! How a stream is cut into messages of a data channel.
//!
//! A data channel closes in both directions at once and may lose what is under way when it does. So each message holds a
//! frame, protobuf with its length in front, that carries bytes, a flag, or both; the flags give streams their half-closes
//! and resets (libp2p specification `webrtc/README.md`, section "Multiplexing").

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message as _;

/// How long a frame may be, its length included: what the specification allows, and every browser takes.
pub(crate) const FRAME_BYTES_MAX: usize = 16 * 1024;

/// Before the bytes of a frame: its length in 2, a tag in 1, their number in 2.
const HEAD_BYTES_MAX: usize = 5;

/// How many bytes of a stream fit into a frame.
pub(crate) const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - HEAD_BYTES_MAX;

/// The tags of the two fields: flag is number 1 and a varint, message is number 2 and bytes.
const TAG_FLAG: u8 = 1 << 3;
const TAG_MESSAGE: u8 = 2 << 3 | 2;

/// What a frame says besides its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Flag {
    /// The sender sends no more bytes.
    Fin = 0,
    /// The sender reads no more bytes.
    StopSending = 1,
    /// The sender gives the stream up.
    Reset = 2,
    /// The sender has received a FIN, and so all bytes.
    FinAck = 3,
}

/// One frame.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Frame {
    #[prost(enumeration = "Flag", optional, tag = "1")]
    flag: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    message: Option<Bytes>,
}

/// The other side sent what is no frame.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

/// Writes a frame with these bytes, of which there are [`PAYLOAD_BYTES_MAX`] at most, over what `frame` holds.
pub(crate) fn encode_payload(payload: &[u8], frame: &mut Vec<u8>) {
    debug_assert!(payload.len() <= PAYLOAD_BYTES_MAX, "the caller cuts what is longer");
    let mut length = unsigned_varint::encode::usize_buffer();
    let length = unsigned_varint::encode::usize(payload.len(), &mut length);
    let mut body = unsigned_varint::encode::usize_buffer();
    let body = unsigned_varint::encode::usize(1 + length.len() + payload.len(), &mut body);
    frame.clear();
    frame.extend_from_slice(body);
    frame.push(TAG_MESSAGE);
    frame.extend_from_slice(length);
    frame.extend_from_slice(payload);
}

/// A frame with this flag.
pub(crate) fn encode_flag(flag: Flag) -> [u8; 3] {
    [2, TAG_FLAG, flag as u8]
}

/// Takes a channel's messages apart. A message is a frame as a rule, whose bytes are then not copied; but a frame may be
/// spread over several, and a message may hold many.
#[derive(Default)]
pub(crate) struct Decoder {
    /// What is left of the last message.
    whole: Bytes,
    /// The beginning of a frame whose end has not come, which is then also in here: at most one of the two holds anything.
    partial: BytesMut,
}

impl Decoder {
    pub(crate) fn push(&mut self, message: Bytes) {
        debug_assert!(self.whole.is_empty(), "all frames are taken before the next message");
        if self.partial.is_empty() {
            self.whole = message;
        } else {
            self.partial.extend_from_slice(&message);
        }
    }

    /// The next frame that is there in full.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        let buffered = if self.partial.is_empty() {
            &self.whole[..]
        } else {
            &self.partial[..]
        };
        let Some((head, body)) = measure(buffered)? else {
            // Waits for the rest in a buffer that can grow.
            self.partial.extend_from_slice(&std::mem::take(&mut self.whole));
            return Ok(None);
        };
        let mut frame = if self.partial.is_empty() {
            self.whole.split_to(head + body)
        } else {
            self.partial.split_to(head + body).freeze()
        };
        frame.advance(head);
        Frame::decode(frame).map(Some).map_err(|_| Malformed)
    }
}

/// How long the length of the frame at the front is, and the frame behind it. None if it is not there in full.
fn measure(buffered: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let (body, rest) = match unsigned_varint::decode::usize(buffered) {
        Ok(decoded) => decoded,
        Err(unsigned_varint::decode::Error::Insufficient) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    let head = buffered.len() - rest.len();
    if body > FRAME_BYTES_MAX - head {
        return Err(Malformed);
    }
    Ok((rest.len() >= body).then_some((head, body)))
}

impl Frame {
    /// The flag; one that this version does not know is none, as protobuf has it.
    pub(crate) fn known_flag(&self) -> Option<Flag> {
        self.flag.and_then(|flag| Flag::try_from(flag).ok())
    }

    pub(crate) fn into_payload(self) -> Bytes {
        self.message.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Decoded = Vec<(Vec<u8>, Option<Flag>)>;

    /// The frames in these messages, as bytes and flag.
    fn decoded<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Result<Decoded, Malformed> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for message in messages {
            decoder.push(Bytes::copy_from_slice(message));
            while let Some(frame) = decoder.next()? {
                let flag = frame.known_flag();
                frames.push((frame.into_payload().to_vec(), flag));
            }
        }
        Ok(frames)
    }

    fn encoded(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        encode_payload(payload, &mut frame);
        frame
    }

    #[test]
    fn frames_are_as_the_specification_has_them() {
        assert_eq!(encoded(b"abc"), b"\x05\x12\x03abc");
        assert_eq!(encode_flag(Flag::Fin), [2, 8, 0]);
        assert_eq!(encode_flag(Flag::FinAck), [2, 8, 3]);
        let both = b"\x07\x08\x00\x12\x03abc";
        assert_eq!(decoded([&both[..]]), Ok(vec![(b"abc".to_vec(), Some(Flag::Fin))]));
    }

    #[test]
    fn the_longest_frame_is_as_long_as_allowed() {
        let longest = encoded(&[7; PAYLOAD_BYTES_MAX]);
        assert_eq!(longest.len(), FRAME_BYTES_MAX);
        assert_eq!(decoded([&longest[..]]), Ok(vec![(vec![7; PAYLOAD_BYTES_MAX], None)]));
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_waited_for() {
        assert_eq!(decoded([&[0xff, 0x7f][..]]), Err(Malformed));
        assert_eq!(decoded([&[0xff; 10][..]]), Err(Malformed));
    }

    #[test]
    fn what_is_no_protobuf_is_refused() {
        // A field of 5 bytes in a message of 2, and a wire type that does not exist.
        assert_eq!(decoded([&[2, 0x12, 5][..]]), Err(Malformed));
        assert_eq!(decoded([&[1, 0x0f][..]]), Err(Malformed));
    }

    #[test]
    fn an_unknown_flag_and_an_unknown_field_are_passed_over() {
        assert_eq!(decoded([&[2, 8, 9][..]]), Ok(vec![(vec![], None)]));
        assert_eq!(decoded([&[2, 0x18, 1][..]]), Ok(vec![(vec![], None)]));
        assert_eq!(decoded([&[0][..]]), Ok(vec![(vec![], None)]));
    }

    proptest! {
        #[test]
        fn frames_arrive_however_they_are_cut(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in proptest::collection::vec(1usize..400, 1..20),
        ) {
            let mut bytes = payloads.iter().flat_map(|payload| encoded(payload)).collect::<Vec<_>>();
            bytes.extend(encode_flag(Flag::Fin));
            let mut messages = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (message, left) = rest.split_at((*cut).min(rest.len()));
                messages.push(message);
                rest = left;
                if rest.is_empty() {
                    break;
                }
            }
            let mut expected = payloads.into_iter().map(|payload| (payload, None)).collect::<Vec<_>>();
            expected.push((vec![], Some(Flag::Fin)));
            prop_assert_eq!(decoded(messages), Ok(expected));
        }

        #[test]
        fn any_bytes_are_taken_without_panic(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
        ) {
            let _ = decoded(messages.iter().map(Vec::as_slice));
        }
    }
}
