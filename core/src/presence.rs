//! Who is present: what each open tab says of itself, for as long as it is open. Never stored, and no part of what replicas agree on.
//!
//! A tab is present with the replica of its browser, its *home*, which says so anew every ten seconds. What has not been said anew for
//! thirty is over; so is, after five, what a home has said to which the link is lost, unless it or another home says it anew: the tabs
//! that are left when the one with the replica dies go on under another home.
//!
//! Nobody vouches for any of it but that it comes from a member.
//!
//! Import arrow: `presence` uses `wire`, `id`, `time`, and `causality` for its bytes.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

use crate::{
    causality::Value,
    id::{Home, PresenceId},
    time::Timestamp,
    wire::Presence,
};

/// How many are known at a time, those that have just left among them. Each takes up to 4 KiB.
pub const PRESENCES_MAX: usize = 256;

/// How often a home says what it has said before. A browser wakes a tab in the background by what comes from others, so it can keep to
/// this while it is linked with anybody.
pub const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// For how long it counts: two may be lost.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(30);

/// For how long it counts when the link to its home is lost: long enough for another tab to take the replica over and to link with
/// the others.
pub const DEPARTED_AFTER: Duration = Duration::from_secs(5);

/// How often what changes is told, at most: as often as a hand on a screen seems to move without a jump.
pub const TOLD_EVERY: Duration = Duration::from_millis(50);

/// How far ahead of our clock that of another may be: none that is honest and of use is further. Without a bound, who made up the greatest
/// clock of all for another's tab would have it heard no more.
pub const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The home of what a tab has known before the replica was opened here: none has this name but by chance.
const RECALLED: Home = Home(0);

/// One that is known.
#[derive(Debug)]
struct Known {
    home: Home,
    clock: u64,
    /// None for one that has left, so that what was said before does not bring it back.
    value: Option<Value>,
    /// When its home has said so, or nearly.
    said_at: Timestamp,
    /// When it is over, unless it is ours.
    until: Timestamp,
    /// Whether its home may be gone.
    is_departing: bool,
    /// When it last read differently, in changes.
    changed: u64,
}

/// What has changed since somebody asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct News {
    /// What to ask by next time.
    pub changes: u64,
    /// All who are present.
    pub present: Vec<PresenceId>,
    /// Of those what reads differently now.
    pub changed: Vec<(PresenceId, Value)>,
}

/// All that are known.
#[derive(Debug)]
pub struct Presences {
    home: Home,
    /// The home that ours has taken the place of.
    former: Option<Home>,
    known: BTreeMap<PresenceId, Known>,
    /// Ours that have changed and are not told.
    untold: BTreeSet<PresenceId>,
    /// Before this, no change is told.
    rests_until: Timestamp,
    renews_at: Timestamp,
    /// How often anything has changed that callers see.
    changes: u64,
    refused: u64,
}

impl Presences {
    /// Nobody, of a replica that is the home of this name.
    pub fn new(home: Home) -> Self {
        Self {
            home,
            former: None,
            known: BTreeMap::new(),
            untold: BTreeSet::new(),
            rests_until: Timestamp::default(),
            renews_at: Timestamp::default(),
            changes: 0,
            refused: 0,
        }
    }

    /// What we are called.
    pub fn home(&self) -> Home {
        self.home
    }

    /// How often anything has changed that callers see.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many were refused, as [`PRESENCES_MAX`] are known.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// A tab of ours says something of itself, or that it leaves.
    pub fn present(&mut self, id: PresenceId, value: Option<Value>, now: Timestamp) {
        let before = self.known.get(&id);
        let is_ours = before.is_some_and(|known| known.home == self.home);
        if before.is_none() && value.is_none() || is_ours && before.is_some_and(|known| known.value == value) {
            return;
        }
        let clock = before.map_or(0, |known| known.clock.saturating_add(1)).max(now.0);
        let home = self.home;
        if self.note(id, home, clock, value, now, now + EXPIRES_AFTER) {
            self.untold.insert(id);
        }
    }

    /// Ours has taken the place of another: the tabs that were there and live are with us now, and say so.
    pub fn succeed(&mut self, former: Home) {
        self.former = Some(former);
    }

    /// A tab that is ours now has known of this a moment ago: it counts until its home says so itself, or is gone.
    pub fn recall(&mut self, id: PresenceId, value: Value, now: Timestamp) {
        if !self.known.contains_key(&id)
            && self.note(id, RECALLED, 0, Some(value), now, now + DEPARTED_AFTER)
            && let Some(known) = self.known.get_mut(&id)
        {
            known.is_departing = true;
        }
    }

    /// A member tells of somebody.
    pub fn hear(&mut self, heard: Presence, now: Timestamp) {
        let Presence {
            id,
            home,
            clock,
            age,
            value,
        } = heard;
        let age = Duration::from_millis(age);
        let Some(counts_for) = EXPIRES_AFTER.checked_sub(age).filter(|left| !left.is_zero()) else {
            return;
        };
        if clock > (now + AHEAD_MAX).0 {
            return;
        }
        let ours = self.home;
        if let Some(known) = self.known.get_mut(&id) {
            if clock <= known.clock && known.home != RECALLED {
                return;
            }
            if known.is_with(ours) {
                // It was with another home before, or somebody pretends to be that tab: what it says here is the newer.
                known.clock = clock.saturating_add(1);
                self.untold.insert(id);
                return;
            }
        }
        // What is with us, we know.
        if home == ours || self.former == Some(home) {
            return;
        }
        let said_at = Timestamp(now.0.saturating_sub(age.as_millis() as u64));
        self.note(id, home, clock, value, said_at, now + counts_for);
    }

