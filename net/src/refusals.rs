//! What was refused since the store was opened, by kind: behind each number is a limit against those who misbehave.

use serde::Serialize;

/// How often each limit was reached. A few are normal; many say that somebody is up to no good, or that a limit is too low.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusals {
    /// Connections that were not let in, as 32 members were linked already, or 16 others were on their way to prove that they are some.
    pub connections: u64,
    /// Connections whose other side did not prove to be a member.
    pub strangers: u64,
    /// Connections that were closed because the other side opened a second stream for frames.
    pub streams: u64,
    /// Frames that were too long, that the replica found wrong, or that were acknowledged and never sent.
    pub frames: u64,
    /// How often a member was not read from for a while, as it sent more than 2,000 frames or 64 MB a second.
    pub pauses: u64,
    /// Gossip that no member had sealed, or that the replica found wrong.
    pub messages: u64,
    /// Messages that were dropped, as a member had handed on more than 20,000 a second, 64 MB, or 1,000 that say who is present. What was
    /// written comes by a session, who is present says so again.
    pub floods: u64,
    /// Tabs that are not shown as present, as 256 were known.
    pub presences: u64,
    /// Transactions that came before what they depend on and were dropped, as many others waited. Sessions bring what was among them.
    pub transactions: u64,
    /// Members that were given up because they could not be reached.
    pub members: u64,
}
