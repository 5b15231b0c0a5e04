//! How fast one member may send. What is more waits in its stream, whose window makes it wait, too; of gossip, which does not wait for
//! anybody, it is dropped.

use std::time::Duration;

use gossipstore_core::time::Timestamp;

/// How much of a kind a member may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    count_per_ms: i64,
    bytes_per_ms: i64,
}

impl Rates {
    /// A session of a fast network needs a thousand frames a second; the replica takes twice as many in a tenth of its time. 64 MB a second
    /// is more than a browser takes in.
    pub(crate) const FRAMES: Self = Self {
        count_per_ms: 2,
        bytes_per_ms: 64 * 1024,
    };

    /// A tab that writes as fast as it can gossips ten thousand transactions a second.
    pub(crate) const MESSAGES: Self = Self {
        count_per_ms: 20,
        bytes_per_ms: 64 * 1024,
    };

    /// Fifty tabs in which hands move, each at its fastest; more are told of with the next that comes through.
    pub(crate) const PRESENCES: Self = Self {
        count_per_ms: 1,
        bytes_per_ms: 4 * 1024,
    };
}

/// For how long somebody who was silent may send as fast as it can, at the cost of so much later.
const BURST_MS: i64 = 2_000;

/// What a member may still send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    rates: Rates,
    count: i64,
    bytes: i64,
    at: Timestamp,
}

impl Pace {
    pub(crate) fn new(rates: Rates, now: Timestamp) -> Self {
        Self {
            rates,
            count: rates.count_per_ms * BURST_MS,
            bytes: rates.bytes_per_ms * BURST_MS,
            at: now,
        }
    }

    /// One has come. Gives until when no other should be read, if it was one too many.
    pub(crate) fn received(&mut self, bytes: usize, now: Timestamp) -> Option<Timestamp> {
        let Rates {
            count_per_ms,
            bytes_per_ms,
        } = self.rates;
        self.refill(now);
        self.count -= 1;
        self.bytes -= i64::try_from(bytes).unwrap_or(i64::MAX / 2);
        let wait = |left: i64, per_ms: i64| (-left).max(0).unsigned_abs().div_ceil(per_ms.unsigned_abs());
        let wait = wait(self.count, count_per_ms).max(wait(self.bytes, bytes_per_ms));
        (wait > 0).then(|| now + Duration::from_millis(wait))
    }

    /// One has come that can be dropped. Says whether it is taken; what is not costs nothing.
    pub(crate) fn takes(&mut self, bytes: usize, now: Timestamp) -> bool {
        self.refill(now);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let takes = self.count > 0 && self.bytes >= bytes;
        if takes {
            self.count -= 1;
            self.bytes -= bytes;
        }
        takes
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = i64::try_from(now.0.saturating_sub(self.at.0)).map_or(BURST_MS, |passed| passed.min(BURST_MS));
        self.at = self.at.max(now);
        let refilled = |left: i64, per_ms: i64| (left + passed * per_ms).min(BURST_MS * per_ms);
        self.count = refilled(self.count, self.rates.count_per_ms);
        self.bytes = refilled(self.bytes, self.rates.bytes_per_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// How many frames of one length are read in a time, by somebody who waits as long as is said.
    fn read(bytes: usize, time: Duration) -> usize {
        let (mut pace, mut now, mut frames) = (Pace::new(Rates::FRAMES, NOW), NOW, 0);
        while now < NOW + time {
            frames += 1;
            if let Some(until) = pace.received(bytes, now) {
                assert!(until > now);
                now = until;
            }
        }
        frames
    }

    #[test]
    fn frames_and_bytes_are_read_at_most_as_fast_as_they_may_come() {
        let per_ms = |ms: i64| usize::try_from(Rates::FRAMES.count_per_ms * (BURST_MS + ms)).unwrap();
        assert!(read(1, Duration::from_secs(10)).abs_diff(per_ms(10_000)) <= 2);
        let frame = 65_536;
        let bytes = usize::try_from(Rates::FRAMES.bytes_per_ms * (BURST_MS + 10_000)).unwrap();
        assert!((read(frame, Duration::from_secs(10)) * frame).abs_diff(bytes) <= 2 * frame);
    }

    #[test]
    fn who_was_silent_may_send_a_burst_and_no_more() {
        let mut pace = Pace::new(Rates::FRAMES, NOW);
        let later = NOW + Duration::from_secs(3_600);
        let burst = usize::try_from(Rates::FRAMES.count_per_ms * BURST_MS).unwrap();
        assert!((0..burst).all(|_| pace.received(100, later).is_none()));
        assert_eq!(pace.received(100, later), Some(later + Duration::from_millis(1)));
        // A clock that goes back gives nothing, and a frame beyond all measure is paid for.
        assert!(pace.received(100, NOW).is_some());
        assert!(pace.received(usize::MAX, later).is_some());
    }

    #[test]
    fn what_is_dropped_does_not_keep_what_comes_after_from_being_taken() {
        let mut pace = Pace::new(Rates::PRESENCES, NOW);
        let burst = usize::try_from(Rates::PRESENCES.count_per_ms * BURST_MS).unwrap();
        assert_eq!((0..10 * burst).filter(|_| pace.takes(100, NOW)).count(), burst);
        let later = NOW + Duration::from_secs(1);
        assert_eq!((0..10 * burst).filter(|_| pace.takes(100, later)).count(), 1_000);
        let mut pace = Pace::new(Rates::PRESENCES, NOW);
        assert!(!pace.takes(usize::MAX, NOW) && pace.takes(64 * 1024, NOW));
    }
}
