//! What kind of run a seed stands for.

use core::time::Duration;

use super::{hostile::Hostility, random::Random};
use crate::{
    cache::Limits,
    disk,
    id::StoreId,
    mutation::{Mutated, Mutation},
    replica::Config,
};

/// No limit, and limits that few values fit in, or none.
const VALUES: [Limits; 4] = [
    Limits::NONE,
    items(1),
    items(2),
    match Limits::new(None, Some(400)) {
        Ok(limits) => limits,
        Err(_) => Limits::NONE,
    },
];

const fn items(count: usize) -> Limits {
    match Limits::new(Some(count), None) {
        Ok(limits) => limits,
        Err(_) => Limits::NONE,
    }
}

/// The parameters of a run, drawn from its seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// How many replicas.
    pub replicas: usize,
    /// How many keys they write.
    pub keys: usize,
    /// How many random steps before the network heals.
    pub steps: usize,
    /// Records of dead events kept.
    pub ring_records: usize,
    /// Dots of a block.
    pub block_dots: u64,
    /// The longest gossiped transaction; small ones force announcements.
    pub gossip_bytes_max: usize,
    /// How many early transactions are kept.
    pub buffered_transactions_max: usize,
    /// Bytes of events in a frame; small ones make long sessions, to be cut anywhere.
    pub event_bytes_max: usize,
    /// Frames that a peer's queue is given at a time.
    pub frames_per_turn: usize,
    /// Bytes of leaves beyond which a descent finds the differences.
    pub leaves_bytes_max: usize,
    /// Authors of a vector beyond which a HELLO leaves it open.
    pub vector_authors_max: usize,
    /// Siblings of a key beyond which a merge event is written.
    pub siblings_max: usize,
    /// What is in memory of the values.
    pub values: Limits,
    /// Events of a session taken in one turn.
    pub slice_events: usize,
    /// How much a disk writes at a time.
    pub disk: disk::Sizes,
    /// Gossip messages lost, in percent.
    pub loss_percent: usize,
    /// Gossip messages delivered twice, in percent.
    pub duplicate_percent: usize,
    /// Frames and messages delivered long after their time, per thousand steps.
    pub late_per_mille: usize,
    /// Crashes, restores, clones, cuts, closed directions and jumps of clocks, per thousand steps.
    pub mishaps_per_mille: usize,
    /// Reads of values that a disk may fail at, in percent: see [`Self::unread_percent`].
    pub unread_percent: usize,
    /// Values too large to travel inside an event, in percent.
    pub large_percent: usize,
    /// How often tabs say something of themselves, in percent of steps.
    pub present_percent: usize,
    /// What the last replica does beside what a replica does.
    pub hostility: Option<Hostility>,
    /// The deliberate bug that the replicas have.
    pub mutation: Option<Mutation>,
}

impl Profile {
    pub(super) fn draw(random: &mut Random) -> Self {
        Self {
            replicas: 2 + random.below(7),
            keys: 2 + random.below(4),
            steps: random.pick(&[60, 200, 200, 500]),
            ring_records: random.pick(&[0, 4, 65_536]),
            block_dots: random.pick(&[4, 256]),
            gossip_bytes_max: random.pick(&[0, 150, 48 * 1024]),
            buffered_transactions_max: random.pick(&[0, 2, 4_096]),
            event_bytes_max: random.pick(&[1, 100, 65_536]),
            frames_per_turn: random.pick(&[1, 8]),
            leaves_bytes_max: random.pick(&[0, 0, 60, 16_384]),
            vector_authors_max: random.pick(&[0, 2, 1_024]),
            siblings_max: random.pick(&[2, 16, 16]),
            values: random.pick(&VALUES),
            slice_events: random.pick(&[1, 3, 1_000]),
            disk: disk::Sizes {
                page_entries: random.pick(&[1, 2, 256]),
                page_bytes: random.pick(&[1, 32 * 1024]),
                commit_bytes: random.pick(&[1, 100, 256 * 1024]),
                prepared_bytes: random.pick(&[1, 1_000, 1024 * 1024]),
                tidied_bytes: random.pick(&[1, 60, 128 * 1024]),
                tidied_bytes_max: random.pick(&[100, 4 * 1024 * 1024]),
                journal_bytes_long: random.pick(&[0, 200, 512 * 1024]),
                journal_bytes_max: random.pick(&[0, 400, 4 * 1024 * 1024]),
            },
            loss_percent: random.pick(&[0, 20, 60, 100]),
            duplicate_percent: random.pick(&[0, 20]),
            late_per_mille: random.pick(&[0, 0, 30]),
            mishaps_per_mille: random.pick(&[0, 30, 120]),
            unread_percent: random.pick(&[0, 30, 100]),
            large_percent: random.pick(&[0, 0, 0, 0, 0, 0, 0, 5]),
            hostility: match random.below(12) {
                0 => Some(Hostility::Liar),
                1 => Some(Hostility::Forger),
                2 => Some(Hostility::Equivocator),
                _ => None,
            },
            present_percent: random.pick(&[0, 0, 5]),
            mutation: None,
        }
    }

    /// Reads of values that a disk fails at, in percent, until a while after the network has healed. None where what one replica has lost
    /// may be lost everywhere.
    pub(super) fn unread_percent(&self) -> usize {
        let is_safe = self.mishaps_per_mille == 0 && self.hostility.is_none();
        if is_safe { self.unread_percent } else { 0 }
    }

    /// With a hostile member, beside at least two honest ones.
    pub(super) fn with_hostility(self, hostility: Option<Hostility>) -> Self {
        let least = if hostility.is_some() { 3 } else { 2 };
        Self {
            hostility,
            replicas: self.replicas.max(least),
            ..self
        }
    }

    pub(super) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(super) fn config(&self, seed: [u8; 32]) -> Config {
        Config {
            ring_records: self.ring_records,
            block_dots: self.block_dots,
            gossip_bytes_max: self.gossip_bytes_max,
            buffered_transactions_max: self.buffered_transactions_max,
            event_bytes_max: self.event_bytes_max,
            frames_per_turn: self.frames_per_turn,
            leaves_bytes_max: self.leaves_bytes_max,
            vector_authors_max: self.vector_authors_max,
            siblings_max: self.siblings_max,
            values: self.values,
            slice_events: self.slice_events,
            mutated: Mutated::by(self.mutation),
            anti_entropy_every: Duration::from_secs(20),
            ..Config::new(store(), seed)
        }
    }
}

/// The store that all are members of.
pub(super) fn store() -> StoreId {
    StoreId::from_name("simulation")
}
