//! Runs many simulated schedules on all cores: the nightly form of the test, which runs a few.
//!
//! ```text
//! npm run simulate
//! GOSSIPSTORE_SCHEDULES=50000 GOSSIPSTORE_SEED=1000000 npm run simulate
//! ```
//!
//! runs a million schedules from seed 0 on, or as many as the environment says from where it says. Progress goes to standard error; the
//! last line has the totals, or the seed that went wrong and how to see it.

use std::{env, process::ExitCode, time::Instant};

use gossipstore_core::sim;

const SCHEDULES: u64 = 1_000_000;

/// How many lines of progress there are.
const PROGRESS_LINES: u64 = 100;

fn main() -> ExitCode {
    let first = variable("GOSSIPSTORE_SEED").unwrap_or(0);
    let schedules = variable("GOSSIPSTORE_SCHEDULES").unwrap_or(SCHEDULES);
    let begin = Instant::now();
    let step = (schedules / PROGRESS_LINES).max(1);
    let swept = sim::sweep(first..first.saturating_add(schedules), |done| {
        if done % step == 0 {
            eprintln!("{done} of {schedules} schedules in {} s", begin.elapsed().as_secs());
        }
    });
    match swept {
        Ok(tally) => {
            println!("{schedules} schedules from seed {first} on, no violation; {tally}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}\n  see it: {}", violation.replay());
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}
