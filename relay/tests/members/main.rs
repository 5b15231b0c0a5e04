//! A relay as its members meet it: plain libp2p swarms over real sockets on 127.0.0.1, everything in one process.
//!
//! Each test has a relay of its own. Nothing sleeps: a test waits for an event, and fails when [`client::PATIENCE`] is over.

mod client;
mod discovery;
mod limits;
