//! How fast one member may send: what is more waits in its stream, whose window makes it wait, too.

use std::time::Duration;

use gossipstore_core::time::Timestamp;

/// A session of a fast network needs a thousand frames a second; the replica takes twice as many in a tenth of its time.
const FRAMES_PER_MS: i64 = 2;

/// 64 MB a second, which is more than a browser takes in.
const BYTES_PER_MS: i64 = 64 * 1024;

/// For how long somebody who was silent may send as fast as it can, at the cost of so much later.
const BURST_MS: i64 = 2_000;

/// What a member may still send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    frames: i64,
    bytes: i64,
    at: Timestamp,
}

impl Pace {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            frames: FRAMES_PER_MS * BURST_MS,
            bytes: BYTES_PER_MS * BURST_MS,
            at: now,
        }
    }

    /// A frame has come. Gives until when no other should be read, if it was one too many.
    pub(crate) fn received(&mut self, bytes: usize, now: Timestamp) -> Option<Timestamp> {
        let passed = i64::try_from(now.0.saturating_sub(self.at.0)).map_or(BURST_MS, |passed| passed.min(BURST_MS));
        self.at = self.at.max(now);
        let refilled = |left: i64, per_ms: i64| (left + passed * per_ms).min(BURST_MS * per_ms);
        self.frames = refilled(self.frames, FRAMES_PER_MS) - 1;
        self.bytes = refilled(self.bytes, BYTES_PER_MS) - i64::try_from(bytes).unwrap_or(i64::MAX / 2);
        let wait = |left: i64, per_ms: i64| (-left).max(0).unsigned_abs().div_ceil(per_ms.unsigned_abs());
        let wait = wait(self.frames, FRAMES_PER_MS).max(wait(self.bytes, BYTES_PER_MS));
        (wait > 0).then(|| now + Duration::from_millis(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// How many frames of one length are read in a time, by somebody who waits as long as is said.
    fn read(bytes: usize, time: Duration) -> usize {
        let (mut pace, mut now, mut frames) = (Pace::new(NOW), NOW, 0);
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
        let per_ms = |ms: i64| usize::try_from(FRAMES_PER_MS * (BURST_MS + ms)).unwrap();
        assert!(read(1, Duration::from_secs(10)).abs_diff(per_ms(10_000)) <= 2);
        let frame = 65_536;
        let bytes = usize::try_from(BYTES_PER_MS * (BURST_MS + 10_000)).unwrap();
        assert!((read(frame, Duration::from_secs(10)) * frame).abs_diff(bytes) <= 2 * frame);
    }

    #[test]
    fn who_was_silent_may_send_a_burst_and_no_more() {
        let mut pace = Pace::new(NOW);
        let later = NOW + Duration::from_secs(3_600);
        let burst = usize::try_from(FRAMES_PER_MS * BURST_MS).unwrap();
        assert!((0..burst).all(|_| pace.received(100, later).is_none()));
        assert_eq!(pace.received(100, later), Some(later + Duration::from_millis(1)));
        // A clock that goes back gives nothing, and a frame beyond all measure is paid for.
        assert!(pace.received(100, NOW).is_some());
        assert!(pace.received(usize::MAX, later).is_some());
    }
}
