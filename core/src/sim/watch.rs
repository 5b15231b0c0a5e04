//! What a run tells somebody who watches it.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::wire::{Frame, Gossip};

/// One line of the trace of a run.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The step.
    pub step: usize,
    /// Simulated milliseconds since the run began.
    pub millis: u64,
    /// Which replica it is about; `None` for all.
    pub replica: Option<usize>,
    /// What happened.
    pub what: &'a str,
}

/// Takes the lines of a trace.
pub type Watch<'a> = &'a mut dyn FnMut(&Line<'_>);

/// The kind of a frame, by the name that the protocol gives it.
pub(super) fn kind(frame: &[u8]) -> &'static str {
    match Frame::parse(frame) {
        Ok(Frame::Hello(_)) => "HELLO",
        Ok(Frame::Events { .. }) => "EVENTS",
        Ok(Frame::Body { .. }) => "BODY",
        Ok(Frame::Leaves { .. }) => "LEAVES",
        Ok(Frame::End { .. }) => "END",
        Ok(Frame::Have { .. }) => "HAVE",
        Ok(Frame::Want { .. }) => "WANT",
        Ok(Frame::Ask { .. }) => "ASK",
        Ok(Frame::Choose { .. }) => "CHOOSE",
        Ok(Frame::Vector { .. }) => "VECTOR",
        Ok(Frame::Judge { .. }) => "JUDGE",
        Ok(Frame::Nodes { .. }) => "NODES",
        Ok(Frame::Expand { .. }) => "EXPAND",
        Ok(Frame::Nothing(_)) => "NOTHING",
        Ok(Frame::Equal(_)) => "EQUAL",
        Ok(Frame::Ack(_)) => "ACK",
        Ok(Frame::Digest(..)) => "DIGEST",
        Ok(Frame::Present { .. }) => "PRESENT",
        Err(_) => "no frame",
    }
}

/// A frame by name and size.
pub(super) fn frame(frame: &[u8]) -> String {
    format!("{} ({} bytes)", kind(frame), frame.len())
}

/// A gossiped message by name and contents.
pub(super) fn message(message: &[u8]) -> String {
    match Gossip::decode(message) {
        Ok(Gossip::Txn(txn)) => {
            let last = txn.last();
            format!(
                "TXN {:?}.{} to {} ({} bytes)",
                last.author,
                txn.first,
                last.n,
                message.len()
            )
        }
        Ok(Gossip::Announce(last)) => format!("ANNOUNCE {last:?}"),
        Ok(Gossip::Present(presences)) => format!("PRESENCE of {}", presences.len()),
        Err(error) => error.to_string(),
    }
}
