//! A run of one seed, from its profile to its outcome.

use alloc::{format, string::String, vec::Vec};
use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Hostility, Profile, Tally,
    oracle::Flaw,
    random::Random,
    watch::Watch,
    world::{World, say},
};
use crate::mutation::Mutation;

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What kind of run it was.
    pub profile: Profile,
    /// What happened in it.
    pub tally: Tally,
    /// BLAKE3 over every output of every replica, in order: equal for equal seeds.
    pub trace: [u8; 32],
}

/// What a replica did that it must not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The seed of the world.
    pub seed: u64,
    /// At which step.
    pub step: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} step {}: {}", self.seed, self.step, self.what)
    }
}

impl core::error::Error for Violation {}

impl Violation {
    /// The command that tells what happened, if the run was that of the seed alone.
    pub fn replay(&self) -> String {
        format!("npm run replay -- --seed {}", self.seed)
    }
}

/// Runs the schedule of a seed.
///
/// # Errors
/// When a replica did what it must not.
pub fn run(seed: u64) -> Result<Outcome, Violation> {
    run_mutated(seed, None)
}

/// Runs the schedule of a seed with replicas that have a deliberate bug.
///
/// # Errors
/// When a replica did what it must not.
pub fn run_mutated(seed: u64, mutation: Option<Mutation>) -> Result<Outcome, Violation> {
    carry_out(seed, |profile| Profile { mutation, ..profile }, None)
}

/// Runs the schedule of a seed with a hostile member of this kind.
///
/// # Errors
/// When a replica did what it must not.
pub fn run_hostile(seed: u64, hostility: Hostility) -> Result<Outcome, Violation> {
    carry_out(seed, |profile| profile.with_hostility(Some(hostility)), None)
}

/// Runs the schedule of a seed and tells what happens, line by line; after a violation, with the history of the events that it is about.
///
/// # Errors
/// When a replica did what it must not.
pub fn replay(seed: u64, mutation: Option<Mutation>, watch: Watch<'_>) -> Result<Outcome, Violation> {
    carry_out(seed, |profile| Profile { mutation, ..profile }, Some(watch))
}

fn carry_out(
    seed: u64,
    adapt: impl FnOnce(Profile) -> Profile,
    watch: Option<Watch<'_>>,
) -> Result<Outcome, Violation> {
    let mut random = Random::new(seed);
    let drawn = Profile::draw(&mut random);
    let mut world = World::new(adapt(drawn.with_hostility(drawn.hostility)), random, watch);
    // The engine's own assertions judge as well.
    let ended = catch_unwind(AssertUnwindSafe(|| whole(&mut world)));
    let flaw = match ended {
        Ok(Ok(())) => None,
        Ok(Err(flaw)) => Some(flaw),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Some(Flaw::from(format!("panicked: {}", said.unwrap_or("without a word"))))
        }
    };
    if let Some(Flaw { what, dots }) = flaw {
        let history: Vec<String> = dots.iter().flat_map(|dot| world.oracle.history(dot)).collect();
        for line in &history {
            world.say(None, line);
        }
        let step = world.step;
        return Err(Violation { seed, step, what });
    }
    Ok(Outcome {
        profile: world.profile,
        tally: world.tally,
        trace: *world.trace.finalize().as_bytes(),
    })
}

fn whole(world: &mut World<'_>) -> Result<(), Flaw> {
    say!(world, None, "{:#?}", world.profile);
    for _ in 0..world.profile.steps {
        world.step += 1;
        world.random_step()?;
    }
    world.heal()?;
    world.tally.events += world.oracle.len() as u64;
    if let Some(hostile) = &world.hostile {
        world.tally.hostile_accepted += hostile.accepted(world.nodes[0].replica.vector());
    }
    Ok(())
}
