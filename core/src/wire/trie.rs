//! Nodes of a trie over 128-bit keys, as they cross in a descent.
//!
//! ```text
//! node  = varint 0, varint count, count x item                      a leaf: all that is below the prefix asked for
//!       | varint 1 + k, k hex digits (two a byte, high first, the last byte filled with 0), children (2), fingerprint (8) of each
//! children = one bit for each of the 16 that are not empty, little-endian
//! ```
//!
//! The k digits continue the prefix asked for, where all keys below it do; the children are below the longer prefix.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::{
    Bits, DOT_NUMBER_MAX, WireError,
    bytes::{Reader, Writer},
    frame::VARINT_BYTES_MAX,
    leaves::{read_bits, write_bits},
};

/// The beginning of some keys: `digits` hex digits, the rest 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prefix {
    bits: u128,
    digits: u8,
}

/// How many hex digits a key has.
const DIGITS_MAX: u8 = 32;

/// How many children a node has at most.
pub const RADIX: usize = 16;

impl Prefix {
    /// The common beginning of two keys.
    pub fn common(first: u128, last: u128) -> Self {
        let digits = ((first ^ last).leading_zeros() / 4) as u8;
        Self {
            bits: first & mask(digits),
            digits,
        }
    }

    /// The keys that begin so.
    pub fn keys(&self) -> RangeInclusive<u128> {
        self.bits..=self.bits | !mask(self.digits)
    }

    /// The prefix that is longer by the digit `child`; `None` if this one is a whole key.
    pub fn child(&self, child: usize) -> Option<Self> {
        (self.digits < DIGITS_MAX && child < RADIX).then(|| Self {
            bits: self.bits | (child as u128) << (124 - 4 * u32::from(self.digits)),
            digits: self.digits + 1,
        })
    }

    /// Whether `other` begins with this.
    pub fn holds(&self, other: &Self) -> bool {
        self.digits <= other.digits && self.keys().contains(&other.bits)
    }
}

/// The bits of the first so many digits.
fn mask(digits: u8) -> u128 {
    u128::MAX.checked_shl(128 - 4 * u32::from(digits)).unwrap_or(0)
}

/// A node as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "a node is looked at and dropped, never kept")]
pub enum Node<I> {
    /// All items below the prefix asked for, in order of their keys.
    Leaf(Vec<(u128, I)>),
    /// Where the keys part, and the fingerprints of the children.
    Inner {
        /// The prefix that all keys share.
        prefix: Prefix,
        /// By digit; `None` where there are no keys.
        children: [Option<u64>; RADIX],
    },
}

/// What stands under a key of the trie.
pub trait Item: Sized {
    /// Appends the item with its key; `previous` is the key before it in the leaf.
    fn write(&self, key: u128, previous: Option<u128>, out: &mut Vec<u8>);
    /// Reads what `write` wrote, the key first.
    ///
    /// # Errors
    /// When the bytes are malformed.
    fn read(bytes: &mut NodeReader<'_>, previous: Option<u128>) -> Result<(u128, Self), WireError>;
}

/// Appends a leaf.
pub fn write_leaf<I: Item>(items: &[(u128, I)], out: &mut Vec<u8>) {
    out.varint(0);
    out.varint(items.len() as u64);
    let mut previous = None;
    for (key, item) in items {
        item.write(*key, previous, out);
        previous = Some(*key);
    }
}

/// Appends an inner node that answers `asked`.
pub fn write_inner(asked: &Prefix, prefix: &Prefix, children: &[Option<u64>; RADIX], out: &mut Vec<u8>) {
    let more = prefix.digits - asked.digits;
    out.varint(1 + u64::from(more));
    let digits = prefix.bits.checked_shl(4 * u32::from(asked.digits)).unwrap_or(0);
    out.put(&digits.to_be_bytes()[..usize::from(more).div_ceil(2)]);
    let mut present = 0_u16;
    for (child, fingerprint) in children.iter().enumerate() {
        present |= u16::from(fingerprint.is_some()) << child;
    }
    out.put(&present.to_le_bytes());
    for fingerprint in children.iter().flatten() {
        out.put(&fingerprint.to_le_bytes());
    }
}

/// Appends to the payload of LIMITS: an author's place in the vector announced, and its events known.
///
/// ```text
/// limit = varint place, varint number
/// ```
pub fn write_limit(place: u64, n: u64, out: &mut Vec<u8>) {
    out.varint(place);
    out.varint(n);
}

/// The longest limit.
pub const LIMIT_BYTES_MAX: usize = 20;

/// Reads the payload of LIMITS.
///
/// # Errors
/// When the bytes are malformed.
pub fn read_limits(bytes: &[u8]) -> Result<Vec<(u64, u64)>, WireError> {
    let mut from = Reader::new(bytes);
    let mut limits = Vec::new();
    while !from.is_empty() {
        limits.push((from.varint()?, from.varint()?));
    }
    Ok(limits)
}

/// The longest inner node.
pub const INNER_BYTES_MAX: usize = 1 + 16 + 2 + 8 * RADIX;

/// Reads nodes, one for each prefix that was asked for.
#[derive(Clone, Debug)]
pub struct NodeReader<'a> {
    pub(super) from: Reader<'a>,
}

