//! The causal context of a reader: what it saw under a key.

use alloc::vec::Vec;

use crate::id::{AuthorId, Dot};

/// The dots of the siblings that a reader saw. Handed back when writing, it says exactly what the write supersedes; a sibling
/// that it does not name stays and becomes a conflict that a person can see.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    dots: Vec<Dot>,
}

/// A key never has more siblings than this in a context; bounds what [`Context::decode`] accepts.
const CONTEXT_DOTS_MAX: usize = 65_536;

const DOT_BYTES: usize = 24;

impl Context {
    /// A context that names these dots.
    pub fn new(dots: impl IntoIterator<Item = Dot>) -> Self {
        Self {
            dots: dots.into_iter().collect(),
        }
    }

    /// The dots.
    pub fn dots(&self) -> &[Dot] {
        &self.dots
    }

    /// The context as opaque bytes, for callers outside Rust: 24 bytes a dot (16 of author, 8 of number, little-endian).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.dots.len() * DOT_BYTES);
        for dot in &self.dots {
            bytes.extend_from_slice(&dot.author.0);
            bytes.extend_from_slice(&dot.n.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (dots, rest) = bytes.as_chunks::<DOT_BYTES>();
        if !rest.is_empty() || dots.len() > CONTEXT_DOTS_MAX {
            return None;
        }
        let dots = dots.iter().map(|dot| {
            let (author, n) = dot.split_first_chunk::<16>()?;
            Some(Dot::new(AuthorId(*author), u64::from_le_bytes(n.try_into().ok()?)))
        });
        Some(Self {
            dots: dots.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_and_damaged_ones_are_refused() {
        let context = Context::new([Dot::new(AuthorId([7; 16]), 3), Dot::new(AuthorId([8; 16]), u64::MAX)]);
        let bytes = context.encode();
        assert_eq!(Context::decode(&bytes), Some(context));
        assert_eq!(Context::decode(&bytes[..47]), None);
        assert_eq!(Context::decode(&[]), Some(Context::default()));
    }
}
