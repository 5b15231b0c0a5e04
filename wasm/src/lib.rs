//! wasm-bindgen bindings of GossipStore: what the TypeScript facade of the npm package `@gossipstore/core` stands on.
//!
//! This crate converts and calls. An [`engine::Engine`] is one open store: it wraps a `gossipstore_net::Handle`, runs the
//! node as a task of the page, and turns bytes, strings and plain objects into Rust values and back. Rules of the store live
//! in core, rules of the network in net, comfort (iterators, typed values, events) in `ts/`.
//!
//! How things cross, measured (`bench/crossing`):
//! * values as bytes in a `Uint8Array`; the facade's codec makes and reads them. The crate never looks inside.
//! * batches as columns (an array of keys beside an array of values), one call for all.
//! * options, status and other small shapes with serde-wasm-bindgen.
//!
//! Architecture invariant: nothing here is called by a name that an application sees; the facade's `host.ts` is between.

mod convert;
pub mod engine;
pub mod error;
mod event;
#[cfg(target_arch = "wasm32")]
pub mod indexed_db;
pub mod invitation;
#[cfg(target_arch = "wasm32")]
mod listener;
mod page;
mod panic;

pub use panic::on_panic;
