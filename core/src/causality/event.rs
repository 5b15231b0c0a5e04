//! Events and the transactions they come in.

use alloc::{sync::Arc, vec::Vec};

use ecow::EcoString;

use crate::{
    causality::{Dots, Tips},
    id::{AuthorId, Dot},
    time::Hlc,
};

/// A key. Most are short, and up to 15 bytes stand where the key itself stands: a store of a million allocates no million texts,
/// and looking one up touches one place less. Longer ones are shared.
pub type Key = EcoString;

/// The bytes of a value, shared between the index, the outputs and whoever reads.
pub type Value = Arc<[u8]>;

/// What a value is to its siblings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Kind {
    /// One of several from which a reader chooses.
    #[default]
    Value,
    /// Its author's part of a sum; see [`counter`](super::counter).
    Counter,
}

/// What an event adds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// A value, as a sibling under its key.
    Put {
        /// Where.
        key: Key,
        /// What.
        value: Value,
        /// What it is to its siblings.
        kind: Kind,
    },
    /// Nothing: the event's dot is born dead. It has a dot all the same, which makes a missed delete detectable. Which key it
    /// emptied follows from the dots it removes.
    Delete,
}

/// One change of one key. Its dot follows from its place in the transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What it adds.
    pub op: Op,
    /// The siblings its author saw under the key, which it supersedes.
    pub removes: Dots,
}

/// Events of one author with consecutive dots, seen whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Txn {
    /// Who made it.
    pub author: AuthorId,
    /// The number of the first event; the others follow without holes.
    pub first: u64,
    /// When, by the author's clock.
    pub hlc: Hlc,
    /// The frontier of what its author saw. Everything in the past of these is seen before this transaction is.
    pub deps: Tips,
    /// The events; never empty, and no key twice among the puts.
    pub events: Vec<Event>,
}

impl Txn {
    /// The dot of the last event: the transaction's name in a frontier.
    pub fn last(&self) -> Dot {
        // A transaction is never empty and decoding refuses one whose numbers would overflow.
        Dot::new(self.author, self.first + self.events.len() as u64 - 1)
    }

    /// The events with their dots.
    pub fn dotted(&self) -> impl Iterator<Item = (Dot, &Event)> {
        (self.first..)
            .zip(&self.events)
            .map(|(n, event)| (Dot::new(self.author, n), event))
    }
}
