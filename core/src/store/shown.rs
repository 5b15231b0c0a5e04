//! What a reader is shown.

use crate::{causality::Body, id::Dot};

/// The value that a plain read shows, and the event that wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its entry; of counters, the one of the greatest rank.
    pub dot: Dot,
    /// The value.
    pub body: Body,
}
