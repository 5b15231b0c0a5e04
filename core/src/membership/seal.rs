//! Sealed gossip: only members can read it, or make it.
//!
//! ```text
//! sealed = nonce (24 bytes), XChaCha20-Poly1305 of the message with its tag (16 bytes)
//! ```
//!
//! The nonce is random and long enough that none ever comes twice (draft-irtf-cfrg-xchacha-03, section 2). The key is of one
//! store, and the author of what is gossiped is in the message: who is no member can pass it off as neither another store's nor another's.

use alloc::vec::Vec;
use core::fmt;

use chacha20poly1305::{AeadInPlace as _, KeyInit as _, XChaCha20Poly1305};
use zeroize::Zeroizing;

/// How many random bytes a message is sealed with.
pub const NONCE_BYTES: usize = 24;

const TAG_BYTES: usize = 16;

/// How much longer a message is when it is sealed.
pub const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// Seals and unseals the gossip of one store.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

/// What was to be unsealed was not sealed by a member of the store, or was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotSealed;

impl fmt::Display for NotSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was not sealed by a member of the store, or was changed on its way")
    }
}

impl core::error::Error for NotSealed {}

impl Sealer {
    pub(super) fn new(key: &Zeroizing<[u8; 32]>) -> Self {
        Self(XChaCha20Poly1305::new((&**key).into()))
    }

    /// The message as it may be shown to anybody. No two may be sealed with the same nonce: it has to be random.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], message: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(SEAL_BYTES + message.len());
        sealed.extend(nonce);
        sealed.extend(message);
        let tag = self
            .0
            .encrypt_in_place_detached(&nonce.into(), &[], &mut sealed[NONCE_BYTES..])
            .expect("a message is far below the 256 GiB that a nonce is good for");
        sealed.extend(tag);
        sealed
    }

    /// The message that a member has sealed.
    ///
    /// # Errors
    /// When it is not one.
    pub fn unseal(&self, sealed: &[u8]) -> Result<Vec<u8>, NotSealed> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(NotSealed)?;
        let (message, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(NotSealed)?;
        let mut message = Vec::from(message);
        self.0
            .decrypt_in_place_detached(nonce.into(), &[], &mut message, tag.into())
            .map_err(|_| NotSealed)?;
        Ok(message)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::membership::Secret;

    fn sealer(secret: u8) -> Sealer {
        Secret::new([secret; 32]).sealer()
    }

    #[test]
    fn a_member_reads_what_a_member_sealed_and_nobody_else_does() {
        let sealed = sealer(1).seal([9; NONCE_BYTES], b"milk");
        assert_eq!(sealed.len(), SEAL_BYTES + 4);
        assert_eq!(sealer(1).unseal(&sealed).unwrap(), b"milk");
        assert_eq!(sealer(2).unseal(&sealed), Err(NotSealed));
        assert_eq!(sealer(1).unseal(&sealer(1).seal([9; NONCE_BYTES], b"")).unwrap(), b"");
    }

    #[test]
    fn what_was_changed_or_cut_is_refused() {
        let sealed = sealer(1).seal([9; NONCE_BYTES], b"milk");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer(1).unseal(&changed), Err(NotSealed), "byte {at}");
            assert_eq!(sealer(1).unseal(&sealed[..at]), Err(NotSealed), "{at} bytes");
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", sealer(1)), "Sealer(..)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(sealer(1).unseal(&bytes), Err(NotSealed));
        }
    }
}
