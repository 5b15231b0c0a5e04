//! What the benches and `tests/cost.rs` share: one workload, the replicas that it is given to, and the link between two of them,
//! which counts what crosses. Nothing here reads the clock unless it is asked to time steps.
#![allow(dead_code, unreachable_pub, reason = "each bench uses its own part of it")]

pub mod authors;
pub mod case;
pub mod node;
pub mod out;
pub mod workload;
