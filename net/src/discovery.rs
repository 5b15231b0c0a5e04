//! Finding members: as soon as a relay is connected we ask who registered the store's namespace there and dial some of them; when
//! it holds a place for us we register, too, and ask once more, as who asks before registering may miss one who does the same. Members that are linked directly introduce others, too: those are dialled through them when there is no
//! relay, or when the relay does not lead to them.
//!
//! Not all of them: a node wants [`MEMBERS_WANTED`] links, chosen at random, because gossip over a random mesh reaches
//! everybody in a few hops, while links to everybody would cost each node as much as there are members. Others dial us,
//! too, and nobody is turned away: a newcomer that met refusals only would be alone. Who has more than [`MEMBERS_MAX`] then parts
//! from one of them, any but the newest; if that one has too few by it, it finds another.
//!
//! What fails is tried again later and later, then forgotten until the member registers anew, which the living do
//! every few minutes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use gossipstore_core::time::Timestamp;
use libp2p::{PeerId, rendezvous::ErrorCode};
use rand::{
    rngs::SmallRng,
    seq::{IteratorRandom as _, SliceRandom as _},
};

use crate::retry::{Backoff, jitter};

/// How many links a node seeks. Gossip needs about six for a mesh that no few losses can part.
pub(crate) const MEMBERS_WANTED: usize = 6;

/// How many links a node keeps. Twice as many as it seeks: as many again dial it, on average.
pub(crate) const MEMBERS_MAX: usize = 12;

/// For how long a node does not seek one that it has parted from.
const PARTED_FOR: Duration = Duration::from_secs(60);

/// How many members are kept in mind. More than enough to choose from.
const MEMBERS_KNOWN_MAX: usize = 512;

/// How many members one answer may name.
pub(crate) const MEMBERS_ASKED: u64 = 256;

/// Through how many members one is dialled at once. The first circuit wins; one of them may just have gone.
const INTRODUCERS_ASKED: usize = 3;

/// For how long we register, in seconds. Short, because it is also how long a relay that is not ours takes us for present after we
/// vanished, and who has heard of us anyway; not shorter, because the timers of a hidden tab come late by a minute.
const REGISTERED_FOR_SECONDS: u64 = 5 * 60;

/// How often to ask who is there.
const DISCOVER_EVERY: Duration = Duration::from_secs(30);

/// When to try again what a relay refused.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// By how much all of these vary.
const JITTER: f64 = 0.2;

/// When to dial a member again.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// After how many failures in a row a member is forgotten.
const FAILURES_MAX: u32 = 6;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum DiscoveryAction {
    /// Register at a relay, for so many seconds or for as long as it likes.
    Register { relay: PeerId, seconds: Option<u64> },
    /// Ask a relay who is there.
    Discover { relay: PeerId },
    /// Dial a member through these relays or members.
    Dial { member: PeerId, through: Vec<PeerId> },
    /// Close the connections to a member: there are others enough.
    Part { member: PeerId },
}

/// What is known of members, and where to learn more.
#[derive(Debug)]
pub(crate) struct Discovery {
    local: PeerId,
    relays: BTreeMap<PeerId, Place>,
    members: HashMap<PeerId, Member>,
    /// How many members were connected so far.
    met: u64,
    /// How many were forgotten because they could not be reached.
    given_up: u64,
}

/// A connected relay. A time that is `None` stands for a request under way.
#[derive(Debug)]
struct Place {
    /// `None` also until it holds a place for us.
    register_at: Option<Timestamp>,
    discover_at: Option<Timestamp>,
    seconds: Option<u64>,
    registered: bool,
}

#[derive(Debug)]
struct Member {
    /// The relays through which it was heard of.
    relays: BTreeSet<PeerId>,
    /// The members that hold a place for it.
    introducers: BTreeSet<PeerId>,
    /// How long what relays said of it holds.
    known_until: Timestamp,
    state: State,
    failures: u32,
    not_before: Timestamp,
    /// How many were connected before it, since the beginning.
    nth: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// Dialled, or met on a circuit through another member: it will be connected, or fail.
    Coming,
    Connected,
}

