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

/// A walk goes on for so many steps and is then cut off: some ten minutes, and some gigabytes for what was visited.
const STEPS_MAX: usize = 100_000_000;

const ONE_KEY: &[Edit] = &[Edit::Put("a"), Edit::Delete("a")];
const TWO_KEYS: &[Edit] = &[Edit::Put("a"), Edit::Delete("a"), Edit::Put("b"), Edit::Delete("b")];
const TRANSACTIONS: &[Edit] = &[Edit::Put("a"), Edit::Delete("a"), Edit::PutBoth("a", "b")];

/// Nothing happens in it.
const EMPTY: Scope = Scope {
    edits: ONE_KEY,
    events: 0,
    links: 0,
    crashes: 0,
    pauses: 0,
    ring_records: 1,
    mutation: None,
    shows: &[],
};

/// What is walked through each time: a name, a scope, and the least number of states that it has.
const SCOPES: &[(&str, Scope, usize)] = &[
    (
        "gossip",
        Scope {
            edits: TWO_KEYS,
            events: 4,
            shows: &[SIBLINGS],
            ..EMPTY
        },
        250_000,
    ),
    (
        "gossip and a crash",
        Scope {
            edits: TWO_KEYS,
            events: 3,
            crashes: 1,
            shows: &[SIBLINGS, LOSS, RETURN],
            ..EMPTY
        },
        200_000,
    ),
    (
        "sessions",
        Scope {
            events: 3,
            links: 1,
            shows: &[SIBLINGS, LEAVES],
            ..EMPTY
        },
        1_000_000,
    ),
    (
        "sessions and transactions",
        Scope {
            edits: TRANSACTIONS,
            events: 2,
            links: 1,
            shows: &[SIBLINGS, LEAVES],
            ..EMPTY
        },
        50_000,
    ),
    (
        "sessions without records, and a crash",
        Scope {
            events: 2,
            links: 1,
            crashes: 1,
            ring_records: 0,
            shows: &[SIBLINGS, LEAVES, LOSS, RETURN],
            ..EMPTY
        },
        200_000,
    ),
    (
        "sessions and a pause",
        Scope {
            events: 2,
            links: 1,
            pauses: 1,
            ring_records: 65_536,
            shows: &[SIBLINGS],
            ..EMPTY
        },
        400_000,
    ),
];

/// What is walked through when there is time.
const LONG_SCOPES: &[(&str, Scope, usize)] = &[
    (
        "gossip and a crash",
        Scope {
            edits: TWO_KEYS,
            events: 4,
            crashes: 1,
            shows: &[SIBLINGS, LOSS, RETURN],
            ..EMPTY
        },
        1_000_000,
    ),
    (
        "sessions over two links",
        Scope {
            events: 2,
            links: 2,
            shows: &[SIBLINGS, LEAVES],
            ..EMPTY
        },
        1_000_000,
    ),
    (
        "sessions, two keys",
        Scope {
            edits: TWO_KEYS,
            events: 3,
            links: 1,
            shows: &[SIBLINGS, LEAVES],
            ..EMPTY
        },
        1_000_000,
    ),
    (
        "sessions and a crash",
        Scope {
            events: 3,
            links: 1,
            crashes: 1,
            shows: &[SIBLINGS, LEAVES, LOSS, RETURN],
            ..EMPTY
        },
        1_000_000,
    ),
    (
        "sessions, a crash and a pause",
        Scope {
            events: 2,
            links: 1,
            crashes: 1,
            pauses: 1,
            shows: &[SIBLINGS, LEAVES, LOSS, RETURN],
            ..EMPTY
        },
        1_000_000,
    ),
];

/// Small scopes that show deliberate bugs: all but one, since nobody copies a profile in this world.
const BUGS: &[(Mutation, Scope)] = &[
    (Mutation::ContextAtHello, EMPTY.writing(1).over_links(1)),
    (Mutation::VisibleBeforeEnd, EMPTY.writing(1).over_links(1)),
    (Mutation::VectorOverGaps, EMPTY.writing(2)),
    // One to be first, one to be under way, one to be missed.
    (
        Mutation::NoCatchUp,
        Scope {
            edits: &[Edit::Put("a")],
            ..EMPTY.writing(3).over_links(1)
        },
    ),
    (
        Mutation::AuthorResumed,
        Scope {
            crashes: 1,
            ..EMPTY.writing(2)
        },
    ),
    (Mutation::DotEvicted, EMPTY.writing(1)),
    (Mutation::RingOfDeletes, EMPTY.writing(2).over_links(1)),
    (Mutation::AuthorForgotten, EMPTY.writing(2).over_links(1)),
];

impl Scope {
    const fn writing(self, events: usize) -> Self {
        Self { events, ..self }
    }

    const fn over_links(self, links: u8) -> Self {
        Self { links, ..self }
    }
}

#[test]
fn every_world_keeps_the_rules() {
    let scopes = match env::var("GOSSIPSTORE_MODEL").as_deref() {
        Ok("long") => LONG_SCOPES,
        Ok(other) => panic!("GOSSIPSTORE_MODEL is {other}; it may be long"),
        Err(_) => SCOPES,
    };
    for (name, scope, states_min) in scopes {
        let walk = Worlds::new(*scope).checker().threads(2);
        let walk = walk.finish_when(HasDiscoveries::AnyFailures);
        // Depth first: what is pending stays small.
        let walk = walk.target_state_count(STEPS_MAX).spawn_dfs().join();
        if let Some(broken) = broken(&walk) {
            panic!("{name}: {broken}");
        }
        let (states, engine) = (walk.unique_state_count(), &walk.model().engine);
        say(&format!(
            "{name}: {states} states, {}, up to {} steps deep; {} turns of a replica between {} states",
            if walk.state_count() < STEPS_MAX {
                "which are all"
            } else {
                "cut off"
            },
            walk.max_depth(),
            engine.turns(),
            engine.snapshots(),
        ));
        for shown in scope.shows {
            assert!(walk.discovery(shown).is_some(), "{name}: it is never so that {shown}");
        }
        assert!(states >= *states_min, "{name}: {states} states are too few");
    }
}

#[test]
fn deliberate_bugs_are_found() {
    for (mutation, scope) in BUGS {
        let scope = Scope {
            mutation: Some(*mutation),
            ..*scope
        };
        let walk = Worlds::new(scope).checker().finish_when(HasDiscoveries::AnyFailures);
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
