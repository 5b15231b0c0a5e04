//! One replica with its disk and its clock.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use super::{client::Client, disk::Disk, oracle::Sight, random::Random};
use crate::{
    causality::{Absent, Body},
    id::{AuthorId, Peer},
    replica::{self, Change, Context, Key, Replica, Scan, Value, VersionVector},
    time::Timestamp,
};

/// A replica and what its driver holds for it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) replica: Replica,
    pub(super) disk: Disk,
    pub(super) clock: WallClock,
    pub(super) client: Client,
    /// All that it has ever written as.
    pub(super) authors: BTreeSet<AuthorId>,
    /// A context that was read some time ago.
    pub(super) stale: Option<(Key, Context)>,
    /// What its batches say it has seen.
    pub(super) seen: VersionVector,
    /// What it must hold.
    pub(super) sight: Sight,
    /// What somebody sees who reads nothing and is told of every change: winner and number of siblings.
    pub(super) view: BTreeMap<Key, (Body, usize)>,
    /// Peers with which it receives in a session.
    pub(super) receiving: BTreeSet<Peer>,
    /// What the tab says of itself that has it open, if it does. It lives on when the replica dies.
    pub(super) tab: Option<Value>,
    /// What is to be read from the disk for whom.
    pub(super) loads: VecDeque<(Peer, Vec<Absent>)>,
}

impl Node {
    pub(super) fn new(replica: Replica, clock: WallClock, disk: Disk, client: Client) -> Self {
        Self {
            replica,
            clock,
            disk,
            client,
            authors: BTreeSet::new(),
            stale: None,
            seen: VersionVector::new(),
            sight: Sight::default(),
            view: BTreeMap::new(),
            receiving: BTreeSet::new(),
            tab: None,
            loads: VecDeque::new(),
        }
    }

    /// Takes note of changes that it tells of; gives the key of one that does not follow from those before.
    pub(super) fn changed(&mut self, changes: &[Change]) -> Option<Key> {
        let mut wrong = None;
        for change in changes {
            let before = match &change.value {
                Some(shown) => {
                    let now = (shown.body.clone(), change.siblings);
                    self.view.insert(change.key.clone(), now)
                }
                None => self.view.remove(&change.key),
            };
            if before.map(|(body, _)| body) != change.previous.as_ref().map(|shown| shown.body.clone()) {
                wrong = Some(change.key.clone());
            }
        }
        wrong
    }

    /// Whether what it shows is what it told.
    pub(super) fn is_as_told(&self) -> bool {
        let told = self.view.iter().map(|(key, (body, siblings))| (key, body, *siblings));
        let all = Scan::default();
        let shown = self.replica.scan(&all);
        told.eq(shown.map(|item| (item.key, item.body, item.siblings)))
    }

    /// Whether something is to be read or to be written.
    pub(super) fn is_waiting_for_disk(&self) -> bool {
        self.disk.is_waiting() || !self.loads.is_empty()
    }

    /// What it shows that can be read nowhere.
    pub(super) fn unreadable(&self) -> Option<Absent> {
        let all = Scan::default();
        let absent = |item: replica::Item<'_>| Absent::of(item.dot, item.key, item.body);
        let mut absent = self.replica.scan(&all).filter_map(absent);
        absent.find(|absent| self.disk.read(absent).is_none())
    }

    /// Opens it anew, as it is on the disk.
    pub(super) fn reopen(&mut self, replica: Replica) {
        self.seen = replica.vector().clone();
        self.replica = replica;
        let all = Scan::default();
        let shown = self.replica.scan(&all);
        let shown = shown.map(|item| (item.key.clone(), (item.body.clone(), item.siblings)));
        self.view = shown.collect();
        self.stale = None;
        self.receiving.clear();
        self.loads.clear();
    }
}

/// A clock that is wrong, as its driver reads it: never backwards while the replica is open, whatever the machine's clock does; an
/// opening begins with what the machine says.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallClock {
    /// How far the machine's clock is off, in milliseconds.
    machine: i64,
    /// How far the driver's is.
    driver: i64,
}

/// How wrong a clock may be, in milliseconds.
const SKEW_MAX: i64 = 6 * 3_600_000;

impl WallClock {
    /// A clock; one in three is wrong.
    pub(super) fn draw(random: &mut Random) -> Self {
        let millis = if random.percent(33) { skew(random) } else { 0 };
        Self {
            machine: millis,
            driver: millis,
        }
    }

    pub(super) fn read(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add_signed(self.driver))
    }

    /// Somebody sets the machine's clock; gives how far it is off now.
    pub(super) fn set(&mut self, random: &mut Random) -> i64 {
        self.machine = skew(random);
        self.driver = self.driver.max(self.machine);
        self.machine
    }

    /// The driver begins anew.
    pub(super) fn reopen(&mut self) {
        self.driver = self.machine;
    }
}

fn skew(random: &mut Random) -> i64 {
    random.below(2 * SKEW_MAX as usize) as i64 - SKEW_MAX
}