impl Discovery {
    /// Nobody is known, and there is no relay to ask.
    pub(crate) fn new(local: PeerId) -> Self {
        Self {
            local,
            relays: BTreeMap::new(),
            members: HashMap::new(),
            met: 0,
            given_up: 0,
        }
    }

    /// How many members were forgotten because they could not be reached.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    // Relays.

    /// A relay is connected.
    pub(crate) fn relay_reached(&mut self, relay: PeerId, now: Timestamp) {
        let place = Place {
            register_at: None,
            discover_at: Some(now),
            seconds: Some(REGISTERED_FOR_SECONDS),
            registered: false,
        };
        self.relays.insert(relay, place);
        self.relay_is_back(relay, now);
    }

    /// A relay holds a place for us.
    pub(crate) fn relay_ready(&mut self, relay: PeerId, now: Timestamp) {
        if let Some(place) = self.relays.get_mut(&relay) {
            place.register_at = Some(now);
            self.relay_is_back(relay, now);
        }
    }

    /// Members that the relay's loss cut off are likely to come back the same way, and as soon as we do.
    fn relay_is_back(&mut self, relay: PeerId, now: Timestamp) {
        for member in self.members.values_mut().filter(|member| member.state == State::Idle) {
            if member.relays.contains(&relay) {
                member.failures = 0;
                member.not_before = now;
            }
        }
    }

    /// A relay can no longer be used.
    pub(crate) fn relay_gone(&mut self, relay: &PeerId) {
        self.relays.remove(relay);
    }

    /// Where we are registered.
    pub(crate) fn registered_at(&self) -> Vec<PeerId> {
        self.relays
            .iter()
            .filter(|(_, place)| place.registered)
            .map(|(relay, _)| *relay)
            .collect()
    }

    /// A relay took our registration for `seconds`.
    pub(crate) fn registered(&mut self, relay: &PeerId, seconds: u64, now: Timestamp, random: &mut SmallRng) {
        if let Some(place) = self.relays.get_mut(relay) {
            // Early enough for a second attempt, and for timers that come late.
            let again = Duration::from_secs(seconds.clamp(10, 24 * 60 * 60)) / 2;
            place.register_at = Some(now + jitter(again, JITTER, random));
            if !std::mem::replace(&mut place.registered, true) {
                place.discover_at = Some(now);
            }
        }
    }

    /// A relay refused our registration. Says whether that is worth telling.
    pub(crate) fn register_failed(
        &mut self,
        relay: &PeerId,
        error: ErrorCode,
        now: Timestamp,
        random: &mut SmallRng,
    ) -> bool {
        let Some(place) = self.relays.get_mut(relay) else {
            return false;
        };
        if error == ErrorCode::InvalidTtl && place.seconds.take().is_some() {
            place.register_at = Some(now);
            return false;
        }
        place.register_at = Some(now + jitter(RETRY_AFTER, JITTER, random));
        true
    }

    /// A relay told who is there, each with the seconds for which it registered.
    pub(crate) fn discovered(
        &mut self,
        relay: &PeerId,
        members: impl Iterator<Item = (PeerId, u64)>,
        now: Timestamp,
        random: &mut SmallRng,
    ) {
        let Some(place) = self.relays.get_mut(relay) else {
            return;
        };
        // Of two requests under way, the answer to one does not put off what that to the other has planned.
        let again = now + jitter(DISCOVER_EVERY, JITTER, random);
        place.discover_at = Some(place.discover_at.map_or(again, |planned| planned.min(again)));
        // Each relay has its share of what is kept in mind.
        let share = MEMBERS_KNOWN_MAX / self.relays.len().max(1);
        let told = self.members.values().filter(|member| member.relays.contains(relay));
        let mut told = told.count();
        for (member, seconds) in members {
            if told >= share && !self.members.contains_key(&member) {
                continue;
            }
            let until = now + Duration::from_secs(seconds.min(REGISTERED_FOR_SECONDS.max(24 * 60 * 60)));
            told += usize::from(self.heard_of(member, *relay, until, now));
        }
    }

