//! A value, or what stands for it where it is not in memory.

use alloc::boxed::Box;

use super::{Key, Value};
use crate::id::{ContentHash, Dot};

/// The value of an event: here, or kept elsewhere and told by what it must be. The two are equal when they are of the same bytes.
#[derive(Clone, Debug)]
pub enum Body {
    /// Here it is.
    Here(Value),
    /// It is elsewhere: on a disk, or on its way from a peer.
    Away(Box<Print>),
}

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Print {
    /// What it hashes to.
    pub hash: ContentHash,
    /// Its length in bytes.
    pub length: u32,
}

/// A shared slice cannot be null, so what stands for a value takes no room beside it.
const _: () = assert!(size_of::<Body>() == size_of::<Value>());

impl Body {
    /// A value that is elsewhere.
    pub fn away(hash: ContentHash, length: u32) -> Self {
        Self::Away(Box::new(Print { hash, length }))
    }

    /// The value, if it is here.
    pub fn here(&self) -> Option<&Value> {
        match self {
            Self::Here(value) => Some(value),
            Self::Away(_) => None,
        }
    }

    /// How many bytes the value has.
    pub fn len(&self) -> usize {
        match self {
            Self::Here(value) => value.len(),
            Self::Away(print) => print.length as usize,
        }
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the value must be. Hashes it, if it is here.
    pub fn print(&self) -> Print {
        match self {
            Self::Here(value) => Print::of(value),
            Self::Away(print) => **print,
        }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(one), Self::Here(other)) => one == other,
            _ => self.len() == other.len() && self.print() == other.print(),
        }
    }
}

impl Eq for Body {}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        Self::Here(value)
    }
}

impl Print {
    /// That of a value.
    pub fn of(value: &[u8]) -> Self {
        Self {
            hash: ContentHash::of(value),
            // The longest value that is taken anywhere has far fewer bytes.
            length: u32::try_from(value.len()).unwrap_or(u32::MAX),
        }
    }
}

/// A value that is not in memory, as it is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Absent {
    /// Its entry.
    pub dot: Dot,
    /// Where that stands.
    pub key: Key,
    /// What the value must be.
    pub print: Print,
}

impl Absent {
    /// What is to be asked for, if a body is away.
    pub fn of(dot: Dot, key: &Key, body: &Body) -> Option<Self> {
        match body {
            Body::Here(_) => None,
            Body::Away(print) => Some(Self {
                dot,
                key: key.clone(),
                print: **print,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_the_same_bytes_are_equal_wherever_these_are() {
        let here = |bytes: &[u8]| Body::Here(Value::from(bytes));
        let away = |bytes: &[u8]| Body::Away(Box::new(Print::of(bytes)));
        for one in [here, away] {
            for other in [here, away] {
                assert_eq!(one(b"abc"), other(b"abc"));
                assert_ne!(one(b"abc"), other(b"abd"));
                assert_ne!(one(b"abc"), other(b""));
            }
        }
    }
}
