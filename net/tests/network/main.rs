//! Nodes and relays over real sockets on 127.0.0.1, everything in one process.
//!
//! Each test has a relay and a store name of its own. Nothing sleeps: a test waits for a condition, looking again at
//! each event of the node that it asks, and fails with the node's status when [`support::PATIENCE`] is over.

#[cfg(target_os = "linux")]
mod alone;
mod apart;
mod catching_up;
mod hostile;
mod meeting;
mod presence;
mod relays;
mod support;
