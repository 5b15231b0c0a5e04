//! Sessions: when one is opened, how its frames are handed on, and the one step in which it becomes visible.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use super::{
    DESCRIBED_AS_EVENT, Event, Origin, Output, Replica, anti_entropy_after,
    forked::PRINTED_EVERY,
    link::{Link, Request},
    merge::Merge,
};
use crate::{
    causality::{Value, VersionVector},
    id::{Dot, Peer},
    mutation::Mutation,
    sync::{Incoming, Manner, Outgoing, SessionError, VectorDescent},
    time::Timestamp,
    wire::{AUTHORS_MAX, AuthorTable, Base, Frame, Hello, Share, Tag, Wishes},
};

/// How many sessions receive at the same time. More would bring the same events several times; with one only, a peer that
/// answers slowly would hold up the others.
pub(super) const SESSIONS_MAX: usize = 2;

/// How long what a session that was cut had staged is kept. A laptop that was closed for a moment goes on where it was; what lies
/// for longer only takes memory.
const STAGE_KEPT: Duration = Duration::from_secs(600);

impl Replica {
    pub(super) fn peer_up(&mut self, peer: Peer, now: Timestamp) {
        self.links.insert(peer, Link::new(now));
        self.open_sessions(now);
        self.introduce(peer, now);
    }

    pub(super) fn peer_down(&mut self, peer: Peer, now: Timestamp) {
        if let Some(link) = self.links.remove(&peer) {
            self.depart(link.home, now);
            self.keep_stage(link.incoming, now);
            self.open_sessions(now);
        }
    }

    /// Keeps what a session that was cut has staged, for the sessions to come.
    fn keep_stage(&mut self, cut: Option<Incoming>, now: Timestamp) {
        let Some(kept) = cut.map(Incoming::keep).filter(|kept| !kept.is_empty()) else {
            return;
        };
        // A session resumes from what is kept, and adds to it. Of two that did, the one that came further counts.
        if self
            .staged
            .as_ref()
            .is_none_or(|(staged, _)| staged.bytes() <= kept.bytes())
        {
            self.staged = Some((kept, now));
        }
    }

    /// When what is staged of sessions that were cut is dropped.
    pub(super) fn stage_expires_at(&self) -> Option<Timestamp> {
        self.staged.as_ref().map(|(_, kept_at)| *kept_at + STAGE_KEPT)
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
        let opened: Vec<Peer> = wanted
            .into_iter()
            .take(SESSIONS_MAX.saturating_sub(open))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in opened {
            self.open_session(peer, now);
        }
    }

