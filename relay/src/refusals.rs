//! What a relay has refused lately, for whoever runs it.

use std::{fmt, mem, time::Duration};

/// How often it is told, if there is anything to tell.
pub(crate) const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How often each kind of limit was reached since it was told last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Refusals {
    /// Connections that were not let in.
    pub(crate) connections: u64,
    /// Places that members asked for.
    pub(crate) reservations: u64,
    /// Circuits.
    pub(crate) circuits: u64,
    /// Registrations, and questions who is there.
    pub(crate) requests: u64,
}

impl Refusals {
    /// What there is to tell, which is forgotten.
    pub(crate) fn take(&mut self) -> Option<Self> {
        let taken = mem::take(self);
        (taken != Self::default()).then_some(taken)
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            reservations,
            circuits,
            requests,
        } = self;
        write!(
            f,
            "{connections} connections, {reservations} reservations, {circuits} circuits, {requests} requests"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut refused = Refusals::default();
        assert_eq!(refused.take(), None);
        refused.circuits = 2;
        let told = refused.take().expect("something was refused");
        assert_eq!(
            told.to_string(),
            "0 connections, 0 reservations, 2 circuits, 0 requests"
        );
        assert_eq!(refused.take(), None);
    }
}
