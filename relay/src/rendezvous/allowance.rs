//! How often one member may ask.

use std::time::{Duration, Instant};

use crate::limits::REQUESTS_PER_MINUTE;

const MINUTE: Duration = Duration::from_secs(60);

/// What is left to one member of this minute's requests.
///
/// It is kept for as long as the member is connected. Who connects anew to get another has to pay for it with a
/// handshake, which costs more than all that it can ask.
#[derive(Debug)]
pub(crate) struct Allowance {
    since: Instant,
    left: u32,
}

impl Allowance {
    /// All of it.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            left: REQUESTS_PER_MINUTE,
        }
    }

    /// Takes one request off. Says whether there was one left.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= MINUTE {
            *self = Self::new(now);
        }
        let takes = self.left > 0;
        self.left = self.left.saturating_sub(1);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_in_a_minute_are_refused_until_it_is_over() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        for at in [now, now + MINUTE] {
            for _ in 0..REQUESTS_PER_MINUTE {
                assert!(allowance.take(at));
            }
            for _ in 0..REQUESTS_PER_MINUTE {
                assert!(!allowance.take(at + MINUTE / 2));
            }
        }
    }
}
