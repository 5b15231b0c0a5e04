//! The end of a run: the network heals, all comes to rest, and the replicas agree.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    vec::Vec,
};
use core::time::Duration;

use super::{
    Hostility,
    oracle::Flaw,
    steps,
    world::{World, say},
};
use crate::{
    causality::Body,
    replica::{Key, Replica, Scan},
};

/// How long a healed network may take to come to rest, in simulated milliseconds: one session given up because nothing came, and as long
/// again for the next.
const HEALING_MILLIS_MAX: u64 = 60_000;

/// The same while some sleep: each holds up a session of the others that is given up only then.
const HEALING_AMONG_SLEEPERS_MILLIS_MAX: u64 = 5 * 60_000;

/// The same with disks that fail to read: of what is lost one of six peers is asked each minute in the end, by each of seven in a row.
const HEALING_OF_DISKS_MILLIS_MAX: u64 = 40 * 60_000;

/// For how long disks still fail that do.
const DISKS_FAIL_FOR: Duration = Duration::from_secs(20);

/// When a healed network that never rests counts as stuck: far more turns than any run that converges takes.
const HEALING_TURNS_MAX: usize = 200_000;

/// How much time passes at once when all wait.
const HEALING_STEP_MILLIS: u64 = 100;

impl World<'_> {
    /// Brings all together that can be, delivers until nothing is left to do, and sees that they agree. Now and then some replicas sleep
    /// through it, as a tab does whose browser has frozen it: the others must do without them, and then all with them.
    pub(super) fn heal(&mut self) -> Result<(), Flaw> {
        self.healed = true;
        self.disks_work_at = self.now + DISKS_FAIL_FOR;
        self.mend()?;
        if self.random.percent(20) {
            let asleep: BTreeSet<_> = (0..self.nodes.len()).filter(|_| self.random.percent(30)).collect();
            say!(self, None, "all but {asleep:?} come together");
            self.tally.sleepers += asleep.len() as u64;
            self.network.sleep(asleep);
            self.come_to_rest(HEALING_AMONG_SLEEPERS_MILLIS_MAX)?;
        }
        say!(self, None, "all come together");
        self.network.sleep(BTreeSet::new());
        let millis_max = match self.profile.unread_percent() {
            0 => HEALING_MILLIS_MAX,
            _ => HEALING_OF_DISKS_MILLIS_MAX,
        };
        self.come_to_rest(millis_max)?;
        self.compare_disks()
    }

    fn come_to_rest(&mut self, millis_max: u64) -> Result<(), Flaw> {
        self.bridge()?;
        let begin = self.now.0;
        for _ in 0..HEALING_TURNS_MAX {
            self.step += 1;
            if self.network.busy().next().is_some() {
                self.deliver_frame()?;
            } else if self.network.is_gossiping() {
                self.deliver_gossip()?;
            } else if self.flush_all()? || self.tick()? {
                continue;
            } else if self.agree().is_ok() && self.whole().is_ok() && self.all_present().is_ok() {
                return Ok(());
            } else if self.now.0 > begin + millis_max {
                break;
            } else {
                self.now.0 += HEALING_STEP_MILLIS;
                self.pester();
            }
        }
        self.agree()
            .and_then(|()| self.whole())
            .and_then(|()| self.all_present())
            .map_err(|flaw| format!("the healed network does not come to rest: {}", flaw.what).into())
    }

    /// Whether every value can be read that is shown, unless somebody sleeps who may have the last of one.
    fn whole(&self) -> Result<(), Flaw> {
        if self.network.is_anyone_asleep() {
            return Ok(());
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(absent) = node.unreadable() {
                return Err(format!("replica {at} shows a value that is nowhere: {absent:?}").into());
            }
        }
        Ok(())
    }

    /// Whether all know who is present, and with what. Of those who sleep some may not know yet that they count as gone.
    fn all_present(&self) -> Result<(), Flaw> {
        // A hostile member may speak for others, and crowd them out.
        if self.hostile.is_some() {
            return Ok(());
        }
        let together = self.together();
        let tabs = |at: usize| self.nodes[at].tab.clone().map(|value| (steps::tab(at), value));
        let expected: BTreeMap<_, _> = together.iter().filter_map(|at| tabs(*at)).collect();
        for at in &together {
            let known: BTreeMap<_, _> = self.nodes[*at]
                .replica
                .presences()
                .news(0)
                .changed
                .into_iter()
                .collect();
            let missing = expected.iter().find(|(id, value)| known.get(id) != Some(value));
            if let Some((id, _)) = missing {
                return Err(format!("replica {at} does not know what {id:?} says of itself").into());
            }
            if !self.network.is_anyone_asleep() && known.len() > expected.len() {
                return Err(format!("replica {at} knows of somebody who is not present").into());
            }
        }
        Ok(())
    }

    /// What is on a disk must be what its replica shows: all is flushed by now.
    fn compare_disks(&self) -> Result<(), Flaw> {
        for (at, node) in self.nodes.iter().enumerate() {
            let (shown, config) = (&node.replica, self.profile.config([0; 32]));
            let kept = node.disk.clone().open(config, self.now, self.profile.disk);
            let kept = kept.map_err(|flaw| flaw.of(at))?;
            if kept.vector() != shown.vector()
                || kept.frontier() != shown.frontier()
                || !kept.live_dots().eq(shown.live_dots())
                || reading(&kept) != reading(shown)
            {
                return Err(format!("replica {at} would not be the same after a restart").into());
            }
        }
        Ok(())
    }

    /// Joins honest replicas that do not reach each other. Those that do have to make do with the links they have.
    fn bridge(&mut self) -> Result<(), Flaw> {
        let together = self.together();
        for pair in together.windows(2) {
            if !self.network.reaches(pair[0], pair[1], |at| together.contains(&at)) {
                self.join(pair[0], pair[1])?;
            }
        }
        Ok(())
    }

    fn flush_all(&mut self) -> Result<bool, Flaw> {
        let mut flushed = false;
        for at in 0..self.nodes.len() {
            if !self.network.is_asleep(at) && self.nodes[at].is_waiting_for_disk() {
                self.read(at)?;
                self.flush(at)?;
                flushed = true;
            }
        }
        Ok(flushed)
    }

    /// The hostile hand does not rest.
    fn pester(&mut self) {
        let at = self.nodes.len() - 1;
        let links = self.network.links_of(at);
        if let Some(hostile) = &mut self.hostile
            && !self.network.is_asleep(at)
            && self.random.percent(20)
        {
            let acts = hostile.pester(&links, &mut self.random);
            self.act(at, acts);
        }
    }

    /// The replicas that must come to agree: those that are awake and honest.
    fn together(&self) -> Vec<usize> {
        let all = 0..self.nodes.len();
        all.filter(|at| !self.network.is_asleep(*at) && !self.is_hostile(*at))
            .collect()
    }

    /// Whether all that came together hold and read the same, and know it of each other.
    fn agree(&self) -> Result<(), Flaw> {
        let together = self.together();
        let Some(first) = together.first().map(|at| &self.nodes[*at].replica) else {
            return Ok(());
        };
        for at in &together {
            let replica = &self.nodes[*at].replica;
            if replica.vector() != first.vector() || replica.digest() != first.digest() {
                return Err(format!("replica {at} has seen other events than others").into());
            }
            let is_here = |peer| {
                let other = self.network.other_end(*at, peer);
                other.is_some_and(|other| together.contains(&other))
            };
            if replica
                .peers()
                .any(|peer| is_here(peer) && replica.in_sync(peer) != Some(true))
            {
                return Err(format!("replica {at} does not know that it is in sync").into());
            }
            if replica.pending() > 0 {
                return Err(format!("replica {at} has writes pending").into());
            }
        }
        if self.profile.hostility == Some(Hostility::Equivocator) {
            for at in &together {
                let replica = &self.nodes[*at].replica;
                let live = |replica: &Replica| replica.live_dots().collect::<BTreeSet<_>>();
                let differing = live(replica).symmetric_difference(&live(first)).next().copied();
                if let Some(dot) = differing {
                    return Err(format!("replica {at} does not agree with others on {dot:?}").into());
                }
                if replica.frontier() != first.frontier() || reading(replica) != reading(first) {
                    return Err(format!("replica {at} holds something else than others").into());
                }
            }
        }
        if !self.is_judged() {
            return Ok(());
        }
        let (frontier, read) = (self.oracle.frontier(first.vector()), reading(first));
        for at in &together {
            let replica = &self.nodes[*at].replica;
            if !replica
                .frontier()
                .iter()
                .map(|tip| tip.dot)
                .eq(frontier.iter().copied())
            {
                return Err(format!("the frontier of replica {at} is not {frontier:?}").into());
            }
            if replica.frontier() != first.frontier() {
                return Err(format!("the transactions of the frontier of replica {at} hash to others").into());
            }
            if reading(replica) != read {
                return Err(format!("replica {at} reads differently than others").into());
            }
            self.oracle.judge_sums(replica).map_err(|flaw| flaw.of(*at))?;
        }
        Ok(())
    }
}

/// What a replica shows.
fn reading(replica: &Replica) -> Vec<(Key, Body, usize)> {
    let all = Scan::default();
    let items = replica.scan(&all);
    items
        .map(|item| (item.key.clone(), item.body.clone(), item.siblings))
        .collect()
}