impl<'a> NodeReader<'a> {
    /// Begins to read.
    pub fn new(nodes: &'a [u8]) -> Self {
        Self {
            from: Reader::new(nodes),
        }
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty()
    }

    /// The node that answers `asked`.
    ///
    /// # Errors
    /// When the bytes are malformed, or the node is of another prefix.
    pub fn node<I: Item>(&mut self, asked: &Prefix) -> Result<Node<I>, WireError> {
        let head = self.from.varint()?;
        if head == 0 {
            return self.leaf(asked).map(Node::Leaf);
        }
        let more = u8::try_from(head - 1).ok();
        let digits = more
            .and_then(|more| asked.digits.checked_add(more))
            .filter(|digits| *digits < DIGITS_MAX)
            .ok_or(WireError::OutOfRange("digits of a node"))?;
        let mut longer = [0; 16];
        let length = usize::from(digits - asked.digits).div_ceil(2);
        longer[..length].copy_from_slice(self.from.take(length)?);
        let longer = u128::from_be_bytes(longer)
            .checked_shr(4 * u32::from(asked.digits))
            .unwrap_or(0);
        if longer & !mask(digits) != 0 {
            return Err(WireError::OutOfRange("digits of a node"));
        }
        let prefix = Prefix {
            bits: asked.bits | longer,
            digits,
        };
        let present = u16::from_le_bytes(self.from.array()?);
        let mut children = [None; RADIX];
        for (child, place) in children.iter_mut().enumerate() {
            if present >> child & 1 == 1 {
                *place = Some(u64::from_le_bytes(self.from.array()?));
            }
        }
        Ok(Node::Inner { prefix, children })
    }

    fn leaf<I: Item>(&mut self, asked: &Prefix) -> Result<Vec<(u128, I)>, WireError> {
        let count = self.from.varint()?;
        // Collected one by one: each item takes two bytes at least, so the frame's end bounds them.
        let mut items: Vec<(u128, I)> = Vec::new();
        for _ in 0..count {
            let previous = items.last().map(|(key, _)| *key);
            let (key, item) = I::read(self, previous)?;
            if !asked.keys().contains(&key) || previous.is_some_and(|previous| key <= previous) {
                return Err(WireError::OutOfRange("key of a node"));
            }
            items.push((key, item));
        }
        Ok(items)
    }
}

/// The trie of a version vector: an author's id and count.
///
/// ```text
/// item = author (16), varint count
/// ```
impl Item for u64 {
    fn write(&self, key: u128, _previous: Option<u128>, out: &mut Vec<u8>) {
        out.put(&key.to_be_bytes());
        out.varint(*self);
    }

