//! The secret of a store, and the keys that come of it.
//!
//! The secret itself encrypts and proves nothing. Each purpose has a key of its own, by HKDF with SHA-256 (RFC 5869), whose
//! `info` names the purpose: a key that gets out gives away neither the secret nor another key.

use alloc::{format, string::String};
use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Prover, Sealer};
use crate::id::StoreId;

/// How long a secret is: as long as the strength of all that comes of it.
pub const SECRET_BYTES: usize = 32;

/// Seconds in a day, after which a store's name at its relays is another.
const DAY: u64 = 24 * 60 * 60;

/// What makes its holder a member. Shown to nobody but by an invitation, and overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// The secret of these bytes, which have to be random.
    pub const fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The secret of a store that anybody may join who knows its name, or guesses it.
    pub fn of_name(name: &str) -> Self {
        Self(derive(name.as_bytes(), b"gossipstore 1 public"))
    }

    /// The bytes, for an invitation or to be kept.
    pub const fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// What members call the store among themselves, whatever its name is on each device.
    pub fn store(&self) -> StoreId {
        StoreId(derive(&self.0[..], b"gossipstore 1 store"))
    }

    /// What seals gossip.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(&self.derive("gossip"))
    }

    /// What proves to another member that this is one.
    pub fn prover(&self) -> Prover {
        Prover::new(self.derive("proof"))
    }

    /// The names under which members meet.
    pub fn topics(&self) -> Topics {
        Topics(self.derive("topic"))
    }

    fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive(&self.0[..], format!("gossipstore 1 {purpose}").as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The names under which a store's members find each other at a relay. Each is good for a day: nothing in two of them tells who does not
/// have the secret that they are of one store.
#[derive(Clone)]
pub struct Topics(Zeroizing<[u8; 32]>);

impl Topics {
    /// The name on the day of this time, in seconds since 1970, and on the day before: members register under the first and look
    /// under both, so that they meet around midnight and when their clocks differ by less than a day.
    pub fn around(&self, now: u64) -> [String; 2] {
        let day = now / DAY;
        [self.on(day), self.on(day.saturating_sub(1))]
    }

    /// How many seconds the first name of [`Self::around`] is good for.
    pub fn lasts(now: u64) -> u64 {
        DAY - now % DAY
    }

    /// The name under which they gossip. It lasts, as it is told to members only.
    pub fn gossip(&self) -> String {
        self.on(u64::MAX)
    }

    fn on(&self, day: u64) -> String {
        let name: [u8; 16] = derive(&self.0[..], &day.to_be_bytes());
        name.iter()
            .fold(String::from("gossipstore/1/"), |name, byte| format!("{name}{byte:02x}"))
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Topics(..)")
    }
}

fn derive<const N: usize>(key: &[u8], info: &[u8]) -> [u8; N] {
    let mut derived = [0; N];
    Hkdf::<Sha256>::new(None, key)
        .expand(info, &mut derived)
        .expect("HKDF with SHA-256 gives up to 8,160 bytes");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869, test case 3: no salt, no info.
    #[test]
    fn keys_are_derived_as_the_standard_has_it() {
        let mut derived = [0; 42];
        Hkdf::<Sha256>::new(None, &[0x0b; 22])
            .expand(b"", &mut derived)
            .unwrap();
        let expected = [
            0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80, 0x2a, 0x06, 0x3c, 0x5a, 0x31, 0xb8, 0xa1,
            0x1f, 0x5c, 0x5e, 0xe1, 0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d, 0x9d, 0x20, 0x13, 0x95,
            0xfa, 0xa4, 0xb6, 0x1a, 0x96, 0xc8,
        ];
        assert_eq!(derived, expected);
    }

    #[test]
    fn names_change_with_the_day_and_overlap_for_one() {
        let topics = Secret::new([7; 32]).topics();
        let noon = 20_000 * DAY + DAY / 2;
        let [today, yesterday] = topics.around(noon);
        assert_eq!(topics.around(noon + DAY)[1], today);
        assert_eq!(topics.around(noon - DAY)[0], yesterday);
        assert_ne!(today, yesterday);
        assert_ne!(Secret::new([8; 32]).topics().around(noon)[0], today);
        assert_eq!(Topics::lasts(noon), DAY / 2);
        assert_eq!(topics.around(0)[0], topics.around(0)[1]);
        assert_eq!(today.len(), "gossipstore/1/".len() + 32);
    }

    #[test]
    fn nothing_that_is_printed_tells_a_secret() {
        let secret = Secret::new([0xab; 32]);
        for printed in [
            format!("{secret:?}"),
            format!("{:?}", secret.topics()),
            format!("{:?}", secret.prover()),
        ] {
            assert!(!printed.contains("ab") && !printed.contains("171"), "{printed}");
        }
    }
}
