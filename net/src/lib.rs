//! One libp2p node that drives a GossipStore replica, the same code for a browser tab (`wasm32`) and a native process.
//!
//! The replica is a value that is fed and drained (`gossipstore_core::replica`). This crate owns everything the replica
//! must not have: sockets, timers, the clock and the system's randomness. [`open`] gives a [`Node`], the future that
//! does the work, and a [`Handle`], through which callers write, read and listen from anywhere.
//!
//! The way of a write: [`Handle::transact`] feeds the command into the `engine` then and there, so that the next read
//! sees it; what the replica wants sent is queued for the node, which gossips it to every member it is linked with.
//!
//! The way to a member: a relay is dialled and asked for a reservation (`relays`), the store's name of the day is
//! registered there and others are found (`discovery`), one of them is dialled through the relay's circuit, both open
//! a `/gossipstore/sync/1` stream (`links`) and prove on it that they are members (`handshake`). Only then do they hear more of each
//! other (`admission`): both subscribe to the store's topic (`gossip`), and the replica is told `PeerUp` (`joining`); from then on gossip carries what is new and a session what is old. Meanwhile two browsers
//! connect directly (`upgrades`); the direct connection becomes the link, and the circuit is closed. Each then holds a place with the
//! other (`places`), which tells those that it is linked with whom they can reach through it (`introductions`).
//!
//! What is written is kept by a [`storage::Storage`], if one is given (`keeper`), and loaded from there in slices (`opening`, `loading`);
//! single keys can be read meanwhile (`early`).
//!
//! Connections are pinged (`pings`) and closed when they are dead (`liveness`); one who has slept asks before it judges.
//!
//! Architecture invariant: only `transport`, `direct`, the executor in `swarm`, `breath` and the addresses that `address` takes
//! depend on whether this is a browser.
//! Architecture invariant: no state machine here reads a clock or draws randomness; `node` hands both in.
//! Architecture invariant: being offline is no error. Nothing but `OpenError` keeps a replica from working.

mod address;
mod admission;
mod behaviour;
mod breath;
mod cause;
mod clock;
mod direct;
mod discovery;
mod drowsy;
mod early;
mod engine;
mod error;
mod events;
mod framing;
mod gossip;
mod handle;
mod handshake;
mod introductions;
mod joining;
mod keeper;
mod link;
mod links;
mod liveness;
mod loading;
mod membership;
#[cfg(test)]
mod memory;
mod merging;
mod names;
mod node;
mod numbers;
mod opening;
mod options;
mod pace;
mod pings;
mod places;
mod refusals;
mod relays;
mod retry;
mod selective;
mod status;
pub mod storage;
mod swarm;
mod timer;
mod transport;
mod upgrades;
mod values;
#[cfg(target_arch = "wasm32")]
mod websocket;
mod window;

pub use early::Early;
pub use error::{ImportError, OpenError, StoreError};
pub use events::NodeEvent;
pub use gossipstore_core::membership::{Invitation, InvitationError, Secret};
pub use handle::Handle;
pub use node::Node;
pub use opening::{Opening, open, open_stored};
pub use options::{IceServer, Options};
pub use refusals::Refusals;
pub use status::{Network, Path, PeerStatus, RelayState, RelayStatus, Role, Status, StorageKind, StorageStatus};
pub use values::{Read, Values};