    /// A relay did not tell who is there, perhaps because we asked with a cookie that it has forgotten.
    pub(crate) fn discover_failed(&mut self, relay: &PeerId, stale: bool, now: Timestamp, random: &mut SmallRng) {
        if let Some(place) = self.relays.get_mut(relay) {
            place.discover_at = Some(if stale {
                now
            } else {
                now + jitter(RETRY_AFTER, JITTER, random)
            });
        }
    }

    // Members.

    /// A member is connected, through `relay` if not directly. It may be one that we never heard of.
    pub(crate) fn connected(&mut self, member: PeerId, relay: Option<PeerId>, now: Timestamp) {
        let known = self.members.entry(member).or_insert_with(|| Member::new(now));
        if known.state != State::Connected {
            self.met += 1;
            known.nth = self.met;
        }
        known.state = State::Connected;
        known.failures = 0;
        if let Some(relay) = relay {
            // Whoever came through a relay has a place there, as far as one can tell.
            known.relays.insert(relay);
            known.known_until = known.known_until.max(now + Duration::from_secs(REGISTERED_FOR_SECONDS));
        }
    }

    /// A circuit to a member stands through another member, so that they can connect directly.
    pub(crate) fn met(&mut self, member: PeerId, now: Timestamp) {
        let known = self.members.entry(member).or_insert_with(|| Member::new(now));
        if known.state == State::Idle {
            known.state = State::Coming;
        }
    }

