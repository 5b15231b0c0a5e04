//! A session: one reconciliation with one peer, in one direction, as a value that is fed frames.
//!
//! The receiver says HELLO with its version vector. The sender answers with every event that the vector does not cover: live
//! ones with their entry, dead ones with what they had removed. Whatever arrives at the sender meanwhile is sent the same way
//! before END, so that nothing has to be pinned. The receiver stages all of it and hands it over whole at END as a [`Delta`]; cut
//! anywhere before, a session leaves no trace in the visible state. What it had staged is kept aside ([`Staged`]), so that the next
//! session need not bring it again.
//!
//! Why the delta is enough: let `R` be the receiver's state and `T` the sender's at END, both closed event sets. Every event
//! of `T` outside `R` is described with what it removes, so `live = puts(R and T) - removes(R and T)` can be computed from the
//! receiver's entries and the delta. When the record of a dead event has left the sender's ring, the receiver learns which of its
//! dots are dead at the sender instead: by a list of the live ones (LEAVES), or where that would be long by a descent.
//!
//! What a session needs of a store is the small [`Source`]; the engine adapts its store to it.

mod descent;
mod error;
mod incoming;
mod outgoing;
mod raised;
mod stage;
mod vector;

pub(crate) use descent::masked;
pub use error::SessionError;
pub use incoming::{Delta, Incoming, Judged, Progress};
pub use outgoing::{Manner, Outgoing, Source};
pub use stage::{STAGE_BYTES_MAX, Sizes, Staged};
pub use vector::VectorDescent;
