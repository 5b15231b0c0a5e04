//! Who is registered where.
//!
//! Registrations are numbered in the order in which they come, and one that replaces another gets a number of its own. A
//! number is what everything else refers to: the registrations of a namespace and of a member, the order in which they
//! end, and cookies, which say up to where an asker has been told.
//!
//! Nothing is kept but what is registered, once, and that is bounded in number for each member and in all; whoever puts
//! it here bounds its bytes. It knows neither connections nor the clock: who has gone, and what time it is, it is told.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    hash::RandomState,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use libp2p::PeerId;

use super::cookie::{Invalid, Position};
use crate::limits::{DISCOVERED_BYTES_MAX, DISCOVERED_MAX, REGISTRATIONS_PER_PEER};

/// How many bytes a namespace may have: as many as the specification recommends, and the most that libp2p's client takes.
const NAMESPACE_BYTES_MAX: usize = 255;

/// How many bytes tell of a registration besides its namespace and record: four tags, three lengths and the seconds.
const FIELDS_BYTES_MAX: usize = 16;

/// What members register in and ask about. For a relay it is a name and no more.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Namespace(Arc<str>);

impl Namespace {
    /// None if it is empty or too long.
    pub(crate) fn new(text: String) -> Option<Self> {
        (1..=NAMESPACE_BYTES_MAX)
            .contains(&text.len())
            .then(|| Self(text.into()))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A registration that is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// Where it was made.
    pub(crate) namespace: Namespace,
    /// What the member registered.
    pub(crate) record: Bytes,
    /// How many seconds are left of it, at least one.
    pub(crate) seconds: u64,
}

/// What an asker is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Discovered {
    /// The newest first.
    pub(crate) registrations: Vec<Found>,
    /// What to ask with next time, to be told only what these are not.
    pub(crate) cookie: String,
}

/// There is no room for one more of this member's registrations, or of anybody's. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// All registrations.
#[derive(Debug)]
pub(crate) struct Registry {
    registrations_max: usize,
    registrations: BTreeMap<u64, Registration>,
    /// The number of the next one.
    next: u64,
    namespaces: HashMap<Namespace, BTreeSet<u64>>,
    members: HashMap<PeerId, Vec<u64>>,
    ends: BTreeSet<(Instant, u64)>,
    /// What cookies are sealed with.
    secret: RandomState,
}

#[derive(Debug)]
struct Registration {
    member: PeerId,
    namespace: Namespace,
    record: Bytes,
    ends: Instant,
}

impl Registry {
    /// Nobody is registered, and this many registrations can be made.
    pub(crate) fn new(registrations_max: usize) -> Self {
        Self {
            registrations_max,
            registrations: BTreeMap::new(),
            next: 0,
            namespaces: HashMap::new(),
            members: HashMap::new(),
            ends: BTreeSet::new(),
            secret: RandomState::new(),
        }
    }

    /// Registers a member until `ends`, instead of what it registered in this namespace before.
    pub(crate) fn register(
        &mut self,
        member: PeerId,
        namespace: Namespace,
        record: Bytes,
        ends: Instant,
        now: Instant,
    ) -> Result<(), Full> {
        self.expire(now);
        let of_member = self.members.get(&member).map_or(&[][..], Vec::as_slice);
        if let Some(replaced) = self.number(&member, &namespace) {
            self.remove(replaced);
        } else if of_member.len() >= REGISTRATIONS_PER_PEER || self.registrations.len() >= self.registrations_max {
            return Err(Full);
        }
        let number = self.next;
        self.next += 1;
        self.namespaces.entry(namespace.clone()).or_default().insert(number);
        self.members.entry(member).or_default().push(number);
        self.ends.insert((ends, number));
        let registration = Registration {
            member,
            namespace,
            record,
            ends,
        };
        self.registrations.insert(number, registration);
        Ok(())
    }

    /// Ends a registration, if there is one.
    pub(crate) fn unregister(&mut self, member: &PeerId, namespace: &Namespace) {
        if let Some(number) = self.number(member, namespace) {
            self.remove(number);
        }
    }

