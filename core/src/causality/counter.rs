//! The numbers of counters: an author's subtotal under a key, and the sum that a reader is shown.
//!
//! Both are stored as a CBOR integer in its shortest form, as the package stores any integer: whoever reads the key as a plain value
//! reads a number.

use alloc::vec::Vec;

use super::{Body, Value};

/// The bytes of a number.
pub fn encode(number: i64) -> Value {
    // CBOR tells -1 - n for a negative number.
    let (major, argument) = if number < 0 { (1 << 5, !number) } else { (0, number) };
    let argument = argument as u64;
    let mut bytes = Vec::with_capacity(NUMBER_BYTES_MAX);
    let (size, width) = match argument {
        0..24 => (argument as u8, 0),
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    bytes.push(major | size);
    bytes.extend_from_slice(&argument.to_be_bytes()[8 - width..]);
    bytes.into()
}

/// The number; `None` for any bytes that [`encode`] does not make.
pub fn decode(bytes: &[u8]) -> Option<i64> {
    let (head, rest) = bytes.split_first()?;
    let (width, least) = match head & 0x1f {
        0..24 => (0, 0),
        24 => (1, 24),
        25 => (2, 0x100),
        26 => (4, 0x1_0000),
        27 => (8, 0x1_0000_0000),
        _ => return None,
    };
    if rest.len() != width {
        return None;
    }
    let argument = match width {
        0 => u64::from(head & 0x1f),
        _ => rest.iter().fold(0, |argument, byte| argument << 8 | u64::from(*byte)),
    };
    let argument = i64::try_from(argument).ok().filter(|_| argument >= least)?;
    match head >> 5 {
        0 => Some(argument),
        1 => Some(!argument),
        _ => None,
    }
}

/// The sum of subtotals.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum(i128);

impl Sum {
    /// Adds a subtotal. Bytes that are no number, which no replica takes in, add nothing.
    pub fn add(&mut self, subtotal: &[u8]) {
        // Wider than any subtotal, so that the order in which they are added does not matter.
        self.0 += i128::from(decode(subtotal).unwrap_or_default());
    }

    /// As [`Self::add`]; a counter never leaves memory.
    pub fn add_body(&mut self, subtotal: &Body) {
        if let Some(subtotal) = subtotal.here() {
            self.add(subtotal);
        }
    }

    /// The sum, or what is next to it in the range of an `i64`.
    pub fn get(self) -> i64 {
        self.0.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

/// A head and eight bytes.
const NUMBER_BYTES_MAX: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (number, bytes) in [
            (0, &[0x00][..]),
            (23, &[0x17]),
            (24, &[0x18, 24]),
            (255, &[0x18, 255]),
            (256, &[0x19, 1, 0]),
            (65_536, &[0x1a, 0, 1, 0, 0]),
            (1 << 32, &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
            (i64::MAX, &[0x1b, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
            (-1, &[0x20]),
            (-24, &[0x37]),
            (-25, &[0x38, 24]),
            (i64::MIN, &[0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            assert_eq!(&*encode(number), bytes, "{number}");
            assert_eq!(decode(bytes), Some(number));
        }
    }

    #[test]
    fn other_bytes_are_no_number() {
        for bytes in [
            &[][..],
            &[0x18, 23],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
            &[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0],
            &[0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0],
            &[0x00, 0x00],
            &[0x18],
            &[0x1c],
            &[0x40],
            &[0xf9, 0, 0],
        ] {
            assert_eq!(decode(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn a_sum_does_not_depend_on_the_order() {
        let sum = |numbers: &[i64]| {
            let mut sum = Sum::default();
            numbers.iter().for_each(|number| sum.add(&encode(*number)));
            sum.get()
        };
        assert_eq!(sum(&[i64::MAX, 1, -2]), i64::MAX - 1);
        assert_eq!(sum(&[-2, 1, i64::MAX]), i64::MAX - 1);
        assert_eq!(sum(&[i64::MAX, i64::MAX]), i64::MAX);
        assert_eq!(sum(&[i64::MIN, -1]), i64::MIN);
    }
}
