//! The proof that a peer is a member, which both give each other before anything is said of the store.
//!
//! ```text
//! challenge = 32 random bytes, drawn for this connection
//! proof     = HMAC-SHA-256 (RFC 2104) under the proof key of: "gossipstore 1 member", then for who proves and for whom it is proven to:
//!             length of the peer id (2 bytes, big endian), peer id, challenge
//! ```
//!
//! The peer ids are those that the connection itself has proven (Noise, or DTLS with fingerprints that were told over Noise), so
//! nobody in the middle can pass a proof on; each side's challenge makes it good for this connection only; and as the two sides
//! stand in an order, a proof cannot be given back to who gave it.

use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How many random bytes a challenge has.
pub const CHALLENGE_BYTES: usize = 32;

/// How long a proof is.
pub const PROOF_BYTES: usize = 32;

const LABEL: &[u8] = b"gossipstore 1 member";

/// One side of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Side<'a> {
    /// Its peer id, as bytes.
    pub peer: &'a [u8],
    /// What it has drawn for this connection.
    pub challenge: &'a [u8; CHALLENGE_BYTES],
}

/// Proves membership of one store, and checks proofs of it.
#[derive(Clone)]
pub struct Prover(Zeroizing<[u8; 32]>);

impl Prover {
    pub(super) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// What `of` sends to `to`.
    pub fn prove(&self, of: Side<'_>, to: Side<'_>) -> [u8; PROOF_BYTES] {
        self.mac(of, to).finalize().into_bytes().into()
    }

    /// Whether `of` has the secret. Takes as long for a wrong proof as for a right one.
    pub fn verify(&self, of: Side<'_>, to: Side<'_>, proof: &[u8]) -> bool {
        self.mac(of, to).verify_slice(proof).is_ok()
    }

    fn mac(&self, of: Side<'_>, to: Side<'_>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(LABEL);
        for Side { peer, challenge } in [of, to] {
            let length = u16::try_from(peer.len()).expect("peer ids have some 40 bytes");
            mac.update(&length.to_be_bytes());
            mac.update(peer);
            mac.update(challenge);
        }
        mac
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Secret;

    const ANN: Side<'_> = Side {
        peer: b"ann",
        challenge: &[1; 32],
    };
    const BEN: Side<'_> = Side {
        peer: b"ben",
        challenge: &[2; 32],
    };

    fn prover(secret: u8) -> Prover {
        Secret::new([secret; 32]).prover()
    }

    #[test]
    fn members_believe_each_other() {
        assert!(prover(1).verify(ANN, BEN, &prover(1).prove(ANN, BEN)));
        assert!(prover(1).verify(BEN, ANN, &prover(1).prove(BEN, ANN)));
    }

    #[test]
    fn a_proof_is_good_for_one_store_one_direction_and_one_connection() {
        let proof = prover(1).prove(ANN, BEN);
        assert!(!prover(2).verify(ANN, BEN, &proof), "another store");
        assert!(!prover(1).verify(BEN, ANN, &proof), "given back");
        let relay = Side { peer: b"relay", ..ANN };
        assert!(!prover(1).verify(relay, BEN, &proof), "passed on by another");
        assert!(
            !prover(1).verify(ANN, Side { peer: b"relay", ..BEN }, &proof),
            "passed on to another"
        );
        let again = Side {
            challenge: &[3; 32],
            ..BEN
        };
        assert!(!prover(1).verify(ANN, again, &proof), "replayed");
        for length in 0..PROOF_BYTES {
            assert!(!prover(1).verify(ANN, BEN, &proof[..length]), "{length} bytes of it");
        }
    }
}
