//! Short names for authors within a stream of frames.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    AUTHORS_MAX, WireError,
    bytes::{Reader, Writer},
};
use crate::{causality::VersionVector, id::AuthorId};

/// Numbers for the authors that both ends of a session know, so that an author is named by 1 to 3 bytes instead of 16. It
/// begins with the authors of the receiver's vector, in order, and grows as the sender names new ones; both ends see the same
/// stream and hence hold the same table.
///
/// On the wire: a varint `i`. 0: 16 bytes of a new author follow. Otherwise the author with number `i - 1`.
#[derive(Clone, Debug, Default)]
pub struct AuthorTable {
    authors: Vec<AuthorId>,
    /// Only kept once a search through the list would be slower.
    numbers: BTreeMap<AuthorId, u64>,
}

/// Up to so many authors are found by looking at each.
const LISTED_MAX: usize = 16;

impl AuthorTable {
    /// The table at the beginning of a session whose receiver announced `vector`.
    pub fn new(vector: &VersionVector) -> Self {
        let mut table = Self::default();
        for (author, _) in vector.iter() {
            table.add(author);
        }
        table
    }

    /// Empties the table.
    pub(super) fn clear(&mut self) {
        self.authors.clear();
        self.numbers.clear();
    }

    fn add(&mut self, author: AuthorId) {
        if self.authors.len() == LISTED_MAX {
            self.numbers = (0..)
                .zip(&self.authors)
                .map(|(number, author)| (*author, number))
                .collect();
        }
        if self.authors.len() >= LISTED_MAX {
            self.numbers.insert(author, self.authors.len() as u64);
        }
        self.authors.push(author);
    }

    fn number(&self, author: &AuthorId) -> Option<u64> {
        if self.authors.len() <= LISTED_MAX {
            return self
                .authors
                .iter()
                .position(|other| other == author)
                .map(|number| number as u64);
        }
        self.numbers.get(author).copied()
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
            let number = usize::try_from(reference - 1).ok();
            return number
                .and_then(|number| self.authors.get(number).copied())
                .ok_or(WireError::OutOfRange("author number"));
        }
        if self.authors.len() >= AUTHORS_MAX {
            return Err(WireError::TooLong {
                what: "authors",
                length: self.authors.len() as u64 + 1,
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
