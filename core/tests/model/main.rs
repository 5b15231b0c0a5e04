//! Goal: within a small scope, nothing that can happen makes a replica show what it must not, whatever the order. The simulation
//! draws some schedules of a large world; this walks through all schedules of a small one. Method: the `stateright` checker visits
//! every state that three replicas, run by the engine itself, can come to. Scopes are data; each names what must be seen in it, so
//! that nobody takes an empty walk for a proof. Deliberate bugs show that the walk can fail.
//!
//! `GOSSIPSTORE_MODEL=long cargo test -p gossipstore-core --test model` walks through larger scopes, for a night.
//! The numbers of a run are printed.

mod engine;
mod rules;
mod table;
mod world;

use std::{env, io::Write as _};

use gossipstore_core::mutation::Mutation;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use self::{
    engine::Edit,
    rules::{LEAVES, LOSS, RETURN, SIBLINGS},
    world::{Scope, Worlds},
};

/// A walk is cut off after so many steps: some minutes, and up to 4 GB for what was met. None of [`WALKS`] comes near it.
const STEPS_MAX: usize = 40_000_000;

const ONE_KEY: &[Edit] = &[Edit::Put("a"), Edit::Delete("a")];
const TWO_KEYS: &[Edit] = &[Edit::Put("a"), Edit::Delete("a"), Edit::Put("b"), Edit::Delete("b")];
const TRANSACTIONS: &[Edit] = &[Edit::Put("a"), Edit::Delete("a"), Edit::PutBoth("a", "b")];

/// A name, a scope, and the least number of states that it has.
type Walk = (&'static str, Scope, usize);

/// What is walked through each time.
const WALKS: &[Walk] = &[
    ("gossip", Scope::new(4, TWO_KEYS).showing(&[SIBLINGS]), 250_000),
    (
        "gossip and a crash",
        Scope::new(3, TWO_KEYS).crashes(1).showing(&[SIBLINGS, LOSS, RETURN]),
        200_000,
    ),
    (
        "sessions and two keys",
        Scope::new(2, TWO_KEYS).links(1).showing(&[SIBLINGS, LEAVES]),
        150_000,
    ),
    (
        "sessions and transactions",
        Scope::new(2, TRANSACTIONS).links(1).showing(&[SIBLINGS, LEAVES]),
        50_000,
    ),
    (
        "sessions without records, and a crash",
        Scope::new(2, ONE_KEY)
            .links(1)
            .crashes(1)
            .records(0)
            .showing(&[SIBLINGS, LEAVES, LOSS, RETURN]),
        200_000,
    ),
    (
        "sessions and a pause",
        Scope::new(2, ONE_KEY)
            .links(1)
            .pauses(1)
            .records(65_536)
            .showing(&[SIBLINGS]),
        400_000,
    ),
];

/// What is walked through when there is time.
const LONG_WALKS: &[Walk] = &[
    (
        "sessions",
        Scope::new(3, ONE_KEY).links(1).showing(&[SIBLINGS, LEAVES]),
        1_000_000,
    ),
    (
        "gossip and a crash",
        Scope::new(4, TWO_KEYS).crashes(1).showing(&[SIBLINGS, LOSS, RETURN]),
        1_000_000,
    ),
    (
        "sessions over two links",
        Scope::new(2, ONE_KEY).links(2).showing(&[SIBLINGS, LEAVES]),
        1_000_000,
    ),
    (
        "sessions, two keys",
        Scope::new(3, TWO_KEYS).links(1).showing(&[SIBLINGS, LEAVES]),
        1_000_000,
    ),
    (
        "sessions and a crash",
        Scope::new(3, ONE_KEY)
            .links(1)
            .crashes(1)
            .showing(&[SIBLINGS, LEAVES, LOSS, RETURN]),
        1_000_000,
    ),
    (
        "sessions, a crash and a pause",
        Scope::new(2, ONE_KEY)
            .links(1)
            .crashes(1)
            .pauses(1)
            .showing(&[SIBLINGS, LEAVES, LOSS, RETURN]),
        1_000_000,
    ),
];

/// Small scopes that show deliberate bugs: all but one, since nobody copies a profile in this world.
const BUGS: &[(Mutation, Scope)] = &[
    (Mutation::ContextAtHello, Scope::new(1, ONE_KEY).links(1)),
    (Mutation::VisibleBeforeEnd, Scope::new(1, ONE_KEY).links(1)),
    (Mutation::VectorOverGaps, Scope::new(2, ONE_KEY)),
    // One event goes first, one is under way, one is missed.
    (Mutation::NoCatchUp, Scope::new(3, &[Edit::Put("a")]).links(1)),
    (Mutation::AuthorResumed, Scope::new(2, ONE_KEY).crashes(1)),
    (Mutation::DotEvicted, Scope::new(1, ONE_KEY)),
    (Mutation::RingOfDeletes, Scope::new(2, ONE_KEY).links(1)),
    (Mutation::AuthorForgotten, Scope::new(2, ONE_KEY).links(1)),
];

#[test]
fn every_world_keeps_the_rules() {
    let walks = match env::var("GOSSIPSTORE_MODEL").as_deref() {
        Ok("long") => LONG_WALKS,
        Ok(other) => panic!("GOSSIPSTORE_MODEL is {other}; it may be long"),
        Err(_) => WALKS,
    };
    for (name, scope, states_min) in walks {
        let walk = Worlds::new(*scope).checker().threads(2);
        let walk = walk.finish_when(HasDiscoveries::AnyFailures);
        // Depth first: what is pending stays small.
        let walk = walk.target_state_count(STEPS_MAX).spawn_dfs().join();
        if let Some(broken) = broken(&walk) {
            panic!("{name}: {broken}");
        }
        let (states, engine) = (walk.unique_state_count(), &walk.model().engine);
        let is_whole = walk.state_count() < STEPS_MAX;
        say(&format!(
            "{name}: {states} states, {}, up to {} steps deep; {} turns of a replica between {} states",
            if is_whole { "which are all" } else { "cut off" },
            walk.max_depth(),
            engine.turns(),
            engine.snapshots(),
        ));
        assert!(states >= *states_min, "{name}: {states} states are too few");
        for shown in scope.shows {
            let is_shown = walk.discovery(shown).is_some();
            assert!(is_shown || !is_whole, "{name}: it is never so that {shown}");
        }
    }
}

#[test]
fn deliberate_bugs_are_found() {
    for (mutation, scope) in BUGS {
        let walk = Worlds::new(scope.mutated(*mutation))
            .checker()
            .finish_when(HasDiscoveries::AnyFailures);
        // Breadth first: the way to the bug is short.
        let walk = walk.spawn_bfs().join();
        let broken = broken(&walk);
        say(&format!(
            "{mutation:?}, {} states: {broken:?}",
            walk.unique_state_count()
        ));
        assert!(broken.is_some(), "{mutation:?} is not found");
    }
}

/// What is wrong, and the way to it.
fn broken(walk: &impl Checker<Worlds>) -> Option<String> {
    let properties = walk.model().properties();
    let always = properties
        .iter()
        .filter(|property| property.expectation == Expectation::Always);
    let (rule, path) = always
        .filter_map(|property| Some((property.name, walk.discovery(property.name)?)))
        .next()?;
    let fault = path.last_state().fault.as_ref();
    let what = fault.map_or(String::new(), |fault| fault.what.to_string());
    Some(format!(
        "it is not so that {rule}: {what}, after {:?}",
        path.into_actions()
    ))
}

/// Prints even when the test passes, of which the harness would otherwise show nothing.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}
