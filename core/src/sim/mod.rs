//! A seeded simulation of many replicas, and the oracle that judges them.
//!
//! One thread, one random stream, one clock: the same seed gives the same run, byte for byte. A run draws a [`Profile`] (how
//! many replicas and keys, how small the ring, how bad the network), takes random steps (writes, deliveries, losses,
//! duplicates, cuts, crashes that lose unflushed batches, restored backups, cloned profiles), lets the network heal, and ends
//! when all is quiet.
//!
//! The oracle keeps the set `E` of all events ever made. At every visible step of every replica it demands
//! `L == puts(E|V) - removes(E|V)`: the live dots are exactly those that the events within the version vector leave. This
//! one check covers convergence, causality, atomicity, no lost update and no resurrection.

mod network;
mod oracle;
mod profile;
mod random;
mod run;

pub use oracle::{Oracle, Violation};
pub use profile::Profile;
pub use run::{Outcome, run, run_mutated};
