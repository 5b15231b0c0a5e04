//! Values that the disk has lost, and when peers are asked for them.
//!
//! Each session asks for them beside all else. What is here is when one is opened for them alone: with each peer when something is lost,
//! then with one after the other, ever more rarely. A disk that loses what comes back keeps nobody busy: what is lost soon after waits
//! for the next turn.

use alloc::collections::BTreeSet;
use core::{mem, time::Duration};

use super::{Replica, agreement::retry_after};
use crate::{
    id::{Dot, Peer},
    time::Timestamp,
};

/// How many a session asks for. A peer that had all of them is asked for more.
pub(super) const LOST_ASKED_MAX: usize = 4_096;

/// How long after peers were asked another is, at first.
const LOST_ASKED_AFTER: Duration = Duration::from_secs(5);

/// Live entries whose values are lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    pub(super) dots: BTreeSet<Dot>,
    /// When a peer is asked again, and how often one was since each was.
    pub(super) again_at: Option<Timestamp>,
    asked: u32,
    /// Whether something was lost since.
    is_news: bool,
}

impl Replica {
    /// More is lost: each peer is asked but one, which has told it.
    pub(super) fn note_lost(&mut self, but: Option<Peer>, now: Timestamp) {
        if self.lost.again_at.is_some() {
            self.lost.is_news = true;
            return;
        }
        self.ask_for_lost(but, now);
    }

    /// The time has come to ask again.
    pub(super) fn ask_again(&mut self, now: Timestamp) {
        self.lost.again_at = None;
        if self.lost_values().is_empty() {
            return;
        }
        if mem::take(&mut self.lost.is_news) {
            self.ask_for_lost(None, now);
            return;
        }
        self.lost.asked += 1;
        self.lost.again_at = Some(now + retry_after(LOST_ASKED_AFTER, self.lost.asked));
        self.want_session(None, now);
    }

    /// What one session asks for.
    pub(super) fn lost_values(&mut self) -> BTreeSet<Dot> {
        let (store, dots) = (&self.store, &mut self.lost.dots);
        dots.retain(|dot| store.is_away(dot));
        dots.iter().take(LOST_ASKED_MAX).copied().collect()
    }

    fn ask_for_lost(&mut self, but: Option<Peer>, now: Timestamp) {
        (self.lost.again_at, self.lost.asked) = (Some(now + LOST_ASKED_AFTER), 0);
        for (peer, link) in &mut self.links {
            link.wanted |= Some(*peer) != but;
        }
        self.open_sessions(now);
    }
}
