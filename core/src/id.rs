//! Names: of stores, authors, events and content.
//!
//! A name here is a plain value that can be compared, ordered and encoded. What the names mean for each other
//! (which event removes which) is causality's business.

use core::{fmt, str::FromStr};

/// One writing open of a replica: 16 random bytes, drawn at the first write after each open and never resumed from disk,
/// so that no dot can be used twice after a crash that lost writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AuthorId(pub [u8; 16]);

impl fmt::Debug for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

impl fmt::Display for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// The name of one event: the `n`th (from 1, without holes) of its author. The default names none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Dot {
    /// Who made the event.
    pub author: AuthorId,
    /// Which of the author's events it is, counted from 1.
    pub n: u64,
}

impl Dot {
    /// The `n`th event of `author`.
    pub const fn new(author: AuthorId, n: u64) -> Self {
        Self { author, n }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.author, self.n)
    }
}

/// The text is no dot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotADot;

impl FromStr for Dot {
    type Err = NotADot;

    fn from_str(text: &str) -> Result<Self, NotADot> {
        let (author, n) = text.split_once('.').ok_or(NotADot)?;
        let number = u128::from_str_radix(author, 16).ok().filter(|_| author.len() == 32);
        Ok(Self {
            author: AuthorId(number.ok_or(NotADot)?.to_be_bytes()),
            n: n.parse().map_err(|_| NotADot)?,
        })
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.author, self.n)
    }
}

/// Which store a replica is a copy of, or which a disk is: members compare it before anything is said of what is in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// The id that a name gives.
    pub fn from_name(name: &str) -> Self {
        Self(half(blake3::derive_key("gossipstore 1 store id", name.as_bytes())))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

/// The digest of a version vector, half a BLAKE3 hash: equal digests, equal stores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The digest that a finished hash gives.
    pub(crate) fn of(hash: &blake3::Hash) -> Self {
        Self(half(*hash.as_bytes()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

/// What a transaction hashes to, half a BLAKE3 hash: it stands for the transaction and all of its past.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TxnHash(pub [u8; 16]);

impl TxnHash {
    /// That of a transaction which was stored by a version that did not hash them.
    pub const UNKNOWN: Self = Self([0; 16]);

    /// The hash that a finished one gives.
    pub(crate) fn of(hash: &blake3::Hash) -> Self {
        Self(half(*hash.as_bytes()))
    }
}

impl fmt::Debug for TxnHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

impl fmt::Display for TxnHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// The BLAKE3 hash of a value's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Hashes a value.
    pub fn of(value: &[u8]) -> Self {
        Self(*blake3::hash(value).as_bytes())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

/// Names one tab among those that are present: a number drawn at random when its store is opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PresenceId(pub u64);

impl fmt::Display for PresenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text names no tab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAPresenceId;

impl FromStr for PresenceId {
    type Err = NotAPresenceId;

    fn from_str(text: &str) -> Result<Self, NotAPresenceId> {
        let number = u64::from_str_radix(text, 16).map_err(|_| NotAPresenceId)?;
        // In the one form that is written.
        let is_whole = text.len() == 16 && !text.starts_with('+');
        is_whole.then_some(Self(number)).ok_or(NotAPresenceId)
    }
}

/// Names one opening of a replica among those that tabs are present with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Home(pub u64);

impl Home {
    /// The name of the opening that draws all else from this seed, of which it gives nothing away.
    pub fn of(seed: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key("gossipstore 1 home", seed);
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// An endpoint we exchange bytes with: a number the driver chose for one connection. A peer that comes back may have
/// another number; nothing durable depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Peer(pub u64);

/// 128 bits: names that nobody gains by colliding, and a digest that two honest vectors do not share.
fn half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn a_presence_id_is_read_as_it_is_written() {
        let id = PresenceId(0xab);
        assert_eq!(
            (id.to_string().as_str(), id.to_string().parse()),
            ("00000000000000ab", Ok(id))
        );
        for text in ["", "ab", "+0000000000000ab", "00000000000000ag", "000000000000000ab"] {
            assert_eq!(text.parse::<PresenceId>(), Err(NotAPresenceId), "{text}");
        }
    }

    #[test]
    fn a_dot_is_read_as_it_is_written() {
        let dot = Dot::new(AuthorId(*b"\x00\x01 sixteenbytes!"), u64::MAX);
        assert_eq!(dot.to_string().parse(), Ok(dot));
        for text in [
            "",
            "1.1",
            "00.1",
            "x",
            "0001207369787465656e206279746573.",
            "+001207369787465656e20627974657.1",
        ] {
            assert_eq!(text.parse::<Dot>(), Err(NotADot), "{text}");
        }
    }
}
