//! Segments of the record ring: what events that died lately had removed, the oldest first.
//!
//! A segment is a stream of dead events.

use alloc::vec::Vec;

use super::commit;
use crate::{
    causality::Dots,
    id::Dot,
    wire::{Described, WireError},
};

/// How many segments there may be before they are made one.
pub(super) const SEGMENTS_MAX: usize = 16;

pub(super) fn encode(records: impl Iterator<Item = (Dot, Dots)>) -> Vec<u8> {
    let (mut writer, mut out) = (commit::writer(), Vec::new());
    for (dot, removes) in records {
        writer.dead(dot, &removes, &mut out);
    }
    out
}

pub(super) fn decode(payload: &[u8], mut take: impl FnMut(Dot, Dots)) -> Result<(), WireError> {
    commit::reader().read(
        payload,
        |_| None,
        |event| match event {
            Described::Dead { dot, removes } => {
                take(dot, removes);
                Ok(())
            }
            Described::Live { .. } | Described::Forgotten { .. } => Err(WireError::OutOfRange("live event in a ring")),
        },
    )
}
