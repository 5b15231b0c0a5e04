//! Time as a value: what the driver's clock said, and the hybrid logical clock made from it.
//!
//! Nothing in core reads a clock. The driver hands [`Timestamp`]s in.

use core::time::Duration;

/// Milliseconds since the Unix epoch by the driver's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub u64);

impl core::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// A hybrid logical clock stamp (Kulkarni et al., 2014): 48 bits of milliseconds, then a 16-bit counter. It orders
/// concurrent values for display; it decides no conflict.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The stamp's wall-clock part.
    pub const fn timestamp(self) -> Timestamp {
        Timestamp(self.0 >> 16)
    }

    /// The first stamp of a millisecond. Milliseconds beyond 48 bits (the year 10889) are held at the maximum.
    pub const fn at(now: Timestamp) -> Self {
        let max = (1 << 48) - 1;
        Self(if now.0 > max { max << 16 } else { now.0 << 16 })
    }
}

/// How far ahead of the local clock a remote stamp may pull this replica's stamps. A peer whose clock is wrong by more is
/// stored all the same (refusing it by local time would make replicas diverge) but not followed.
pub const MAX_AHEAD: Duration = Duration::from_secs(5 * 60);

/// Makes the stamps of one replica: never twice the same, never behind what it has seen within [`MAX_AHEAD`].
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// The stamp of a new local event.
    pub fn stamp(&mut self, now: Timestamp) -> Hlc {
        // Counting past 16 bits runs into the next millisecond, which keeps the order.
        self.last = Hlc::at(now).max(Hlc(self.last.0.saturating_add(1)));
        self.last
    }

    /// Takes note of a remote stamp, so that the next local one is later.
    pub fn observe(&mut self, seen: Hlc, now: Timestamp) {
        if seen.timestamp() <= now + MAX_AHEAD {
            self.last = self.last.max(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise_even_when_the_clock_stands_or_runs_back() {
        let mut clock = Clock::default();
        let first = clock.stamp(Timestamp(1_000));
        let second = clock.stamp(Timestamp(1_000));
        let third = clock.stamp(Timestamp(10));
        assert!(first < second && second < third);
        assert_eq!(first, Hlc::at(Timestamp(1_000)));
    }

    #[test]
    fn a_remote_stamp_is_followed_within_five_minutes_only() {
        let mut clock = Clock::default();
        let now = Timestamp(1_000_000);
        clock.observe(Hlc::at(now + MAX_AHEAD), now);
        assert!(clock.stamp(now) > Hlc::at(now + MAX_AHEAD));

        let mut clock = Clock::default();
        clock.observe(Hlc::at(now + MAX_AHEAD + Duration::from_millis(1)), now);
        assert_eq!(clock.stamp(now), Hlc::at(now));
    }

    #[test]
    fn the_last_representable_millisecond_holds() {
        assert_eq!(Hlc::at(Timestamp(u64::MAX)).timestamp(), Timestamp((1 << 48) - 1));
    }
}
