//! Goal: no schedule of losses, duplicates, cuts, partitions, crashes, backups, clones and hostile members makes a replica show
//! what it must not, and every healed network comes to rest in agreement. Method: seeded runs judged by the oracle at every step.
//!
//! `GOSSIPSTORE_SEED=42 cargo test -p gossipstore-core --test simulation` runs one seed; `GOSSIPSTORE_SCHEDULES=100000` runs more of
//! them. `npm run replay -- --seed 42` tells what happens in one.

use std::{env, io::Write as _};

use gossipstore_core::sim::{self, Hostility, Lie};

const SCHEDULES: u64 = 20_000;

/// How many schedules have a member that equivocates, beside those that have one by chance.
const EQUIVOCATIONS: u64 = 2_000;

/// Within how many schedules a lie that the engine does not see through does harm.
const LIE_SCHEDULES_MAX: u64 = 5_000;

/// How many schedules the share of those is taken of in which it does.
const LIE_SAMPLE: u64 = 400;

fn variable(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// Prints even when the test passes, of which the harness would otherwise show nothing.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}

#[test]
fn every_schedule_satisfies_the_oracle() {
    let seeds = match variable("GOSSIPSTORE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("GOSSIPSTORE_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let tally = sim::sweep(seeds.clone(), |_| {})
        .unwrap_or_else(|violation| panic!("{violation}\n  see it: {}", violation.replay()));
    say(&format!("simulation: seeds {seeds:?}: no violation; {tally}"));
    // A simulation in which nothing happens proves nothing.
    if seeds.end - seeds.start >= SCHEDULES {
        for (name, count) in tally.counts() {
            assert!(count >= SCHEDULES / 100, "the schedules are too tame: {count} {name}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in 0..50 {
        assert_eq!(sim::run(seed), sim::run(seed), "seed {seed}");
    }
    assert_ne!(
        sim::run(1).map(|outcome| outcome.trace),
        sim::run(2).map(|outcome| outcome.trace)
    );
}

#[test]
fn to_be_watched_changes_nothing() {
    for seed in 0..20 {
        let mut lines = 0;
        let watched = sim::replay(seed, None, &mut |_| lines += 1);
        assert_eq!(watched, sim::run(seed), "seed {seed}");
        assert!(lines > 60, "seed {seed}: {lines} lines");
    }
}

/// Whoever is told what under one dot, all hold the same in the end.
#[test]
fn a_member_that_tells_each_another_event_keeps_nobody_from_agreeing() {
    for seed in 0..EQUIVOCATIONS {
        sim::run_hostile(seed, Hostility::Equivocator).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

/// What a single member can do as long as nothing is signed. A lie that does no harm any more is to be told by [`Hostility::Liar`].
#[test]
fn what_the_engine_does_not_see_through_does_harm() {
    for lie in Lie::ALL {
        let does_harm = |seed: &u64| sim::run_hostile(*seed, Hostility::One(lie)).is_err();
        let harmed = (0..LIE_SAMPLE).filter(does_harm).count();
        say(&format!("{lie:?} does harm in {harmed} of {LIE_SAMPLE} schedules"));
        let found = harmed > 0 || (LIE_SAMPLE..LIE_SCHEDULES_MAX).any(|seed| does_harm(&seed));
        assert!(found, "the engine withstands {lie:?}");
    }
}
