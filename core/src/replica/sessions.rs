//! Sessions: when one is opened, how its frames are handed on, and the one step in which it becomes visible.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Event, Output, Replica, anti_entropy_after, link::Link, merge::Merge};
use crate::{
    id::{Dot, Peer},
    mutation::Mutation,
    sync::{Delta, Incoming, Manner, Outgoing, SessionError},
    time::Timestamp,
    wire::{AUTHORS_MAX, Frame, Hello, Tag},
};

/// How many sessions receive at the same time. More would bring the same events several times; with one only, a peer that
/// answers slowly would hold up the others.
pub(super) const SESSIONS_MAX: usize = 2;

/// How long a peer's digest may differ from ours before a session is opened although one of both keeps changing.
const DIFFERENCE_MAX: Duration = Duration::from_secs(10);

/// The longest wait before a peer whose sessions fail is asked again.
const RETRY_MAX: Duration = Duration::from_secs(60);

impl Replica {
    pub(super) fn peer_up(&mut self, peer: Peer, now: Timestamp) {
        self.links.insert(peer, Link::new(now));
        self.open_sessions(now);
    }

    pub(super) fn peer_down(&mut self, peer: Peer, now: Timestamp) {
        if self.links.remove(&peer).is_some() {
            self.open_sessions(now);
        }
    }

    /// Has a session opened: with this peer if it is up, else with a random one.
    pub(super) fn want_session(&mut self, peer: Option<Peer>, now: Timestamp) {
        let known = peer.filter(|peer| self.links.contains_key(peer));
        if let Some(peer) = known.or_else(|| self.random_peer())
            && let Some(link) = self.links.get_mut(&peer)
        {
            link.wanted = true;
            self.open_sessions(now);
        }
    }

    fn random_peer(&mut self) -> Option<Peer> {
        let count = self.links.len() as u64;
        let at = (count > 0).then(|| self.random.below(count))?;
        self.links.keys().nth(at as usize).copied()
    }

    /// Opens the sessions that are wanted, as far as there is room, with those first that were heard of longest ago.
    pub(super) fn open_sessions(&mut self, now: Timestamp) {
        let open = self.links.values().filter(|link| link.incoming.is_some()).count();
        let wanted = self
            .links
            .iter_mut()
            .filter(|(_, link)| link.wanted && link.incoming.is_none());
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_by_key(|(_, link)| link.heard_at);
        for (peer, link) in wanted.into_iter().take(SESSIONS_MAX.saturating_sub(open)) {
            let (tag, vector) = (Tag(self.random.number() as u32), self.store.vector());
            for frame in Hello::frames(self.config.store, tag, link.spell, vector) {
                self.outputs.push_back(Output::Send { peer: *peer, frame });
            }
            link.incoming = Some(Incoming::new(tag, vector.clone()));
            link.wanted = false;
            link.spelled = core::mem::take(&mut link.spell);
            link.heard_at = now;
            link.told = Some(*self.digest.get_or_init(|| vector.digest()));
        }
    }