    /// The link to a home is lost. Who is alive will say so.
    pub fn depart(&mut self, home: Home, now: Timestamp) {
        if home == self.home {
            return;
        }
        for known in self.known.values_mut().filter(|known| known.home == home) {
            known.until = known.until.min(now + DEPARTED_AFTER);
            known.is_departing = true;
        }
    }

    /// Ours are to be said anew: there may be somebody who has not heard of them.
    pub fn renew(&mut self, now: Timestamp) {
        self.renews_at = self.renews_at.min(now);
    }

    /// What there is to tell all members now.
    pub fn tell(&mut self, now: Timestamp) -> Vec<Presence> {
        let renews = self.renews_at <= now;
        // It may be the last that is ever told.
        let leaves = |id: &PresenceId| self.known.get(id).is_some_and(|known| known.value.is_none());
        let rests = now < self.rests_until && !self.untold.iter().any(leaves);
        if !renews && (self.untold.is_empty() || rests) {
            return Vec::new();
        }
        let mut told = core::mem::take(&mut self.untold);
        if renews {
            self.renews_at = now + RENEWED_EVERY;
            let home = self.home;
            let ours = self.known.iter_mut().filter(|(_, known)| known.is_with(home));
            for (id, known) in ours {
                if told.insert(*id) {
                    known.clock = known.clock.saturating_add(1).max(now.0);
                }
                known.said_at = now;
            }
        }
        if !told.is_empty() {
            self.rests_until = now + TOLD_EVERY;
        }
        told.iter().filter_map(|id| self.described(id, now)).collect()
    }

    /// All that a new peer is to be told. What may be over is left to those who know.
    pub fn all(&self, now: Timestamp) -> Vec<Presence> {
        let counts = |known: &Known| known.value.is_some() && !known.is_departing;
        let all = self.known.iter().filter(|(_, known)| counts(known));
        all.filter_map(|(id, _)| self.described(id, now)).collect()
    }

    /// Forgets what is over.
    pub fn expire(&mut self, now: Timestamp) {
        let (home, before) = (self.home, self.ids().count());
        self.known.retain(|_, known| now < known.until || known.is_with(home));
        if self.ids().count() != before {
            self.changes += 1;
        }
    }

    /// When [`Self::expire`] or, if anybody listens, [`Self::tell`] has something to do.
    pub fn timeout(&self, is_linked: bool) -> Option<Timestamp> {
        let others = self.known.values().filter(|known| !known.is_with(self.home));
        let expires = others.map(|known| known.until).min();
        let has_any = self.known.values().any(|known| known.is_with(self.home));
        let renews = has_any.then_some(self.renews_at);
        let tells = (!self.untold.is_empty()).then_some(self.rests_until);
        let told = [renews, tells].into_iter().flatten().filter(|_| is_linked);
        expires.into_iter().chain(told).min()
    }

    /// What has changed since `since`, which is 0 or the `changes` of an answer before.
    pub fn news(&self, since: u64) -> News {
        let changed = self.known.iter().filter(|(_, known)| known.changed > since);
        let changed = changed.filter_map(|(id, known)| Some((*id, known.value.clone()?)));
        News {
            changes: self.changes,
            present: self.ids().collect(),
            changed: changed.collect(),
        }
    }

    fn ids(&self) -> impl Iterator<Item = PresenceId> + '_ {
        let present = self.known.iter().filter(|(_, known)| known.value.is_some());
        present.map(|(id, _)| *id)
    }

    /// One that gives way to a newcomer of this home: who has left; and any but ours, to one of ours.
    fn dispensable(&self, home: Home) -> Option<PresenceId> {
        let gives_way = |known: &Known| known.value.is_none() || home == self.home && !known.is_with(home);
        let dispensable = self.known.iter().filter(|(_, known)| gives_way(known));
        let (id, _) = dispensable.min_by_key(|(_, known)| (known.value.is_some(), known.until))?;
        Some(*id)
    }

    fn described(&self, id: &PresenceId, now: Timestamp) -> Option<Presence> {
        let known = self.known.get(id)?;
        Some(Presence {
            id: *id,
            home: known.home,
            clock: known.clock,
            age: if known.is_with(self.home) {
                0
            } else {
                now.0.saturating_sub(known.said_at.0)
            },
            value: known.value.clone(),
        })
    }

    /// Takes in what is the newest of one, if there is room. Returns whether there was.
    fn note(
        &mut self,
        id: PresenceId,
        home: Home,
        clock: u64,
        value: Option<Value>,
        said_at: Timestamp,
        until: Timestamp,
    ) -> bool {
        let before = self.known.get(&id);
        if before.is_none() && self.known.len() >= PRESENCES_MAX {
            let Some(other) = self.dispensable(home) else {
                self.refused += 1;
                return false;
            };
            self.known.remove(&other);
        }
        let before = self.known.get(&id);
        let is_news = before.and_then(|known| known.value.as_ref()) != value.as_ref();
        self.changes += u64::from(is_news);
        let changed = match before {
            Some(known) if !is_news => known.changed,
            _ => self.changes,
        };
        let known = Known {
            home,
            clock,
            value,
            said_at,
            until,
            is_departing: false,
            changed,
        };
        self.known.insert(id, known);
        true
    }
}

impl Known {
    /// Whether it is one of this home's own that is present.
    fn is_with(&self, home: Home) -> bool {
        self.home == home && self.value.is_some()
    }
}