    fn open_session(&mut self, peer: Peer, now: Timestamp) {
        let (digest, vector, lost) = (self.digest(), self.snapshot(), self.lost_values());
        let (contents, share) = (self.contents(), self.share());
        let doubt = self
            .links
            .get(&peer)
            .and_then(|link| Some((self.is_in_doubt(link), self.compared(link)?)));
        let Some(link) = self.links.get_mut(&peer) else { return };
        let tag = self.next_tag;
        self.next_tag = Tag(tag.0.wrapping_add(1));
        let staged = self
            .staged
            .as_ref()
            .map(|(staged, _)| staged.clone())
            .unwrap_or_default();
        let (base, base_vector) = match (link.heard.take(), self.bases.agreed(peer)) {
            (Some((tag, theirs)), _) => (Base::Hello(tag), theirs),
            (None, Some((agreed, theirs))) => (Base::Digest(agreed), Arc::clone(theirs)),
            (None, None) => (Base::Empty, Arc::default()),
        };
        let differing = vector.differing(&base_vector).count();
        let (base, base_vector) = if differing.min(vector.len()) > self.config.vector_authors_max {
            // The peer finds out where it differs from its own.
            (Base::Digest(digest), Arc::clone(&vector))
        } else if differing > vector.len() {
            (Base::Empty, Arc::default())
        } else {
            (base, base_vector)
        };
        let asks_back = |outgoing: &Outgoing| outgoing.has_lost_values() || outgoing.is_audit();
        let asks_back = link.outgoing.as_ref().is_some_and(asks_back);
        let wishes = Wishes {
            spell: link.spell,
            have: !staged.is_empty() || !lost.is_empty(),
            nothing: matches!(base, Base::Hello(_)) && !asks_back && base_vector.dominates(&vector),
            audit: link.audit || doubt.is_some_and(|(in_doubt, _)| in_doubt),
        };
        link.doubts += u32::from(doubt.is_some_and(|(in_doubt, _)| in_doubt));
        // Where vectors differ, entries are not compared.
        let compares = wishes.audit && link.in_sync == Some(true);
        link.comparing = doubt.map(|(_, compared)| compared).filter(|_| compares);
        // Nothing is named of a vector that is left open.
        let named = (!Arc::ptr_eq(&vector, &base_vector)).then_some(&base_vector);
        let authors = named.map(|base| AuthorTable::new(base)).unwrap_or_default();
        let counts = named.into_iter().flat_map(|base| vector.differing(base));
        let mut frames = Hello::frames(self.config.store, tag, wishes, (base, contents), authors, counts);
        if wishes.have {
            frames.extend(staged.frames(tag, &lost));
        }
        self.outputs.extend(sends(peer, frames));
        if wishes.nothing {
            // That was the answer.
            link.outgoing = None;
        }
        let announced = (Arc::clone(&vector), contents);
        link.incoming = Some(Incoming::new(tag, announced, (staged, lost), share));
        link.announced = Some((tag, vector));
        link.wanted = false;
        link.audit = false;
        link.spelled = core::mem::take(&mut link.spell);
        link.heard_at = now;
        link.told = Some((digest, contents));
    }

