//! When to try again: delays that double up to a cap, with jitter, so that many nodes that lost the same relay in the
//! same moment do not all come back in the same moment.

use std::time::Duration;

use rand::{Rng, RngExt as _};

/// A schedule of attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// About how long to wait after the first failure.
    pub(crate) base: Duration,
    /// About how long to wait at most.
    pub(crate) cap: Duration,
}

impl Backoff {
    /// How long to wait after this many failures in a row (from 1): between half and all of the doubled delay.
    pub(crate) fn delay(self, failures: u32, random: &mut impl Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        jitter(full.mul_f64(0.75), 1.0 / 3.0, random)
    }
}

/// `around`, give or take up to `share` of it.
pub(crate) fn jitter(around: Duration, share: f64, random: &mut impl Rng) -> Duration {
    around.mul_f64(1.0 + share * (random.random::<f64>() * 2.0 - 1.0))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::SmallRng};

    use super::*;

    #[test]
    fn doubles_to_the_cap_and_stays_within_half_and_whole() {
        let backoff = Backoff {
            base: Duration::from_millis(300),
            cap: Duration::from_secs(10),
        };
        let mut random = SmallRng::seed_from_u64(1);
        for (failures, full) in [
            (1, 300),
            (2, 600),
            (3, 1_200),
            (6, 9_600),
            (7, 10_000),
            (u32::MAX, 10_000),
        ] {
            for _ in 0..100 {
                let delay = backoff.delay(failures, &mut random).as_millis();
                assert!((full / 2..=full).contains(&delay), "{failures} failures: {delay} ms");
            }
        }
    }
}
