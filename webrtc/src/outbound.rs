//! The channels that this side opened, and how their numbers are given back.
//!
//! Browsers give a new channel the lowest number that is free, and closing a channel frees its number when this side knows
//! it closed: the other side may still wait for a last packet that got lost. Chromium then takes the new channel of that
//! number for the old one, and closes it without a word. So ended channels stay open until they are many. They are closed
//! together, but for one, which is closed when all others are: as a browser asks for one reset at a time (RFC 6525, section
//! 5.1.1), the other side cannot close that one too unless it knows that the others are closed. Until then none is opened.

use std::{rc::Rc, time::Duration};

use web_time::Instant;

use crate::channel::Channel;

/// How many channels this side may have open, the ended ones included. Who wants to open more waits. Chromium numbers 1,024
/// channels in all, half of them for each side.
const CHANNELS_MAX: usize = 256;

/// How many ended channels are kept open: enough that no new channel comes to the number of the one that was closed last,
/// the highest, before the other side has had the time to be told again that it is closed.
const ENDED_MAX: usize = 128;

/// How long new channels wait for the ended ones to be closed. A browser that got no answer asks again after 0.4 and 1.2
/// seconds, so those that are not closed by then hardly will be.
const CLOSING_MAX: Duration = Duration::from_secs(3);

/// The channels, in the order in which they were opened.
#[derive(Default)]
pub(crate) struct Outbound {
    channels: Vec<Rc<Channel>>,
    closing: Option<Closing>,
}

/// Ended channels that are being closed.
struct Closing {
    others: Vec<Rc<Channel>>,
    last: Rc<Channel>,
    until: Instant,
}

impl Outbound {
    /// Whether a channel may be opened now.
    pub(crate) fn has_room(&self) -> bool {
        self.closing.is_none() && self.channels.len() < CHANNELS_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    pub(crate) fn push(&mut self, channel: Rc<Channel>) {
        self.channels.push(channel);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rc<Channel>> {
        self.channels.iter()
    }

    /// Closes ended channels if they are many, and lets go of those whose time has come. Returns when there is more to do.
    pub(crate) fn sweep(&mut self, now: Instant) -> Option<Instant> {
        self.closing = match self.closing.take() {
            Some(closing) => closing.proceed(now),
            None => self.close_ended(now),
        };
        let next = sweep(&mut self.channels, now);
        let until = self.closing.as_ref().map(|closing| closing.until);
        next.into_iter().chain(until).min()
    }

    fn close_ended(&self, now: Instant) -> Option<Closing> {
        let ended = || self.iter().filter(|channel| channel.is_ended());
        if ended().count() < ENDED_MAX && self.channels.len() < CHANNELS_MAX {
            return None;
        }
        let last = ended().max_by_key(|channel| channel.number())?;
        let others = ended().filter(|channel| !Rc::ptr_eq(channel, last));
        let closing = Closing {
            others: others.cloned().collect(),
            last: last.clone(),
            until: now + CLOSING_MAX,
        };
        closing.others.iter().for_each(|channel| channel.close(now));
        closing.proceed(now)
    }
}

impl Closing {
    /// Closes the last channel once the others are closed. None if that is done, or has taken too long.
    fn proceed(mut self, now: Instant) -> Option<Self> {
        self.others.retain(|channel| !channel.is_closed());
        if self.others.is_empty() {
            self.last.close(now);
        }
        (!self.last.is_closed() && now < self.until).then_some(self)
    }
}

/// Lets go of channels whose time has come. Returns when that of the next comes.
pub(crate) fn sweep(channels: &mut Vec<Rc<Channel>>, now: Instant) -> Option<Instant> {
    channels.retain(|channel| channel.kept_until(now).is_none_or(|until| until > now));
    channels.iter().filter_map(|channel| channel.kept_until(now)).min()
}