    fn read(bytes: &mut NodeReader<'_>, _previous: Option<u128>) -> Result<(u128, Self), WireError> {
        let key = u128::from_be_bytes(bytes.from.array()?);
        let count = bytes.from.varint()?;
        if (1..=DOT_NUMBER_MAX).contains(&count) {
            Ok((key, count))
        } else {
            Err(WireError::OutOfRange("count in a vector"))
        }
    }
}

/// What stands in the trie of live dots, under `(place of the author in the receiver's vector << 44 | block) << 1`, and for prints under the
/// key that follows.
///
/// ```text
/// item = varint (half the key - half of that before it in the leaf; the first: half the key),
///        bitmap | 98, varint count, count x print (8)
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LiveItem {
    /// Which dots of a block are live.
    Dots(Bits),
    /// The prints of the live events of a block, in order.
    Prints(Vec<u64>),
}

/// In the place of the first byte of a bitmap.
const PRINTS: u8 = 98;

impl LiveItem {
    /// The longest: the prints of a block of 256 dots.
    pub const BYTES_MAX: usize = VARINT_BYTES_MAX + 1 + 2 + 256 * size_of::<u64>();
}

impl Item for LiveItem {
    fn write(&self, key: u128, previous: Option<u128>, out: &mut Vec<u8>) {
        // Half of a key has 64 bits.
        out.varint(((key >> 1) - previous.map_or(0, |previous| previous >> 1)) as u64);
        match self {
            Self::Dots(bits) => write_bits(bits, out),
            Self::Prints(prints) => {
                out.byte(PRINTS);
                out.varint(prints.len() as u64);
                prints.iter().for_each(|print| out.put(&print.to_le_bytes()));
            }
        }
    }

    fn read(bytes: &mut NodeReader<'_>, previous: Option<u128>) -> Result<(u128, Self), WireError> {
        let skipped = u128::from(bytes.from.varint()?);
        let half = previous.map_or(0, |previous| previous >> 1) + skipped;
        if bytes.from.clone().byte()? != PRINTS {
            let (bits, more) = read_bits(&mut bytes.from)?;
            if more > 0 {
                return Err(WireError::OutOfRange("run in a node"));
            }
            return Ok((half << 1, Self::Dots(bits)));
        }
        bytes.from.byte()?;
        let count = bytes.from.length("prints", 256)?;
        let prints = (0..count).map(|_| bytes.from.array().map(u64::from_le_bytes));
        Ok((half << 1 | 1, Self::Prints(prints.collect::<Result<_, _>>()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_the_keys_that_begin_so() {
        let root = Prefix::default();
        assert_eq!(root.keys(), 0..=u128::MAX);
        let child = root.child(0xa).and_then(|prefix| prefix.child(1)).expect("not whole");
        assert_eq!(child.keys(), 0xa1 << 120..=(0xa2 << 120) - 1);
        assert!(root.holds(&child) && !child.holds(&root) && child.holds(&child));
        let whole = Prefix::common(5, 5);
        assert_eq!((whole.keys(), whole.child(0)), (5..=5, None));
        assert_eq!(Prefix::common(0xa1 << 120, (0xa2 << 120) - 1), child);
    }

    #[test]
    fn inner_nodes_are_read_back_wherever_their_keys_part() {
        for (asked, digits) in [(0, 0), (0, 1), (0, 31), (1, 3), (7, 24), (31, 31)] {
            let key = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128;
            let prefix = |digits: u8| Prefix {
                bits: key & mask(digits),
                digits,
            };
            let (asked, prefix) = (prefix(asked), prefix(digits));
            let mut children = [None; RADIX];
            (children[0], children[15]) = (Some(7), Some(u64::MAX));
            let mut out = Vec::new();
            write_inner(&asked, &prefix, &children, &mut out);
            let mut reader = NodeReader::new(&out);
            let node = reader.node::<u64>(&asked);
            assert_eq!(node, Ok(Node::Inner { prefix, children }));
            assert!(reader.is_empty());
        }
    }
}
