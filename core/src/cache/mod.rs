//! A bounded map that forgets what was used least recently.
//!
//! [`LruCache`] keeps entries in the order of their last use and holds two limits at once: how many entries, and how many
//! bytes they weigh together. The weight of an entry is told when it is inserted and never asked again, so a value that
//! changes behind a shared pointer cannot corrupt the sum. What the cache drops by its own decision is handed back with the
//! reason ([`Eviction`]); what the caller replaces or removes is the caller's.
//!
//! The TypeScript class `LRUCache` of the npm package behaves the same; `tests/vectors/lru.json` holds both to it.
//!
//! Architecture invariant: this room imports nothing of core. Weighing a value is the caller's business.

mod limits;
mod lru;

pub use limits::{LimitError, Limits};
pub use lru::{Eviction, Iter, LruCache};
