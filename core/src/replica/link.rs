//! What is known and under way with one peer.

use crate::{
    causality::VersionVector,
    id::Digest,
    sync::{Incoming, Outgoing, SessionError},
    time::Timestamp,
    wire::{AUTHORS_MAX, Hello, WireError},
};

/// One peer that is up.
#[derive(Debug)]
pub(super) struct Link {
    /// A HELLO of several frames that is not yet complete.
    request: Option<Request>,
    /// The answer that we are sending.
    pub(super) outgoing: Option<Outgoing>,
    /// Whether the driver's queue for the peer is empty.
    pub(super) drained: bool,
    /// The session in which we receive.
    pub(super) incoming: Option<Incoming>,
    /// When a session was last opened or brought something.
    pub(super) heard_at: Timestamp,
    /// Whether a session should be opened as soon as there is room for one.
    pub(super) wanted: bool,
    /// Whether the next session asks for every key, and whether the present one does.
    pub(super) spell: bool,
    pub(super) spelled: bool,
    /// Sessions that failed in a row.
    pub(super) failures: u32,
    /// The digest that the peer told last, and when.
    pub(super) digest: Option<(Digest, Timestamp)>,
    /// Our digest and the peer's when a session last ended: as long as neither changes, another would bring nothing.
    pub(super) compared: Option<(Digest, Digest)>,
    /// Since when the peer's digest is known to differ from ours.
    pub(super) differs_since: Option<Timestamp>,
    /// The digest that we told last.
    pub(super) told: Option<Digest>,
    /// What was last reported of the peer being in sync.
    pub(super) in_sync: Option<bool>,
}

#[derive(Debug)]
struct Request {
    first: Hello,
    vector: VersionVector,
}

impl Link {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            request: None,
            outgoing: None,
            drained: true,
            incoming: None,
            heard_at: now,
            wanted: true,
            spell: false,
            spelled: false,
            failures: 0,
            digest: None,
            compared: None,
            differs_since: None,
            told: None,
            in_sync: None,
        }
    }

    /// Takes a HELLO frame; at the last of its kind, gives the vector that the peer holds.
    pub(super) fn request(&mut self, hello: Hello) -> Result<Option<VersionVector>, SessionError> {
        let mut request = match self.request.take() {
            Some(request) if request.first.tag == hello.tag => request,
            // A new HELLO ends what was said before it.
            _ => Request {
                first: Hello {
                    vector: Default::default(),
                    ..hello
                },
                vector: VersionVector::new(),
            },
        };
        let counted = request.vector.len() + hello.vector.len();
        if counted > AUTHORS_MAX {
            let (length, max) = (counted as u64, AUTHORS_MAX as u64);
            return Err(WireError::TooLong {
                what: "authors of a vector",
                length,
                max,
            }
            .into());
        }
        for (author, n) in hello.vector {
            request.vector.set(author, n);
        }
        if hello.more {
            self.request = Some(request);
            return Ok(None);
        }
        Ok(Some(request.vector))
    }
}
