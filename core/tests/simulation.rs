//! Goal: no schedule of losses, duplicates, cuts, crashes, backups and clones makes a replica show what it must not, and
//! every healed network comes to rest in agreement. Method: seeded runs judged by the oracle at every step.
//!
//! `GOSSIPSTORE_SEED=42 cargo test -p gossipstore-core --test simulation` runs one seed;
//! `GOSSIPSTORE_SCHEDULES=100000` runs more of them. The seeds of a run are printed.

use std::{env, io::Write as _, thread};

use gossipstore_core::sim::{self, Outcome, Violation};

const SCHEDULES: u64 = 2_500;

fn variable(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn run_all(seeds: std::ops::Range<u64>) -> Result<Vec<Outcome>, Violation> {
    seeds.map(sim::run).collect()
}

/// Prints even when the test passes, of which the harness would otherwise show nothing.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}

#[test]
fn every_schedule_satisfies_the_oracle() {
    if let Some(seed) = variable("GOSSIPSTORE_SEED") {
        let outcome = sim::run(seed).unwrap_or_else(|violation| panic!("{violation}"));
        say(&format!("seed {seed}: {outcome:?}"));
        return;
    }
    let schedules = variable("GOSSIPSTORE_SCHEDULES").unwrap_or(SCHEDULES);
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let share = |worker: u64| worker * schedules / workers..(worker + 1) * schedules / workers;
        let handles: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || run_all(share(worker))))
            .collect();
        let results = handles
            .into_iter()
            .map(|handle| handle.join().expect("a run does not panic"));
        results
            .collect::<Result<Vec<_>, _>>()
            .unwrap_or_else(|violation| panic!("{violation}"))
            .concat()
    });
    let events: usize = outcomes.iter().map(|outcome| outcome.events).sum();
    let sessions: usize = outcomes.iter().map(|outcome| outcome.sessions).sum();
    say(&format!(
        "simulation: seeds 0..{schedules}: {events} events, {sessions} sessions, no violation"
    ));
    // A simulation in which nothing happens proves nothing.
    assert!(
        events as u64 > schedules * 20 && sessions as u64 > schedules * 10,
        "the schedules are too tame"
    );
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
