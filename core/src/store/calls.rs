//! Calls that may come again: their caller lives on when the process that was to carry them out does not.
//!
//! All tabs of a browser hand their writes to one of them. When that one dies, the next does not know which of the calls that nobody
//! answered were carried out, and neither does the caller. So a call has a name, which is stored in the batch that it became: one that
//! comes again and is stored already is answered, and not carried out once more.

use alloc::collections::VecDeque;

/// One who calls, by a number drawn at random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Caller(pub u64);

/// The name of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// Which of the caller's calls it is: each has a greater number than those before.
    pub n: u64,
}

/// How far a caller may be ahead of its oldest call without an answer, in numbers: this many bits are remembered of each.
pub const CALLS_WAITING_MAX: u64 = 64;

/// How many callers are remembered: more than anybody has tabs open that are writing. Of those beyond, the one is forgotten that has
/// not called for the longest.
pub const CALLERS_MAX: usize = 256;

/// The calls that were carried out lately.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    /// The one who called last is the last.
    callers: VecDeque<Carried>,
}

/// What was carried out for one caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Carried {
    pub(crate) caller: Caller,
    /// The greatest number among its calls.
    pub(crate) last: u64,
    /// The call so many numbers before that as a bit has a place was carried out.
    pub(crate) earlier: u64,
}

impl Calls {
    /// Whether a call was carried out. What is older than [`CALLS_WAITING_MAX`] was answered, so it does not come again.
    pub fn contains(&self, call: &Call) -> bool {
        let carried = self.callers.iter().find(|carried| carried.caller == call.caller);
        carried.is_some_and(|carried| carried.contains(call.n))
    }

    /// Notes that a call was carried out.
    pub fn insert(&mut self, call: Call) {
        let Call { caller, n } = call;
        let at = self.callers.iter().rposition(|carried| carried.caller == caller);
        let before = at.and_then(|at| self.callers.remove(at));
        let mut carried = before.unwrap_or(Carried {
            caller,
            last: n,
            earlier: 0,
        });
        carried.insert(n);
        self.callers.push_back(carried);
        if self.callers.len() > CALLERS_MAX {
            self.callers.pop_front();
        }
    }

    /// The callers, the one that has not called for the longest first.
    pub(crate) fn callers(&self) -> impl ExactSizeIterator<Item = &Carried> {
        self.callers.iter()
    }

    /// Adds a caller, who has called later than all that were added before.
    pub(crate) fn push(&mut self, carried: Carried) {
        self.callers.push_back(carried);
    }
}

impl Carried {
    fn contains(&self, n: u64) -> bool {
        match self.last.checked_sub(n) {
            None => false,
            Some(0) => true,
            Some(back) if back <= CALLS_WAITING_MAX => self.earlier & (1 << (back - 1)) != 0,
            Some(_) => true,
        }
    }

    fn insert(&mut self, n: u64) {
        let marked = |back: u64| 1_u64.checked_shl(back as u32 - 1).unwrap_or(0);
        if let Some(ahead) = n.checked_sub(self.last) {
            if ahead > 0 {
                // The last becomes one of the earlier.
                let moved = u32::try_from(ahead)
                    .ok()
                    .and_then(|ahead| self.earlier.checked_shl(ahead));
                let last = if ahead <= CALLS_WAITING_MAX { marked(ahead) } else { 0 };
                self.earlier = moved.unwrap_or(0) | last;
                self.last = n;
            }
        } else if let back = self.last - n
            && back <= CALLS_WAITING_MAX
        {
            self.earlier |= marked(back);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Beside a set that remembers everything.

    use alloc::collections::BTreeSet;

    use super::*;

    const CALLER: Caller = Caller(7);

    fn call(n: u64) -> Call {
        Call { caller: CALLER, n }
    }

    #[test]
    fn within_the_window_exactly_what_was_carried_out_is_known() {
        let orders: [&[u64]; 6] = [
            &[1, 2, 3, 4, 5],
            &[5, 3, 1],
            &[1, 65, 64, 3],
            &[1, 66, 2, 40],
            &[10, 1_000, 990, 936],
            &[u64::MAX - 1, u64::MAX],
        ];
        for order in orders {
            let (mut calls, mut all) = (Calls::default(), BTreeSet::new());
            for n in order {
                calls.insert(call(*n));
                all.insert(*n);
                let last = all.last().copied().unwrap_or_default();
                for n in last.saturating_sub(CALLS_WAITING_MAX)..=last.saturating_add(3) {
                    assert_eq!(calls.contains(&call(n)), all.contains(&n), "{n} after {order:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_older_than_the_window_was_answered() {
        let mut calls = Calls::default();
        calls.insert(call(100));
        assert!(!calls.contains(&call(36)));
        assert!(calls.contains(&call(35)));
    }

    #[test]
    fn the_caller_that_was_silent_for_the_longest_is_forgotten_first() {
        let mut calls = Calls::default();
        let of = |caller| Call {
            caller: Caller(caller),
            n: 1,
        };
        for caller in 0..CALLERS_MAX as u64 {
            calls.insert(of(caller));
        }
        calls.insert(Call { n: 2, ..of(0) });
        calls.insert(of(1_000));
        assert_eq!(calls.callers().len(), CALLERS_MAX);
        assert!(calls.contains(&of(0)));
        assert!(!calls.contains(&of(1)));
        assert!(calls.contains(&of(1_000)));
    }
}
