//! What the fuzz targets do with their input, one module a target: each `run` takes any bytes and must return.
//!
//! [`frame`] reads them as what peers and callers hand in; [`session`] plays them as a hostile network around a replica;
//! [`batch`] plays them as a disk that lost or changed something; [`cache`] as calls of the LRU cache; [`membership`] reads them as
//! an invitation and as sealed gossip. `session`, `batch` and `cache` read their bytes as a script from a [`tape`] that never ends in an error, so that any bytes are some script; [`host`] runs a replica as a driver
//! does and compares it with what it told.
//!
//! The binaries in `fuzz_targets` hand libFuzzer's inputs to `run`; `tests/replay.rs` hands it those that are kept.

#![forbid(unsafe_code)]

pub mod batch;
pub mod cache;
pub mod frame;
pub mod host;
pub mod membership;
pub mod session;
pub mod tape;

/// A target: its name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("batch", batch::run),
    ("cache", cache::run),
    ("frame", frame::run),
    ("membership", membership::run),
    ("session", session::run),
];
