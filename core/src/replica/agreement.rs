//! Who holds what is held here: what peers are told of it and tell, and when a difference calls for a session.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Event, Output, Replica, link::Link};
use crate::{id::Peer, time::Timestamp, wire::Frame};

/// How long a peer's digest may differ from ours before a session is opened although one of both keeps changing.
const DIFFERENCE_MAX: Duration = Duration::from_secs(10);

/// The longest wait before a peer whose sessions fail is asked again.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How long to wait when so many attempts were in vain: twice as long each time, up to [`RETRY_MAX`].
pub(super) fn retry_after(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.min(16)).min(RETRY_MAX)
}

impl Replica {
    /// Tells a peer what is held here now, if it was not told.
    pub(super) fn tell(&mut self, peer: Peer) {
        let (digest, contents) = (self.digest(), self.contents());
        if let Some(link) = self.links.get_mut(&peer)
            && link.told != Some((digest, contents))
        {
            link.told = Some((digest, contents));
            self.outputs.push_back(Output::Send {
                peer,
                frame: Frame::Digest(digest, contents).encode(),
            });
        }
    }

    /// When a session is due because the peer's digest differs from ours: once both were quiet for a while, or have differed for so
    /// long that they will not be.
    pub(super) fn repair_at(&self, link: &Link) -> Option<Timestamp> {
        if link.incoming.is_some() || link.wanted {
            return None;
        }
        if link.in_sync == Some(true) {
            let vain = link.failures.max(link.doubts);
            let again = retry_after(self.config.repair_after, vain).max(self.config.repair_after);
            return self
                .is_in_doubt(link)
                .then_some(link.heard_at.max(self.changed_at) + again);
        }
        let told_at = match link.digest {
            Some((theirs, _)) if link.compared == Some((self.digest(), theirs)) => return None,
            Some((_, told_at)) => told_at,
            // Not known to differ; but a session failed, so nothing is known.
            None if link.failures > 0 => link.heard_at,
            None => return None,
        };
        let again = retry_after(self.config.repair_after, link.failures).max(self.config.repair_after);
        let quiet = told_at.max(self.changed_at) + again;
        let ceiling = link.differs_since.map_or(quiet, |since| since + DIFFERENCE_MAX);
        Some(quiet.min(ceiling).max(link.heard_at + again))
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
        let (digest, contents) = (self.digest(), self.contents());
        let agreed: Vec<Peer> = self
            .links
            .iter()
            .filter(|(_, link)| link.digest.is_some_and(|(theirs, _)| theirs == digest))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in agreed {
            self.bases.agree(peer, digest, &self.snapshot());
        }
        for (peer, link) in &mut self.links {
            let in_sync = link.digest.map(|(theirs, _)| theirs == digest);
            if link.contents == Some(contents) {
                link.doubts = 0;
            }
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
