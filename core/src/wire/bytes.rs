//! Reading and writing the primitives: bytes, varints, text.

use alloc::vec::Vec;

use super::WireError;

/// Reads from a slice, never past its end.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn finish(self) -> Result<(), WireError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing { bytes: self.rest.len() })
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(WireError::OutOfRange("varint"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // One number has one form, so that equal frames are equal bytes.
                return if byte == 0 && shift > 0 {
                    Err(WireError::OutOfRange("varint"))
                } else {
                    Ok(value)
                };
            }
        }
        Err(WireError::OutOfRange("varint"))
    }

    /// A text, behind its length in bytes.
    pub(crate) fn text(&mut self, bytes_max: usize) -> Result<&'a str, WireError> {
        let length = self.length("text", bytes_max)?;
        core::str::from_utf8(self.take(length)?).map_err(|_| WireError::OutOfRange("text"))
    }

    /// A varint that counts bytes or things, with its bound.
    pub(crate) fn length(&mut self, what: &'static str, max: usize) -> Result<usize, WireError> {
        let length = self.varint()?;
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= max)
            .ok_or(WireError::TooLong {
                what,
                length,
                max: max as u64,
            })
    }
}

/// Signed numbers as unsigned ones, small for small distances from 0.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Reverses [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Writes to a growing vector.
pub(crate) trait Writer {
    fn byte(&mut self, byte: u8);
    fn put(&mut self, bytes: &[u8]);

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.put(text.as_bytes());
    }
}

impl Writer for Vec<u8> {
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_in_their_one_form() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            bytes.varint(value);
            bytes.varint(zigzag(value as i64));
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.varint(), Ok(value));
            assert_eq!(reader.varint().map(unzigzag), Ok(value as i64));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for bytes in [
            &[0x80][..],
            &[0x80, 0x00],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ] {
            assert!(Reader::new(bytes).varint().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_length_is_checked_before_it_is_used() {
        let mut bytes = Vec::new();
        bytes.varint(u64::MAX);
        let length = Reader::new(&bytes).length("keys", 10);
        assert_eq!(
            length,
            Err(WireError::TooLong {
                what: "keys",
                length: u64::MAX,
                max: 10
            })
        );
        assert_eq!(Reader::new(&[1]).take(2), Err(WireError::Truncated));
    }
}