    pub(super) fn received(&mut self, peer: Peer, frame: &[u8], now: Timestamp) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let outcome = match Frame::parse(frame) {
            Ok(Frame::Hello(hello)) => self.hello(peer, &hello, now),
            Ok(Frame::Have {
                tag,
                more,
                lost,
                leaves,
            }) => match link.have(tag, (more, lost), leaves) {
                Ok(Some(request)) => self.requested(peer, request, now),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            },
            Ok(Frame::Digest(digest, contents)) => {
                link.digest = Some((digest, now));
                link.contents = Some(contents);
                self.report_sync(now);
                Ok(())
            }
            Ok(Frame::Ack(tag)) => {
                // It holds what END said.
                if let Some((_, digest, contents)) = link.ended.filter(|(ended, ..)| *ended == tag) {
                    link.digest = Some((digest, now));
                    link.contents = Some(contents);
                    self.report_sync(now);
                }
                Ok(())
            }
            Ok(Frame::Present { home, presences }) => self.introduced(peer, home, presences, now),
            Ok(Frame::Nothing(tag)) => self.nothing_told(peer, tag, false, now),
            Ok(Frame::Equal(tag)) => self.nothing_told(peer, tag, true, now),
            Ok(Frame::Vector { tag, more, nodes }) => self.vector_told(peer, tag, nodes, more, now),
            Ok(Frame::Want { tag, which, offset }) => {
                let outgoing = link.outgoing.as_mut().filter(|outgoing| outgoing.tag() == tag);
                let outcome = outgoing.map_or(Ok(()), |outgoing| outgoing.want(which, offset));
                self.go_on(peer, outcome)
            }
            Ok(Frame::Expand { tag, more, choices }) => {
                let outgoing = link.outgoing.as_mut().filter(|outgoing| outgoing.tag() == tag);
                let outcome = outgoing.map_or(Ok(()), |outgoing| outgoing.expand(choices, more));
                self.go_on(peer, outcome)
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

    /// Goes on with the answer to a peer that has said something about it.
    fn go_on(&mut self, peer: Peer, outcome: Result<(), SessionError>) -> Result<(), SessionError> {
        match outcome {
            Ok(()) => self.fill(peer),
            // The answer is of no use to it any more.
            Err(_) => drop(self.links.get_mut(&peer).and_then(|link| link.outgoing.take())),
        }
        outcome
    }

    /// A peer says what it holds and asks for the rest.
    fn hello(&mut self, peer: Peer, hello: &Hello<'_>, now: Timestamp) -> Result<(), SessionError> {
        if hello.store.is_some_and(|store| store != self.config.store) {
            return Err(SessionError::WrongStore);
        }
        let own = self.snapshot();
        let own_digest = self.digest();
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        let empty = Arc::default();
        let base = match hello.base {
            Base::Empty => Some(&empty),
            Base::Digest(digest) if digest == own_digest => Some(&own),
            Base::Digest(digest) => self.bases.get(&digest),
            Base::Hello(tag) => link
                .announced
                .as_ref()
                .filter(|(announced, _)| *announced == tag)
                .map(|(_, vector)| vector),
        };
        let base = base.cloned();
        match link.hello(hello, base.as_ref())? {
            Some(request) => self.requested(peer, request, now),
            None => Ok(()),
        }
    }

    /// A peer's request is complete, but for the vector if that was left open.
    fn requested(&mut self, peer: Peer, mut request: Request, now: Timestamp) -> Result<(), SessionError> {
        let ours = self.snapshot();
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        link.outgoing = None;
        link.asking = None;
        if let Some(vector) = request.vector.take() {
            return self.answer(peer, &request, vector, now);
        }
        let (descent, frame) = VectorDescent::new(request.tag, self.config.store, self.random.number(), ours);
        link.asking = Some((descent, request));
        self.outputs.push_back(Output::Send { peer, frame });
        Ok(())
    }

    /// A peer holds nothing that we lack, or exactly what we announced: the session is over.
    fn nothing_told(&mut self, peer: Peer, tag: Tag, equal: bool, now: Timestamp) -> Result<(), SessionError> {
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        if let Some(incoming) = link.incoming.take_if(|incoming| incoming.tag() == tag) {
            link.failures = 0;
            if equal {
                link.digest = Some((incoming.asked().digest(), now));
                link.contents = Some(incoming.contents());
            }
            self.merged(peer, None, now, now);
        }
        Ok(())
    }

    /// A peer tells a part of the vector that its HELLO has left open.
    fn vector_told(
        &mut self,
        peer: Peer,
        tag: Tag,
        nodes: &[u8],
        more: bool,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        let Some((mut descent, request)) = link.asking.take_if(|(descent, _)| descent.tag() == tag) else {
            return Ok(());
        };
        let mut replies = Vec::new();
        let vector = descent.receive(nodes, more, &mut replies)?;
        self.outputs.extend(sends(peer, replies));
        match vector {
            Some(vector) => self.answer(peer, &request, Arc::new(vector), now),
            None => {
                link.asking = Some((descent, request));
                Ok(())
            }
        }
    }

    /// What a peer holds is known: sends it the rest, and asks in turn for what is lacking here.
    fn answer(
        &mut self,
        peer: Peer,
        request: &Request,
        vector: Arc<VersionVector>,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let ours = self.snapshot();
        let lacking = !ours.dominates(&vector);
        let digest = self.digest_of(&vector);
        let is_same = self.contents() == request.contents;
        let share = self.share();
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        link.digest = Some((digest, now));
        link.contents = Some(request.contents);
        let replied = request.reply_to.filter(|_| request.wishes.nothing);
        let over = link.incoming.take_if(|incoming| replied == Some(incoming.tag()));
        if over.is_some_and(|incoming| !incoming.asked().dominates(&vector)) {
            return Err(SessionError::OutOfPlace("nothing to send, and yet something to tell"));
        }
        // It holds something that is lacking here: ask in turn, unless that is under way, or has failed and is due later.
        link.wanted |= lacking && link.incoming.is_none() && link.failures == 0;
        let audit = request.wishes.audit || !is_same;
        let prints = audit && link.printed_at.is_none_or(|at| at + PRINTED_EVERY <= now);
        if prints {
            link.printed_at = Some(now);
        }
        let manner = Manner {
            spell: request.wishes.spell,
            audit,
            share: if prints { share } else { Share::default() },
            event_bytes_max: self.config.event_bytes_max,
            leaves_bytes_max: self.config.leaves_bytes_max,
            salt: self.random.number(),
            mutated: self.config.mutated,
        };
        let (asked, there) = (Arc::clone(&vector), (request.have.clone(), request.lost.clone()));
        link.outgoing = Some(Outgoing::new(request.tag, asked, there, Arc::clone(&ours), manner));
        link.heard = Some((request.tag, Arc::clone(&vector)));
        self.yield_author(&vector);
        if self.config.mutated.is(Mutation::ContextAtHello) {
            let mut edit = self.store.edit();
            vector.iter().for_each(|(author, n)| edit.advance(author, n));
            edit.finish(Origin::Remote);
            self.vector_changed();
        }
        if replied.is_some() {
            if let Some(link) = self.links.get_mut(&peer) {
                link.failures = 0;
            }
            self.merged(peer, None, now, now);
        } else {
            self.report_sync(now);
            self.open_sessions(now);
        }
        if let Some(link) = self.links.get_mut(&peer) {
            // A reply is only made at once: later the peer may have announced something else.
            link.heard = None;
        }
        self.fill_later(peer);
        Ok(())
    }

    pub(super) fn drained(&mut self, peer: Peer) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.drained = true;
            self.fill(peer);
        }
    }

