//! Which event removes which: dots, version vectors, contexts, frontiers, transactions.
//!
//! The lineage is dotted version vectors (Preguiça et al., arXiv 1011.5808) and the delta-CRDT causal map with one shared
//! context (Almeida, Shoker, Baquero, arXiv 1603.01529), specialised to full replicas whose visible state is a closed event
//! set: contiguous per author, down-closed under `deps`, transactions whole. From that one property follow the three that
//! the rest of core relies on: a version vector never has gaps, equal version vectors mean equal live entries, and a dot that
//! is covered but not live *is* the tombstone, at no cost.
//!
//! This room holds values and their algebra. Where the live entries are kept is the store's business.

mod body;
mod context;
pub mod counter;
mod event;
mod few;
mod fork;
mod frontier;
mod hash;
mod vector;

pub use body::{Absent, Body, Print};
pub use context::Context;
pub use event::{Event, Key, Kind, Op, Txn, Value};
pub use few::{Dots, Few, Tips};
pub use fork::{Fork, Found};
pub use frontier::{Frontier, Tip};
pub use hash::{TxnHasher, print_of};
pub use vector::VersionVector;
