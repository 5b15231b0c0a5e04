//! A short list.

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ops::Deref, slice};

use crate::{causality::Tip, id::Dot};

/// Dots.
pub type Dots = Few<Dot>;

/// The tips of a frontier.
pub type Tips = Few<Tip>;

/// Mostly none or one, which then take no allocation. Reads as a slice.
#[derive(Clone)]
pub struct Few<T>(List<T>);

#[derive(Clone)]
enum List<T> {
    None,
    One(T),
    Many(Box<[T]>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(List::None)
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            List::None => &[],
            List::One(item) => slice::from_ref(item),
            List::Many(items) => items,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let Some(first) = items.next() else {
            return Self::default();
        };
        let Some(second) = items.next() else {
            return Self(List::One(first));
        };
        let all: Vec<T> = [first, second].into_iter().chain(items).collect();
        Self(List::Many(all.into_boxed_slice()))
    }
}

impl<T, const N: usize> From<[T; N]> for Few<T> {
    fn from(items: [T; N]) -> Self {
        items.into_iter().collect()
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
