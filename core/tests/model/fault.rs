//! What the check holds against a world.

use std::sync::Arc;

/// A rule that was broken.
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
