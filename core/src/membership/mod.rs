//! Who belongs to a store: whoever has its secret, which an invitation carries.
//!
//! Values and computations only. Randomness and the time are handed in, as everywhere in this crate; the primitives are
//! RustCrypto's, and nothing is put together that is not in a standard.
//!
//! Import arrow: `membership` uses `id` and the primitives of `wire`, and knows none of the other rooms.

mod invitation;
mod proof;
mod seal;
mod secret;

pub use invitation::{Invitation, InvitationError, NAME_BYTES_MAX, RELAY_BYTES_MAX, RELAYS_MAX};
pub use proof::{CHALLENGE_BYTES, PROOF_BYTES, Prover, Side};
pub use seal::{NONCE_BYTES, NotSealed, SEAL_BYTES, Sealer};
pub use secret::{SECRET_BYTES, Secret, Topics};
