//! The GossipStore replica as a value.
//!
//! A replica is fed and drained, not run: hand it an [`replica::Input`], take every [`replica::Output`], come back at
//! [`replica::Replica::poll_timeout`]. It does no I/O, reads no clock, draws no randomness of its own and uses no async; the same
//! inputs give the same bytes. Three drivers run it: the browser tab, the native node and the seeded simulator.
//!
//! The rooms, from the bottom: [`id`] and [`time`] are plain values; [`causality`] says which event removes which; [`cache`]
//! is a bounded map that knows nothing of the rest; [`store`] keeps the live entries; [`wire`] is every byte that crosses
//! between peers; [`sync`] is a session; [`presence`] is who is there, which is never stored; [`replica`] joins them into the engine;
//! [`disk`] is every byte that is kept. Beside them [`membership`] says who may take part.
//!
//! [`mutation`] holds deliberate bugs for the tests; every room may ask for them.
//!
//! Architecture invariant: `store` and `sync` never meet; `replica` adapts one to the other.
//! Architecture invariant: nothing here needs an operating system.

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod cache;
pub mod causality;
pub mod disk;
pub mod id;
pub mod membership;
pub mod mutation;
pub mod presence;
pub mod replica;
#[cfg(feature = "sim")]
pub mod sim;
pub mod store;
pub mod sync;
pub mod time;
pub mod wire;
