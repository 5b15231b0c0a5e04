//! Short names for authors within a stream of frames.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    AUTHORS_MAX, WireError,
    bytes::{Reader, Writer},
};
use crate::{causality::VersionVector, id::AuthorId};

/// Numbers for the authors that both ends know, so that an author is named by 1 to 3 bytes instead of 16. It begins with the
/// authors of a vector that both hold, in order, and grows as the writer names new ones; both ends see the same stream and hence
/// hold the same table.
///
/// On the wire: a varint `i`. 0: 16 bytes of a new author follow. Otherwise the author with number `i - 1`.
#[derive(Clone, Debug, Default)]
pub struct AuthorTable {
    /// In order, so that an author is found by halving.
    known: Vec<AuthorId>,
    added: Vec<AuthorId>,
    /// Only kept once a search through the list of those added would be slower.
    numbers: BTreeMap<AuthorId, u64>,
}

/// Up to so many authors are found by looking at each.
const LISTED_MAX: usize = 16;

impl AuthorTable {
    /// The table that begins with the authors of `vector`.
    pub fn new(vector: &VersionVector) -> Self {
        Self {
            known: vector.iter().map(|(author, _)| author).collect(),
            ..Self::default()
        }
    }

    /// Empties the table.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.added.clear();
        self.numbers.clear();
    }

    fn add(&mut self, author: AuthorId) {
        if self.added.len() == LISTED_MAX {
            self.numbers = (0..)
                .zip(&self.added)
                .map(|(number, author)| (*author, number))
                .collect();
        }
        if self.added.len() >= LISTED_MAX {
            self.numbers.insert(author, self.added.len() as u64);
        }
        self.added.push(author);
    }

    pub(crate) fn number(&self, author: &AuthorId) -> Option<u64> {
        if let Ok(number) = self.known.binary_search(author) {
            return Some(number as u64);
        }
        let number = if self.added.len() <= LISTED_MAX {
            let place = self.added.iter().position(|other| other == author);
            place.map(|number| number as u64)
        } else {
            self.numbers.get(author).copied()
        };
        number.map(|number| self.known.len() as u64 + number)
    }

    pub(crate) fn author(&self, number: u64) -> Option<AuthorId> {
        let number = usize::try_from(number).ok()?;
        let known = self.known.len();
        if number < known {
            self.known.get(number).copied()
        } else {
            self.added.get(number - known).copied()
        }
    }

    pub(super) fn write(&mut self, author: AuthorId, out: &mut Vec<u8>) {
        if let Some(number) = self.number(&author) {
            out.varint(number + 1);
        } else {
            out.varint(0);
            out.put(&author.0);
            self.add(author);
        }
    }

    pub(super) fn read(&mut self, from: &mut Reader<'_>) -> Result<AuthorId, WireError> {
        let reference = from.varint()?;
        if reference > 0 {
            return self.author(reference - 1).ok_or(WireError::OutOfRange("author number"));
        }
        let count = self.known.len() + self.added.len();
        if count >= AUTHORS_MAX {
            return Err(WireError::TooLong {
                what: "authors",
                length: count as u64 + 1,
                max: AUTHORS_MAX as u64,
            });
        }
        let author = AuthorId(from.array()?);
        if self.number(&author).is_some() {
            return Err(WireError::OutOfRange("author named twice"));
        }
        self.add(author);
        Ok(author)
    }
}