    /// The network may have come back: those that were not reached are tried at once, apart from those that we parted from.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        for member in self.members.values_mut().filter(|member| member.failures > 0) {
            (member.failures, member.not_before) = (0, now);
        }
    }

    /// The last connection to a member is gone, or a dial did not lead to one.
    pub(crate) fn disconnected(&mut self, member: &PeerId, now: Timestamp, random: &mut SmallRng) {
        self.no_longer_introduced_by(member);
        if let Some(known) = self.members.get_mut(member)
            && known.state != State::Idle
        {
            known.state = State::Idle;
            self.failed(member, now, random);
        }
    }

    /// A connected member told who can be reached through it: these and nobody else.
    pub(crate) fn introduced(&mut self, by: &PeerId, members: Vec<PeerId>, now: Timestamp) {
        if !self.members.get(by).is_some_and(|by| by.state == State::Connected) {
            return;
        }
        self.no_longer_introduced_by(by);
        for id in members {
            if let Some(member) = self.known(id, now) {
                member.introducers.insert(*by);
            }
        }
    }

    fn no_longer_introduced_by(&mut self, gone: &PeerId) {
        for member in self.members.values_mut() {
            member.introducers.remove(gone);
        }
    }

    /// Makes the requests that are due and chooses whom to dial.
    pub(crate) fn tick(&mut self, now: Timestamp, random: &mut SmallRng) -> Vec<DiscoveryAction> {
        let mut actions = Vec::new();
        for (&relay, place) in &mut self.relays {
            if place.register_at.take_if(|at| *at <= now).is_some() {
                actions.push(DiscoveryAction::Register {
                    relay,
                    seconds: place.seconds,
                });
            }
            if place.discover_at.take_if(|at| *at <= now).is_some() {
                actions.push(DiscoveryAction::Discover { relay });
            }
        }
        self.members.retain(|_, member| {
            member.state != State::Idle || now < member.known_until || !member.introducers.is_empty()
        });
        let wanted = MEMBERS_WANTED.saturating_sub(Self::engaged(&self.members));
        let relays = &self.relays;
        let due = |member: &Member| member.is_reachable(relays) && member.not_before <= now;
        // In turn of each that told of some: one that invents members does not keep the others' from being tried.
        let mut by_teller = BTreeMap::<_, Vec<_>>::new();
        for (id, member) in self.members.iter().filter(|(_, member)| due(member)) {
            by_teller.entry(member.teller(relays, random)).or_default().push(*id);
        }
        let mut by_teller: Vec<_> = by_teller.into_values().collect();
        by_teller.shuffle(random);
        by_teller.iter_mut().for_each(|told| told.shuffle(random));
        let most = by_teller.iter().map(Vec::len).max().unwrap_or_default();
        let in_turn = (0..most).flat_map(|turn| by_teller.iter().filter_map(move |told| told.get(turn)));
        for id in in_turn.take(wanted) {
            let Some(member) = self.members.get_mut(id) else {
                continue;
            };
            member.state = State::Coming;
            let through = member.places(relays, random);
            actions.push(DiscoveryAction::Dial { member: *id, through });
        }
        actions.extend(self.part(now, random));
        actions
    }

    /// Chooses whom to part from, if there are too many.
    fn part(&mut self, now: Timestamp, random: &mut SmallRng) -> Vec<DiscoveryAction> {
        let newest = self.met;
        let connected = self
            .members
            .iter_mut()
            .filter(|(_, member)| member.state == State::Connected);
        let (mut count, mut older) = (0, Vec::new());
        for (id, member) in connected {
            count += 1;
            if member.nth < newest {
                older.push((*id, member));
            }
        }
        let surplus = older
            .into_iter()
            .sample(random, usize::saturating_sub(count, MEMBERS_MAX));
        surplus
            .into_iter()
            .map(|(id, member)| {
                member.state = State::Idle;
                member.not_before = now + PARTED_FOR;
                DiscoveryAction::Part { member: id }
            })
            .collect()
    }

    /// When [`Discovery::tick`] has something to do, if nothing is reported before.
    pub(crate) fn timeout(&self) -> Option<Timestamp> {
        let requests = self
            .relays
            .values()
            .flat_map(|place| [place.register_at, place.discover_at])
            .flatten();
        let wanting = Self::engaged(&self.members) < MEMBERS_WANTED;
        let dials = self
            .members
            .values()
            .filter(|member| wanting && member.is_reachable(&self.relays));
        requests.chain(dials.map(|member| member.not_before)).min()
    }

    fn engaged(members: &HashMap<PeerId, Member>) -> usize {
        members.values().filter(|member| member.state != State::Idle).count()
    }

    /// Says whether this relay had not told of it before.
    fn heard_of(&mut self, id: PeerId, relay: PeerId, until: Timestamp, now: Timestamp) -> bool {
        let Some(member) = self.known(id, now) else {
            return false;
        };
        member.known_until = member.known_until.max(until);
        // It has just registered, or registered anew: whatever went wrong before, it is there.
        member.failures = 0;
        member.relays.insert(relay)
    }

    /// A member that others told of, if it is not ourselves and there is room to keep it in mind.
    fn known(&mut self, id: PeerId, now: Timestamp) -> Option<&mut Member> {
        if id == self.local || (self.members.len() >= MEMBERS_KNOWN_MAX && !self.members.contains_key(&id)) {
            return None;
        }
        Some(self.members.entry(id).or_insert_with(|| Member::new(now)))
    }

    fn failed(&mut self, id: &PeerId, now: Timestamp, random: &mut SmallRng) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.failures += 1;
        member.not_before = now + BACKOFF.delay(member.failures, random);
        if member.failures >= FAILURES_MAX && member.introducers.is_empty() {
            self.members.remove(id);
            self.given_up += 1;
        }
    }
}

impl Member {
    fn new(now: Timestamp) -> Self {
        Self {
            relays: BTreeSet::new(),
            introducers: BTreeSet::new(),
            known_until: now,
            state: State::Idle,
            failures: 0,
            not_before: now,
            nth: 0,
        }
    }

    fn is_reachable(&self, relays: &BTreeMap<PeerId, Place>) -> bool {
        let is_ready = |relay| relays.contains_key(relay);
        self.state == State::Idle && (!self.introducers.is_empty() || self.relays.iter().any(is_ready))
    }

