//! Many seeds at once.

use alloc::vec::Vec;
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{sync::mpsc, thread};

use super::{Outcome, Tally, Violation, run};

/// Runs the schedules of these seeds on all cores, up to the first violation. `progress` is told how many are done each time.
///
/// # Errors
/// When a replica did what it must not.
pub fn sweep(seeds: Range<u64>, mut progress: impl FnMut(u64)) -> Result<Tally, Violation> {
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let stop = AtomicBool::new(false);
    let (found, outcomes) = mpsc::channel::<Result<Outcome, Violation>>();
    thread::scope(|scope| {
        let (stop, first) = (&stop, seeds.start);
        for worker in 0..workers {
            let (found, seeds) = (found.clone(), seeds.clone());
            scope.spawn(move || {
                // Interleaved, so that what is found first is about the first there is.
                for seed in seeds.skip(worker as usize).step_by(workers as usize) {
                    if stop.load(Ordering::Relaxed) || found.send(run(seed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(found);
        let (mut tally, mut done, mut violations) = (Tally::default(), first, Vec::new());
        for outcome in outcomes {
            match outcome {
                Ok(outcome) => tally.add(&outcome.tally),
                Err(violation) => {
                    stop.store(true, Ordering::Relaxed);
                    violations.push(violation);
                }
            }
            done += 1;
            progress(done - first);
        }
        violations
            .into_iter()
            .min_by_key(|violation| violation.seed)
            .map_or(Ok(tally), Err)
    })
}
