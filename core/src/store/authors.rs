//! Small numbers for the authors that a store has seen.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::id::{AuthorId, Dot};

/// The number of an author within one store. Never leaves the process.
pub(super) type AuthorNumber = u32;

/// Author ids by number and back. An author stays for ever, as it does in the version vector.
#[derive(Clone, Debug, Default)]
pub(super) struct Authors {
    ids: Vec<AuthorId>,
    numbers: HashTable<AuthorNumber>,
}

impl Authors {
    pub(super) fn id(&self, number: AuthorNumber) -> AuthorId {
        self.ids[number as usize]
    }

    pub(super) fn number(&self, id: &AuthorId) -> Option<AuthorNumber> {
        self.numbers
            .find(hash(id), |number| self.ids[*number as usize] == *id)
            .copied()
    }

    pub(super) fn number_or_add(&mut self, id: AuthorId) -> AuthorNumber {
        if let Some(number) = self.number(&id) {
            return number;
        }
        let number = u32::try_from(self.ids.len()).expect("a vector names at most a million authors");
        self.ids.push(id);
        self.numbers
            .insert_unique(hash(&id), number, |number| hash(&self.ids[*number as usize]));
        number
    }

    pub(super) fn dot(&self, compact: Compact) -> Dot {
        Dot::new(self.id(compact.author), compact.n)
    }

    pub(super) fn compact(&mut self, dot: &Dot) -> Compact {
        Compact {
            author: self.number_or_add(dot.author),
            n: dot.n,
        }
    }
}

/// A dot by its author's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Compact {
    pub(super) author: AuthorNumber,
    pub(super) n: u64,
}

fn hash(id: &AuthorId) -> u64 {
    // Author ids are random already; hashing defends against ids made to collide.
    FixedState::default().hash_one(id.0)
}
