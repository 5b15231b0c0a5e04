//! The names under which a store's members find each other, and how much each relay has told under them.
//!
//! A name is good for a day, so that a relay cannot follow a store for longer. We register under today's; we ask under
//! yesterday's as well, where those are whose day has not begun.

use std::collections::HashMap;

use gossipstore_core::{membership::Topics, time::Timestamp};
use libp2p::{
    PeerId,
    rendezvous::{Cookie, Namespace},
};

/// The names, and the relays' cookies.
#[derive(Debug)]
pub(crate) struct Names {
    topics: Topics,
    cookies: HashMap<(PeerId, Namespace), Cookie>,
}

impl Names {
    pub(crate) fn new(topics: Topics) -> Self {
        let cookies = HashMap::new();
        Self { topics, cookies }
    }

    /// Today's name and yesterday's.
    pub(crate) fn around(&self, now: Timestamp) -> [Namespace; 2] {
        let names = self.topics.around(now.0 / 1_000);
        names.map(|name| Namespace::new(name).expect("the name is shorter than a namespace may be"))
    }

    /// What to ask a relay: who is there, apart from those that the cookie says we know.
    pub(crate) fn questions(&mut self, relay: PeerId, now: Timestamp) -> [(Namespace, Option<Cookie>); 2] {
        let names = self.around(now);
        self.cookies.retain(|(_, name), _| names.contains(name));
        names.map(|name| {
            let cookie = self.cookies.get(&(relay, name.clone())).cloned();
            (name, cookie)
        })
    }

    /// A relay has told who is there.
    pub(crate) fn told(&mut self, relay: PeerId, cookie: Cookie) {
        if let Some(name) = cookie.namespace().cloned() {
            self.cookies.insert((relay, name), cookie);
        }
    }

    /// A relay does not know its cookies any more. Says whether it has given us some.
    pub(crate) fn forget(&mut self, relay: &PeerId) -> bool {
        let before = self.cookies.len();
        self.cookies.retain(|(other, _), _| other != relay);
        self.cookies.len() < before
    }
}

#[cfg(test)]
mod tests {
    use gossipstore_core::membership::Secret;

    use super::*;

    const NOON: Timestamp = Timestamp(20_000 * DAY + DAY / 2);
    const DAY: u64 = 24 * 60 * 60 * 1_000;

    fn names() -> Names {
        Names::new(Secret::of_name("names").topics())
    }

    #[test]
    fn who_registered_before_midnight_is_asked_for_after_it() {
        let names = names();
        assert_eq!(names.around(NOON)[0], names.around(Timestamp(NOON.0 + DAY))[1]);
    }

    #[test]
    fn a_relay_is_asked_on_from_where_it_was_under_each_name() {
        let (mut names, relay, other) = (names(), PeerId::random(), PeerId::random());
        let [today, yesterday] = names.around(NOON);
        let cookie = Cookie::for_namespace(today.clone());
        names.told(relay, cookie.clone());
        assert_eq!(
            names.questions(relay, NOON),
            [(today.clone(), Some(cookie)), (yesterday, None)]
        );
        assert!(names.questions(other, NOON).iter().all(|(_, cookie)| cookie.is_none()));
        let later = Timestamp(NOON.0 + 2 * DAY);
        assert!(
            names
                .questions(relay, later)
                .iter()
                .all(|(name, cookie)| cookie.is_none() && *name != today)
        );
        assert!(names.cookies.is_empty(), "names of the past are forgotten");
    }

    #[test]
    fn cookies_that_a_relay_forgot_are_dropped() {
        let (mut names, relay) = (names(), PeerId::random());
        let [today, _] = names.around(NOON);
        assert!(!names.forget(&relay));
        names.told(relay, Cookie::for_namespace(today));
        assert!(!names.forget(&PeerId::random()));
        assert!(names.forget(&relay));
        assert!(!names.forget(&relay));
    }
}
