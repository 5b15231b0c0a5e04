//! A short list of dots.

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ops::Deref, slice};

use crate::id::Dot;

/// Dots, mostly none or one, which then take no allocation. Reads as a slice.
#[derive(Clone, Default)]
pub struct Dots(List);

#[derive(Clone, Default)]
enum List {
    #[default]
    None,
    One(Dot),
    Many(Box<[Dot]>),
}

impl Deref for Dots {
    type Target = [Dot];

    fn deref(&self) -> &[Dot] {
        match &self.0 {
            List::None => &[],
            List::One(dot) => slice::from_ref(dot),
            List::Many(dots) => dots,
        }
    }
}

impl FromIterator<Dot> for Dots {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut dots = dots.into_iter();
        let Some(first) = dots.next() else {
            return Self::default();
        };
        let Some(second) = dots.next() else {
            return Self(List::One(first));
        };
        let all: Vec<Dot> = [first, second].into_iter().chain(dots).collect();
        Self(List::Many(all.into_boxed_slice()))
    }
}

impl<const N: usize> From<[Dot; N]> for Dots {
    fn from(dots: [Dot; N]) -> Self {
        dots.into_iter().collect()
    }
}

impl PartialEq for Dots {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Dots {}

impl fmt::Debug for Dots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

impl<'a> IntoIterator for &'a Dots {
    type Item = &'a Dot;
    type IntoIter = slice::Iter<'a, Dot>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
