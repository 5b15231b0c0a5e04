//! What is known and under way with one peer.

use alloc::sync::Arc;

use super::forked::Compared;
use crate::{
    causality::VersionVector,
    id::{Digest, Home},
    sync::{Incoming, Outgoing, SessionError, VectorDescent},
    time::Timestamp,
    wire::{AUTHORS_MAX, AuthorTable, Base, Hello, Leaves, Tag, WireError, Wishes, read_leaves},
};

/// How many blocks of events a peer may name that it has staged or lost. A stage of ten million events in a row has fewer.
const HAVE_BLOCKS_MAX: usize = 65_536;

/// One peer that is up.
#[derive(Debug)]
pub(super) struct Link {
    /// A HELLO that is not yet complete.
    request: Option<Request>,
    /// The peer's vector, where its HELLO has left it open, and what else that asked for.
    pub(super) asking: Option<(VectorDescent, Request)>,
    /// The vector that the peer announced last, until we reply.
    pub(super) heard: Option<(Tag, Arc<VersionVector>)>,
    /// The vector that we announced last.
    pub(super) announced: Option<(Tag, Arc<VersionVector>)>,
    /// What END said in the answer that was completed last.
    pub(super) ended: Option<(Tag, Digest, u64)>,
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
    /// Whether the next session compares the live dots in any case.
    pub(super) audit: bool,
    /// Sessions that failed in a row.
    pub(super) failures: u32,
    /// Whether it was told whose home we are, and whose it is.
    pub(super) introduced: bool,
    pub(super) home: Option<Home>,
    /// The digest that the peer told last, and when.
    pub(super) digest: Option<(Digest, Timestamp)>,
    /// What stands for the contents there, as told with the digest; none while that is not known.
    pub(super) contents: Option<u64>,
    /// What was compared when the live entries were last; and while that is under way.
    pub(super) entries_compared: Option<Compared>,
    pub(super) comparing: Option<Compared>,
    /// Comparisons in a row after which it was in doubt still whether both hold the same.
    pub(super) doubts: u32,
    /// When it was last told prints.
    pub(super) printed_at: Option<Timestamp>,
    /// Our digest and the peer's when a session last ended: as long as neither changes, another would bring nothing.
    pub(super) compared: Option<(Digest, Digest)>,
    /// Since when the peer's digest is known to differ from ours.
    pub(super) differs_since: Option<Timestamp>,
    /// The digest that we told last, and what stands for the contents.
    pub(super) told: Option<(Digest, u64)>,
    /// What was last reported of the peer being in sync.
    pub(super) in_sync: Option<bool>,
}

/// What a peer has asked for with a HELLO and what follows it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) tag: Tag,
    pub(super) wishes: Wishes,
    /// What stands for the peer's contents.
    pub(super) contents: u64,
    /// The HELLO of ours to which this is the reply.
    pub(super) reply_to: Option<Tag>,
    /// The peer's vector; none if what it is described from is not known here.
    pub(super) vector: Option<Arc<VersionVector>>,
    /// The events that the peer has staged, and those of which it has lost the value.
    pub(super) have: Leaves,
    pub(super) lost: Leaves,
    authors: AuthorTable,
    /// Whether HELLO is complete, and HAVE is awaited.
    told: bool,
}

impl Link {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            request: None,
            asking: None,
            heard: None,
            announced: None,
            ended: None,
            outgoing: None,
            drained: true,
            incoming: None,
            heard_at: now,
            wanted: true,
            spell: false,
            spelled: false,
            audit: false,
            failures: 0,
            introduced: false,
            home: None,
            digest: None,
            contents: None,
            entries_compared: None,
            comparing: None,
            doubts: 0,
            printed_at: None,
            compared: None,
            differs_since: None,
            told: None,
            in_sync: None,
        }
    }

    /// Takes a HELLO frame, `base` being what its counts are relative to, if that is known; gives the request when it is complete.
    pub(super) fn hello(
        &mut self,
        hello: &Hello<'_>,
        base: Option<&Arc<VersionVector>>,
    ) -> Result<Option<Request>, SessionError> {
        let mut request = match self.request.take() {
            Some(request) if request.tag == hello.tag && !request.told => request,
            // A new HELLO ends what was said before it.
            _ => Request {
                tag: hello.tag,
                wishes: hello.wishes,
                contents: hello.contents,
                reply_to: match hello.base {
                    Base::Hello(tag) => Some(tag),
                    Base::Empty | Base::Digest(_) => None,
                },
                authors: base.map(|base| AuthorTable::new(base)).unwrap_or_default(),
                vector: base.cloned(),
                have: Leaves::default(),
                lost: Leaves::default(),
                told: false,
            },
        };
        if let Some(vector) = &mut request.vector {
            let counts = hello.counts(&mut request.authors)?;
            if !counts.is_empty() {
                let vector = Arc::make_mut(vector);
                counts.into_iter().for_each(|(author, n)| vector.set(author, n));
            }
            if vector.len() > AUTHORS_MAX {
                let (length, max) = (vector.len() as u64, AUTHORS_MAX as u64);
                return Err(WireError::TooLong {
                    what: "authors of a vector",
                    length,
                    max,
                }
                .into());
            }
        }
        request.told = !hello.more;
        if hello.more || hello.wishes.have {
            // HAVE names authors of its own.
            if request.told {
                request.authors = AuthorTable::default();
            }
            self.request = Some(request);
            return Ok(None);
        }
        Ok(Some(request))
    }

    /// Takes a HAVE frame; gives the request that it completes.
    pub(super) fn have(
        &mut self,
        tag: Tag,
        (more, lost): (bool, bool),
        leaves: &[u8],
    ) -> Result<Option<Request>, SessionError> {
        let Some(mut request) = self.request.take_if(|request| request.tag == tag && request.told) else {
            // It belongs to a HELLO that was given up.
            return Ok(None);
        };
        let mut left = HAVE_BLOCKS_MAX.saturating_sub(request.have.len() + request.lost.len());
        let charge = || {
            left = left
                .checked_sub(1)
                .ok_or(SessionError::OutOfPlace("HAVE of too many blocks"))?;
            Ok::<_, SessionError>(())
        };
        let into = if lost { &mut request.lost } else { &mut request.have };
        read_leaves(leaves, &mut request.authors, into, charge)?;
        if more {
            self.request = Some(request);
            return Ok(None);
        }
        Ok(Some(request))
    }
}
