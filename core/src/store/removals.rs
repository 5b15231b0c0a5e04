//! What events removed, by the authors' numbers.

use alloc::{boxed::Box, collections::BTreeMap};
use core::iter;

use super::authors::{AuthorNumber, Compact};

/// What one event removed. Eight bytes, for nothing and for one dot of the usual size; what takes more is kept by [`Removals`],
/// which has to be asked with the dot of the event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Removes(u64);

impl Removes {
    pub(super) const NONE: Self = Self(0);
    /// No dot is written so, though one would be: it goes to the lists.
    const MANY: Self = Self(u64::MAX);
    /// Of the 64 bits, those for the dot's number; the others are for the author's.
    const N_BITS: u32 = 43;

    /// One dot, if its parts are small enough.
    fn one(dot: Compact) -> Option<Self> {
        let word = Self(u64::from(dot.author) << Self::N_BITS | dot.n);
        (dot.n != 0 && word.dot() == dot && word != Self::MANY).then_some(word)
    }

    /// The dot that this is, of neither [`Self::NONE`] nor [`Self::MANY`].
    fn dot(self) -> Compact {
        Compact {
            author: (self.0 >> Self::N_BITS) as AuthorNumber,
            n: self.0 & ((1 << Self::N_BITS) - 1),
        }
    }
}

/// The lists of the events that removed several dots, or one that [`Removes`] has no room for: few, as few keys have siblings.
#[derive(Clone, Debug, Default)]
pub(super) struct Removals {
    lists: BTreeMap<Compact, Box<[Compact]>>,
}

impl Removals {
    /// Keeps what an event removed until that is forgotten.
    pub(super) fn keep(&mut self, event: Compact, removed: impl IntoIterator<Item = Compact>) -> Removes {
        let mut removed = removed.into_iter();
        let Some(first) = removed.next() else {
            return Removes::NONE;
        };
        let second = removed.next();
        if let (None, Some(one)) = (second, Removes::one(first)) {
            return one;
        }
        let all = iter::once(first).chain(second).chain(removed).collect();
        self.lists.insert(event, all);
        Removes::MANY
    }

    pub(super) fn forget(&mut self, event: Compact, removes: Removes) {
        if removes == Removes::MANY {
            self.lists.remove(&event);
        }
    }

    /// The dots that an event removed.
    pub(super) fn dots(&self, event: Compact, removes: Removes) -> impl Iterator<Item = Compact> {
        let one = (removes != Removes::NONE && removes != Removes::MANY).then(|| removes.dot());
        let many = (removes == Removes::MANY).then(|| self.lists.get(&event)).flatten();
        one.into_iter()
            .chain(many.into_iter().flat_map(|dots| dots.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    #[test]
    fn gives_what_was_kept_until_it_is_forgotten() {
        let dot = |author, n| Compact { author, n };
        let (large_n, large_author) = ((1 << Removes::N_BITS) - 1, (1 << (64 - Removes::N_BITS)) - 1);
        let cases = [
            (vec![], false),
            (vec![dot(0, 1)], false),
            (vec![dot(large_author, 1)], false),
            (vec![dot(0, large_n)], false),
            (vec![dot(large_author, large_n)], true),
            (vec![dot(large_author + 1, 1)], true),
            (vec![dot(0, large_n + 1)], true),
            (vec![dot(AuthorNumber::MAX, u64::MAX)], true),
            (vec![dot(2, 0)], true),
            (vec![dot(1, 1), dot(1, 2), dot(7, 1)], true),
        ];
        let mut removals = Removals::default();
        let kept: Vec<_> = (1..)
            .zip(cases)
            .map(|(n, (removed, is_list))| {
                let lists = removals.lists.len();
                let removes = removals.keep(dot(9, n), removed.iter().copied());
                assert_eq!(removals.lists.len() - lists, usize::from(is_list), "{removed:?}");
                (dot(9, n), removes, removed)
            })
            .collect();
        for (event, removes, removed) in &kept {
            assert_eq!(removals.dots(*event, *removes).collect::<Vec<_>>(), *removed);
        }
        for (event, removes, _) in kept {
            removals.forget(event, removes);
        }
        assert!(removals.lists.is_empty());
    }
}
