//! Places with members: with each that is linked directly we hold a reservation, as with a relay, so that others can meet us there
//! and connect directly ([`crate::introductions`] tells them). What a member refuses is asked again later.

use std::{collections::HashMap, time::Duration};

use gossipstore_core::time::Timestamp;
use libp2p::{PeerId, core::transport::ListenerId};
use rand::rngs::SmallRng;

use crate::retry::Backoff;

/// When to ask again. The relays are there meanwhile, and other members.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(2),
    cap: Duration::from_secs(60),
};

/// A place with each member that is linked directly.
#[derive(Debug, Default)]
pub(crate) struct Places {
    members: HashMap<PeerId, Place>,
}

#[derive(Debug)]
struct Place {
    state: State,
    failures: u32,
}

#[derive(Debug)]
enum State {
    Waiting {
        until: Timestamp,
    },
    /// Asked for, or held.
    Listening(ListenerId),
}

impl Places {
    /// A direct link to a member is up.
    pub(crate) fn linked(&mut self, member: PeerId, now: Timestamp) {
        let place = || Place {
            state: State::Waiting { until: now },
            failures: 0,
        };
        self.members.entry(member).or_insert_with(place);
    }

    /// It is gone. Gives the listener to remove, if there is one.
    pub(crate) fn unlinked(&mut self, member: &PeerId) -> Option<ListenerId> {
        match self.members.remove(member)?.state {
            State::Listening(listener) => Some(listener),
            State::Waiting { .. } => None,
        }
    }

    /// Whom to ask now; report each with [`Self::listening`] or [`Self::refused`].
    pub(crate) fn due(&self, now: Timestamp) -> Vec<PeerId> {
        let is_due = |place: &Place| matches!(place.state, State::Waiting { until } if until <= now);
        let due = self.members.iter().filter(|(_, place)| is_due(place));
        due.map(|(member, _)| *member).collect()
    }

    /// A member has been asked.
    pub(crate) fn listening(&mut self, member: &PeerId, listener: ListenerId) {
        if let Some(place) = self.members.get_mut(member) {
            place.state = State::Listening(listener);
        }
    }

    /// A member holds a place for us.
    pub(crate) fn held(&mut self, member: &PeerId) {
        if let Some(place) = self.members.get_mut(member) {
            place.failures = 0;
        }
    }

    /// A member could not be asked.
    pub(crate) fn refused(&mut self, member: &PeerId, now: Timestamp, random: &mut SmallRng) {
        if let Some(place) = self.members.get_mut(member) {
            place.failures = place.failures.saturating_add(1);
            let until = now + BACKOFF.delay(place.failures, random);
            place.state = State::Waiting { until };
        }
    }

    /// A listener has ended: the place was refused, ran out or could not be renewed. Does nothing if it was none of ours.
    pub(crate) fn listener_closed(&mut self, id: ListenerId, now: Timestamp, random: &mut SmallRng) {
        let is_it =
            |(_, place): &(&PeerId, &Place)| matches!(place.state, State::Listening(listener) if listener == id);
        if let Some((&member, _)) = self.members.iter().find(is_it) {
            self.refused(&member, now, random);
        }
    }

    /// When [`Self::due`] names somebody, if nothing is reported before.
    pub(crate) fn timeout(&self) -> Option<Timestamp> {
        let waiting = self.members.values().filter_map(|place| match place.state {
            State::Waiting { until } => Some(until),
            State::Listening(_) => None,
        });
        waiting.min()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn each_linked_member_is_asked_once_and_again_when_it_refuses() {
        let (member, now, mut random) = (PeerId::random(), Timestamp(1_000_000), SmallRng::seed_from_u64(3));
        let mut places = Places::default();
        places.linked(member, now);
        assert_eq!(places.due(now), [member]);
        let listener = ListenerId::next();
        places.listening(&member, listener);
        places.held(&member);
        places.linked(member, now);
        assert_eq!((places.due(now), places.timeout()), (vec![], None), "a place is held");

        places.listener_closed(ListenerId::next(), now, &mut random);
        assert_eq!(places.timeout(), None, "none of ours");
        places.listener_closed(listener, now, &mut random);
        let first = places.timeout().expect("it is asked again");
        assert!(first > now && first <= now + BACKOFF.base);
        assert_eq!(places.due(now), []);
        assert_eq!(places.due(first), [member]);
        for _ in 0..10 {
            places.refused(&member, now, &mut random);
        }
        assert!(places.timeout().expect("it is asked again") >= now + BACKOFF.cap / 2);
        places.held(&member);
        places.refused(&member, now, &mut random);
        assert!(places.timeout().expect("it is asked again") <= now + BACKOFF.base);
    }

    #[test]
    fn who_is_no_longer_linked_is_not_asked() {
        let (members, now) = ([PeerId::random(), PeerId::random()], Timestamp(1_000_000));
        let mut places = Places::default();
        members.iter().for_each(|member| places.linked(*member, now));
        let listener = ListenerId::next();
        places.listening(&members[0], listener);
        assert_eq!(places.unlinked(&members[0]), Some(listener));
        assert_eq!(places.unlinked(&members[1]), None);
        assert_eq!(places.unlinked(&members[1]), None);
        assert_eq!(places.due(now), []);
    }
}
