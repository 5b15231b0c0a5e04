//! A vector that rises above another during a session.

use alloc::sync::Arc;

use crate::{
    causality::VersionVector,
    id::{AuthorId, Dot},
};

/// What a HELLO announced, raised by what was sent since. The announced vector may name very many authors and is shared.
#[derive(Clone, Debug)]
pub(super) struct Raised {
    base: Arc<VersionVector>,
    above: VersionVector,
    /// The author looked at last: events of one author come together.
    last: (AuthorId, u64),
}

impl Raised {
    pub(super) fn new(base: Arc<VersionVector>) -> Self {
        let author = AuthorId::default();
        Self {
            last: (author, base.get(&author)),
            above: VersionVector::new(),
            base,
        }
    }

    pub(super) fn get(&self, author: &AuthorId) -> u64 {
        if self.last.0 == *author {
            return self.last.1;
        }
        self.base.get(author).max(self.above.get(author))
    }

    pub(super) fn covers(&self, dot: &Dot) -> bool {
        dot.n <= self.get(&dot.author)
    }

    pub(super) fn advance(&mut self, author: AuthorId, n: u64) {
        let n = n.max(self.get(&author));
        if author != self.last.0 {
            self.above.advance(self.last.0, self.last.1);
        }
        self.last = (author, n);
    }

    /// Base and raised as one.
    pub(super) fn whole(&self) -> VersionVector {
        let mut whole = (*self.base).clone();
        whole.merge(&self.above);
        whole.advance(self.last.0, self.last.1);
        whole
    }
}