    /// Ends all registrations of a member.
    pub(crate) fn leave(&mut self, member: &PeerId) {
        for number in self.members.get(member).cloned().unwrap_or_default() {
            self.remove(number);
        }
    }

    /// Tells a member of others in a namespace, `limit` at most and no more than an answer may hold.
    /// With a cookie, of those that the answer which brought it, and those before, did not tell.
    pub(crate) fn discover(
        &mut self,
        asker: &PeerId,
        namespace: &Namespace,
        cookie: Option<&[u8]>,
        limit: usize,
        now: Instant,
    ) -> Result<Discovered, Invalid> {
        let position = match cookie {
            Some(cookie) => Position::from_cookie(cookie, namespace, &self.secret)?,
            None => Position::START,
        };
        self.expire(now);
        let untold = position.untold().into_iter();
        let numbers = self.namespaces.get(namespace).into_iter();
        let untold = numbers.flat_map(|numbers| untold.clone().flat_map(|range| numbers.range(range).rev()));
        let untold = untold.map(|number| (number, &self.registrations[number]));
        let (registrations, left_out) = self.tell(asker, untold, limit, now);
        let cookie = position.after(self.next, left_out).to_cookie(namespace, &self.secret);
        Ok(Discovered { registrations, cookie })
    }

    /// As many of these as one answer may hold, without the asker's own, and the first that is left out.
    fn tell<'a>(
        &self,
        asker: &PeerId,
        registrations: impl Iterator<Item = (&'a u64, &'a Registration)>,
        limit: usize,
        now: Instant,
    ) -> (Vec<Found>, Option<u64>) {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (&number, registration) in registrations.filter(|(_, registration)| registration.member != *asker) {
            bytes += registration.namespace.0.len() + registration.record.len() + FIELDS_BYTES_MAX;
            if found.len() >= limit.min(DISCOVERED_MAX) || bytes > DISCOVERED_BYTES_MAX {
                return (found, Some(number));
            }
            found.push(Found {
                namespace: registration.namespace.clone(),
                record: registration.record.clone(),
                seconds: registration.ends.saturating_duration_since(now).as_secs().max(1),
            });
        }
        (found, None)
    }

    fn number(&self, member: &PeerId, namespace: &Namespace) -> Option<u64> {
        let mut numbers = self.members.get(member)?.iter().copied();
        numbers.find(|number| self.registrations[number].namespace == *namespace)
    }

    /// Ends what is over by now.
    fn expire(&mut self, now: Instant) {
        while let Some(&(ends, number)) = self.ends.first()
            && ends <= now
        {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(registration) = self.registrations.remove(&number) else {
            return;
        };
        self.ends.remove(&(registration.ends, number));
        if let Some(numbers) = self.namespaces.get_mut(&registration.namespace) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.namespaces.remove(&registration.namespace);
            }
        }
        if let Some(numbers) = self.members.get_mut(&registration.member) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.members.remove(&registration.member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    const REGISTRATIONS_MAX: usize = 100;

    /// More than a member may register in.
    const NAMESPACES: usize = REGISTRATIONS_PER_PEER + 4;

    const MEMBERS: usize = 4;

    #[derive(Clone, Debug)]
    enum Step {
        Register {
            member: usize,
            namespace: usize,
            seconds: u64,
        },
        Unregister {
            member: usize,
            namespace: usize,
        },
        Leave {
            member: usize,
        },
        Wait {
            seconds: u64,
        },
        Discover {
            asker: usize,
            namespace: usize,
            limit: usize,
        },
        /// As a question before, with the cookie that it was answered.
        Continue {
            asker: usize,
            question: Index,
            limit: usize,
        },
    }

    /// Half of what is done is done in one namespace.
    fn namespace() -> impl Strategy<Value = usize> {
        prop_oneof![Just(0), 0..NAMESPACES]
    }

    fn step() -> impl Strategy<Value = Step> {
        let limit = || prop_oneof![0_usize..4, Just(usize::MAX)];
        prop_oneof![
            16 => (0..MEMBERS, namespace(), 1_u64..60)
                .prop_map(|(member, namespace, seconds)| Step::Register { member, namespace, seconds }),
            2 => (0..MEMBERS, namespace()).prop_map(|(member, namespace)| Step::Unregister { member, namespace }),
            1 => (0..MEMBERS).prop_map(|member| Step::Leave { member }),
            2 => (0_u64..20).prop_map(|seconds| Step::Wait { seconds }),
            4 => (0..MEMBERS, namespace(), limit())
                .prop_map(|(asker, namespace, limit)| Step::Discover { asker, namespace, limit }),
            8 => (0..MEMBERS, any::<Index>(), limit())
                .prop_map(|(asker, question, limit)| Step::Continue { asker, question, limit }),
        ]
    }

    /// A list of what is registered, in the order in which it came.
    struct Model {
        registrations_max: usize,
        list: Vec<Listed>,
        count: usize,
    }

    struct Listed {
        number: usize,
        member: usize,
        namespace: usize,
        ends: Instant,
    }

    impl Model {
        fn register(&mut self, member: usize, namespace: usize, ends: Instant, now: Instant) -> Result<(), Full> {
            self.list.retain(|listed| listed.ends > now);
            let is_same = |listed: &Listed| listed.member == member && listed.namespace == namespace;
            let of_member = self.list.iter().filter(|listed| listed.member == member).count();
            if !self.list.iter().any(is_same)
                && (of_member >= REGISTRATIONS_PER_PEER || self.list.len() >= self.registrations_max)
            {
                return Err(Full);
            }
            self.list.retain(|listed| !is_same(listed));
            self.list.push(Listed {
                number: self.count,
                member,
                namespace,
                ends,
            });
            self.count += 1;
            Ok(())
        }

        /// What is told, and of each number so far whether it is known to the asker then.
        fn discover(&self, asker: usize, question: &Question, limit: usize, now: Instant) -> (Vec<&Listed>, Vec<bool>) {
            let known = &question.known;
            let mut told = self
                .list
                .iter()
                .filter(|listed| listed.ends > now && listed.member != asker)
                .filter(|listed| question.namespace == listed.namespace)
                .filter(|listed| !known.get(listed.number).is_some_and(|known| *known))
                .collect::<Vec<_>>();
            told.reverse();
            let mut now_known = vec![true; self.count];
            if let Some(left_out) = told.get(limit) {
                let oldest = known.iter().position(|known| !known).unwrap_or(known.len());
                now_known[oldest..=left_out.number].fill(false);
            }
            told.truncate(limit);
            (told, now_known)
        }
    }

    #[derive(Clone)]
    struct Question {
        namespace: usize,
        cookie: Option<String>,
        known: Vec<bool>,
    }

    impl Registry {
        /// Everything says the same, and nothing is left of what is over but not yet asked about.
        fn assert_consistent(&self) {
            let all = self.registrations.keys().copied().collect::<BTreeSet<_>>();
            let of_namespaces = self.namespaces.values().flatten().copied().collect::<Vec<_>>();
            let of_members = self.members.values().flatten().copied().collect::<Vec<_>>();
            let ending = self.ends.iter().map(|(_, number)| *number).collect::<Vec<_>>();
            for numbers in [of_namespaces, of_members, ending] {
                assert_eq!(numbers.len(), all.len());
                assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>(), all);
            }
            for (number, registration) in &self.registrations {
                assert!(self.namespaces[&registration.namespace].contains(number));
                assert!(self.members[&registration.member].contains(number));
                assert!(self.ends.contains(&(registration.ends, *number)));
            }
            assert!(self.namespaces.values().all(|numbers| !numbers.is_empty()));
            assert!(
                self.members
                    .values()
                    .all(|numbers| (1..=REGISTRATIONS_PER_PEER).contains(&numbers.len()))
            );
            assert!(all.len() <= self.registrations_max);
        }
    }

    fn named(namespace: usize) -> Namespace {
        Namespace::new(namespace.to_string()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn random_steps_agree_with_the_model(
            registrations_max in prop_oneof![Just(REGISTRATIONS_MAX), 1_usize..20],
            steps in vec(step(), 1..200),
        ) {
            let mut now = Instant::now();
            let mut registry = Registry::new(registrations_max);
            let mut model = Model { registrations_max, list: Vec::new(), count: 0 };
            let members = [(); MEMBERS].map(|()| PeerId::random());
            let mut questions = Vec::<Question>::new();
            for step in steps {
                let (asker, mut question, limit) = match step {
                    Step::Register { member, namespace, seconds } => {
                        let ends = now + Duration::from_secs(seconds);
                        let record = Bytes::from(model.count.to_string());
                        prop_assert_eq!(
                            registry.register(members[member], named(namespace), record, ends, now),
                            model.register(member, namespace, ends, now)
                        );
                        registry.assert_consistent();
                        continue;
                    }
                    Step::Unregister { member, namespace } => {
                        registry.unregister(&members[member], &named(namespace));
                        model.list.retain(|listed| listed.member != member || listed.namespace != namespace);
                        registry.assert_consistent();
                        continue;
                    }
                    Step::Leave { member } => {
                        registry.leave(&members[member]);
                        model.list.retain(|listed| listed.member != member);
                        registry.assert_consistent();
                        continue;
                    }
                    Step::Wait { seconds } => {
                        now += Duration::from_secs(seconds);
                        continue;
                    }
                    Step::Discover { asker, namespace, limit } => {
                        (asker, Question { namespace, cookie: None, known: Vec::new() }, limit)
                    }
                    Step::Continue { asker, question, limit } if !questions.is_empty() => {
                        (asker, question.get(&questions).clone(), limit)
                    }
                    Step::Continue { .. } => continue,
                };
                let namespace = named(question.namespace);
                let cookie = question.cookie.as_deref().map(str::as_bytes);
                let discovered = registry.discover(&members[asker], &namespace, cookie, limit, now).unwrap();
                registry.assert_consistent();
                let (told, known) = model.discover(asker, &question, limit, now);
                let expected = told
                    .iter()
                    .map(|listed| Found {
                        namespace: named(listed.namespace),
                        record: Bytes::from(listed.number.to_string()),
                        seconds: listed.ends.duration_since(now).as_secs(),
                    })
                    .collect::<Vec<_>>();
                prop_assert_eq!(discovered.registrations, expected);
                (question.cookie, question.known) = (Some(discovered.cookie), known);
                questions.push(question);
            }
            now += Duration::from_secs(60);
            registry.expire(now);
            registry.assert_consistent();
            prop_assert!(registry.registrations.is_empty());
        }
    }

    #[test]
    fn a_cookie_of_another_namespace_or_registry_is_refused() {
        let (asker, now) = (PeerId::random(), Instant::now());
        let mut registry = Registry::new(REGISTRATIONS_MAX);
        let cookie = registry.discover(&asker, &named(0), None, 1, now).unwrap().cookie;
        let cookie = Some(cookie.as_bytes());
        assert!(registry.discover(&asker, &named(0), cookie, 1, now).is_ok());
        let others = [
            registry.discover(&asker, &named(1), cookie, 1, now),
            Registry::new(REGISTRATIONS_MAX).discover(&asker, &named(0), cookie, 1, now),
        ];
        for other in others {
            assert_eq!(other, Err(Invalid));
        }
    }

    #[test]
    fn no_answer_names_more_than_it_may_and_cookies_lead_to_all() {
        let now = Instant::now();
        let ends = now + Duration::from_secs(60);
        let members = 3 * DISCOVERED_MAX;
        let mut registry = Registry::new(members);
        for _ in 0..members {
            registry
                .register(PeerId::random(), named(0), Bytes::new(), ends, now)
                .unwrap();
        }
        let (asker, mut cookie, mut answers) = (PeerId::random(), None::<String>, Vec::new());
        for _ in 0..4 {
            let bytes = cookie.as_deref().map(str::as_bytes);
            let discovered = registry.discover(&asker, &named(0), bytes, usize::MAX, now).unwrap();
            answers.push(discovered.registrations.len());
            cookie = Some(discovered.cookie);
        }
        assert_eq!(answers, [DISCOVERED_MAX, DISCOVERED_MAX, DISCOVERED_MAX, 0]);
    }
}
