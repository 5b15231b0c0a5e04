//! The node's clock: milliseconds since the Unix epoch that never run backwards and never stand still.

use gossipstore_core::time::Timestamp;
use web_time::{Instant, SystemTime, UNIX_EPOCH};

/// Joins the two clocks a system has. The wall clock may be set back by its owner, which would put the replica's timers
/// to sleep; the monotonic one stands still on some systems while the machine sleeps. Each reading is the later of the
/// wall clock and the last reading moved on by the monotonic clock.
#[derive(Debug)]
pub(crate) struct Clock {
    last: Timestamp,
    last_instant: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            last: wall(),
            last_instant: Instant::now(),
        }
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        self.read(wall(), Instant::now())
    }

    fn read(&mut self, wall: Timestamp, instant: Instant) -> Timestamp {
        let elapsed = instant.saturating_duration_since(self.last_instant);
        let moved_on = self.last + elapsed;
        if wall.max(moved_on) > self.last {
            // Only whole milliseconds were taken over; the rest of `elapsed` must not be lost, reading by reading.
            self.last_instant = instant;
            self.last = wall.max(moved_on);
        }
        self.last
    }
}

fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn follows_the_wall_clock_forwards_and_the_monotonic_clock_when_the_wall_clock_is_set_back() {
        let start = Instant::now();
        let mut clock = Clock {
            last: Timestamp(10_000),
            last_instant: start,
        };
        let later = |ms| start + Duration::from_millis(ms);
        assert_eq!(clock.read(Timestamp(10_005), later(5)), Timestamp(10_005));
        assert_eq!(
            clock.read(Timestamp(3), later(9)),
            Timestamp(10_009),
            "set back: time goes on"
        );
        assert_eq!(
            clock.read(Timestamp(90_000), later(9)),
            Timestamp(90_000),
            "slept: the wall clock knows"
        );
        assert_eq!(clock.read(Timestamp(90_000), later(9)), Timestamp(90_000));
    }

    #[test]
    fn many_short_readings_add_up() {
        let start = Instant::now();
        let mut clock = Clock {
            last: Timestamp(10_000),
            last_instant: start,
        };
        for tenths in 1..=100u64 {
            clock.read(Timestamp(0), start + Duration::from_micros(tenths * 100));
        }
        assert_eq!(clock.last, Timestamp(10_010));
    }
}
