//! What must hold in every world, and what must be seen in some.

use std::sync::Arc;

use gossipstore_core::id::Dot;
use stateright::Property;

use super::{
    engine::Snapshot,
    table::Number,
    world::{PAIRS, World, Worlds},
};

/// What a scope may have to show.
pub(crate) const SIBLINGS: &str = "a key has siblings";
pub(crate) const LEAVES: &str = "leaves stand in for lost records";
pub(crate) const LOSS: &str = "a crash loses a write";
pub(crate) const RETURN: &str = "a peer hands a lost write back";

/// A rule that a single step can break.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Rule {
    /// What a replica shows is a closed set of events, and its live entries and frontier are what those events leave.
    Closed,
    /// What was removed is not live again.
    NoResurrection,
    /// What was live is gone only when an event that supersedes it is visible.
    NoLostUpdate,
    /// A session that was not cut brings what its sender held when the link came up.
    SessionsDeliver,
    /// No replica panics, refuses a valid command, or gives up a session with an honest peer.
    Sound,
}

/// How a rule was broken.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Fault {
    pub(crate) rule: Rule,
    pub(crate) what: Arc<str>,
}

impl Fault {
    pub(crate) fn new(rule: Rule, what: impl Into<String>) -> Self {
        Self {
            rule,
            what: Arc::from(what.into()),
        }
    }
}

/// The rules, and those things to be seen that a scope names.
pub(crate) fn properties(shows: &[&str]) -> Vec<Property<Worlds>> {
    fn keeps(world: &World, rule: Rule) -> bool {
        world.fault.as_ref().is_none_or(|fault| fault.rule != rule)
    }
    let mut properties = vec![
        Property::always("states are closed", |_, world: &World| keeps(world, Rule::Closed)),
        Property::always("nothing is resurrected", |_, world: &World| {
            keeps(world, Rule::NoResurrection)
        }),
        Property::always("no update is lost", |_, world: &World| keeps(world, Rule::NoLostUpdate)),
        Property::always("sessions deliver", |_, world: &World| {
            keeps(world, Rule::SessionsDeliver)
        }),
        Property::always("replicas are sound", |_, world: &World| keeps(world, Rule::Sound)),
        Property::always("replicas converge", |worlds: &Worlds, world: &World| {
            world.fault.is_some() || converges(worlds, world)
        }),
    ];
    let shown = [
        Property::sometimes(SIBLINGS, |worlds: &Worlds, world: &World| {
            let replicas = worlds.snapshots(world);
            replicas.iter().any(|replica| replica.reading.has_siblings())
        }),
        Property::sometimes(LEAVES, leaves_stand_in),
        Property::sometimes(LOSS, |_, world: &World| world.lost.is_some()),
        Property::sometimes(RETURN, |worlds: &Worlds, world: &World| {
            let covers = |(at, dot): (usize, Dot)| worlds.engine.snapshot(world.replicas[at]).vector.covers(&dot);
            world.lost.is_some_and(covers)
        }),
    ];
    properties.extend(shown.into_iter().filter(|property| shows.contains(&property.name)));
    properties
}

/// Whether those who have seen the same read the same, and all have seen everything once nothing is on its way.
fn converges(worlds: &Worlds, world: &World) -> bool {
    let replicas = worlds.snapshots(world);
    let agree =
        |[a, b]: [usize; 2]| replicas[a].vector != replicas[b].vector || replicas[a].reading == replicas[b].reading;
    let has_all = |replica: &Arc<Snapshot>| {
        let seen: u64 = replica.vector.iter().map(|(_, n)| n).sum();
        seen == worlds.engine.history(world.history).len() as u64
    };
    PAIRS.into_iter().all(agree) && (replicas.iter().all(has_all) || !worlds.is_quiet(world))
}

/// Whether leaves are on their way because a record is lost: a replica that says it has seen nothing is sent them in any case.
fn leaves_stand_in(worlds: &Worlds, world: &World) -> bool {
    let sessions = world.links.iter().flatten().filter_map(|link| {
        let asked = link.held?;
        Some(link.lanes.iter().zip(asked))
    });
    let has_leaves = |lane: &[Number]| lane.iter().any(|frame| worlds.engine.message(*frame).leaves);
    let has_seen = |replica| !worlds.engine.snapshot(replica).vector.is_empty();
    sessions
        .flatten()
        .any(|(lane, asked)| has_leaves(lane) && has_seen(asked))
}