    /// One of the relays that told of it, or none if members did.
    fn teller(&self, relays: &BTreeMap<PeerId, Place>, random: &mut SmallRng) -> Option<PeerId> {
        let tellers = self.relays.iter().filter(|relay| relays.contains_key(relay));
        tellers.copied().choose(random)
    }

    /// Through whom to dial it: the relays that lead to it; when these failed or there are none, some members as well.
    fn places(&self, relays: &BTreeMap<PeerId, Place>, random: &mut SmallRng) -> Vec<PeerId> {
        let mut places = self
            .relays
            .iter()
            .filter(|relay| relays.contains_key(relay))
            .copied()
            .collect::<Vec<_>>();
        if places.is_empty() || self.failures > 0 {
            places.extend(self.introducers.iter().copied().sample(random, INTRODUCERS_ASKED));
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    struct Bench {
        discovery: Discovery,
        local: PeerId,
        relay: PeerId,
        now: Timestamp,
        random: SmallRng,
    }

    impl Bench {
        /// Reserved at one relay, which has not answered yet who is there.
        fn new() -> Self {
            let (local, relay, now) = (PeerId::random(), PeerId::random(), Timestamp(1_000_000));
            let mut discovery = Discovery::new(local);
            discovery.relay_reached(relay, now);
            let mut bench = Self {
                discovery,
                local,
                relay,
                now,
                random: SmallRng::seed_from_u64(11),
            };
            assert_eq!(bench.tick(), [bench.discover()]);
            bench.discovery.relay_ready(relay, now);
            bench
        }

        fn tick(&mut self) -> Vec<DiscoveryAction> {
            self.discovery.tick(self.now, &mut self.random)
        }

        /// Goes to the moment that it asked for; gives how long that was and what is due then.
        fn wait(&mut self) -> (Duration, Vec<DiscoveryAction>) {
            let until = self.discovery.timeout().expect("something is due").max(self.now);
            let waited = Duration::from_millis(until.0 - self.now.0);
            self.now = until;
            (waited, self.tick())
        }

        /// Registered, and told of these members.
        fn told_of(members: &[PeerId]) -> Self {
            let mut bench = Self::new();
            bench.tick();
            bench
                .discovery
                .registered(&bench.relay, REGISTERED_FOR_SECONDS, bench.now, &mut bench.random);
            bench.tick();
            bench.tell(members);
            bench
        }

        fn tell(&mut self, members: &[PeerId]) {
            let members = members.iter().map(|member| (*member, REGISTERED_FOR_SECONDS));
            self.discovery
                .discovered(&self.relay, members, self.now, &mut self.random);
        }

        fn discover(&self) -> DiscoveryAction {
            DiscoveryAction::Discover { relay: self.relay }
        }

        fn register(&self, seconds: Option<u64>) -> DiscoveryAction {
            DiscoveryAction::Register {
                relay: self.relay,
                seconds,
            }
        }
    }

    fn dialled(actions: &[DiscoveryAction]) -> Vec<PeerId> {
        let member = |action: &DiscoveryAction| match action {
            DiscoveryAction::Dial { member, .. } => Some(*member),
            _ => None,
        };
        actions.iter().filter_map(member).collect()
    }

    #[test]
    fn asks_when_it_can_and_when_it_has_registered_then_again_and_again() {
        let mut bench = Bench::new();
        assert_eq!(bench.tick(), [bench.register(Some(REGISTERED_FOR_SECONDS))]);
        assert_eq!(bench.tick(), [], "once");
        bench
            .discovery
            .registered(&bench.relay, REGISTERED_FOR_SECONDS, bench.now, &mut bench.random);
        assert_eq!(bench.tick(), [bench.discover()]);
        bench.tell(&[]);
        let (waited, due) = bench.wait();
        assert!(
            waited.abs_diff(DISCOVER_EVERY) <= DISCOVER_EVERY.mul_f64(JITTER),
            "{waited:?}"
        );
        assert_eq!(due, [bench.discover()]);
        // Asking has no answer yet, so the next thing due is to register anew, well before the registration ends.
        let (waited, due) = bench.wait();
        assert!(waited < Duration::from_secs(REGISTERED_FOR_SECONDS * 2 / 3));
        assert_eq!(due, [bench.register(Some(REGISTERED_FOR_SECONDS))]);
    }

    #[test]
    fn an_answer_does_not_put_off_what_is_asked_because_we_registered() {
        let mut bench = Bench::new();
        bench.tick();
        bench
            .discovery
            .registered(&bench.relay, REGISTERED_FOR_SECONDS, bench.now, &mut bench.random);
        bench.tell(&[]);
        assert_eq!(bench.tick(), [bench.discover()]);
    }

    #[test]
    fn a_relay_that_wants_longer_registrations_gets_them() {
        let mut bench = Bench::new();
        bench.tick();
        assert!(
            !bench
                .discovery
                .register_failed(&bench.relay, ErrorCode::InvalidTtl, bench.now, &mut bench.random)
        );
        assert_eq!(bench.tick(), [bench.register(None)]);
        assert!(
            bench
                .discovery
                .register_failed(&bench.relay, ErrorCode::InvalidTtl, bench.now, &mut bench.random)
        );
        assert!(bench.wait().0 >= RETRY_AFTER.mul_f64(1.0 - JITTER));
    }

    #[test]
    fn a_relay_that_forgot_what_it_told_is_asked_again_at_once() {
        let mut bench = Bench::told_of(&[]);
        bench.wait();
        let discovery = &mut bench.discovery;
        discovery.discover_failed(&bench.relay, true, bench.now, &mut bench.random);
        assert_eq!(bench.tick(), [bench.discover()]);
        let discovery = &mut bench.discovery;
        discovery.discover_failed(&bench.relay, false, bench.now, &mut bench.random);
        assert_eq!(bench.tick(), [], "what failed otherwise has to wait");
    }

    #[test]
    fn dials_a_bounded_random_set_and_refills_it() {
        let members = [(); 40].map(|()| PeerId::random());
        let mut bench = Bench::told_of(&members);
        let chosen = dialled(&bench.tick());
        assert_eq!(chosen.len(), MEMBERS_WANTED);
        assert_eq!(bench.tick(), []);
        for member in &chosen[1..] {
            bench.discovery.connected(*member, None, bench.now);
        }
        bench.discovery.disconnected(&chosen[0], bench.now, &mut bench.random);
        let refill = dialled(&bench.tick());
        assert_eq!(refill.len(), 1);
        assert!(!chosen.contains(&refill[0]), "the one that failed has to wait");
        bench.discovery.connected(refill[0], None, bench.now);
        // A member that dialled us counts as well.
        bench
            .discovery
            .connected(PeerId::random(), Some(bench.relay), bench.now);
        bench.discovery.disconnected(&chosen[1], bench.now, &mut bench.random);
        assert_eq!(bench.tick(), []);

        let again = Bench::told_of(&members)
            .discovery
            .tick(bench.now, &mut SmallRng::seed_from_u64(12));
        assert_ne!(dialled(&again), chosen, "another draw, another set");
    }

    #[test]
    fn parts_from_those_that_are_too_many_but_not_from_the_newest() {
        let mut bench = Bench::told_of(&[]);
        let members = [(); MEMBERS_MAX + 8].map(|()| PeerId::random());
        let mut linked = Vec::new();
        for member in members {
            bench.discovery.connected(member, Some(bench.relay), bench.now);
            linked.push(member);
            for action in bench.tick() {
                let DiscoveryAction::Part { member: parted } = action else {
                    panic!("nothing else is due: {action:?}");
                };
                assert_ne!(parted, member);
                linked.retain(|other| *other != parted);
                bench.discovery.disconnected(&parted, bench.now, &mut bench.random);
            }
            assert!(linked.len() <= MEMBERS_MAX);
        }
        assert_eq!(linked.len(), MEMBERS_MAX);
        // The one that has just been parted from is not sought at once when others leave.
        for member in linked {
            bench.discovery.disconnected(&member, bench.now, &mut bench.random);
        }
        assert_eq!(dialled(&bench.tick()), []);
        bench.now = bench.now + BACKOFF.base;
        let sought = dialled(&bench.tick());
        assert_eq!(sought.len(), MEMBERS_WANTED);
    }

    #[test]
    fn never_dials_itself_nor_through_a_relay_that_is_gone() {
        let member = PeerId::random();
        let mut bench = Bench::told_of(&[member]);
        bench.tell(&[bench.local]);
        bench.discovery.relay_gone(&bench.relay);
        assert_eq!(bench.tick(), []);
        assert_eq!(bench.discovery.timeout(), None);
        bench.discovery.relay_ready(bench.relay, bench.now);
        assert_eq!(bench.tick(), []);
        bench.discovery.relay_reached(bench.relay, bench.now);
        let expected = DiscoveryAction::Dial {
            member,
            through: vec![bench.relay],
        };
        assert_eq!(bench.tick(), [bench.discover(), expected]);
    }

    #[test]
    fn members_introduce_others_who_are_dialled_through_them_when_no_relay_leads_there() {
        let [friend, member, other] = [(); 3].map(|()| PeerId::random());
        let mut bench = Bench::told_of(&[member]);
        let dial = |member, through: PeerId| DiscoveryAction::Dial {
            member,
            through: vec![through],
        };
        bench.discovery.introduced(&friend, vec![other], bench.now);
        assert_eq!(
            bench.tick(),
            [dial(member, bench.relay)],
            "a stranger's word counts nothing"
        );
        bench.discovery.connected(friend, None, bench.now);
        bench
            .discovery
            .introduced(&friend, vec![member, other, bench.local, friend], bench.now);
        assert_eq!(bench.tick(), [dial(other, friend)]);

        // The relay did not lead to it, so it is tried both ways; then the relay is gone.
        bench.discovery.disconnected(&member, bench.now, &mut bench.random);
        let expected = DiscoveryAction::Dial {
            member,
            through: vec![bench.relay, friend],
        };
        assert_eq!(bench.wait().1, [expected]);
        bench.discovery.relay_gone(&bench.relay);
        for _ in 0..2 * FAILURES_MAX {
            bench.discovery.disconnected(&member, bench.now, &mut bench.random);
            let (waited, due) = bench.wait();
            assert_eq!(due, [dial(member, friend)], "it is there, so it is not forgotten");
            assert!(waited <= BACKOFF.cap);
        }

        // It is on its way while the circuit through the friend stands, and dialled again when that led to nothing.
        bench.discovery.met(member, bench.now);
        assert_eq!(bench.tick(), []);
        bench.discovery.disconnected(&member, bench.now, &mut bench.random);
        assert_eq!(bench.wait().1, [dial(member, friend)]);
        bench.discovery.disconnected(&member, bench.now, &mut bench.random);

        // What a member says replaces what it said before, and goes with it.
        bench.discovery.introduced(&friend, vec![other], bench.now);
        assert_eq!(bench.discovery.timeout(), None);
        bench.discovery.introduced(&friend, vec![member], bench.now);
        assert!(bench.discovery.timeout().is_some());
        bench.discovery.disconnected(&friend, bench.now, &mut bench.random);
        assert_eq!(bench.discovery.timeout(), None);
    }

    #[test]
    fn members_that_were_not_reached_are_dialled_at_once_when_the_network_is_back_but_not_those_parted_from() {
        let [failed, parted] = [(); 2].map(|()| PeerId::random());
        let mut bench = Bench::told_of(&[failed, parted]);
        bench.tick();
        for _ in 0..3 {
            bench.discovery.disconnected(&failed, bench.now, &mut bench.random);
            bench.discovery.met(failed, bench.now);
        }
        bench.discovery.disconnected(&failed, bench.now, &mut bench.random);
        let member = bench.discovery.members.get_mut(&parted).unwrap();
        (member.state, member.not_before) = (State::Idle, bench.now + PARTED_FOR);
        assert_eq!(bench.tick(), []);
        bench.discovery.hurry(bench.now);
        assert_eq!(dialled(&bench.tick()), [failed]);
    }

    #[test]
    fn one_that_is_met_is_sought_no_more_and_then_is_connected_or_not() {
        let [met, known] = [(); 2].map(|()| PeerId::random());
        let mut bench = Bench::told_of(&[known]);
        for member in [met, known] {
            bench.discovery.met(member, bench.now);
        }
        assert_eq!(bench.tick(), []);
        bench.discovery.connected(met, None, bench.now);
        bench.discovery.disconnected(&known, bench.now, &mut bench.random);
        assert_eq!(dialled(&bench.wait().1), [known]);
    }

    #[test]
    fn a_relay_that_invents_members_does_not_keep_those_of_another_from_being_tried() {
        let mut bench = Bench::told_of(&[]);
        let honest = PeerId::random();
        bench.discovery.relay_reached(honest, bench.now);
        for _ in 0..4 {
            let invented: Vec<_> = (0..256).map(|_| PeerId::random()).collect();
            bench.tell(&invented);
        }
        assert!(bench.discovery.members.len() <= MEMBERS_KNOWN_MAX / 2);
        let members = [(); 3].map(|()| PeerId::random());
        let told = members.iter().map(|member| (*member, REGISTERED_FOR_SECONDS));
        bench.discovery.discovered(&honest, told, bench.now, &mut bench.random);
        let dialled = dialled(&bench.tick());
        assert_eq!(dialled.len(), MEMBERS_WANTED);
        assert!(members.iter().all(|member| dialled.contains(member)));
    }

    #[test]
    fn a_member_that_cannot_be_reached_is_tried_more_slowly_then_forgotten_until_it_registers_anew() {
        let member = PeerId::random();
        let mut bench = Bench::told_of(&[member]);
        assert_eq!(dialled(&bench.tick()), [member]);
        let mut waits = Vec::new();
        for _ in 1..FAILURES_MAX {
            bench.discovery.disconnected(&member, bench.now, &mut bench.random);
            let since = bench.now;
            while dialled(&bench.wait().1).is_empty() {
                bench.tell(&[]);
            }
            waits.push(bench.now.0 - since.0);
        }
        assert!(waits[0] <= 500 && waits[waits.len() - 1] >= 4_000, "{waits:?}");
        bench.discovery.disconnected(&member, bench.now, &mut bench.random);
        for _ in 0..10 {
            assert_eq!(dialled(&bench.wait().1), []);
            bench.tell(&[]);
        }
        bench.tell(&[member]);
        assert_eq!(dialled(&bench.tick()), [member]);
    }

    #[test]
    fn a_member_that_was_connected_is_dialled_again_and_forgotten_when_its_registration_ends() {
        let member = PeerId::random();
        let mut bench = Bench::new();
        bench.tick();
        bench.discovery.connected(member, Some(bench.relay), bench.now);
        bench.discovery.disconnected(&member, bench.now, &mut bench.random);
        let (waited, due) = bench.wait();
        assert_eq!(dialled(&due), [member]);
        assert!(waited <= BACKOFF.base);
        bench.discovery.disconnected(&member, bench.now, &mut bench.random);
        bench.now = bench.now + Duration::from_secs(REGISTERED_FOR_SECONDS + 1);
        assert_eq!(dialled(&bench.tick()), []);
        assert!(bench.discovery.members.is_empty());
    }

    #[test]
    fn what_relays_tell_is_kept_within_bounds() {
        let mut bench = Bench::told_of(&[]);
        let members = (0..MEMBERS_KNOWN_MAX + 100)
            .map(|_| PeerId::random())
            .collect::<Vec<_>>();
        bench.tell(&members);
        assert_eq!(bench.discovery.members.len(), MEMBERS_KNOWN_MAX);
    }
}
