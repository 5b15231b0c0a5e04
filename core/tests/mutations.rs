//! Goal: the simulation can fail. Method: each deliberate bug is put in, and a schedule that shows it is looked for; a bug
//! that no schedule shows means that the simulation or the oracle does not see what it should.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gossipstore_core::{mutation::Mutation, sim};

/// The most schedules that a bug may hide for.
const SCHEDULES_MAX: u64 = 5_000;

/// Whether the schedule shows the bug: the oracle objects, or one of the engine's own assertions does.
fn shows(seed: u64, mutation: Mutation) -> bool {
    catch_unwind(AssertUnwindSafe(|| sim::run_mutated(seed, Some(mutation)).is_err())).unwrap_or(true)
}

#[test]
fn every_deliberate_bug_is_found() {
    for mutation in Mutation::ALL {
        let found = (0..SCHEDULES_MAX).find(|seed| shows(*seed, mutation));
        println!("{mutation:?}: found by seed {found:?}");
        assert!(
            found.is_some(),
            "{mutation:?} is not found within {SCHEDULES_MAX} schedules"
        );
    }
}
