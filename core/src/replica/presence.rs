//! Who is present: told to peers as they come up, to all by gossip when it changes, and to callers.

use alloc::vec::Vec;

use super::{Event, Output, Replica, sessions::sends};
use crate::{
    causality::Value,
    id::{Home, Peer, PresenceId},
    sync::SessionError,
    time::Timestamp,
    wire::{Frame, Gossip, PRESENCE_BYTES_MAX, Presence},
};

impl Replica {
    /// A tab of ours says something of itself.
    pub(super) fn present(&mut self, id: PresenceId, value: Option<Value>, now: Timestamp) {
        if value.as_ref().is_none_or(|value| value.len() <= PRESENCE_BYTES_MAX) {
            self.presences.present(id, value, now);
            self.attend_presence(now);
        }
    }

    /// What was known on this device a moment ago.
    pub(super) fn recall(&mut self, presences: Vec<(PresenceId, Value)>, former: Option<Home>, now: Timestamp) {
        if let Some(former) = former {
            self.presences.succeed(former);
        }
        for (id, value) in presences {
            self.presences.recall(id, value, now);
        }
        self.attend_presence(now);
    }

    /// Members say who is present.
    pub(super) fn hear_presences(&mut self, presences: Vec<Presence>, now: Timestamp) {
        for presence in presences {
            self.presences.hear(presence, now);
        }
        self.attend_presence(now);
    }

    /// Tells a new peer who is present. It may be how others meet, beyond it, who have not heard of ours.
    pub(super) fn introduce(&mut self, peer: Peer, now: Timestamp) {
        if !self.presences.is_empty() {
            self.tell_all(peer, now);
            self.presences.renew(now);
            self.attend_presence(now);
        }
    }

    /// Tells a peer all that is known, and whose home we are: that is how it knows who may be gone when the link is lost.
    fn tell_all(&mut self, peer: Peer, now: Timestamp) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.introduced = true;
        }
        let frames = Frame::present(self.presences.home(), self.presences.all(now));
        self.outputs.extend(sends(peer, frames));
    }

    /// A new peer tells us.
    pub(super) fn introduced(
        &mut self,
        peer: Peer,
        home: Home,
        presences: &[u8],
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let presences = Frame::presences(presences)?;
        if let Some(link) = self.links.get_mut(&peer) {
            link.home.get_or_insert(home);
        }
        self.hear_presences(presences, now);
        Ok(())
    }

    /// A link is lost, to a home if it is known. The other end does not know either whether we are gone or only the link is.
    pub(super) fn depart(&mut self, home: Option<Home>, now: Timestamp) {
        let is_linked = |home| self.links.values().any(|link| link.home == Some(home));
        if let Some(home) = home.filter(|home| !is_linked(*home)) {
            self.presences.depart(home, now);
        }
        self.presences.renew(now);
        self.attend_presence(now);
    }

    /// Forgets who is not present any more, and tells peers and callers what there is to tell.
    pub(super) fn attend_presence(&mut self, now: Timestamp) {
        self.presences.expire(now);
        if !self.links.is_empty() {
            let told = self.presences.tell(now);
            if !told.is_empty() {
                let strange = self.links.iter().filter(|(_, link)| !link.introduced);
                for peer in strange.map(|(peer, _)| *peer).collect::<Vec<_>>() {
                    self.tell_all(peer, now);
                }
                let messages = Gossip::present(told, self.config.gossip_bytes_max);
                let messages = messages.into_iter().map(|message| Output::Broadcast { message });
                self.outputs.extend(messages);
            }
        }
        if self.presence_told != self.presences.changes() {
            self.presence_told = self.presences.changes();
            self.outputs.push_back(Output::Emit(Event::PresenceChanged));
        }
    }
}
