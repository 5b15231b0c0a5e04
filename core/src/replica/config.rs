//! What a replica is told when it is opened.

use core::time::Duration;

use crate::{cache::Limits, id::StoreId, mutation::Mutated, store::BLOCK_DOTS_MAX, wire::Frame};

/// The settings of one replica. [`Config::new`] gives the defaults that suit a browser tab; the fields are public so that a
/// simulation can sweep them.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which store this is a replica of.
    pub store: StoreId,
    /// Everything random in the replica (author ids, nonces, jitter) is drawn from this. Must come from the system's random
    /// source and must not be used for two openings.
    pub seed: [u8; 32],
    /// How many records of dead events are kept for sessions (see the `store` room). A record takes about 40 bytes.
    pub ring_records: usize,
    /// How many consecutive dots of one author a block holds, 1 to 256. Part of the protocol: all members must use the same. Other
    /// than 256 only in simulations, where small blocks make many.
    pub block_dots: u64,
    /// A transaction whose frame is longer than this many bytes is announced instead of carried by gossip; peers fetch it by a
    /// session. Gossip networks bound their messages (gossipsub: 64 KiB).
    pub gossip_bytes_max: usize,
    /// How many transactions that arrived before what they depend on are kept.
    pub buffered_transactions_max: usize,
    /// How long to wait for what a buffered transaction lacks before a session is opened to fetch it.
    pub gap_patience: Duration,
    /// How long a difference between this replica and a peer may stand, both quiet, before a session repairs it.
    pub repair_after: Duration,
    /// After what quiet time the peers are told the digest of what was applied, so that each knows who is in sync.
    pub beacon_after: Duration,
    /// How often a session is opened with one random peer even though nothing seems amiss.
    pub anti_entropy_every: Duration,
    /// The most bytes of events in a frame of a session.
    pub event_bytes_max: usize,
    /// Up to so many bytes, the live dots are listed when what was removed is not remembered; beyond, a descent finds the differences.
    /// It costs some round trips and some hundred bytes.
    pub leaves_bytes_max: usize,
    /// Up to so many authors (about 19 bytes each), a HELLO names the whole vector to a peer that knows none that it could be compared
    /// with; beyond, the peer learns by a descent where it differs from its own.
    pub vector_authors_max: usize,
    /// How many frames a peer's queue is given at a time: enough to keep a fast link busy for the time of one turn of the
    /// driver (512 KiB), few enough that a turn stays short.
    pub frames_per_turn: usize,
    /// How many events of a session, or writes of a long command, one turn takes into the store: the longer, the less overhead; the
    /// shorter, the sooner a tab's thread is free again. 1,000 take two or three milliseconds.
    pub slice_events: usize,
    /// How many siblings of a key are kept. Where more stand for some seconds, a merge event drops those of the lowest rank.
    pub siblings_max: usize,
    /// What is in memory of the values that are on the disk as well. What is not there yet counts, too, but stays.
    pub values: Limits,
    /// A deliberate bug, for the tests of the tests.
    pub mutated: Mutated,
    /// A session in which nothing has arrived for this long is given up.
    pub session_patience: Duration,
}

impl Config {
    /// The defaults for `store`, drawing randomness from `seed`.
    pub fn new(store: StoreId, seed: [u8; 32]) -> Self {
        Self {
            store,
            seed,
            ring_records: 65_536,
            block_dots: BLOCK_DOTS_MAX,
            gossip_bytes_max: 48 * 1024,
            buffered_transactions_max: 4_096,
            gap_patience: Duration::from_millis(300),
            repair_after: Duration::from_millis(1_500),
            beacon_after: Duration::from_millis(150),
            anti_entropy_every: Duration::from_secs(180),
            event_bytes_max: Frame::PAYLOAD_BYTES_MAX,
            leaves_bytes_max: 16 * 1024,
            vector_authors_max: 1_024,
            frames_per_turn: 8,
            slice_events: 1_000,
            siblings_max: 16,
            values: Limits::default(),
            mutated: Mutated::default(),
            session_patience: Duration::from_secs(30),
        }
    }
}
