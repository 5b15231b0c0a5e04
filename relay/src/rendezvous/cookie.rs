//! Cookies: what an asker has been told, written down for it to bring along, so that nothing is kept for anybody.
//!
//! A cookie is four numbers of 16 hexadecimal digits each: where the asker is, in three (see [`Position`]), and a seal.
//! The seal is a hash of the three and of the namespace that was asked for, keyed with a secret of this run of the relay:
//! positions of another run or namespace mean nothing here. All of it is text because libp2p's own client takes a
//! cookie, apart from its first eight bytes, for the name of a namespace.

use std::{
    hash::{BuildHasher as _, RandomState},
    ops::Range,
};

use super::registry::Namespace;

const DIGITS: usize = 16;

/// What an asker has been told of all registrations, which are numbered in the order in which they came: those before
/// `next` without those in the gap, which did not fit into an answer any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    next: u64,
    gap: Range<u64>,
}

/// A cookie is not one of this run for this namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Invalid;

impl Position {
    /// Nothing has been told.
    pub(crate) const START: Self = Self { next: 0, gap: 0..0 };

    /// The numbers that have not been told, newest first.
    pub(crate) fn untold(&self) -> [Range<u64>; 2] {
        [self.next..u64::MAX, self.gap.clone()]
    }

    /// The position after an answer with all that is untold and comes before `next`, down to `left_out` if that is the
    /// first that did not fit any more.
    ///
    /// There is only one gap. A second takes in the first, and what has been told in between is told once more.
    pub(crate) fn after(&self, next: u64, left_out: Option<u64>) -> Self {
        let oldest = if self.gap.is_empty() { self.next } else { self.gap.start };
        Self {
            next,
            gap: left_out.map_or(0..0, |number| oldest..number + 1),
        }
    }

    /// The cookie for one that asked for this namespace.
    pub(crate) fn to_cookie(&self, namespace: &Namespace, secret: &RandomState) -> String {
        let Self { next, gap } = self;
        let seal = secret.hash_one((next, gap, namespace));
        format!("{next:016x}{:016x}{:016x}{seal:016x}", gap.start, gap.end)
    }

    /// Reads such a cookie.
    pub(crate) fn from_cookie(cookie: &[u8], namespace: &Namespace, secret: &RandomState) -> Result<Self, Invalid> {
        let text = str::from_utf8(cookie).map_err(|_| Invalid)?;
        let number = |nth: usize| {
            text.get(nth * DIGITS..(nth + 1) * DIGITS)
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or(Invalid)
        };
        let (next, start, end) = (number(0)?, number(1)?, number(2)?);
        let position = Self { next, gap: start..end };
        let ours = start <= end && position.to_cookie(namespace, secret) == text;
        ours.then_some(position).ok_or(Invalid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn namespace(text: &str) -> Namespace {
        Namespace::new(text.into()).unwrap()
    }

    #[test]
    fn a_cookie_is_taken_by_the_run_that_gave_it_for_the_namespace_that_was_asked_for() {
        let (secret, other) = (RandomState::new(), RandomState::new());
        let (a, b) = (namespace("a"), namespace("b"));
        let position = Position {
            next: u64::MAX,
            gap: 7..1 << 63,
        };
        let cookie = position.to_cookie(&a, &secret);
        let read = |namespace, secret| Position::from_cookie(cookie.as_bytes(), namespace, secret);
        assert_eq!(read(&a, &secret), Ok(position));
        assert_eq!(read(&a, &other), Err(Invalid), "an earlier run");
        assert_eq!(read(&b, &secret), Err(Invalid));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn altered_cookies_are_invalid(at in any::<prop::sample::Index>(), flip in 1_u8.., cut in 0_usize..64) {
            let secret = RandomState::new();
            let asked = namespace("a");
            let mut cookie = Position { next: 5, gap: 1..3 }.to_cookie(&asked, &secret).into_bytes();
            prop_assert_eq!(Position::from_cookie(&cookie[..cut], &asked, &secret), Err(Invalid));
            let at = at.index(cookie.len());
            cookie[at] ^= flip;
            prop_assert_eq!(Position::from_cookie(&cookie, &asked, &secret), Err(Invalid));
        }

        #[test]
        fn any_bytes_are_invalid(bytes in prop::collection::vec(any::<u8>(), 0..100), digits in "[0-9a-f+]{64}") {
            let secret = RandomState::new();
            for cookie in [&bytes, digits.as_bytes()] {
                prop_assert_eq!(Position::from_cookie(cookie, &namespace("a"), &secret), Err(Invalid));
            }
        }
    }
}
