//! What the benches and `tests/cost.rs` share: one workload, the replicas that it is given to, and the link between two of them,
//! which counts what crosses. Nothing here reads a clock unless it is asked to time steps.
//!
//! Times are of the processor, spent on this thread: on a busy machine the clock on the wall measures the neighbours.
#![allow(dead_code, unreachable_pub, reason = "each bench uses its own part of it")]

pub mod authors;
pub mod case;
pub mod node;
pub mod out;
pub mod workload;