    pub(super) fn received(&mut self, peer: Peer, frame: &[u8], now: Timestamp) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let outcome = match Frame::parse(frame) {
            Ok(Frame::Hello(hello)) => self.hello(peer, hello, now),
            Ok(Frame::Digest(digest)) => {
                link.digest = Some((digest, now));
                self.report_sync(now);
                Ok(())
            }
            Ok(frame) => self.answered(peer, frame, now),
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(()) => {}
            Err(SessionError::UnknownKey(_)) if self.links.get(&peer).is_some_and(|link| !link.spelled) => {
                self.spell(peer, now);
            }
            Err(error) => self.fail(peer, error, now),
        }
    }

    /// A peer says what it holds and asks for the rest.
    fn hello(&mut self, peer: Peer, hello: Hello, now: Timestamp) -> Result<(), SessionError> {
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        if hello.store != self.config.store {
            return Err(SessionError::WrongStore);
        }
        let (tag, spell) = (hello.tag, hello.spell);
        let Some(vector) = link.request(hello)? else {
            return Ok(());
        };
        link.digest = Some((vector.digest(), now));
        // It holds something that is lacking here: ask in turn, unless that is under way, or has failed and is due later.
        let lacking = !self.store.vector().dominates(&vector);
        link.wanted |= lacking && link.incoming.is_none() && link.failures == 0;
        self.yield_author(&vector);
        if self.config.mutated.is(Mutation::ContextAtHello) {
            let mut edit = self.store.edit();
            vector.iter().for_each(|(author, n)| edit.advance(author, n));
            edit.finish();
            self.digest.take();
        }
        let manner = Manner {
            spell,
            event_bytes_max: self.config.event_bytes_max,
            mutated: self.config.mutated,
        };
        if let Some(link) = self.links.get_mut(&peer) {
            link.outgoing = Some(Outgoing::new(tag, vector, manner));
        }
        self.report_sync(now);
        self.open_sessions(now);
        self.fill(peer);
        Ok(())
    }

    pub(super) fn drained(&mut self, peer: Peer) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.drained = true;
            self.fill(peer);
        }
    }

    /// Hands out the next frames of the answer to a peer, if its queue is empty.
    fn fill(&mut self, peer: Peer) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Some(outgoing) = link.outgoing.as_mut().filter(|_| link.drained) else {
            return;
        };
        let mut frames = Vec::new();
        if outgoing.fill(&self.store, &mut frames, self.config.frames_per_turn.max(1)) {
            link.outgoing = None;
        }
        link.drained = frames.is_empty();
        self.outputs
            .extend(frames.into_iter().map(|frame| Output::Send { peer, frame }));
    }

    /// A frame of the answer to our HELLO.
    fn answered(&mut self, peer: Peer, frame: Frame<'_>, now: Timestamp) -> Result<(), SessionError> {
        let (Frame::Events { tag, .. } | Frame::Body { tag, .. } | Frame::Leaves { tag, .. } | Frame::End { tag, .. }) =
            frame
        else {
            return Ok(());
        };
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        // An answer to an earlier HELLO, which was given up.
        let Some(incoming) = link.incoming.as_mut().filter(|incoming| incoming.tag() == tag) else {
            return Ok(());
        };
        link.heard_at = now;
        let key_of = |dot: &Dot| self.store.key_of(dot).cloned();
        if let Some(delta) = incoming.receive(frame, key_of)? {
            link.incoming = None;
            link.failures = 0;
            link.digest = Some((delta.vector.digest(), now));
            let beyond = delta
                .vector
                .iter()
                .filter(|(author, _)| self.store.vector().get(author) == 0);
            if self.store.vector().len() + beyond.count() > AUTHORS_MAX {
                return Err(SessionError::TooManyAuthors);
            }
            self.commit_session(peer, delta, now);
        } else {
            let progress = incoming.progress();
            if self.config.mutated.is(Mutation::VisibleBeforeEnd) {
                let staged = incoming.staged();
                self.merge = Some(Merge::new(peer, staged, now));
            }
            let event = Event::Progress {
                peer,
                done: progress.done,
                expected: progress.expected,
            };
            self.outputs.push_back(Output::Emit(event));
        }
        Ok(())
    }

    fn commit_session(&mut self, peer: Peer, mut delta: Delta, now: Timestamp) {
        self.yield_author(&delta.vector);
        // Who has seen nothing new knows of nothing to remove. Without an event there would be no batch, and callers not told.
        if self.store.vector().dominates(&delta.vector) {
            delta.leaves = None;
        }
        self.merge = Some(Merge::new(peer, delta, now));
        self.merge_some(self.config.slice_events.max(1), now);
    }

    /// Tells a peer what is held here now, if it was not told.
    pub(super) fn tell(&mut self, peer: Peer) {
        let digest = self.digest();
        if let Some(link) = self.links.get_mut(&peer)
            && link.told != Some(digest)
        {
            link.told = Some(digest);
            self.outputs.push_back(Output::Send {
                peer,
                frame: Frame::digest(digest),
            });
        }
    }

    /// Opens a session in which every key is spelled. An honest peer leaves out a key that is not known here when what it should be
    /// known by was removed since, or by two events at once.
    fn spell(&mut self, peer: Peer, now: Timestamp) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.incoming = None;
            link.spell = true;
            link.wanted = true;
        }
        self.open_sessions(now);
    }

    fn fail(&mut self, peer: Peer, error: SessionError, now: Timestamp) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.incoming = None;
            // Silence has cost its time already.
            link.failures += u32::from(error != SessionError::Silent);
            link.heard_at = now;
        }
        self.refuse(Some(peer), error);
        self.open_sessions(now);
    }

    /// When a session counts as silent.
    pub(super) fn silent_at(&self, link: &Link) -> Option<Timestamp> {
        link.incoming
            .as_ref()
            .map(|_| link.heard_at + self.config.session_patience)
    }

    /// When a session is due because the peer's digest differs from ours: once both were quiet for a while, or have differed for so
    /// long that they will not be.
    pub(super) fn repair_at(&self, link: &Link) -> Option<Timestamp> {
        if link.incoming.is_some() || link.wanted || link.in_sync == Some(true) {
            return None;
        }
        let told_at = match link.digest {
            Some((theirs, _)) if link.compared == Some((self.digest(), theirs)) => return None,
            Some((_, told_at)) => told_at,
            // Not known to differ; but a session failed, so nothing is known.
            None if link.failures > 0 => link.heard_at,
            None => return None,
        };
        let again = self
            .config
            .repair_after
            .saturating_mul(1 << link.failures.min(16))
            .min(RETRY_MAX);
        let again = again.max(self.config.repair_after);
        let quiet = told_at.max(self.changed_at) + again;
        let ceiling = link.differs_since.map_or(quiet, |since| since + DIFFERENCE_MAX);
        Some(quiet.min(ceiling).max(link.heard_at + again))
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let mut silent = Vec::new();
        let mut differing = Vec::new();
        for (peer, link) in &self.links {
            if due(self.silent_at(link)) {
                silent.push(*peer);
            } else if due(self.repair_at(link)) {
                differing.push(*peer);
            }
        }
        for peer in silent {
            self.fail(peer, SessionError::Silent, now);
        }
        for peer in differing {
            self.want_session(Some(peer), now);
        }
        if due(self.gap_at) {
            self.fill_gap(now);
        }
        if due(self.beacon_at) {
            self.beacon_at = None;
            self.report_sync(now);
            for peer in self.links.keys().copied().collect::<Vec<_>>() {
                self.tell(peer);
            }
        }
        if self.anti_entropy_at <= now {
            self.anti_entropy_at = anti_entropy_after(&self.config, &mut self.random, now);
            self.want_session(None, now);
        }
    }

    /// Something has changed here: who was in sync is not, as far as is known. Whether that is so is found out when the digest is
    /// told, not at each change.
    pub(super) fn doubt_sync(&mut self) {
        for (peer, link) in &mut self.links {
            if link.in_sync == Some(true) {
                link.in_sync = Some(false);
                self.outputs.push_back(Output::Emit(Event::SyncChanged { peer: *peer }));
            }
        }
    }

    /// Tells callers of each peer of which another thing is known than before.
    pub(super) fn report_sync(&mut self, now: Timestamp) {
        if self.links.is_empty() {
            return;
        }
        let digest = self.digest();
        for (peer, link) in &mut self.links {
            let in_sync = link.digest.map(|(theirs, _)| theirs == digest);
            link.differs_since = match in_sync {
                Some(false) => link.differs_since.or(Some(now)),
                _ => None,
            };
            if in_sync != link.in_sync {
                link.in_sync = in_sync;
                self.outputs.push_back(Output::Emit(Event::SyncChanged { peer: *peer }));
            }
        }
    }
}
