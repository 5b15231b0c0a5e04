//! What a store is opened with.

use gossipstore_core::{
    cache::Limits,
    id::Dot,
    membership::{Invitation, Secret},
};
use serde::Deserialize;

/// The settings of one opening.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The store's name. At least one character.
    pub name: String,
    /// What makes members of those who have it. Without one, it is that of the store that is kept under the name or, where none is, a new
    /// one: a store that nobody else has, until somebody is invited ([`Handle::invite`](crate::Handle::invite)).
    pub secret: Option<Secret>,
    /// The multiaddresses of the relays, each ending in `/p2p/<peer id>`; an empty list makes a store that stays on this device. Without
    /// one, they are those that the store was opened with last.
    pub relays: Option<Vec<String>>,
    /// Who helps a browser to find a direct path to another behind routers. None by default: then paths within a local network
    /// and between hosts that can be reached are found, and the relay's circuit carries the rest.
    pub ice: Vec<IceServer>,
    /// The last event of an opening of the same storage that was closed for this one to go on from; see
    /// [`Replica::go_on_from`](gossipstore_core::replica::Replica::go_on_from).
    pub goes_on_from: Option<Dot>,
    /// Whether another process may have the storage open still, and is to lose it: what it writes from then on fails, and its store ends
    /// with [`StoreError::Superseded`](crate::StoreError::Superseded).
    pub takes_over: bool,
    /// How much of the values is in memory, where they are stored as well.
    pub cache: Limits,
    /// An invitation to the store that was kept under the name, as it is remembered in another place: where nothing is stored any more, it
    /// is that store again, and no new one.
    pub keepsake: Option<Invitation>,
}

/// A server that tells a browser its public address (`stun:`) or passes on what finds no path (`turn:`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceServer {
    /// Its addresses, such as `stun:stun.example.org:3478`.
    pub urls: Vec<String>,
    /// For `turn:`.
    pub username: Option<String>,
    /// For `turn:`.
    pub credential: Option<String>,
}

impl Options {
    /// The store called `name`, without relays.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            secret: None,
            relays: None,
            ice: Vec::new(),
            goes_on_from: None,
            takes_over: false,
            cache: Limits::default(),
            keepsake: None,
        }
    }

    /// The store that an invitation leads to, under its name there.
    pub fn join(invitation: Invitation) -> Self {
        Self::new(invitation.name)
            .secret(invitation.secret)
            .relays(invitation.relays)
    }

    /// Share the store with those who have this secret.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Meet other members through these relays.
    pub fn relays(mut self, relays: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.relays = Some(relays.into_iter().map(Into::into).collect());
        self
    }

    /// Find direct paths with the help of these servers.
    pub fn ice(mut self, servers: impl IntoIterator<Item = IceServer>) -> Self {
        self.ice = servers.into_iter().collect();
        self
    }

    /// Take the storage from whoever has it open.
    pub fn takes_over(mut self, takes_over: bool) -> Self {
        self.takes_over = takes_over;
        self
    }

    /// Keep so much of the values in memory.
    pub fn cache(mut self, cache: Limits) -> Self {
        self.cache = cache;
        self
    }

    /// Remember which store it was.
    pub fn keepsake(mut self, keepsake: Option<Invitation>) -> Self {
        self.keepsake = keepsake;
        self
    }

    /// Go on as the author of an opening that was closed for that.
    pub fn goes_on_from(mut self, last: Option<Dot>) -> Self {
        self.goes_on_from = last;
        self
    }
}
