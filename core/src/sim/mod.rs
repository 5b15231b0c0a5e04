//! A seeded simulation of many replicas, and the oracle that judges them.
//!
//! One thread, one random stream, one clock: the same seed gives the same run, byte for byte. A run draws a [`Profile`] (how
//! many replicas and keys, how small the ring and the blocks, how bad the network, whether a member is hostile), takes random
//! steps, lets the network heal, and ends when all is quiet.
//!
//! What the steps do, each in a file of its own: the `network` loses, repeats, reorders and delays, is cut between any two frames and
//! at one end only, lets through in one direction only, and delivers what belongs to links long gone. The `disk` forgets what was not
//! flushed, or a part of it; old images are put back, profiles copied. A `client` asks again for what a replica that died has not
//! answered. The clocks of a `node` are hours off and jump. A `hostile`
//! member adds to the frames of its replica what no honest replica sends.
//!
//! The `oracle` keeps the set `E` of all events ever made. At every visible step of every replica it demands
//! `L == puts(E|V) - removes(E|V)`: the live dots are exactly those that the events within the version vector leave. This
//! one check covers convergence, causality, atomicity, no lost update and no resurrection.
//!
//! Beside that, no call is carried out twice, and none that was answered is lost in a crash; what a replica shows is at every step what it told its callers of, change by change; in the end all agree on winners,
//! siblings and frontier, and each would be the same after a restart; and beside a hostile member no bound of the engine is exceeded.
//!
//! [`run`] gives a [`Tally`] of what happened, [`replay`] tells it line by line, [`sweep`] runs many seeds on all cores.

mod client;
mod disk;
mod hostile;
mod network;
mod node;
mod oracle;
mod profile;
mod random;
mod rest;
mod run;
mod steps;
mod sweep;
mod tally;
mod watch;
mod world;

pub use hostile::{Hostility, Lie};
pub use oracle::{Flaw, Moment, Oracle};
pub use profile::Profile;
pub use run::{Outcome, Violation, replay, run, run_hostile, run_mutated};
pub use sweep::sweep;
pub use tally::Tally;
pub use watch::{Line, Watch};