    /// Hands out the next frames of the answer to a peer, if its queue is empty.
    pub(super) fn fill(&mut self, peer: Peer) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Some(outgoing) = link.outgoing.as_mut().filter(|_| link.drained) else {
            return;
        };
        let (mut frames, frames_max) = (Vec::new(), self.config.frames_per_turn.max(1));
        let mut left = self.config.slice_events.max(1).saturating_mul(DESCRIBED_AS_EVENT);
        let (tag, mut ended) = (outgoing.tag(), None);
        if outgoing.fill(&self.store, &mut frames, frames_max, &mut left) {
            link.outgoing = None;
            ended = Some(tag);
        }
        let absent = link.outgoing.as_mut().map(Outgoing::lacks).unwrap_or_default();
        if !absent.is_empty() {
            self.outputs.push_back(Output::Load { peer, absent });
        }
        link.drained = frames.is_empty();
        if left == 0 && link.drained {
            // Nothing leaves, so that no queue would run empty and ask for more.
            self.fill_later(peer);
        }
        self.outputs.extend(sends(peer, frames));
        if let Some(tag) = ended {
            let (digest, contents) = (self.digest(), self.contents());
            let knows_forks = self.store.forks_count() > 0;
            if let Some(link) = self.links.get_mut(&peer) {
                link.ended = Some((tag, digest, contents));
                if knows_forks {
                    // END does not say what stands for the contents then.
                    link.told = None;
                }
            }
            if knows_forks {
                self.tell(peer);
            }
        }
    }

    /// What the answer to a peer lacked was read, or is lost.
    pub(super) fn supply(&mut self, peer: Peer, values: Vec<(Dot, Option<Value>)>) {
        if let Some(link) = self.links.get_mut(&peer)
            && let Some(outgoing) = &mut link.outgoing
        {
            outgoing.supply(values);
            self.fill_later(peer);
        }
    }

    fn fill_later(&mut self, peer: Peer) {
        if !self.filling.contains(&peer) {
            self.filling.push_back(peer);
        }
    }

    /// A frame of the answer to our HELLO.
    fn answered(&mut self, peer: Peer, frame: Frame<'_>, now: Timestamp) -> Result<(), SessionError> {
        let Some(link) = self.links.get_mut(&peer) else {
            return Ok(());
        };
        // An answer to an earlier HELLO, which was given up.
        let Some(incoming) = link
            .incoming
            .as_mut()
            .filter(|incoming| Some(incoming.tag()) == frame.tag())
        else {
            return Ok(());
        };
        if let Frame::Ask { store, .. } = frame
            && store != self.config.store
        {
            return Err(SessionError::WrongStore);
        }
        link.heard_at = now;
        let mut replies = Vec::new();
        let delta = incoming.receive(frame, &self.store, &mut replies)?;
        self.outputs.extend(sends(peer, replies));
        if let Some(mut delta) = delta {
            let tag = incoming.tag();
            link.incoming = None;
            link.failures = 0;
            let here = self.store.vector();
            let new = delta.vector.beyond(here).filter(|(author, _)| here.get(author) == 0);
            if here.len() + new.count() > AUTHORS_MAX {
                return Err(SessionError::TooManyAuthors);
            }
            let digest = self.digest_of(&delta.vector);
            let tips = delta.frontier.tips().iter();
            let forks: Vec<_> = tips.filter_map(|tip| self.fork_of(tip)).collect();
            delta.forks.extend(forks);
            let knows_forks = !delta.forks.is_empty() || self.store.forks_count() > 0;
            if let Some(link) = self.links.get_mut(&peer) {
                link.digest = Some((digest, now));
                // With forks other things stand for it as well, which the peer tells next.
                link.contents = (!knows_forks).then(|| delta.frontier.digest());
            }
            self.yield_author(&delta.vector);
            delta.frontier.tips().iter().for_each(|tip| self.recent.note(*tip));
            // Who has seen nothing new knows of nothing to remove, unless an author has two kinds of past. Without an event there would be
            // no batch, and callers not told.
            if !knows_forks && self.store.vector().dominates(&delta.vector) {
                delta.judged = None;
            }
            self.merge = Some(Merge::of_session(peer, tag, delta, now));
        } else {
            let progress = incoming.progress();
            if self.config.mutated.is(Mutation::VisibleBeforeEnd) {
                let staged = incoming.staged();
                self.merge = Some(Merge::of_session(peer, incoming.tag(), staged, now));
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
        let silent = error == SessionError::Silent;
        let mut cut = None;
        if let Some(link) = self.links.get_mut(&peer) {
            cut = link.incoming.take();
            // Silence has cost its time already.
            link.failures += u32::from(!silent);
            link.heard_at = now;
        }
        if silent {
            self.keep_stage(cut, now);
        } else {
            // What was resumed may be what was wrong.
            self.staged = None;
        }
        self.outputs
            .push_back(Output::Emit(Event::SessionFailed { peer, error }));
        self.open_sessions(now);
    }

    /// When a session counts as silent.
    pub(super) fn silent_at(&self, link: &Link) -> Option<Timestamp> {
        link.incoming
            .as_ref()
            .map(|_| link.heard_at + self.config.session_patience)
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
        if due(self.stage_expires_at()) {
            self.staged = None;
        }
        self.merge_crowded(now);
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
        if due(self.lost.again_at) {
            self.ask_again(now);
        }
        self.attend_presence(now);
        if self.anti_entropy_at <= now {
            self.anti_entropy_at = anti_entropy_after(&self.config, &mut self.random, now);
            if let Some(peer) = self.random_peer() {
                if let Some(link) = self.links.get_mut(&peer) {
                    link.audit = true;
                }
                self.want_session(Some(peer), now);
            }
        }
    }
}

/// Hands frames to a peer, in order.
pub(super) fn sends(peer: Peer, frames: Vec<Vec<u8>>) -> impl Iterator<Item = Output> {
    frames.into_iter().map(move |frame| Output::Send { peer, frame })
}
