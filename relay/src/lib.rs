//! The GossipStore relay: where members of a store find each other and meet until they have a direct path.
//!
//! It is three libp2p protocols and no more: a circuit relay v2 server, which carries bytes between two members that it
//! cannot read (they are encrypted end to end); a rendezvous server, which tells the members of a namespace that are
//! connected of each other; and identify and ping. It stores nothing but its own identity, and knows nothing of stores:
//! a namespace is a hash.
//!
//! The library is the same relay for tests and embedding: [`Relay::start`], then [`Relay::run`].

mod addresses;
mod identity;
mod limits;
mod places;
mod refusals;
mod rendezvous;
mod server;

pub use identity::{Identity, IdentityError};
pub use limits::Limits;
pub use server::{Options, Relay, StartError};
