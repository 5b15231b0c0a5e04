//! Goal: the simulation can fail. Method: each deliberate bug is put in, and the share of schedules that show it is counted; a bug that
//! no schedule shows means that the simulation or the oracle does not see what it should.

use std::panic;

use gossipstore_core::{mutation::Mutation, sim};

/// The most schedules that a bug may hide for.
const SCHEDULES_MAX: u64 = 5_000;

/// How many schedules the share is taken of, if the bug is found among them.
const SAMPLE: u64 = 200;

#[test]
fn every_deliberate_bug_is_found() {
    // The engine's own assertions find some; what they say is no news here.
    panic::set_hook(Box::new(|_| {}));
    let mut hidden = Vec::new();
    for mutation in Mutation::ALL {
        let shows = |seed: &u64| sim::run_mutated(*seed, Some(mutation)).is_err();
        let bad = (0..SAMPLE).filter(shows).count();
        let found = bad > 0 || (SAMPLE..SCHEDULES_MAX).any(|seed| shows(&seed));
        println!("{mutation:?}: {bad} of {SAMPLE} schedules go bad");
        if !found {
            hidden.push(mutation);
        }
    }
    let _ = panic::take_hook();
    assert!(
        hidden.is_empty(),
        "{hidden:?} are not found within {SCHEDULES_MAX} schedules"
    );
}
