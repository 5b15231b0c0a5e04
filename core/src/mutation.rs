//! Deliberate bugs, for a test that shows that the simulation would find them.
//!
//! Each is a mistake that a store of this kind is easily built with. A build without the feature `mutations` has none of them, and
//! the compiler removes the questions.

/// A deliberate bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mutation {
    /// The peer's vector is merged at its HELLO, before its data is here.
    ContextAtHello,
    /// What a session has brought so far is visible before its END.
    VisibleBeforeEnd,
    /// A transaction is applied although its author's earlier ones are missing: the vector becomes a maximum over gaps.
    VectorOverGaps,
    /// What arrives at the sender during a session is not sent, and END covers it all the same.
    NoCatchUp,
    /// After a crash that lost writes, the replica goes on with its author id.
    AuthorResumed,
    /// A copied profile goes on with the author id of the original.
    AuthorCloned,
    /// When the body of a value is evicted, its dot goes with it.
    DotEvicted,
    /// The body of a value may be evicted before it is on the disk.
    BodyEvictedEarly,
    /// The ring holds records of deletes only, and what is not in it counts as having removed nothing.
    RingOfDeletes,
    /// An author without live entries is dropped from the vector.
    AuthorForgotten,
    /// Which calls were carried out is forgotten when a replica is opened again.
    CallForgotten,
    /// A call is gossiped before it is durable.
    CallAtOnce,
    /// Two different events under one dot stay where they are.
    ForkUnsettled,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::ContextAtHello,
        Self::VisibleBeforeEnd,
        Self::VectorOverGaps,
        Self::NoCatchUp,
        Self::AuthorResumed,
        Self::AuthorCloned,
        Self::DotEvicted,
        Self::BodyEvictedEarly,
        Self::RingOfDeletes,
        Self::AuthorForgotten,
        Self::CallForgotten,
        Self::CallAtOnce,
        Self::ForkUnsettled,
    ];
}

/// Which deliberate bug a replica has, if any.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mutated {
    #[cfg(feature = "mutations")]
    by: Option<Mutation>,
}

impl Mutated {
    /// With this bug.
    #[cfg(feature = "mutations")]
    pub fn by(mutation: Option<Mutation>) -> Self {
        Self { by: mutation }
    }

    #[cfg(feature = "mutations")]
    pub(crate) fn is(self, mutation: Mutation) -> bool {
        self.by == Some(mutation)
    }

    #[cfg(not(feature = "mutations"))]
    pub(crate) fn is(self, _: Mutation) -> bool {
        false
    }
}
